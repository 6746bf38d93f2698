import { signalGroup } from "./processes.ts";
import type { End, Order, Printed, Report, Run, SessionStarter } from "./protocol.ts";

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
  /** Replaces threads that have not answered since the last check. */
  check(): void;
  close(): void;
}

interface Thread {
  worker: Worker;
  /** Of the command that it runs; null before that is known. */
  pid: number | null;
  busy: boolean;
  answered: boolean;
}

/** Runs each executor in a Web Worker of its own, made when it is first needed. */
export class Pool implements Runner {
  readonly #events: RunnerEvents;
  readonly #sessionStarter: SessionStarter;
  readonly #threads = new Map<number, Thread>();

  constructor(events: RunnerEvents, sessionStarter = findSessionStarter()) {
    this.#events = events;
    this.#sessionStarter = sessionStarter;
  }

  /** Starts the executor's thread ahead of its first command. */
  warm(executor: number) {
    this.#thread(executor);
  }

  run(executor: number, run: Run) {
    const thread = this.#thread(executor);
    thread.busy = true;
    this.#order(thread, { type: "run", run, sessionStarter: this.#sessionStarter });
  }

  stop(executor: number, graceMs: number) {
    const thread = this.#threads.get(executor);
    if (thread?.busy) this.#order(thread, { type: "stop", graceMs });
  }

  stored(executor: number) {
    const thread = this.#threads.get(executor);
    if (thread?.busy) this.#order(thread, { type: "stored" });
  }

  check() {
    for (const [executor, thread] of this.#threads) {
      if (!thread.answered) {
        this.#lose(executor, thread, "The thread that ran it did not answer");
        continue;
      }
      thread.answered = false;
      this.#order(thread, { type: "ping" });
    }
  }

  close() {
    for (const { worker } of this.#threads.values()) worker.terminate();
    this.#threads.clear();
  }

  #order({ worker }: Thread, order: Order) {
    worker.postMessage(order);
  }

  #thread(executor: number): Thread {
    const known = this.#threads.get(executor);
    if (known) return known;
    const worker = new Worker(new URL("./thread.ts", import.meta.url), {
      type: "module",
      name: `executor ${executor}`,
    });
    const thread: Thread = { worker, pid: null, busy: false, answered: true };
    worker.onmessage = ({ data }: MessageEvent<Report>) => this.#receive(executor, thread, data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#lose(executor, thread, `The thread that ran it failed: ${event.message}`);
    };
    this.#threads.set(executor, thread);
    return thread;
  }

  #receive(executor: number, thread: Thread, report: Report) {
    if (this.#threads.get(executor) !== thread) return; // it was given up; its job is settled
    switch (report.type) {
      case "started":
        thread.pid = report.pid;
        return this.#events.started(executor, report.pid);
      case "output":
        return this.#events.output(executor, report.printed);
      case "ended":
        thread.pid = null;
        thread.busy = false;
        return this.#events.ended(executor, report.end, report.printed);
      case "pong":
        thread.answered = true;
    }
  }

  // Ending a thread leaves its command running, so that is ended first.
  #lose(executor: number, thread: Thread, reason: string) {
    if (this.#threads.get(executor) !== thread) return;
    this.#threads.delete(executor);
    if (thread.pid !== null) signalGroup(thread.pid, "SIGKILL");
    thread.worker.terminate();
    if (thread.busy) this.#events.ended(executor, { kind: "lost", reason }, null);
  }
}

/** The path of `setsid`, or "detached" where it is missing. */
export function findSessionStarter(path = Deno.env.get("PATH") ?? ""): SessionStarter {
  for (const folder of path.split(":")) {
    try {
      if (folder && Deno.statSync(`${folder}/setsid`).isFile) return `${folder}/setsid`;
    } catch {
      // not in this folder
    }
  }
  return "detached";
}
