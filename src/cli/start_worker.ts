import { newId } from "../ids.ts";
import { listenForBell } from "../store/bell.ts";
import type { WorkerEvent } from "../worker/events.ts";
import { Pool } from "../worker/pool.ts";
import { realProcesses } from "../worker/processes.ts";
import { Supervisor } from "../worker/supervisor.ts";
import { openStore } from "../store/open.ts";
import { type App, colored, type GlobalOptions, storePath } from "./app.ts";
import { detachWorker } from "./detach_worker.ts";
import { eventJson, eventLines } from "./format/worker_events.ts";
import { painter } from "./format/text.ts";
import { durationOption, wholeNumber } from "./options.ts";

export interface StartOptions {
  count?: string;
  limit?: string;
  sleep?: string;
  poll?: string;
  drain?: true;
  detach?: true;
  quiet?: true;
  verbose?: true;
}

/** A worker process gives up waiting for the store soon and tries again: its leases must be kept. */
const BUSY_MS = 1000;
/** Ctrl-C under `deno task` reaches the process twice within this time: from the terminal and passed on. */
const SAME_SIGNAL_MS = 200;
/** The commands and the store need the other half; each thread costs 10 MB and a warm-up as well. */
const THREADS = Math.max(1, Math.floor(navigator.hardwareConcurrency / 2));

/** Runs a worker process in the foreground until it is told to stop or has drained the queue. */
export async function startWorker(app: App, options: GlobalOptions & StartOptions): Promise<void> {
  const { count, limit, pollMs } = readStartOptions(options);
  const path = storePath(app, options);
  if (options.detach) return await detachWorker(app, options, path);

  using store = await openStore(path, { busyMs: BUSY_MS });
  const process = realProcesses.identify(Deno.pid)!;
  const worker = { id: newId(8), host: Deno.hostname(), machine: realProcesses.machineId() };
  const report = harmless(reporter(app, options));
  let died = false;
  const supervisor = new Supervisor({
    store,
    system: app.system,
    processes: realProcesses,
    runner: (events) => new Pool(events, { threads: Math.min(count, THREADS) }),
    report(event) {
      died ||= event.event === "dead" || (event.event === "recovered" && event.state === "dead");
      report(event);
    },
    listen: (onRing) => listenForBell(path, onRing),
  }, {
    worker: { ...worker, process, count },
    limit,
    pollMs,
    drain: options.drain,
    verbose: options.verbose,
  });
  const deadBefore = (await store.counts()).dead;
  using _signals = onStopSignals(() => supervisor.stop());
  await supervisor.run();
  died ||= (await store.counts()).dead > deadBefore; // in another worker process
  if (options.drain && died) app.exitCode = 1;
}

function readStartOptions({ count = "1", limit, sleep, poll }: StartOptions) {
  const [pauseFlag, pause] = sleep === undefined ? ["--poll", poll] : ["--sleep", sleep];
  return {
    count: wholeNumber("--count", count, { min: 1, max: 1000 }),
    limit: limit === undefined
      ? undefined
      : wholeNumber("--limit", limit, { min: 1, max: Number.MAX_SAFE_INTEGER }),
    pollMs: pause === undefined ? undefined : durationOption(pauseFlag!, pause, { minMs: 10 }),
  };
}

function reporter(app: App, options: GlobalOptions & StartOptions): (event: WorkerEvent) => void {
  const { terminal, system } = app;
  if (options.json) {
    return (event) => terminal.out(JSON.stringify(eventJson(event, system.now())) + "\n");
  }
  const paint = painter(colored(app, options) && terminal.errIsTerminal);
  return (event) => {
    if (options.quiet && event.event !== "warning") return;
    terminal.err(eventLines(event, { now: system.now(), paint }));
  };
}

/** The same reporter, silent from its first failure on: a closed terminal must not decide what happens to jobs. */
function harmless(report: (event: WorkerEvent) => void): (event: WorkerEvent) => void {
  let heard = true;
  return (event) => {
    if (!heard) return;
    try {
      report(event);
    } catch {
      heard = false;
    }
  };
}

/** Calls `stop` at each SIGINT, SIGTERM and SIGHUP until it is disposed of. */
function onStopSignals(stop: () => void): Disposable {
  let last = -Infinity;
  const listener = () => {
    const now = performance.now();
    if (now - last > SAME_SIGNAL_MS) stop();
    last = now;
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, listener);
  return {
    [Symbol.dispose]() {
      for (const signal of signals) Deno.removeSignalListener(signal, listener);
    },
  };
}
