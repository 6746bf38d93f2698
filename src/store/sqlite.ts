import type { Database, Statement } from "@db/sqlite";
import { badRequest, operationFailed, quote } from "../errors.ts";
import { type Job, JOB_STATES, type NewJob } from "../job.ts";
import { type SettingName, type Settings, settingsFrom, writeSetting } from "../settings.ts";
import { explained } from "./sqlite_errors.ts";
import { JOB_COLUMNS as JOB, type JobRow, type Sql, takeTurn, toJob } from "./sqlite_turn.ts";
import type {
  AttemptRecord,
  HeldLease,
  JobCounts,
  JobFilter,
  JobPage,
  Lease,
  NewWorker,
  Outlook,
  OutputChunk,
  StopRequest,
  Store,
  Turn,
  Worker,
} from "./store.ts";

// Columns under the names of the fields they become.
const ATTEMPT = `seq, attempt, outcome, worker_id as workerId, started_at as startedAt,
  finished_at as finishedAt, exit_code as exitCode, signal, error`;
const WORKER = `id, host, machine, pid, process_started_at as processStartedAt, count,
  lease_ms as leaseMs, started_at as startedAt, heartbeat_at as heartbeatAt, beat, stop`;

const PAGES_GIVEN_BACK = 500;

/** What a store needs of the file it is in. */
export interface StoreFile {
  path: string;
  /** Throws a UserError if the file at `path` is not the one that was opened. */
  verify(): void;
  /** Wakes idle workers. */
  ring(): void;
}

/** A store in one SQLite file. Made by `openStore`, which knows the file to be ours and up to date. */
export class SqliteStore implements Store {
  readonly #db: Database;
  readonly #file: StoreFile;
  readonly #statements = new Map<string, Statement>();
  // True until the settings are read: they cannot ask for more.
  #durable = true;
  readonly #immediately: (write: () => unknown) => unknown;

  constructor(db: Database, file: StoreFile) {
    this.#db = db;
    this.#immediately = db.transaction((write: () => unknown) => write()).immediate;
    this.#file = file;
  }

  [Symbol.dispose]() {
    for (const statement of this.#statements.values()) statement.finalize();
    this.#db.close();
  }

  enqueue(jobs: readonly NewJob[], now: number, onProgress?: (done: number) => void) {
    return this.#writeAndRing("enqueue", () => {
      const insert = this.#sql(`
        insert into jobs (id, command, state, max_retries, backoff_base, backoff_max_ms,
          backoff_jitter, timeout_ms, cwd, env, run_at, created_at, updated_at, ready)
        values (?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
        on conflict (id) do nothing`);
      let done = 0;
      for (const job of jobs) {
        const env = JSON.stringify(job.env);
        const inserted = insert.run(
          ...[job.id, job.command, job.maxRetries, job.backoffBase, job.backoffMaxMs],
          ...[job.backoffJitter, job.timeoutMs, job.cwd, env, now, now, now],
        );
        if (inserted === 0) {
          throw operationFailed(`Cannot enqueue job ${quote(job.id)}: a job with this id exists`);
        }
        if (++done % 1000 === 0) onProgress?.(done);
      }
      this.#sql(`
        insert into job_counts values ('default', 'pending', ?)
        on conflict do update set jobs = jobs + excluded.jobs`).run(jobs.length);
    });
  }

  find(idOrPrefix: string) {
    return this.#read("find a job", () => {
      const exact = this.#sql(`select ${JOB} from jobs where id = ?`).get(idOrPrefix) as JobRow;
      if (exact) return toJob(exact);
      // "{" follows "z", the last character that an id can have.
      const rows = idOrPrefix.length < 4 ? [] : this.#sql(
        `select ${JOB} from jobs where id >= ? and id < ? || '{' order by id limit 3`,
      ).all(idOrPrefix, idOrPrefix) as JobRow[];
      if (rows.length > 1) throw ambiguous(idOrPrefix, rows.map((row) => row.id));
      if (rows.length === 0) throw operationFailed(`No job ${quote(idOrPrefix)}`);
      return toJob(rows[0]!);
    });
  }

  list(filter: JobFilter, limit: number) {
    return this.#read("list jobs", (): JobPage => {
      const wheres: string[] = [];
      const values: string[] = [];
      const restrict = (where: string, value: string | undefined) => {
        if (value === undefined) return;
        wheres.push(where);
        values.push(value);
      };
      restrict("state = ?", filter.state);
      restrict("queue = ?", filter.queue);
      restrict("exists (select 1 from json_each(tags) where value = ?)", filter.tag);
      restrict("instr(lower(id || char(10) || command), lower(?)) > 0", filter.search);
      const where = wheres.length > 0 ? `where ${wheres.join(" and ")}` : "";
      const rows = this.#sql(`select ${JOB} from jobs ${where} order by seq desc limit ?`)
        .all(...values, limit) as JobRow[];
      const matching = rows.length < limit
        ? rows.length
        : this.#countMatching(filter, where, values);
      return { jobs: rows.map(toJob).reverse(), older: matching - rows.length };
    });
  }

  #countMatching(filter: JobFilter, where: string, values: string[]): number {
    const counted = filter.tag === undefined && filter.search === undefined;
    const sql = counted
      ? `select coalesce(sum(jobs), 0) from job_counts ${where}`
      : `select count(*) from jobs ${where}`;
    return this.#number(sql, ...values);
  }

  counts() {
    return this.#read("count jobs", () => {
      const counts = Object.fromEntries(JOB_STATES.map((state) => [state, 0])) as JobCounts;
      const rows = this.#sql("select state, sum(jobs) as jobs from job_counts group by state")
        .all();
      for (const { state, jobs } of rows as { state: Job["state"]; jobs: number }[]) {
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

  retryDead(ids: readonly string[] | "all", now: number) {
    return this.#writeAndRing("retry dead jobs", () => {
      const dead = this.#dead(ids, "retry");
      const retry = this.#sql(`
        update jobs set state = 'pending', attempts = 0, run_at = ?, updated_at = ?,
          finished_at = null, ready = 1
        where id = ? and state = 'dead'`);
      for (const id of dead) retry.run(now, now, id);
      return dead;
    });
  }

  purgeDead(ids: readonly string[] | "all") {
    return this.#write("purge dead jobs", () => {
      const dead = this.#dead(ids, "purge");
      const purge = this.#sql("delete from jobs where id = ? and state = 'dead'");
      for (const id of dead) purge.run(id);
      return dead;
    });
  }

  #dead(ids: readonly string[] | "all", verb: string): string[] {
    if (ids === "all") {
      return this.#sql("select id from jobs where state = 'dead' order by seq").values<[string]>()
        .map(([id]) => id);
    }
    const stateOf = this.#sql("select state from jobs where id = ?");
    for (const id of ids) {
      const row = stateOf.get(id) as { state: string } | undefined;
      if (!row) throw operationFailed(`No job ${quote(id)}`);
      if (row.state !== "dead") {
        throw operationFailed(
          `Cannot ${verb} job ${quote(id)}: it is ${row.state}, not in the dead letter queue`,
        );
      }
    }
    return [...new Set(ids)];
  }

  prune(before: number, limit: number) {
    return this.#write("prune jobs", () => {
      const pruned = this.#sql(`
        delete from jobs where seq in (
          select seq from jobs
          where state in ('completed', 'cancelled') and finished_at < ? limit ?)`)
        .run(before, limit);
      // What they took goes back to the file system, in small steps too.
      if (pruned > 0) this.#db.exec(`pragma incremental_vacuum(${PAGES_GIVEN_BACK})`);
      return pruned;
    });
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
          started_at, heartbeat_at)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do nothing`).run(
        ...[worker.id, worker.host, worker.machine, worker.process.pid, worker.process.startedAt],
        ...[worker.count, worker.leaseMs, now, now],
      );
    });
  }

  renew(worker: string, leaseMs: number, now: number) {
    return this.#write(
      "renew leases",
      () =>
        this.#sql("update workers set beat = beat + 1, lease_ms = ?, heartbeat_at = ? where id = ?")
          .run(leaseMs, now, worker) > 0,
    );
  }

  deregister(worker: string) {
    return this.#write("forget a worker", () => {
      this.#sql("delete from workers where id = ?").run(worker);
    });
  }

  workers() {
    return this.#read("read the workers", () => {
      type Row = Omit<Worker, "process"> & { pid: number; processStartedAt: string };
      const rows = this.#sql(`select ${WORKER} from workers order by started_at, id`)
        .all() as Row[];
      return rows.map(({ pid, processStartedAt, ...worker }): Worker => ({
        ...worker,
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

  turn(turn: Turn, now: number) {
    return this.#writeSoon("write down what happened", () => takeTurn(this.#sql, turn, now));
  }

  outlook(now: number) {
    return this.#read("look for jobs", (): Outlook => {
      const row = this.#sql(`
        select exists (select 1 from jobs where ready = 1) as ready,
          (select min(run_at) from jobs where ready = 0) as nextDueAt,
          (select coalesce(sum(jobs), 0) from job_counts
            where state in ('pending', 'processing', 'failed')) as unfinished`)
        .get() as { ready: number; nextDueAt: number | null; unfinished: number };
      const { ready, nextDueAt, unfinished } = row;
      const due = nextDueAt !== null && nextDueAt <= now;
      return { claimable: ready === 1 || due, nextDueAt, unfinished };
    });
  }

  changes() {
    try {
      return this.#number("pragma data_version");
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

  #number(text: string, ...values: string[]): number {
    return this.#sql(text).values<[number]>(...values)[0]![0];
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
    this.#file.ring();
    return result;
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

  // Without an fsync of its own: the next durable write makes this durable too.
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
