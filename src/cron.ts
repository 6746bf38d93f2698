import { Cron, CronPattern } from "npm:croner@11.0.1";
import { operationFailed, quote } from "./errors.ts";

const FIELDS = [
  { name: "second", values: "0-59" },
  { name: "minute", values: "0-59" },
  { name: "hour", values: "0-23" },
  { name: "day of the month", values: "1-31" },
  { name: "month", values: "1-12 or JAN-DEC" },
  { name: "day of the week", values: "0-7 or SUN-SAT" },
];

const OPTIONS = {
  mode: "5-or-6-parts",
  // Otherwise `30 2,14 * * *` is not run at all, or run twice, at 02:30 when the clocks change.
  fixedTimeRule: "no-wildcard",
} as const;

/**
 * Why `text` cannot be a schedule in the IANA time zone, as the end of a sentence, or null if it can:
 * five fields, six with seconds first, or a nickname such as @daily, that come at least once.
 */
export function cronProblem(text: string, timeZone: string): string | null {
  if (!isTimeZone(timeZone)) return `no such time zone as ${quote(timeZone)}`;
  if (!isPattern(text)) return patternProblem(text);
  // Years do not count, so what comes at all comes after 1970.
  return nextTick(text, timeZone, 0) === null ? "it never comes" : null;
}

/**
 * The first tick strictly after `after`, in epoch milliseconds, a whole second; null if none comes.
 * Where the clocks change, a fixed time of day that they skip comes right after the gap, and one that
 * they repeat comes once. With a `*` or a step in its seconds, minutes or hours a schedule comes
 * whenever the clock shows such a time. `text` and `timeZone` have passed cronProblem.
 */
export function nextTick(text: string, timeZone: string, after: number): number | null {
  try {
    const cron = new Cron(text, { ...OPTIONS, timezone: timeZone });
    return cron.nextRun(new Date(after))?.getTime() ?? null;
  } catch (error) {
    const reason = (error as Error).message;
    throw operationFailed(
      `Cannot find the next tick of ${quote(text)} in ${quote(timeZone)}: ${reason}`,
      error,
    );
  }
}

/** The IANA name of the time zone that this computer is set to; UTC where it has no name. */
export function systemTimeZone(): string {
  // Deno gives undefined or Etc/Unknown where TZ is empty or wrong.
  const name: string | undefined = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return name !== undefined && isTimeZone(name) ? name : "UTC";
}

/** Whether there is an IANA time zone with this name. */
export function isTimeZone(name: string): boolean {
  // Intl accepts +02:00 as well, in which the clocks never change.
  if (/^[+-]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** Cron itself also reads dates, so CronPattern is asked. */
function isPattern(text: string): boolean {
  try {
    new CronPattern(text, undefined, OPTIONS);
    return true;
  } catch {
    return false;
  }
}

function patternProblem(text: string): string {
  const fields = text.trim().split(/\s+/);
  if (fields[0]!.startsWith("@")) return "expected @hourly, @daily, @weekly, @monthly or @yearly";
  if (fields.length < 5 || fields.length > 6) {
    return "expected five fields, or six with seconds first";
  }
  const wrong = fields.findIndex((field, at) =>
    !isPattern(fields.map((_, i) => i === at ? field : "*").join(" "))
  );
  const { name, values } = FIELDS.slice(-fields.length)[wrong]!;
  const field = quote(fields[wrong]!);
  return `the ${name} is ${field}: expected ${values}, *, a list, a range or a step`;
}
