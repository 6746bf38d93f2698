import { assertEquals } from "@std/assert";
import type { ProcessId, Worker } from "../../src/store/store.ts";
import { DeathWatch } from "../../src/worker/death.ts";
import type { Processes } from "../../src/worker/processes.ts";
import { newWorker } from "../helpers/store.ts";

const HERE = "boot-1 pid:[1]";
const LEASE_MS = 10_000;
const DIED = "Its worker died";
const SILENT = "Its worker stopped renewing the lease";

/** A machine whose living processes are those in `alive`. */
function machineWith(alive: ProcessId[] = [], machine = HERE): Processes {
  return {
    machineId: () => machine,
    identify: () => null,
    isAlive: ({ pid, startedAt }) =>
      alive.some((process) => process.pid === pid && process.startedAt === startedAt),
    killLeftovers: () => new Set(),
  };
}

function worker(said: Partial<Worker> = {}): Worker {
  const born = { startedAt: 0, heartbeatAt: 0, beat: 0, stop: null };
  return { ...newWorker({ id: "w", machine: HERE, leaseMs: LEASE_MS }), ...born, ...said };
}

/** Looks once a second from `from` to `to`, and returns the last verdict on the worker "w". */
function lookEverySecond(
  watch: DeathWatch,
  { from, to }: { from: number; to: number },
  workerAt: (now: number) => Worker,
): string | undefined {
  let verdict: string | undefined;
  for (let now = from; now <= to; now += 1000) verdict = watch.look([workerAt(now)], now).get("w");
  return verdict;
}

const elsewhere = { machine: "boot-9 pid:[9]", host: "there" };

Deno.test("a worker on this machine whose process is gone is dead at the first look", () => {
  const watch = new DeathWatch(machineWith([]), "here");
  assertEquals(watch.look([worker()], 0), new Map([["w", DIED]]));
});

Deno.test("a worker on this machine whose process lives is not dead", () => {
  const watch = new DeathWatch(machineWith([{ pid: 5, startedAt: "100" }]), "here");
  assertEquals(watch.look([worker({ process: { pid: 5, startedAt: "100" } })], 0).size, 0);
});

Deno.test("failure 8: another process under the same id does not keep a worker alive", () => {
  const watch = new DeathWatch(machineWith([{ pid: 5, startedAt: "200" }]), "here");
  const dead = watch.look([worker({ process: { pid: 5, startedAt: "100" } })], 0);
  assertEquals(dead.get("w"), DIED);
});

Deno.test("failure 8: a worker of this host before its last boot is dead at the first look", () => {
  const watch = new DeathWatch(machineWith([]), "here");
  assertEquals(watch.look([worker({ machine: "boot-0 pid:[1]" })], 0).get("w"), DIED);
});

Deno.test("a worker in another container of this boot is judged by its beat, not by its process", () => {
  const watch = new DeathWatch(machineWith([]), "here");
  assertEquals(watch.look([worker({ machine: "boot-1 pid:[2]" })], 0).size, 0);
});

Deno.test("a worker on another machine is dead once its beat has not changed for its lease", () => {
  const watch = new DeathWatch(machineWith(), "here");
  const silent = () => worker(elsewhere);
  assertEquals(lookEverySecond(watch, { from: 0, to: LEASE_MS }, silent), undefined);
  assertEquals(watch.look([silent()], LEASE_MS + 1).get("w"), SILENT);
});

Deno.test("a living process that does not renew its lease any more is dead too", () => {
  const watch = new DeathWatch(machineWith([{ pid: 4711, startedAt: "1000" }]), "here");
  const verdict = lookEverySecond(watch, { from: 0, to: LEASE_MS + 1000 }, () => worker());
  assertEquals(verdict, SILENT);
});

Deno.test("as long as its beat changes a worker lives", () => {
  const watch = new DeathWatch(machineWith(), "here");
  const beating = (now: number) => worker({ ...elsewhere, beat: Math.floor(now / 9000) });
  for (let to = 0; to <= 100_000; to += 1000) {
    assertEquals(lookEverySecond(watch, { from: to, to }, beating), undefined, `at ${to}`);
  }
});

Deno.test("a beat that changes in any direction is a sign of life", () => {
  const watch = new DeathWatch(machineWith(), "here");
  lookEverySecond(watch, { from: 0, to: 9000 }, () => worker({ ...elsewhere, beat: 50 }));
  const back = () => worker({ ...elsewhere, beat: 0 });
  assertEquals(lookEverySecond(watch, { from: 10_000, to: 19_000 }, back), undefined);
});

Deno.test("each worker has the lease that it was registered with", () => {
  const watch = new DeathWatch(machineWith(), "here");
  const workers = [1000, 5000, 60_000].map((leaseMs) =>
    worker({ ...elsewhere, id: String(leaseMs), leaseMs })
  );
  let dead = new Map<string, string>();
  for (let now = 0; now <= 6000; now += 500) dead = watch.look(workers, now);
  assertEquals([...dead.keys()], ["1000", "5000"]);
});

Deno.test("failure 27: time in which nobody watched does not count against a worker", () => {
  const watch = new DeathWatch(machineWith(), "here");
  const silent = () => worker(elsewhere);
  assertEquals(watch.look([silent()], 0).size, 0);
  // A machine that slept for a day: what was quiet meanwhile may have slept as well.
  const awake = 86_400_000;
  assertEquals(watch.look([silent()], awake).size, 0);
  assertEquals(lookEverySecond(watch, { from: awake, to: awake + 7000 }, silent), undefined);
  assertEquals(lookEverySecond(watch, { from: awake + 8000, to: awake + 9000 }, silent), SILENT);
});

Deno.test("failure 27: what the clocks on the wall say is irrelevant", () => {
  const watch = new DeathWatch(machineWith(), "here");
  const clocks = [0, 1e15, -1e15, Date.now()];
  const stepping = (now: number) =>
    worker({
      ...elsewhere,
      beat: Math.floor(now / 5000),
      heartbeatAt: clocks[(now / 1000) % clocks.length]!,
      startedAt: 1e15,
    });
  assertEquals(lookEverySecond(watch, { from: 0, to: 60_000 }, stepping), undefined);
});

Deno.test("a worker that was seen first in the middle has a whole lease from then on", () => {
  const watch = new DeathWatch(machineWith(), "here");
  for (let now = 0; now <= 60_000; now += 1000) watch.look([], now);
  const silent = () => worker(elsewhere);
  assertEquals(lookEverySecond(watch, { from: 61_000, to: 71_000 }, silent), undefined);
  assertEquals(lookEverySecond(watch, { from: 72_000, to: 72_000 }, silent), SILENT);
});

Deno.test("a worker that was forgotten and came back begins anew", () => {
  const watch = new DeathWatch(machineWith(), "here");
  const silent = () => worker(elsewhere);
  assertEquals(lookEverySecond(watch, { from: 0, to: 11_000 }, silent), SILENT);
  watch.look([], 12_000);
  assertEquals(lookEverySecond(watch, { from: 13_000, to: 20_000 }, silent), undefined);
});
