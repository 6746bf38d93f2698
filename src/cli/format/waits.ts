import type { Job } from "../../job.ts";
import { span } from "./time.ts";

/** What an unfinished job waits for, in a few words; null if it waits for nothing. */
export function waitsFor(
  job: Pick<Job, "state" | "runAt" | "attempts" | "maxRetries">,
  { now, workersRun }: { now: number; workersRun: boolean },
): string | null {
  if (job.state !== "pending" && job.state !== "failed") return null;
  const waitMs = job.runAt - now;
  const due = waitMs > 0 ? `in ${span(waitMs)}` : "now";
  if (job.state === "failed") {
    const retry = `retry ${job.attempts + 1} of ${job.maxRetries} ${due}`;
    return workersRun ? retry : `${retry}; no worker is running`;
  }
  if (!workersRun) return "no worker is running";
  return waitMs > 0 ? `due ${due}` : "a free worker";
}
