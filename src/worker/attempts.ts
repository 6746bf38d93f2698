import { failPoint } from "../fail_point.ts";
import type { Outcome, Settlement } from "../job.ts";
import type { Settings } from "../settings.ts";
import type { Claim, Ended, ProcessId, Turn, TurnResult } from "../store/store.ts";
import { endOf, whatBecameOf } from "./ends.ts";
import { endEvent } from "./events.ts";
import { Executors } from "./executors.ts";
import { firstBatch } from "./output_buffer.ts";
import type { Ending, Runner, RunnerEvents } from "./pool.ts";
import type { End, Printed, Ran, Run } from "./protocol.ts";
import type { World } from "./supervisor.ts";

const NOTHING: ReadonlySet<string> = new Set();
const GIVEN_BACK = { kind: "interrupted", reason: "It was given back before it began" } as const;
/** From TERM to KILL for jobs that have to end now. */
const FORCED_GRACE_MS = 1000;
/** The same for a job that was cancelled: all of it is to be gone within a second. */
const CANCEL_GRACE_MS = 700;
/** While more than this is left to be stored of what has ended, nothing new is claimed. */
const MOST_BEHIND_BYTES = 16 * 2 ** 20;

interface Running extends Claim {
  /** On the monotonic clock. */
  startedAt: number;
  pid: number | null;
  pidRecorded: boolean;
  /** Why the lease has gone to somebody else, or may go: whatever comes of it, the attempt is lost. */
  lost: string | null;
  /** The grace that it was given when somebody wanted it cancelled. */
  cancelGraceMs: number | null;
}

interface EndedAttempt {
  running: Running;
  outcome: Outcome;
  ran: Ran | null;
  endedAt: number;
}

interface Batch {
  settled: (Ended & { running: Running; ran: Ran | null })[];
  output: { running: Running; printed: Printed; last: boolean }[];
  started: { running: Running; process: ProcessId }[];
}

/** The attempts that a worker process has in hand, between the runner and the store. */
export class Attempts implements RunnerEvents {
  readonly #world: World;
  readonly #runner: Runner;
  readonly #options: { verbose?: boolean };
  readonly #onReport: () => void;
  readonly #executors: Executors<Running>;
  #ended: EndedAttempt[] = [];
  #output: Batch["output"] = [];
  #isEnding = false;

  /** `onReport` is called when the runner has reported something that is to be written. */
  constructor(
    world: World,
    options: { count: number; limit?: number; verbose?: boolean },
    onReport: () => void,
  ) {
    this.#world = world;
    this.#options = options;
    this.#onReport = onReport;
    this.#executors = new Executors(options);
    this.#runner = world.runner(this);
  }

  /** The executors that have nothing to do and have not reached their limit. */
  get idle(): readonly number[] {
    return this.#executors.idle;
  }

  /** The executors that can be given a job ahead, each as often as it can take one. */
  get ahead(): number[] {
    return this.#executors.ahead(this.#world.system.monotonic());
  }

  /** How many commands run. */
  get running(): number {
    return this.#executors.running.length;
  }

  /** Whether there is nothing new to be written. */
  get isQuiet(): boolean {
    return this.#ended.length + this.#output.length === 0;
  }

  /** Whether commands end faster than what they have printed can be stored. */
  get isBehind(): boolean {
    if (this.#output.length === 0) return false;
    const ended = new Set(this.#ended.map(({ running }) => running));
    const left = this.#output.filter(({ running }) => ended.has(running));
    const chunks = left.flatMap(({ printed }) => printed.chunks);
    return chunks.reduce((sum, { bytes }) => sum + bytes.length, 0) > MOST_BEHIND_BYTES;
  }

  /** Whether there is output that can be written at once. */
  get hasOutput(): boolean {
    return this.#output.length > 0;
  }

  /** Whether nothing runs and everything that ended is written. */
  get isEmpty(): boolean {
    return this.running === 0 && this.#ended.length === 0;
  }

  /** The lease tokens of all attempts in hand. */
  tokens(): Set<string> {
    const ended = this.#ended.map(({ running }) => running);
    const inHand = [...this.#executors.inHand, ...ended];
    return new Set(inHand.map(({ lease }) => lease.token));
  }

  /** Has the job executed that was claimed at `claimedAt`, epoch milliseconds. */
  start({ lease, job, executor }: Claim, settings: Settings, claimedAt: number) {
    const { system, report } = this.#world;
    const startedAt = system.monotonic();
    const state = { startedAt, pid: null, pidRecorded: false, lost: null, cancelGraceMs: null };
    const running: Running = { lease, job, executor, ...state };
    const earlier = this.#executors.inHand.find((each) => each.lease.job === lease.job);
    if (earlier) {
      // It was taken from this process while its machine slept, and has come back before that was noticed.
      this.#giveUp(earlier, "The lease was lost");
      return this.#putAway(running, GIVEN_BACK, null);
    }
    this.#executors.give(running);
    const { id, attempts, maxRetries, command, cwd, timeoutMs } = job;
    report({ event: "claimed", job: id, attempt: attempts, executor, command });
    const run: Run = {
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
    };
    // Leases are renewed when a third of them is over, so two thirds were left at the claim. That is where
    // it counts from: this process may have stood still since.
    this.#runner.run(executor, run, { from: claimedAt, by: claimedAt + settings.lease / 3 });
  }

  // --- What the runner reports

  started(executor: number, pid: number) {
    const running = this.#executors.runningOn(executor);
    if (!running) return;
    running.pid = pid;
    this.#onReport();
  }

  output(executor: number, printed: Printed) {
    const running = this.#executors.runningOn(executor);
    if (!running) return;
    this.#output.push({ running, printed, last: false });
    this.#onReport();
  }

  ended(
    executor: number,
    end: End | { kind: "lost"; reason: string },
    { printed, ran }: Ending,
  ) {
    const running = this.#executors.runningOn(executor);
    if (!running) return;
    failPoint("after-exit");
    if (printed) this.#output.push({ running, printed, last: true });
    this.#putAway(running, end, ran);
    const now = this.#world.system.monotonic();
    const next = this.#executors.end(executor, { tookMs: ran?.tookMs ?? Infinity, now });
    // Its thread has started it by itself, whatever has become of it meanwhile.
    if (next && (next.lost !== null || this.#isEnding)) this.#end(next, FORCED_GRACE_MS);
    else if (next && next.cancelGraceMs !== null) this.#end(next, next.cancelGraceMs);
    if (this.#executors.isOverloaded(executor)) this.#takeBack(executor);
    this.#onReport();
  }

  withdrawn(executor: number, count: number) {
    const withdrawn = this.#executors.takeBack(executor, count);
    for (const each of withdrawn) this.#putAway(each, GIVEN_BACK, null);
    this.#onReport();
  }

  #putAway(running: Running, end: Outcome, ran: Ran | null) {
    const outcome: Outcome = running.lost === null ? end : { kind: "lost", reason: running.lost };
    this.#ended.push({ running, outcome, ran, endedAt: ran?.to ?? this.#world.system.now() });
  }

  // --- What becomes of it

  /**
   * What is to be written next; null if there is nothing. It stays in hand until `written` is told of
   * it. Much output is written in several turns: in the middle of one no lease can be renewed.
   */
  collect(): Batch | null {
    const { system, processes } = this.#world;
    const output = firstBatch(this.#output, ({ printed }) => printed.chunks);
    const withMore = new Set(this.#output.slice(output.length).map(({ running }) => running));
    const whole = this.#ended.filter(({ running }) => !withMore.has(running));
    // What was lost or cancelled may have left something running; it is settled once that has ended.
    const suspects = whole.filter(({ running, outcome }) =>
      outcome.kind === "lost" || running.cancelGraceMs !== null
    );
    const marked = suspects.map(({ running: { lease: { token } } }) => ({ token, leader: null }));
    const living = marked.length > 0 ? processes.killLeftovers(marked) : NOTHING;
    const ended = whole.filter(({ running }) => !living.has(running.lease.token));
    const started = this.#processesToRecord();
    if (ended.length + output.length + started.length === 0) return null;
    const settled = ended.map(({ running, outcome, ran, endedAt }) => {
      const when = { begunAt: ran?.from ?? null, endedAt };
      return { running, ran, ...endOf(running, outcome, { ...when, random: system.random() }) };
    });
    return { settled, output, started };
  }

  #processesToRecord(): Batch["started"] {
    const { system, processes } = this.#world;
    const found = [];
    for (const running of this.#executors.running) {
      if (system.monotonic() < this.#recordAt(running)) continue;
      this.#takeBack(running.executor); // this takes longer than was thought
      const process = processes.identify(running.pid!);
      if (process) found.push({ running, process });
      else running.pidRecorded = true; // it has ended, and is about to be settled
    }
    return found;
  }

  /** When the next process id is to be written down, on the monotonic clock. */
  nextRecordAt(): number {
    return Math.min(...this.#executors.running.map((running) => this.#recordAt(running)));
  }

  // Most commands have ended by then, and until then a dead worker's are found by their mark. What waits
  // behind this one is given back at the same time.
  #recordAt({ executor, pid, pidRecorded, startedAt }: Running): number {
    if (pid === null || pidRecorded) return Infinity;
    return startedAt + this.#executors.patienceMs(executor);
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
      const isCurrent = this.#executors.runningOn(running.executor) === running;
      if (!last && isCurrent) this.#runner.stored(running.executor);
    }
    for (const end of settled) {
      const durationMs = end.ran?.tookMs ?? 0;
      this.#reportEnd(end.running, whatBecameOf(end, result), { durationMs, now });
    }
  }

  #reportEnd(
    { job, lost }: Running,
    settlement: Settlement | null,
    times: { durationMs: number; now: number },
  ) {
    const { report } = this.#world;
    if (settlement) {
      report(endEvent(job, settlement, times));
    } else if (lost === null) { // else it was said when it was noticed
      const reason = "The lease was lost";
      report({ event: "lost", job: job.id, attempt: job.attempts, reason });
    }
  }

  /** Ends all attempts whose token is not among `held`: their leases have gone to somebody else. */
  giveUpAllBut(held: ReadonlySet<string>, reason: string) {
    for (const running of this.#executors.inHand) {
      if (!held.has(running.lease.token)) this.#giveUp(running, reason);
    }
  }

  #giveUp(running: Running, reason: string) {
    if (running.lost !== null) return;
    running.lost = reason;
    const { id, attempts } = running.job;
    this.#world.report({ event: "lost", job: id, attempt: attempts, reason });
    this.#end(running, FORCED_GRACE_MS);
  }

  /** What waits is taken back; if it has started meanwhile, it is ended when that is known. */
  #end(running: Running, graceMs: number) {
    const { executor } = running;
    if (this.#executors.waits(running)) this.#takeBack(executor);
    else this.#runner.stop(executor, graceMs);
  }

  /** Whether a command still runs whose job may be somebody else's by now. */
  get isGivingUp(): boolean {
    return this.#executors.inHand.some(({ lost }) => lost !== null);
  }

  /** Ends those attempts that somebody wants to be cancelled. */
  cancel(requests: readonly { token: string; force: boolean }[]) {
    const inHand = this.#executors.inHand;
    for (const { token, force } of requests) {
      const running = inHand.find(({ lease }) => lease.token === token);
      const graceMs = force ? 0 : CANCEL_GRACE_MS;
      if (!running || (running.cancelGraceMs ?? Infinity) <= graceMs) continue;
      running.cancelGraceMs = graceMs;
      this.#end(running, graceMs);
    }
  }

  /** Takes back what has not been started. */
  withdraw() {
    for (const { executor } of this.#executors.running) this.#takeBack(executor);
  }

  #takeBack(executor: number) {
    if (this.#executors.clear(executor)) this.#runner.withdraw(executor);
  }

  /** Ends every command: TERM, and soon KILL. */
  end() {
    this.#isEnding = true;
    this.withdraw();
    for (const { executor } of this.#executors.running) {
      this.#runner.stop(executor, FORCED_GRACE_MS);
    }
  }

  /** Has threads that do not answer replaced. */
  check() {
    this.#runner.check();
  }

  close() {
    this.#runner.close();
  }
}
