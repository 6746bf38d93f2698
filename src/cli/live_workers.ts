import type { Store, Worker } from "../store/store.ts";
import type { System } from "../system.ts";
import { DeathWatch } from "../worker/death.ts";
import { realProcesses } from "../worker/processes.ts";

/**
 * The worker processes that live, as far as one look can tell: on other machines by their last sign
 * of life.
 */
export async function liveWorkers(store: Store, system: System): Promise<Worker[]> {
  const workers = await store.workers();
  const dead = new DeathWatch(realProcesses, Deno.hostname()).look(workers, system.monotonic());
  const now = system.now();
  const here = realProcesses.machineId();
  return workers.filter(({ id, machine, heartbeatAt, leaseMs }) =>
    !dead.has(id) &&
    (machine === here || now - heartbeatAt <= 2 * leaseMs)
  );
}
