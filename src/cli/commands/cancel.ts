import { Command } from "@cliffy/command";
import { OPERATION_FAILED, quote } from "../../errors.ts";
import { UNFINISHED_STATES } from "../../job.ts";
import { type App, byPerson, type GlobalOptions, storePath, storeToRead } from "../app.ts";
import {
  addSelectionOptions,
  confirmMany,
  inSteps,
  printDone,
  readSelection,
} from "../selection.ts";

/** What runs comes last: it stays as it is until its worker has ended it. */
const CANCEL_ORDER = UNFINISHED_STATES.toSorted((a, b) =>
  Number(a === "processing") - Number(b === "processing")
);

export function cancelCommand(app: App) {
  const command = new Command<GlobalOptions>()
    .arguments("[ids...:string]")
    .option("--force", "Kill what runs at once, without giving it time to end.")
    .option("--yes", "Do not ask: needed with --all or a filter.");
  return addSelectionOptions(command, "Cancel").action(async (options, ...ids) => {
    using store = await storeToRead(app, options);
    const chosen = await readSelection(store, "cancel", ids, options);
    if ("filter" in chosen) {
      await confirmMany(app, store, chosen.filter, UNFINISHED_STATES, "Cancel", options);
    }
    const how = { force: options.force ?? false };
    const by = byPerson(app);
    const cancelled: string[] = [];
    const ending: string[] = [];
    for await (
      const done of inSteps(chosen, CANCEL_ORDER, (which) => store.cancel(which, how, by))
    ) {
      cancelled.push(...done.cancelled);
      ending.push(...done.ending);
    }
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
