import { isoTime } from "../../job_json.ts";
import type { ShownSchedule } from "../read_schedules.ts";
import { type Cell, type Column, table } from "./table.ts";
import { type Paint, printable, stateColor } from "./text.ts";
import { relativeTime, zonedTime } from "./time.ts";

/** A schedule as `--json` shows it. */
export function scheduleJson(schedule: ShownSchedule) {
  return {
    name: schedule.name,
    cron: schedule.cron,
    time_zone: schedule.timeZone,
    missed: schedule.missed,
    command: schedule.command,
    paused: schedule.pausedAt !== null,
    next: schedule.next.map((tick) => isoTime(tick)),
    last_tick: isoTime(schedule.lastTick),
    last_job: schedule.lastJob,
    last_state: schedule.lastState,
  };
}

const COLUMNS: Column[] = [
  { title: "SCHEDULE" },
  { title: "CRON" },
  { title: "ZONE", flexible: true },
  { title: "NEXT", flexible: true },
  { title: "LAST" },
  { title: "COMMAND", flexible: true },
];

/** The table of `schedule list`; times are by the clock of its zone. */
export function scheduleTable(
  schedules: readonly ShownSchedule[],
  look: { now: number; width: number; paint: Paint; line: boolean },
): string {
  const rows = schedules.map((schedule): Cell[] => {
    const { name, cron, timeZone, command, pausedAt, next, lastState } = schedule;
    return [
      { text: name },
      { text: printable(cron) },
      { text: timeZone, color: "dim" },
      pausedAt === null
        ? {
          text: next.map((tick) => zonedTime(tick, look.now, timeZone)).join(", ") || "never again",
        }
        : { text: "paused", color: "yellow" },
      { text: lastText(schedule, look.now), color: lastState ? stateColor(lastState) : "dim" },
      { text: printable(command) },
    ];
  });
  return table(COLUMNS, rows, look);
}

function lastText({ lastTick, lastJob, lastState }: ShownSchedule, now: number): string {
  if (lastTick === null) return "not yet";
  const when = relativeTime(lastTick, now);
  if (lastJob === null) return when;
  return `${lastState ?? "deleted"} ${when}`;
}
