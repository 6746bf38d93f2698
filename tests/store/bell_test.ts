import { assertEquals } from "@std/assert";
import { listenForBell, ringBell } from "../../src/store/bell.ts";
import { openStore } from "../../src/store/open.ts";
import type { Store } from "../../src/store/store.ts";
import { newJob, tempFolder } from "../helpers/store.ts";

const RINGS: Record<string, (store: Store) => Promise<unknown>> = {
  "enqueue()": (store) => store.enqueue([newJob()], 0),
  "retryDead()": (store) => store.retryDead("all", 0),
  "changeSetting()": (store) => store.changeSetting("max_retries", 5),
  "requestStop()": (store) => store.requestStop("graceful"),
};

for (const [name, act] of Object.entries(RINGS)) {
  Deno.test(`${name} wakes whoever listens to the store`, async () => {
    using folder = tempFolder();
    const path = folder.file("queue.db");
    using store = await openStore(path);
    const { promise: woken, resolve } = Promise.withResolvers<void>();
    using _ = listenForBell(path, resolve);
    await act(store);
    await woken; // or the test never ends
  });
}

Deno.test("ringing where nobody has ever listened leaves nothing behind", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  ringBell(path);
  (await openStore(path))[Symbol.dispose]();
  assertEquals([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["queue.db"]);
});

Deno.test("listening is private to the owner of the store", () => {
  using folder = tempFolder();
  using _ = listenForBell(folder.file("queue.db"), () => {});
  assertEquals(Deno.statSync(folder.file("queue.db-wake")).mode! & 0o777, 0o600);
});

Deno.test("listening where nothing can be written does no harm", () => {
  using folder = tempFolder();
  using _ = listenForBell(folder.file("no/such/folder/queue.db"), () => {});
  assertEquals([...Deno.readDirSync(folder.path)], []);
});
