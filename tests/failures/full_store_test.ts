import { Database } from "@db/sqlite";
import { assert, assertEquals } from "@std/assert";
import { openStore } from "../../src/store/open.ts";
import { type Store, WHOLE_STORE } from "../../src/store/store.ts";
import { by, claim, end, newJob, tempFolder } from "../helpers/store.ts";

const COMPLETED = 1_000_000;
const TOMORROW = 100_000;
const READY = 10;
const ROUNDS = 150;
/** How many times longer a claim may take: a busy machine counts for both stores alike. */
const MOST = 10;

const NOW = Date.UTC(2030, 0, 1);
const DAY = 86_400_000;

/** Puts jobs into the file of a store, by a query that is faster than a million enqueues. */
function fill(path: string) {
  const db = new Database(path, { int64: true, create: false });
  const add = (
    count: number,
    prefix: string,
    columns: { state: string } & Record<string, string | number>,
  ) => {
    const all = {
      ...{ command: "'true'", queue: "'default'", max_retries: 3, backoff_base: 2 },
      ...{ backoff_max_ms: 300_000, backoff_jitter: 0, cwd: "'/'", env: "'{}'", tags: "'[]'" },
      ...{ created_at: NOW - DAY, updated_at: NOW - DAY, ...columns },
    };
    db.exec(`
      with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count})
      insert into jobs (id, ${Object.keys(all)}) select '${prefix}-' || i, ${Object.values(all)}
      from n;
      insert into job_counts values ('default', ${all.state}, ${count})
        on conflict do update set jobs = jobs + excluded.jobs`);
  };
  db.exec("pragma synchronous = off; begin");
  const done = { run_at: NOW - DAY, started_at: NOW - DAY, finished_at: NOW - DAY, exit_code: 0 };
  add(COMPLETED, "done", { state: "'completed'", attempts: 1, priority: 0, ...done });
  add(TOMORROW, "later", { state: "'pending'", priority: 100, run_at: NOW + DAY, ready: 0 });
  db.exec("commit; analyze");
  db.close();
}

/** How many milliseconds it takes to look for a job and claim it; the claimed one is replaced. */
async function claimMs(store: Store): Promise<number> {
  const before = performance.now();
  const { claimable } = await store.outlook(WHOLE_STORE, NOW);
  const [claimed] = await claim(store, { now: NOW });
  const tookMs = performance.now() - before;
  assert(claimable && claimed);
  assert(!claimed.job.id.startsWith("later"), "it claimed a job of tomorrow");
  await end(store, claimed, { kind: "exited", code: 0 }, NOW);
  await store.enqueue([newJob()], by(NOW));
  return tookMs;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

Deno.test("failure 31: beside a million completed jobs and those of tomorrow a claim costs what it costs without", async () => {
  using folder = tempFolder();
  const paths = { empty: folder.file("empty.db"), full: folder.file("full.db") };
  for (const path of Object.values(paths)) (await openStore(path))[Symbol.dispose]();
  fill(paths.full);
  using empty = await openStore(paths.empty);
  using full = await openStore(paths.full);
  assertEquals((await full.counts()).completed, COMPLETED);
  for (const store of [empty, full]) {
    await store.changeSetting("durability", "normal");
    await store.settings();
    await store.enqueue(Array.from({ length: READY }, () => newJob()), by(NOW));
  }
  const took = { empty: [] as number[], full: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    took.empty.push(await claimMs(empty));
    took.full.push(await claimMs(full));
  }
  const [emptyMs, fullMs] = [median(took.empty), median(took.full)];
  assert(fullMs < MOST * emptyMs, `${fullMs} ms instead of ${emptyMs} ms`);
  assertEquals((await full.counts()).completed, COMPLETED + ROUNDS);
});
