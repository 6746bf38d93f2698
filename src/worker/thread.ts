/// <reference lib="webworker" />
// A Web Worker that executes one command at a time. It knows nothing of jobs, leases and stores.
import { OutputBuffer } from "./output_buffer.ts";
import type { Order, Printed, Report, Run, SessionStarter } from "./protocol.ts";
import { type RunningCommand, startCommand } from "./shell.ts";

/** How long output is gathered before it is sent on. */
const GATHER_MS = 100;

let running: Execution | undefined;

self.onmessage = ({ data: order }: MessageEvent<Order>) => {
  switch (order.type) {
    case "run":
      running = new Execution(order.run, order.sessionStarter);
      break;
    case "stop":
      running?.stop(order.graceMs);
      break;
    case "stored":
      running?.sendMore();
      break;
    case "ping":
      report({ type: "pong" });
  }
};

class Execution {
  readonly #output: OutputBuffer;
  readonly #command: RunningCommand | undefined;
  #gathering: ReturnType<typeof setTimeout> | undefined;
  #unstored = false;

  constructor(run: Run, sessionStarter: SessionStarter) {
    this.#output = new OutputBuffer(run.outputLimit);
    try {
      this.#command = startCommand(run, sessionStarter, this.#output, () => this.#gather());
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      report({ type: "ended", end: { kind: "not_started", error: reason }, printed: null });
      return;
    }
    report({ type: "started", pid: this.#command.pid });
    this.#command.ended.then((end) => {
      clearTimeout(this.#gathering);
      report({ type: "ended", end, printed: this.#output.isEmpty ? null : this.#output.take() });
    });
  }

  stop(graceMs: number) {
    this.#command?.stop(graceMs);
  }

  /** The last output was stored, so what has gathered since may follow. */
  sendMore() {
    this.#unstored = false;
    if (!this.#output.isEmpty) this.#gather();
  }

  // One batch is under way at a time: a slow store slows this down, not the memory up.
  #gather() {
    if (this.#unstored) return;
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#unstored = true;
      report({ type: "output", printed: this.#output.take() });
    }, GATHER_MS);
  }
}

function report(report: Report) {
  const printed = "printed" in report ? report.printed : null;
  self.postMessage(report, buffersOf(printed));
}

function buffersOf(printed: Printed | null): ArrayBuffer[] {
  return printed?.chunks.map(({ bytes }) => bytes.buffer as ArrayBuffer) ?? [];
}
