import { type Backoff, backoffMs } from "./backoff.ts";

export const JOB_STATES = [
  "pending",
  "processing",
  "completed",
  "failed",
  "dead",
  "cancelled",
] as const;
export type JobState = (typeof JOB_STATES)[number];

/** A shell command with its settings and where it stands. Instants are epoch milliseconds. */
export interface Job extends Backoff {
  id: string;
  command: string;
  state: JobState;
  queue: string;
  priority: number;
  attempts: number;
  maxRetries: number;
  timeoutMs: number | null;
  cwd: string;
  env: Record<string, string>;
  tags: string[];
  runAt: number;
  createdAt: number;
  updatedAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  exitCode: number | null;
  signal: string | null;
  lastError: string | null;
  workerId: string | null;
}

/** What a new job needs to be told; everything else begins at its natural zero. */
export type NewJob = Pick<
  Job,
  "id" | "command" | "maxRetries" | keyof Backoff | "timeoutMs" | "cwd" | "env"
>;

export type AttemptOutcome =
  | "completed"
  | "failed"
  | "timed_out"
  | "lost"
  | "interrupted"
  | "cancelled";

/** One execution of a job's command. `outcome` is null while it runs. */
export interface Attempt {
  attempt: number;
  outcome: AttemptOutcome | null;
  workerId: string;
  startedAt: number;
  finishedAt: number | null;
  exitCode: number | null;
  signal: string | null;
  error: string | null;
}

/** How an attempt ended, with the facts of each case. */
export type Outcome =
  | { kind: "exited"; code: number }
  | { kind: "signalled"; signal: string }
  | { kind: "timed_out"; timeoutMs: number }
  | { kind: "not_started"; error: string }
  | { kind: "lost"; reason: string }
  | { kind: "interrupted" };

/** What becomes of a job and of its attempt. The store writes it down as it stands. */
export interface Settlement {
  state: JobState;
  attempts: number;
  runAt: number;
  outcome: AttemptOutcome;
  exitCode: number | null;
  signal: string | null;
  error: string | null;
}

/**
 * Decides what a job becomes when its running attempt has ended. The only place that decides it.
 * `now` is epoch milliseconds, `random` is from 0 to 1 and feeds the jitter.
 */
export function settle(
  job: Pick<Job, "attempts" | "maxRetries" | "runAt" | keyof Backoff>,
  outcome: Outcome,
  { now, random }: { now: number; random: number },
): Settlement {
  const ended = { exitCode: null, signal: null, error: null };
  const retryIn = (delayMs: number) =>
    job.attempts < job.maxRetries
      ? { state: "failed", attempts: job.attempts, runAt: now + delayMs } as const
      : { state: "dead", attempts: job.attempts, runAt: job.runAt } as const;
  const retryLater = () => retryIn(backoffMs(job, job.attempts, random));

  switch (outcome.kind) {
    case "exited":
      if (outcome.code === 0) {
        const { attempts, runAt } = job;
        return { ...ended, state: "completed", attempts, runAt, outcome: "completed", exitCode: 0 };
      }
      return {
        ...ended,
        ...retryLater(),
        outcome: "failed",
        exitCode: outcome.code,
        error: `Exit code ${outcome.code}`,
      };
    case "signalled":
      return {
        ...ended,
        ...retryLater(),
        outcome: "failed",
        signal: outcome.signal,
        error: `Ended by ${outcome.signal}`,
      };
    case "timed_out":
      return {
        ...ended,
        ...retryLater(),
        outcome: "timed_out",
        error: `Timed out after ${outcome.timeoutMs / 1000} s`,
      };
    case "not_started":
      return { ...ended, ...retryLater(), outcome: "failed", error: outcome.error };
    case "lost":
      return { ...ended, ...retryIn(0), outcome: "lost", error: outcome.reason };
    case "interrupted":
      return {
        ...ended,
        state: "pending",
        attempts: job.attempts - 1,
        runAt: job.runAt,
        outcome: "interrupted",
        error: "The worker was told to stop",
      };
  }
}

/** The id of one executor of a worker process, as `worker_id` shows it. */
export function executorId(worker: string, executor: number): string {
  return `${worker}-${executor}`;
}

/** The worker process that an executor belongs to. */
export function workerOf(executorId: string): string {
  return executorId.slice(0, executorId.lastIndexOf("-"));
}
