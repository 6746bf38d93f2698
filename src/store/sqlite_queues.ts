import { failPoint } from "../fail_point.ts";
import { operationFailed, quote } from "../errors.ts";
import { JOB_STATES, type JobState } from "../job.ts";
import { enqueueJobs } from "./sqlite_enqueue.ts";
import { record } from "./sqlite_events.ts";
import type { Sql } from "./sqlite_rows.ts";
import type { By, JobCounts, NewSchedule, Queue, QueueChange, Schedule, Store } from "./store.ts";

export function noJobs(): JobCounts {
  return Object.fromEntries(JOB_STATES.map((state) => [state, 0])) as JobCounts;
}

export function readQueues(sql: Sql): Queue[] {
  const rows = sql(`
    select names.name, paused_at as pausedAt, pause_reason as pauseReason,
      max_running as maxRunning
    from (select name from queues union select queue from job_counts where jobs > 0) as names
    left join queues using (name) order by names.name`).all() as Omit<Queue, "jobs">[];
  const queues = rows.map((row): Queue => ({ ...row, jobs: noJobs() }));
  const byName = new Map(queues.map((queue) => [queue.name, queue]));
  const counts = sql("select queue, state, jobs from job_counts where jobs > 0").all();
  for (
    const { queue, state, jobs } of counts as { queue: string; state: JobState; jobs: number }[]
  ) {
    const found = byName.get(queue);
    if (found) found.jobs[state] = jobs;
  }
  return queues;
}

export function changeQueue(sql: Sql, name: string, change: QueueChange, by: By) {
  sql("insert into queues (name) values (?) on conflict do nothing").run(name);
  const { paused, maxRunning } = change;
  if (paused !== undefined) {
    const changed = sql(`
      update queues set paused_at = ?, pause_reason = ?
      where name = ? and (paused_at is not null or ?)`)
      .run(paused && by.now, paused && paused.reason, name, Number(paused !== null));
    const event = paused ? "queue paused" : "queue resumed";
    const reason = paused?.reason ? `: ${paused.reason}` : "";
    if (changed > 0) record(sql, { event, cause: `Queue ${quote(name)}${reason}` }, by);
  }
  if (maxRunning !== undefined) {
    sql("update queues set max_running = ? where name = ?").run(maxRunning, name);
    const cause = `Queue ${quote(name)}: ${maxRunning ?? "none"}`;
    record(sql, { event: "queue limited", cause }, by);
  }
  sql("delete from queues where name = ? and paused_at is null and max_running is null").run(name);
}

export function readSchedules(sql: Sql): Schedule[] {
  return sql(`
    select name, cron, time_zone as timeZone, missed, request, created_at as createdAt,
      paused_at as pausedAt, next_at as nextAt, last_tick as lastTick, last_job as lastJob
    from schedules order by name`).all() as Schedule[];
}

export function addSchedule(sql: Sql, schedule: NewSchedule, by: By) {
  const { name, cron, timeZone, missed, request, nextAt } = schedule;
  const added = sql(`
    insert into schedules (name, cron, time_zone, missed, request, created_at, next_at)
    values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing`)
    .run(name, cron, timeZone, missed, request, by.now, nextAt);
  if (added === 0) {
    throw operationFailed(`Cannot add schedule ${quote(name)}: there is one with this name`);
  }
  record(sql, { event: "schedule added", cause: `Schedule ${quote(name)}` }, by);
}

export function removeSchedule(sql: Sql, name: string, by: By) {
  mustExist(name, sql("delete from schedules where name = ?").run(name));
  record(sql, { event: "schedule removed", cause: `Schedule ${quote(name)}` }, by);
}

export function pauseSchedule(
  sql: Sql,
  name: string,
  { paused, nextAt }: { paused: boolean; nextAt: number | null },
  by: By,
) {
  const pausedAt = paused ? by.now : null;
  const update = sql("update schedules set paused_at = ?, next_at = ? where name = ?");
  mustExist(name, update.run(pausedAt, nextAt, name));
  const event = paused ? "schedule paused" : "schedule resumed";
  record(sql, { event, cause: `Schedule ${quote(name)}` }, by);
}

function mustExist(name: string, changed: number) {
  if (changed === 0) throw operationFailed(`No schedule ${quote(name)}`);
}

/** Makes the jobs of a schedule's ticks, unless another process was first. */
export function tick(
  sql: Sql,
  { name, createdAt, nextAt: expected }: Schedule,
  { nextAt, lastTick, jobs }: Parameters<Store["tick"]>[1],
  by: By,
): boolean {
  const moved = sql(`
    update schedules set next_at = ?, last_tick = coalesce(?, last_tick)
    where name = ? and created_at = ? and next_at = ? and paused_at is null`)
    .run(nextAt, lastTick, name, createdAt, expected!);
  if (moved === 0) return false;
  failPoint("inside-tick");
  const made = enqueueJobs(sql, jobs, by);
  if (made.length > 0) {
    sql("update schedules set last_job = ? where name = ?").run(made.at(-1)!.id, name);
  }
  return true;
}
