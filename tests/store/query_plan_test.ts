import { Database, type Statement } from "@db/sqlite";
import { assert, assertEquals } from "@std/assert";
import { openStore } from "../../src/store/open.ts";
import { SqliteStore } from "../../src/store/sqlite.ts";
import { type Lease, type Schedule, type Store, WHOLE_STORE } from "../../src/store/store.ts";
import {
  by,
  claim,
  claimOne,
  end,
  newJob,
  newWorker,
  silentFile,
  tempFolder,
  turnOf,
} from "../helpers/store.ts";
import { MINUTE, NOW } from "./rules.ts";

/** A database that remembers what it was asked to prepare. */
class RecordingDatabase extends Database {
  readonly texts: string[] = [];

  override prepare<T extends object>(sql: string): Statement<T> {
    this.texts.push(sql);
    return super.prepare(sql);
  }
}

type Act = (store: Store) => Promise<unknown>;

/**
 * The plans of all statements that `act` makes the store prepare: steps such as `SEARCH jobs USING
 * INDEX …`. What has to be there already is made by `before`.
 */
async function plansOf(
  act: Act,
  before: Act = () => Promise.resolve(),
): Promise<Map<string, string[]>> {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  {
    using store = await openStore(path);
    await before(store);
  }
  const db = new RecordingDatabase(path, { int64: true });
  using store = new SqliteStore(db, silentFile(path));
  await act(store);
  const statements = db.texts.filter((text) => !/^\s*pragma/i.test(text));
  return new Map(statements.map((text) => {
    const steps = db.prepare<{ detail: string }>(`explain query plan ${text}`).all();
    // Older versions of SQLite do not see that an index covers its query.
    return [text, steps.map(({ detail }) => detail.replace("COVERING ", ""))];
  }));
}

const LEASE: Lease = { job: 1, attempt: 1, token: "t" };
const OUTPUT = {
  lease: LEASE,
  chunks: [{ start: 0, stream: "stdout" as const, bytes: new Uint8Array(1) }],
  discard: { from: 0, to: 1 },
};

async function runOneJob(store: Store) {
  await store.enqueue([newJob()], by(NOW));
  await end(store, await claimOne(store, NOW), { kind: "exited", code: 0 }, NOW);
}

async function runChain(store: Store) {
  const after = (anyEnd: boolean) => [{ id: "first", anyEnd }];
  await store.enqueue([
    newJob({ id: "first", maxRetries: 1 }),
    newJob({ id: "strict", after: after(false) }),
    newJob({ id: "any", after: after(true) }),
  ], by(NOW));
  await end(store, await claimOne(store, NOW), { kind: "exited", code: 1 }, NOW);
  assertEquals((await store.counts()).cancelled, 1);
}

async function replaceByKey(store: Store) {
  const job = () => newJob({ key: "k", ifExists: "replace" });
  await store.enqueue([job()], by(NOW));
  await store.enqueue([job()], by(NOW));
  assertEquals((await store.counts()).cancelled, 1);
}

async function cancelRunning(store: Store) {
  await store.enqueue([newJob({ id: "runs" })], by(NOW));
  const claimed = await claimOne(store, NOW);
  await store.cancel({ ids: ["runs"] }, { force: false }, by(NOW));
  assertEquals((await store.cancelRequests()).length, 1);
  await end(store, claimed, { kind: "interrupted" }, NOW);
  await store.retry({ ids: ["runs"] }, ["cancelled"], by(NOW));
  await store.remove({ ids: ["runs"] }, ["pending"], by(NOW));
}

const SCHEDULE: Schedule = {
  ...{ name: "s", cron: "* * * * *", timeZone: "UTC", missed: "one", request: "{}" },
  ...{ createdAt: NOW, pausedAt: null, nextAt: NOW, lastTick: null, lastJob: null },
};

async function tickOnce(store: Store) {
  await store.addSchedule(SCHEDULE, by(NOW));
  const next = { nextAt: NOW + MINUTE, lastTick: NOW, jobs: [newJob()] };
  assertEquals(await store.tick(SCHEDULE, next, by(NOW)), true);
}

/** What a store is asked for often, or with many jobs in it. */
const ACTS: Record<string, Act> = {
  "enqueue": (store) => store.enqueue([newJob()], by(0)),
  "find by id or prefix": (store) => store.find("nobody").catch(() => {}),
  "list by state": (store) => store.list({ state: "dead" }, 0),
  "counts": (store) => store.counts(),
  "attempts of a job": (store) => store.attempts("nobody"),
  "output of an attempt": (store) => store.output(1, 0),
  "retry of dead jobs": (store) => store.retry({ filter: { state: "dead" } }, ["dead"], by(0)),
  "retry of one job": (store) => store.retry({ ids: ["nobody"] }, ["dead"], by(0)).catch(() => {}),
  "deletion of old dead jobs": (store) =>
    store.remove({ filter: { state: "dead", finishedBefore: 5 }, limit: 9 }, ["dead"], by(0)),
  "cancel, retry and deletion of a job that runs": cancelRunning,
  "cancel of all jobs": (store) => store.cancel({ filter: {} }, { force: false }, by(0)),
  "retry of all jobs": (store) => store.retry({ filter: {} }, ["failed", "dead"], by(0)),
  "prune": (store) => store.prune(0, 10),
  "promotion and claim": runOneJob,
  "a claim of some queues": (store) =>
    store.turn(turnOf({ idle: IDLE, scope: { queues: ["a", "b"], only: null } }), 0),
  "a claim of one job": async (store) => {
    await store.enqueue([newJob({ id: "a" })], by(0));
    await store.turn(turnOf({ idle: IDLE, scope: { queues: null, only: "a" } }), 0);
  },
  "enqueue with a key": replaceByKey,
  "dependencies and what follows from an end": runChain,
  "what a job waits for": (store) => store.blockers(["a", "b"]),
  "events since": (store) => store.events(1000, 10),
  "queues and their counts": (store) => store.queues(),
  "a tick of a schedule": tickOnce,
  "storing of output": (store) => store.turn(turnOf({ output: [OUTPUT] }), 0),
  "recording of a process": (store) =>
    store.turn(turnOf({ started: [{ lease: LEASE, process: { pid: 1, startedAt: "1" } }] }), 0),
  "renewal": (store) => store.renew("nobody", 30_000, 0),
  "deregistration": (store) => store.deregister("nobody"),
  "leases": (store) => store.leases(),
  "outlook": (store) => store.outlook(WHOLE_STORE, 0),
  "outlook of one job": (store) => store.outlook({ queues: null, only: "a" }, 0),
  "cancel requests": (store) => store.cancelRequests(),
};

const IDLE = [{ executor: 1, token: "t" }];

// These hold only what is due, not due yet, about to be deleted, or waited for.
const PARTIAL = "(jobs_(claimable|not_due|expiring)|dependencies_unmet)";
const FULL_SCAN = new RegExp(
  `^SCAN (?:jobs|attempts|output|dependencies|needed|other)\\b(?! USING INDEX ${PARTIAL})`,
);

for (const [name, act] of Object.entries(ACTS)) {
  Deno.test(`no statement of ${name} reads all jobs, attempts, output or dependencies`, async () => {
    const plans = await plansOf(act);
    assert(plans.size > 0);
    for (const [text, plan] of plans) {
      assertEquals(plan.filter((step) => FULL_SCAN.test(step)), [], text);
    }
  });
}

Deno.test("a search for a text reads all jobs, and is seen to do so", async () => {
  const plans = await plansOf((store) => store.list({ search: "x" }, 0));
  assert([...plans.values()].flat().some((step) => FULL_SCAN.test(step)));
});

/** The plans of all statements of a claim of three jobs, of queues with and without a limit. */
function plansOfClaim() {
  const runAt = NOW + 1;
  return plansOf(
    async (store) => assertEquals((await claim(store, { now: runAt, idle: 3 })).length, 3),
    async (store) => {
      await store.changeQueue("a", { maxRunning: 5 }, by(NOW));
      await store.enqueue([newJob(), newJob({ queue: "a" }), newJob({ runAt })], by(NOW));
    },
  );
}

Deno.test("failure 31: a claim reads the claimable jobs of a queue in their order, without sorting them", async () => {
  const claims = [...await plansOfClaim()].filter(([text]) => /ready = 1 and queue/.test(text));
  const steps = claims.map(([, plan]) => plan);
  assertEquals(steps, [["SEARCH jobs USING INDEX jobs_claimable (queue=?)"]]);
});

Deno.test("failure 31: the promotion of jobs that became due reads those that are due, in their order", async () => {
  const promotions = [...await plansOfClaim()].filter(([text]) => /set ready = 1/.test(text));
  assertEquals(promotions.length, 1);
  const [, plan] = promotions[0]!;
  assert(plan.some((step) => step.includes("jobs_not_due (run_at<?)")), plan.join("\n"));
  assertEquals(plan.filter((step) => /TEMP B-TREE FOR ORDER BY/.test(step)), []);
});

Deno.test("failure 31: jobs that are not due yet are never met by a claim, whatever their priority", async () => {
  const touched = [...(await plansOfClaim()).values()].flat()
    .filter((step) => /\bjobs\b/.test(step));
  const allowed = [
    /^SEARCH jobs USING INDEX jobs_claimable \(queue=\?\)$/,
    /^SEARCH jobs USING INDEX jobs_not_due \(run_at<\?\)$/,
    /^SEARCH jobs USING INTEGER PRIMARY KEY \(rowid=\?\)$/,
  ];
  assert(touched.length > 0);
  assertEquals(touched.filter((step) => !allowed.some((each) => each.test(step))), []);
});

Deno.test("the key of a job is looked up among the unfinished ones", async () => {
  const lookups = [...await plansOf(replaceByKey)]
    .filter(([text]) => /^\s*select/.test(text) && /key = \?/.test(text));
  assertEquals(lookups.map(([, plan]) => plan), [
    ["SEARCH jobs USING INDEX jobs_by_key (key=?)"],
  ]);
});

Deno.test("those that wait for a job are found by it, and what a job waits for by that job", async () => {
  const plans = await plansOf(async (store) => {
    await runChain(store);
    await store.blockers(["strict"]);
  });
  // Whether anybody waits at all is asked of the index of those that do, and the first one answers it.
  const steps = [...plans].filter(([text]) => !/select exists/.test(text))
    .flatMap(([, plan]) => plan.filter((step) => /\bdependencies\b/.test(step)));
  assert(steps.some((step) => /needs=/.test(step)) && steps.some((step) => /job=/.test(step)));
  const found = /^SEARCH dependencies USING (INDEX dependencies_\w+|PRIMARY KEY) \((needs|job)=\?/;
  assertEquals(steps.filter((step) => !found.test(step)), []);
});

Deno.test("events are read from their number on, and pruned from the oldest on", async () => {
  const since = await plansOf((store) => store.events(5, 10));
  assertEquals([...since.values()], [["SEARCH events USING INTEGER PRIMARY KEY (rowid>?)"]]);
  const prune = await plansOf((store) => store.prune(NOW, 10));
  const [text, plan] = [...prune].find(([text]) => /delete from events/.test(text))!;
  assertEquals(plan.filter((step) => /TEMP B-TREE/.test(step)), [], text);
  assert(/order by seq limit \?/.test(text), text);
});

Deno.test("pruning finds the jobs that have expired by when they ended", async () => {
  const prune = await plansOf((store) => store.prune(NOW, 10));
  const [, plan] = [...prune].find(([text]) => /delete from jobs/.test(text))!;
  assert(plan.includes("SEARCH jobs USING INDEX jobs_expiring (finished_at<?)"), plan.join("\n"));
});

Deno.test("a list sorts nothing, whether by state or not", async () => {
  for (const filter of [{}, { state: "dead" }] as const) {
    const plans = await plansOf((store) => store.list(filter, 10));
    for (const [text, plan] of plans) {
      assertEquals(plan.filter((step) => /TEMP B-TREE/.test(step)), [], text);
    }
  }
});

Deno.test("the statements that only look at the workers never meet the jobs", async () => {
  const plans = await plansOf(async (store) => {
    await store.register(newWorker(), 0);
    await store.workers();
    await store.requestStop("graceful");
    await store.settings();
  });
  assertEquals([...plans.values()].flat().filter((step) => /jobs|attempts|output/.test(step)), []);
});
