import { isFinal, type JobState, UNFINISHED_STATES, WAITING_STATES } from "../../src/job.ts";
import type { Turn, TurnResult } from "../../src/store/store.ts";
import type { ExecutionRecord } from "./command_runner.ts";
import type { ClaimRecord, JobRow, Ledger, Write } from "./ledger.ts";

/** What is wrong, or undefined if nothing is. */
type Finding = string | undefined;

/** Beside the lease itself: until whoever was hindered has come round, and others have judged it. */
const COME_ROUND_MS = 3000;

/** What must hold after every call that writes. */
export const WRITE_INVARIANTS = {
  failedCallsChangeNothing,
  everyAcceptedJobIsThere,
  onlyAllowedMoves,
  countersEqualCounts,
  oneUnfinishedJobPerKey,
  attemptsAreCountedOnce,
  attemptsStayWithinMaxRetries,
  oneOpenAttemptForEachProcessingJob,
  executionsAreOverWhenSettled,
  outcomesAreTrue,
  lostOnlyForACause,
  deadOnlyAfterAllAttempts,
  cancelledJobsEnd,
  retriesWaitTheirTime,
  blockedJobsWaitForSomething,
  everyClaimIsAnswered,
  cancelledJobsDoNotStart,
  queueLimitsHold,
  pausedQueuesStartNothing,
  prerequisitesComeFirst,
  nothingIsClaimableEarly,
  whatWasDueStaysDue,
} satisfies Record<string, (write: Write) => Finding>;

/** What must hold when a command is about to be started. */
export const START_INVARIANTS = {
  startsOnlyWhatWasClaimed,
  oneExecutionPerAttempt,
  nothingStartsAfterItsEnd,
  noOverlapInOneWorker,
  noOverlapOnOneMachine,
} satisfies Record<string, (start: Start) => Finding>;

export interface Start {
  ledger: Ledger;
  token: string;
  execution: ExecutionRecord;
}

function failedCallsChangeNothing({ error, changes, method }: Write): Finding {
  if (error === undefined || changes.length === 0) return undefined;
  return `${method} failed (${error}), but ${changes[0]!.id} has changed`;
}

// --- Jobs

function everyAcceptedJobIsThere({ ledger, after, changes, method, args, result }: Write): Finding {
  for (const id of ledger.jobs.keys()) {
    if (!after.has(id) && !ledger.deleted.has(id)) return `${id} is gone`;
  }
  for (const { id, before, after } of changes) {
    if (!ledger.jobs.has(id)) return `${id} has come from nowhere`;
    if (after) continue;
    if (method === "remove" && (result as string[]).includes(id)) continue;
    const { state, finishedAt } = before!;
    const isOld = ["completed", "cancelled"].includes(state) && finishedAt! < (args[0] as number);
    if (method !== "prune" || !isOld) return `${method} deleted ${id}, which was ${state}`;
  }
}

/** From where to where a method may move a job; whatever is not here moves none. */
const MOVES: Partial<Record<Write["method"], Partial<Record<JobState | "new", JobState[]>>>> = {
  enqueue: {
    new: ["pending", "blocked", "cancelled"],
    pending: ["cancelled"],
    failed: ["cancelled"],
    blocked: ["pending", "cancelled"],
  },
  cancel: {
    pending: ["cancelled"],
    failed: ["cancelled"],
    blocked: ["pending", "cancelled"],
    processing: ["processing"],
  },
  retry: {
    failed: ["pending", "blocked"],
    dead: ["pending", "blocked"],
    cancelled: ["pending", "blocked"],
  },
  remove: { blocked: ["pending", "cancelled"] },
  turn: {
    pending: ["pending", "processing"],
    failed: ["failed", "processing"],
    blocked: ["pending", "processing", "cancelled"],
    processing: ["completed", "failed", "dead", "cancelled", "pending", "processing"],
  },
};

function onlyAllowedMoves({ changes, method }: Write): Finding {
  for (const { id, before, after } of changes) {
    if (!after) continue;
    const from = before?.state ?? "new";
    if (MOVES[method]?.[from]?.includes(after.state)) continue;
    return `${method} moved ${id} from ${from} to ${after.state}`;
  }
}

function countersEqualCounts({ ledger, after }: Write): Finding {
  const counters = ledger.counters();
  const counts = new Map<string, number>();
  for (const { queue, state } of after.values()) {
    const name = `${queue} ${state}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  for (const name of new Set([...counters.keys(), ...counts.keys()])) {
    const [counter = 0, count = 0] = [counters.get(name), counts.get(name)];
    if (counter !== count) return `${count} are ${name}, counted as ${counter}`;
  }
}

function oneUnfinishedJobPerKey({ ledger, after, method }: Write): Finding {
  if (method !== "enqueue" && method !== "retry") return undefined;
  const holders = new Map<string, string>();
  for (const { id, state } of after.values()) {
    const { key } = ledger.jobs.get(id)!.spec;
    if (key === null || !UNFINISHED_STATES.includes(state)) continue;
    if (holders.has(key)) return `${id} and ${holders.get(key)} are unfinished with key ${key}`;
    holders.set(key, id);
  }
}

// --- Attempts

function attemptsAreCountedOnce({ ledger, changes }: Write): Finding {
  for (const { id, after } of changes) {
    if (!after) continue;
    const { counted } = ledger.jobs.get(id)!;
    const expected = counted + (after.state === "processing" ? 1 : 0);
    if (after.attempts === expected) continue;
    return `${id} says ${after.attempts} attempts, but ${expected} count`;
  }
}

function attemptsStayWithinMaxRetries({ ledger, changes }: Write): Finding {
  for (const { id, after } of changes) {
    const most = Math.max(1, ledger.jobs.get(id)!.spec.maxRetries);
    if (after && after.attempts > most) return `${id}: attempt ${after.attempts} of ${most}`;
  }
}

function oneOpenAttemptForEachProcessingJob({ ledger, after }: Write): Finding {
  const open = new Map(ledger.openAttempts.map((attempt) => [attempt.job, attempt]));
  if (open.size < ledger.openAttempts.length) return "a job has two open attempts";
  for (const { seq, id, state, attempts, workerId } of after.values()) {
    const attempt = open.get(seq);
    if (state !== "processing") {
      if (attempt) return `${id} is ${state} and has an open attempt`;
    } else if (!attempt) return `${id} is processing and has no open attempt`;
    else if (attempt.attempt !== attempts) return `${id}: the open attempt has another number`;
    else if (attempt.workerId !== workerId) return `${id}: the open attempt has another worker`;
  }
}

function executionsAreOverWhenSettled({ settled, by }: Write): Finding {
  for (const { job, executions, outcome } of settled) {
    // Nobody can look at another machine.
    const alive = executions.some(({ command }) =>
      command && !command.isEnded && command.host === by.host
    );
    if (!alive) continue;
    return `an attempt of ${job.spec.id} was settled as ${outcome} while its command runs`;
  }
}

function outcomesAreTrue({ settled }: Write): Finding {
  for (const claim of settled) {
    if (!isTrue(claim)) return `${claim.job.spec.id} was not ${claim.outcome}`;
  }
}

function isTrue({ outcome, exitCode, job: { spec, isCancelled }, executions }: ClaimRecord) {
  const [execution] = executions;
  const end = execution?.command?.end;
  const code = end?.kind === "exited" ? end.code : null;
  const isOk = code === 0 || (code !== null && spec.okCodes.includes(code));
  switch (outcome) {
    case "completed":
      return isOk && exitCode === code;
    case "failed":
      return execution !== undefined && !isOk && exitCode === code;
    case "timed_out":
      return execution?.stopped === "timed_out";
    case "interrupted":
      // Or it was claimed ahead, and taken back before it began.
      return execution === undefined || execution.stopped === "interrupted" ||
        (code === 75 && spec.snoozeMs !== null);
    case "cancelled":
      return isCancelled;
    case "lost":
      return true; // see below
    case null:
      return false;
  }
}

function lostOnlyForACause({ settled }: Write): Finding {
  for (const { job, outcome, by, isThreadLost } of settled) {
    if (outcome !== "lost" || isThreadLost) continue;
    if (by.fate === "killed" || by.fate === "crashed") continue;
    const now = by.time.now;
    const since = now - by.leaseMs - COME_ROUND_MS;
    const silentMs = now - by.renewedAt;
    const wasLate = silentMs > 0.7 * by.leaseMs || by.lateAt > since;
    if (by.fate === null && wasLate && by.hinderedAt > since) continue;
    return `${job.spec.id} was lost, although ${by.name} was well: it renewed its lease ` +
      `${Math.round(silentMs)} ms ago`;
  }
}

function deadOnlyAfterAllAttempts({ ledger, changes }: Write): Finding {
  for (const { id, after } of changes) {
    if (after?.state !== "dead") continue;
    const { spec, claims } = ledger.jobs.get(id)!;
    const { exitCode } = claims.at(-1)!;
    const isFatal = exitCode !== null && spec.fatalCodes.includes(exitCode);
    if (isFatal || after.attempts >= Math.max(1, spec.maxRetries)) continue;
    return `${id} is dead after attempt ${after.attempts} of ${spec.maxRetries}`;
  }
}

function cancelledJobsEnd({ ledger, changes, method }: Write): Finding {
  if (method === "retry") return undefined;
  for (const { id, after } of changes) {
    if (!after || !ledger.jobs.get(id)!.isCancelled) continue;
    const { state } = after;
    if (state === "processing" && after.cancel !== null) continue;
    if (state !== "cancelled" && state !== "completed") {
      return `${id} was cancelled and is ${state}`;
    }
  }
}

function retriesWaitTheirTime({ settled, after, args }: Write): Finding {
  for (const { job: { spec }, outcome } of settled) {
    const { endedAt } = (args[0] as Turn).settled.find(({ job }) => job.id === spec.id)!;
    const row = after.get(spec.id)!;
    if (row.state !== "failed" || outcome === "lost") continue;
    const backoffMs = Math.min(spec.backoffBase ** row.attempts * 1000, spec.backoffMaxMs);
    if (row.runAt >= Math.floor(endedAt + backoffMs)) continue;
    return `${spec.id} is to be retried after ${row.runAt - endedAt} ms, not ${backoffMs}`;
  }
}

// --- Dependencies

function blockedJobsWaitForSomething({ ledger, after }: Write): Finding {
  for (const { id, state } of after.values()) {
    if (state !== "blocked") continue;
    const { needs, isDoomed } = ledger.jobs.get(id)!;
    if (isDoomed) return `${id} is blocked, but can never run`;
    if (needs.size === 0) return `${id} is blocked, but waits for nothing`;
    for (const need of needs.keys()) {
      const other = after.get(need);
      if (!other || isFinal(other.state)) return `${id} is blocked by ${need}, which has ended`;
    }
  }
}

// --- Claims

function everyClaimIsAnswered({ claimed, method, changes, result, error }: Write): Finding {
  if (method !== "turn" || error !== undefined) return undefined;
  const tokens = claimed.map(({ token }) => token);
  const taken = changes.filter(({ before, after }) =>
    after?.token && after.token !== before?.token
  );
  const unknown = taken.find(({ after }) => !tokens.includes(after!.token!));
  if (unknown) return `${unknown.id} was claimed, but nobody is told`;
  const { refused, cancelled } = result as TurnResult;
  if (taken.length < tokens.length) return "a job was claimed that does not have the token";
  if (refused.some(({ token }) => tokens.includes(token))) return "a claim was refused";
  if (cancelled.some(({ token }) => tokens.includes(token))) return "a claim was cancelled";
}

function cancelledJobsDoNotStart({ claimed }: Write): Finding {
  for (const { job } of claimed) {
    if (job.isCancelled) return `${job.spec.id} was claimed after it was cancelled`;
  }
}

function queueLimitsHold({ ledger, claimed, after }: Write): Finding {
  if (claimed.length === 0) return undefined;
  const queues = ledger.queues();
  for (const { job: { spec: { id, queue } } } of claimed) {
    const most = queues.get(queue)?.maxRunning ?? Infinity;
    const running = [...after.values()].filter((row) =>
      row.queue === queue && row.state === "processing"
    ).length;
    if (running > most) return `${id} is the ${running}th to run in ${queue}, of ${most}`;
  }
}

function pausedQueuesStartNothing({ ledger, claimed }: Write): Finding {
  if (claimed.length === 0) return undefined;
  const queues = ledger.queues();
  for (const { job: { spec: { id, queue } } } of claimed) {
    if (queues.get(queue)?.isPaused) return `${id} was claimed in ${queue}, which is paused`;
  }
}

function prerequisitesComeFirst({ claimed }: Write): Finding {
  for (const { job: { spec: { id }, needs, isDoomed } } of claimed) {
    if (isDoomed) return `${id} was claimed, although what it needs did not complete`;
    const [need] = [...needs].find(([, need]) => need !== "unsure") ?? [];
    if (need !== undefined) return `${id} was claimed before ${need} has ended`;
  }
}

/** Due is what the clock of somebody who looked said was due; from then on it can be claimed. */
function nothingIsClaimableEarly({ ledger, claimed, changes, method, args }: Write): Finding {
  if (method !== "turn") return undefined;
  const now = args[1] as number;
  for (const { id, before, after } of changes) {
    const claim = claimed.find(({ job }) => job.spec.id === id);
    const isReady = after?.ready === 1 || claim;
    // Of what was settled and claimed at once, only the end is seen.
    if (!isReady || before?.ready === 1 || before?.state === "processing") continue;
    const wasDue = claim ? claim.wasDue : ledger.jobs.get(id)!.isDue;
    if (after!.runAt > now && !wasDue) return `${id} is ready ${after!.runAt - now} ms early`;
  }
}

/** However people set their clocks. */
function whatWasDueStaysDue({ ledger, changes }: Write): Finding {
  for (const { id, before, after } of changes) {
    if (after?.ready !== 0) continue;
    // What was blocked becomes due by the clock of whoever releases it.
    const wasDue = before?.ready === 1 ||
      (before?.state !== "blocked" && ledger.jobs.get(id)!.isDue);
    if (wasDue) return `${id} was due, and is due only at ${after.runAt}`;
  }
}

// --- Executions

function startsOnlyWhatWasClaimed({ ledger, token, execution }: Start): Finding {
  const claim = ledger.claims.get(token);
  if (!claim) return "something was started that nobody has claimed";
  if (claim.by !== execution.process) return `${claim.job.spec.id} was started by somebody else`;
}

function oneExecutionPerAttempt({ ledger, token }: Start): Finding {
  const { executions, job } = ledger.claims.get(token)!;
  if (executions.length > 1) return `an attempt of ${job.spec.id} was executed twice`;
}

function nothingStartsAfterItsEnd({ ledger, token }: Start): Finding {
  const { outcome, job } = ledger.claims.get(token)!;
  if (outcome !== null) return `an attempt of ${job.spec.id} started after it was ${outcome}`;
}

function noOverlapInOneWorker({ ledger, token, execution }: Start): Finding {
  const { by, job } = ledger.claims.get(token)!;
  const other = runningBeside(ledger, token, execution).find((claim) => claim.by === by);
  if (other) return `${job.spec.id} runs twice in one worker`;
}

function noOverlapOnOneMachine({ ledger, token, execution }: Start): Finding {
  const { host } = execution.process;
  const { job } = ledger.claims.get(token)!;
  for (const other of runningBeside(ledger, token, execution)) {
    if (other.by.host !== host) continue;
    // Whoever took it back from another machine could not end it here.
    if (other.settledBy && other.settledBy.host !== host) continue;
    return `${job.spec.id} runs twice`;
  }
}

/** The other attempts of the same job that still run. */
function runningBeside(ledger: Ledger, token: string, execution: ExecutionRecord): ClaimRecord[] {
  return ledger.claims.get(token)!.job.claims.filter(({ executions }) =>
    executions.some((other) => other !== execution && other.command && !other.command.isEnded)
  );
}

// --- In the end

/** A job that a step of the clock has put off; `wallNow` by the clock that is furthest ahead. */
export function waitsForTheClock({ state, runAt }: JobRow, wallNow: number): boolean {
  return WAITING_STATES.includes(state) && runAt > wallNow + 60_000;
}

/** Each attempt has one row, and what was printed of it is kept. */
export function historyIsWhole(ledger: Ledger, rows: readonly { id: string; seqs: number[] }[]) {
  const output = ledger.output();
  for (const { id, seqs } of rows) {
    const { claims } = ledger.jobs.get(id)!;
    const claimed = claims.map(({ seq }) => seq);
    if (String(seqs) !== String(claimed)) return `${id}: attempts ${seqs}, but claimed ${claimed}`;
    for (const { seq, outcome, executions } of claims) {
      const printed = executions[0]?.command?.printed ?? 0;
      const kept = output.get(seq) ?? 0;
      if (kept > printed) return `${id}: ${kept} bytes of ${printed} are kept`;
      if (kept < printed && ["completed", "failed", "timed_out"].includes(outcome!)) {
        return `${id}: only ${kept} bytes of ${printed} are kept`;
      }
    }
  }
}
