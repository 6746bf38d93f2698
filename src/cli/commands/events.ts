import { Command } from "@cliffy/command";
import { type App, type GlobalOptions, storePath, storeToRead } from "../app.ts";
import { look } from "../look.ts";
import { wholeNumber } from "../options.ts";

export function eventsCommand(app: App) {
  return new Command<GlobalOptions>()
    .option("-f, --follow", "Go on until Ctrl-C.")
    .option("--since <seq:string>", "Those after the event with this number.", { default: "0" })
    .action(async (options) => {
      const since = wholeNumber("--since", options.since, { min: 0, max: Number.MAX_SAFE_INTEGER });
      using store = await storeToRead(app, options);
      const { showEvents } = await import("../show_events.ts");
      const path = storePath(app, options);
      await showEvents(app, { store, path }, {
        since,
        follow: options.follow ?? false,
        json: options.json ?? false,
        paint: look(app, options).paint,
      });
    });
}
