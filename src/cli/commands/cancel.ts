import { Command } from "@cliffy/command";
import { OPERATION_FAILED, quote } from "../../errors.ts";
import { UNFINISHED_STATES } from "../../job.ts";
import { type App, byPerson, type GlobalOptions, storePath, storeToRead } from "../app.ts";
import { addSelectionOptions, confirmMany, printDone, readSelection } from "../selection.ts";

export function cancelCommand(app: App) {
  const command = new Command<GlobalOptions>()
    .description(
      "End jobs for good: those that wait at once, those that run with all they started.",
    )
    .arguments("[ids...:string]")
    .option("--force", "Kill what runs, without a TERM before.")
    .option("--yes", "Do not ask: needed with --all or a filter.");
  return addSelectionOptions(command, "Cancel").action(async (options, ...ids) => {
    using store = await storeToRead(app, options);
    const chosen = await readSelection(store, "cancel", ids, options);
    if ("filter" in chosen) {
      await confirmMany(app, store, chosen.filter, UNFINISHED_STATES, "Cancel", options);
    }
    const how = { force: options.force ?? false };
    const { cancelled, ending } = await store.cancel(chosen, how, byPerson(app));
    if (ending.length > 0) {
      const { waitUntilEnded } = await import("../wait_until_ended.ts");
      await waitUntilEnded(app, { store, path: storePath(app, options) }, ending);
    }
    for (const id of ending) {
      const state = (await store.get(id))?.state;
      if (state === "cancelled" || state === "processing") cancelled.push(id);
      else {
        app.terminal.err(`Job ${quote(id)} could not be cancelled: it is ${state ?? "deleted"}\n`);
        app.exitCode = OPERATION_FAILED;
      }
    }
    printDone(app, options, "Cancelled", cancelled);
  });
}
