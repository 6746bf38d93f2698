import { UserError } from "../errors.ts";
import { completeJob, type JobRequest } from "../job_request.ts";
import { type Cron, dueTicks, loadCron } from "../schedule.ts";
import type { Settings } from "../settings.ts";
import { mayPass } from "../store/sqlite_errors.ts";
import type { Schedule } from "../store/store.ts";
import type { World } from "./supervisor.ts";

/** How many jobs one schedule is given in one turn when it has fallen behind. */
const TICKS_AT_ONCE = 1000;
/** After a tick could not be dealt with. */
const RETRY_MS = 60_000;

/** Makes jobs at the ticks of the schedules, which any number of worker processes may do side by side. */
export class Scheduler {
  readonly #world: World;
  readonly #worker: string;
  #schedules: readonly Schedule[] = [];
  #cron: Cron | undefined;
  /** Schedules that could not be dealt with, and when they are tried again. */
  readonly #later = new Map<string, number>();

  constructor(world: World, worker: string) {
    this.#world = world;
    this.#worker = worker;
  }

  /** Learns of the schedules, which others may have changed. */
  async refresh() {
    this.#schedules = await this.#world.store.schedules();
  }

  /** When the next schedule ticks, epoch milliseconds; Infinity if none does. */
  get nextTickAt(): number {
    return Math.min(...this.#schedules.map((schedule) => this.#dueAt(schedule)));
  }

  #dueAt(schedule: Schedule): number {
    const { pausedAt, nextAt } = schedule;
    if (pausedAt !== null || nextAt === null) return Infinity;
    return Math.max(nextAt, this.#later.get(idOf(schedule)) ?? 0);
  }

  /** Makes the jobs of all ticks that are due. */
  async tick(settings: Settings) {
    const { system, report } = this.#world;
    const now = system.now();
    for (const schedule of this.#schedules.filter((each) => this.#dueAt(each) <= now)) {
      try {
        this.#cron ??= await loadCron();
        await this.#tickOne(schedule, this.#cron, settings, now);
      } catch (error) {
        if (mayPass(error) || !(error instanceof UserError)) throw error;
        report({ event: "warning", message: `Schedule ${schedule.name}: ${error.message}` });
        this.#later.set(idOf(schedule), now + RETRY_MS);
      }
    }
    await this.refresh();
  }

  async #tickOne(schedule: Schedule, cron: Cron, settings: Settings, now: number) {
    const { store, report } = this.#world;
    const { name, timeZone, missed } = schedule;
    const { ticks, nextAt } = dueTicks({
      nextAt: schedule.nextAt!,
      missed,
      now,
      next: (after) => cron.nextTick(schedule.cron, timeZone, after),
      most: TICKS_AT_ONCE,
    });
    const request = JSON.parse(schedule.request) as JobRequest;
    const jobs = ticks.map((tick) => {
      const job = completeJob(request, settings, {
        folder: request.cwd!,
        now: tick,
        schedule: name,
      });
      return { ...job, runAt: job.runAt ?? tick };
    });
    const lastTick = ticks.at(-1) ?? null;
    const by = { now, actor: this.#worker };
    try {
      await store.tick(schedule, { nextAt, lastTick, jobs }, by);
    } catch (error) {
      if (mayPass(error) || !(error instanceof UserError)) throw error;
      // A job that cannot be added must not stop the clock.
      report({ event: "warning", message: `Schedule ${name}: ${error.message}` });
      await store.tick(schedule, { nextAt, lastTick, jobs: [] }, by);
    }
  }
}

/** Another schedule may come to have its name. */
function idOf({ name, createdAt }: Schedule): string {
  return `${name} ${createdAt}`;
}
