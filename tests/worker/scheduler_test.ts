import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { loadCron, type MissedPolicy } from "../../src/schedule.ts";
import { openStore, openStoreIfAny } from "../../src/store/open.ts";
import type { NewSchedule, Schedule, Store } from "../../src/store/store.ts";
import { by, newJob, tempFolder } from "../helpers/store.ts";
import { FakeSystem, observed, startSupervisor, type WorldOptions } from "../helpers/world.ts";

await loadCron(); // which takes time by the real clock

// When the world starts.
const NOW = Date.UTC(2030, 0, 1);
const MINUTE = 60_000;
const EVERY_MINUTE = "* * * * *";

function memoryStore(): Promise<Store> {
  return openStoreIfAny("/nonexistent/queue.db");
}

/** Adds a schedule whose first tick is `inMs` from the start of the world. */
async function schedule(
  store: Store,
  name: string,
  said: Partial<Omit<NewSchedule, "request">> & { request?: object; inMs?: number } = {},
) {
  const { request, inMs = MINUTE, ...more } = said;
  await store.addSchedule({
    ...{ name, cron: EVERY_MINUTE, timeZone: "UTC", missed: "one", nextAt: NOW + inMs },
    ...more,
    request: JSON.stringify({ command: name, cwd: "/srv", ...request }),
  }, by(NOW));
}

/** Runs a supervisor without executors to speak of: all its jobs stay where they are. */
function startIdle(store: Store, options: WorldOptions = {}) {
  return startSupervisor(store, { scope: { queues: ["none"], only: null }, ...options });
}

type Started = ReturnType<typeof startSupervisor>;

async function stop(...worlds: Started[]) {
  for (const { supervisor, runner } of worlds) {
    supervisor.stop();
    for (const executor of runner.running.keys()) runner.exit(executor);
  }
  await worlds[0]!.system.advance(0);
  await Promise.all(worlds.map(({ finished }) => finished));
}

/** How many jobs of each schedule there are. */
async function made(store: Store): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { schedule } of (await store.list({}, 10_000)).jobs) {
    counts[schedule!] = (counts[schedule!] ?? 0) + 1;
  }
  return counts;
}

async function onlySchedule(store: Store): Promise<Schedule> {
  const [found, ...others] = await store.schedules();
  assertEquals(others, []);
  return found!;
}

function warnings({ events }: Started): string[] {
  return events.flatMap((each) => each.event === "warning" ? [each.message] : []);
}

Deno.test("a tick makes a job at its moment, by the settings of then, and runs it at once", async () => {
  using store = await memoryStore();
  const request = { queue: "q", tags: ["t"], priority: 3, env: { A: "1" }, delayMs: 0 };
  await schedule(store, "s", { request });
  const world = startSupervisor(store, { pollMs: 3_600_000 });
  await store.changeSetting("max_retries", 8);
  await world.system.advance(MINUTE - 1);
  assertEquals(await made(store), {});
  await world.system.advance(1);
  assertEquals(await made(store), { s: 1 });
  assertEquals([...world.runner.running.values()].map(({ command, cwd }) => [command, cwd]), [
    ["s", "/srv"],
  ]);
  const { jobs: [job] } = await store.list({}, 1);
  const { queue, tags, priority, env, maxRetries, createdAt } = job!;
  assertEquals({ queue, tags, priority, env, maxRetries, createdAt }, {
    ...{ queue: "q", tags: ["t"], priority: 3, env: { A: "1" } },
    ...{ maxRetries: 8, createdAt: NOW + MINUTE },
  });
  const { nextAt, lastTick, lastJob } = await onlySchedule(store);
  assertEquals([nextAt, lastTick, lastJob], [NOW + 2 * MINUTE, NOW + MINUTE, job!.id]);
  const event = (await store.events(0, 10)).find((each) => each.job === job!.id);
  assertEquals([event!.event, event!.actor], ["enqueued", "w"]);
  await stop(world);
});

Deno.test("several workers make each job of a schedule once", async () => {
  using folder = tempFolder();
  const stores = await Promise.all([1, 2, 3].map(() => openStore(folder.file("queue.db"))));
  const store = stores[0]!;
  await schedule(store, "each-minute");
  await schedule(store, "each-second", { cron: "* * * * * *", inMs: 1000 });
  const first = startIdle(stores[0]!);
  const { system, processes } = first;
  const others = stores.slice(1).map((each, i) =>
    startIdle(each, { id: `w${i}`, pid: i + 2, system, processes })
  );
  await system.advance(3 * MINUTE);
  assertEquals(await made(store), { "each-minute": 3, "each-second": 180 });
  await stop(first, ...others);
  for (const each of stores) each[Symbol.dispose]();
});

Deno.test("ticks make jobs although all executors are busy", async () => {
  using store = await memoryStore();
  await schedule(store, "s");
  await store.enqueue([newJob({ id: "long", schedule: "none" })], by(NOW));
  const world = startSupervisor(store);
  await world.system.advance(3 * MINUTE);
  assertEquals(world.runner.running.size, 1);
  assertEquals(await made(store), { none: 1, s: 3 });
  await stop(world);
});

Deno.test("a worker that is told to stop makes no more jobs", async () => {
  using store = await memoryStore();
  await store.changeSetting("shutdown_grace", 10 * MINUTE);
  await schedule(store, "s");
  await store.enqueue([newJob({ id: "long", schedule: "none" })], by(NOW));
  const world = startSupervisor(store);
  await world.system.advance(MINUTE + 1000);
  world.supervisor.stop();
  await world.system.advance(3 * MINUTE);
  assert(!world.isDone());
  assertEquals(await made(store), { none: 1, s: 1 });
  await stop(world);
});

Deno.test("a worker for one job makes none by schedules", async () => {
  using store = await memoryStore();
  await schedule(store, "s");
  await store.enqueue([newJob({ id: "long", schedule: "none" })], by(NOW));
  const world = startSupervisor(store, { scope: { queues: null, only: "long" }, drain: true });
  await world.system.advance(3 * MINUTE);
  assertEquals(await made(store), { none: 1 });
  await stop(world);
});

Deno.test("a schedule that is added, paused, resumed or removed is noticed within a second", async () => {
  using folder = tempFolder();
  using store = await openStore(folder.file("queue.db"));
  using other = await openStore(folder.file("queue.db"));
  const world = startIdle(store, { pollMs: 3_600_000 });
  await world.system.advance(500);
  await schedule(other, "s", { cron: "* * * * * *", inMs: 2000 });
  await world.system.advance(4600);
  assertEquals(await made(store), { s: 4 }); // at 2, 3, 4 and 5 s
  await other.pauseSchedule("s", { paused: true, nextAt: null }, by(NOW));
  await world.system.advance(5000);
  const { s: whenPaused } = await made(store);
  assert(whenPaused! <= 5);
  const nextAt = world.system.now() + 1900; // at 12 s
  await other.pauseSchedule("s", { paused: false, nextAt }, by(NOW));
  await world.system.advance(2400);
  assertEquals(await made(store), { s: whenPaused! + 1 });
  await other.removeSchedule("s", by(NOW));
  await world.system.advance(1000);
  const { s: whenRemoved } = await made(store);
  await world.system.advance(5000);
  assertEquals(await made(store), { s: whenRemoved! });
  assertEquals(warnings(world), []);
  await stop(world);
});

Deno.test("a schedule that never comes again, or is paused, makes nothing", async () => {
  using store = await memoryStore();
  await schedule(store, "over", { nextAt: null });
  await schedule(store, "paused");
  await store.pauseSchedule("paused", { paused: true, nextAt: NOW + MINUTE }, by(NOW));
  const world = startIdle(store);
  await world.system.advance(3 * MINUTE);
  assertEquals(await made(store), {});
  await stop(world);
});

const BAD: Record<string, Parameters<typeof schedule>[2]> = {
  "whose request contradicts itself": { request: { ifExists: "skip" } },
  "whose cron expression means nothing any more": { cron: "61 * * * *" },
  "whose time zone is gone": { timeZone: "Mars/Olympus" },
};
for (const [what, said] of Object.entries(BAD)) {
  Deno.test(`a schedule ${what} warns once a minute, and stops no other`, async () => {
    using store = await memoryStore();
    await schedule(store, "a-bad", { ...said, missed: "all" });
    await schedule(store, "b-good");
    const world = startIdle(store);
    await world.system.advance(MINUTE + 30_000);
    assertEquals(await made(store), { "b-good": 1 });
    assertEquals(warnings(world).length, 1);
    assertStringIncludes(warnings(world)[0]!, "a-bad");
    await world.system.advance(2 * MINUTE);
    assertEquals(await made(store), { "b-good": 3 });
    assertEquals(warnings(world).length, 3);
    const [bad] = await store.schedules();
    assertEquals([bad!.nextAt, bad!.lastTick], [NOW + MINUTE, null]);
    await stop(world);
  });
}

Deno.test("a schedule that could not be dealt with makes its job when it can be", async () => {
  using inner = await memoryStore();
  await schedule(inner, "s", { request: { ifExists: "skip" } });
  const world = startIdle(inner);
  await world.system.advance(MINUTE);
  assertEquals(warnings(world).length, 1);
  // As somebody who has seen the warning would.
  await inner.removeSchedule("s", by(NOW));
  await schedule(inner, "s", { inMs: 2 * MINUTE, request: { ifExists: "skip", key: "k" } });
  await world.system.advance(MINUTE);
  assertEquals(await made(inner), { s: 1 });
  await stop(world);
});

Deno.test("a job that cannot be added is a warning, and the clock goes on without it", async () => {
  using store = await memoryStore();
  await schedule(store, "s", { request: { key: "k" } });
  const world = startIdle(store);
  await world.system.advance(3 * MINUTE);
  assertEquals(await made(store), { s: 1 });
  assertEquals(warnings(world).length, 2);
  assertStringIncludes(warnings(world)[0]!, "Schedule s: ");
  const { nextAt, lastTick } = await onlySchedule(store);
  assertEquals([nextAt, lastTick], [NOW + 4 * MINUTE, NOW + 3 * MINUTE]);
  await store.cancel({ filter: {} }, { force: false }, by(NOW));
  await world.system.advance(MINUTE);
  assertEquals(await made(store), { s: 2 });
  await stop(world);
});

Deno.test("a tick that meets a busy store is made up for, once", async () => {
  using inner = await memoryStore();
  await schedule(inner, "s");
  let busy = false;
  const { store } = observed(inner, { fails: () => busy });
  const world = startIdle(store);
  await world.system.advance(MINUTE - 500);
  busy = true;
  await world.system.advance(3000);
  busy = false;
  await world.system.advance(1000);
  assertEquals(await made(inner), { s: 1 });
  await world.system.advance(MINUTE - 4000);
  assertEquals(await made(inner), { s: 1 });
  await world.system.advance(1000);
  assertEquals(await made(inner), { s: 2 });
  await stop(world);
});

const MISSED: [MissedPolicy, number, string][] = [
  ["one", 1, "one makes a job"],
  ["skip", 0, "none makes a job"],
  ["all", 2500, "each makes a job"],
];
for (const [missed, jobs, what] of MISSED) {
  Deno.test(`of 2,500 ticks that nobody was there for, ${what}`, async () => {
    using store = await memoryStore();
    await schedule(store, "s", { missed, inMs: -2499 * MINUTE });
    const system = new FakeSystem();
    system.step(30_000); // since the last one
    const world = startIdle(store, { system });
    await world.system.advance(10_000);
    assertEquals((await made(store)).s ?? 0, jobs);
    const { nextAt } = await onlySchedule(store);
    assertEquals(nextAt, NOW + MINUTE);
    await world.system.advance(MINUTE);
    assertEquals((await made(store)).s, jobs + 1);
    await stop(world);
  });
}

Deno.test("failure 27: when the wall clock is set forward, the tick that was passed over is made up for at once", async () => {
  using store = await memoryStore();
  await schedule(store, "s", { cron: "0 * * * *", inMs: 60 * MINUTE });
  const world = startIdle(store);
  await world.system.advance(5000);
  world.system.step(90 * MINUTE);
  await world.system.advance(1000);
  assertEquals(await made(store), { s: 1 });
  const { nextAt } = await onlySchedule(store);
  assertEquals(nextAt, NOW + 120 * MINUTE);
  await stop(world);
});

Deno.test("a schedule ticks by the clock of its time zone", async () => {
  using store = await memoryStore();
  await schedule(store, "s", { cron: "0 9 * * *", timeZone: "Asia/Tokyo", inMs: 1000 });
  const world = startIdle(store);
  await world.system.advance(2000);
  const { nextAt } = await onlySchedule(store);
  assertEquals(new Date(nextAt!).toISOString(), "2030-01-02T00:00:00.000Z");
  await stop(world);
});
