import { Command } from "@cliffy/command";
import { type App, byPerson, type GlobalOptions, storeToRead } from "../app.ts";
import {
  addSelectionOptions,
  printDone,
  readSelection,
  type SelectionOptions,
} from "../selection.ts";

export function retryCommand(app: App) {
  const command = new Command<GlobalOptions>()
    .description("Run failed, dead or cancelled jobs now, with all their attempts before them.")
    .arguments("[ids...:string]");
  return addSelectionOptions(command, "Retry").action(async (options, ...ids) => {
    using store = await storeToRead(app, options);
    const chosen = await readSelection(store, "retry", ids, options as SelectionOptions);
    const states = ["failed", "dead", "cancelled"] as const;
    printDone(app, options, "Retrying", await store.retry(chosen, states, byPerson(app)));
  });
}
