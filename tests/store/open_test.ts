import { Database } from "@db/sqlite";
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { UserError } from "../../src/errors.ts";
import { SQLITE_MIGRATIONS } from "../../src/store/migrations.ts";
import { openStore, openStoreIfAny, SCHEMA_VERSION } from "../../src/store/open.ts";
import { SqliteStore } from "../../src/store/sqlite.ts";
import { mayPass } from "../../src/store/sqlite_errors.ts";
import type { Schedule } from "../../src/store/store.ts";
import { by, claimOne, newJob, silentFile, tempFolder, turnOf } from "../helpers/store.ts";

/** Makes a store with some jobs at `path`, and closes it. */
async function makeStore(path: string, jobs = 3) {
  using store = await openStore(path);
  await store.enqueue(Array.from({ length: jobs }, () => newJob()), by(0));
}

/** Changes a database as its owner could, by hand. */
function edit(path: string, sql: string) {
  const db = new Database(path, { int64: true });
  db.exec(sql);
  db.close();
}

/** What is left beside a store when nobody uses it any more. */
const BELLS = ["queue.db-news", "queue.db-wake"];

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

function modeOf(path: string): number {
  return Deno.statSync(path).mode! & 0o777;
}

/** Asserts that opening fails in these words and exit code 1, however it is opened, and changes nothing. */
async function assertCannotOpen(path: string, reason: string | RegExp) {
  const before = Deno.statSync(path).isFile ? Deno.readFileSync(path) : null;
  for (const open of [openStore, openStoreIfAny]) {
    const error = await assertRejects(() => open(path), UserError);
    assertEquals(error.exitCode, 1);
    const prefix = `Cannot open the store "${path}": `;
    assertStringIncludes(error.message, prefix);
    const said = error.message.slice(prefix.length);
    if (typeof reason === "string") assertEquals(said, reason);
    else assertMatch(said, reason);
  }
  if (before) assertEquals(Deno.readFileSync(path), before);
}

// --- Making a store

Deno.test("the schema's version is the number of migrations", () => {
  assertEquals(SCHEMA_VERSION, SQLITE_MIGRATIONS.length);
});

Deno.test("failure 37: a store is made with its folders, which nobody else can look into", async () => {
  using folder = tempFolder();
  const path = folder.file("a/b/queue.db");
  await makeStore(path);
  assertEquals(modeOf(folder.file("a")), 0o700);
  assertEquals(modeOf(folder.file("a/b")), 0o700);
  assertEquals(modeOf(path), 0o600);
  assertEquals(namesIn(folder.file("a/b")), ["queue.db", ...BELLS]);
});

Deno.test("failure 37: a folder that was there keeps its mode, and a store in use is private with all its files", async () => {
  using folder = tempFolder();
  Deno.mkdirSync(folder.file("open"), { mode: 0o755 });
  const path = folder.file("open/queue.db");
  using store = await openStore(path);
  await store.enqueue([newJob()], by(0));
  assertEquals(modeOf(folder.file("open")), 0o755);
  for (const { name } of Deno.readDirSync(folder.file("open"))) {
    assertEquals(modeOf(folder.file(`open/${name}`)), 0o600, name);
  }
});

Deno.test("a store tells people with sqlite3 what it is", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  await makeStore(path, 2);
  const db = new Database(path, { int64: true });
  const [version] = db.prepare("pragma user_version").values<[number]>();
  const [mode] = db.prepare("pragma journal_mode").values<[string]>();
  const states = db.prepare("select state from jobs").values<[string]>();
  db.close();
  assertEquals([version, mode, states], [[SCHEMA_VERSION], ["wal"], [["pending"], ["pending"]]]);
});

Deno.test("a path with blanks, letters of all kinds and signs that mean something elsewhere works", async () => {
  using folder = tempFolder();
  for (
    const name of [
      "a b.db",
      "größe 日本.db",
      "what?mode=ro.db",
      "50%20.db",
      "#1.db",
      "it's.db",
      "file:x",
    ]
  ) {
    await makeStore(folder.file(name));
    using store = await openStore(folder.file(name));
    assertEquals((await store.counts()).pending, 3, name);
    assert(Deno.statSync(folder.file(name)).isFile);
  }
});

Deno.test("failure 21: several that make the same store at once all get it, and it is one", async () => {
  using folder = tempFolder();
  const path = folder.file("deep/queue.db");
  const stores = await Promise.all(Array.from({ length: 8 }, () => openStore(path)));
  await Promise.all(stores.map((store) => store.enqueue([newJob()], by(0))));
  for (const store of stores) assertEquals((await store.counts()).pending, 8);
  for (const store of stores) store[Symbol.dispose]();
  assertEquals(namesIn(folder.file("deep")), ["queue.db", ...BELLS]);
});

Deno.test("what is opened twice is not made twice", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  await makeStore(path, 5);
  using store = await openStore(path);
  assertEquals((await store.counts()).pending, 5);
});

Deno.test("looking at a store that does not exist shows an empty one and creates nothing", async () => {
  using folder = tempFolder();
  for (const name of ["queue.db", "no/such/folder/queue.db"]) {
    using store = await openStoreIfAny(folder.file(name));
    assertEquals((await store.counts()).pending, 0);
    assertEquals((await store.list({}, 10)).jobs, []);
    assertEquals((await store.settings()).max_retries, 3);
    assertEquals(await store.workers(), []);
    store.verify();
  }
  assertEquals(namesIn(folder.path), []);
});

Deno.test("looking at a store that exists shows what is in it", async () => {
  using folder = tempFolder();
  await makeStore(folder.file("queue.db"), 4);
  using store = await openStoreIfAny(folder.file("queue.db"));
  assertEquals((await store.counts()).pending, 4);
});

// --- What is no store

Deno.test("failure 21: an empty file is no store", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  Deno.writeFileSync(path, new Uint8Array());
  await assertCannotOpen(path, /^the file is empty, .*remove it/);
});

Deno.test("failure 21: a folder is no store", async () => {
  using folder = tempFolder();
  await assertCannotOpen(folder.path, "it is not a file");
});

Deno.test("failure 21: text and random bytes are no store", async () => {
  using folder = tempFolder();
  const path = folder.file("notes.txt");
  const contents = [
    "hi",
    "hello world\n".repeat(2000),
    crypto.getRandomValues(new Uint8Array(8192)),
  ];
  for (const content of contents) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    Deno.writeFileSync(path, bytes);
    await assertCannotOpen(path, "it is not a database");
  }
  assertEquals(namesIn(folder.path), ["notes.txt"]);
});

Deno.test("failure 21: the database of another program is no store", async () => {
  using folder = tempFolder();
  const path = folder.file("other.db");
  for (const applicationId of [0, 0x12345678]) {
    edit(
      path,
      `drop table if exists t; create table t (x); pragma application_id = ${applicationId}`,
    );
    await assertCannotOpen(path, "it is the database of another program");
  }
  assertEquals(namesIn(folder.path), ["other.db"]);
});

Deno.test("failure 21: a store that a newer program made is refused, with both versions", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  await makeStore(path);
  edit(path, `pragma user_version = ${SCHEMA_VERSION + 1}`);
  await assertCannotOpen(
    path,
    `a newer queuectl made it (schema ${SCHEMA_VERSION + 1}, this one knows ${SCHEMA_VERSION})`,
  );
});

Deno.test("failure 21: a link that leads nowhere is no store", async () => {
  using folder = tempFolder();
  const path = folder.file("link.db");
  Deno.symlinkSync(folder.file("nowhere.db"), path);
  const error = await assertRejects(() => openStore(path), UserError);
  assertEquals(error.exitCode, 1);
  assertStringIncludes(error.message, `Cannot open the store "${path}": its link leads nowhere`);
  assertEquals(namesIn(folder.path), ["link.db"]);
});

Deno.test("a link to a store is that store", async () => {
  using folder = tempFolder();
  await makeStore(folder.file("queue.db"), 2);
  Deno.symlinkSync(folder.file("queue.db"), folder.file("link.db"));
  using store = await openStore(folder.file("link.db"));
  assertEquals((await store.counts()).pending, 2);
});

Deno.test("failure 21: a path that leads through a file cannot be a store", async () => {
  using folder = tempFolder();
  Deno.writeTextFileSync(folder.file("file"), "x");
  for (const open of [openStore, openStoreIfAny]) {
    const error = await assertRejects(() => open(folder.file("file/queue.db")), UserError);
    assertEquals(error.exitCode, 1);
    assertStringIncludes(error.message, "not a directory");
  }
  assertEquals(Deno.readTextFileSync(folder.file("file")), "x");
});

// --- Damage

Deno.test("failure 21: a store that was cut short says that it is damaged, and is left as it is", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  await makeStore(path, 2000);
  Deno.truncateSync(path, 8192);
  await assertDamaged(path);
});

Deno.test("failure 21: a store with other bytes in it says that it is damaged, and is left as it is", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  await makeStore(path, 2000);
  const bytes = Deno.readFileSync(path);
  bytes.fill(0xaa, 4096);
  Deno.writeFileSync(path, bytes);
  await assertDamaged(path);
});

/** Asserts that the damage is told on opening or at first use. */
async function assertDamaged(path: string) {
  const before = Deno.readFileSync(path);
  const use = async () => {
    using store = await openStore(path);
    await store.list({}, 1_000_000);
  };
  const error = await assertRejects(use, UserError);
  assertEquals(error.exitCode, 1);
  assertMatch(
    error.message,
    /^Cannot (open|list jobs in) the store ".*": it is damaged; restore it from a backup$/,
  );
  assertEquals(Deno.readFileSync(path), before);
}

Deno.test("failure 21: the log of a deleted store is not played back into a new one", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  {
    using store = await openStore(path);
    await store.enqueue([newJob({ id: "from-the-old-store" })], by(0));
    Deno.copyFileSync(`${path}-wal`, folder.file("log"));
  }
  // As a worker that was killed leaves it, and a person who deletes only the one file.
  Deno.removeSync(path);
  Deno.renameSync(folder.file("log"), `${path}-wal`);
  const error = await assertRejects(() => openStore(path), UserError);
  assertEquals(error.exitCode, 1);
  assertStringIncludes(error.message, `remove "${path}-wal" as well`);
  assertEquals(namesIn(folder.path), [...BELLS, "queue.db-wal"]);

  Deno.removeSync(`${path}-wal`);
  using store = await openStore(path);
  assertEquals((await store.counts()).pending, 0);
});

// --- A store that others use

/** Holds the write lock of the store from another thread until `ms` have passed. */
async function lockFor(path: string, ms: number): Promise<Worker> {
  const thread = new Worker(new URL("../helpers/locking_thread.ts", import.meta.url), {
    type: "module",
  });
  await new Promise((resolve, reject) => {
    thread.onmessage = resolve;
    thread.onerror = reject;
    thread.postMessage({ path, ms });
  });
  return thread;
}

const SCHEDULE: Schedule = {
  ...{ name: "s", cron: "* * * * *", timeZone: "UTC", missed: "one", request: "{}" },
  ...{ createdAt: 0, pausedAt: null, nextAt: 1, lastTick: null, lastJob: null },
};

Deno.test("failure 19: a store that is kept busy for too long says so, and has changed nothing", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  using store = await openStore(path, { busyMs: 30 });
  await store.enqueue([newJob()], by(0));
  const { lease } = await claimOne(store);
  const other = new Database(path, { int64: true });
  other.exec("begin immediate");
  const acts: [string, () => Promise<unknown>][] = [
    ["enqueue", () => store.enqueue([newJob()], by(0))],
    ["retry jobs", () => store.retry({ filter: {} }, ["dead"], by(0))],
    ["delete jobs", () => store.remove({ filter: {} }, ["dead"], by(0))],
    ["cancel jobs", () => store.cancel({ filter: {} }, { force: false }, by(0))],
    ["change a queue", () => store.changeQueue("q", { maxRunning: 1 }, by(0))],
    ["add a schedule", () => store.addSchedule(SCHEDULE, by(0))],
    ["remove a schedule", () => store.removeSchedule("s", by(0))],
    [
      "change a schedule",
      () => store.pauseSchedule("s", { paused: true, nextAt: null }, by(0)),
    ],
    [
      "make a scheduled job",
      () => store.tick(SCHEDULE, { nextAt: 2, lastTick: 1, jobs: [newJob()] }, by(0)),
    ],
    ["prune jobs", () => store.prune(0, 1)],
    ["change a setting", () => store.changeSetting("max_retries", 5)],
    ["renew leases", () => store.renew("w", 30_000, 0)],
    ["stop the workers", () => store.requestStop("force")],
    [
      "write down what happened",
      () => store.turn(turnOf({ output: [{ lease, chunks: [], discard: null }] }), 0),
    ],
  ];
  for (const [doing, act] of acts) {
    const error = await assertRejects(act, UserError);
    assertEquals(error.exitCode, 1);
    assertEquals(
      error.message,
      `Cannot ${doing} in the store "${path}": another process has kept it busy for too long`,
    );
    assert(mayPass(error), "a worker may try that again");
  }
  // Whoever only reads is not in the way of a writer, nor the other way round.
  assertEquals((await store.counts()).processing, 1);
  other.exec("rollback");
  other.close();
  await store.enqueue([newJob()], by(0));
  assertEquals((await store.counts()).pending, 1);
  assertEquals((await store.settings()).max_retries, 3);
  assertEquals((await store.queues()).map(({ maxRunning }) => maxRunning), [null]);
  assertEquals(await store.schedules(), []);
});

Deno.test("a store that is locked against everybody cannot be opened, and says why", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  await makeStore(path);
  const other = new Database(path, { int64: true });
  other.exec("pragma locking_mode = exclusive; begin exclusive");
  const error = await assertRejects(() => openStore(path, { busyMs: 30 }), UserError);
  other.exec("rollback");
  other.close();
  assertEquals(error.exitCode, 1);
  assertEquals(
    error.message,
    `Cannot open the store "${path}": another process has kept it busy for too long`,
  );
});

Deno.test("failure 19: a store that is released in time is waited for", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  using store = await openStore(path, { busyMs: 20_000 });
  const thread = await lockFor(path, 100);
  try {
    await store.enqueue([newJob()], by(0));
  } finally {
    thread.terminate();
  }
  assertEquals((await store.counts()).pending, 1);
});

// --- A store that goes away

Deno.test("failure 22: verify() notices that the store was deleted", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  using store = await openStore(path);
  store.verify();
  Deno.removeSync(path);
  const error = assertThrows(() => store.verify(), UserError);
  assertEquals(error.exitCode, 1);
  assertEquals(error.message, `The store "${path}" was deleted while it was in use`);
});

Deno.test("failure 22: verify() notices that the store was replaced by another file", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  using store = await openStore(path);
  await makeStore(folder.file("other.db"));
  Deno.renameSync(folder.file("other.db"), path);
  const error = assertThrows(() => store.verify(), UserError);
  assertEquals(error.exitCode, 1);
  assertEquals(
    error.message,
    `The store "${path}" was replaced by another file while it was in use`,
  );
});

// --- Durability

Deno.test("a write waits for the disk as the setting durability says, and does before it is read", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  await makeStore(path);
  const db = new Database(path, { int64: true });
  using store = new SqliteStore(db, silentFile(path));
  const NORMAL = 1;
  const FULL = 2;
  /** How the connection is told to write while it enqueues. */
  const synchronous = async () => {
    const seen: number[] = [];
    const look = () => seen.push(db.prepare("pragma synchronous").value<[number]>()![0]);
    await store.enqueue(Array.from({ length: 1000 }, () => newJob()), by(0), look);
    return seen;
  };
  assertEquals(await synchronous(), [FULL]);
  for (const [durability, told] of [["normal", NORMAL], ["full", FULL]] as const) {
    await store.changeSetting("durability", durability);
    await store.settings();
    assertEquals(await synchronous(), [told], durability);
  }
});

Deno.test("sync() asks the disk as the setting durability says", async () => {
  using folder = tempFolder();
  const path = folder.file("queue.db");
  await makeStore(path);
  let syncs = 0;
  const file = { ...silentFile(path), syncLog: () => Promise.resolve(void syncs++) };
  using store = new SqliteStore(new Database(path, { int64: true }), file);
  for (const [durability, expected] of [["full", 1], ["normal", 1], ["full", 2]] as const) {
    await store.changeSetting("durability", durability);
    await store.settings();
    await store.sync();
    assertEquals(syncs, expected, durability);
  }
});

Deno.test("sync() waits for the log of the store, also of one that a link leads to, and says so where it is gone", async () => {
  for (const name of ["queue.db", "link.db"]) {
    using folder = tempFolder();
    await makeStore(folder.file("queue.db"));
    if (name === "link.db") Deno.symlinkSync(folder.file("queue.db"), folder.file(name));
    using store = await openStore(folder.file(name));
    await store.enqueue([newJob()], by(0));
    await store.sync();
    Deno.removeSync(folder.file("queue.db-wal"));
    const error = await assertRejects(() => store.sync(), UserError);
    assertStringIncludes(error.message, `Cannot write the store "${folder.file(name)}"`);
  }
});

Deno.test({
  name: "sync() drops none of the locks by which other processes know that the store is in use",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using folder = tempFolder();
    const path = folder.file("queue.db");
    using store = await openStore(path);
    await store.enqueue([newJob()], by(0));
    const locks = () => {
      const held = Deno.readTextFileSync("/proc/locks").split("\n");
      return [path, `${path}-shm`].flatMap((file) =>
        held.filter((line) => line.includes(` ${Deno.pid} `) && line.includes(`:${inode(file)} `))
          .map((line) => line.replace(/^\d+: /, ""))
      );
    };
    const before = locks();
    await store.sync();
    assert(before.length >= 2, "on the store and on the index of its log");
    assertEquals(locks(), before);
  },
});

function inode(file: string): number | null {
  return Deno.statSync(file).ino;
}
