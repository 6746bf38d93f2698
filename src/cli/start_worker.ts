import { readName } from "../request_values.ts";
import { type App, colored, type GlobalOptions, storePath } from "./app.ts";
import { detachWorker } from "./detach_worker.ts";
import { EventPrinter } from "./event_printer.ts";
import { eventJson, eventLines } from "./format/worker_events.ts";
import { jsonLine, painter } from "./format/text.ts";
import { durationOption, wholeNumber } from "./options.ts";
import { onStopSignals } from "./stop_signals.ts";
import { makeSupervisor, openWorkerStore } from "./worker_process.ts";

export interface StartOptions {
  count?: string;
  limit?: string;
  sleep?: string;
  poll?: string;
  queue?: string[];
  drain?: true;
  detach?: true;
  quiet?: true;
  verbose?: true;
}

/** Runs a worker process in the foreground until it is told to stop or has drained the queue. */
export async function startWorker(app: App, options: GlobalOptions & StartOptions): Promise<void> {
  const started = readStartOptions(options);
  const path = storePath(app, options);
  if (options.detach) return await detachWorker(app, options, path);

  using store = await openWorkerStore(path);
  await using printer = eventPrinter(app, options);
  let died = false;
  const supervisor = makeSupervisor(app.system, { store, path }, {
    ...started,
    drain: options.drain,
    verbose: options.verbose,
    report(event) {
      died ||= event.event === "dead" || (event.event === "recovered" && event.state === "dead");
      printer.print(event);
    },
  });
  const deadBefore = (await store.counts()).dead;
  using _signals = onStopSignals(() => supervisor.stop(), { withTask: app.isTask });
  await supervisor.run();
  died ||= (await store.counts()).dead > deadBefore; // in another worker process
  if (options.drain && died) app.exitCode = 1;
}

function readStartOptions({ count = "1", limit, sleep, poll, queue }: StartOptions) {
  const [pauseFlag, pause] = sleep === undefined ? ["--poll", poll] : ["--sleep", sleep];
  return {
    count: wholeNumber("--count", count, { min: 1, max: 1000 }),
    limit: limit === undefined
      ? undefined
      : wholeNumber("--limit", limit, { min: 1, max: Number.MAX_SAFE_INTEGER }),
    scope: {
      queues: queue?.flatMap((names) => names.split(","))
        .map((name) => readName(name.trim(), "--queue")) ?? null,
      only: null,
    },
    pollMs: pause === undefined ? undefined : durationOption(pauseFlag!, pause, { minMs: 10 }),
  };
}

function eventPrinter(app: App, options: GlobalOptions & StartOptions): EventPrinter {
  const { terminal, system } = app;
  if (options.json) {
    const write = (text: string) => terminal.write("stdout", text);
    return new EventPrinter(
      write,
      (event) => jsonLine(eventJson(event, system.now())),
    );
  }
  const paint = painter(colored(app, options) && terminal.errIsTerminal);
  return new EventPrinter((text) => terminal.write("stderr", text), (event) => {
    if (options.quiet && event.event !== "warning") return "";
    return eventLines(event, { now: system.now(), paint });
  });
}
