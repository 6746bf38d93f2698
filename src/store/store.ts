import type { Backoff } from "../backoff.ts";
import type { Attempt, Job, JobState, NewJob, Settlement } from "../job.ts";
import type { SettingName, Settings } from "../settings.ts";

/** The number of jobs in each state. */
export type JobCounts = Record<JobState, number>;

/** Which jobs `list` is asked for; what is left out restricts nothing. */
export interface JobFilter {
  state?: JobState;
  queue?: string;
  tag?: string;
  /** Part of the id or of the command, in upper or lower case. */
  search?: string;
}

/** The newest jobs that match, the newest last, and how many older ones match as well. */
export interface JobPage {
  jobs: Job[];
  older: number;
}

/** What names an attempt and proves whose it is: without the token nothing about it can be written. */
export interface Lease {
  job: number;
  attempt: number;
  token: string;
}

export type Stream = "stdout" | "stderr";

/** Bytes that an attempt printed; `start` is their place in everything it printed. */
export interface OutputChunk {
  start: number;
  stream: Stream;
  bytes: Uint8Array;
}

/** New output of an attempt, and the part that has to go to keep it within its limit. */
export interface OutputBatch {
  lease: Lease;
  chunks: OutputChunk[];
  /** Bytes from `from` up to `to` are no longer kept. */
  discard: { from: number; to: number } | null;
}

/** A process by its id and the moment it was started, so that a reused id is not mistaken for it. */
export interface ProcessId {
  pid: number;
  startedAt: string;
}

/** A worker process as it introduces itself. */
export interface NewWorker {
  id: string;
  host: string;
  /** One running system: processes can be looked up by their ids within it. */
  machine: string;
  process: ProcessId;
  count: number;
  leaseMs: number;
}

export type StopRequest = "graceful" | "force";

export interface Worker extends NewWorker {
  startedAt: number;
  heartbeatAt: number;
  /** Counts the renewals: as long as it changes, the worker lives. */
  beat: number;
  stop: StopRequest | null;
}

/** A job that is being worked on, and by whom. */
export interface HeldLease {
  lease: Lease;
  job: Job;
  process: ProcessId | null;
}

/** What a worker process writes down in one go, and the executors that it wants jobs for. */
export interface Turn {
  worker: string;
  settled: readonly { lease: Lease; settlement: Settlement }[];
  output: readonly OutputBatch[];
  started: readonly { lease: Lease; process: ProcessId }[];
  idle: readonly { executor: number; token: string }[];
}

/** What a worker needs to know of a job to run it and to settle it. */
export type ClaimedJob = Pick<
  Job,
  | ("id" | "command" | "cwd" | "env" | "timeoutMs")
  | ("attempts" | "maxRetries" | "runAt" | keyof Backoff)
>;

export interface Claim {
  lease: Lease;
  job: ClaimedJob;
  executor: number;
}

export interface TurnResult {
  /** Leases whose settlement was refused, because they had gone to somebody else. */
  refused: Lease[];
  claimed: Claim[];
}

/** Whether there is something to do, as seen from a worker without any. */
export interface Outlook {
  /** A job can be claimed at this moment. */
  claimable: boolean;
  /** When the next waiting job is due, epoch milliseconds. */
  nextDueAt: number | null;
  /** Jobs that will still run by themselves, or are running. */
  unfinished: number;
}

/** An attempt with the number under which its output is kept. */
export type AttemptRecord = Attempt & { seq: number };

/**
 * Where jobs are kept. Every method is one transaction: it happens whole or not at all, and many
 * processes may call it at the same time. Instants are epoch milliseconds and come from the caller.
 * With the setting durability at full, what a method has written survives a power cut, except that of
 * `turn`, which does so after the next write by any other method.
 * A store that is busy for too long, full, damaged or gone throws a UserError that says so.
 */
export interface Store extends Disposable {
  // Jobs

  /** Adds all jobs or none. They are durable when it resolves. A known id throws a UserError that names it. */
  enqueue(jobs: readonly NewJob[], now: number, onProgress?: (done: number) => void): Promise<void>;
  /** The job with this id, or the only one whose id begins with it (4 characters or more). Throws a UserError. */
  find(idOrPrefix: string): Promise<Job>;
  /** The newest `limit` jobs that match, in order of arrival. */
  list(filter: JobFilter, limit: number): Promise<JobPage>;
  /** Counts without reading the jobs, however many there are. */
  counts(): Promise<JobCounts>;
  /** A job's attempts in the order they were made. */
  attempts(jobId: string): Promise<AttemptRecord[]>;
  /** A page of an attempt's kept output in the order it came, from place `from` on. Empty after the last one. */
  output(attempt: number, from: number): Promise<OutputChunk[]>;
  /** Gives dead jobs a new start: pending, no attempts used. Throws, changing nothing, if one is not dead. Returns their ids. */
  retryDead(ids: readonly string[] | "all", now: number): Promise<string[]>;
  /** Deletes dead jobs with their history. Throws, changing nothing, if one is not dead. Returns their ids. */
  purgeDead(ids: readonly string[] | "all"): Promise<string[]>;
  /** Deletes at most `limit` jobs that were completed or cancelled before `before`. Returns how many. */
  prune(before: number, limit: number): Promise<number>;

  // Settings

  /** All settings, those never set at their initial values. */
  settings(): Promise<Settings>;
  /** Sets a setting for every job and worker from now on; undefined puts it back to its initial value. */
  changeSetting<N extends SettingName>(name: N, value: Settings[N] | undefined): Promise<void>;

  // Worker processes

  /** Adds a worker process, or brings it back if it was taken for dead. */
  register(worker: NewWorker, now: number): Promise<void>;
  /** A sign of life that renews all leases of the worker process, for `leaseMs`. False if it is not known any more. */
  renew(worker: string, leaseMs: number, now: number): Promise<boolean>;
  /** Forgets a worker process. */
  deregister(worker: string): Promise<void>;
  workers(): Promise<Worker[]>;
  /** Asks every worker process to stop. A forced request is never weakened. */
  requestStop(request: StopRequest): Promise<void>;

  // Attempts

  /** Every job that is being worked on. */
  leases(): Promise<HeldLease[]>;
  /**
   * Stores output, settles what ended, and claims one job for each idle executor: the highest priority
   * first, then the one due first, then the one that came first. What no longer carries the job's
   * lease token changes nothing; settlements that came too late are reported.
   */
  turn(turn: Turn, now: number): Promise<TurnResult>;
  outlook(now: number): Promise<Outlook>;

  /** A number that changes when another connection has written. Costs next to nothing. */
  changes(): number;
  /** Throws a UserError if the store is no longer the one that was opened: deleted, or replaced. */
  verify(): void;
}
