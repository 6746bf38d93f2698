import { Command } from "./command.ts";
import { exit, unknownCommand } from "./run.ts";
import type { AnyCommand } from "./state.ts";

/** Shows the help of the command that it was added to, or of one subcommand of that. */
export class HelpCommand extends Command<void, void, [name?: string]> {
  constructor(cmd?: AnyCommand) {
    super();
    this.state.noGlobals = true;
    this.description("Show this help or the help of a sub-command.")
      .arguments("[command:string]")
      .action((_options, name) => {
        const parent = this.state.globalParent;
        const shown = cmd ?? (name ? parent?.getCommand(name) : parent);
        if (!shown) {
          const others = parent?.getCommands().filter((other) => other !== this);
          throw unknownCommand(name ?? "", others ?? []);
        }
        shown.showHelp();
        exit(this);
      });
  }
}
