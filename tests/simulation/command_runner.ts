import type { OutputChunk } from "../../src/store/store.ts";
import type { Runner, RunnerEvents } from "../../src/worker/pool.ts";
import { ATTEMPT_MARK } from "../../src/worker/processes.ts";
import type { BeginTime, End, Printed, Run } from "../../src/worker/protocol.ts";
import type { Command } from "./host.ts";
import type { WorkerProcess } from "./worker_process.ts";

/** As in the thread that runs commands: when it says what it knows. */
const SAY_STARTED_MS = 30;
const GATHER_MS = 100;
const KEEP_BACK_MS = 40;

/** So many threads share the executors. */
const THREADS = 2;

/** What becomes of an execution. */
export interface ExecutionRecord {
  readonly process: WorkerProcess;
  /** Null if it could not be started. */
  readonly command: Command | null;
  /** Why it was ended, if it was. */
  stopped: "timed_out" | "interrupted" | null;
}

/** Whoever wants to know of every execution. */
export interface Onlookers {
  /** A command is about to be started; null if it cannot be. */
  begin(
    process: WorkerProcess,
    run: Run,
    on: { print: () => void; end: () => void },
  ): { command: Command | null };
  began(token: string, execution: ExecutionRecord): void;
}

/** The threads of a worker process: they run commands, on a machine that is not there. */
export class CommandRunner implements Runner {
  readonly #process: WorkerProcess;
  readonly #events: RunnerEvents;
  readonly #onlookers: Onlookers;
  readonly #executors = new Map<number, Executor>();
  readonly #threads = Array.from({ length: THREADS }, newThread);

  constructor(process: WorkerProcess, events: RunnerEvents, onlookers: Onlookers) {
    this.#process = process;
    this.#events = events;
    this.#onlookers = onlookers;
  }

  run(executor: number, run: Run, begin: BeginTime) {
    const of = this.#executor(executor);
    of.unended.push(run.env[ATTEMPT_MARK]!);
    const order = { run, begin };
    this.#order(of, () => {
      if (of.execution) of.waiting.push(order);
      else this.#begin(executor, order);
    });
  }

  withdraw(executor: number) {
    const of = this.#executor(executor);
    this.#order(of, () => {
      const { length } = of.waiting.splice(0);
      this.#report(of, () => {
        of.unended.splice(1, length);
        this.#events.withdrawn(executor, length);
      });
    });
  }

  stop(executor: number, graceMs: number) {
    const of = this.#executor(executor);
    const [token] = of.unended;
    this.#order(of, () => {
      if (of.execution?.token === token) of.execution?.stop("interrupted", graceMs);
    });
  }

  stored(executor: number) {
    const of = this.#executor(executor);
    this.#order(of, () => of.execution?.sendMore());
  }

  check() {}

  close() {}

  /** A thread fails: what it ran may run on, and all that its executors had in hand is told to be lost. */
  lose(choice: number): string[] {
    const busy = [...this.#executors].filter(([, { unended }]) => unended.length > 0);
    const thread = busy[choice % busy.length]?.[1].thread;
    const lost = busy.filter(([, executor]) => executor.thread === thread);
    for (const [number, executor] of lost) {
      this.#executors.delete(number);
      executor.execution?.forget();
    }
    const reason = "The thread that ran it failed";
    const ending = { printed: null, ran: null };
    for (const [number, { unended }] of lost) {
      for (const _ of unended) this.#events.ended(number, { kind: "lost", reason }, ending);
    }
    return lost.flatMap(([, { unended }]) => unended);
  }

  #executor(number: number): Executor {
    const executor = this.#executors.get(number) ??
      {
        thread: this.#threads[number % THREADS]!,
        execution: undefined,
        waiting: [],
        unended: [],
      };
    this.#executors.set(number, executor);
    return executor;
  }

  // The messages of a thread that is lost are lost as well.
  #order(to: Executor, action: () => void) {
    to.thread.orders.send(this.#process, 0, () => {
      if (this.#has(to)) action();
    });
  }

  #has(executor: Executor): boolean {
    return [...this.#executors.values()].includes(executor);
  }

  #report(from: Executor, action: () => void, keptBackMs = 0) {
    from.thread.reports.send(this.#process, keptBackMs, () => {
      if (this.#has(from)) action();
    });
  }

  #begin(number: number, { run, begin }: RunOrder) {
    const of = this.#executor(number);
    const { time, dice, host } = this.#process;
    const [from, startedAt] = [host.wallNow(), time.now];
    const ended = (end: End, printed: Printed | null) => {
      const ran = { from, to: host.wallNow(), tookMs: Math.round(time.now - startedAt) };
      const next = of.waiting.shift();
      const keptBackMs = next ? KEEP_BACK_MS * dice.share() : 0;
      this.#report(of, () => {
        of.unended.shift();
        this.#events.ended(number, end, { printed, ran });
      }, keptBackMs);
      of.execution = undefined;
      if (next) this.#begin(number, next);
    };
    if (from < begin.from || from > begin.by) return ended({ kind: "interrupted" }, null);
    const execution = new Execution(this.#process, run, {
      begin: (on) => this.#onlookers.begin(this.#process, run, on),
      began: (record) => this.#onlookers.began(execution.token, record),
      started: (pid) => this.#report(of, () => this.#events.started(number, pid)),
      output: (printed) => this.#report(of, () => this.#events.output(number, printed)),
      ended,
    });
    of.execution = execution;
    execution.start();
  }
}

/** They take their time, but none overtakes another, not even where the process stood still meanwhile. */
class Messages {
  readonly #unsent: (() => void)[] = [];
  #lastAt = 0;

  send(process: WorkerProcess, keptBackMs: number, action: () => void) {
    const { time, dice } = process;
    this.#unsent.push(action);
    this.#lastAt = Math.max(this.#lastAt, time.now + keptBackMs + 2 * dice.share());
    time.at(this.#lastAt, process, () => this.#unsent.shift()!());
  }
}

interface RunOrder {
  run: Run;
  begin: BeginTime;
}

/** What is on its way to a thread, and from it. */
interface Thread {
  readonly orders: Messages;
  readonly reports: Messages;
}

function newThread(): Thread {
  return { orders: new Messages(), reports: new Messages() };
}

/** An executor, as its thread sees it; and the attempts that have not ended as far as the process knows. */
interface Executor {
  readonly thread: Thread;
  execution: Execution | undefined;
  readonly waiting: RunOrder[];
  readonly unended: string[];
}

interface ExecutionEvents {
  begin(on: { print: () => void; end: () => void }): { command: Command | null };
  began(record: ExecutionRecord): void;
  started(pid: number): void;
  output(printed: Printed): void;
  ended(end: End, printed: Printed | null): void;
}

class Execution {
  readonly token: string;
  readonly #process: WorkerProcess;
  readonly #run: Run;
  readonly #events: ExecutionEvents;
  #record!: ExecutionRecord;
  #killAt = Infinity;
  #isForgotten = false;
  #printed = 0;
  #sent = 0;
  #unstored = false;
  #gathering = false;

  constructor(process: WorkerProcess, run: Run, events: ExecutionEvents) {
    this.token = run.env[ATTEMPT_MARK]!;
    this.#process = process;
    this.#run = run;
    this.#events = events;
  }

  start() {
    const { command } = this.#events.begin({
      print: () => this.#onPrint(),
      end: () => this.#onEnd(),
    });
    this.#record = { process: this.#process, command, stopped: null };
    this.#events.began(this.#record);
    if (!command) {
      const end: End = { kind: "not_started", error: "Cannot start it" };
      return this.#later(1, () => this.#events.ended(end, null));
    }
    this.#later(SAY_STARTED_MS * (1 + this.#process.dice.share()), () => {
      if (!command.isEnded) this.#events.started(command.id.pid);
    });
    const { timeoutMs, killGraceMs } = this.#run;
    if (timeoutMs !== null) this.#later(timeoutMs, () => this.stop("timed_out", killGraceMs));
  }

  stop(why: "timed_out" | "interrupted", graceMs: number) {
    const { command } = this.#record;
    if (!command || command.isEnded) return;
    this.#record.stopped ??= why;
    if (this.#killAt === Infinity) command.terminate();
    const { time } = this.#process;
    if (time.now + graceMs >= this.#killAt) return;
    this.#killAt = time.now + graceMs;
    this.#later(graceMs, () => command.killSoon());
  }

  sendMore() {
    this.#unstored = false;
    if (this.#printed > this.#sent) this.#gather();
  }

  /** Nobody looks after it any more. */
  forget() {
    this.#isForgotten = true;
  }

  #later(ms: number, action: () => void) {
    const { time } = this.#process;
    time.after(ms, this.#process, () => {
      if (!this.#isForgotten) action();
    });
  }

  #onPrint() {
    this.#printed++;
    this.#gather();
  }

  #gather() {
    if (this.#unstored || this.#gathering) return;
    this.#gathering = true;
    this.#later(GATHER_MS, () => {
      this.#gathering = false;
      const printed = this.#take();
      if (!printed) return;
      this.#unstored = true;
      this.#events.output(printed);
    });
  }

  #onEnd() {
    this.#later(0, () => {
      const { stopped, command } = this.#record;
      const { timeoutMs } = this.#run;
      const end: End = stopped === "timed_out"
        ? { kind: stopped, timeoutMs: timeoutMs! }
        : stopped === "interrupted"
        ? { kind: stopped }
        : command!.end!;
      this.forget();
      this.#events.ended(end, this.#take());
    });
  }

  /** One byte for each time that it printed. */
  #take(): Printed | null {
    if (this.#printed === this.#sent) return null;
    const bytes = new Uint8Array(this.#printed - this.#sent).fill(46);
    const chunk: OutputChunk = { start: this.#sent, stream: "stdout", bytes };
    this.#sent = this.#printed;
    return { chunks: [chunk], discard: null };
  }
}
