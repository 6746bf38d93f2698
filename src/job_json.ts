import type { Attempt, Job } from "./job.ts";

/** An instant as JSON and scripts get it: ISO 8601 in UTC with milliseconds; null stays null. */
export function isoTime(ms: number): string;
export function isoTime(ms: number | null): string | null;
export function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

/** A job as `--json` shows it. */
export function jobJson(job: Job) {
  return {
    id: job.id,
    command: job.command,
    state: job.state,
    queue: job.queue,
    priority: job.priority,
    attempts: job.attempts,
    max_retries: job.maxRetries,
    backoff_base: job.backoffBase,
    timeout_ms: job.timeoutMs,
    cwd: job.cwd,
    run_at: isoTime(job.runAt),
    created_at: isoTime(job.createdAt),
    updated_at: isoTime(job.updatedAt),
    started_at: isoTime(job.startedAt),
    finished_at: isoTime(job.finishedAt),
    exit_code: job.exitCode,
    signal: job.signal,
    last_error: job.lastError,
    worker_id: job.workerId,
    tags: job.tags,
    key: job.key,
    schedule: job.schedule,
  };
}

/** An attempt as `--json` shows it. */
export function attemptJson(attempt: Attempt) {
  return {
    attempt: attempt.attempt,
    outcome: attempt.outcome,
    worker_id: attempt.workerId,
    started_at: isoTime(attempt.startedAt),
    finished_at: isoTime(attempt.finishedAt),
    exit_code: attempt.exitCode,
    signal: attempt.signal,
    error: attempt.error,
  };
}
