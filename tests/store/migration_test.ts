import { Database } from "@db/sqlite";
import { assertEquals } from "@std/assert";
import { JOB_STATES, type JobState } from "../../src/job.ts";
import { SQLITE_MIGRATIONS } from "../../src/store/migrations.ts";
import { openStore, openStoreIfAny, SCHEMA_VERSION } from "../../src/store/open.ts";
import { WHOLE_STORE } from "../../src/store/store.ts";
import { by, claim, end, newJob, tempFolder } from "../helpers/store.ts";
import { chunk, DONE, jobIds, statesOf } from "./rules.ts";

const NOW = Date.UTC(2030, 0, 1);
const APPLICATION_ID = 0x7163746c;

const OUTCOMES: Partial<Record<JobState, string>> = {
  ...{ completed: "completed", failed: "failed", dead: "timed_out", cancelled: "cancelled" },
};

/** Makes a store as the first release left it: a job in each of its states, named after it, with history. */
function makeFirst(path: string) {
  const db = new Database(path, { int64: true });
  db.exec("pragma auto_vacuum = incremental; pragma journal_mode = wal");
  db.exec(SQLITE_MIGRATIONS[0]!);
  const states = JOB_STATES.filter((state) => state !== "blocked");
  states.forEach((state, i) => {
    const ended = state === "completed" || state === "dead" || state === "cancelled";
    const waits = state === "pending" || state === "failed";
    const runs = state === "processing";
    db.prepare(`
      insert into jobs (seq, id, command, state, queue, priority, attempts, max_retries, backoff_base,
        backoff_max_ms, backoff_jitter, timeout_ms, cwd, env, tags, run_at, created_at, updated_at,
        started_at, finished_at, exit_code, signal, last_error, worker_id, lease_token, ready)
      values (?, ?, ?, ?, 'default', 0, ?, 4, 1.5, 60000, 0.25, ?, '/srv/ü', '{"A":"1 ü"}', '["t"]',
        ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`).run(
      ...[10 + i, state, `echo '${state}'`, state, state === "pending" ? 0 : 1],
      ...[state === "dead" ? 500 : null, NOW + i, NOW, NOW + i],
      ...[state === "pending" ? null : NOW + i, ended ? NOW + i : null],
      ...[state === "failed" ? 7 : null, state === "dead" ? "SIGKILL" : null],
      ...[waits || ended ? `why ${state}` : null, state === "pending" ? null : "w-1"],
      ...[runs ? "token" : null, waits ? (state === "pending" ? 1 : 0) : null],
    );
    db.prepare("insert into job_counts values ('default', ?, 1)").run(state);
    if (state === "pending") return;
    db.prepare(`
      insert into attempts (seq, job, attempt, outcome, worker_id, pid, process_started_at, started_at,
        finished_at, exit_code, error) values (?, ?, 1, ?, 'w-1', 77, '99', ?, ?, ?, ?)`).run(
      ...[100 + i, 10 + i, OUTCOMES[state] ?? null, NOW + i, runs ? null : NOW + i],
      ...[state === "failed" ? 7 : null, runs ? null : `why ${state}`],
    );
    const output = db.prepare(`
      insert into output (attempt, start, is_stderr, bytes) values (?, ?, ?, ?)`);
    output.run(100 + i, 0, 0, chunk(0, `out ${state}`).bytes);
    output.run(100 + i, 99, 1, chunk(0, "err").bytes);
  });
  db.exec(`
    insert into workers values ('w', 'here', 'boot', 5, '99', 2, 30000, 1, 2, 3, 'graceful');
    insert into settings values ('max_retries', '9');
    pragma application_id = ${APPLICATION_ID};
    pragma user_version = 1`);
  db.close();
}

Deno.test("failure 23: a store of the first release opens with every job as it was", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  makeFirst(path);
  using store = await openStore(path);
  const { jobs } = await store.list({}, 100);
  assertEquals(await statesOf(store), Object.fromEntries(jobs.map(({ id }) => [id, id])));
  const common = {
    ...{ queue: "default", priority: 0, maxRetries: 4, backoffBase: 1.5, backoffMaxMs: 60_000 },
    ...{ backoffJitter: 0.25, cwd: "/srv/ü", env: { A: "1 ü" }, tags: ["t"], createdAt: NOW },
    ...{ okCodes: [], fatalCodes: [], snoozeMs: null, snoozes: 0, key: null, schedule: null },
  };
  const nothing = {
    ...{ timeoutMs: null, finishedAt: null, exitCode: null, signal: null, lastError: null },
  };
  assertEquals(jobs, [
    {
      ...{ ...common, ...nothing, id: "pending", state: "pending", command: "echo 'pending'" },
      ...{ attempts: 0, runAt: NOW, updatedAt: NOW, startedAt: null, workerId: null },
      lastError: "why pending",
    },
    {
      ...{ ...common, ...nothing, id: "processing", state: "processing" },
      ...{ command: "echo 'processing'", attempts: 1, runAt: NOW + 1, updatedAt: NOW + 1 },
      ...{ startedAt: NOW + 1, workerId: "w-1" },
    },
    {
      ...{ ...common, ...nothing, id: "completed", state: "completed" },
      ...{ command: "echo 'completed'", attempts: 1, runAt: NOW + 2, updatedAt: NOW + 2 },
      ...{ startedAt: NOW + 2, finishedAt: NOW + 2, lastError: "why completed", workerId: "w-1" },
    },
    {
      ...{ ...common, ...nothing, id: "failed", state: "failed", command: "echo 'failed'" },
      ...{ attempts: 1, runAt: NOW + 3, updatedAt: NOW + 3, startedAt: NOW + 3, exitCode: 7 },
      ...{ lastError: "why failed", workerId: "w-1" },
    },
    {
      ...{ ...common, ...nothing, id: "dead", state: "dead", command: "echo 'dead'" },
      ...{ timeoutMs: 500, attempts: 1, runAt: NOW + 4, updatedAt: NOW + 4, startedAt: NOW + 4 },
      ...{ finishedAt: NOW + 4, signal: "SIGKILL", lastError: "why dead", workerId: "w-1" },
    },
    {
      ...{ ...common, ...nothing, id: "cancelled", state: "cancelled" },
      ...{ command: "echo 'cancelled'", attempts: 1, runAt: NOW + 5, updatedAt: NOW + 5 },
      ...{ startedAt: NOW + 5, finishedAt: NOW + 5, lastError: "why cancelled", workerId: "w-1" },
    },
  ]);
});

Deno.test("failure 23: a store of the first release keeps its history, counts, workers and settings", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  makeFirst(path);
  using store = await openStoreIfAny(path);
  for (const [state, outcome] of Object.entries({ ...OUTCOMES, processing: null })) {
    const [attempt, ...others] = await store.attempts(state);
    assertEquals(others, []);
    assertEquals([attempt!.outcome, attempt!.workerId], [outcome, "w-1"]);
    assertEquals(await store.output(attempt!.seq, 0), [
      chunk(0, `out ${state}`),
      chunk(99, "err", "stderr"),
    ]);
  }
  const each = Object.fromEntries(JOB_STATES.map((state) => [state, state === "blocked" ? 0 : 1]));
  assertEquals(await store.counts(), each);
  assertEquals((await store.queues()).map(({ name, jobs }) => [name, jobs]), [["default", each]]);
  const [worker] = await store.workers();
  assertEquals([worker!.id, worker!.queues, worker!.beat, worker!.stop], [
    "w",
    null,
    3,
    "graceful",
  ]);
  assertEquals((await store.settings()).max_retries, 9);
  const [lease] = await store.leases();
  assertEquals(lease!.lease, { job: 11, attempt: 101, token: "token" });
  assertEquals(lease!.process, { pid: 77, startedAt: "99" });
  assertEquals(await store.events(0, 100), []);
});

Deno.test("failure 23: the jobs of a store of the first release go on where they were", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  makeFirst(path);
  using store = await openStore(path);
  const [held] = await store.leases();
  assertEquals((await end(store, held!, DONE, NOW + 9)).refused, []);
  assertEquals(jobIds(await claim(store, { now: NOW + 1, idle: 9 })), ["pending"]);
  assertEquals(jobIds(await claim(store, { now: NOW + 3, idle: 9 })), ["failed"]);
  assertEquals(await store.retry({ filter: {} }, ["dead"], by(NOW + 9)), ["dead"]);
  assertEquals(await store.remove({ filter: {} }, ["completed"], by(NOW + 9)), [
    ...["processing", "completed"],
  ]);
  await store.enqueue([newJob({ id: "new", after: [{ id: "dead", anyEnd: false }] })], by(NOW));
  const { processing, pending, blocked, cancelled } = await store.counts();
  assertEquals([processing, pending, blocked, cancelled], [2, 1, 1, 1]);
  assertEquals((await store.outlook(WHOLE_STORE, NOW + 9)).unfinished, 3);
});

Deno.test("failure 23: a store of the first release ends up like one that was made today", async () => {
  using folder = tempFolder();
  makeFirst(folder.file("old.db"));
  const looks = await Promise.all(["old.db", "new.db"].map(async (name) => {
    (await openStore(folder.file(name)))[Symbol.dispose]();
    const db = new Database(folder.file(name), { int64: true });
    const values = (sql: string) => db.prepare(sql).values();
    const look = {
      schema: values("select type, name, sql from sqlite_schema order by type, name"),
      version: values("pragma user_version"),
      application: values("pragma application_id"),
      vacuum: values("pragma auto_vacuum"),
      integrity: values("pragma integrity_check"),
    };
    db.close();
    return look;
  }));
  assertEquals(looks[0], looks[1]);
  assertEquals(looks[0]!.integrity, [["ok"]]);
  assertEquals(looks[0]!.version, [[SCHEMA_VERSION]]);
  assertEquals(looks[0]!.application, [[APPLICATION_ID]]);
});

Deno.test("failure 23: several that open a store of the first release at once all get it up to date", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  makeFirst(path);
  const stores = await Promise.all(Array.from({ length: 6 }, () => openStore(path)));
  await Promise.all(stores.map((store) => store.enqueue([newJob()], by(NOW))));
  for (const store of stores) assertEquals((await store.counts()).pending, 7);
  for (const store of stores) store[Symbol.dispose]();
});
