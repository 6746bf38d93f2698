import { Command } from "@cliffy/command";
import { readName } from "../../request_values.ts";
import type { QueueChange } from "../../store/store.ts";
import { type App, byPerson, type GlobalOptions, storeToRead, storeToWrite } from "../app.ts";
import { look } from "../look.ts";
import { wholeNumber } from "../options.ts";
import { jsonLine } from "../format/text.ts";

export function queueCommand(app: App) {
  return new Command<GlobalOptions>()
    .action(function () {
      this.showHelp();
    })
    .command("list", listCommand(app)).reset()
    .command("pause", pauseCommand(app)).reset()
    .command("resume", resumeCommand(app)).reset()
    .command("limit", limitCommand(app)).reset();
}

function listCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("List the queues with their jobs.")
    .action(async (options) => {
      using store = await storeToRead(app, options);
      const { queueJson, queueTable } = await import("../format/queues.ts");
      const queues = await store.queues();
      if (options.json) app.terminal.out(jsonLine(queues.map(queueJson)));
      else if (queues.length > 0) app.terminal.out(queueTable(queues, look(app, options)));
      else app.terminal.err("No queues\n");
    });
}

function pauseCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("Start no more jobs of a queue; those that run go on.")
    .arguments("<name:string>")
    .option("--reason <text:string>", "Shown to everybody who wonders why nothing runs.")
    .action((options, name) =>
      change(app, options, name, { paused: { reason: options.reason?.trim() || null } })
    );
}

function resumeCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("Start jobs of a queue again.")
    .arguments("<name:string>")
    .action((options, name) => change(app, options, name, { paused: null }));
}

function limitCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("Let at most so many jobs of a queue run at a time, over all workers.")
    .arguments("<name:string> <n:string>")
    .example("One deployment at a time", "queuectl queue limit deploy 1")
    .example("Any number again", "queuectl queue limit deploy none")
    .action((options, name, text) => {
      const maxRunning = text === "none"
        ? null
        : wholeNumber("the limit of a queue", text, { min: 1, max: 1_000_000 });
      return change(app, options, name, { maxRunning });
    });
}

async function change(app: App, options: GlobalOptions, name: string, change: QueueChange) {
  readName(name, "queue");
  // A queue that nobody has used yet can be paused, but there is nothing to be resumed.
  using store = change.paused === null
    ? await storeToRead(app, options)
    : await storeToWrite(app, options);
  await store.changeQueue(name, change, byPerson(app));
  const { queueJson, queueSentence } = await import("../format/queues.ts");
  const queue = (await store.queues()).find((queue) => queue.name === name);
  if (options.json) app.terminal.out(jsonLine(queue ? queueJson(queue) : { name }));
  else app.terminal.out(queueSentence(name, queue));
}
