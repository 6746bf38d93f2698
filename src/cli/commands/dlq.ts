import { Command } from "@cliffy/command";
import { badRequest } from "../../errors.ts";
import type { JobSelection, Store } from "../../store/store.ts";
import { type App, byPerson, type GlobalOptions, storeToRead } from "../app.ts";
import { printDone, readSelection } from "../selection.ts";
import { listJobs } from "./list.ts";

export function dlqCommand(app: App) {
  return new Command<GlobalOptions>()
    .action(function () {
      this.showHelp();
    })
    .command("list", listCommand(app)).reset()
    .command("retry", retryCommand(app)).reset()
    .command("purge", purgeCommand(app)).reset();
}

function listCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("List dead jobs, the newest last.")
    .option("--limit <n:string>", "The newest n jobs; 0 for all.", { default: "100" })
    .action((options) => listJobs(app, options, { state: "dead" }, options.limit));
}

function retryCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("Give dead jobs a new start: pending, with no attempts used.")
    .arguments("[ids...:string]")
    .option("--all", "All dead jobs.")
    .action(async (options, ...ids) => {
      using store = await storeToRead(app, options);
      const chosen = await chooseDead(store, "retry", ids, options.all);
      printDone(app, options, "Retrying", await store.retry(chosen, ["dead"], byPerson(app)));
    });
}

function purgeCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("Delete dead jobs with their history and output.")
    .arguments("[ids...:string]")
    .option("--all", "All dead jobs.")
    .option("--yes", "Do not ask: needed with --all.")
    .action(async (options, ...ids) => {
      if (options.all && !options.yes) {
        throw badRequest("Cannot purge all dead jobs without --yes: they cannot be brought back");
      }
      using store = await storeToRead(app, options);
      const chosen = await chooseDead(store, "purge", ids, options.all);
      printDone(app, options, "Purged", await store.remove(chosen, ["dead"], byPerson(app)));
    });
}

async function chooseDead(
  store: Store,
  verb: string,
  ids: string[],
  all: true | undefined,
): Promise<JobSelection> {
  const chosen = await readSelection(store, `${verb} dead`, ids, { all });
  return "ids" in chosen ? chosen : { filter: { state: "dead" } };
}
