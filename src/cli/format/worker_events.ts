import { isoTime } from "../../job_json.ts";
import type { WorkerEvent } from "../../worker/events.ts";
import { type Color, cut, type Paint, printable } from "./text.ts";
import { span } from "./time.ts";

/** An event as a line for people; what a job printed may be several lines. */
export function eventLines(
  event: WorkerEvent,
  { now, paint }: { now: number; paint: Paint },
): string {
  const time = paint(new Date(now).toTimeString().slice(0, 8), "dim");
  if (event.event === "output") return outputLines(event.job, event.printed.chunks, paint);
  const [color, text] = describe(event);
  return `${time} ${paint(event.event.padEnd(11), color)} ${text}\n`;
}

function describe(event: Exclude<WorkerEvent, { event: "output" }>): [Color, string] {
  switch (event.event) {
    case "started": {
      const executors = event.count === 1 ? "1 executor" : `${event.count} executors`;
      return ["bold", `worker ${event.worker}, pid ${event.pid}, ${executors}`];
    }
    case "claimed":
      return [
        "cyan",
        `${event.job} attempt ${event.attempt}: ${cut(printable(event.command), 80)}`,
      ];
    case "completed":
      return ["green", `${event.job} attempt ${event.attempt} in ${span(event.durationMs)}`];
    case "failed":
      return [
        "yellow",
        `${event.job} attempt ${event.attempt}: ${reason(event.error)}; next attempt ${
          inTime(event.retryInMs)
        }`,
      ];
    case "dead":
      return [
        "red",
        `${event.job} attempt ${event.attempt}: ${reason(event.error)}; no further attempt`,
      ];
    case "interrupted":
      return ["yellow", `${event.job} attempt ${event.attempt}; the job is pending again`];
    case "snoozed":
      return [
        "yellow",
        `${event.job} attempt ${event.attempt}: put off; next attempt ${inTime(event.retryInMs)}`,
      ];
    case "cancelled":
      return ["magenta", `${event.job} attempt ${event.attempt}`];
    case "recovered":
      return [
        "yellow",
        `${event.job} attempt ${event.attempt}, lost by ${event.worker}; the job is ${event.state}`,
      ];
    case "lost":
      return [
        "red",
        `${event.job} attempt ${event.attempt}: ${reason(event.reason)}; its result is not used`,
      ];
    case "warning":
      return ["yellow", printable(event.message)];
    case "stopping":
      return [
        "bold",
        event.force
          ? `ending ${event.running} running jobs`
          : `no new jobs; ${event.running} still running (once more: end them)`,
      ];
    case "stopped":
      return ["bold", `worker ${event.worker}`];
  }
}

function reason(text: string): string {
  return printable(text).replace(/^./, (first) => first.toLowerCase());
}

function inTime(ms: number): string {
  return ms === 0 ? "now" : `in ${span(ms)}`;
}

function outputLines(
  job: string,
  chunks: readonly { bytes: Uint8Array }[],
  paint: Paint,
): string {
  return chunks.map(({ bytes }) =>
    new TextDecoder().decode(bytes).replace(/\n$/, "").split("\n")
      .map((line) => `${paint(`${job} |`, "dim")} ${printable(line)}\n`).join("")
  ).join("");
}

/** An event as `--json` shows it. */
export function eventJson(event: WorkerEvent, now: number): Record<string, unknown> {
  const at = isoTime(now);
  if (event.event !== "output") {
    const entries = Object.entries(event).map(([key, value]) => [
      key.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`),
      value,
    ]);
    return { at, ...Object.fromEntries(entries) };
  }
  const printed = event.printed.chunks.map(({ stream, bytes }) => ({
    stream,
    text: new TextDecoder().decode(bytes),
  }));
  return { at, event: event.event, job: event.job, printed };
}
