import { operationFailed, quote } from "./errors.ts";
import { lazily } from "./lazily.ts";

/** Which of the ticks that nobody was there for get a job: the latest one, none, or each. */
export const MISSED_POLICIES = ["one", "skip", "all"] as const;
export type MissedPolicy = (typeof MISSED_POLICIES)[number];

/** A tick that is later than this is a missed one. */
export const LATE_MS = 10_000;

/** The first tick strictly after `after`, in epoch milliseconds, or null if none comes. */
type Next = (after: number) => number | null;

/**
 * The ticks from the stored `nextAt` up to and including `now` that get a job, at most `most` of
 * them, and the tick that follows, which may be due as well where `most` was reached.
 */
export function dueTicks({ nextAt, missed, now, next, most }: {
  nextAt: number;
  missed: MissedPolicy;
  now: number;
  next: Next;
  most: number;
}): { ticks: number[]; nextAt: number | null } {
  const onTimeFrom = now - LATE_MS;
  let tick = nextAt < onTimeFrom ? firstOfMissed(missed, { nextAt, onTimeFrom, next }) : nextAt;
  const ticks: number[] = [];
  while (tick !== null && tick <= now && ticks.length < most) {
    ticks.push(tick);
    tick = next(tick);
  }
  return { ticks, nextAt: tick };
}

/** The tick to go on from where `nextAt` was missed; those before it get no job. */
function firstOfMissed(
  missed: MissedPolicy,
  { nextAt, onTimeFrom, next }: { nextAt: number; onTimeFrom: number; next: Next },
): number | null {
  switch (missed) {
    case "one":
      return latestBefore(onTimeFrom, nextAt, next);
    case "skip":
      return next(onTimeFrom - 1);
    case "all":
      return nextAt;
  }
}

/** The latest tick before `end`. Halves the time after `tick`: there may be a year of seconds. */
function latestBefore(end: number, tick: number, next: Next): number {
  let latest = tick;
  let noneAfter = end - 1;
  while (latest < noneAfter) {
    const middle = Math.floor((latest + noneAfter) / 2);
    const following = next(middle);
    if (following !== null && following < end) latest = following;
    else noneAfter = middle;
  }
  return latest;
}

// What a plain import names would be resolved at every start, and may have to be downloaded.
const cron = lazily<Cron>("./cron.ts", import.meta.url);

/** What the program needs to know of cron expressions; cron.ts has it, with a library behind it. */
export interface Cron {
  cronProblem(text: string, timeZone: string): string | null;
  nextTick(text: string, timeZone: string, after: number): number | null;
  systemTimeZone(): string;
  isTimeZone(name: string): boolean;
}

/** Loads the library, which takes time that only those should spend who have schedules. Throws a UserError. */
export async function loadCron(): Promise<Cron> {
  try {
    return await cron();
  } catch (error) {
    const reason = quote((error as Error).message);
    throw operationFailed(`Cannot load the cron library npm:croner: ${reason}`, error);
  }
}
