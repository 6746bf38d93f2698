import type { Statement } from "@db/sqlite";
import { executorId, type Job } from "../job.ts";
import type { Claim, ClaimedJob, Lease, OutputBatch, Turn, TurnResult } from "./store.ts";

/** Prepares a statement, once. */
export type Sql = (text: string) => Statement;

// Columns under the names of the fields they become.
export const JOB_COLUMNS =
  `jobs.id, command, state, queue, priority, attempts, max_retries as maxRetries,
  backoff_base as backoffBase, backoff_max_ms as backoffMaxMs, backoff_jitter as backoffJitter,
  timeout_ms as timeoutMs, cwd, env, tags, run_at as runAt, created_at as createdAt,
  updated_at as updatedAt, jobs.started_at as startedAt, jobs.finished_at as finishedAt,
  jobs.exit_code as exitCode, jobs.signal, last_error as lastError, jobs.worker_id as workerId`;

// A claim reads no more than a worker needs: each column costs about a microsecond.
const CLAIMED_COLUMNS = `seq as job, id, command, attempts, max_retries as maxRetries,
  backoff_base as backoffBase, backoff_max_ms as backoffMaxMs, backoff_jitter as backoffJitter,
  timeout_ms as timeoutMs, cwd, env, run_at as runAt`;

export type JobRow = Omit<Job, "env" | "tags"> & { env: string; tags: string };

export function toJob(row: JobRow): Job {
  return { ...row, env: JSON.parse(row.env), tags: JSON.parse(row.tags) };
}

/** How many waiting jobs become claimable in one turn, so that a million due at once stall nobody. */
const PROMOTED_A_TURN = 5000;

/** Carries out a turn inside the caller's transaction. Output comes first: settling ends the right to write it. */
export function takeTurn(sql: Sql, turn: Turn, now: number): TurnResult {
  for (const batch of turn.output) storeOutput(sql, batch);
  for (const { lease, process } of turn.started) {
    sql(`update attempts set pid = ?, process_started_at = ? where seq = ? and ${STILL_HELD}`)
      .run(process.pid, process.startedAt, lease.attempt, lease.job, lease.token);
  }
  const refused = turn.settled.filter((ended) => !settleAttempt(sql, ended, now))
    .map(({ lease }) => lease);
  return { refused, claimed: turn.idle.length > 0 ? claimJobs(sql, turn, now) : [] };
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

function settleAttempt(sql: Sql, { lease, settlement }: Turn["settled"][number], now: number) {
  const { job, attempt, token } = lease;
  const { state, attempts, runAt, outcome, exitCode, signal, error } = settlement;
  const waits = state === "pending" || state === "failed";
  const ready = waits ? Number(runAt <= now) : null;
  const finishedAt = waits ? null : now;
  const settled = sql(`
    update jobs set state = ?, attempts = ?, run_at = ?, updated_at = ?, finished_at = ?,
      exit_code = ?, signal = ?, last_error = ?, ready = ?, lease_token = null
    where seq = ? and lease_token = ? and state = 'processing'`).run(
    ...[state, attempts, runAt, now, finishedAt, exitCode, signal, error, ready, job, token],
  );
  if (settled === 0) return false;
  sql(`
    update attempts set outcome = ?, finished_at = ?, exit_code = ?, signal = ?, error = ?
    where seq = ?`).run(outcome, now, exitCode, signal, error, attempt);
  return true;
}

function claimJobs(sql: Sql, { worker, idle }: Turn, now: number): Claim[] {
  let rows = selectClaimable(sql, idle.length, now);
  if (rows.length < idle.length || rows[0]!.othersDue) {
    promoteDue(sql, now);
    rows = selectClaimable(sql, idle.length, now);
  }
  return rows.map(({ job: seq, othersDue: _, ...row }, i): Claim => {
    const { executor, token } = idle[i]!;
    const workerId = executorId(worker, executor);
    const attempt = row.attempts + 1;
    sql(`
      update jobs set state = 'processing', attempts = ?, started_at = ?, updated_at = ?,
        worker_id = ?, lease_token = ?, ready = null
      where seq = ?`).run(attempt, now, now, workerId, token, seq);
    const [inserted] = sql(`
      insert into attempts (job, attempt, worker_id, started_at) values (?, ?, ?, ?)
      returning seq`).values<[number]>(seq, attempt, workerId, now);
    const lease: Lease = { job: seq, attempt: inserted![0], token };
    return { lease, job: { ...row, env: JSON.parse(row.env), attempts: attempt }, executor };
  });
}

type ClaimableRow = Omit<ClaimedJob, "env"> & { job: number; env: string; othersDue: number };

/** The first claimable jobs, and whether there are others that have become due but are not claimable yet. */
function selectClaimable(sql: Sql, limit: number, now: number): ClaimableRow[] {
  return sql(`
    select ${CLAIMED_COLUMNS},
      exists (select 1 from jobs where ready = 0 and run_at <= ?) as othersDue
    from jobs where ready = 1
    order by priority desc, run_at, seq limit ?`).all(now, limit) as ClaimableRow[];
}

function promoteDue(sql: Sql, now: number) {
  sql(`
    update jobs set ready = 1 where seq in (
      select seq from jobs where ready = 0 and run_at <= ? order by run_at limit ${PROMOTED_A_TURN})`)
    .run(now);
}
