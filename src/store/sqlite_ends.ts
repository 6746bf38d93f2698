import type { JobState } from "../job.ts";
import { quote } from "../errors.ts";
import { record } from "./sqlite_events.ts";
import type { Sql } from "./sqlite_rows.ts";
import type { By } from "./store.ts";

/** A job that has come to its end, or is about to be deleted. */
export interface EndedJob {
  seq: number;
  id: string;
  end: JobState | "deleted";
}

/**
 * Does what the ends of jobs mean for those that wait for them: they become pending, or are cancelled,
 * and so on down the line. True if one became pending.
 */
export function followEnds(sql: Sql, ended: readonly EndedJob[], by: By): boolean {
  let released = false;
  const queue = [...ended];
  for (let next = queue.shift(); next; next = queue.shift()) {
    const { seq, id, end } = next;
    for (const { job, anyEnd } of unmetNeedsOf(sql, seq)) {
      if (end === "completed" || anyEnd) {
        sql("update dependencies set met = 1 where job = ? and needs = ?").run(job, seq);
        if (release(sql, job, { event: "unblocked", cause: `Job ${quote(id)} is ${end}` }, by)) {
          released = true;
        }
      } else {
        const cancelled = cancelBlocked(sql, job, `Job ${quote(id)} is ${end}`, by);
        if (cancelled) queue.push(cancelled);
      }
    }
  }
  return released;
}

function unmetNeedsOf(sql: Sql, seq: number): { job: number; anyEnd: number }[] {
  return sql(`
    select job, any_end as anyEnd from dependencies join jobs on jobs.seq = job
    where needs = ? and met = 0 and state = 'blocked'`).all(seq) as {
    job: number;
    anyEnd: number;
  }[];
}

// What was due from the start is due whatever clock is looked at now.
function release(sql: Sql, job: number, why: { event: string; cause: string }, by: By): boolean {
  const [row] = sql(`
    update jobs set state = 'pending', ready = run_at <= max(?, created_at), updated_at = ?
    where seq = ? and state = 'blocked'
      and not exists (select 1 from dependencies where job = jobs.seq and met = 0)
    returning id`).values<[string]>(by.now, by.now, job);
  if (row) record(sql, { ...why, job: row[0] }, by);
  return row !== undefined;
}

/** Cancels a job that cannot run any more because of another one. */
export function cancelBlocked(
  sql: Sql,
  seq: number,
  reason: string,
  by: By,
): EndedJob | undefined {
  const [row] = sql(`
    update jobs set state = 'cancelled', last_error = ?, updated_at = ?, finished_at = ?
    where seq = ? and state = 'blocked' returning id`).values<[string]>(
    reason,
    by.now,
    by.now,
    seq,
  );
  if (!row) return undefined;
  record(sql, { event: "cancelled", job: row[0], cause: reason }, by);
  return { seq, id: row[0], end: "cancelled" };
}
