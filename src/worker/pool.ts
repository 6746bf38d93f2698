import { findShell } from "./shell.ts";
import { signalGroup } from "./processes.ts";
import type { BeginTime, End, Order, Printed, Ran, Report, Run, Shell } from "./protocol.ts";

/** What else there is to be said of an end. */
export interface Ending {
  printed: Printed | null;
  /** When the command really ran, if that is known. */
  ran: Ran | null;
}

/**
 * What happens to a command that was handed to a runner, by the number of its executor. When one has
 * ended, the next one that waited for that has started.
 */
export interface RunnerEvents {
  started(executor: number, pid: number): void;
  output(executor: number, printed: Printed): void;
  ended(executor: number, end: End | { kind: "lost"; reason: string }, ending: Ending): void;
  /** The first `count` of the commands that wait will not be started. */
  withdrawn(executor: number, count: number): void;
}

/** Executes commands, one at a time for each executor. */
export interface Runner {
  /**
   * Starts the command, after those that the executor was given before. What has not begun in time does
   * not begin: it ends as interrupted.
   */
  run(executor: number, run: Run, begin: BeginTime): void;
  /** Takes back the commands that wait, but for what has been started meanwhile. */
  withdraw(executor: number): void;
  /** Ends the command: TERM, after `graceMs` KILL. */
  stop(executor: number, graceMs: number): void;
  /** The executor's last output was stored; it may send more. */
  stored(executor: number): void;
  /** Replaces threads that have not answered the last two checks. */
  check(): void;
  close(): void;
}

interface Thread {
  worker: Worker;
  /** Questions since its last answer. */
  asked: number;
  /** Orders that are not sent yet: messages cost more than what they carry. */
  unsent: Order[];
  /** The executors that run something, with the process id once it is known. */
  running: Map<number, { number: number; pid: number | null }>;
  /** The numbers of the runs that wait, by executor. */
  waiting: Map<number, number[]>;
}

/**
 * Runs commands in Web Workers. An executor always has the same one; beyond `threads` executors they
 * share, because each thread costs memory, a start and a warm-up of its own.
 */
export class Pool implements Runner {
  readonly #events: RunnerEvents;
  readonly #threads: (Thread | undefined)[];
  readonly #shell: Shell;
  #runs = 0;

  constructor(
    events: RunnerEvents,
    { threads, shell = findShell() }: {
      threads: number;
      shell?: Shell;
    },
  ) {
    this.#events = events;
    this.#shell = shell;
    this.#threads = Array.from({ length: threads }, () => this.#newThread());
  }

  run(executor: number, run: Run, begin: BeginTime) {
    const slot = executor % this.#threads.length;
    const thread = this.#threads[slot] ??= this.#newThread();
    const number = ++this.#runs;
    if (thread.running.has(executor)) waitingOf(thread, executor).push(number);
    else thread.running.set(executor, { number, pid: null });
    order(thread, { type: "run", executor, number, run, shell: this.#shell, begin });
  }

  withdraw(executor: number) {
    const thread = this.#threadOf(executor);
    if (thread) order(thread, { type: "withdraw", executor });
  }

  stop(executor: number, graceMs: number) {
    const thread = this.#threadOf(executor);
    if (!thread) return;
    const { number } = thread.running.get(executor)!;
    order(thread, { type: "stop", executor, number, graceMs });
  }

  stored(executor: number) {
    const thread = this.#threadOf(executor);
    if (thread) order(thread, { type: "stored", executor });
  }

  check() {
    for (const thread of this.#threads) {
      if (!thread) continue;
      if (thread.asked >= 2) {
        this.#lose(thread, "The thread that ran it did not answer");
        continue;
      }
      thread.asked++;
      order(thread, { type: "ping" });
    }
  }

  close() {
    for (const thread of this.#threads) thread?.worker.terminate();
    this.#threads.fill(undefined);
  }

  /** The thread that runs something for this executor, if one does. */
  #threadOf(executor: number): Thread | undefined {
    const thread = this.#threads[executor % this.#threads.length];
    return thread?.running.has(executor) ? thread : undefined;
  }

  #newThread(): Thread {
    const worker = new Worker(new URL("./thread.ts", import.meta.url), { type: "module" });
    const thread: Thread = { worker, asked: 0, unsent: [], running: new Map(), waiting: new Map() };
    worker.onmessage = ({ data }: MessageEvent<Report[]>) => {
      for (const report of data) this.#receive(thread, report);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#lose(thread, `The thread that ran it failed: ${event.message}`);
    };
    return thread;
  }

  #receive(thread: Thread, report: Report) {
    if (!this.#threads.includes(thread)) return; // it was given up; its jobs are settled
    switch (report.type) {
      case "started":
        thread.running.get(report.executor)!.pid = report.pid;
        return this.#events.started(report.executor, report.pid);
      case "output":
        return this.#events.output(report.executor, report.printed);
      case "ended":
        startNext(thread, report.executor);
        return this.#events.ended(report.executor, report.end, report);
      case "withdrawn":
        waitingOf(thread, report.executor).splice(0, report.count);
        return this.#events.withdrawn(report.executor, report.count);
      case "pong":
        thread.asked = 0;
    }
  }

  // Ending a thread leaves its commands running, so they are ended first.
  #lose(thread: Thread, reason: string) {
    const slot = this.#threads.indexOf(thread);
    if (slot < 0) return;
    this.#threads[slot] = undefined;
    for (const { pid } of thread.running.values()) if (pid !== null) signalGroup(pid, "SIGKILL");
    thread.worker.terminate();
    for (const executor of thread.running.keys()) {
      // What waited may have been started without a word.
      const commands = 1 + waitingOf(thread, executor).length;
      for (let i = 0; i < commands; i++) {
        this.#events.ended(executor, { kind: "lost", reason }, NOTHING_KNOWN);
      }
    }
  }
}

const NOTHING_KNOWN: Ending = { printed: null, ran: null };

/** What the thread does by itself when a command has ended. */
function startNext(thread: Thread, executor: number) {
  thread.running.delete(executor);
  const number = waitingOf(thread, executor).shift();
  if (number !== undefined) thread.running.set(executor, { number, pid: null });
}

function waitingOf({ waiting }: Thread, executor: number): number[] {
  const numbers = waiting.get(executor) ?? [];
  waiting.set(executor, numbers);
  return numbers;
}

function order(thread: Thread, order: Order) {
  thread.unsent.push(order);
  if (thread.unsent.length > 1) return;
  queueMicrotask(() => thread.worker.postMessage(thread.unsent.splice(0)));
}
