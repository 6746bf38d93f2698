import { Database } from "@db/sqlite";
import { assertEquals } from "@std/assert";
import { Bell, listenForBell } from "../../src/store/bell.ts";
import { openStore } from "../../src/store/open.ts";
import { SqliteStore } from "../../src/store/sqlite.ts";
import type { NewSchedule, Store } from "../../src/store/store.ts";
import { by, claimOne, ended, newJob, silentFile, tempFolder, turnOf } from "../helpers/store.ts";

const SCHEDULE: NewSchedule = {
  ...{ name: "s", cron: "* * * * *", timeZone: "UTC", missed: "one", request: "{}", nextAt: 1 },
};

/** Something to be done, after what has to be done before. */
interface Act {
  before?: (store: Store) => Promise<unknown>;
  act: (store: Store) => Promise<unknown>;
  rings: { wake: boolean; news: boolean };
}

const BOTH = { wake: true, news: true };
const NEWS = { wake: false, news: true };
const NEITHER = { wake: false, news: false };

const ACTS: Record<string, Act> = {
  "enqueue()": { act: (store) => store.enqueue([newJob()], by()), rings: BOTH },
  "retry()": { act: (store) => store.retry({ filter: {} }, ["dead"], by()), rings: BOTH },
  "cancel()": { act: (store) => store.cancel({ filter: {} }, { force: true }, by()), rings: BOTH },
  "remove()": { act: (store) => store.remove({ filter: {} }, ["dead"], by()), rings: BOTH },
  "changeQueue()": { act: (store) => store.changeQueue("q", { paused: null }, by()), rings: BOTH },
  "addSchedule()": { act: (store) => store.addSchedule(SCHEDULE, by()), rings: BOTH },
  "pauseSchedule()": {
    before: (store) => store.addSchedule(SCHEDULE, by()),
    act: (store) => store.pauseSchedule("s", { paused: false, nextAt: 5 }, by()),
    rings: BOTH,
  },
  "changeSetting()": { act: (store) => store.changeSetting("max_retries", 5), rings: BOTH },
  "requestStop()": { act: (store) => store.requestStop("graceful"), rings: BOTH },
  "deregister()": { act: (store) => store.deregister("w"), rings: NEWS },
  "a turn that settles a job": {
    before: (store) => store.enqueue([newJob()], by()),
    act: (store) => settleOne(store),
    rings: NEWS,
  },
  "a turn that releases another job": {
    before: (store) =>
      store.enqueue(
        [newJob({ id: "first" }), newJob({ after: [{ id: "first", anyEnd: false }] })],
        by(),
      ),
    act: (store) => settleOne(store),
    rings: BOTH,
  },
  "a turn that may make room in a queue with a limit": {
    before: async (store) => {
      await store.changeQueue("default", { maxRunning: 1 }, by());
      await store.enqueue([newJob()], by());
    },
    act: (store) => settleOne(store),
    rings: BOTH,
  },
  "a claim": {
    before: (store) => store.enqueue([newJob()], by()),
    act: (store) => claimOne(store),
    rings: NEITHER,
  },
  "a look": { act: (store) => store.list({}, 10), rings: NEITHER },
  "a renewal": { act: (store) => store.renew("w", 1000, 0), rings: NEITHER },
};

async function settleOne(store: Store) {
  const [held] = await store.leases();
  const claimed = held ?? await claimOne(store);
  await store.turn(turnOf({ settled: [ended(claimed, { kind: "exited", code: 0 })] }), 0);
}

for (const [name, { before, act, rings }] of Object.entries(ACTS)) {
  const heard = [...rings.wake ? ["workers"] : [], ...rings.news ? ["people"] : []];
  Deno.test(`${name} wakes ${heard.join(" and ") || "nobody"} that wait`, async () => {
    using folder = tempFolder();
    const path = folder.file("queue.db");
    {
      using store = await openStore(path);
      await before?.(store);
    }
    const rang = { wake: false, news: false };
    using store = new SqliteStore(new Database(path, { int64: true }), {
      ...silentFile(path),
      wake: { ring: () => rang.wake = true },
      news: { ring: () => rang.news = true },
    });
    await act(store);
    assertEquals(rang, rings);
  });
}

for (const bell of ["wake", "news"] as const) {
  Deno.test(`the bell ${bell} reaches whoever listens for it, in another store too`, async () => {
    using folder = tempFolder();
    const path = folder.file("queue.db");
    using store = await openStore(path);
    const { promise: woken, resolve } = Promise.withResolvers<void>();
    using _ = listenForBell(path, bell, resolve);
    await store.enqueue([newJob()], by());
    await woken; // or the test never ends
  });
}

Deno.test("whoever begins to listen just after somebody rang in vain hears the next ring", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  Deno.writeTextFileSync(path, "");
  const bell = new Bell(path, "wake");
  bell.ring();
  const { promise: woken, resolve } = Promise.withResolvers<void>();
  using _ = listenForBell(path, "wake", resolve);
  bell.ring();
  await woken; // or the test never ends
});

Deno.test("ringing where no file can be made does no harm", () => {
  using folder = tempFolder();
  new Bell(folder.file("no/such/folder/queue.db"), "wake").ring();
  assertEquals([...Deno.readDirSync(folder.path)], []);
});

Deno.test("failure 37: bells are private to the owner of the store", () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  Deno.writeTextFileSync(path, "");
  using _ = listenForBell(path, "wake", () => {});
  new Bell(path, "news").ring();
  for (const name of ["queue.db-wake", "queue.db-news"]) {
    assertEquals(Deno.statSync(folder.file(name)).mode! & 0o777, 0o600);
  }
});

const isRoot = Deno.uid() === 0;
if (!isRoot) {
  console.log("A test of whose the bells are is left out: only root can give files away");
}

Deno.test({
  name: "failure 37: bells that root makes belong to the owner of the store, who can hear them",
  ignore: !isRoot,
  fn() {
    using folder = tempFolder();
    const path = folder.file("queue.db");
    Deno.writeTextFileSync(path, "");
    Deno.chownSync(path, 65_534, 65_533);
    new Bell(path, "wake").ring();
    const { uid, gid } = Deno.statSync(folder.file("queue.db-wake"));
    assertEquals([uid, gid], [65_534, 65_533]);
  },
});

Deno.test("beside a store that is gone no bell is made", () => {
  using folder = tempFolder();
  new Bell(folder.file("queue.db"), "wake").ring();
  using _ = listenForBell(folder.file("queue.db"), "news", () => {});
  assertEquals([...Deno.readDirSync(folder.path)], []);
});

Deno.test("listening where nothing can be written does no harm", () => {
  using folder = tempFolder();
  using _ = listenForBell(folder.file("no/such/folder/queue.db"), "wake", () => {});
  assertEquals([...Deno.readDirSync(folder.path)], []);
});
