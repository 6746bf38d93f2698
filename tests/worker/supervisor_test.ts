import { assert, assertEquals } from "@std/assert";
import { operationFailed } from "../../src/errors.ts";
import { openStore, openStoreIfAny } from "../../src/store/open.ts";
import type { Store, Turn } from "../../src/store/store.ts";
import { newJob, tempFolder } from "../helpers/store.ts";
import { startSupervisor } from "../helpers/world.ts";

async function memoryStore(jobs: number, job = {}): Promise<Store> {
  const store = await openStoreIfAny("/nonexistent/queue.db");
  const all = Array.from({ length: jobs }, (_, i) => newJob({ id: `job${i + 1}`, ...job }));
  await store.enqueue(all, Date.UTC(2030, 0, 1));
  return store;
}

async function stateOf(store: Store, id = "job1") {
  const { state, attempts } = await store.find(id);
  return { state, attempts };
}

async function outcomes(store: Store, id = "job1") {
  return (await store.attempts(id)).map(({ attempt, outcome }) => `${attempt} ${outcome}`);
}

/** The store, with every turn that is taken put on record, and failing as long as `fails` says so. */
function observed(store: Store, { fails = () => false }: { fails?: () => boolean } = {}) {
  const turns: Turn[] = [];
  const proxy = new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (fails() && name !== "changes" && name !== "verify") {
          throw operationFailed("The store is busy", new Error("database is locked"));
        }
        if (name === "turn") turns.push(args[0] as Turn);
        return value.apply(target, args);
      };
    },
  });
  return { store: proxy, turns };
}

type Supervised = ReturnType<typeof startSupervisor>;

/** A worker process that runs job1, and one without a job beside it, under the same clock. */
async function busyBesideIdle(store: Store, other: Store) {
  const busy = startSupervisor(store);
  await store.enqueue([newJob({ id: "job1" })], busy.system.now());
  await busy.system.advance(1000);
  const { system, processes } = busy;
  const idle = startSupervisor(other, { id: "idle", pid: 2, system, processes });
  return { busy, idle, system };
}

/** Stops worker processes that share a clock, and waits until they have stopped. */
async function stopAll(...supervised: Supervised[]) {
  for (const { supervisor } of supervised) supervisor.stop();
  await supervised[0]!.system.advance(0);
  await Promise.all(supervised.map(({ finished }) => finished));
}

Deno.test("a supervisor claims one job for each executor and no more", async () => {
  using store = await memoryStore(5);
  const { runner, supervisor, system, finished } = startSupervisor(store, { count: 2 });
  await system.advance(0);
  assertEquals([...runner.running.keys()], [1, 2]);
  assertEquals((await store.counts()).pending, 3);
  supervisor.stop();
  runner.exit(1);
  runner.exit(2);
  await finished;
});

Deno.test("what ended is settled and the next job claimed in one turn", async () => {
  using inner = await memoryStore(2);
  const { store, turns } = observed(inner);
  const { runner, system, finished } = startSupervisor(store, { drain: true });
  await system.advance(0);
  runner.exit(1);
  await system.advance(0);
  assertEquals(turns.map(({ settled, idle }) => [settled.length, idle.length]), [[0, 1], [1, 1]]);
  runner.exit(1);
  await system.advance(0);
  await finished;
});

Deno.test("jobs that end together are settled in one turn", async () => {
  using inner = await memoryStore(4);
  const { store, turns } = observed(inner);
  const { runner, system, finished } = startSupervisor(store, { count: 4, drain: true });
  await system.advance(0);
  for (const executor of [1, 2, 3, 4]) runner.exit(executor);
  await system.advance(0);
  await finished;
  assertEquals(turns.map(({ settled }) => settled.length), [0, 4]);
});

Deno.test("a failed job is claimed again when its backoff has passed, and not before", async () => {
  using store = await memoryStore(1);
  const { runner, system, finished } = startSupervisor(store, { drain: true });
  await system.advance(0);
  runner.exit(1, 7);
  await system.advance(1999);
  assertEquals(runner.running.size, 0);
  await system.advance(1);
  assertEquals(runner.running.size, 1);
  runner.exit(1, 7);
  await system.advance(3999);
  assertEquals(runner.running.size, 0);
  await system.advance(1);
  runner.exit(1, 7);
  await system.advance(0);
  await finished;
  assertEquals(await stateOf(store), { state: "dead", attempts: 3 });
  assertEquals(await outcomes(store), ["1 failed", "2 failed", "3 failed"]);
});

Deno.test("a supervisor that is told to stop lets its job end and claims no other", async () => {
  using store = await memoryStore(2);
  const { runner, supervisor, system, finished, isDone } = startSupervisor(store);
  await system.advance(0);
  supervisor.stop();
  await system.advance(20_000);
  assert(!isDone());
  assertEquals(runner.stops, []);
  runner.exit(1);
  await system.advance(0);
  await finished;
  assertEquals(await stateOf(store), { state: "completed", attempts: 1 });
  assertEquals(await stateOf(store, "job2"), { state: "pending", attempts: 0 });
  assertEquals(await store.workers(), []);
});

for (
  const [how, stopAgain, waitMs] of [
    ["a second stop", true, 0],
    ["the end of shutdown_grace", false, 30_000],
  ] as const
) {
  Deno.test(`${how} ends the running job, which goes back to pending uncounted`, async () => {
    using store = await memoryStore(1);
    const { runner, supervisor, system, finished } = startSupervisor(store);
    await system.advance(0);
    supervisor.stop();
    if (stopAgain) supervisor.stop();
    await system.advance(waitMs);
    assertEquals(runner.stops, [{ executor: 1, graceMs: 1000 }]);
    runner.end(1, { kind: "interrupted" });
    await system.advance(0);
    await finished;
    assertEquals(await stateOf(store), { state: "pending", attempts: 0 });
    assertEquals(await outcomes(store), ["1 interrupted"]);
  });
}

Deno.test("draining ends when nothing is left that could still run", async () => {
  using store = await memoryStore(1, { maxRetries: 2 });
  const { runner, system, finished, isDone } = startSupervisor(store, { drain: true });
  await system.advance(0);
  runner.exit(1, 1);
  await system.advance(1000);
  assert(!isDone(), "a retry is still due");
  await system.advance(1000);
  runner.exit(1, 1);
  await system.advance(0);
  await finished;
  assertEquals(await stateOf(store), { state: "dead", attempts: 2 });
});

Deno.test("each executor ends after its limit of attempts", async () => {
  using store = await memoryStore(5);
  const { runner, system, finished } = startSupervisor(store, { count: 2, limit: 2 });
  for (let i = 0; i < 2; i++) {
    await system.advance(0);
    runner.exit(1);
    runner.exit(2);
  }
  await system.advance(0);
  await finished;
  assertEquals((await store.counts()).completed, 4);
  assertEquals((await store.counts()).pending, 1);
});

Deno.test("a result is kept while the store is busy and written when it is not", async () => {
  using inner = await memoryStore(1);
  let busy = false;
  const { store } = observed(inner, { fails: () => busy });
  const { runner, system, events, finished } = startSupervisor(store, { drain: true });
  await system.advance(0);
  busy = true;
  runner.output(1, "hello");
  runner.exit(1);
  await system.advance(3000);
  assertEquals((await inner.find("job1")).state, "processing");
  busy = false;
  await system.advance(1000);
  await finished;
  assertEquals(await stateOf(inner), { state: "completed", attempts: 1 });
  const [attempt] = await inner.attempts("job1");
  assertEquals((await inner.output(attempt!.seq, 0)).length, 1);
  assertEquals(events.filter(({ event }) => event === "warning").length, 1);
});

Deno.test("jobs are ended before a lease that cannot be renewed can be taken", async () => {
  using inner = await memoryStore(1);
  let busy = false;
  const { store } = observed(inner, { fails: () => busy });
  const { runner, supervisor, system, finished } = startSupervisor(store);
  await system.advance(0);
  busy = true;
  await system.advance(29_000);
  assertEquals(runner.stops, [{ executor: 1, graceMs: 1000 }]);
  runner.end(1, { kind: "interrupted" });
  busy = false;
  supervisor.stop();
  await system.advance(1000);
  await finished;
  assertEquals(await outcomes(inner), ["1 lost"]);
  assertEquals(await stateOf(inner), { state: "failed", attempts: 1 });
});

Deno.test("a job ten leases long keeps its lease beside idle workers", async () => {
  using folder = tempFolder();
  using store = await openStore(folder.file("queue.db"));
  using other = await openStore(folder.file("queue.db"));
  const { busy, idle, system } = await busyBesideIdle(store, other);
  await system.advance(300_000);
  assertEquals(idle.runner.running.size, 0);
  busy.runner.exit(1);
  await stopAll(busy, idle);
  assertEquals(await outcomes(store), ["1 completed"]);
});

Deno.test("a worker that was taken for dead gives up its job, and its result is not used", async () => {
  using folder = tempFolder();
  using store = await openStore(folder.file("queue.db"));
  using other = await openStore(folder.file("queue.db"));
  let frozen = false;
  const zombie = startSupervisor(observed(store, { fails: () => frozen }).store);
  await store.enqueue([newJob({ id: "job1" })], zombie.system.now());
  await zombie.system.advance(1000);
  const { system, processes } = zombie;
  const heir = startSupervisor(other, { id: "heir", pid: 2, system, processes });
  frozen = true;
  await system.advance(35_000);
  assertEquals(heir.runner.running.size, 1);
  assertEquals(heir.events.filter(({ event }) => event === "recovered").length, 1);
  frozen = false;
  zombie.runner.exit(1); // what a process that was stopped and goes on would say
  await system.advance(1000);
  assert(zombie.events.some(({ event }) => event === "lost"));
  assertEquals(await stateOf(store), { state: "processing", attempts: 2 });
  heir.runner.exit(1);
  zombie.supervisor.stop();
  heir.supervisor.stop();
  await system.advance(0);
  await Promise.all([zombie.finished, heir.finished]);
  assertEquals(await outcomes(store), ["1 lost", "2 completed"]);
});

Deno.test("the job of a dead worker runs again once nothing of its attempt is left", async () => {
  using store = await memoryStore(1);
  await store.register({
    ...{ id: "gone", host: "here", machine: "boot-1 pids-1", count: 1, leaseMs: 30_000 },
    process: { pid: 99, startedAt: "1" },
  }, 0);
  const idle = [{ executor: 1, token: "token-of-the-dead" }];
  const now = Date.UTC(2030, 0, 1);
  await store.turn({ worker: "gone", settled: [], output: [], started: [], idle }, now);

  const world = startSupervisor(store);
  world.processes.stubborn.add("token-of-the-dead");
  await world.system.advance(2000);
  assertEquals(await stateOf(store), { state: "processing", attempts: 1 }, "its worker lives");
  world.processes.dead.add(99);
  await world.system.advance(2000);
  assertEquals(await stateOf(store), { state: "processing", attempts: 1 }, "a process lives on");
  assertEquals(world.runner.running.size, 0);
  world.processes.stubborn.clear();
  await world.system.advance(1000);
  assertEquals(world.runner.running.size, 1);
  world.runner.exit(1);
  world.supervisor.stop();
  await world.system.advance(0);
  await world.finished;
  assertEquals(await outcomes(store), ["1 lost", "2 completed"]);
});

Deno.test("a step of the wall clock takes nobody's lease", async () => {
  using folder = tempFolder();
  using store = await openStore(folder.file("queue.db"));
  using other = await openStore(folder.file("queue.db"));
  const { busy, idle, system } = await busyBesideIdle(store, other);
  for (const hours of [1, -2, 1]) {
    system.step(hours * 3_600_000);
    await system.advance(5000);
  }
  assertEquals(idle.runner.running.size, 0);
  busy.runner.exit(1);
  await stopAll(busy, idle);
});

Deno.test("the attempt of a thread that failed is lost, and runs again when its processes are gone", async () => {
  using store = await memoryStore(1);
  const { runner, processes, system, supervisor, finished } = startSupervisor(store);
  await system.advance(0);
  const [held] = await store.leases();
  const { token } = held!.lease;
  processes.stubborn.add(token);
  runner.end(1, { kind: "lost", reason: "The thread that ran it failed" });
  await system.advance(1500);
  assertEquals(await outcomes(store), ["1 null"]);
  processes.stubborn.clear();
  await system.advance(1500);
  assertEquals(await outcomes(store), ["1 lost", "2 null"]);
  runner.exit(1);
  supervisor.stop();
  await system.advance(0);
  await finished;
});

Deno.test("a change of a setting and a request to stop are obeyed within a second", async () => {
  using folder = tempFolder();
  using store = await openStore(folder.file("queue.db"));
  using other = await openStore(folder.file("queue.db"));
  const { runner, system, finished } = startSupervisor(store);
  await system.advance(0);
  await other.changeSetting("kill_grace", 1234);
  await system.advance(1000);
  await other.enqueue([newJob()], system.now());
  await system.advance(1000);
  assertEquals(runner.running.get(1)?.killGraceMs, 1234);
  await other.requestStop("graceful");
  await system.advance(1000);
  assertEquals(runner.stops, []);
  await other.requestStop("force");
  await system.advance(1000);
  assertEquals(runner.stops.length, 1);
  runner.end(1, { kind: "interrupted" });
  await system.advance(0);
  await finished;
});

Deno.test("a hint that there may be work is followed at once", async () => {
  using folder = tempFolder();
  using store = await openStore(folder.file("queue.db"));
  using other = await openStore(folder.file("queue.db"));
  const { runner, system, supervisor, finished, ring } = startSupervisor(store, {
    pollMs: 3_600_000,
  });
  await system.advance(30);
  await other.enqueue([newJob()], system.now());
  ring();
  await system.advance(0);
  assertEquals(runner.running.size, 1);
  runner.exit(1);
  supervisor.stop();
  await system.advance(0);
  await finished;
});

Deno.test("more output is asked for only when the last was stored", async () => {
  using store = await memoryStore(1);
  const { runner, system, supervisor, finished } = startSupervisor(store);
  await system.advance(0);
  runner.output(1, "hello");
  assertEquals(runner.stored_, []);
  await system.advance(0);
  assertEquals(runner.stored_, [1]);
  const [attempt] = await store.attempts("job1");
  const [chunk] = await store.output(attempt!.seq, 0);
  assertEquals(new TextDecoder().decode(chunk!.bytes), "hello");
  runner.exit(1);
  supervisor.stop();
  await system.advance(0);
  await finished;
});
