import { Database, type Statement } from "@db/sqlite";
import { assert, assertEquals } from "@std/assert";
import { openStore } from "../../src/store/open.ts";
import { SqliteStore } from "../../src/store/sqlite.ts";
import type { Lease, Store } from "../../src/store/store.ts";
import { claim, claimOne, end, newJob, newWorker, tempFolder, turnOf } from "../helpers/store.ts";

/** A database that remembers what it was asked to prepare. */
class RecordingDatabase extends Database {
  readonly texts: string[] = [];

  override prepare<T extends object>(sql: string): Statement<T> {
    this.texts.push(sql);
    return super.prepare(sql);
  }
}

/** The plans of all statements that `act` makes the store prepare: steps such as `SEARCH jobs USING INDEX …`. */
async function plansOf(act: (store: Store) => Promise<unknown>): Promise<Map<string, string[]>> {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  (await openStore(path))[Symbol.dispose]();
  const db = new RecordingDatabase(path, { int64: true });
  using store = new SqliteStore(db, { path, verify() {}, ring() {} });
  await act(store);
  const statements = db.texts.filter((text) => !/^\s*pragma/i.test(text));
  return new Map(statements.map((text) => {
    const steps = db.prepare<{ detail: string }>(`explain query plan ${text}`).all();
    return [text, steps.map(({ detail }) => detail)];
  }));
}

const LEASE: Lease = { job: 1, attempt: 1, token: "t" };
const OUTPUT = {
  lease: LEASE,
  chunks: [{ start: 0, stream: "stdout" as const, bytes: new Uint8Array(1) }],
  discard: { from: 0, to: 1 },
};

async function runOneJob(store: Store) {
  await store.enqueue([newJob()], 0);
  await end(store, await claimOne(store), { kind: "exited", code: 0 });
}

/** What a store is asked for often, or with many jobs in it. */
const ACTS: Record<string, (store: Store) => Promise<unknown>> = {
  "enqueue": (store) => store.enqueue([newJob()], 0),
  "find by id or prefix": (store) => store.find("nobody").catch(() => {}),
  "list by state": (store) => store.list({ state: "dead" }, 0),
  "counts": (store) => store.counts(),
  "attempts of a job": (store) => store.attempts("nobody"),
  "output of an attempt": (store) => store.output(1, 0),
  "retry of dead jobs": (store) => store.retryDead("all", 0),
  "retry of one job": (store) => store.retryDead(["nobody"], 0).catch(() => {}),
  "purge of dead jobs": (store) => store.purgeDead("all"),
  "prune": (store) => store.prune(0, 10),
  "promotion and claim": runOneJob,
  "storing of output": (store) => store.turn(turnOf({ output: [OUTPUT] }), 0),
  "recording of a process": (store) =>
    store.turn(turnOf({ started: [{ lease: LEASE, process: { pid: 1, startedAt: "1" } }] }), 0),
  "renewal": (store) => store.renew("nobody", 30_000, 0),
  "deregistration": (store) => store.deregister("nobody"),
  "leases": (store) => store.leases(),
  "outlook": (store) => store.outlook(0),
};

// These hold only jobs that are due, not due yet, or about to be deleted.
const PARTIAL = "jobs_(claimable|not_due|expiring)";
const FULL_SCAN = new RegExp(
  `^SCAN (jobs|attempts|output)\\b(?! USING (COVERING )?INDEX ${PARTIAL})`,
);

for (const [name, act] of Object.entries(ACTS)) {
  Deno.test(`no statement of ${name} reads all jobs, attempts or output`, async () => {
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

Deno.test("a claim reads the claimable jobs in their order, without sorting them", async () => {
  const plans = await plansOf((store) => claim(store));
  const claimed = [...plans].filter(([text]) => /ready = 1\s+order by/.test(text));
  // Older versions of SQLite do not see that the second index covers its query.
  const steps = claimed.map(([, plan]) => plan.map((step) => step.replace("COVERING ", "")));
  assertEquals(steps, [[
    "SCAN jobs USING INDEX jobs_claimable",
    "SCALAR SUBQUERY 1",
    "SEARCH jobs USING INDEX jobs_not_due (run_at<?)",
  ]]);
});

Deno.test("the promotion of jobs that became due sorts nothing", async () => {
  const plans = await plansOf((store) => claim(store));
  const promotions = [...plans].filter(([text]) => /set ready = 1/.test(text));
  assertEquals(promotions.length, 1);
  const [, plan] = promotions[0]!;
  assert(plan.some((step) => step.includes("jobs_not_due (run_at<?)")), plan.join("\n"));
  assertEquals(plan.filter((step) => /TEMP B-TREE FOR ORDER BY/.test(step)), []);
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
