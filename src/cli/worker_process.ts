import { newId } from "../ids.ts";
import { listenForBell } from "../store/bell.ts";
import { openStore } from "../store/open.ts";
import type { Store } from "../store/store.ts";
import type { System } from "../system.ts";
import { Hooks } from "../worker/hooks.ts";
import { Pool } from "../worker/pool.ts";
import { realProcesses } from "../worker/processes.ts";
import { findShell } from "../worker/shell.ts";
import { Supervisor, type SupervisorOptions, type World } from "../worker/supervisor.ts";

/** A worker process gives up waiting for the store soon and tries again: its leases must be kept. */
const BUSY_MS = 1000;
const CORES = navigator.hardwareConcurrency;
/**
 * The commands and the store need the other half of the cores. On two cores two threads even so: to start a
 * command mostly means waiting, and meanwhile the other thread can start the next.
 */
const THREADS = Math.min(CORES, Math.max(2, Math.floor(CORES / 2)));

export function openWorkerStore(path: string): Promise<Store> {
  return openStore(path, { busyMs: BUSY_MS });
}

/** This process as a worker process of the store at `path`. */
export function makeSupervisor(
  system: System,
  { store, path }: { store: Store; path: string },
  { count, report, ...options }: Omit<SupervisorOptions, "worker"> & Pick<World, "report"> & {
    count: number;
  },
): Supervisor {
  const shell = findShell();
  return new Supervisor({
    store,
    system,
    processes: realProcesses,
    runner: (events) => new Pool(events, { threads: Math.min(count, THREADS), shell }),
    hooks: new Hooks({ shell, report }),
    report,
    listen: (onRing) => listenForBell(path, "wake", onRing),
  }, {
    ...options,
    worker: {
      id: newId(8),
      host: Deno.hostname(),
      machine: realProcesses.machineId(),
      process: realProcesses.identify(Deno.pid)!,
      count,
    },
  });
}
