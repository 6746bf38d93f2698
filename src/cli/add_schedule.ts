import { badRequest, operationFailed, quote } from "../errors.ts";
import { readName } from "../request_values.ts";
import { type Cron, loadCron, MISSED_POLICIES } from "../schedule.ts";
import type { By, Store } from "../store/store.ts";
import { type App, byPerson, storeToWrite, surroundings } from "./app.ts";
import { zonedTime } from "./format/time.ts";
import { isoTime } from "../job_json.ts";
import { type JobOptions, readRequests } from "./job_options.ts";
import { jsonLine } from "./format/text.ts";

/** Adds a schedule for the job that the words and options of a command ask for. */
export async function addSchedule(
  app: App,
  options: JobOptions,
  { name, cron, tz, missed = "one" }: { name: string; cron: string; tz?: string; missed?: string },
  words: string[],
): Promise<void> {
  readName(name, "schedule");
  const policy = MISSED_POLICIES.find((each) => each === missed);
  if (!policy) {
    const accepted = MISSED_POLICIES.join(", ");
    throw badRequest(`Cannot set --missed to ${quote(missed)}: expected ${accepted}`);
  }
  const by = byPerson(app);
  const around = surroundings(app, by);
  const { requests: [request], places } = await readRequests(options, words, around);
  if (places) throw badRequest("Cannot schedule a list of jobs: expected one");
  const { id, runAt, after, afterAny } = request!;
  if ([id, runAt, after, afterAny].some((value) => value !== undefined)) {
    throw badRequest(
      "Cannot schedule a job with an id, run-at or after: they hold for one job only",
    );
  }
  const library = await loadCron();
  const timeZone = tz ?? library.systemTimeZone();
  if (!library.isTimeZone(timeZone)) {
    throw badRequest(`Cannot use --tz ${quote(timeZone)}: expected a zone such as Europe/Berlin`);
  }
  const nextAt = nextTick(library, cron, timeZone, around.now);

  using store = await storeToWrite(app, options);
  // A tick that finds the last job of its key unfinished is no reason to complain, every minute.
  const ifExists = request!.key === undefined ? undefined : request!.ifExists ?? "skip";
  const template = JSON.stringify({ cwd: around.folder, ...request, ifExists });
  await store.addSchedule(
    { name, cron, timeZone, missed: policy, request: template, nextAt },
    by,
  );
  if (options.json) {
    app.terminal.out(
      jsonLine({ name, time_zone: timeZone, next_at: isoTime(nextAt) }),
    );
  } else {app.terminal.out(
      `${name}: first at ${zonedTime(nextAt, around.now, timeZone)} (${timeZone})\n`,
    );}
}

/** Lets a schedule tick again, from its next tick on. */
export async function resumeSchedule(store: Store, name: string, by: By): Promise<void> {
  const schedule = (await store.schedules()).find((each) => each.name === name);
  if (!schedule) throw operationFailed(`No schedule ${quote(name)}`);
  if (schedule.pausedAt === null) return;
  const nextAt = nextTick(await loadCron(), schedule.cron, schedule.timeZone, by.now);
  await store.pauseSchedule(name, { paused: false, nextAt }, by);
}

function nextTick(library: Cron, cron: string, timeZone: string, now: number): number {
  const problem = library.cronProblem(cron, timeZone);
  if (problem !== null) throw badRequest(`Cannot read --cron ${quote(cron)}: ${problem}`);
  return library.nextTick(cron, timeZone, now)!;
}
