import type { Job } from "../job.ts";
import type { Store } from "../store/store.ts";
import type { System } from "../system.ts";
import type { Circumstances } from "./format/waits.ts";
import { liveWorkers } from "./live_workers.ts";

/** What these jobs may be waiting for, at this moment. */
export async function circumstancesOf(
  store: Store,
  system: System,
  jobs: readonly Job[],
): Promise<Circumstances> {
  const blocked = jobs.filter(({ state }) => state === "blocked").map(({ id }) => id);
  return {
    now: system.now(),
    workers: await liveWorkers(store, system),
    queues: await store.queues(),
    blockers: blocked.length > 0 ? await store.blockers(blocked) : [],
  };
}
