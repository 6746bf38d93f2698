import type { Command } from "./command.ts";
import type { Argument, Option, OptionSettings } from "./definition.ts";
import type { AnyIf, Merge, Values } from "./types.ts";

// deno-lint-ignore no-explicit-any -- a command of whatever options and arguments
export type AnyCommand = Command<any>;

/** The command that a chain of calls began with. */
export type Base<Root, This> = Root extends AnyCommand ? Root : This;

/** The global options that the subcommands of a command inherit. */
export type Reach<Inherited, Globals, Root> = Root extends AnyCommand ? Inherited
  : Merge<Inherited, Globals>;

/**
 * What a command expects of its parent's global options. Parameter and result make it fit no other
 * options than these, as in the real package; a command without expectations fits everywhere.
 */
export type Needs<Inherited, Root> = AnyIf<
  Inherited,
  Root extends { readonly needs: infer RootNeeds } ? RootNeeds
    : Inherited extends void ? (globals: unknown) => never
    : (globals: Inherited) => Inherited
>;

/** A command that fits a parent with these global options. */
export interface Subcommand<Globals> {
  readonly needs: (globals: Globals) => Globals;
}

/** What `action` calls. `this` is the command. */
export type ActionHandler<Options, Args extends unknown[]> = (
  this: AnyCommand,
  options: Options,
  ...args: Args
) => unknown;

/** What `parse` resolves to. */
export interface CommandResult<Options = Values, Args = unknown[]> {
  options: Options;
  args: Args;
  cmd: AnyCommand;
  /** The words after `--`. */
  literal: string[];
}

/** The settings of an option, with the types that decide the type of its value. */
export interface TypedSettings<Required, Collect, Default> extends OptionSettings {
  required?: Required & boolean;
  collect?: Collect & boolean;
  default?: Default;
}

/** What the chained calls said about a command, and what its last run left behind. */
export interface State {
  name: string;
  version?: string;
  description: string;
  usage?: string;
  action?: ActionHandler<Values, unknown[]>;
  arguments: Argument[];
  aliases: string[];
  options: Option[];
  examples: { name: string; description: string }[];
  commands: AnyCommand[];
  parent?: AnyCommand;
  hidden?: boolean;
  throws?: boolean;
  noExit?: boolean;
  /** Takes no global options of the parents but help. */
  noGlobals?: boolean;
  /** The command that `parse` was called on: paths begin here. */
  isMain?: boolean;
  hasDefaultOptions?: boolean;
  literal: string[];
  /** The command whose subcommand this was in the last run. */
  globalParent?: AnyCommand;
}
