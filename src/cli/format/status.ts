import { pausedText } from "./waits.ts";
import { isoTime } from "../../job_json.ts";
import { JOB_STATES, workerOf } from "../../job.ts";
import type { HeldLease, JobCounts, Queue, Worker } from "../../store/store.ts";
import { type Cell, type Column, table } from "./table.ts";
import { type Paint, stateColor } from "./text.ts";
import { clockTime, relativeTime } from "./time.ts";

export interface Status {
  counts: JobCounts;
  /** Queues of which nothing starts. */
  paused: readonly Queue[];
  /** The live ones. */
  workers: readonly Worker[];
  leases: readonly HeldLease[];
}

const SHOWN_IDS = 4;

/** The status as `--json` shows it. */
export function statusJson({ counts, workers, leases }: Status) {
  const running = runningIds(leases);
  return {
    jobs: counts,
    workers: workers.map((worker) => ({
      id: worker.id,
      host: worker.host,
      pid: worker.process.pid,
      count: worker.count,
      started_at: isoTime(worker.startedAt),
      heartbeat_at: isoTime(worker.heartbeatAt),
      running: running.get(worker.id) ?? [],
    })),
  };
}

const COUNT_COLUMNS: Column[] = [{ title: "STATE" }, { title: "JOBS", align: "right" }];
const WORKER_COLUMNS: Column[] = [
  { title: "WORKER" },
  { title: "PID", align: "right" },
  { title: "HOST" },
  { title: "STARTED" },
  { title: "BUSY" },
  { title: "RUNNING" },
];

/** The page of `status`: the counts and the live workers. */
export function statusPage(
  { counts, paused, workers, leases }: Status,
  look: { now: number; width: number; paint: Paint; line: boolean },
): string {
  const rows = JOB_STATES.map((state): Cell[] => [
    { text: state, color: stateColor(state) },
    { text: grouped(counts[state]), color: counts[state] ? "bold" : "dim" },
  ]);
  const pauses = paused.map((queue) =>
    `${look.paint(pausedText(queue), "yellow")} (${queue.name}, since ${
      clockTime(queue.pausedAt!, look.now)
    })\n`
  );
  const parts = [table(COUNT_COLUMNS, rows, look), pauses.join("")];
  parts.push(workerTable({ workers, leases }, look));
  return parts.filter((part) => part !== "").join("\n");
}

// Not toLocaleString: loading what it knows of languages takes longer than the whole command.
function grouped(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** The table of `worker list`. */
export function workerTable(
  { workers, leases }: Pick<Status, "workers" | "leases">,
  look: { now: number; width: number; paint: Paint; line: boolean },
): string {
  if (workers.length === 0) return "No worker is running\n";
  const runningIn = runningIds(leases);
  const rows = workers.map((worker): Cell[] => {
    const running = runningIn.get(worker.id) ?? [];
    return [
      { text: worker.id },
      { text: String(worker.process.pid) },
      { text: worker.host },
      { text: relativeTime(worker.startedAt, look.now), color: "dim" },
      { text: `${running.length} of ${worker.count}` },
      { text: someIds(running), color: "cyan" },
    ];
  });
  return table(WORKER_COLUMNS, rows, look);
}

// Ids are never cut: of many, the first few are shown.
function someIds(ids: readonly string[]): string {
  const more = ids.length - SHOWN_IDS;
  return more > 0 ? `${ids.slice(0, SHOWN_IDS).join(" ")} +${more}` : ids.join(" ");
}

/** What each worker process runs: of each executor the first job, behind which those claimed ahead wait. */
function runningIds(leases: readonly HeldLease[]): Map<string, string[]> {
  const inOrder = leases.toSorted((a, b) => a.lease.attempt - b.lease.attempt);
  const running = new Map<string, string[]>();
  for (const [executor, [first]] of Map.groupBy(inOrder, ({ job }) => job.workerId!)) {
    const worker = workerOf(executor);
    running.set(worker, [...running.get(worker) ?? [], first!.job.id]);
  }
  return running;
}
