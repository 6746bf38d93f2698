import type { NewJob } from "../../job.ts";
import type { JobCounts } from "../../store/store.ts";
import { cut, printable } from "./text.ts";

/** What a person reads after an enqueue: what happened, and what is missing for it to run. */
export function hint(jobs: readonly NewJob[], counts: JobCounts, workersRun: boolean): string {
  const what = jobs.length === 1
    ? `Enqueued: ${cut(printable(jobs[0]!.command), 60)}`
    : `Enqueued ${jobs.length} jobs`;
  const added = `${what} (${counts.pending} pending)\n`;
  return workersRun
    ? added
    : `${added}No worker is running; start one with: queuectl worker start\n`;
}
