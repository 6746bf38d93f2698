import { failPoint } from "../fail_point.ts";
import { executorId } from "../job.ts";
import { record } from "./sqlite_events.ts";
import { number, type Sql } from "./sqlite_rows.ts";
import type { Claim, ClaimedJob, Lease, Outlook, Scope, Turn } from "./store.ts";

// A claim reads no more than a worker needs: each column costs about a microsecond.
const CLAIMED_COLUMNS = `seq as job, id, command, queue, attempts, max_retries as maxRetries,
  backoff_base as backoffBase, backoff_max_ms as backoffMaxMs, backoff_jitter as backoffJitter,
  timeout_ms as timeoutMs, ok_codes as okCodes, fatal_codes as fatalCodes, snooze_ms as snoozeMs,
  snoozes, cwd, env, run_at as runAt, rank, priority`;

/** How many waiting jobs become claimable in one turn, so that a million due at once stall nobody. */
const PROMOTED_A_TURN = 5000;

type InJson = "env" | "okCodes" | "fatalCodes";
type Claimable = Omit<ClaimedJob, InJson> & Record<InJson, string> & {
  job: number;
  rank: number;
  priority: number;
};

interface OpenQueue {
  name: string;
  /** How many more of its jobs may run; null for any number. */
  slots: number | null;
  hasReady: 0 | 1;
  /** Whether some job of any queue has become due but is not claimable yet. */
  othersDue: 0 | 1;
}

/** Claims a job for each slot of the turn, as long as there are jobs, in the caller's transaction. */
export function claimJobs(sql: Sql, turn: Turn, now: number): Claim[] {
  const { worker } = turn;
  const slots = [...turn.idle, ...turn.ahead];
  return choose(sql, turn, now).map(({ job: seq, rank: _, priority: __, ...row }, i): Claim => {
    const { executor, token } = slots[i]!;
    const workerId = executorId(worker, executor);
    const attempt = row.attempts + 1;
    sql(`
      update jobs set state = 'processing', attempts = ?, started_at = ?, updated_at = ?,
        worker_id = ?, lease_token = ?, ready = null
      where seq = ? and ready = 1`).run(attempt, now, now, workerId, token, seq);
    failPoint("inside-claim");
    const [inserted] = sql(`
      insert into attempts (job, attempt, worker_id, started_at) values (?, ?, ?, ?)
      returning seq`).values<[number]>(seq, attempt, workerId, now);
    record(sql, { event: "claimed", job: row.id, attempt }, { now, actor: workerId });
    const lease: Lease = { job: seq, attempt: inserted![0], token };
    const job = {
      ...row,
      env: JSON.parse(row.env),
      okCodes: JSON.parse(row.okCodes),
      fatalCodes: JSON.parse(row.fatalCodes),
      attempts: attempt,
    };
    return { lease, job, executor };
  });
}

/** The jobs to be claimed, at most one for each executor, the first one first. */
function choose(sql: Sql, { idle, ahead, scope }: Turn, now: number): Claimable[] {
  let open = openQueues(sql, scope, now);
  if (open.some(({ othersDue }) => othersDue)) {
    promoteDue(sql, now);
    open = openQueues(sql, scope, now);
  }
  const ready = open.filter(({ hasReady }) => hasReady);
  const first = ({ name, slots }: OpenQueue, wanted: number) =>
    selectClaimable(sql, name, scope, Math.min(wanted, slots ?? wanted));
  if (ready.length === 1) {
    return firstOfOne((wanted) => first(ready[0]!, wanted), idle.length, ahead.length);
  }
  // Among several queues nothing is claimed ahead: the order of turns would suffer where it is given back.
  const waiting = ready.map((queue) => first(queue, idle.length));
  if (scope.queues) return waiting.flat().slice(0, idle.length);
  const chosen = takeTurns(waiting, idle.length);
  for (const { queue } of chosen) {
    sql(`
      insert into turns select ?, coalesce(max(served), 0) + 1 from turns where true
      on conflict do update set served = excluded.served`).run(queue);
  }
  return chosen;
}

// Ahead up to the first one that cannot be: nothing overtakes it. Mostly that shows at once, so that the
// others need not be read in vain.
function firstOfOne(
  first: (wanted: number) => Claimable[],
  idle: number,
  ahead: number,
): Claimable[] {
  const some = first(idle + Math.min(ahead, 1));
  const next = some[idle];
  if (next === undefined || !mayBeClaimedAhead(next)) return some.slice(0, idle);
  const all = first(idle + ahead);
  const end = all.findIndex((job, i) => i >= idle && !mayBeClaimedAhead(job));
  return end < 0 ? all : all.slice(0, end);
}

// If the worker process is killed, that costs the job an attempt that never ran: no more than one, and
// not its last.
function mayBeClaimedAhead({ attempts, maxRetries }: Claimable): boolean {
  return attempts === 0 && maxRetries > 1;
}

/**
 * Of the first jobs of several queues the one with the highest rank; where there are others of the same
 * priority, whose turn it is. Whoever was served goes to the end of the line.
 */
function takeTurns(waiting: Claimable[][], wanted: number): Claimable[] {
  const chosen: Claimable[] = [];
  while (chosen.length < wanted) {
    const heads = waiting.flatMap(([head]) => head ?? []);
    if (heads.length === 0) break;
    const top = heads.reduce((best, head) => head.rank > best.rank ? head : best);
    const others = heads.filter(({ priority }) => priority !== top.priority);
    const floor = Math.max(...others.map(({ rank }) => rank));
    const next = waiting.findIndex(([head]) =>
      head !== undefined && head.priority === top.priority && head.rank >= floor
    );
    const [served] = waiting.splice(next, 1) as [Claimable[]];
    chosen.push(served.shift()!);
    waiting.push(served);
  }
  return chosen;
}

function selectClaimable(sql: Sql, queue: string, { only }: Scope, limit: number): Claimable[] {
  const columns = `select ${CLAIMED_COLUMNS} from jobs where ready = 1 and queue = ?`;
  const found = only === null
    ? sql(`${columns} order by rank desc, run_at, seq limit ?`).all(queue, limit)
    : sql(`${columns} and id = ? limit ?`).all(queue, only, limit);
  return found as Claimable[];
}

/** The queues that have jobs waiting and may run one, in the order of the scope, else in turn. */
function openQueues(sql: Sql, scope: Scope, now: number): OpenQueue[] {
  const open = sql(`
    select waiting.queue as name, max_running - coalesce(running.jobs, 0) as slots,
      exists (select 1 from jobs where ready = 1 and jobs.queue = waiting.queue) as hasReady,
      exists (select 1 from jobs where ready = 0 and run_at <= ?) as othersDue
    from (select distinct queue from job_counts
      where state in ('pending', 'failed') and jobs > 0) as waiting
    left join queues on queues.name = waiting.queue
    left join job_counts as running
      on running.queue = waiting.queue and running.state = 'processing'
    left join turns on turns.queue = waiting.queue
    where paused_at is null and (slots is null or slots > 0)
    order by coalesce(served, 0), name`).all(now) as OpenQueue[];
  if (!scope.queues) return open;
  return [...new Set(scope.queues)].flatMap((name) => open.filter((queue) => queue.name === name));
}

function promoteDue(sql: Sql, now: number) {
  sql(`
    update jobs set ready = 1 where seq in (
      select seq from jobs where ready = 0 and run_at <= ? order by run_at limit ${PROMOTED_A_TURN})`)
    .run(now);
}

/** What there is to do within a scope. */
export function readOutlook(sql: Sql, scope: Scope, now: number): Outlook {
  const nextDueAt = number<number | null>(
    sql,
    "select min(run_at) from jobs where ready = 0 and run_at > ?",
    now,
  );
  const claimable = openQueues(sql, scope, now).some(({ name, hasReady, othersDue }) =>
    othersDue === 1 ||
    (hasReady === 1 && (scope.only === null || selectClaimable(sql, name, scope, 1).length > 0))
  );
  return { claimable, nextDueAt, unfinished: countUnfinished(sql, scope) };
}

function countUnfinished(sql: Sql, { queues, only }: Scope): number {
  if (only !== null) {
    return number(
      sql,
      `select count(*) from jobs
      where id = ? and state in ('blocked', 'pending', 'processing', 'failed')`,
      only,
    );
  }
  const counts = sql(`
    select queue, sum(jobs) as jobs from job_counts
    where state in ('pending', 'processing', 'failed')
      and queue not in (select name from queues where paused_at is not null)
    group by queue`).all() as { queue: string; jobs: number }[];
  return counts.filter(({ queue }) => !queues || queues.includes(queue))
    .reduce((sum, { jobs }) => sum + jobs, 0);
}
