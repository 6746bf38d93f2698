import { Command } from "@cliffy/command";
import { RETRYABLE_STATES } from "../../job.ts";
import { type App, byPerson, type GlobalOptions, storeToRead } from "../app.ts";
import {
  addSelectionOptions,
  printDone,
  readSelection,
  type SelectionOptions,
} from "../selection.ts";

export function retryCommand(app: App) {
  const command = new Command<GlobalOptions>()
    .arguments("[ids...:string]");
  return addSelectionOptions(command, "Retry").action(async (options, ...ids) => {
    using store = await storeToRead(app, options);
    const chosen = await readSelection(store, "retry", ids, options as SelectionOptions);
    const retried = await store.retry(chosen, RETRYABLE_STATES, byPerson(app));
    printDone(app, options, "Retrying", retried);
  });
}
