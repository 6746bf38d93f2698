import { type Job, workerOf } from "../job.ts";
import type { Store, Worker } from "../store/store.ts";
import type { System } from "../system.ts";
import type { Circumstances } from "./format/waits.ts";
import { liveWorkers } from "./live_workers.ts";

/** What these jobs may be waiting for, at this moment. */
export async function circumstancesOf(
  store: Store,
  system: System,
  jobs: readonly Job[],
): Promise<Circumstances> {
  const workers = await liveWorkers(store, system);
  const blocked = jobs.filter(({ state }) => state === "blocked").map(({ id }) => id);
  return {
    now: system.now(),
    workers,
    queues: await store.queues(),
    blockers: blocked.length > 0 ? await store.blockers(blocked) : [],
    lost: await lostOf(store, workers, jobs),
  };
}

/** Which of the jobs are running by none of the `workers` that live, by their ids. */
async function lostOf(
  store: Store,
  workers: readonly Worker[],
  jobs: readonly Job[],
): Promise<string[]> {
  const isLost = ({ state, workerId }: Job) =>
    state === "processing" && !workers.some(({ id }) => id === workerOf(workerId!));
  if (!jobs.some(isLost)) return [];
  // Looked at again: a worker that was ending has taken leave when its jobs had ended.
  return (await store.leases()).map(({ job }) => job).filter(isLost).map(({ id }) => id);
}
