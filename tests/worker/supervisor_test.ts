import { assert, assertEquals, assertRejects } from "@std/assert";
import { openStore, openStoreIfAny } from "../../src/store/open.ts";
import type { Claim, Scope, Store } from "../../src/store/store.ts";
import { by, claim, newJob, newWorker, tempFolder } from "../helpers/store.ts";
import { observed, startSupervisor, type WorldOptions } from "../helpers/world.ts";

async function memoryStore(jobs: number, job = {}): Promise<Store> {
  const store = await openStoreIfAny("/nonexistent/queue.db");
  const all = Array.from({ length: jobs }, (_, i) => newJob({ id: `job${i + 1}`, ...job }));
  await store.enqueue(all, by(Date.UTC(2030, 0, 1)));
  return store;
}

async function stateOf(store: Store, id = "job1") {
  const { state, attempts } = await store.find(id);
  return { state, attempts };
}

async function outcomes(store: Store, id = "job1") {
  return (await store.attempts(id)).map(({ attempt, outcome }) => `${attempt} ${outcome}`);
}

const SHORT_MS = 5;

type Supervised = ReturnType<typeof startSupervisor>;

/** A worker process that runs job1, and one without a job beside it, under the same clock. */
async function busyBesideIdle(store: Store, other: Store) {
  const busy = startSupervisor(store);
  await store.enqueue([newJob({ id: "job1" })], by(busy.system.now()));
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

Deno.test("an executor whose jobs are short is given its next ones before it is idle", async () => {
  using store = await memoryStore(10);
  const { runner, supervisor, system, finished } = startSupervisor(store, { count: 2 });
  const waiting = () => [1, 2].map((executor) => runner.waiting.get(executor)?.length ?? 0);
  await system.advance(0);
  assertEquals(waiting(), [0, 0]);
  runner.exit(1, 0, SHORT_MS);
  await system.advance(0);
  assertEquals(waiting(), [7, 0]);

  // What waits is nobody's when the worker process is told to stop.
  supervisor.stop();
  await system.advance(0);
  assertEquals([...waiting(), (await store.counts()).processing], [0, 0, 2]);
  for (const executor of [1, 2]) runner.exit(executor);
  await system.advance(0);
  await finished;
  const { completed, pending } = await store.counts();
  assertEquals([completed, pending], [3, 7]);
});

Deno.test("jobs that were given ahead are taken back from an executor whose job takes long", async () => {
  using store = await memoryStore(5);
  const { runner, supervisor, system, finished } = startSupervisor(store, { count: 2 });
  await system.advance(0);
  runner.exit(1, 0, SHORT_MS);
  await system.advance(0);
  assertEquals(runner.waiting.get(1)?.length, 2);
  runner.started(1, 50);
  await system.advance(60);
  assertEquals(runner.waiting.get(1)?.length, 0);
  const outcomes = async (id: string) => (await store.attempts(id)).map(({ outcome }) => outcome);
  assertEquals([await outcomes("job4"), await outcomes("job5")], [["interrupted"], [
    "interrupted",
  ]]);

  runner.exit(2);
  await system.advance(0);
  assertEquals([...runner.running.keys()].toSorted(), [1, 2]);
  assertEquals(await outcomes("job4"), ["interrupted", null]);
  supervisor.stop();
  for (const executor of [1, 2]) runner.exit(executor);
  await system.advance(0);
  await finished;
});

Deno.test("jobs that were given ahead are taken back when those before them take longer and longer", async () => {
  using store = await memoryStore(20);
  const { runner, supervisor, system, finished } = startSupervisor(store);
  const waiting = () => runner.waiting.get(1)?.length;
  await system.advance(0);
  runner.exit(1, 0, SHORT_MS);
  await system.advance(0);
  assertEquals(waiting(), 16);
  runner.exit(1, 0, 33); // fifteen wait, which would take 495 ms
  await system.advance(0);
  assertEquals(waiting(), 15);
  runner.exit(1, 0, 36);
  await system.advance(0);
  assertEquals(waiting(), 2); // as many as are due after one of 36 ms
  supervisor.stop();
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

Deno.test("failure 19: a result is kept while the store is busy and written when it is not", async () => {
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

Deno.test("failure 19: jobs are ended before a lease that cannot be renewed can be taken", async () => {
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

Deno.test("failure 3: a job ten leases long keeps its lease beside idle workers", async () => {
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

Deno.test("failure 2: a worker that was taken for dead gives up its job, and its result is not used", async () => {
  using folder = tempFolder();
  using store = await openStore(folder.file("queue.db"));
  using other = await openStore(folder.file("queue.db"));
  let frozen = false;
  const zombie = startSupervisor(observed(store, { fails: () => frozen }).store);
  await store.enqueue([newJob({ id: "job1" })], by(zombie.system.now()));
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
  const now = Date.UTC(2030, 0, 1);
  const machine = "boot-1 pids-1";
  await store.register(newWorker({ id: "gone", machine, process: { pid: 99, startedAt: "1" } }), 0);
  const [{ lease: { token } }] = await claim(store, { now, worker: "gone" }) as [Claim];

  const world = startSupervisor(store);
  world.processes.stubborn.add(token);
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

Deno.test("what a dead worker left is looked for all at once, and what lives on keeps back its own job only", async () => {
  using store = await memoryStore(3);
  const now = Date.UTC(2030, 0, 1);
  const machine = "boot-1 pids-1";
  await store.register(newWorker({ id: "gone", machine, process: { pid: 99, startedAt: "1" } }), 0);
  const claims = await claim(store, { now, worker: "gone", idle: 3 });
  await store.cancel({ ids: ["job2"] }, { force: false }, by(now));
  const tokens = claims.map(({ lease: { token } }) => token);

  const world = startSupervisor(store, { count: 3 });
  const { processes, system } = world;
  const recovered = () =>
    world.events.flatMap((each) => each.event === "recovered" ? [`${each.job} ${each.state}`] : []);
  processes.stubborn.add(tokens[0]!);
  processes.dead.add(99);
  await system.advance(1500);
  assertEquals(processes.looks[0], tokens);
  assertEquals(recovered(), ["job2 cancelled", "job3 failed"]);
  assertEquals((await store.workers()).map(({ id }) => id).sort(), ["gone", "w"]);
  processes.stubborn.clear();
  await system.advance(1500);
  assertEquals(recovered().at(-1), "job1 failed");
  assertEquals((await store.workers()).map(({ id }) => id), ["w"]);
  for (const executor of world.runner.running.keys()) world.runner.exit(executor);
  world.supervisor.stop();
  await system.advance(0);
  await world.finished;
});

Deno.test("failure 27: a step of the wall clock takes nobody's lease", async () => {
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

Deno.test("failure 7: the attempt of a thread that failed is lost, and runs again when its processes are gone", async () => {
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
  await other.enqueue([newJob()], by(system.now()));
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
  await other.enqueue([newJob()], by(system.now()));
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

Deno.test("much output at an end is stored in several turns, and the job settled with the last of it", async () => {
  using inner = await memoryStore(1);
  const { store, turns } = observed(inner);
  const { runner, system, events, finished } = startSupervisor(store, { drain: true });
  await system.advance(0);
  const MIB = 2 ** 20;
  for (let part = 0; part < 3; part++) runner.output(1, "x".repeat(MIB), part * MIB);
  runner.exit(1);
  await system.advance(0);
  await finished;
  const written = turns.filter(({ output }) => output.length > 0);
  assertEquals(written.map(({ output, settled }) => [output.length, settled.length]), [
    [1, 0],
    [1, 0],
    [1, 1],
  ]);
  assertEquals(runner.stored_, [], "nobody prints any more");
  assertEquals(events.filter(({ event }) => event === "completed").length, 1);
  const [attempt] = await inner.attempts("job1");
  assertEquals((await inner.output(attempt!.seq, 0)).length, 3);
});

Deno.test("nothing is claimed while more than 16 MiB of what has ended are left to be stored", async () => {
  using inner = await memoryStore(2);
  const { store, turns } = observed(inner);
  const { runner, system, finished } = startSupervisor(store, { drain: true });
  await system.advance(0);
  const MIB = 2 ** 20;
  for (let part = 0; part < 18; part++) runner.output(1, "x".repeat(MIB), part * MIB);
  runner.exit(1, 0, 1000);
  await system.advance(0);
  const claims = turns.filter(({ idle }) => idle.length > 0);
  assertEquals(claims.length, 2, "the first claim, and one soon after");
  const before = turns.slice(0, turns.indexOf(claims[1]!)).filter(({ output }) =>
    output.length > 0
  );
  assertEquals(before.length, 2, "of eighteen");
  runner.exit(1);
  await system.advance(0);
  await finished;
  assertEquals((await inner.counts()).completed, 2);
});

Deno.test("failure 19: a turn renews the lease, so that jobs are ended only when there has been none for most of it", async () => {
  using inner = await memoryStore(1);
  let busy = false;
  const { store } = observed(inner, { fails: () => busy });
  const { runner, supervisor, system, finished } = startSupervisor(store);
  await system.advance(9500);
  runner.output(1, "a sign of life");
  await system.advance(0);
  busy = true;
  await system.advance(20_000);
  assertEquals(runner.stops, []);
  await system.advance(2000);
  assertEquals(runner.stops.length, 1);
  busy = false;
  runner.exit(1);
  supervisor.stop();
  await system.advance(1000);
  await finished;
});

Deno.test("what turns have written is synced to disk within a second, by a sync at a time that nobody waits for", async () => {
  using inner = await memoryStore(3);
  const synced: PromiseWithResolvers<void>[] = [];
  const { store } = observed(inner, {
    sync() {
      synced.push(Promise.withResolvers());
      return synced.at(-1)!.promise;
    },
  });
  const { runner, system, finished, isDone } = startSupervisor(store);
  await system.advance(1000);
  assertEquals(synced.length, 1, "the first claim");
  runner.exit(1);
  await system.advance(5000);
  runner.exit(1);
  await system.advance(5000);
  assertEquals((await inner.counts()).completed, 2);
  assertEquals(synced.length, 1, "the disk is still busy with the first");
  synced[0]!.resolve();
  await system.advance(1000);
  assertEquals(synced.length, 2);
  synced[1]!.reject(new Error("Too many open files (os error 24)"));
  await system.advance(1000);
  assertEquals(synced.length, 3, "that may pass");
  synced[2]!.resolve();
  await system.advance(5000);
  assertEquals(synced.length, 3, "nothing has been written since");

  runner.exit(1);
  await system.advance(1000);
  assertEquals([synced.length, isDone()], [4, false]);
  const failed = assertRejects(() => finished, Error, "disk I/O error");
  synced[3]!.reject(new Error("disk I/O error"));
  await system.advance(1000);
  await failed;
});

// --- Cancelling

/** A supervisor that runs job1, beside another connection to its store. */
async function runningOne(options: WorldOptions = {}) {
  const folder = tempFolder();
  const store = await openStore(folder.file("queue.db"));
  const other = await openStore(folder.file("queue.db"));
  const world = startSupervisor(store, options);
  await other.enqueue([newJob({ id: "job1" })], by(world.system.now()));
  await world.system.advance(1000);
  assertEquals(world.runner.running.size, 1);
  const cancel = async (force = false) => {
    await other.cancel({ ids: ["job1"] }, { force }, by(world.system.now()));
    world.ring();
    await world.system.advance(100);
  };
  return {
    ...world,
    store,
    cancel,
    [Symbol.asyncDispose]: async () => {
      world.supervisor.stop();
      await world.system.advance(0);
      await world.finished;
      for (const each of [store, other, folder]) each[Symbol.dispose]();
    },
  };
}

Deno.test("a job that is to be cancelled is ended with 700 ms of grace, once", async () => {
  await using world = await runningOne();
  const { cancel, runner, system, store } = world;
  await cancel();
  assertEquals(runner.stops, [{ executor: 1, graceMs: 700 }]);
  await cancel();
  await system.advance(5000);
  assertEquals(runner.stops.length, 1);
  runner.end(1, { kind: "signalled", signal: "SIGTERM" });
  await system.advance(0);
  assertEquals(await stateOf(store), { state: "cancelled", attempts: 1 });
  assertEquals(await outcomes(store), ["1 cancelled"]);
  assertEquals(world.events.at(-1), { event: "cancelled", job: "job1", attempt: 1 });
  await system.advance(10_000);
  assertEquals(runner.running.size, 0);
});

Deno.test("by force a job is ended without any grace, also when it has been asked nicely", async () => {
  await using world = await runningOne();
  const { cancel, runner } = world;
  await cancel();
  await cancel(true);
  await cancel();
  assertEquals(runner.stops.map(({ graceMs }) => graceMs), [700, 0]);
  runner.end(1, { kind: "interrupted" });
});

Deno.test("a cancelled job is settled only when nothing of it is left", async () => {
  await using world = await runningOne();
  const { cancel, runner, system, processes, store } = world;
  const [held] = await store.leases();
  const { token } = held!.lease;
  processes.stubborn.add(token);
  await cancel();
  runner.end(1, { kind: "interrupted" });
  await system.advance(3000);
  assertEquals(processes.looks[0], [token]);
  assertEquals(await outcomes(store), ["1 null"]);
  processes.stubborn.clear();
  await system.advance(1000);
  assertEquals(await outcomes(store), ["1 cancelled"]);
});

Deno.test("what a job that was not cancelled leaves running is not looked for", async () => {
  await using world = await runningOne();
  world.runner.exit(1, 1);
  await world.system.advance(100);
  assertEquals(world.processes.looks, []);
});

Deno.test("a job that completes although it was to be cancelled has completed", async () => {
  await using world = await runningOne();
  await world.cancel();
  world.runner.exit(1, 0);
  await world.system.advance(0);
  assertEquals(await stateOf(world.store), { state: "completed", attempts: 1 });
  assertEquals(world.events.at(-1)!.event, "completed");
});

Deno.test("a job that ended before it was known to be cancelled is cancelled all the same", async () => {
  await using world = await runningOne();
  const { store, runner, system } = world;
  await store.cancel({ ids: ["job1"] }, { force: false }, by(system.now()));
  runner.exit(1, 1);
  await system.advance(0);
  assertEquals(runner.stops, []);
  assertEquals(await stateOf(store), { state: "cancelled", attempts: 1 });
  assertEquals(world.events.at(-1)!.event, "cancelled");
});

Deno.test("of several running jobs only the one that is to be cancelled is ended", async () => {
  await using world = await runningOne({ count: 3 });
  const { store, runner, system, cancel } = world;
  await store.enqueue(["job2", "job3"].map((id) => newJob({ id })), by(system.now()));
  world.ring();
  await system.advance(1000);
  assertEquals(runner.running.size, 3);
  await cancel();
  assertEquals(runner.stops.length, 1);
  const { executor } = runner.stops[0]!;
  assertEquals(runner.running.get(executor)!.env.QUEUECTL_JOB_ID, "job1");
  for (const each of [1, 2, 3]) {
    runner.end(each, each === executor ? { kind: "interrupted" } : { kind: "exited", code: 0 });
  }
  await system.advance(0);
  const { cancelled, completed } = await store.counts();
  assertEquals([cancelled, completed], [1, 2]);
});

Deno.test("a wish to cancel outlives the worker that should have obeyed it", async () => {
  using store = await memoryStore(1);
  const machine = "boot-1 pids-1";
  await store.register(newWorker({ id: "gone", machine, process: { pid: 99, startedAt: "1" } }), 0);
  await claim(store, { now: Date.UTC(2030, 0, 1), worker: "gone" });
  await store.cancel({ ids: ["job1"] }, { force: false }, by(Date.UTC(2030, 0, 1)));
  const world = startSupervisor(store);
  world.processes.dead.add(99);
  await world.system.advance(2000);
  assertEquals(await stateOf(store), { state: "cancelled", attempts: 1 });
  assertEquals(world.runner.running.size, 0);
  const recovered = world.events.find(({ event }) => event === "recovered");
  assertEquals(recovered, {
    ...{ event: "recovered", job: "job1", attempt: 1, worker: "gone-1", state: "cancelled" },
  });
  await stopAll(world);
});

// --- What a worker takes

/** The ids of the jobs in the order in which one executor gets them, each completing at once. */
async function orderOf({ runner, system }: Supervised, jobs: number): Promise<string[]> {
  const order: string[] = [];
  for (let i = 0; i < jobs; i++) {
    await system.advance(0);
    order.push(runner.running.get(1)?.env.QUEUECTL_JOB_ID ?? "nothing");
    if (runner.running.size > 0) runner.exit(1);
  }
  await system.advance(0);
  return order;
}

async function storeWith(queues: string[]): Promise<Store> {
  const store = await memoryStore(0);
  const jobs = queues.map((queue, i) => newJob({ id: `${queue}${i}`, queue }));
  await store.enqueue(jobs, by(Date.UTC(2030, 0, 1)));
  return store;
}

Deno.test("queues take turns from job to job", async () => {
  using store = await storeWith(["a", "a", "a", "b", "b", "c"]);
  const world = startSupervisor(store, { drain: true });
  assertEquals(await orderOf(world, 6), ["a0", "b3", "c5", "a1", "b4", "a2"]);
  await world.finished;
});

Deno.test("a worker for some queues takes only theirs, and empties the first ones first", async () => {
  using store = await storeWith(["a", "b", "a", "c", "b", "d"]);
  const scope: Scope = { queues: ["a", "c", "b"], only: null };
  const world = startSupervisor(store, { drain: true, scope });
  await world.system.advance(0);
  assertEquals((await store.workers()).map(({ queues }) => queues), [["a", "c", "b"]]);
  assertEquals(await orderOf(world, 5), ["a0", "a2", "c3", "b1", "b4"]);
  await world.finished;
  assertEquals((await store.counts()).pending, 1);
});

Deno.test("a worker for one job runs that one with all its attempts, and ends", async () => {
  using store = await memoryStore(3, { maxRetries: 2 });
  const scope: Scope = { queues: null, only: "job2" };
  const { runner, system, finished, isDone } = startSupervisor(store, { scope, drain: true });
  await system.advance(0);
  assertEquals((await store.workers()).map(({ queues }) => queues), [[]]);
  assertEquals(runner.running.get(1)?.env.QUEUECTL_JOB_ID, "job2");
  runner.exit(1, 1);
  await system.advance(1999);
  assertEquals(runner.running.size, 0);
  assert(!isDone());
  await system.advance(1);
  runner.exit(1, 1);
  await system.advance(0);
  await finished;
  assertEquals(await stateOf(store, "job2"), { state: "dead", attempts: 2 });
  assertEquals((await store.counts()).pending, 2);
});

Deno.test("a worker for one job waits for it while it is blocked, and ends when it is cancelled", async () => {
  using store = await memoryStore(1);
  const after = [{ id: "job1", anyEnd: false }];
  await store.enqueue([newJob({ id: "job2", after })], by(0));
  const scope: Scope = { queues: null, only: "job2" };
  const { runner, system, finished, isDone, ring } = startSupervisor(store, { scope, drain: true });
  await system.advance(5000);
  assert(!isDone());
  assertEquals(runner.running.size, 0);
  await store.cancel({ ids: ["job1"] }, { force: false }, by(system.now()));
  ring();
  await system.advance(1000);
  await finished;
  assertEquals((await stateOf(store, "job2")).state, "cancelled");
});

Deno.test("a draining worker leaves paused queues and what waits for them alone, and ends", async () => {
  using store = await storeWith(["paused", "open"]);
  await store.changeQueue("paused", { paused: { reason: null } }, by(0));
  const after = [{ id: "paused0", anyEnd: false }];
  await store.enqueue([newJob({ id: "waits", queue: "open", after })], by(0));
  const world = startSupervisor(store, { drain: true });
  assertEquals(await orderOf(world, 1), ["open1"]);
  await world.finished;
  const { pending, blocked } = await store.counts();
  assertEquals([pending, blocked], [1, 1]);
});

Deno.test("what waited for a job runs in the turn that settles it", async () => {
  using inner = await memoryStore(1);
  await inner.enqueue([newJob({ id: "job2", after: [{ id: "job1", anyEnd: false }] })], by(0));
  const { store, turns } = observed(inner);
  const { runner, system, finished } = startSupervisor(store, { drain: true });
  await system.advance(0);
  runner.exit(1);
  await system.advance(0);
  assertEquals(turns.length, 2);
  assertEquals(runner.running.get(1)?.env.QUEUECTL_JOB_ID, "job2");
  runner.exit(1);
  await system.advance(0);
  await finished;
});

Deno.test("a queue that is resumed is served within a second, also without a hint", async () => {
  using folder = tempFolder();
  using store = await openStore(folder.file("queue.db"));
  using other = await openStore(folder.file("queue.db"));
  await other.changeQueue("default", { paused: { reason: null } }, by(0));
  await other.enqueue([newJob()], by(0));
  const world = startSupervisor(store, { pollMs: 3_600_000 });
  await world.system.advance(5000);
  assertEquals(world.runner.running.size, 0);
  await other.changeQueue("default", { paused: null }, by(0));
  await world.system.advance(1000);
  assertEquals(world.runner.running.size, 1);
  world.runner.exit(1);
  await stopAll(world);
});

Deno.test("a job that is put off runs again when its time has come, and no attempt is counted", async () => {
  using store = await memoryStore(1, { snoozeMs: 5000, maxRetries: 1 });
  const { runner, system, finished, events } = startSupervisor(store, { drain: true });
  await system.advance(0);
  runner.exit(1, 75);
  await system.advance(4999);
  assertEquals(runner.running.size, 0);
  assertEquals(events.at(-1), { event: "snoozed", job: "job1", attempt: 1, retryInMs: 5000 });
  await system.advance(1);
  assertEquals(runner.running.get(1)?.env.QUEUECTL_ATTEMPT, "1");
  runner.exit(1);
  await system.advance(0);
  await finished;
  assertEquals(await stateOf(store), { state: "completed", attempts: 1 });
  assertEquals(await outcomes(store), ["1 interrupted", "1 completed"]);
});
