/// <reference lib="webworker" />
// A Web Worker that executes commands, one for each of its executors. It knows nothing of jobs, leases
// and stores.
import { quote } from "../errors.ts";
import { OutputBuffer } from "./output_buffer.ts";
import type { End, Order, Printed, Ran, Report } from "./protocol.ts";
import { type RunningCommand, startCommand } from "./shell.ts";

/** How long output is gathered before it is sent on. */
const GATHER_MS = 100;
/** How long an end may be kept back, to go with others: messages cost more than what they carry. */
const KEEP_BACK_MS = 40;
/** A process id is told when its command has run for this long, or twice as long; most have ended by then. */
const SAY_STARTED_MS = 30;

const running = new Map<number, Execution>();
/** What each executor runs next, in this order. */
const waiting = new Map<number, RunOrder[]>();

self.onmessage = ({ data: orders }: MessageEvent<Order[]>) => {
  for (const order of orders) obey(order);
};

function obey(order: Order) {
  switch (order.type) {
    case "run":
      answerIsDue = false;
      if (running.has(order.executor)) waitingOf(order.executor).push(order);
      else new Execution(order).start();
      break;
    case "withdraw": {
      const { executor } = order;
      const withdrawn = waitingOf(executor).splice(0);
      report({ type: "withdrawn", executor, count: withdrawn.length });
      break;
    }
    case "stop":
      running.get(order.executor)?.stop(order);
      break;
    case "stored":
      running.get(order.executor)?.sendMore();
      break;
    case "ping":
      report({ type: "pong" });
  }
}

function waitingOf(executor: number): RunOrder[] {
  const orders = waiting.get(executor) ?? [];
  waiting.set(executor, orders);
  return orders;
}

type RunOrder = Extract<Order, { type: "run" }>;

class Execution {
  readonly #order: RunOrder;
  readonly #executor: number;
  readonly #output: OutputBuffer;
  #command: RunningCommand | undefined;
  #gathering: ReturnType<typeof setTimeout> | undefined;
  readonly #from = Date.now();
  readonly #startedAt = performance.now();
  #unstored = false;
  #said = false;

  constructor(order: RunOrder) {
    this.#order = order;
    this.#executor = order.executor;
    this.#output = new OutputBuffer(order.run.outputLimit);
  }

  start() {
    const { executor, run, shell, begin } = this.#order;
    // This process may have stood still, or its machine slept, and the lease may be somebody else's.
    if (this.#from < begin.from || this.#from > begin.by) {
      return this.#end({ kind: "interrupted", reason: "It could not begin in time" }, null, null);
    }
    try {
      this.#command = startCommand(run, shell, this.#output, () => this.#gather());
    } catch (error) {
      return this.#end({ kind: "not_started", error: whyNot(error, run.cwd) }, null, this.#ran());
    }
    running.set(executor, this);
    // It may have stood still in the middle of starting it.
    if (Date.now() > begin.by) this.#command.stop(0);
    saySoon();
    this.#command.ended.then((end) => {
      clearTimeout(this.#gathering);
      const ran = this.#ran();
      // All in one message, so that none of it is answered with an order that reaches the next command.
      const printed: Printed[] = [];
      while (!this.#output.isEmpty) printed.push(this.#output.take());
      const last = printed.pop() ?? null;
      for (const each of printed) {
        unsent.push({ type: "output", executor: this.#executor, printed: each });
      }
      this.#end(end, last, ran);
    });
  }

  #ran(): Ran {
    const tookMs = Math.round(performance.now() - this.#startedAt);
    return { from: this.#from, to: Date.now(), tookMs };
  }

  #end(end: End, printed: Printed | null, ran: Ran | null) {
    const executor = this.#executor;
    running.delete(executor);
    const next = waitingOf(executor).shift();
    // While something waits behind the next one too, or the last report is not answered, there is time.
    const mayWait = next !== undefined && (waitingOf(executor).length > 0 || answerIsDue);
    reportEnd({ type: "ended", executor, end, printed, ran }, mayWait);
    if (next) new Execution(next).start();
  }

  /** Tells the process id, if it is time to. False if that is still to come. */
  sayStarted(): boolean {
    if (this.#said) return true;
    if (performance.now() - this.#startedAt < SAY_STARTED_MS) return false;
    this.#said = true;
    report({ type: "started", executor: this.#executor, pid: this.#command!.pid });
    return true;
  }

  stop({ number, graceMs }: { number: number; graceMs: number }) {
    if (number === this.#order.number) this.#command?.stop(graceMs);
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

// One timer for all: neither timers nor messages are free.
function saySoon() {
  if (saying) return;
  saying = true;
  setTimeout(() => {
    saying = false;
    for (const execution of running.values()) if (!execution.sayStarted()) saySoon();
  }, SAY_STARTED_MS);
}

const unsent: Report[] = [];
/** Whether ends were reported and no command has come since; where there are no more, none will. */
let answerIsDue = false;
let sending: ReturnType<typeof setTimeout> | undefined;

function report(report: Report) {
  unsent.push(report);
  send();
}

function reportEnd(report: Extract<Report, { type: "ended" }>, mayWait: boolean) {
  unsent.push(report);
  if (mayWait) sending ??= setTimeout(send, KEEP_BACK_MS);
  else send();
}

function send() {
  clearTimeout(sending);
  sending = undefined;
  const reports = unsent.splice(0);
  answerIsDue ||= reports.some(({ type }) => type === "ended");
  self.postMessage(
    reports,
    reports.flatMap((each) => "printed" in each ? buffersOf(each.printed) : []),
  );
}

function buffersOf(printed: Printed | null): ArrayBuffer[] {
  return printed?.chunks.map(({ bytes }) => bytes.buffer as ArrayBuffer) ?? [];
}
