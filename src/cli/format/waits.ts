import type { Job } from "../../job.ts";
import { type Blocker, type Queue, serves, type Worker } from "../../store/store.ts";
import { clockTime, span } from "./time.ts";
import { printable } from "./text.ts";

/** What keeps a job from running, as far as it is not in the job itself. */
export interface Circumstances {
  now: number;
  /** The live ones. */
  workers: readonly Pick<Worker, "queues">[];
  queues: readonly Queue[];
  blockers: readonly Blocker[];
  /** The ids of running jobs whose workers have died. */
  lost: readonly string[];
}

/** Further away, an instant is said by the clock. */
const SOON_MS = 60_000;
const SHOWN_BLOCKERS = 3;

/** What an unfinished job waits for, in a few words; null if it waits for nothing. */
export function waitsFor(
  job: Pick<Job, "id" | "state" | "queue" | "runAt" | "attempts" | "maxRetries">,
  circumstances: Circumstances,
): string | null {
  switch (job.state) {
    case "blocked":
      return prerequisites(circumstances.blockers.filter((blocker) => blocker.job === job.id));
    case "pending":
    case "failed": {
      const reasons = [time(job, circumstances.now), obstacle(job.queue, circumstances)];
      return reasons.filter((reason) => reason !== null).join("; ") || "a free worker";
    }
    case "processing":
      return circumstances.lost.includes(job.id) ? recovery(circumstances) : null;
    case "completed":
    case "dead":
    case "cancelled":
      return null;
  }
}

function recovery({ workers }: Circumstances): string {
  return `its worker has died; ${
    workers.length === 0 ? "no worker is running" : "another one takes it back"
  }`;
}

function time(
  { state, runAt, attempts, maxRetries }: Pick<Job, "state" | "runAt" | "attempts" | "maxRetries">,
  now: number,
): string | null {
  const waitMs = runAt - now;
  if (state === "failed") {
    const due = waitMs > 0 ? `in ${span(waitMs)}` : "now";
    return `retry ${attempts + 1} of ${Math.max(1, maxRetries)} ${due}`;
  }
  if (waitMs <= 0) return null;
  return waitMs < SOON_MS ? `due in ${span(waitMs)}` : `due at ${clockTime(runAt, now)}`;
}

function obstacle(name: string, { workers, queues }: Circumstances): string | null {
  const queue = queues.find((queue) => queue.name === name);
  if (queue && queue.pausedAt !== null) return pausedText(queue);
  if (workers.length === 0) return "no worker is running";
  if (!workers.some((worker) => serves(worker, name))) {
    return `no worker serves queue ${name}`;
  }
  const { maxRunning, jobs } = queue ?? {};
  const isFull = maxRunning != null && jobs!.processing >= maxRunning;
  return isFull ? `queue limit ${maxRunning} reached` : null;
}

/** That a queue is paused, and why. */
export function pausedText({ pauseReason }: Pick<Queue, "pauseReason">): string {
  return pauseReason === null ? "queue paused" : `queue paused: ${printable(pauseReason)}`;
}

function prerequisites(blockers: readonly Blocker[]): string {
  if (blockers.length === 0) return "a free worker"; // the last one has just ended
  const shown = blockers.slice(0, SHOWN_BLOCKERS).map(({ needs, state }) => `${needs} (${state})`);
  const more = blockers.length - shown.length;
  return `after ${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
