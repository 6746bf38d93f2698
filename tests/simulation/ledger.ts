import type { Statement } from "@db/sqlite";
import { type AttemptOutcome, isFinal, type JobState, type NewJob } from "../../src/job.ts";
import type { By, Claim, Enqueued, TurnResult } from "../../src/store/store.ts";
import type { ExecutionRecord } from "./command_runner.ts";
import type { FaultyDatabase } from "./faulty_database.ts";
import type { Call, Caller } from "./store_door.ts";
import type { WorkerProcess } from "./worker_process.ts";

/** A row of the table of jobs, as far as anything depends on it. */
export interface JobRow {
  seq: number;
  id: string;
  state: JobState;
  queue: string;
  attempts: number;
  runAt: number;
  ready: number | null;
  token: string | null;
  cancel: string | null;
  finishedAt: number | null;
  workerId: string | null;
}

/** How another job has to end; of some it depends on the order within one call whether they still have to. */
export type Need = "completed" | "ended" | "unsure";

/** What the store has promised of a job, and what has been seen of it. */
export interface JobRecord {
  readonly spec: NewJob;
  /** Somebody has cancelled it, and nobody has retried it since. */
  isCancelled: boolean;
  /** It was due when it was enqueued or retried, and nobody has claimed it since. */
  isDue: boolean;
  /** How many of its attempts count, since somebody has given it a new start. */
  counted: number;
  /** What it still waits for. */
  readonly needs: Map<string, Need>;
  /** Something that it waited for has ended in another way than it should have. */
  isDoomed: boolean;
  /** The attempts made of it, the last one last. */
  readonly claims: ClaimRecord[];
}

/** One attempt, by whoever claimed it. */
export interface ClaimRecord {
  readonly token: string;
  readonly job: JobRecord;
  /** Its number in the table of attempts. */
  readonly seq: number;
  readonly by: WorkerProcess;
  /** In virtual time. */
  readonly at: number;
  /** The job was due from the start. */
  readonly wasDue: boolean;
  readonly executions: ExecutionRecord[];
  outcome: AttemptOutcome | null;
  exitCode: number | null;
  settledBy: Caller | null;
  /** The thread that ran it has failed. */
  isThreadLost: boolean;
}

/** A call with what it has changed. */
export interface Write extends Call {
  readonly ledger: Ledger;
  readonly before: ReadonlyMap<string, JobRow>;
  readonly after: ReadonlyMap<string, JobRow>;
  readonly changes: { id: string; before: JobRow | undefined; after: JobRow | undefined }[];
  readonly claimed: ClaimRecord[];
  /** The attempts that were settled by it. */
  readonly settled: ClaimRecord[];
}

interface OpenAttempt {
  seq: number;
  job: number;
  attempt: number;
  workerId: string;
}

/** What the simulation knows of everything that was promised and done, beside what the store says. */
export class Ledger {
  readonly jobs = new Map<string, JobRecord>();
  readonly claims = new Map<string, ClaimRecord>();
  rows: ReadonlyMap<string, JobRow> = new Map();
  openAttempts: OpenAttempt[] = [];
  /** Jobs that somebody has deleted, or that were pruned. */
  readonly deleted = new Set<string>();
  readonly #open = new Map<number, ClaimRecord>();
  readonly #select: Record<
    "jobs" | "open" | "attempt" | "counts" | "queues" | "output" | "workers",
    Statement
  >;

  constructor(database: FaultyDatabase) {
    const prepare = (sql: string) => database.prepareSafely(sql);
    this.#select = {
      jobs: prepare(`select seq, id, state, queue, attempts, run_at as runAt, ready,
        lease_token as token, cancel, finished_at as finishedAt, worker_id as workerId from jobs`),
      open: prepare(`select seq, job, attempt, worker_id as workerId from attempts
        where outcome is null`),
      attempt: prepare("select outcome, exit_code as exitCode from attempts where seq = ?"),
      counts: prepare("select queue, state, jobs from job_counts where jobs <> 0"),
      queues: prepare("select name, paused_at, max_running from queues"),
      workers: prepare("select id from workers"),
      output: prepare(`select attempt, sum(length(bytes)) from output group by attempt`),
    };
  }

  /** Takes note of a call. */
  learn(call: Call): Write {
    const before = this.rows;
    const rows = this.#select.jobs.all() as JobRow[];
    const after = this.rows = new Map(rows.map((row) => [row.id, row]));
    const claimed: ClaimRecord[] = [];
    if (call.error === undefined) this.#learnResult(call, claimed);
    const changes = changesBetween(before, after);
    if (call.error === undefined) this.#learnEnds(changes, before);
    this.openAttempts = this.#select.open.all() as OpenAttempt[];
    const settled = this.#learnSettled(call.by, claimed);
    return { ...call, ledger: this, before, after, changes, claimed, settled };
  }

  /** The counters, by queue and state. */
  counters(): Map<string, number> {
    const rows = this.#select.counts.values<[string, string, number]>();
    return new Map(rows.map(([queue, state, jobs]) => [`${queue} ${state}`, jobs]));
  }

  queues(): Map<string, { isPaused: boolean; maxRunning: number | null }> {
    const rows = this.#select.queues.values<[string, number | null, number | null]>();
    return new Map(
      rows.map((
        [name, pausedAt, maxRunning],
      ) => [name, { isPaused: pausedAt !== null, maxRunning }]),
    );
  }

  /** The ids of the worker processes that are known. */
  workers(): Set<string> {
    return new Set(this.#select.workers.values<[string]>().map(([id]) => id));
  }

  /** How many bytes are kept of each attempt's output, by its number. */
  output(): Map<number, number> {
    return new Map(this.#select.output.values<[number, number]>());
  }

  #learnResult({ method, args, result, by }: Call, claimed: ClaimRecord[]) {
    switch (method) {
      case "enqueue":
        return this.#learnEnqueued(args[0] as NewJob[], args[1] as By, result as Enqueued[]);
      case "cancel":
        for (const ids of Object.values(result as Record<string, string[]>)) {
          for (const id of ids) this.jobs.get(id)!.isCancelled = true;
        }
        return;
      case "retry":
        for (const id of result as string[]) {
          const job = this.jobs.get(id)!;
          job.isCancelled = job.isDoomed = false;
          job.isDue = true;
          job.counted = 0;
          // It waits again for what is unfinished, such as what was retried with it; for nothing else.
          for (const need of job.needs.keys()) {
            if (isFinal(this.rows.get(need)?.state ?? "cancelled")) job.needs.delete(need);
          }
        }
        return;
      case "remove":
        for (const id of result as string[]) this.deleted.add(id);
        return;
      case "turn":
        for (const claim of (result as TurnResult).claimed) {
          claimed.push(this.#learnClaim(claim, by as WorkerProcess));
        }
    }
  }

  #learnEnqueued(specs: readonly NewJob[], { now }: By, results: readonly Enqueued[]) {
    specs.forEach((spec, i) => {
      if (!results[i]!.added) return;
      const needs = new Map<string, Need>();
      for (const { id, anyEnd } of spec.after) {
        needs.set(id, anyEnd && needs.get(id) !== "completed" ? "ended" : "completed");
      }
      const none = { isCancelled: false, counted: 0, isDoomed: false };
      const isDue = spec.runAt === null || spec.runAt <= now;
      this.jobs.set(spec.id, { spec, ...none, isDue, needs, claims: [] });
      for (const id of needs.keys()) {
        const need = this.rows.get(id);
        if (need) this.#learnEnd(id, need.state, new Map());
      }
    });
  }

  #learnClaim({ lease, job: { id } }: Claim, by: WorkerProcess): ClaimRecord {
    const job = this.jobs.get(id)!;
    const unknown = { outcome: null, exitCode: null, settledBy: null };
    const usual = { isThreadLost: false };
    const { token, attempt: seq } = lease;
    const now = { at: by.time.now, wasDue: job.isDue };
    const claim: ClaimRecord = {
      token,
      job,
      seq,
      by,
      ...now,
      executions: [],
      ...unknown,
      ...usual,
    };
    this.claims.set(token, claim);
    this.#open.set(seq, claim);
    job.claims.push(claim);
    job.isDue = false;
    return claim;
  }

  #learnSettled(settledBy: Caller, claimed: readonly ClaimRecord[]): ClaimRecord[] {
    const open = new Set(this.openAttempts.map(({ seq }) => seq));
    const settled: ClaimRecord[] = [];
    for (const [seq, claim] of this.#open) {
      if (open.has(seq) || claimed.includes(claim)) continue;
      this.#open.delete(seq);
      const row = this.#select.attempt.get(seq) as
        | Pick<ClaimRecord, "outcome" | "exitCode">
        | undefined;
      if (!row) continue; // deleted with its job
      Object.assign(claim, { settledBy, ...row });
      if (claim.outcome !== "interrupted") claim.job.counted++;
      settled.push(claim);
    }
    return settled;
  }

  #learnEnds(changes: Write["changes"], before: ReadonlyMap<string, JobRow>) {
    for (const { id, before: was, after: is } of changes) {
      if (is?.state === was?.state) continue;
      if (!is) this.deleted.add(id);
      else if (is.state === "cancelled") this.jobs.get(id)!.isCancelled = true;
      if (!is || isFinal(is.state)) this.#learnEnd(id, is?.state ?? "deleted", before);
    }
  }

  /** What a job's end means to those that wait for it. */
  #learnEnd(id: string, end: JobState | "deleted", before: ReadonlyMap<string, JobRow>) {
    if (end !== "deleted" && !isFinal(end)) return;
    for (const job of this.jobs.values()) {
      const { spec, needs } = job;
      const need = needs.get(id);
      if (need === undefined || (before.get(spec.id)?.state ?? "blocked") !== "blocked") continue;
      if (need === "completed" && end !== "completed") job.isDoomed = true;
      else if (this.rows.get(spec.id)?.state === "cancelled") needs.set(id, "unsure");
      else needs.delete(id);
    }
  }
}

function changesBetween(
  before: ReadonlyMap<string, JobRow>,
  after: ReadonlyMap<string, JobRow>,
): Write["changes"] {
  const changes: Write["changes"] = [];
  for (const [id, row] of after) {
    const was = before.get(id);
    if (!was || !isSame(was, row)) changes.push({ id, before: was, after: row });
  }
  for (const [id, row] of before) {
    if (!after.has(id)) changes.push({ id, before: row, after: undefined });
  }
  return changes;
}

function isSame(one: JobRow, other: JobRow): boolean {
  return one.state === other.state && one.attempts === other.attempts &&
    one.token === other.token && one.runAt === other.runAt && one.ready === other.ready &&
    one.cancel === other.cancel && one.finishedAt === other.finishedAt &&
    one.workerId === other.workerId && one.seq === other.seq;
}
