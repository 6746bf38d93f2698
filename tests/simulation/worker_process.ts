import type { ProcessId, Scope } from "../../src/store/store.ts";
import { LONGEST_TIMER_MS, type System } from "../../src/system.ts";
import type { WorkerEvent } from "../../src/worker/events.ts";
import type { Processes } from "../../src/worker/processes.ts";
import { Supervisor } from "../../src/worker/supervisor.ts";
import { CommandRunner, type Onlookers } from "./command_runner.ts";
import type { Dice } from "./dice.ts";
import { Command, type Host, type Living } from "./host.ts";
import {
  type Caller,
  type CallFault,
  openDoor,
  type SharedStore,
  type Trouble,
} from "./store_door.ts";
import { EVERYBODY, type VirtualTime } from "./virtual_time.ts";

/** How a worker process is started. */
export interface WorkerOptions {
  count: number;
  scope?: Scope;
  limit?: number;
  drain?: boolean;
  pollMs?: number;
}

/** What a worker process and its machine are part of. */
export interface Surroundings extends SharedStore, Onlookers {
  readonly time: VirtualTime;
  report(by: WorkerProcess, event: WorkerEvent): void;
  /** It has ended by itself, with an error or without. */
  ended(by: WorkerProcess, error: unknown): void;
  /** Somebody kills a process that has nothing to do with it. */
  killsInnocent(by: WorkerProcess, victim: Living): void;
}

/** A worker process: the real supervisor in a world that is simulated. */
export class WorkerProcess implements Caller, Living {
  readonly id: ProcessId;
  readonly time: VirtualTime;
  readonly faults: CallFault[] = [];
  readonly troubles: Trouble[] = [];
  /** How its life ended, if it has. */
  fate: "killed" | "exited" | "crashed" | null = null;
  isStopped = false;
  /** Somebody has told it to stop. */
  isStopping = false;
  readonly supervisor: Supervisor;
  runner!: CommandRunner;
  #onRing: (() => void) | undefined;

  // What the judges of leases need to know, in virtual time.
  leaseMs = 0;
  /** When it last wrote that it lives. */
  renewedAt: number;
  /** Until when it last was hindered: stopped, asleep, or without its store. */
  hinderedAt = -Infinity;
  /** When it last was found to have been silent for longer than its lease, or nearly. */
  lateAt = -Infinity;

  constructor(
    readonly name: string,
    readonly host: Host,
    readonly dice: Dice,
    readonly latencyMs: number,
    surroundings: Surroundings,
    options: WorkerOptions,
  ) {
    this.time = surroundings.time;
    this.renewedAt = this.time.now;
    this.id = host.newProcessId();
    host.add(this);
    const { count, ...rest } = options;
    const bornAt = host.monotonic();
    this.supervisor = new Supervisor({
      store: openDoor(surroundings, this),
      system: this.#system(bornAt),
      processes: this.#processes(surroundings),
      runner: (events) => this.runner = new CommandRunner(this, events, surroundings),
      hooks: { run() {}, finished: () => Promise.resolve(), end() {} },
      report: (event) => surroundings.report(this, event),
      listen: (onRing) => {
        this.#onRing = onRing;
        return { [Symbol.dispose]: () => this.#onRing = undefined };
      },
    }, {
      ...rest,
      worker: {
        id: name,
        host: host.name,
        machine: host.machineId,
        process: this.id,
        count,
      },
    });
    const ended = (fate: "exited" | "crashed", error?: unknown) => {
      if (this.isDead) return;
      this.fate = fate;
      host.remove(this);
      surroundings.ended(this, error);
    };
    this.supervisor.run().then(() => ended("exited"), (error) => ended("crashed", error));
  }

  get isDead(): boolean {
    return this.fate !== null;
  }

  /** kill -9: nothing that it waits for ever happens, and what it has started lives on. */
  kill() {
    if (this.isDead) return;
    this.fate = "killed";
    this.host.remove(this);
  }

  /** SIGSTOP, and SIGCONT after `ms`. */
  stopFor(ms: number) {
    if (this.isStopped) return;
    this.isStopped = true;
    this.hinder(ms);
    this.time.after(ms, EVERYBODY, () => this.goOn());
  }

  /** SIGCONT. */
  goOn() {
    this.isStopped = false;
    this.time.release(this);
  }

  /** It has written that it lives, and how long that is to be believed. */
  hasRenewed(leaseMs: number) {
    const { now } = this.time;
    // At this age of its lease it ends by itself what it runs.
    if (now - this.renewedAt > 0.7 * this.leaseMs) this.lateAt = now;
    this.renewedAt = now;
    this.leaseMs = leaseMs;
  }

  /** For `ms` it is no wonder if it does not renew its lease. */
  hinder(ms: number) {
    this.hinderedAt = Math.max(this.hinderedAt, this.time.now + ms);
  }

  /** TERM, which a person may send twice. */
  terminate(times: number) {
    this.isStopping = true;
    for (let n = 0; n < times; n++) this.time.after(n, this, () => this.supervisor.stop());
  }

  /** The bell rings. */
  hear() {
    if (this.#onRing) this.time.after(3 * this.dice.share(), this, () => this.#onRing?.());
  }

  #system(bornAt: number): System {
    const { time, host, dice } = this;
    return {
      now: () => host.wallNow(),
      monotonic: () => host.monotonic() - bornAt,
      random: dice.share,
      timer: (ms) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        const occurrence = time.after(
          Math.min(Math.max(0, ms), LONGEST_TIMER_MS) + dice.share(),
          this,
          resolve,
        );
        return { over: promise, [Symbol.dispose]: () => time.callOff(occurrence) };
      },
    };
  }

  #processes(surroundings: Surroundings): Processes {
    const { host } = this;
    return {
      machineId: () => host.machineId,
      identify: (pid) => host.find(pid)?.id ?? null,
      isAlive: (process) => host.isAlive(process),
      killLeftovers: (attempts) => {
        const living = new Set<string>();
        for (const { token, leader } of attempts) {
          const left: Living[] = host.commandsOf(token);
          if (leader && host.isAlive(leader)) {
            const led = host.find(leader.pid)!;
            if (!left.includes(led)) {
              surroundings.killsInnocent(this, led);
              left.push(led);
            }
          }
          for (const each of left) {
            if (each instanceof Command) each.killSoon();
            else each.kill();
          }
          if (left.length > 0) living.add(token);
        }
        return living;
      },
    };
  }
}
