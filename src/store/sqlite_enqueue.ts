import { failPoint } from "../fail_point.ts";
import { BAD_REQUEST, OPERATION_FAILED, quote, RefusedJob } from "../errors.ts";
import { isFinal, type JobState, type NewJob, type Prerequisite } from "../job.ts";
import { type EndedJob, followEnds } from "./sqlite_ends.ts";
import { record } from "./sqlite_events.ts";
import { number, type Sql } from "./sqlite_rows.ts";
import { matchingIds } from "./sqlite_selection.ts";
import type { By, Enqueued } from "./store.ts";

/** Adds jobs inside the caller's transaction. Throws a RefusedJob if one of them cannot be added. */
export function enqueueJobs(
  sql: Sql,
  jobs: readonly NewJob[],
  by: By,
  onProgress?: (done: number) => void,
): Enqueued[] {
  const firstSeq = number(sql, "select coalesce(max(seq), 0) + 1 from jobs");
  // Where one of them may replace another one, what happens is told one by one.
  const isPlain = jobs.every(({ key }) => key === null);
  const counts = new Map<string, number>();
  const results: Enqueued[] = [];
  const dependent: NewJob[] = [];
  for (const job of jobs) {
    const other = job.key === null ? undefined : makeRoom(sql, job, by);
    if (other) {
      results.push({ ...other, added: false });
      continue;
    }
    insertJob(sql, job, by.now);
    if (!isPlain) record(sql, { event: "enqueued", job: job.id, cause: causeOf(job) }, by);
    counts.set(job.queue, (counts.get(job.queue) ?? 0) + 1);
    if (job.after.length > 0) dependent.push(job);
    results.push({ id: job.id, state: "pending", added: true });
    if (results.length % 1000 === 0) onProgress?.(results.length);
  }
  failPoint("inside-enqueue");
  for (const [queue, added] of counts) {
    sql(`
      insert into job_counts values (?, 'pending', ?)
      on conflict do update set jobs = jobs + excluded.jobs`).run(queue, added);
  }
  if (isPlain) {
    sql(`
      insert into events (at, event, job, cause, actor)
      select ?, 'enqueued', id, 'Schedule "' || schedule || '"', ? from jobs
      where seq >= ? order by seq`).run(by.now, by.actor, firstSeq);
  }
  if (dependent.length > 0) blockDependent(sql, dependent, by);
  else if (isPlain) return results;
  const stateOf = sql("select id, state from jobs where id = ?");
  return results.map((each) => ({ ...each, ...stateOf.get(each.id) as Omit<Enqueued, "added"> }));
}

function causeOf({ schedule }: NewJob): string | null {
  return schedule === null ? null : `Schedule ${quote(schedule)}`;
}

function insertJob(sql: Sql, job: NewJob, now: number) {
  const runAt = job.runAt ?? now;
  const inserted = sql(`
    insert into jobs (id, command, state, queue, priority, max_retries, backoff_base,
      backoff_max_ms, backoff_jitter, timeout_ms, ok_codes, fatal_codes, snooze_ms, cwd, env, tags,
      key, schedule, run_at, created_at, updated_at, ready)
    values (?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    on conflict (id) do nothing`).run(
    ...[job.id, job.command, job.queue, job.priority, job.maxRetries, job.backoffBase],
    ...[job.backoffMaxMs, job.backoffJitter, job.timeoutMs],
    ...[JSON.stringify(job.okCodes), JSON.stringify(job.fatalCodes), job.snoozeMs],
    ...[job.cwd, JSON.stringify(job.env), JSON.stringify(job.tags), job.key, job.schedule],
    ...[runAt, now, now, Number(runAt <= now)],
  );
  if (inserted === 0) {
    throw refused(job.id, ": a job with this id exists");
  }
}

/** Deals with an unfinished job that has the same key. Returns it if it stands in for the new one. */
function makeRoom(
  sql: Sql,
  { id, key, ifExists }: NewJob,
  by: By,
): Omit<Enqueued, "added"> | undefined {
  const found = sql(`
    select seq, id, state from jobs
    where key = ? and state in ('blocked', 'pending', 'processing', 'failed')`).get(key) as
    | { seq: number; id: string; state: JobState }
    | undefined;
  if (!found) return undefined;
  const taken = ` with key ${quote(key!)}: job ${quote(found.id)} has it and`;
  switch (ifExists) {
    case "skip":
      return { id: found.id, state: found.state };
    case "error":
      throw refused(id, `${taken} is ${found.state}`);
    case "replace": {
      if (found.state === "processing") {
        throw refused(id, `${taken} runs already, so it cannot be replaced`);
      }
      const cause = `Replaced by job ${quote(id)}`;
      sql(`
        update jobs set state = 'cancelled', ready = null, last_error = ?, updated_at = ?,
          finished_at = ? where seq = ?`).run(cause, by.now, by.now, found.seq);
      record(sql, { event: "cancelled", job: found.id, cause }, by);
      followEnds(sql, [{ seq: found.seq, id: found.id, end: "cancelled" }], by);
    }
  }
}

/** Blocks jobs until those that they need have ended. All of them are there already. */
function blockDependent(sql: Sql, jobs: readonly NewJob[], by: By) {
  const ended = new Map<number, EndedJob>();
  const needs = new Map<number, number[]>();
  for (const job of jobs) {
    const seq = number(sql, "select seq from jobs where id = ?", job.id);
    // Unless a later one of the batch has replaced it.
    sql("update jobs set state = 'blocked', ready = null where seq = ? and state = 'pending'")
      .run(seq);
    const found = job.after.map((each) => ({ ...each, ...prerequisite(sql, job.id, each) }));
    needs.set(seq, found.map(({ seq }) => seq));
    for (const { seq: need, id, anyEnd, state } of found) {
      sql(`
        insert into dependencies (job, needs, any_end, met) values (?, ?, ?, 0)
        on conflict do update set any_end = min(any_end, excluded.any_end)`)
        .run(seq, need, Number(anyEnd));
      if (isFinal(state)) ended.set(need, { seq: need, id, end: state });
    }
  }
  refuseCycles(sql, needs);
  followEnds(sql, [...ended.values()], by);
}

function prerequisite(sql: Sql, job: string, { id }: Prerequisite) {
  const [match, ...others] = matchingIds(sql, id).filter((found) => found !== job || found === id);
  if (!match) throw refused(job, ` after ${quote(id)}: no such job`);
  if (others.length > 0) {
    throw refused(job, ` after ${quote(id)}: several ids begin so`, BAD_REQUEST);
  }
  return sql("select seq, id, state from jobs where id = ?").get(match) as {
    seq: number;
    id: string;
    state: JobState;
  };
}

// Only new jobs can be part of a cycle: nothing that was there before needs one of them. What is left
// when all have been taken away that need nothing that is left goes round in a circle.
function refuseCycles(sql: Sql, needs: ReadonlyMap<number, readonly number[]>) {
  const left = new Map(
    [...needs].map(([job, all]) => [job, all.filter((n) => needs.has(n)).length]),
  );
  const neededBy = Map.groupBy(
    [...needs].flatMap(([job, all]) => all.map((need) => ({ job, need }))),
    ({ need }) => need,
  );
  const free = [...left].filter(([, count]) => count === 0).map(([job]) => job);
  for (let job = free.pop(); job !== undefined; job = free.pop()) {
    left.delete(job);
    for (const { job: dependant } of neededBy.get(job) ?? []) {
      const count = left.get(dependant)! - 1;
      left.set(dependant, count);
      if (count === 0) free.push(dependant);
    }
  }
  const [inCycle] = left.keys();
  if (inCycle === undefined) return;
  // What is left may only lead to the cycle: the first one that is met again is in it.
  const met = new Set<number>();
  let at = inCycle;
  for (; !met.has(at); at = needs.get(at)!.find((need) => left.has(need))!) met.add(at);
  const { id } = sql("select id from jobs where seq = ?").get(at) as { id: string };
  throw refused(id, ": by a detour it would run after itself");
}

function refused(job: string, why: string, exitCode = OPERATION_FAILED): RefusedJob {
  return new RefusedJob(`Cannot enqueue job ${quote(job)}${why}`, exitCode, job);
}
