import { Command } from "@cliffy/command";
import { type App, type GlobalOptions, storeToRead } from "../app.ts";
import { look } from "../look.ts";
import { stopWorkers } from "../stop_workers.ts";
import type { StartOptions } from "../start_worker.ts";
import { jsonLine } from "../format/text.ts";

export function workerCommand(app: App) {
  return startOptions(new Command<GlobalOptions>())
    .option("--stop", "Stop every worker process of the store: the same as worker stop.")
    .action(async (options) => {
      if (options.stop) await stopWorkers(app, options, {});
      else await start(app, options);
    })
    .command("start", startCommand(app)).reset()
    .command("stop", stopCommand(app)).reset()
    .command("list", listCommand(app)).reset();
}

function startCommand(app: App) {
  return startOptions(new Command<GlobalOptions>())
    .description("Run jobs until told to stop.")
    .example("Four jobs at a time", "queuectl worker start --count 4")
    .example("In CI: run what there is, fail if a job died", "queuectl worker start --drain")
    .action((options) => start(app, options));
}

function startOptions(command: Command<GlobalOptions>) {
  return command
    .option("-c, --count <n:string>", "How many jobs to run at a time (1).")
    .option("-l, --limit <n:string>", "Each worker ends after so many attempts.")
    .option("-s, --sleep <seconds:string>", "How often to look for jobs if nothing wakes it.")
    .option("--queue <names:string>", "Only from these queues, a,b, in this order. Repeatable.", {
      collect: true,
    })
    .option("--poll <duration:string>", "The same as --sleep.", { conflicts: ["sleep"] })
    .option("--drain", "Exit when no job is left that could still run; 1 if one has died.")
    .option("--detach", "Go to the background, with a log file beside the store.")
    .option("-q, --quiet", "Print no events.")
    .option("-v, --verbose", "Print what jobs print, too.");
}

async function start(app: App, options: GlobalOptions & StartOptions) {
  const { startWorker } = await import("../start_worker.ts");
  await startWorker(app, options);
}

function stopCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("Stop every worker process of the store, and wait until they have stopped.")
    .option("--force", "End their running jobs; these go back to pending.")
    .option("--timeout <duration:string>", "Wait no longer than this.")
    .action((options) => stopWorkers(app, options, options));
}

function listCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("List the live worker processes and what they run.")
    .action(async (options) => {
      using store = await storeToRead(app, options);
      const { readStatus } = await import("../read_status.ts");
      const { statusJson, workerTable } = await import("../format/status.ts");
      const status = await readStatus(store, app.system);
      if (options.json) app.terminal.out(jsonLine(statusJson(status).workers));
      else app.terminal.out(workerTable(status, look(app, options)));
    });
}
