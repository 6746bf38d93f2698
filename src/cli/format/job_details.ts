import type { Attempt, Job } from "../../job.ts";
import { type Cell, type Column, table } from "./table.ts";
import { type Color, type Paint, printable, stateColor } from "./text.ts";
import { relativeTime, span } from "./time.ts";

const ATTEMPT_COLUMNS: Column[] = [
  { title: "TRY", align: "right" },
  { title: "OUTCOME" },
  { title: "STARTED" },
  { title: "TOOK", align: "right" },
  { title: "WORKER" },
  { title: "REASON", flexible: true },
];

/** The page of `show`, but for the last lines of output. */
export function jobDetails(
  job: Job,
  attempts: readonly Attempt[],
  waits: string | null,
  { now, width, paint }: { now: number; width: number; paint: Paint },
): string {
  const facts: [string, string, Color?][] = [
    ["job", job.id, "bold"],
    ["command", printable(job.command)],
    ["state", job.state, stateColor(job.state)],
  ];
  if (waits) facts.push(["waits for", waits]);
  if (job.lastError) facts.push(["last error", printable(job.lastError), "red"]);
  facts.push(
    ["attempts", `${job.attempts} of ${Math.max(1, job.maxRetries)}`],
    ["backoff", `${job.backoffBase} ** n seconds, at most ${span(job.backoffMaxMs)}`],
    ["timeout", job.timeoutMs === null ? "none" : span(job.timeoutMs)],
    ["folder", printable(job.cwd)],
    ["queue", `${printable(job.queue)}, priority ${job.priority}`],
    ["added", relativeTime(job.createdAt, now)],
  );
  const names = Object.keys(job.env);
  if (names.length > 0) facts.push(["environment", names.map(printable).join(", ")]);
  if (job.okCodes.length > 0) facts.push(["ok codes", `0, ${job.okCodes.join(", ")}`]);
  if (job.fatalCodes.length > 0) facts.push(["fatal codes", job.fatalCodes.join(", ")]);
  if (job.snoozeMs !== null) {
    facts.push(["snooze", `${span(job.snoozeMs)} after exit code 75; used: ${job.snoozes}`]);
  }
  if (job.key !== null) facts.push(["key", printable(job.key)]);
  if (job.schedule !== null) facts.push(["schedule", job.schedule]);
  if (job.tags.length > 0) facts.push(["tags", job.tags.map(printable).join(", ")]);
  const lines = facts.map(([name, value, color]) =>
    `${paint(name.padEnd(12), "dim")}${color ? paint(value, color) : value}\n`
  );
  if (attempts.length === 0) return lines.join("");
  const rows = attempts.map((attempt) => attemptRow(attempt, now));
  return lines.join("") + "\n" + table(ATTEMPT_COLUMNS, rows, { width, paint, line: false });
}

function attemptRow(attempt: Attempt, now: number): Cell[] {
  const outcome = attempt.outcome ?? "running";
  return [
    { text: String(attempt.attempt) },
    { text: outcome, color: outcomeColor(outcome) },
    { text: relativeTime(attempt.startedAt, now) },
    { text: span((attempt.finishedAt ?? now) - attempt.startedAt) },
    { text: attempt.workerId, color: "dim" },
    { text: printable(attempt.error ?? "") },
  ];
}

function outcomeColor(outcome: string): Color {
  if (outcome === "completed") return "green";
  return outcome === "running" ? "cyan" : "yellow";
}
