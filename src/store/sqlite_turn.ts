import { failPoint } from "../fail_point.ts";
import { claimJobs } from "./sqlite_claim.ts";
import { followEnds } from "./sqlite_ends.ts";
import { record } from "./sqlite_events.ts";
import { endName, isFinal, type Settlement, WAITING_STATES } from "../job.ts";
import type { Sql } from "./sqlite_rows.ts";
import type { By, Ended, Lease, OutputBatch, Turn, TurnResult } from "./store.ts";

/**
 * Carries out a turn inside the caller's transaction. Output comes first: settling ends the right to
 * write it. `othersMayRun` if jobs became ready that another worker process may be waiting for.
 */
export function takeTurn(
  sql: Sql,
  turn: Turn,
  now: number,
): TurnResult & { othersMayRun: boolean } {
  for (const batch of turn.output) storeOutput(sql, batch);
  for (const { lease, process } of turn.started) {
    sql(`update attempts set pid = ?, process_started_at = ? where seq = ? and ${STILL_HELD}`)
      .run(process.pid, process.startedAt, lease.attempt, lease.job, lease.token);
  }
  const by = { now, actor: turn.worker };
  const refused: Lease[] = [];
  const cancelled: Lease[] = [];
  const watched = turn.settled.length > 0 ? whatEndsMayChange(sql) : NOTHING;
  let released = false;
  for (const ended of turn.settled) {
    const { lease, settlement, ifCancelled } = ended;
    let end: Settlement;
    if (settleAttempt(sql, ended, settlement, { wanted: false, now })) end = settlement;
    else if (settleAttempt(sql, ended, ifCancelled, { wanted: true, now })) end = ifCancelled;
    else {
      refused.push(lease);
      continue;
    }
    if (end.state === "cancelled") cancelled.push(lease);
    recordEnd(sql, ended, end, by);
    if (WAITING_STATES.includes(end.state) && end.runAt <= now) released = true;
    if (watched.dependencies && isFinal(end.state)) {
      const { id } = ended.job;
      if (followEnds(sql, [{ seq: lease.job, id, end: end.state }], by)) released = true;
    }
  }
  const othersMayRun = released || (turn.settled.length > 0 && watched.limits === 1);
  const wants = turn.idle.length + turn.ahead.length > 0;
  const known = showLife(sql, turn.worker, now);
  const claimed = wants && known ? claimJobs(sql, turn, now) : [];
  return { refused, cancelled, claimed, known, othersMayRun };
}

// With every turn, so that whoever is busy need not renew. In the claim's own transaction, because
// whoever was taken for dead a moment ago, while its machine slept, must not begin a job that the others
// take for a dead worker's.
function showLife(sql: Sql, worker: string, now: number): boolean {
  return sql("update workers set beat = beat + 1, heartbeat_at = ? where id = ?")
    .run(now, worker) > 0;
}

// Takes the lease's job and its token.
const STILL_HELD = "exists (select 1 from jobs where jobs.seq = ? and lease_token = ?)";

function storeOutput(sql: Sql, { lease, chunks, discard }: OutputBatch) {
  const { job, attempt, token } = lease;
  for (const { start, stream, bytes } of chunks) {
    sql(
      `insert into output (attempt, start, is_stderr, bytes) select ?, ?, ?, ? where ${STILL_HELD}`,
    )
      .run(attempt, start, stream === "stderr" ? 1 : 0, bytes, job, token);
  }
  if (!discard) return;
  const { from, to } = discard;
  sql(`
    delete from output
    where attempt = ? and start >= ? and start + length(bytes) <= ? and ${STILL_HELD}`)
    .run(attempt, from, to, job, token);
  sql(`
    update output set bytes = substr(bytes, ? - start + 1), start = ?
    where attempt = ? and start >= ? and start < ? and ${STILL_HELD}`)
    .run(to, to, attempt, from, to, job, token);
}

/** Writes down an end, if the attempt is still its worker's, and a cancel is `wanted` or not. */
function settleAttempt(
  sql: Sql,
  { lease: { job, attempt, token }, begunAt, endedAt }: Ended,
  settlement: Settlement,
  { wanted, now }: { wanted: boolean; now: number },
): boolean {
  const { state, attempts, snoozes, runAt, outcome, exitCode, signal, error } = settlement;
  const waits = WAITING_STATES.includes(state);
  const ready = waits ? Number(runAt <= now) : null;
  const finishedAt = waits ? null : endedAt;
  const settled = sql(`
    update jobs set state = ?, attempts = ?, snoozes = ?, run_at = ?, updated_at = ?,
      started_at = coalesce(?, started_at), finished_at = ?, exit_code = ?, signal = ?, last_error = ?, ready = ?, lease_token = null,
      cancel = null
    where seq = ? and lease_token = ? and state = 'processing'
      and cancel is ${wanted ? "not null" : "null"}`).run(
    ...[state, attempts, snoozes, runAt, now, begunAt, finishedAt, exitCode, signal, error, ready],
    ...[job, token],
  );
  if (settled === 0) return false;
  failPoint("inside-settle");
  sql(`
    update attempts set outcome = ?, started_at = coalesce(?, started_at), finished_at = ?,
      exit_code = ?, signal = ?, error = ?
    where seq = ?`).run(outcome, begunAt, endedAt, exitCode, signal, error, attempt);
  return true;
}

function recordEnd(sql: Sql, { job }: Ended, end: Settlement, by: By) {
  record(sql, { event: endName(end), job: job.id, attempt: job.attempts, cause: end.error }, by);
}

const NOTHING = { dependencies: 0, limits: 0 };

/** Whether there is anything that the end of a job could mean something to. */
function whatEndsMayChange(sql: Sql): typeof NOTHING {
  return sql(`
    select exists (select 1 from jobs where state = 'blocked') as dependencies,
      exists (select 1 from queues where max_running is not null) as limits`)
    .get() as typeof NOTHING;
}
