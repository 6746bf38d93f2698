import { type Backoff, backoffMs } from "./backoff.ts";

export const JOB_STATES = [
  "pending",
  "processing",
  "completed",
  "failed",
  "dead",
  "cancelled",
  "blocked",
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
  /** Exit codes other than 0 that are no failure. */
  okCodes: number[];
  /** Exit codes after which no further attempt is made. */
  fatalCodes: number[];
  /**
   * How long exit code 75 puts the job off without costing an attempt; null if it is a failure like
   * any other.
   */
  snoozeMs: number | null;
  snoozes: number;
  cwd: string;
  env: Record<string, string>;
  tags: string[];
  /** Of all jobs with the same key only one is unfinished. */
  key: string | null;
  /** The schedule that made it. */
  schedule: string | null;
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

/** Where the next attempt, if there is one, does not depend on anything but time and workers. */
export const WAITING_STATES: readonly JobState[] = ["pending", "failed"];
/** Where a job comes to rest; only a person brings it back. */
export const FINAL_STATES: readonly JobState[] = ["completed", "dead", "cancelled"];

/** What a person can give a new start. */
export const RETRYABLE_STATES: readonly JobState[] = ["failed", "dead", "cancelled"];
export const UNFINISHED_STATES = JOB_STATES.filter((state) => !FINAL_STATES.includes(state));

export function isFinal(state: JobState): boolean {
  return FINAL_STATES.includes(state);
}

export const IF_EXISTS = ["error", "skip", "replace"] as const;
/** What is to be done about an unfinished job with the same key. */
export type IfExists = (typeof IF_EXISTS)[number];

/** Another job that has to end first: completed, or with `anyEnd` however it ends. `id` may be a prefix. */
export interface Prerequisite {
  id: string;
  anyEnd: boolean;
}

/** What a new job needs to be told; everything else begins at its natural zero. */
export interface NewJob extends
  Pick<
    Job,
    | ("id" | "command" | "queue" | "priority" | "maxRetries" | keyof Backoff | "timeoutMs")
    | ("okCodes" | "fatalCodes" | "snoozeMs" | "cwd" | "env" | "tags" | "key" | "schedule")
  > {
  /** Not before this instant; null for at once. */
  runAt: number | null;
  ifExists: IfExists;
  after: readonly Prerequisite[];
}

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
  | { kind: "interrupted"; reason?: string };

/** "Try again later", by the convention of sysexits.h. */
const EX_TEMPFAIL = 75;
/** A job that only ever asks to be put off fails in the end. */
export const MAX_SNOOZES = 100;

/** What the end of an attempt is called in events. */
export function endName({ state, exitCode }: Settlement): "interrupted" | "snoozed" | JobState {
  if (state !== "pending") return state;
  // Whoever was interrupted has no exit code of its own.
  return exitCode === null ? "interrupted" : "snoozed";
}

/** What becomes of a job and of its attempt. The store writes it down as it stands. */
export interface Settlement {
  state: JobState;
  attempts: number;
  snoozes: number;
  runAt: number;
  outcome: AttemptOutcome;
  exitCode: number | null;
  signal: string | null;
  error: string | null;
}

/** What of a job decides what becomes of it. */
export type Settleable = Pick<
  Job,
  | ("attempts" | "maxRetries" | "runAt" | keyof Backoff)
  | ("okCodes" | "fatalCodes" | "snoozeMs" | "snoozes")
>;

/**
 * Decides what a job becomes when its running attempt has ended. The only place that decides it.
 * `now` is epoch milliseconds, `random` is from 0 to 1 and feeds the jitter.
 */
export function settle(
  job: Settleable,
  outcome: Outcome,
  { now, random }: { now: number; random: number },
): Settlement {
  const { attempts, snoozes, runAt } = job;
  const ended = { attempts, snoozes, runAt, exitCode: null, signal: null, error: null };
  const dead = { ...ended, state: "dead" } as const;
  const retryIn = (delayMs: number) =>
    attempts < job.maxRetries ? { ...ended, state: "failed", runAt: now + delayMs } as const : dead;
  const retryLater = () => retryIn(backoffMs(job, attempts, random));

  switch (outcome.kind) {
    case "exited": {
      const { code } = outcome;
      if (code === 0 || job.okCodes.includes(code)) {
        return { ...ended, state: "completed", outcome: "completed", exitCode: code };
      }
      const failed = { outcome: "failed", exitCode: code, error: `Exit code ${code}` } as const;
      if (job.fatalCodes.includes(code)) return { ...dead, ...failed };
      if (code !== EX_TEMPFAIL || job.snoozeMs === null || snoozes >= MAX_SNOOZES) {
        return { ...retryLater(), ...failed };
      }
      return {
        ...ended,
        ...notCounted(job),
        snoozes: snoozes + 1,
        runAt: now + job.snoozeMs,
        exitCode: code,
        error: `Put off by exit code ${code}`,
      };
    }
    case "signalled":
      return {
        ...retryLater(),
        outcome: "failed",
        signal: outcome.signal,
        error: `Ended by ${outcome.signal}`,
      };
    case "timed_out":
      return {
        ...retryLater(),
        outcome: "timed_out",
        error: `Timed out after ${outcome.timeoutMs / 1000} s`,
      };
    case "not_started":
      return { ...retryLater(), outcome: "failed", error: outcome.error };
    case "lost":
      return { ...retryIn(0), outcome: "lost", error: outcome.reason };
    case "interrupted":
      return {
        ...ended,
        ...notCounted(job),
        runAt: Math.min(runAt, now), // it was due, whatever the clock says now
        error: outcome.reason ?? "The worker was told to stop",
      };
  }
}

/** Back to where it was before the attempt, whose number is used again. */
function notCounted({ attempts }: Settleable) {
  return { state: "pending", attempts: attempts - 1, outcome: "interrupted" } as const;
}

/**
 * What a settlement becomes when somebody has asked for the job to be cancelled. What completed all
 * the same has completed; everything else ends here.
 */
export function cancelled(settlement: Settlement, attempt: number): Settlement {
  if (settlement.state === "completed") return settlement;
  const { exitCode, signal, snoozes, runAt } = settlement;
  const ended = { exitCode, signal, snoozes, runAt, attempts: attempt };
  return { ...ended, state: "cancelled", outcome: "cancelled", error: CANCELLED_BY_PERSON };
}

export const CANCELLED_BY_PERSON = "Cancelled";

/** The id of one executor of a worker process, as `worker_id` shows it. */
export function executorId(worker: string, executor: number): string {
  return `${worker}-${executor}`;
}

/** The worker process that an executor belongs to. */
export function workerOf(executorId: string): string {
  return executorId.slice(0, executorId.lastIndexOf("-"));
}
