import { assertEquals } from "@std/assert";
import { openStore } from "../../src/store/open.ts";
import type { Store } from "../../src/store/store.ts";
import { newJob, tempFolder } from "../helpers/store.ts";
import { type FreshStore, storeConformance } from "./conformance.ts";

storeConformance("SQLite", async (): Promise<FreshStore> => {
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
});

Deno.test("SQLite: threads that claim at the same time get every job once", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  const ids = Array.from({ length: 300 }, (_, i) => `job-${i}`);
  {
    using store = await openStore(path);
    await store.enqueue(ids.map((id) => newJob({ id })), 0);
  }
  const claimed = await Promise.all([1, 2, 3].map(() => claimAllInThread(path)));
  assertEquals(claimed.flat().sort(), ids.sort());
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
