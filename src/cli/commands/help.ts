import { Command } from "@cliffy/command";
import { badRequest, quote } from "../../errors.ts";
import type { AnyCommand, App, GlobalOptions } from "../app.ts";

/** `help [COMMAND…]` for commands at every level; Cliffy's own knows one level. */
export function helpCommand(_app: App, root: () => AnyCommand) {
  return new Command<GlobalOptions>()
    .arguments("[command...:string]")
    .action(async (_options, ...names) => {
      let command = root();
      for (const name of names) {
        const child = command.getCommand(name);
        if (!child) {
          // What takes subcommands and nothing else says which one is the nearest.
          const { length } = command.getArguments();
          if (command.getCommands().length > 0 && length === 0) await command.parse([name]);
          throw badRequest(`Unknown command ${quote(names.join(" "))}: see queuectl help`);
        }
        command = child;
      }
      command.showHelp();
    });
}
