import type { Job } from "../../job.ts";
import { type Cell, type Column, table } from "./table.ts";
import { type Paint, printable, stateColor } from "./text.ts";
import { relativeTime } from "./time.ts";
import { type Circumstances, waitsFor } from "./waits.ts";

const COLUMNS: Column[] = [
  { title: "ID" },
  { title: "STATE" },
  { title: "TRIES", align: "right" },
  { title: "WHEN, OR WAITS FOR", flexible: true },
  { title: "COMMAND", flexible: true },
];

/** The table of `list`. */
export function jobTable(
  jobs: readonly Job[],
  circumstances: Circumstances,
  { now, width, paint, line }: { now: number; width: number; paint: Paint; line: boolean },
): string {
  const rows = jobs.map((job): Cell[] => [
    { text: job.id },
    { text: job.state, color: stateColor(job.state) },
    { text: `${job.attempts}/${Math.max(1, job.maxRetries)}` },
    { text: whenText(job, circumstances, now), color: "dim" },
    { text: printable(job.command) },
  ]);
  return table(COLUMNS, rows, { width, paint, line });
}

/** What an unfinished job waits for, else the instant that matters most. */
function whenText(job: Job, circumstances: Circumstances, now: number): string {
  switch (job.state) {
    case "blocked":
    case "pending":
    case "failed":
      return waitsFor(job, circumstances)!;
    case "processing":
      return waitsFor(job, circumstances) ??
        `since ${relativeTime(job.startedAt!, now).replace(/ ago$/, "")}`;
    case "completed":
    case "dead":
    case "cancelled":
      return relativeTime(job.finishedAt ?? job.updatedAt, now);
  }
}
