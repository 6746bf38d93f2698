import { operationFailed } from "../../src/errors.ts";
import type { ProcessId, Store, Turn } from "../../src/store/store.ts";
import type { System, Timer } from "../../src/system.ts";
import type { WorkerEvent } from "../../src/worker/events.ts";
import type { Hook } from "../../src/worker/hooks.ts";
import type { Runner, RunnerEvents } from "../../src/worker/pool.ts";
import type { AttemptProcesses, Processes } from "../../src/worker/processes.ts";
import type { Run } from "../../src/worker/protocol.ts";
import { Supervisor, type SupervisorOptions, type World } from "../../src/worker/supervisor.ts";

/** A clock that stands still until it is advanced. */
export class FakeSystem implements System {
  #wallMs = Date.UTC(2030, 0, 1);
  #monotonicMs = 0;
  #timers = new Set<{ at: number; fire: () => void }>();

  now = () => this.#wallMs;
  monotonic = () => this.#monotonicMs;
  random = () => 0;

  timer(ms: number): Timer {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = { at: this.#monotonicMs + ms, fire: resolve };
    this.#timers.add(timer);
    return { over: promise, [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  /** Lets `ms` pass, firing each timer at its moment; whoever it wakes goes on until it waits again. */
  async advance(ms: number) {
    const until = this.#monotonicMs + ms;
    await settle();
    while (true) {
      const next = [...this.#timers].sort((a, b) => a.at - b.at)[0];
      if (!next || next.at > until) break;
      this.#pass(next.at);
      this.#timers.delete(next);
      next.fire();
      await settle();
    }
    this.#pass(until);
  }

  /** Somebody sets the wall clock. */
  step(ms: number) {
    this.#wallMs += ms;
  }

  #pass(to: number) {
    const ms = Math.max(0, to - this.#monotonicMs);
    this.#wallMs += ms;
    this.#monotonicMs += ms;
  }
}

/** Gives everything that can go on the time to do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** A runner that does nothing by itself: the test says what becomes of each command. */
export class ScriptedRunner implements Runner {
  readonly running = new Map<number, Run>();
  /** What each executor runs next. */
  readonly waiting = new Map<number, Run[]>();
  readonly stops: { executor: number; graceMs: number }[] = [];
  readonly stored_: number[] = [];
  closed = false;
  #events!: RunnerEvents;

  constructor(readonly now: () => number) {}

  attach(events: RunnerEvents): this {
    this.#events = events;
    return this;
  }

  run(executor: number, run: Run) {
    if (this.running.has(executor)) this.#waitingOf(executor).push(run);
    else this.running.set(executor, run);
  }

  withdraw(executor: number) {
    const withdrawn = this.#waitingOf(executor).splice(0);
    this.#events.withdrawn(executor, withdrawn.length);
  }

  #waitingOf(executor: number): Run[] {
    const runs = this.waiting.get(executor) ?? [];
    this.waiting.set(executor, runs);
    return runs;
  }

  stop(executor: number, graceMs: number) {
    this.stops.push({ executor, graceMs });
  }

  stored(executor: number) {
    this.stored_.push(executor);
  }

  check() {}

  close() {
    this.closed = true;
  }

  started(executor: number, pid: number) {
    this.#events.started(executor, pid);
  }

  output(executor: number, text: string, start = 0) {
    const bytes = new TextEncoder().encode(text);
    const printed = { chunks: [{ start, stream: "stdout", bytes }], discard: null } as const;
    this.#events.output(executor, { ...printed, chunks: [...printed.chunks] });
  }

  /** The command of this executor ends, and the next one that waits begins. */
  end(executor: number, end: Parameters<RunnerEvents["ended"]>[1], tookMs = 1000) {
    this.running.delete(executor);
    const next = this.#waitingOf(executor).shift();
    if (next) this.running.set(executor, next);
    const to = this.now();
    this.#events.ended(executor, end, { printed: null, ran: { from: to - tookMs, to, tookMs } });
  }

  exit(executor: number, code = 0, tookMs?: number) {
    this.end(executor, { kind: "exited", code }, tookMs);
  }
}

/** Processes that live until the test says otherwise. */
export class FakeProcesses implements Processes {
  readonly dead = new Set<number>();
  /** Attempts of which something cannot be killed. */
  readonly stubborn = new Set<string>();
  /** The tokens that were looked for, at each time. */
  readonly looks: string[][] = [];
  machine = "boot-1 pids-1";

  machineId = () => this.machine;
  identify = (pid: number) => this.dead.has(pid) ? null : { pid, startedAt: "1" };
  isAlive = ({ pid }: ProcessId) => !this.dead.has(pid);
  killLeftovers = (attempts: readonly AttemptProcesses[]) => {
    const tokens = attempts.map(({ token }) => token);
    this.looks.push(tokens);
    return new Set(tokens.filter((token) => this.stubborn.has(token)));
  };
}

export interface WorldOptions extends Partial<Omit<SupervisorOptions, "worker">> {
  id?: string;
  pid?: number;
  count?: number;
  system?: FakeSystem;
  processes?: FakeProcesses;
  /** Instead of such that are only put on record. */
  hooks?: World["hooks"];
}

/** A supervisor in a world of its own, running from the start. */
export function startSupervisor(store: Store, options: WorldOptions = {}) {
  const { id = "w", pid = 1, count = 1, ...rest } = options;
  const hooks: Hook[] = [];
  const recorded = { run: (hook: Hook) => hooks.push(hook), finished: () => Promise.resolve() };
  const {
    system = new FakeSystem(),
    processes = new FakeProcesses(),
    hooks: ownHooks = { ...recorded, end() {} },
    ...more
  } = rest;
  const runner = new ScriptedRunner(system.now);
  const events: WorkerEvent[] = [];
  let onRing = () => {};
  const supervisor = new Supervisor({
    store,
    system,
    processes,
    runner: (events) => runner.attach(events),
    hooks: ownHooks,
    report: (event) => events.push(event),
    listen(callback) {
      onRing = callback;
      return { [Symbol.dispose]: () => onRing = () => {} };
    },
  }, {
    ...more,
    worker: {
      id,
      host: "here",
      machine: processes.machineId(),
      process: { pid, startedAt: "1" },
      count,
    },
  });
  let done = false;
  const finished = supervisor.run().finally(() => done = true);
  return {
    supervisor,
    system,
    processes,
    runner,
    events,
    hooks,
    finished,
    isDone: () => done,
    /** Another process says that there may be work. */
    ring: () => onRing(),
  };
}

/**
 * The store, with every turn that is taken put on record, failing as long as `fails` says so, and with
 * `sync` for its own.
 */
export function observed(
  store: Store,
  { fails = () => false, sync }: { fails?: () => boolean; sync?: Store["sync"] } = {},
) {
  const turns: Turn[] = [];
  const proxy = new Proxy(store, {
    get(target, name) {
      if (name === "sync" && sync) return sync;
      const value = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (fails() && name !== "changes" && name !== "verify") {
          throw operationFailed("The store is busy", new Error("database is locked"));
        }
        if (name === "turn") turns.push(args[0] as Turn);
        return value.apply(target, args);
      };
    },
  });
  return { store: proxy, turns };
}
