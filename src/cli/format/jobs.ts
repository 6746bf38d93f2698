import type { Attempt, Job } from "../../job.ts";
import { type Cell, type Column, table } from "./table.ts";
import { type Paint, printable, stateColor } from "./text.ts";
import { isoTime, relativeTime } from "./time.ts";

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

const COLUMNS: Column[] = [
  { title: "ID" },
  { title: "STATE" },
  { title: "TRIES", align: "right" },
  { title: "WHEN" },
  { title: "COMMAND", flexible: true },
];

/** The table of `list`. */
export function jobTable(
  jobs: readonly Job[],
  { now, width, paint, line }: { now: number; width: number; paint: Paint; line: boolean },
): string {
  const rows = jobs.map((job): Cell[] => [
    { text: job.id },
    { text: job.state, color: stateColor(job.state) },
    { text: `${job.attempts}/${Math.max(1, job.maxRetries)}` },
    { text: whenText(job, now), color: "dim" },
    { text: printable(job.command) },
  ]);
  return table(COLUMNS, rows, { width, paint, line });
}

/** The instant that matters most of a job in its state. */
function whenText(job: Job, now: number): string {
  switch (job.state) {
    case "pending":
      return job.runAt > now
        ? `due ${relativeTime(job.runAt, now)}`
        : `added ${relativeTime(job.createdAt, now)}`;
    case "failed":
      return job.runAt > now ? `retry ${relativeTime(job.runAt, now)}` : "retry now";
    case "processing":
      return `since ${relativeTime(job.startedAt!, now).replace(/ ago$/, "")}`;
    case "completed":
    case "dead":
    case "cancelled":
      return relativeTime(job.finishedAt ?? job.updatedAt, now);
  }
}
