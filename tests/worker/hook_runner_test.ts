import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { jobJson } from "../../src/job_json.ts";
import { settingsFrom } from "../../src/settings.ts";
import { openStore, openStoreIfAny } from "../../src/store/open.ts";
import type { Store } from "../../src/store/store.ts";
import { HookRunner } from "../../src/worker/hook_runner.ts";
import type { Hook } from "../../src/worker/hooks.ts";
import type { World } from "../../src/worker/supervisor.ts";
import { by, claim, newJob, newWorker, tempFolder } from "../helpers/store.ts";
import { settle, startSupervisor, type WorldOptions } from "../helpers/world.ts";

const NOW = Date.UTC(2030, 0, 1);
const HOOKS = ["hook_completed", "hook_dead", "hook_idle"] as const;

/** A store with jobs, in which all hooks are set to commands like `./hook_dead`, or only some. */
async function storeWith(
  jobs: Parameters<typeof newJob>[0][],
  hooks: readonly (typeof HOOKS)[number][] = HOOKS,
): Promise<Store> {
  const store = await openStoreIfAny("/nonexistent/queue.db");
  for (const hook of hooks) await store.changeSetting(hook, `./${hook}`);
  await store.enqueue(jobs.map((said) => newJob(said)), by(NOW));
  return store;
}

type Started = ReturnType<typeof startSupervisor>;

/** Starts a supervisor with a job on each executor. */
async function start(store: Store, options: WorldOptions = {}): Promise<Started> {
  const world = startSupervisor(store, options);
  await world.system.advance(0);
  return world;
}

async function stop({ supervisor, system, finished, runner }: Started) {
  supervisor.stop();
  for (const executor of runner.running.keys()) runner.end(executor, { kind: "interrupted" });
  await system.advance(0);
  await finished;
}

/** What each hook was told of: `hook_dead job1`. */
function told(hooks: readonly Hook[]): string[] {
  return hooks.map(({ name, env }) => [name, env.QUEUECTL_JOB_ID].join(" ").trim());
}

Deno.test("a job that has completed is told with its variables and as JSON", async () => {
  using store = await storeWith([{ id: "a", queue: "reports", okCodes: [3] }], ["hook_completed"]);
  const world = await start(store);
  world.runner.exit(1, 3);
  await world.system.advance(0);
  const job = await store.find("a");
  assertEquals(world.hooks, [{
    name: "hook_completed",
    command: "./hook_completed",
    env: {
      QUEUECTL_HOOK: "completed",
      QUEUECTL_JOB_ID: "a",
      QUEUECTL_STATE: "completed",
      QUEUECTL_QUEUE: "reports",
      QUEUECTL_ATTEMPT: "1",
      QUEUECTL_EXIT_CODE: "3",
    },
    input: JSON.stringify(jobJson(job)) + "\n",
  }]);
  await stop(world);
});

Deno.test("a job that has died is told once, after its last attempt, without an exit code that it has not", async () => {
  using store = await storeWith([{ id: "a", maxRetries: 2, backoffBase: 1 }], ["hook_dead"]);
  const world = await start(store);
  world.runner.exit(1, 1);
  await world.system.advance(1000);
  assertEquals(world.hooks, []);
  world.runner.end(1, { kind: "signalled", signal: "SIGKILL" });
  await world.system.advance(0);
  assertEquals(world.hooks.map(({ env }) => env), [{
    QUEUECTL_HOOK: "dead",
    QUEUECTL_JOB_ID: "a",
    QUEUECTL_STATE: "dead",
    QUEUECTL_QUEUE: "default",
    QUEUECTL_ATTEMPT: "2",
  }]);
  const { id, state, signal } = JSON.parse(world.hooks[0]!.input);
  assertEquals([id, state, signal], ["a", "dead", "SIGKILL"]);
  await stop(world);
});

Deno.test("a job that dies with its worker is told by the worker that finds it", async () => {
  using store = await storeWith([{ id: "a", maxRetries: 1 }], ["hook_dead"]);
  const machine = "boot-1 pids-1";
  await store.register(newWorker({ id: "gone", machine, process: { pid: 99, startedAt: "1" } }), 0);
  await claim(store, { now: NOW, worker: "gone" });
  const world = startSupervisor(store);
  world.processes.dead.add(99);
  await world.system.advance(2000);
  assertEquals(told(world.hooks), ["hook_dead a"]);
  await stop(world);
});

Deno.test("that nothing is left to run is told without a job, after the last one has ended", async () => {
  using store = await storeWith([{ id: "a" }, { id: "b" }, { id: "c", maxRetries: 1 }]);
  const world = await start(store);
  for (const code of [0, 0, 1]) {
    world.runner.exit(1, code);
    await world.system.advance(0);
  }
  const jobs = ["hook_completed a", "hook_completed b", "hook_dead c"];
  assertEquals(told(world.hooks), [...jobs, "hook_idle"]);
  const { env, input, command } = world.hooks.at(-1)!;
  assertEquals({ env, input, command }, {
    ...{ env: { QUEUECTL_HOOK: "idle" }, input: "", command: "./hook_idle" },
  });
  await world.system.advance(10_000);
  assertEquals(world.hooks.length, 4);
  await stop(world);
});

Deno.test("jobs that end together are told in their order", async () => {
  const ids = ["a", "b", "c", "d"];
  using store = await storeWith(ids.map((id) => ({ id })));
  const world = await start(store, { count: 4 });
  for (const executor of [3, 1, 4, 2]) world.runner.exit(executor);
  await world.system.advance(0);
  const order = ["c", "a", "d", "b"].map((id) => `hook_completed ${id}`);
  assertEquals(told(world.hooks), [...order, "hook_idle"]);
  await stop(world);
});

Deno.test("attempts that are to be repeated, put off, interrupted or cancelled are not told", async () => {
  using store = await storeWith([
    { id: "failed" },
    { id: "snoozed", snoozeMs: 60_000 },
    { id: "cancelled" },
    { id: "interrupted" },
  ]);
  const world = await start(store, { count: 4 });
  await store.cancel({ ids: ["cancelled"] }, { force: false }, by(NOW));
  world.runner.exit(1, 1);
  world.runner.exit(2, 75);
  world.runner.exit(3, 1);
  world.runner.end(4, { kind: "interrupted" });
  await world.system.advance(0);
  const states = (await store.list({}, 9)).jobs.map(({ state }) => state);
  assertEquals(states, ["failed", "pending", "cancelled", "processing"]);
  assertEquals(world.hooks, []);
  await stop(world);
});

Deno.test("idleness is told when the last job was cancelled", async () => {
  using store = await storeWith([{ id: "a" }]);
  const world = await start(store);
  await store.cancel({ ids: ["a"] }, { force: false }, by(NOW));
  world.runner.exit(1, 1);
  await world.system.advance(0);
  assertEquals(told(world.hooks), ["hook_idle"]);
  await stop(world);
});

Deno.test("idleness is not told while a job is still to come, nor where there was none", async () => {
  using store = await storeWith([], ["hook_idle"]);
  const world = await start(store);
  await world.system.advance(5000);
  await store.enqueue([newJob({ backoffBase: 60 }), newJob()], by(NOW));
  world.ring();
  await world.system.advance(1000);
  world.runner.exit(1, 1);
  await world.system.advance(0);
  world.runner.exit(1, 0);
  await world.system.advance(30_000);
  assertEquals(world.hooks, [], "a retry is due in a minute");
  await world.system.advance(30_000);
  world.runner.exit(1, 0);
  await world.system.advance(0);
  assertEquals(told(world.hooks), ["hook_idle"]);
  await stop(world);
});

Deno.test("of several workers the one with the last job tells that nothing is left", async () => {
  using folder = tempFolder();
  using store = await openStore(folder.file("queue.db"));
  using other = await openStore(folder.file("queue.db"));
  await store.changeSetting("hook_idle", "./hook_idle");
  await store.enqueue([newJob(), newJob()], by(NOW));
  const first = await start(store);
  const { system, processes } = first;
  const second = await start(other, { id: "second", pid: 2, system, processes });
  first.runner.exit(1);
  await system.advance(1000);
  assertEquals([first.hooks, second.hooks], [[], []]);
  second.runner.exit(1);
  await system.advance(1000);
  assertEquals([first.hooks.length, second.hooks.length], [0, 1]);
  for (const { supervisor } of [first, second]) supervisor.stop();
  await system.advance(0);
  await Promise.all([first.finished, second.finished]);
});

Deno.test("a worker for one job does not take the end of that one for the end of all", async () => {
  using store = await storeWith([{ id: "a" }, { id: "b" }]);
  const scope = { queues: null, only: "b" };
  const { runner, system, hooks, finished } = await start(store, { scope, drain: true });
  runner.exit(1);
  await system.advance(0);
  await finished;
  assertEquals(told(hooks), ["hook_completed b"]);
});

Deno.test("a worker that was told to stop tells of the jobs that end, and of nothing being left", async () => {
  using store = await storeWith([{ id: "a" }]);
  const { runner, supervisor, system, hooks, finished } = await start(store);
  supervisor.stop();
  runner.exit(1);
  await system.advance(0);
  await finished;
  assertEquals(told(hooks), ["hook_completed a", "hook_idle"]);
});

Deno.test("hooks that are not set are not run, and a change is obeyed within a second", async () => {
  using store = await storeWith([{ id: "a" }, { id: "b", maxRetries: 1 }, { id: "c" }], []);
  const world = await start(store);
  world.runner.exit(1);
  await world.system.advance(0);
  assertEquals(world.hooks, []);
  await store.changeSetting("hook_dead", "echo dead");
  await world.system.advance(1000);
  world.runner.exit(1, 1);
  await world.system.advance(0);
  assertEquals(world.hooks.map(({ command }) => command), ["echo dead"]);
  await store.changeSetting("hook_dead", undefined);
  await world.system.advance(1000);
  world.runner.exit(1, 1);
  await world.system.advance(0);
  assertEquals(world.hooks.length, 1);
  await stop(world);
});

Deno.test("a job that was deleted before its hook could begin is a warning, and no other job is told for it", async () => {
  using store = await storeWith([{ id: "abcd-2" }]);
  const hooks: Hook[] = [];
  const warnings: string[] = [];
  const world = {
    store,
    hooks: { run: (hook) => hooks.push(hook), finished: () => Promise.resolve(), end() {} },
    report: (event) => event.event === "warning" && warnings.push(event.message),
  } as Partial<World> as World;
  const settings = { ...settingsFrom(new Map()), hook_completed: "true" };
  const { promise: quiet, resolve } = Promise.withResolvers<void>();
  const runner = new HookRunner(world, () => settings, resolve);
  for (const job of ["gone", "abcd", "abcd-2"]) {
    runner.told({ event: "completed", job, attempt: 1, durationMs: 5 });
  }
  await quiet;
  assertEquals(told(hooks), ["hook_completed abcd-2"]);
  assertEquals(warnings.length, 2);
  assertStringIncludes(warnings[0]!, "hook_completed of job gone");
  assertStringIncludes(warnings[1]!, "hook_completed of job abcd ");
});

Deno.test("a worker stops only when its hooks have ended", async () => {
  using store = await storeWith([{ id: "a" }]);
  const { promise, resolve } = Promise.withResolvers<void>();
  let ended = false;
  const world = startSupervisor(store, {
    drain: true,
    hooks: { run() {}, finished: () => promise, end: () => ended = true },
  });
  await world.system.advance(0);
  world.runner.exit(1);
  await world.system.advance(20_000);
  assert(!world.isDone());
  assertEquals(ended, false);
  resolve();
  await world.system.advance(0);
  await settle();
  assert(world.isDone());
  await world.finished;
});

Deno.test("a worker that is stopped by force ends its hooks at once", async () => {
  using store = await storeWith([{ id: "a" }]);
  let ended = false;
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = () => {
    ended = true;
    resolve();
  };
  const world = startSupervisor(store, { hooks: { run() {}, finished: () => promise, end } });
  await world.system.advance(0);
  world.supervisor.stop();
  world.runner.exit(1);
  await world.system.advance(1000);
  assert(!ended);
  world.supervisor.stop();
  assert(ended);
  await world.system.advance(0);
  await world.finished;
});
