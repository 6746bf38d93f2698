import { failPoint } from "../fail_point.ts";
import { newId } from "../ids.ts";
import type { Settings } from "../settings.ts";
import { mayPass } from "../store/sqlite_errors.ts";
import {
  type NewWorker,
  type Outlook,
  type Scope,
  type Slot,
  type Store,
  WHOLE_STORE,
} from "../store/store.ts";
import { sleep, type System } from "../system.ts";
import { Attempts } from "./attempts.ts";
import type { WorkerEvent } from "./events.ts";
import type { Runner, RunnerEvents } from "./pool.ts";
import type { Processes } from "./processes.ts";
import { HookRunner } from "./hook_runner.ts";
import type { Hooks } from "./hooks.ts";
import { Recovery } from "./recovery.ts";
import { Scheduler } from "./scheduler.ts";
import { Wake } from "./wake.ts";

/** How often a worker process looks after itself, the store and the other workers. */
const UPKEEP_MS = 1000;
/** Changes by others are looked into at most this often, however fast they come. */
const OBEY_MS = 50;
/** Before the next try when the store was busy or full. */
const RETRY_STORE_MS = 200;
/** A thread that is asked and has not answered by the next time is replaced. */
const CHECK_THREADS_MS = 10_000;
/** What was killed takes a moment to be gone, and an end may wait for that. */
const LEFTOVER_LOOK_MS = 20;
/** How long commands may take to end when the worker process itself cannot go on. */
const ABANDON_MS = 3000;
const LONGEST_PRUNE_PAUSE_MS = 60_000;
const PRUNED_AT_ONCE = 20;
/** How long a worker process tries to write its first and its last word while the store is busy or full. */
const INSIST_MS = 10_000;

/** What a supervisor works with; all of it can be another one in a test. */
export interface World {
  store: Store;
  system: System;
  processes: Processes;
  runner: (events: RunnerEvents) => Runner;
  hooks: Pick<Hooks, "run" | "finished" | "end">;
  report: (event: WorkerEvent) => void;
  /** Calls `onRing` when there may be work, until it is disposed of. */
  listen: (onRing: () => void) => Disposable;
}

export interface SupervisorOptions {
  worker: Omit<NewWorker, "leaseMs" | "queues">;
  /** Which jobs to take, instead of all. */
  scope?: Scope;
  /** Each executor ends after so many attempts. */
  limit?: number;
  /** Instead of the setting poll_interval. */
  pollMs?: number;
  /** End when no job is left that could still run by itself. */
  drain?: boolean;
  /** Report what jobs print. */
  verbose?: boolean;
}

/**
 * The main thread of a worker process: it owns the store, claims jobs for idle executors and for those
 * that soon will be, settles what ended, stores output, keeps the leases and recovers what dead workers
 * left.
 */
export class Supervisor {
  readonly #world: World;
  readonly #options: SupervisorOptions;
  readonly #wake: Wake;
  readonly #attempts: Attempts;
  readonly #recovery: Recovery;
  readonly #scheduler: Scheduler;
  readonly #hooks: HookRunner;
  readonly #scope: Scope;

  #settings!: Settings;
  #outlook: Outlook = { claimable: true, nextDueAt: null, unfinished: 1 };
  #stopping: "graceful" | "force" | null = null;
  #changes = -1;
  #mustObey = false;
  #failingSince: number | null = null;
  #unsynced = false;
  #syncing: Promise<void> | null = null;
  #syncError: unknown;
  /** The lease by which the others judge this process. */
  #toldLeaseMs = 0;
  // All of these are on the monotonic clock.
  #forceAt = Infinity;
  #renewedAt = 0;
  #upkeepAt = 0;
  #noticeAt = 0;
  #obeyAt = 0;
  #pollAt = 0;
  #pruneAt = 0;
  #checkAt = 0;

  constructor(world: World, options: SupervisorOptions) {
    const { limit, verbose, worker, scope = WHOLE_STORE } = options;
    this.#options = options;
    this.#scope = scope;
    this.#hooks = new HookRunner(world, () => this.#settings, () => this.#wake.raise());
    this.#world = {
      ...world,
      report: (event) => {
        world.report(event);
        this.#hooks.told(event);
      },
    };
    this.#wake = new Wake(world.system);
    this.#recovery = new Recovery(this.#world, worker);
    this.#scheduler = new Scheduler(this.#world, worker.id);
    const { count } = worker;
    const wake = () => this.#wake.raise();
    this.#attempts = new Attempts(this.#world, { count, limit, verbose }, wake);
  }

  /** Works until it is told to stop, or has done what it was started for. */
  async run(): Promise<void> {
    const { store, report, listen } = this.#world;
    const { id, process, count } = this.#options.worker;
    try {
      this.#settings = await store.settings();
      await this.#insist(() => this.#register());
      report({ event: "started", worker: id, pid: process.pid, count });
      using _bell = listen(() => this.#wake.raise());
      while (!this.#isDone()) {
        await this.#step();
        if (!this.#isDone()) await this.#wake.wait(this.#idleMs());
      }
      while (this.#syncing) await this.#syncing;
      if (this.#syncError) throw this.#syncError;
      await this.#insist(() => store.deregister(id));
      if (this.#unsynced) await store.sync(); // it may have had nothing to write
    } catch (error) {
      await this.#abandon();
      throw error;
    } finally {
      this.#attempts.close();
      this.#hooks.end();
    }
    report({ event: "stopped", worker: id });
  }

  /** Lets running jobs end and takes no more; when called again, or with force, ends them too. */
  stop(force = false) {
    if (this.#stopping === "force") return;
    this.#stopping = force || this.#stopping ? "force" : "graceful";
    this.#world.report({
      event: "stopping",
      running: this.#attempts.running,
      force: this.#stopping === "force",
    });
    if (this.#stopping === "force") {
      this.#attempts.end();
      this.#hooks.end();
    } else {
      this.#attempts.withdraw();
      this.#forceAt = this.#world.system.monotonic() + this.#settings.shutdown_grace;
    }
    this.#wake.raise();
  }

  #isDone(): boolean {
    if (!this.#attempts.isEmpty || !this.#hooks.isQuiet) return false;
    if (this.#stopping || this.#attempts.idle.length === 0) return true;
    return this.#options.drain === true && this.#outlook.unfinished === 0;
  }

  // A job must not outlive its worker unseen, not even one whose store is gone.
  async #abandon() {
    const { system } = this.#world;
    const until = system.monotonic() + ABANDON_MS;
    this.#attempts.end();
    while (this.#attempts.running > 0 && system.monotonic() < until) {
      await this.#wake.wait(until - system.monotonic());
    }
  }

  /** How long there is nothing to do unless somebody wakes it. */
  #idleMs(): number {
    if (this.#attempts.hasOutput) return 0;
    const { system } = this.#world;
    const now = system.monotonic();
    const due = [this.#upkeepAt, this.#forceAt, this.#pruneAt, this.#attempts.nextRecordAt()];
    if (this.#mustObey) due.push(this.#obeyAt);
    if (!this.#attempts.isQuiet) due.push(now + LEFTOVER_LOOK_MS);
    if (this.#mayTick()) due.push(now + Math.max(0, this.#scheduler.nextTickAt - system.now()));
    if (this.#wantsJobs()) {
      due.push(this.#pollAt);
      const { nextDueAt } = this.#outlook;
      if (nextDueAt !== null) due.push(now + Math.max(1, nextDueAt - system.now()));
    }
    return Math.max(0, Math.min(...due) - now);
  }

  #wantsJobs(): boolean {
    return this.#attempts.idle.length > 0 && this.#mayClaim();
  }

  #mayClaimAhead(): boolean {
    return this.#scope.only === null && this.#mayClaim();
  }

  #mayClaim(): boolean {
    const { isGivingUp, isBehind } = this.#attempts;
    return this.#stopping === null && !isGivingUp && !isBehind;
  }

  #mayTick(): boolean {
    return this.#scope.only === null && this.#stopping === null;
  }

  async #step() {
    const { system, report } = this.#world;
    const now = system.monotonic();
    if (this.#syncError) throw this.#syncError;
    if (now >= this.#forceAt) {
      this.#forceAt = Infinity;
      this.stop(true);
    }
    try {
      const changed = this.#noticeChanges(now);
      if (now >= this.#upkeepAt) await this.#upkeep(now);
      if (this.#mustObey && now >= this.#obeyAt) await this.#obey(now);
      if (now >= this.#pruneAt) await this.#prune(now);
      if (this.#mayTick() && this.#scheduler.nextTickAt <= system.now()) {
        await this.#scheduler.tick(this.#settings);
        this.#pollAt = 0;
      }
      await this.#turn(now, changed);
      this.#failingSince = null;
    } catch (error) {
      if (!mayPass(error)) throw error;
      if (this.#failingSince === null) {
        report({ event: "warning", message: `${(error as Error).message}; trying again` });
      }
      this.#failingSince ??= now;
      const inVain = now - this.#failingSince > INSIST_MS && this.#attempts.running === 0;
      if (inVain && this.#stopping === "force") throw error;
      this.#pollAt = 0;
      this.#endWhatMayBeTaken();
      await sleep(system, RETRY_STORE_MS);
    }
  }

  /** Settles, stores and claims in one transaction, if there is anything to settle, store or claim. */
  async #turn(now: number, changed: boolean) {
    const { store, system } = this.#world;
    const wants = this.#wantsJobs();
    const looks = wants && (changed || this.#isDue() || now >= this.#pollAt);
    if (looks) {
      this.#pollAt = now + (this.#options.pollMs ?? this.#settings.poll_interval);
      this.#outlook = await store.outlook(this.#scope, system.now());
    }
    const wallNow = system.now();
    const batch = this.#attempts.collect();
    if (!batch && !(looks && this.#outlook.claimable)) return;

    const result = await store.turn({
      worker: this.#options.worker.id,
      ...(batch ? this.#attempts.asTurn(batch) : { settled: [], output: [], started: [] }),
      idle: wants ? slotsOf(this.#attempts.idle) : [],
      ahead: this.#mayClaimAhead() ? slotsOf(this.#attempts.ahead) : [],
      scope: this.#scope,
    }, wallNow);
    this.#unsynced = true;
    if (batch?.settled.length) failPoint("after-settle");
    if (result.claimed.length > 0) failPoint("after-claim");
    if (batch) this.#attempts.written(batch, result, wallNow);
    for (const claim of result.claimed) this.#attempts.start(claim, this.#settings, wallNow);
    if (result.known) this.#renewedAt = now;
    else { // it was taken for dead, and its jobs from it
      await this.#register();
      await this.#recover();
    }
    if (this.#stopping === "force") this.#attempts.end();
    const isOver = batch !== null && batch.settled.length > 0 && this.#attempts.isEmpty;
    if (this.#wantsJobs() || isOver) {
      this.#outlook = await store.outlook(this.#scope, system.now());
    }
    if (this.#wantsJobs() && this.#outlook.claimable) this.#pollAt = 0; // it made jobs claimable only
    const isLast = this.#scope.only === null && this.#outlook.unfinished === 0;
    if (isOver && isLast) this.#hooks.idle();
  }

  #isDue(): boolean {
    const { nextDueAt } = this.#outlook;
    return nextDueAt !== null && nextDueAt <= this.#world.system.now();
  }

  // --- Once in a while

  async #upkeep(now: number) {
    this.#world.store.verify();
    this.#syncSoon();
    if (now - this.#renewedAt >= this.#settings.lease / 3) await this.#renew(now);
    await this.#obey(now);
    await this.#recover();
    if (now >= this.#checkAt) {
      this.#checkAt = now + CHECK_THREADS_MS;
      this.#attempts.check();
    }
    this.#upkeepAt = now + Math.min(UPKEEP_MS, this.#settings.lease / 3);
  }

  /** Whether others have written. At full speed it is not asked every time: that takes longer than it seems. */
  #noticeChanges(now: number): boolean {
    if (!this.#attempts.isQuiet && now < this.#noticeAt) return false;
    this.#noticeAt = now + OBEY_MS;
    const changes = this.#world.store.changes();
    const changed = changes !== this.#changes;
    this.#changes = changes;
    this.#mustObey ||= changed;
    return changed;
  }

  async #obey(now: number) {
    const { store } = this.#world;
    this.#mustObey = false;
    this.#obeyAt = now + OBEY_MS;
    const { lease, retention } = this.#settings;
    this.#settings = await store.settings();
    if (this.#settings.retention !== retention) this.#pruneAt = now;
    // The others judge this process by the lease that it has told them.
    if (this.#settings.lease !== lease) await this.#renew(now);
    this.#attempts.cancel(await store.cancelRequests());
    await this.#scheduler.refresh();
    const me = (await store.workers()).find(({ id }) => id === this.#options.worker.id);
    if (me?.stop === "force" || (me?.stop === "graceful" && this.#stopping === null)) {
      this.stop(me.stop === "force");
    }
  }

  /** Does what has to be done before and after the loop, however busy the store is. */
  async #insist(action: () => Promise<void>) {
    const { system } = this.#world;
    for (const until = system.monotonic() + INSIST_MS;;) {
      try {
        return await action();
      } catch (error) {
        if (!mayPass(error) || system.monotonic() > until) throw error;
        await sleep(system, RETRY_STORE_MS);
      }
    }
  }

  async #register() {
    const { store, system } = this.#world;
    // Whoever is there for one job serves no queue.
    const queues = this.#scope.only === null ? this.#scope.queues : [];
    const worker = { ...this.#options.worker, queues, leaseMs: this.#settings.lease };
    await store.register(worker, system.now());
    this.#renewedAt = system.monotonic();
    this.#toldLeaseMs = worker.leaseMs;
  }

  async #renew(now: number) {
    const { store, system } = this.#world;
    const { lease } = this.#settings;
    const known = await store.renew(this.#options.worker.id, lease, system.now());
    if (known) {
      this.#renewedAt = now;
      this.#toldLeaseMs = lease;
    } else await this.#register(); // it was taken for dead
  }

  // Not waited for: the disk may be busy for longer than a lease.
  #syncSoon() {
    if (!this.#unsynced || this.#syncing) return;
    const { store, system } = this.#world;
    const begunAt = system.monotonic();
    this.#unsynced = false;
    this.#syncing = store.sync().then(() => {
      this.#syncing = null;
      if (system.monotonic() - begunAt >= UPKEEP_MS) this.#syncSoon();
    }, (error) => {
      this.#syncing = null;
      if (mayPass(error)) this.#unsynced = true;
      else this.#syncError = error;
    });
  }

  // Before the lease can be taken, so that nothing runs twice even where nobody else could end it.
  #endWhatMayBeTaken() {
    const quietMs = this.#world.system.monotonic() - this.#renewedAt;
    if (quietMs < this.#toldLeaseMs * 0.7) return;
    this.#attempts.giveUpAllBut(new Set(), "Its worker could not renew the lease");
  }

  async #recover() {
    const held = await this.#world.store.leases();
    this.#attempts.giveUpAllBut(
      new Set(held.map(({ lease }) => lease.token)),
      "The lease was lost",
    );
    if (await this.#recovery.recover(held, this.#attempts.tokens())) {
      this.#unsynced = true;
      this.#pollAt = 0;
    }
  }

  async #prune(now: number) {
    const { retention } = this.#settings;
    this.#pruneAt = now + Math.min(retention ?? Infinity, LONGEST_PRUNE_PAUSE_MS);
    if (retention === null) return;
    const { store, system } = this.#world;
    // In small steps, so that nobody waits long for the store.
    if (await store.prune(system.now() - retention, PRUNED_AT_ONCE)) this.#pruneAt = now;
  }
}

function slotsOf(executors: readonly number[]): Slot[] {
  return executors.map((executor) => ({ executor, token: newId(20) }));
}
