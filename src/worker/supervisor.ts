import { type Outcome, settle, type Settlement } from "../job.ts";
import { newId } from "../ids.ts";
import type { Settings } from "../settings.ts";
import type { Claim, ClaimedJob, NewWorker, Outlook, ProcessId, Store } from "../store/store.ts";
import { mayPass } from "../store/sqlite_errors.ts";
import { sleep, type System } from "../system.ts";
import { Recovery } from "./recovery.ts";
import { endEvent, type WorkerEvent } from "./events.ts";
import type { Runner, RunnerEvents } from "./pool.ts";
import type { Processes } from "./processes.ts";
import type { End, Printed } from "./protocol.ts";
import { Wake } from "./wake.ts";

/** How often a worker process looks after itself, the store and the other workers. */
const UPKEEP_MS = 1000;
/** Changes by others are looked into at most this often, however fast they come. */
const OBEY_MS = 50;
/** A process id is written down once its command has run for so long; most have ended by then. */
const RECORD_PROCESS_MS = 50;
/** From TERM to KILL for jobs that have to end now. */
const FORCED_GRACE_MS = 1000;
/** Before the next try when the store was busy or full. */
const RETRY_STORE_MS = 200;
/** A thread that is asked and has not answered by the next time is replaced. */
const CHECK_THREADS_MS = 10_000;
const PRUNE_EVERY_MS = 60_000;
const PRUNED_AT_ONCE = 500;

export interface SupervisorOptions {
  worker: Omit<NewWorker, "leaseMs">;
  /** Each executor ends after so many attempts. */
  limit?: number;
  /** Instead of the setting poll_interval. */
  pollMs?: number;
  /** End when no job is left that could still run by itself. */
  drain?: boolean;
  /** Report what jobs print. */
  verbose?: boolean;
}

/** What a supervisor works with; all of it can be another one in a test. */
export interface World {
  store: Store;
  system: System;
  processes: Processes;
  report: (event: WorkerEvent) => void;
  /** Calls `onRing` when there may be work, until it is disposed of. */
  listen: (onRing: () => void) => Disposable;
}

interface Running extends Claim {
  startedAt: number;
  pid: number | null;
  pidRecorded: boolean;
  /** The lease has gone to somebody else, or may go: whatever comes of it, it counts as lost. */
  lost: string | null;
}

/**
 * The main thread of a worker process: it owns the store, claims as many jobs as there are idle
 * executors, settles what ended, stores output, keeps the leases and recovers what dead workers left.
 */
export class Supervisor implements RunnerEvents {
  readonly #store: Store;
  readonly #system: System;
  readonly #processes: Processes;
  readonly #runner: Runner;
  readonly #options: SupervisorOptions;
  readonly #report: (event: WorkerEvent) => void;
  readonly #listen: World["listen"];
  readonly #wake: Wake;
  readonly #recovery: Recovery;

  #settings!: Settings;
  #outlook: Outlook = { claimable: true, nextDueAt: null, unfinished: 1 };
  readonly #idle: number[];
  readonly #executed = new Map<number, number>();
  readonly #running = new Map<number, Running>();
  #ended: { running: Running; outcome: Outcome }[] = [];
  #output: { running: Running; printed: Printed; last: boolean }[] = [];

  #stopping: "graceful" | "force" | null = null;
  #changes = -1;
  #mustObey = false;
  #storeFails = false;
  #hasWritten = false;
  // All of these are on the monotonic clock.
  #forceAt = Infinity;
  #renewedAt = 0;
  #upkeepAt = 0;
  #obeyAt = 0;
  #pollAt = 0;
  #pruneAt = 0;
  #checkAt = 0;

  constructor(
    world: World & { runner: (events: RunnerEvents) => Runner },
    options: SupervisorOptions,
  ) {
    this.#store = world.store;
    this.#system = world.system;
    this.#processes = world.processes;
    this.#report = world.report;
    this.#listen = world.listen;
    this.#options = options;
    this.#wake = new Wake(world.system);
    this.#recovery = new Recovery(world, options.worker);
    this.#idle = Array.from({ length: options.worker.count }, (_, i) => i + 1);
    this.#runner = world.runner(this);
  }

  /** Works until it is told to stop, or has done what it was started for. */
  async run(): Promise<void> {
    const { id, process, count } = this.#options.worker;
    this.#settings = await this.#store.settings();
    await this.#register();
    this.#report({ event: "started", worker: id, pid: process.pid, count });
    using _bell = this.#listen(() => this.#wake.raise());
    try {
      while (!this.#isDone()) {
        await this.#step();
        if (!this.#isDone()) await this.#wake.wait(this.#idleMs());
      }
      await this.#store.deregister(id);
    } finally {
      this.#runner.close();
    }
    this.#report({ event: "stopped", worker: id });
  }

  /** Lets running jobs end and takes no more; when called again, or with force, ends them too. */
  stop(force = false) {
    const now = this.#system.monotonic();
    force ||= this.#stopping !== null;
    if (this.#stopping === "force") return;
    this.#stopping = force ? "force" : "graceful";
    this.#report({ event: "stopping", running: this.#running.size, force });
    if (force) {
      for (const executor of this.#running.keys()) this.#runner.stop(executor, FORCED_GRACE_MS);
    } else {
      this.#forceAt = now + this.#settings.shutdown_grace;
    }
    this.#wake.raise();
  }

  started(executor: number, pid: number) {
    const running = this.#running.get(executor);
    if (running) running.pid = pid;
  }

  output(executor: number, printed: Printed) {
    const running = this.#running.get(executor);
    if (!running) return;
    this.#output.push({ running, printed, last: false });
    this.#wake.raise();
  }

  ended(executor: number, end: End | { kind: "lost"; reason: string }, printed: Printed | null) {
    const running = this.#running.get(executor);
    if (!running) return;
    this.#running.delete(executor);
    if (printed) this.#output.push({ running, printed, last: true });
    const outcome: Outcome = running.lost === null ? end : { kind: "lost", reason: running.lost };
    this.#ended.push({ running, outcome });
    const executed = (this.#executed.get(executor) ?? 0) + 1;
    this.#executed.set(executor, executed);
    if (executed < (this.#options.limit ?? Infinity)) this.#idle.push(executor);
    this.#wake.raise();
  }

  #isDone(): boolean {
    if (this.#running.size > 0 || this.#ended.length > 0) return false;
    if (this.#stopping || this.#idle.length === 0) return true;
    return this.#options.drain === true && this.#outlook.unfinished === 0;
  }

  /** How long there is nothing to do unless somebody wakes it. */
  #idleMs(): number {
    const now = this.#system.monotonic();
    const due = [this.#upkeepAt, this.#forceAt];
    if (this.#wantsJobs()) {
      due.push(this.#pollAt);
      const { nextDueAt } = this.#outlook;
      if (nextDueAt !== null) due.push(now + Math.max(1, nextDueAt - this.#system.now()));
    }
    if (this.#mustObey) due.push(this.#obeyAt);
    for (const { pid, pidRecorded, startedAt } of this.#running.values()) {
      if (pid !== null && !pidRecorded) due.push(startedAt + RECORD_PROCESS_MS);
    }
    return Math.max(0, Math.min(...due) - now);
  }

  #wantsJobs(): boolean {
    return this.#idle.length > 0 && this.#stopping === null;
  }

  async #step() {
    const now = this.#system.monotonic();
    try {
      const changed = this.#noticeChanges();
      if (now >= this.#upkeepAt) await this.#upkeep(now);
      if (this.#mustObey && now >= this.#obeyAt) await this.#obey(now);
      if (now >= this.#forceAt) {
        this.#forceAt = Infinity;
        this.stop(true);
      }
      await this.#turn(now, changed);
      this.#storeFails = false;
    } catch (error) {
      if (!mayPass(error)) throw error;
      if (!this.#storeFails) {
        this.#report({ event: "warning", message: `${(error as Error).message}; trying again` });
      }
      this.#storeFails = true;
      this.#endWhatMayBeTaken();
      await sleep(this.#system, RETRY_STORE_MS);
    }
  }

  // --- Once in a while

  async #upkeep(now: number) {
    this.#store.verify();
    // Renewing also makes durable what the last turns have written.
    const due = now - this.#renewedAt >= this.#settings.lease / 3;
    if (due || this.#hasWritten) await this.#renew(now);
    if (now >= this.#checkAt) {
      this.#checkAt = now + CHECK_THREADS_MS;
      this.#runner.check();
    }
    await this.#obey(now);
    await this.#recover();
    if (now >= this.#pruneAt) await this.#prune(now);
    this.#upkeepAt = now + Math.min(UPKEEP_MS, this.#settings.lease / 3);
  }

  #noticeChanges(): boolean {
    const changes = this.#store.changes();
    const changed = changes !== this.#changes;
    this.#changes = changes;
    this.#mustObey ||= changed;
    return changed;
  }

  async #obey(now: number) {
    this.#mustObey = false;
    this.#obeyAt = now + OBEY_MS;
    this.#settings = await this.#store.settings();
    const me = (await this.#store.workers()).find(({ id }) => id === this.#options.worker.id);
    if (me?.stop === "force" || (me?.stop === "graceful" && this.#stopping === null)) {
      this.stop(me.stop === "force");
    }
  }

  async #register() {
    const worker = { ...this.#options.worker, leaseMs: this.#settings.lease };
    await this.#store.register(worker, this.#system.now());
    this.#renewedAt = this.#system.monotonic();
  }

  async #renew(now: number) {
    this.#hasWritten = false;
    if (await this.#store.renew(this.#options.worker.id, this.#system.now())) this.#renewedAt = now;
    else await this.#register(); // it was taken for dead
  }

  // Before the lease can be taken, so that nothing runs twice even where nobody else could end it.
  #endWhatMayBeTaken() {
    const quietMs = this.#system.monotonic() - this.#renewedAt;
    if (quietMs < this.#settings.lease * 0.7) return;
    for (const running of this.#running.values()) {
      this.#lose(running, "Its worker could not renew the lease");
    }
  }

  #lose(running: Running, reason: string) {
    if (running.lost !== null) return;
    running.lost = reason;
    this.#report({ event: "lost", job: running.job.id, attempt: running.job.attempts, reason });
    this.#runner.stop(running.executor, FORCED_GRACE_MS);
  }

  async #recover() {
    const held = await this.#store.leases();
    this.#noticeLostLeases(new Set(held.map(({ lease }) => lease.token)));
    const mine = new Set<string>();
    for (const { lease } of this.#running.values()) mine.add(lease.token);
    for (const { running } of this.#ended) mine.add(running.lease.token);
    if (await this.#recovery.recover(held, mine)) this.#pollAt = 0;
  }

  #noticeLostLeases(held: ReadonlySet<string>) {
    for (const running of this.#running.values()) {
      if (running.lost !== null || held.has(running.lease.token)) continue;
      this.#lose(running, "The lease was lost");
    }
  }

  async #prune(now: number) {
    this.#pruneAt = now + PRUNE_EVERY_MS;
    if (this.#settings.retention === null) return;
    const before = this.#system.now() - this.#settings.retention;
    // In small steps, so that nobody waits long for the store.
    if (await this.#store.prune(before, PRUNED_AT_ONCE) === PRUNED_AT_ONCE) this.#pruneAt = now;
  }

  // --- Every turn

  async #turn(now: number, changed: boolean) {
    const { nextDueAt } = this.#outlook;
    const due = nextDueAt !== null && nextDueAt <= this.#system.now();
    const wants = this.#wantsJobs();
    const looks = wants && (changed || due || now >= this.#pollAt);
    const ended = this.#takeEnded();
    const started = this.#processesToRecord(now);
    if (looks) {
      this.#pollAt = now + (this.#options.pollMs ?? this.#settings.poll_interval);
      this.#outlook = await this.#store.outlook(this.#system.now());
    }
    const writes = ended.length + this.#output.length + started.length > 0;
    if (!writes && !(looks && this.#outlook.claimable)) return;

    const idle = wants ? this.#idle.map((executor) => ({ executor, token: newId(20) })) : [];
    await this.#write({ ended, started, idle });
  }

  async #write({ ended, started, idle }: {
    ended: { running: Running; outcome: Outcome }[];
    started: { running: Running; process: ProcessId }[];
    idle: { executor: number; token: string }[];
  }) {
    const settled = ended.map(({ running, outcome }) => ({
      running,
      lease: running.lease,
      settlement: this.#settle(running.job, outcome),
    }));
    const output = this.#output;
    const now = this.#system.now();
    const { refused, claimed } = await this.#store.turn({
      worker: this.#options.worker.id,
      settled,
      output: output.map(({ running, printed }) => ({ lease: running.lease, ...printed })),
      started: started.map(({ running, process }) => ({ lease: running.lease, process })),
      idle,
    }, now);

    this.#hasWritten = true;
    this.#ended = this.#ended.filter((each) => !ended.includes(each));
    this.#output = this.#output.slice(output.length);
    for (const { running } of started) running.pidRecorded = true;
    for (const { running, printed, last } of output) {
      if (this.#options.verbose) this.#report({ event: "output", job: running.job.id, printed });
      if (!last) this.#runner.stored(running.executor);
    }
    const refusedTokens = new Set(refused.map(({ token }) => token));
    for (const { running, settlement } of settled) {
      this.#reportEnd(running, settlement, refusedTokens.has(running.lease.token));
    }
    for (const claim of claimed) this.#start(claim);
    if (this.#wantsJobs()) this.#outlook = await this.#store.outlook(now);
  }

  // What was lost may have left something running; it is settled once that has ended.
  #takeEnded() {
    return this.#ended.filter(({ running, outcome }) =>
      outcome.kind !== "lost" || this.#processes.killLeftovers(running.lease.token, null)
    );
  }

  #processesToRecord(now: number) {
    const found = [];
    for (const running of this.#running.values()) {
      const { pid, pidRecorded, startedAt } = running;
      if (pid === null || pidRecorded || now < startedAt + RECORD_PROCESS_MS) continue;
      const process = this.#processes.identify(pid);
      if (process) found.push({ running, process });
      else running.pidRecorded = true; // it has ended, and is about to be settled
    }
    return found;
  }

  #settle(job: ClaimedJob, outcome: Outcome): Settlement {
    return settle(job, outcome, { now: this.#system.now(), random: this.#system.random() });
  }

  #start(claim: Claim) {
    const { lease, job, executor } = claim;
    this.#idle.splice(this.#idle.indexOf(executor), 1);
    this.#running.set(executor, {
      ...claim,
      startedAt: this.#system.monotonic(),
      pid: null,
      pidRecorded: false,
      lost: null,
    });
    const { id, attempts, maxRetries, command, cwd, timeoutMs } = job;
    this.#report({ event: "claimed", job: id, attempt: attempts, executor, command });
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
      killGraceMs: this.#settings.kill_grace,
      outputLimit: this.#settings.output_limit,
    });
    if (this.#stopping === "force") this.#runner.stop(executor, FORCED_GRACE_MS);
  }

  #reportEnd({ job, startedAt, lost }: Running, settlement: Settlement, refused: boolean) {
    if (refused && lost !== null) return; // said when it was noticed
    const durationMs = Math.round(this.#system.monotonic() - startedAt);
    const event = refused
      ? { event: "lost", job: job.id, attempt: job.attempts, reason: "The lease was lost" } as const
      : endEvent(job, settlement, { durationMs, now: this.#system.now() });
    this.#report(event);
  }
}
