import { Command } from "@cliffy/command";
import { JOB_STATES } from "../../job.ts";
import type { JobSelection } from "../../store/store.ts";
import { type App, byPerson, type GlobalOptions, storeToRead } from "../app.ts";
import {
  addSelectionOptions,
  confirmMany,
  inSteps,
  printDone,
  readSelection,
} from "../selection.ts";

const DELETABLE = JOB_STATES.filter((state) => state !== "processing");

export function deleteCommand(app: App) {
  const command = new Command<GlobalOptions>()
    .arguments("[ids...:string]")
    .option("--yes", "Do not ask: needed with --all or a filter.");
  return addSelectionOptions(command, "Delete").action(async (options, ...ids) => {
    using store = await storeToRead(app, options);
    const chosen = await readSelection(store, "delete", ids, options);
    if ("filter" in chosen) {
      await confirmMany(app, store, chosen.filter, DELETABLE, "Delete", options);
    }
    const by = byPerson(app);
    const deleted: string[] = [];
    const remove = (which: JobSelection) => store.remove(which, DELETABLE, by);
    for await (const ids of inSteps(chosen, DELETABLE, remove)) deleted.push(...ids);
    printDone(app, options, "Deleted", deleted);
  });
}
