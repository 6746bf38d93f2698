import { isoTime } from "../../job_json.ts";
import type { Queue } from "../../store/store.ts";
import { type Cell, type Column, table } from "./table.ts";
import type { Paint } from "./text.ts";
import { relativeTime } from "./time.ts";
import { pausedText } from "./waits.ts";

/** A queue as `--json` shows it. */
export function queueJson({ name, pausedAt, pauseReason, maxRunning, jobs }: Queue) {
  return {
    name,
    paused: pausedAt !== null,
    paused_at: isoTime(pausedAt),
    reason: pauseReason,
    limit: maxRunning,
    jobs,
  };
}

const COLUMNS: Column[] = [
  { title: "QUEUE" },
  { title: "WAITING", align: "right" },
  { title: "RUNNING", align: "right" },
  { title: "LIMIT", align: "right" },
  { title: "DEAD", align: "right" },
  { title: "STATE", flexible: true },
];

export function queueTable(
  queues: readonly Queue[],
  look: { now: number; width: number; paint: Paint; line: boolean },
): string {
  const rows = queues.map((queue): Cell[] => {
    const { name, pausedAt, maxRunning, jobs } = queue;
    const paused = pausedAt === null
      ? "open"
      : `${pausedText(queue).replace("queue ", "")} (${relativeTime(pausedAt, look.now)})`;
    return [
      { text: name },
      { text: String(jobs.blocked + jobs.pending + jobs.failed) },
      { text: String(jobs.processing), color: "cyan" },
      { text: maxRunning === null ? "none" : String(maxRunning) },
      { text: String(jobs.dead), color: jobs.dead > 0 ? "red" : "dim" },
      { text: paused, color: pausedAt === null ? "green" : "yellow" },
    ];
  });
  return table(COLUMNS, rows, look);
}

/** How a queue stands, as a line. */
export function queueSentence(name: string, queue: Queue | undefined): string {
  const limit = queue?.maxRunning == null ? "no limit" : `limit ${queue.maxRunning}`;
  const state = queue == null || queue.pausedAt === null ? "open" : pausedText(queue);
  return `${name}: ${state}, ${limit}\n`;
}
