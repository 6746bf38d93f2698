import { Command } from "@cliffy/command";
import { badRequest, quote } from "../../errors.ts";
import type { GlobalOptions } from "../app.ts";

/** `help [COMMAND…]` for commands at every level; Cliffy's own knows one level. */
export function helpCommand(
  // deno-lint-ignore no-explicit-any -- any command has help
  root: () => Command<any>,
) {
  return new Command<GlobalOptions>()
    .description("Show the help of a command.")
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
