import type { JobState } from "../job.ts";
import type { JobRequest } from "../job_request.ts";
import { loadCron } from "../schedule.ts";
import type { Schedule, Store } from "../store/store.ts";

const SHOWN_TICKS = 3;

/** A schedule with its next ticks, and what became of the job of its last one. */
export interface ShownSchedule extends Schedule {
  command: string;
  next: number[];
  /** Null if there has been none, or it was deleted. */
  lastState: JobState | null;
}

export async function readSchedules(store: Store, now: number): Promise<ShownSchedule[]> {
  const schedules = await store.schedules();
  if (schedules.length === 0) return [];
  const { nextTick } = await loadCron();
  const shown: ShownSchedule[] = [];
  for (const schedule of schedules) {
    const { cron, timeZone, pausedAt, nextAt, lastJob } = schedule;
    const next: number[] = [];
    // One that has passed is made up for, or not, by the next worker.
    let tick = nextAt !== null && nextAt <= now ? nextTick(cron, timeZone, now) : nextAt;
    if (pausedAt !== null) tick = null;
    while (tick !== null && next.length < SHOWN_TICKS) {
      next.push(tick);
      tick = nextTick(cron, timeZone, tick);
    }
    const lastState = lastJob === null ? null : (await store.get(lastJob))?.state ?? null;
    const { command } = JSON.parse(schedule.request) as JobRequest;
    shown.push({ ...schedule, command: command!, next, lastState });
  }
  return shown;
}
