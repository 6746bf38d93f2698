import { Command } from "@cliffy/command";
import { badRequest, quote } from "../../errors.ts";
import type { AnyCommand, App, GlobalOptions } from "../app.ts";

/** `help [COMMAND…]` for commands at every level; Cliffy's own knows one level. */
export function helpCommand(_app: App, root: () => AnyCommand) {
  return new Command<GlobalOptions>()
    .arguments("[command...:string]")
    .action((_options, ...names) => {
      let command = root();
      for (const name of names) {
        const child = command.getCommand(name);
        if (!child) {
          throw badRequest(`Unknown command ${quote(names.join(" "))}: see queuectl help`);
        }
        command = child;
      }
      command.showHelp();
    });
}
