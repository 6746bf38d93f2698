import { Database, type Statement } from "@db/sqlite";
import { assertEquals } from "@std/assert";
import { openStore } from "../../src/store/open.ts";
import { SqliteStore } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { by, newJob, silentFile, tempFolder } from "../helpers/store.ts";
import { cancelConformance } from "./cancel_conformance.ts";
import { claimConformance } from "./claim_conformance.ts";
import { storeConformance } from "./conformance.ts";
import { controlConformance } from "./control_conformance.ts";
import { countConformance } from "./count_conformance.ts";
import { dependencyConformance } from "./dependency_conformance.ts";
import { eventConformance } from "./event_conformance.ts";
import { keyConformance } from "./key_conformance.ts";
import { queueConformance } from "./queue_conformance.ts";
import type { FreshStore } from "./rules.ts";
import { scheduleConformance } from "./schedule_conformance.ts";

const SUITES = [
  storeConformance,
  claimConformance,
  keyConformance,
  dependencyConformance,
  cancelConformance,
  controlConformance,
  eventConformance,
  queueConformance,
  scheduleConformance,
  countConformance,
];

async function freshStore(): Promise<FreshStore> {
  const folder = tempFolder();
  const connections: Store[] = [];
  const connect = async () => {
    const store = await openStore(folder.file("queue.db"));
    connections.push(store);
    return store;
  };
  await Promise.resolve();
  return {
    connect,
    [Symbol.asyncDispose]: async () => {
      await Promise.resolve();
      for (const store of connections) store[Symbol.dispose]();
      folder[Symbol.dispose]();
    },
  };
}

for (const conformance of SUITES) conformance("SQLite", freshStore);

Deno.test("SQLite: threads that claim at the same time get every job once", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  const ids = Array.from({ length: 300 }, (_, i) => `job-${i}`);
  {
    using store = await openStore(path);
    await store.enqueue(ids.map((id) => newJob({ id })), by(0));
  }
  const claimed = await Promise.all([1, 2, 3].map(() => claimAllInThread(path)));
  assertEquals(claimed.flat().sort(), ids.sort());
});

/** A database in which somebody else does something before each statement that is prepared. */
class SharedDatabase extends Database {
  readonly #meanwhile: () => void;

  constructor(path: string, meanwhile: () => void) {
    super(path, { int64: true });
    this.#meanwhile = meanwhile;
  }

  override prepare<T extends object>(sql: string): Statement<T> {
    this.#meanwhile();
    return super.prepare(sql);
  }
}

Deno.test("SQLite: what is written in the middle of a look is seen whole or not at all", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  using other = await openStore(path);
  let added = 0;
  const add = () => void other.enqueue([newJob({ queue: `queue-${added++}` })], by(0));
  using store = new SqliteStore(new SharedDatabase(path, add), silentFile(path));
  const queues = await store.queues();
  assertEquals(queues.map(({ jobs }) => jobs.pending), queues.map(() => 1));
  const { jobs, older } = await store.list({}, 1);
  assertEquals([jobs.length, older >= queues.length - 1], [1, true]);
});

/** The ids of the jobs that a thread of its own claims until there are none left. */
async function claimAllInThread(path: string): Promise<string[]> {
  const thread = new Worker(new URL("../helpers/claiming_thread.ts", import.meta.url), {
    type: "module",
  });
  try {
    return await new Promise<string[]>((resolve, reject) => {
      thread.onmessage = ({ data }) => resolve(data);
      thread.onerror = reject;
      thread.postMessage(path);
    });
  } finally {
    thread.terminate();
  }
}
