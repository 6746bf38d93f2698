import { Database } from "@db/sqlite";
import { readStatus } from "../../src/cli/read_status.ts";
import { completeJob } from "../../src/job_request.ts";
import { cancelled, settle } from "../../src/job.ts";
import { settingsFrom } from "../../src/settings.ts";
import { openStore } from "../../src/store/open.ts";
import { type Store, WHOLE_STORE } from "../../src/store/store.ts";
import { realSystem } from "../../src/system.ts";
import { type Line, median, milliseconds, type Section, type Size } from "./line.ts";
import { temporaryFolder } from "./programs.ts";

const DAY_MS = 86_400_000;
const EMPTY = "an empty store";

/** What single operations cost in a store that has grown. */
export function growth({ rows, samples }: Size): Section {
  const folder = temporaryFolder();
  const places = sizes(rows);
  const stores = new Map<string, Store>();
  /** Made when it is first needed, because a large one takes a while. */
  const storeOf = async (place: string) => {
    const made = stores.get(place);
    if (made) return made;
    const store = await makeStore(folder.file(`queue-${stores.size}.db`), places[place]!);
    stores.set(place, store);
    return store;
  };
  const lines = Object.entries(OPERATIONS).flatMap(([operation, { act, atMost }]) =>
    Object.keys(places).map((place): Line => ({
      what: `${operation}, ${place}`,
      unit: "µs",
      ...place !== EMPTY && { to: `${operation}, ${EMPTY}`, atMost },
      async measure() {
        const store = await storeOf(place);
        const took: number[] = [];
        for (let i = 0; i < samples; i++) took.push(await act(store));
        return median(took) * 1000;
      },
    }))
  );
  return {
    lines,
    [Symbol.dispose]() {
      for (const store of stores.values()) store[Symbol.dispose]();
      folder[Symbol.dispose]();
    },
  };
}

type Columns = Record<string, string | number>;
/** The rows that are in a store before anything is measured. */
type Filling = { count: number; columns: Columns };

function sizes(rows: number): Record<string, Filling | null> {
  const now = Date.now();
  const before = { created_at: now - DAY_MS, updated_at: now - DAY_MS };
  const finished = {
    ...{ ...before, state: "'completed'", attempts: 1, exit_code: 0 },
    ...{ run_at: now - DAY_MS, started_at: now - DAY_MS, finished_at: now - DAY_MS },
  };
  const pending = { ...before, state: "'pending'", run_at: now - DAY_MS, ready: 1 };
  const later = { ...before, state: "'pending'", run_at: now + DAY_MS, ready: 0, priority: 1000 };
  return {
    [EMPTY]: null,
    [`${rows / 100} finished`]: { count: rows / 100, columns: finished },
    [`${rows} finished`]: { count: rows, columns: finished },
    [`${rows} pending`]: { count: rows, columns: pending },
    [`${rows / 10} for tomorrow`]: { count: rows / 10, columns: later },
  };
}

async function makeStore(path: string, filling: Filling | null): Promise<Store> {
  const store = await openStore(path);
  await store.register(WORKER, Date.now());
  if (filling) fill(path, filling);
  return store;
}

/** By a query, because a million jobs one by one would take longer than everything that is measured. */
function fill(path: string, { count, columns }: Filling) {
  const row: Columns = {
    ...{ command: "'true'", queue: "'default'", priority: 0, max_retries: 3 },
    ...{
      backoff_base: 2,
      backoff_max_ms: 300_000,
      backoff_jitter: 0,
      cwd: "'/'",
      env: "'{}'",
      tags: "'[]'",
    },
    ...columns,
  };
  const db = new Database(path, { int64: true, create: false });
  db.exec(`
    pragma synchronous = off;
    begin;
    with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count})
    insert into jobs (id, ${Object.keys(row)}) select 'filler-' || i, ${Object.values(row)} from n;
    insert into attempts (job, attempt, worker_id, started_at, finished_at, outcome, exit_code)
      select seq, 1, 'w-1', started_at, finished_at, 'completed', 0 from jobs
      where state = 'completed';
    insert into job_counts values ('default', ${row.state}, ${count})
      on conflict do update set jobs = jobs + excluded.jobs;
    commit;
    pragma wal_checkpoint(truncate)`);
  db.close();
}

const WORKER = {
  ...{ id: "bench", host: "here", machine: "bench", process: { pid: 1, startedAt: "1" } },
  ...{ count: 1, queues: null, leaseMs: 3_600_000 },
};
const SETTINGS = settingsFrom(new Map());

/** What is done, in milliseconds, and by how much it may grow. */
const OPERATIONS: Record<string, { act: (store: Store) => Promise<number>; atMost: number }> = {
  enqueue: { act: enqueue, atMost: 10 },
  claim: {
    async act(store) {
      await enqueue(store);
      const now = Date.now();
      const idle = [{ executor: 1, token: crypto.randomUUID() }];
      const turn = { worker: WORKER.id, settled: [], output: [], started: [], idle: [], ahead: [] };
      const begin = performance.now();
      const { claimed: [claim] } = await store.turn({ ...turn, idle, scope: WHOLE_STORE }, now);
      const tookMs = performance.now() - begin;
      const { lease, job } = claim!;
      const settlement = settle(job, { kind: "exited", code: 0 }, { now, random: 0 });
      const ifCancelled = cancelled(settlement, job.attempts);
      const settled = [{ lease, job, begunAt: null, endedAt: now, settlement, ifCancelled }];
      await store.turn({ ...turn, settled, scope: WHOLE_STORE }, now);
      return tookMs;
    },
    atMost: 8,
  },
  status: { act: (store) => milliseconds(() => readStatus(store, realSystem)), atMost: 8 },
  list: { act: (store) => milliseconds(() => store.list({}, 100)), atMost: 8 },
};

function enqueue(store: Store): Promise<number> {
  const by = { now: Date.now(), actor: "bench" };
  const job = completeJob({ command: "true" }, SETTINGS, { folder: "/", now: by.now });
  return milliseconds(() => store.enqueue([job], by));
}
