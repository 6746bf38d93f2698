import type { Attempt, Job, JobState, NewJob, Settleable, Settlement } from "../job.ts";
import type { MissedPolicy } from "../schedule.ts";
import type { SettingName, Settings } from "../settings.ts";

/** The number of jobs in each state. */
export type JobCounts = Record<JobState, number>;

/** When something is done, epoch milliseconds, and by whom: a person, a worker, a schedule. */
export interface By {
  now: number;
  actor: string;
}

/** What became of a job that was to be added: with a key, an unfinished one may stand in for it. */
export interface Enqueued {
  id: string;
  state: JobState;
  added: boolean;
}

/** Which jobs `list` is asked for; what is left out restricts nothing. */
export interface JobFilter {
  state?: JobState;
  queue?: string;
  tag?: string;
  /** Part of the id or of the command, in upper or lower case. */
  search?: string;
  /** Ended before this instant, epoch milliseconds. */
  finishedBefore?: number;
}

/** Jobs named one by one, by their whole ids, or those that match a filter, at most `limit` of them. */
export type JobSelection =
  | { ids: readonly string[] }
  | { filter: JobFilter; limit?: number };

/** What `cancel` did: these were cancelled at once, those run and are being ended by their workers. */
export interface Cancelled {
  cancelled: string[];
  ending: string[];
}

/** What a blocked job still waits for. `job` is its id. */
export interface Blocker {
  job: string;
  needs: string;
  state: JobState;
}

/** A queue that has jobs, or that somebody has paused or limited. */
export interface Queue {
  name: string;
  pausedAt: number | null;
  pauseReason: string | null;
  /** How many of its jobs may run at a time, over all workers; null for any number. */
  maxRunning: number | null;
  jobs: JobCounts;
}

/** What may be changed about a queue; what is left out stays. */
export interface QueueChange {
  paused?: { reason: string | null } | null;
  maxRunning?: number | null;
}

export interface NewSchedule {
  name: string;
  cron: string;
  timeZone: string;
  missed: MissedPolicy;
  /** The request that becomes a job at each tick, as JSON. */
  request: string;
  nextAt: number | null;
}

export interface Schedule extends NewSchedule {
  createdAt: number;
  pausedAt: number | null;
  lastTick: number | null;
  /** The id of the job that the last tick made. */
  lastJob: string | null;
}

/** A transition of a job, or of a queue or schedule, for which `job` is null. */
export interface StoredEvent {
  seq: number;
  at: number;
  event: string;
  job: string | null;
  attempt: number | null;
  cause: string | null;
  actor: string;
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
  /** The queues that it serves; null for all. */
  queues: readonly string[] | null;
  leaseMs: number;
}

/** Whether a worker process takes jobs of a queue. */
export function serves({ queues }: Pick<NewWorker, "queues">, queue: string): boolean {
  return queues === null || queues.includes(queue);
}

export type StopRequest = "graceful" | "force";

export interface Worker extends NewWorker {
  startedAt: number;
  heartbeatAt: number;
  /** Counts renewals and turns, from no fixed number on: while it changes, the worker lives. */
  beat: number;
  stop: StopRequest | null;
}

/** A job that is being worked on, and by whom. */
export interface HeldLease {
  lease: Lease;
  job: Job;
  process: ProcessId | null;
}

/** The jobs that a worker process takes. */
export interface Scope {
  /** Only from these queues, the first ones first; null for all of them, in turns. */
  queues: readonly string[] | null;
  /** Only this job. */
  only: string | null;
}

export const WHOLE_STORE: Scope = { queues: null, only: null };

/** An attempt that has ended. */
export interface Ended {
  lease: Lease;
  job: Pick<Job, "id" | "attempts">;
  /** When it really began, epoch milliseconds; null if it is not known, or never did. */
  begunAt: number | null;
  endedAt: number;
  settlement: Settlement;
  /** What holds instead if somebody has asked for the job to be cancelled. */
  ifCancelled: Settlement;
}

/** An executor that may have a job, and the lease token that this job will carry. */
export interface Slot {
  executor: number;
  token: string;
}

/** What a worker process writes down in one go, and the executors that it wants jobs for. */
export interface Turn {
  worker: string;
  settled: readonly Ended[];
  output: readonly OutputBatch[];
  started: readonly { lease: Lease; process: ProcessId }[];
  idle: readonly Slot[];
  /**
   * Executors that will be idle in a moment. They get what is left over where only one queue has jobs, up
   * to the first job that has been tried before or may be tried only once: if this process dies, the
   * attempt counts all the same.
   */
  ahead: readonly Slot[];
  scope: Scope;
}

/** What a worker needs to know of a job to run it and to settle it. */
export type ClaimedJob =
  & Settleable
  & Pick<
    Job,
    "id" | "command" | "queue" | "cwd" | "env" | "timeoutMs"
  >;

export interface Claim {
  lease: Lease;
  job: ClaimedJob;
  executor: number;
}

export interface TurnResult {
  /** Leases whose settlement was refused, because they had gone to somebody else. */
  refused: Lease[];
  /** Leases of those that were settled as cancelled because somebody had asked for it. */
  cancelled: Lease[];
  claimed: Claim[];
  /** False if the worker process is not known any more: nothing was claimed. */
  known: boolean;
}

/** Whether there is something to do, as seen from a worker without any. */
export interface Outlook {
  /** A job can be claimed at this moment. */
  claimable: boolean;
  /** When the next waiting job is due, epoch milliseconds. */
  nextDueAt: number | null;
  /** Jobs in its scope and in no paused queue that will still run by themselves, or are running. */
  unfinished: number;
}

/** What an examination of the whole store has found. */
export interface Examination {
  /** The database engine with its version. */
  engine: string;
  schema: number;
  /** What is wrong with the file. */
  damage: string[];
  /** What the store says of itself that is not so. */
  contradictions: string[];
  /** When a job was last changed, epoch milliseconds. */
  newestAt: number | null;
}

/** An attempt with the number under which its output is kept. */
export type AttemptRecord = Attempt & { seq: number };

/**
 * Where jobs are kept. Every method is one transaction: it happens whole or not at all, and many
 * processes may call it at the same time. Instants are epoch milliseconds and come from the caller.
 * With the setting durability at full, what a method has written survives a power cut, except that of
 * `turn` and `renew`, which does so after the next `sync` or write by any other method.
 * A store that is busy for too long, full, damaged or gone throws a UserError that says so.
 */
export interface Store extends Disposable {
  // Jobs

  /**
   * Adds all jobs or none. They are durable when it resolves. Throws a RefusedJob: its
   * id exists, its key is taken, or it is to run after an unknown job or, by a detour, after itself.
   */
  enqueue(
    jobs: readonly NewJob[],
    by: By,
    onProgress?: (done: number) => void,
  ): Promise<Enqueued[]>;
  /** The job with exactly this id, if there is one. */
  get(id: string): Promise<Job | undefined>;
  /**
   * The job with this id, or the only one whose id begins with it (4 characters or more). Throws a
   * UserError.
   */
  find(idOrPrefix: string): Promise<Job>;
  /** The newest `limit` jobs that match, in order of arrival. */
  list(filter: JobFilter, limit: number): Promise<JobPage>;
  /** Counts without reading the jobs, however many there are. */
  counts(): Promise<JobCounts>;
  /** A job's attempts in the order they were made. */
  attempts(jobId: string): Promise<AttemptRecord[]>;
  /**
   * A page of an attempt's kept output in the order it came, from place `from` on. Empty after the
   * last one.
   */
  output(attempt: number, from: number): Promise<OutputChunk[]>;
  /** The ids of all jobs that have not ended, in order of arrival. */
  unfinished(): Promise<string[]>;
  /** How many jobs match. */
  count(filter: JobFilter): Promise<number>;
  /** What these jobs, by their ids, still wait for. */
  blockers(ids: readonly string[]): Promise<Blocker[]>;
  /**
   * Ends jobs for good. A running one is only marked: its worker ends it, and whatever comes of that
   * attempt, it never runs again. By id, throws, changing nothing, if one has ended already.
   */
  cancel(which: JobSelection, how: { force: boolean }, by: By): Promise<Cancelled>;
  /**
   * Gives failed, dead and cancelled jobs a new start, now: pending, or blocked by others that have not
   * ended yet and that they need to complete; no attempts used. By id, throws,
   * changing nothing, if one is none of these, or not one of `states`. Returns their ids.
   */
  retry(which: JobSelection, states: readonly JobState[], by: By): Promise<string[]>;
  /**
   * Deletes jobs with their history; what waits for their completion is cancelled. By id, throws,
   * changing nothing, if one is running, or not one of `states`. Returns their ids.
   */
  remove(which: JobSelection, states: readonly JobState[], by: By): Promise<string[]>;
  /**
   * Deletes at most `limit` jobs that were completed or cancelled before `before`, and as many events,
   * and gives some of their space back. True if there is more to be done.
   */
  prune(before: number, limit: number): Promise<boolean>;
  /** The next `limit` events after number `seq`, the oldest first. */
  events(seq: number, limit: number): Promise<StoredEvent[]>;

  // Queues and schedules

  /** By their names. */
  queues(): Promise<Queue[]>;
  changeQueue(name: string, change: QueueChange, by: By): Promise<void>;
  /** By their names. */
  schedules(): Promise<Schedule[]>;
  /** Throws a UserError if there is one with this name. */
  addSchedule(schedule: NewSchedule, by: By): Promise<void>;
  /** Throws a UserError if there is none. */
  removeSchedule(name: string, by: By): Promise<void>;
  /** Pauses a schedule, or resumes it with its next tick. Throws a UserError if there is none. */
  pauseSchedule(
    name: string,
    change: { paused: boolean; nextAt: number | null },
    by: By,
  ): Promise<void>;
  /**
   * Moves a schedule on from `nextAt` and adds the jobs of its ticks. False, changing nothing, if
   * somebody else has done so: a tick makes its jobs once, however many try.
   */
  tick(
    schedule: Schedule,
    next: { nextAt: number | null; lastTick: number | null; jobs: readonly NewJob[] },
    by: By,
  ): Promise<boolean>;

  // Settings

  /** All settings, those never set at their initial values. */
  settings(): Promise<Settings>;
  /** Sets a setting for every job and worker from now on; undefined puts it back to its initial value. */
  changeSetting<N extends SettingName>(name: N, value: Settings[N] | undefined): Promise<void>;

  // Worker processes

  /** Adds a worker process, or brings it back if it was taken for dead. */
  register(worker: NewWorker, now: number): Promise<void>;
  /**
   * A sign of life that renews all leases of the worker process, for `leaseMs`. False if it is not
   * known any more.
   */
  renew(worker: string, leaseMs: number, now: number): Promise<boolean>;
  /**
   * Resolves when what was committed before survives a power cut, with the setting durability at full.
   * It holds no lock meanwhile.
   */
  sync(): Promise<void>;
  /** Forgets a worker process; with `beat`, only if it has given no sign of life since. */
  deregister(worker: string, beat?: number): Promise<void>;
  workers(): Promise<Worker[]>;
  /** Asks every worker process to stop. A forced request is never weakened. */
  requestStop(request: StopRequest): Promise<void>;

  // Attempts

  /** Every job that is being worked on. */
  leases(): Promise<HeldLease[]>;
  /**
   * Stores output, settles what ended with what follows from it for other jobs, and claims one job
   * for each executor that may have one: of a queue the highest priority first (it grows with
   * waiting), then the one due first, then the one that came first; of several queues the one with
   * the highest priority, in turns where that is the same. Paused queues are left alone, and the
   * limit of a queue holds over all workers. Each turn is a sign of life, and only worker processes
   * that are known may claim. What no longer carries the job's lease token changes nothing;
   * settlements that came too late are reported.
   */
  turn(turn: Turn, now: number): Promise<TurnResult>;
  outlook(scope: Scope, now: number): Promise<Outlook>;
  /** The running jobs that somebody wants to be cancelled. */
  cancelRequests(): Promise<{ token: string; force: boolean }[]>;

  // Care

  /** Reads everything and looks for damage. */
  examine(): Promise<Examination>;
  /**
   * Writes a copy of this moment, durably, to a file that is not there yet, whatever others are
   * doing. Throws a UserError.
   */
  backup(path: string): Promise<void>;

  /** A number that changes when another connection has written. Costs next to nothing. */
  changes(): number;
  /** Throws a UserError if the store is no longer the one that was opened: deleted, or replaced. */
  verify(): void;
}
