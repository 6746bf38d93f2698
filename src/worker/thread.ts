/// <reference lib="webworker" />
// A Web Worker that executes commands, one for each of its executors. It knows nothing of jobs, leases
// and stores.
import { quote } from "../errors.ts";
import { OutputBuffer } from "./output_buffer.ts";
import type { Order, Printed, Report } from "./protocol.ts";
import { type RunningCommand, startCommand } from "./shell.ts";

/** How long output is gathered before it is sent on. */
const GATHER_MS = 100;
const SAY_STARTED_MS = 30;

const running = new Map<number, Execution>();

self.onmessage = ({ data: order }: MessageEvent<Order>) => {
  switch (order.type) {
    case "run":
      new Execution(order).start(order);
      break;
    case "stop":
      running.get(order.executor)?.stop(order.graceMs);
      break;
    case "stored":
      running.get(order.executor)?.sendMore();
      break;
    case "ping":
      report({ type: "pong" });
  }
};

type RunOrder = Extract<Order, { type: "run" }>;

class Execution {
  readonly #executor: number;
  readonly #output: OutputBuffer;
  #command: RunningCommand | undefined;
  #gathering: ReturnType<typeof setTimeout> | undefined;
  #unstored = false;
  #said = false;

  constructor({ executor, run }: RunOrder) {
    this.#executor = executor;
    this.#output = new OutputBuffer(run.outputLimit);
  }

  start({ executor, run, shell }: RunOrder) {
    try {
      this.#command = startCommand(run, shell, this.#output, () => this.#gather());
    } catch (error) {
      const reason = whyNot(error, run.cwd);
      report({
        type: "ended",
        executor,
        end: { kind: "not_started", error: reason },
        printed: null,
      });
      return;
    }
    running.set(executor, this);
    saySoon();
    this.#command.ended.then((end) => {
      clearTimeout(this.#gathering);
      running.delete(executor);
      const printed = this.#output.isEmpty ? null : this.#output.take();
      report({ type: "ended", executor, end, printed });
    });
  }

  sayStarted() {
    if (this.#said || !this.#command) return;
    this.#said = true;
    report({ type: "started", executor: this.#executor, pid: this.#command.pid });
  }

  stop(graceMs: number) {
    this.#command?.stop(graceMs);
  }

  /** The last output was stored, so what has gathered since may follow. */
  sendMore() {
    this.#unstored = false;
    if (!this.#output.isEmpty) this.#gather();
  }

  // One batch is under way at a time: while the store is slow, the buffer keeps to its limit.
  #gather() {
    if (this.#unstored) return;
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#unstored = true;
      report({ type: "output", executor: this.#executor, printed: this.#output.take() });
    }, GATHER_MS);
  }
}

function whyNot(error: unknown, cwd: string): string {
  try {
    if (Deno.statSync(cwd).isDirectory) {
      return error instanceof Error ? error.message : String(error);
    }
  } catch {
    // as said below
  }
  return `Cannot run in the folder ${quote(cwd)}: it is gone, or no folder`;
}

let saying = false;

// One timer for all: most commands have ended before anybody needs their process id, and neither
// timers nor messages are free.
function saySoon() {
  if (saying) return;
  saying = true;
  setTimeout(() => {
    saying = false;
    for (const execution of running.values()) execution.sayStarted();
  }, SAY_STARTED_MS);
}

function report(report: Report) {
  const printed = "printed" in report ? report.printed : null;
  self.postMessage(report, buffersOf(printed));
}

function buffersOf(printed: Printed | null): ArrayBuffer[] {
  return printed?.chunks.map(({ bytes }) => bytes.buffer as ArrayBuffer) ?? [];
}
