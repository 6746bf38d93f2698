import type { NewJob } from "../../job.ts";
import { type JobCounts, type Queue, serves, type Worker } from "../../store/store.ts";
import { cut, printable } from "./text.ts";
import { pausedText } from "./waits.ts";

/** What a person reads after an enqueue: what happened, and what is missing for it to run. */
export function hint(
  jobs: readonly NewJob[],
  counts: JobCounts,
  { workers, queues }: {
    /** The live ones. */
    workers: readonly Pick<Worker, "queues">[];
    queues: readonly Pick<Queue, "name" | "pausedAt" | "pauseReason">[];
  },
): string {
  if (jobs.length === 0) return "Nothing was added: an unfinished job with this key exists\n";
  const what = jobs.length === 1
    ? `Enqueued: ${cut(printable(jobs[0]!.command), 60)}`
    : `Enqueued ${jobs.length} jobs`;
  return `${what} (${counts.pending} pending)\n${pausedHint(jobs, queues)}` +
    workerHint(jobs, workers);
}

/** That nothing will run for now, for each queue that is paused. */
export function pausedHint(
  jobs: readonly Pick<NewJob, "queue">[],
  queues: readonly Pick<Queue, "name" | "pausedAt" | "pauseReason">[],
): string {
  const names = new Set(jobs.map(({ queue }) => queue));
  return queues.filter(({ name, pausedAt }) => names.has(name) && pausedAt !== null)
    .map((queue) => `Nothing of ${queue.name} runs now, ${pausedText(queue)}\n`).join("");
}

function workerHint(
  jobs: readonly Pick<NewJob, "queue">[],
  workers: readonly Pick<Worker, "queues">[],
): string {
  if (workers.length === 0) {
    return "No worker is running; start one with: queuectl worker start\n";
  }
  const unserved = new Set(
    jobs.map(({ queue }) => queue)
      .filter((name) => !workers.some((worker) => serves(worker, name))),
  );
  return [...unserved].map((name) =>
    `No worker serves queue ${name}; start one with: queuectl worker start --queue ${name}\n`
  ).join("");
}
