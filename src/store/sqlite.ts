import type { Database, Statement } from "@db/sqlite";
import { badRequest, operationFailed, quote } from "../errors.ts";
import type { JobState, NewJob } from "../job.ts";
import { type SettingName, type Settings, settingsFrom, writeSetting } from "../settings.ts";
import type { Bell } from "./bell.ts";
import { examine, letGo } from "./sqlite_care.ts";
import { readOutlook } from "./sqlite_claim.ts";
import { cancelJobs, pruneJobs, removeJobs, retryJobs } from "./sqlite_control.ts";
import { enqueueJobs } from "./sqlite_enqueue.ts";
import { explained } from "./sqlite_errors.ts";
import { readEvents } from "./sqlite_events.ts";
import {
  addSchedule,
  changeQueue,
  noJobs,
  pauseSchedule,
  readQueues,
  readSchedules,
  removeSchedule,
  tick,
} from "./sqlite_queues.ts";
import { JOB_COLUMNS as JOB, type JobRow, number, type Sql, toJob } from "./sqlite_rows.ts";
import { condition, countMatching, matchingIds } from "./sqlite_selection.ts";
import { takeTurn } from "./sqlite_turn.ts";
import type {
  AttemptRecord,
  Blocker,
  By,
  HeldLease,
  JobFilter,
  JobPage,
  JobSelection,
  Lease,
  NewSchedule,
  NewWorker,
  OutputChunk,
  QueueChange,
  Schedule,
  Scope,
  StopRequest,
  Store,
  Turn,
  Worker,
} from "./store.ts";

// Columns under the names of the fields they become.
const ATTEMPT = `seq, attempt, outcome, worker_id as workerId, started_at as startedAt,
  finished_at as finishedAt, exit_code as exitCode, signal, error`;
const WORKER = `id, host, machine, pid, process_started_at as processStartedAt, count,
  lease_ms as leaseMs, started_at as startedAt, heartbeat_at as heartbeatAt, beat, stop, queues`;

const PAGES_GIVEN_BACK = 500;
const PAGES_KEPT_FREE = 1000;

/** What a store needs of the file it is in. */
export interface StoreFile {
  path: string;
  /** Throws a UserError if the file at `path` is not the one that was opened. */
  verify(): void;
  /** What a commit with synchronous = full does at its end, without the lock. Throws a UserError. */
  syncLog(): Promise<void>;
  /** Makes a store at `path` of what `write` puts into a file. Throws a UserError if there is one. */
  copyTo(path: string, write: (draft: string) => void): void;
  /** Rung when there may be work. */
  readonly wake: Pick<Bell, "ring">;
  /** Rung when something was written that people may be waiting for. */
  readonly news: Pick<Bell, "ring">;
}

/** A store in one SQLite file. Made by `openStore`, which knows the file to be ours and up to date. */
export class SqliteStore implements Store {
  readonly #db: Database;
  readonly #file: StoreFile;
  readonly #statements = new Map<string, Statement>();
  // True until the settings are read: they cannot ask for more.
  #durable = true;
  readonly #immediately: (write: () => unknown) => unknown;
  readonly #atOnce: (read: () => unknown) => unknown;

  constructor(db: Database, file: StoreFile) {
    this.#db = db;
    this.#immediately = db.transaction((write: () => unknown) => write()).immediate;
    this.#atOnce = db.transaction((read: () => unknown) => read()).deferred;
    this.#file = file;
  }

  [Symbol.dispose]() {
    for (const statement of this.#statements.values()) statement.finalize();
    this.#db.close();
  }

  enqueue(jobs: readonly NewJob[], by: By, onProgress?: (done: number) => void) {
    return this.#writeAndRing("enqueue", () => enqueueJobs(this.#sql, jobs, by, onProgress));
  }

  get(id: string) {
    return this.#read("find a job", () => {
      const row = this.#sql(`select ${JOB} from jobs where id = ?`).get(id) as JobRow | undefined;
      return row && toJob(row);
    });
  }

  find(idOrPrefix: string) {
    return this.#readWhole("find a job", () => {
      const ids = matchingIds(this.#sql, idOrPrefix);
      if (ids.length > 1) throw ambiguous(idOrPrefix, ids);
      if (ids.length === 0) throw operationFailed(`No job ${quote(idOrPrefix)}`);
      return toJob(this.#sql(`select ${JOB} from jobs where id = ?`).get(ids[0]!) as JobRow);
    });
  }

  list(filter: JobFilter, limit: number) {
    return this.#readWhole("list jobs", (): JobPage => {
      const { where, values } = condition(filter);
      const rows = this.#sql(`select ${JOB} from jobs ${where} order by seq desc limit ?`)
        .all(...values, limit) as JobRow[];
      const matching = rows.length < limit ? rows.length : countMatching(this.#sql, filter);
      return { jobs: rows.map(toJob).reverse(), older: matching - rows.length };
    });
  }

  unfinished() {
    return this.#read("list jobs", () =>
      this.#sql(`
        select id from jobs
        where state in ('blocked', 'pending', 'processing', 'failed') order by seq`)
        .values<[string]>().map(([id]) => id));
  }

  count(filter: JobFilter) {
    return this.#read("count jobs", () => countMatching(this.#sql, filter));
  }

  counts() {
    return this.#read("count jobs", () => {
      const counts = noJobs();
      const rows = this.#sql("select state, sum(jobs) as jobs from job_counts group by state")
        .all();
      for (const { state, jobs } of rows as { state: JobState; jobs: number }[]) {
        counts[state] = jobs;
      }
      return counts;
    });
  }

  attempts(jobId: string) {
    return this.#read("read attempts", () =>
      this.#sql(
        `select ${ATTEMPT} from attempts where job = (select seq from jobs where id = ?) order by seq`,
      ).all(jobId) as AttemptRecord[]);
  }

  output(attempt: number, from: number) {
    return this.#read("read output", () => {
      const rows = this.#sql(`
        select start, is_stderr as isStderr, bytes from output
        where attempt = ? and start >= ? order by start limit 64`).all(attempt, from) as {
        start: number;
        isStderr: number;
        bytes: Uint8Array;
      }[];
      return rows.map(({ isStderr, ...chunk }): OutputChunk => ({
        ...chunk,
        stream: isStderr ? "stderr" : "stdout",
      }));
    });
  }

  blockers(ids: readonly string[]) {
    return this.#read("read what jobs wait for", () =>
      this.#sql(`
        select jobs.id as job, needed.id as needs, needed.state
        from jobs join dependencies on dependencies.job = jobs.seq
          join jobs as needed on needed.seq = dependencies.needs
        where jobs.id in (select value from json_each(?)) and +jobs.state = 'blocked' and met = 0
        order by jobs.seq, needed.seq`).all(JSON.stringify(ids)) as Blocker[]);
  }

  cancel(which: JobSelection, how: { force: boolean }, by: By) {
    return this.#writeAndRing("cancel jobs", () => cancelJobs(this.#sql, which, how, by));
  }

  retry(which: JobSelection, states: readonly JobState[], by: By) {
    return this.#writeAndRing("retry jobs", () => retryJobs(this.#sql, which, states, by));
  }

  remove(which: JobSelection, states: readonly JobState[], by: By) {
    return this.#writeAndRing("delete jobs", () => {
      const removed = removeJobs(this.#sql, which, states, by);
      this.#giveBack();
      return removed;
    });
  }

  prune(before: number, limit: number) {
    return this.#write("prune jobs", () => {
      const isMore = pruneJobs(this.#sql, before, limit);
      return this.#giveBack() || isMore;
    });
  }

  // What was deleted goes back to the file system, in small steps and but for some pages that the next
  // jobs will need. True if there is more to give.
  #giveBack(): boolean {
    const free = number(this.#sql, "pragma freelist_count") - PAGES_KEPT_FREE;
    if (free <= 0) return false;
    this.#sql(`pragma incremental_vacuum(${PAGES_GIVEN_BACK})`).all();
    return free > PAGES_GIVEN_BACK;
  }

  events(seq: number, limit: number) {
    return this.#read("read the events", () => readEvents(this.#sql, seq, limit));
  }

  queues() {
    return this.#readWhole("read the queues", () => readQueues(this.#sql));
  }

  changeQueue(name: string, change: QueueChange, by: By) {
    return this.#writeAndRing("change a queue", () => changeQueue(this.#sql, name, change, by));
  }

  schedules() {
    return this.#read("read the schedules", () => readSchedules(this.#sql));
  }

  addSchedule(schedule: NewSchedule, by: By) {
    return this.#writeAndRing("add a schedule", () => addSchedule(this.#sql, schedule, by));
  }

  removeSchedule(name: string, by: By) {
    return this.#write("remove a schedule", () => removeSchedule(this.#sql, name, by));
  }

  pauseSchedule(name: string, change: { paused: boolean; nextAt: number | null }, by: By) {
    return this.#writeAndRing(
      "change a schedule",
      () => pauseSchedule(this.#sql, name, change, by),
    );
  }

  async tick(schedule: Schedule, next: Parameters<Store["tick"]>[1], by: By) {
    const doing = "make a scheduled job";
    const isMine = await this.#write(doing, () => tick(this.#sql, schedule, next, by));
    if (isMine) this.#ring();
    return isMine;
  }

  settings() {
    return this.#read("read the settings", () => {
      const stored = this.#sql("select name, value from settings").values<[string, string]>();
      const settings = settingsFrom(new Map(stored));
      this.#durable = settings.durability === "full";
      return settings;
    });
  }

  changeSetting<N extends SettingName>(name: N, value: Settings[N] | undefined) {
    return this.#writeAndRing("change a setting", () => {
      if (value === undefined) {
        this.#sql("delete from settings where name = ?").run(name);
      } else {
        this.#sql("insert or replace into settings values (?, ?)").run(
          name,
          writeSetting(name, value),
        );
      }
    });
  }

  register(worker: NewWorker, now: number) {
    return this.#write("register a worker", () => {
      this.#sql(`
        insert into workers (id, host, machine, pid, process_started_at, count, lease_ms,
          started_at, heartbeat_at, beat, queues)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do nothing`).run(
        ...[worker.id, worker.host, worker.machine, worker.process.pid, worker.process.startedAt],
        // Beats begin with the time, so that nobody comes back with one that was seen before.
        ...[worker.count, worker.leaseMs, now, now, now],
        worker.queues && JSON.stringify(worker.queues),
      );
    });
  }

  renew(worker: string, leaseMs: number, now: number) {
    const sql = "update workers set beat = beat + 1, lease_ms = ?, heartbeat_at = ? where id = ?";
    return this.#writeSoon("renew leases", () => this.#sql(sql).run(leaseMs, now, worker) > 0);
  }

  async sync() {
    if (this.#durable) await this.#file.syncLog();
  }

  async deregister(worker: string, beat?: number) {
    await this.#write("forget a worker", () => {
      this.#sql("delete from workers where id = ? and beat = coalesce(?, beat)")
        .run(worker, beat ?? null);
    });
    this.#file.news.ring();
  }

  workers() {
    return this.#read("read the workers", () => {
      type Row = Omit<Worker, "process" | "queues"> & {
        pid: number;
        processStartedAt: string;
        queues: string | null;
      };
      const rows = this.#sql(`select ${WORKER} from workers order by started_at, id`)
        .all() as Row[];
      return rows.map(({ pid, processStartedAt, queues, ...worker }): Worker => ({
        ...worker,
        queues: queues === null ? null : JSON.parse(queues),
        process: { pid, startedAt: processStartedAt },
      }));
    });
  }

  requestStop(request: StopRequest) {
    return this.#writeAndRing("stop the workers", () => {
      this.#sql("update workers set stop = ? where stop is null or stop <> 'force'").run(request);
    });
  }

  leases() {
    return this.#read("read the leases", () => {
      const rows = this.#sql(`
        select ${JOB}, jobs.seq as job, attempts.seq as attempt, lease_token as token,
          pid, process_started_at as processStartedAt
        from jobs join attempts on attempts.seq =
          (select max(seq) from attempts where attempts.job = jobs.seq)
        where state = 'processing'`).all() as (JobRow & Lease & {
        pid: number | null;
        processStartedAt: string | null;
      })[];
      return rows.map(({ job, attempt, token, pid, processStartedAt, ...row }): HeldLease => ({
        lease: { job, attempt, token },
        job: toJob(row),
        process: pid === null ? null : { pid, startedAt: processStartedAt! },
      }));
    });
  }

  async turn(turn: Turn, now: number) {
    const { othersMayRun, ...result } = await this.#writeSoon(
      "write down what happened",
      () => takeTurn(this.#sql, turn, now),
    );
    if (othersMayRun) this.#file.wake.ring();
    if (turn.settled.length + turn.output.length > 0) this.#file.news.ring();
    return result;
  }

  outlook(scope: Scope, now: number) {
    return this.#read("look for jobs", () => readOutlook(this.#sql, scope, now));
  }

  cancelRequests() {
    return this.#read("read the cancel requests", () => {
      const rows = this.#sql(`
        select lease_token, cancel from jobs where state = 'processing' and cancel is not null`)
        .values<[string, string]>();
      return rows.map(([token, how]) => ({ token, force: how === "force" }));
    });
  }

  examine() {
    return this.#readWhole("examine", () => examine(this.#sql));
  }

  backup(path: string) {
    return this.#read("copy what is", () => {
      this.#file.copyTo(path, (draft) => {
        this.#sql("vacuum into ?").run(draft);
        letGo(draft);
      });
    });
  }

  changes() {
    try {
      return number(this.#sql, "pragma data_version");
    } catch (error) {
      throw explained(error, { doing: "look at", path: this.#file.path });
    }
  }

  verify() {
    this.#file.verify();
  }

  // Kept for the life of the store: preparing costs more than most statements do.
  readonly #sql: Sql = (text) => {
    let statement = this.#statements.get(text);
    if (!statement) this.#statements.set(text, statement = this.#db.prepare(text));
    return statement;
  };

  /** Reads of one moment, where one statement does not do. */
  #readWhole<T>(doing: string, read: () => T): Promise<T> {
    return this.#read(doing, () => this.#atOnce(read) as T);
  }

  // deno-lint-ignore require-await -- asynchronous for the engines that are
  async #read<T>(doing: string, read: () => T): Promise<T> {
    try {
      return read();
    } catch (error) {
      throw explained(error, { doing: `${doing} in`, path: this.#file.path });
    }
  }

  async #writeAndRing<T>(doing: string, write: () => T): Promise<T> {
    const result = await this.#write(doing, write);
    this.#ring();
    return result;
  }

  #ring() {
    this.#file.wake.ring();
    this.#file.news.ring();
  }

  // With an fsync, unless the settings say otherwise.
  #write<T>(doing: string, write: () => T): Promise<T> {
    if (!this.#durable) return this.#writeSoon(doing, write);
    return this.#read(doing, () => {
      this.#db.exec("pragma synchronous = full");
      try {
        return this.#immediately(write) as T;
      } finally {
        this.#db.exec("pragma synchronous = normal");
      }
    });
  }

  // Without an fsync of its own: the next durable write, or `sync`, makes this durable too.
  // Immediate: a transaction that starts as a reader and then writes fails at once if another one writes.
  #writeSoon<T>(doing: string, write: () => T): Promise<T> {
    return this.#read(doing, () => this.#immediately(write) as T);
  }
}

function ambiguous(prefix: string, ids: string[]): Error {
  const some = ids.slice(0, 2).map(quote).join(", ");
  return badRequest(
    `Ambiguous job id ${quote(prefix)}: it begins ${some}${ids.length > 2 ? " and more" : ""}`,
  );
}
