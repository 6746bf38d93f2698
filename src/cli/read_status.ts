import type { Store } from "../store/store.ts";
import type { System } from "../system.ts";
import type { Status } from "./format/status.ts";
import { liveWorkers } from "./live_workers.ts";

/** The counts, the live workers and what they run, at this moment. */
export async function readStatus(store: Store, system: System): Promise<Status> {
  return {
    counts: await store.counts(),
    paused: (await store.queues()).filter(({ pausedAt }) => pausedAt !== null),
    workers: await liveWorkers(store, system),
    leases: await store.leases(),
  };
}
