import { failPoint } from "../fail_point.ts";
import { cancelled, type Outcome, settle, type Settlement } from "../job.ts";
import type { Settings } from "../settings.ts";
import type { Claim, Ended, Lease, ProcessId, Turn, TurnResult } from "../store/store.ts";
import { endEvent } from "./events.ts";
import type { Runner, RunnerEvents } from "./pool.ts";
import type { End, Printed } from "./protocol.ts";
import type { World } from "./supervisor.ts";

/** A process id is written down once its command has run for so long; most have ended by then. */
const RECORD_PROCESS_MS = 50;
/** From TERM to KILL for jobs that have to end now. */
const FORCED_GRACE_MS = 1000;
/** The same for a job that was cancelled: all of it is to be gone within a second. */
const CANCEL_GRACE_MS = 700;

interface Running extends Claim {
  startedAt: number;
  pid: number | null;
  pidRecorded: boolean;
  /** Why the lease has gone to somebody else, or may go: whatever comes of it, the attempt is lost. */
  lost: string | null;
  /** The grace that it was given when somebody wanted it cancelled. */
  cancelGraceMs: number | null;
}

interface Batch {
  settled: (Ended & { running: Running })[];
  output: { running: Running; printed: Printed; last: boolean }[];
  started: { running: Running; process: ProcessId }[];
}

/** The attempts that a worker process has in hand, between the runner and the store. */
export class Attempts implements RunnerEvents {
  readonly #world: World;
  readonly #runner: Runner;
  readonly #options: { limit?: number; verbose?: boolean };
  readonly #onReport: () => void;
  readonly #idle: number[];
  readonly #executed = new Map<number, number>();
  readonly #running = new Map<number, Running>();
  #ended: { running: Running; outcome: Outcome }[] = [];
  #output: Batch["output"] = [];

  /** `onReport` is called when the runner has reported something that is to be written. */
  constructor(
    world: World,
    options: { count: number; limit?: number; verbose?: boolean },
    onReport: () => void,
  ) {
    this.#world = world;
    this.#options = options;
    this.#onReport = onReport;
    this.#idle = Array.from({ length: options.count }, (_, i) => i + 1);
    this.#runner = world.runner(this);
  }

  /** The executors that have nothing to do and have not reached their limit. */
  get idle(): readonly number[] {
    return this.#idle;
  }

  /** How many commands run. */
  get running(): number {
    return this.#running.size;
  }

  /** Whether there is nothing new to be written. */
  get isQuiet(): boolean {
    return this.#ended.length + this.#output.length === 0;
  }

  /** Whether nothing runs and everything that ended is written. */
  get isEmpty(): boolean {
    return this.#running.size === 0 && this.#ended.length === 0;
  }

  /** The lease tokens of all attempts in hand. */
  tokens(): Set<string> {
    const inHand = [...this.#running.values(), ...this.#ended.map(({ running }) => running)];
    return new Set(inHand.map(({ lease }) => lease.token));
  }

  start({ lease, job, executor }: Claim, settings: Settings) {
    const { system, report } = this.#world;
    const startedAt = system.monotonic();
    const state = { startedAt, pid: null, pidRecorded: false, lost: null, cancelGraceMs: null };
    const running: Running = { lease, job, executor, ...state };
    const earlier = this.#running.values().find((each) => each.lease.job === lease.job);
    if (earlier) {
      // It was taken from this process while its machine slept, and has come back before that was noticed.
      this.#giveUp(earlier, "The lease was lost");
      this.#ended.push({ running, outcome: { kind: "interrupted" } });
      return;
    }
    this.#idle.splice(this.#idle.indexOf(executor), 1);
    this.#running.set(executor, running);
    const { id, attempts, maxRetries, command, cwd, timeoutMs } = job;
    report({ event: "claimed", job: id, attempt: attempts, executor, command });
    this.#runner.run(executor, {
      command,
      cwd,
      env: {
        ...job.env,
        QUEUECTL_JOB_ID: id,
        QUEUECTL_ATTEMPT: String(attempts),
        QUEUECTL_MAX_RETRIES: String(maxRetries),
        QUEUECTL_WORKER: String(executor),
        QUEUECTL_ATTEMPT_ID: lease.token,
      },
      timeoutMs,
      killGraceMs: settings.kill_grace,
      outputLimit: settings.output_limit,
    });
  }

  // --- What the runner reports

  started(executor: number, pid: number) {
    const running = this.#running.get(executor);
    if (!running) return;
    running.pid = pid;
    this.#onReport();
  }

  output(executor: number, printed: Printed) {
    const running = this.#running.get(executor);
    if (!running) return;
    this.#output.push({ running, printed, last: false });
    this.#onReport();
  }

  ended(executor: number, end: End | { kind: "lost"; reason: string }, printed: Printed | null) {
    const running = this.#running.get(executor);
    if (!running) return;
    failPoint("after-exit");
    this.#running.delete(executor);
    if (printed) this.#output.push({ running, printed, last: true });
    const outcome: Outcome = running.lost === null ? end : { kind: "lost", reason: running.lost };
    this.#ended.push({ running, outcome });
    const executed = (this.#executed.get(executor) ?? 0) + 1;
    this.#executed.set(executor, executed);
    if (executed < (this.#options.limit ?? Infinity)) this.#idle.push(executor);
    this.#onReport();
  }

  // --- What becomes of it

  /** What is to be written at `now`; null if there is nothing. It stays in hand until `written` is told of it. */
  collect(now: number): Batch | null {
    const { system, processes } = this.#world;
    // What was lost or cancelled may have left something running; it is settled once that has ended.
    const ended = this.#ended.filter(({ running, outcome }) =>
      (outcome.kind !== "lost" && running.cancelGraceMs === null) ||
      processes.killLeftovers(running.lease.token, null)
    );
    const started = this.#processesToRecord();
    if (ended.length + this.#output.length + started.length === 0) return null;
    const chance = { now, random: system.random() };
    const settled = ended.map(({ running, outcome }) => {
      const { lease, job } = running;
      const settlement = settle(job, outcome, chance);
      return { running, lease, job, settlement, ifCancelled: cancelled(settlement, job.attempts) };
    });
    return { settled, output: [...this.#output], started };
  }

  #processesToRecord(): Batch["started"] {
    const { system, processes } = this.#world;
    const found = [];
    for (const running of this.#running.values()) {
      if (system.monotonic() < recordAt(running)) continue;
      const process = processes.identify(running.pid!);
      if (process) found.push({ running, process });
      else running.pidRecorded = true; // it has ended, and is about to be settled
    }
    return found;
  }

  /** When the next process id is to be written down, on the monotonic clock. */
  nextRecordAt(): number {
    return Math.min(...this.#running.values().map(recordAt));
  }

  /** A batch as the store takes it. */
  asTurn({ settled, output, started }: Batch): Pick<Turn, "settled" | "output" | "started"> {
    return {
      settled,
      output: output.map(({ running, printed }) => ({ lease: running.lease, ...printed })),
      started: started.map(({ running, process }) => ({ lease: running.lease, process })),
    };
  }

  /** The store has taken the batch: it is forgotten, and its ends are reported. */
  written({ settled, output, started }: Batch, result: TurnResult, now: number) {
    const { report } = this.#world;
    const done = new Set(settled.map(({ running }) => running));
    this.#ended = this.#ended.filter(({ running }) => !done.has(running));
    this.#output = this.#output.filter((each) => !output.includes(each));
    for (const { running } of started) running.pidRecorded = true;
    for (const { running, printed, last } of output) {
      if (this.#options.verbose) report({ event: "output", job: running.job.id, printed });
      if (!last) this.#runner.stored(running.executor);
    }
    const isIn = (leases: readonly Lease[], { lease }: Running) =>
      leases.some(({ token }) => token === lease.token);
    for (const { running, settlement, ifCancelled } of settled) {
      const wasRefused = isIn(result.refused, running);
      const end = isIn(result.cancelled, running) ? ifCancelled : settlement;
      this.#reportEnd(running, end, { now, wasRefused });
    }
  }

  #reportEnd(
    { job, startedAt, lost }: Running,
    settlement: Settlement,
    { now, wasRefused }: { now: number; wasRefused: boolean },
  ) {
    const { system, report } = this.#world;
    if (!wasRefused) {
      const durationMs = Math.round(system.monotonic() - startedAt);
      report(endEvent(job, settlement, { durationMs, now }));
    } else if (lost === null) { // else it was said when it was noticed
      const reason = "The lease was lost";
      report({ event: "lost", job: job.id, attempt: job.attempts, reason });
    }
  }

  /** Ends all attempts whose token is not among `held`: their leases have gone to somebody else. */
  giveUpAllBut(held: ReadonlySet<string>, reason: string) {
    for (const running of this.#running.values()) {
      if (!held.has(running.lease.token)) this.#giveUp(running, reason);
    }
  }

  #giveUp(running: Running, reason: string) {
    if (running.lost !== null) return;
    running.lost = reason;
    const { id, attempts } = running.job;
    this.#world.report({ event: "lost", job: id, attempt: attempts, reason });
    this.#runner.stop(running.executor, FORCED_GRACE_MS);
  }

  /** Whether a command still runs whose job may be somebody else's by now. */
  get isGivingUp(): boolean {
    return this.#running.values().some(({ lost }) => lost !== null);
  }

  /** Ends those attempts that somebody wants to be cancelled. */
  cancel(requests: readonly { token: string; force: boolean }[]) {
    for (const { token, force } of requests) {
      const running = this.#running.values().find(({ lease }) => lease.token === token);
      const graceMs = force ? 0 : CANCEL_GRACE_MS;
      if (!running || (running.cancelGraceMs ?? Infinity) <= graceMs) continue;
      running.cancelGraceMs = graceMs;
      this.#runner.stop(running.executor, graceMs);
    }
  }

  /** Ends every command: TERM, and soon KILL. */
  end() {
    for (const executor of this.#running.keys()) this.#runner.stop(executor, FORCED_GRACE_MS);
  }

  /** Has threads that do not answer replaced. */
  check() {
    this.#runner.check();
  }

  close() {
    this.#runner.close();
  }
}

function recordAt({ pid, pidRecorded, startedAt }: Running): number {
  return pid === null || pidRecorded ? Infinity : startedAt + RECORD_PROCESS_MS;
}
