import { CANCELLED_BY_PERSON, type JobState, UNFINISHED_STATES } from "../job.ts";
import { operationFailed, quote } from "../errors.ts";
import { followEnds } from "./sqlite_ends.ts";
import { pruneEvents, record } from "./sqlite_events.ts";
import type { Sql } from "./sqlite_rows.ts";
import { select, type Selected } from "./sqlite_selection.ts";
import type { By, Cancelled, JobSelection } from "./store.ts";

/** Cancels what waits, and marks what runs. */
export function cancelJobs(
  sql: Sql,
  which: JobSelection,
  { force }: { force: boolean },
  by: By,
): Cancelled {
  const cancelled: string[] = [];
  const ending: string[] = [];
  const cause = CANCELLED_BY_PERSON;
  for (
    const { seq, id, state } of select(sql, which, { states: UNFINISHED_STATES, doing: "cancel" })
  ) {
    if (state === "processing") {
      // A forced request is never weakened.
      const wanted = force ? "force" : "graceful";
      const changed = sql(`
        update jobs set cancel = ? where seq = ?
          and (cancel is null or cancel = 'graceful' and ? = 'force')`).run(wanted, seq, wanted);
      ending.push(id);
      if (changed > 0) record(sql, { event: "cancelling", job: id }, by);
      continue;
    }
    // An earlier one of the same selection may have taken it along.
    const changed = sql(`
      update jobs set state = 'cancelled', ready = null, last_error = ?, updated_at = ?,
        finished_at = ? where seq = ? and state <> 'cancelled'`).run(cause, by.now, by.now, seq);
    cancelled.push(id);
    if (changed === 0) continue;
    record(sql, { event: "cancelled", job: id }, by);
    followEnds(sql, [{ seq, id, end: "cancelled" }], by);
  }
  return { cancelled, ending };
}

export function retryJobs(
  sql: Sql,
  which: JobSelection,
  states: readonly JobState[],
  by: By,
): string[] {
  const retried = select(sql, which, { states, doing: "retry" }).flatMap((job) => {
    const { seq, id } = job;
    const holder = keyHolder(sql, job);
    if (holder !== undefined && "filter" in which) return [];
    if (holder !== undefined) {
      throw operationFailed(
        `Cannot retry job ${quote(job.id)}: job ${quote(holder)} has its key and is unfinished`,
      );
    }
    sql(`
      update jobs set state = 'pending', attempts = 0, snoozes = 0, run_at = ?, updated_at = ?,
        finished_at = null, ready = 1 where seq = ?`).run(by.now, by.now, seq);
    record(sql, { event: "retried", job: id }, by);
    return [job];
  });
  blockAgain(sql, retried.map(({ seq }) => seq));
  return retried.map(({ id }) => id);
}

/** Blocks jobs again that need others which are unfinished, so that a chain is retried in its order. */
function blockAgain(sql: Sql, jobs: readonly number[]) {
  for (const seq of jobs) {
    // What did not complete, and is not retried either, is not waited for.
    sql(`
      update dependencies set met = 1 where job = ? and met = 0 and needs in (
        select seq from jobs where state in ('completed', 'dead', 'cancelled'))`).run(seq);
    sql(`
      update jobs set state = 'blocked', ready = null
      where seq = ? and exists (select 1 from dependencies where job = jobs.seq and met = 0)`)
      .run(seq);
  }
}

/** The unfinished job that has the key of this one. */
function keyHolder(sql: Sql, { seq }: Selected): string | undefined {
  const [row] = sql(`
    select other.id from jobs join jobs as other on other.key = jobs.key
      and other.state in ('blocked', 'pending', 'processing', 'failed')
    where jobs.seq = ? and other.seq <> jobs.seq`).values<[string]>(seq);
  return row?.[0];
}

export function removeJobs(
  sql: Sql,
  which: JobSelection,
  states: readonly JobState[],
  by: By,
): string[] {
  const deletable = states.filter((state) => state !== "processing");
  return select(sql, which, { states: deletable, doing: "delete" }).map(({ seq, id }) => {
    followEnds(sql, [{ seq, id, end: "deleted" }], by);
    sql("delete from jobs where seq = ?").run(seq);
    record(sql, { event: "deleted", job: id }, by);
    return id;
  });
}

/** Deletes at most `limit` jobs, and events, that are older than `before`. True if there may be more. */
export function pruneJobs(sql: Sql, before: number, limit: number): boolean {
  const jobs = sql(`
    delete from jobs where seq in (
      select seq from jobs indexed by jobs_expiring
      where (state = 'completed' or state = 'cancelled') and finished_at < ? limit ?)`).run(
    before,
    limit,
  );
  const events = pruneEvents(sql, before, limit);
  sql("delete from job_counts where jobs = 0").run();
  sql("delete from turns where queue not in (select queue from job_counts)").run();
  return jobs === limit || events === limit;
}
