import { findShell } from "./shell.ts";
import { signalGroup } from "./processes.ts";
import type { End, Order, Printed, Report, Run, Shell } from "./protocol.ts";

/** What happens to a command that was handed to a runner, by the number of its executor. */
export interface RunnerEvents {
  started(executor: number, pid: number): void;
  output(executor: number, printed: Printed): void;
  ended(
    executor: number,
    end: End | { kind: "lost"; reason: string },
    printed: Printed | null,
  ): void;
}

/** Executes commands, one at a time for each executor. */
export interface Runner {
  run(executor: number, run: Run): void;
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
  /** The executors that run something, with the process id once it is known. */
  running: Map<number, number | null>;
}

/**
 * Runs commands in Web Workers. An executor always has the same one; beyond `threads` executors they
 * share, because each thread costs memory, a start and a warm-up of its own.
 */
export class Pool implements Runner {
  readonly #events: RunnerEvents;
  readonly #threads: (Thread | undefined)[];
  readonly #shell: Shell;

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

  run(executor: number, run: Run) {
    const slot = executor % this.#threads.length;
    const thread = this.#threads[slot] ??= this.#newThread();
    thread.running.set(executor, null);
    order(thread, { type: "run", executor, run, shell: this.#shell });
  }

  stop(executor: number, graceMs: number) {
    const thread = this.#threadOf(executor);
    if (thread) order(thread, { type: "stop", executor, graceMs });
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
    const thread: Thread = { worker, asked: 0, running: new Map() };
    worker.onmessage = ({ data }: MessageEvent<Report>) => this.#receive(thread, data);
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
        thread.running.set(report.executor, report.pid);
        return this.#events.started(report.executor, report.pid);
      case "output":
        return this.#events.output(report.executor, report.printed);
      case "ended":
        thread.running.delete(report.executor);
        return this.#events.ended(report.executor, report.end, report.printed);
      case "pong":
        thread.asked = 0;
    }
  }

  // Ending a thread leaves its commands running, so they are ended first.
  #lose(thread: Thread, reason: string) {
    const slot = this.#threads.indexOf(thread);
    if (slot < 0) return;
    this.#threads[slot] = undefined;
    for (const pid of thread.running.values()) if (pid !== null) signalGroup(pid, "SIGKILL");
    thread.worker.terminate();
    for (const executor of thread.running.keys()) {
      this.#events.ended(executor, { kind: "lost", reason }, null);
    }
  }
}

function order({ worker }: Thread, order: Order) {
  worker.postMessage(order);
}
