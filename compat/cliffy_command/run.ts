import { findOption, type Option, parseOption, takeArguments } from "./definition.ts";
import { didYouMean, ValidationError } from "./errors.ts";
import { type Context, parseFlags } from "./flags.ts";
import type { AnyCommand, CommandResult, State } from "./state.ts";

export function newState(): State {
  const lists = {
    arguments: [],
    aliases: [],
    options: [],
    examples: [],
    commands: [],
    literal: [],
  };
  return { name: "COMMAND", description: "", ...lists };
}

/** Parses the words for this command, or hands them to the subcommand that they name. */
export async function run(cmd: AnyCommand, context: Context): Promise<CommandResult> {
  try {
    cmd.reset();
    addDefaultOptions(cmd);
    const child = findChild(cmd, context);
    // Not awaited: the child deals with its own errors.
    if (child) return run(child, context);
    parseFlags(context, cmd.getOptions(true));
    const { options, literal, standalone } = context;
    const args = commandArguments(cmd, context);
    cmd.state.literal = literal;
    if (standalone) runStandalone(cmd, standalone, context.long);
    else await cmd.state.action?.call(cmd, options, ...args);
    return { options, args, cmd, literal };
  } catch (error) {
    return fail(cmd, error);
  }
}

/** Takes the name of a subcommand, and the global options in front of it, from the words. */
function findChild(cmd: AnyCommand, context: Context): AnyCommand | undefined {
  const [first] = context.words;
  if (first === undefined) return undefined;
  if (!cmd.getCommand(first, true)) {
    const options = cmd.getOptions(true);
    if (!findOption(options, first.replace(/=.*/s, ""))?.global) return undefined;
    parseFlags(context, options.filter((option) => option.global), true);
  }
  const child = cmd.getCommand(context.words[0] ?? "", true);
  if (!child) return undefined;
  context.words.shift();
  child.state.globalParent = cmd;
  return child;
}

function commandArguments(cmd: AnyCommand, { words, standalone }: Context): unknown[] {
  const [first] = words;
  const list = cmd.getArguments();
  if (first === undefined && standalone) return [];
  if (first === undefined || list.length > 0) return takeArguments(list, words);
  if (cmd.getCommands(true).length === 0) {
    throw new ValidationError(`No arguments allowed for command "${cmd.getPath()}".`);
  }
  if (cmd.getCommand(first, true)) {
    throw new ValidationError(`Too many arguments: ${words.join(" ")}`);
  }
  throw unknownCommand(first, cmd.getCommands());
}

/** The error for a word that is the name of none of these commands. */
export function unknownCommand(word: string, commands: AnyCommand[]): ValidationError {
  const names = commands.map((cmd) => cmd.getName());
  return new ValidationError(`Unknown command "${word}".${didYouMean("command", word, names)}`);
}

function runStandalone(cmd: AnyCommand, option: Option, long: boolean): void {
  if (option.name === "help") cmd.showHelp({ long });
  else console.log(long ? `${cmd.getName()} ${cmd.state.version}` : cmd.state.version);
  exit(cmd);
}

/** Ends the process, unless the command or a parent of it forbids that. */
export function exit(cmd: AnyCommand): void {
  if (!anyParent(cmd, ({ state }) => state.noExit)) Deno.exit(0);
}

function fail(cmd: AnyCommand, error: unknown): never {
  if (!(error instanceof ValidationError)) throw error;
  error.cmd = cmd;
  if (anyParent(cmd, ({ state }) => state.throws)) throw error;
  cmd.showHelp();
  console.error(`  error: ${error.message}\n`);
  Deno.exit(error.exitCode);
}

/** Whether something holds for the command or one of those above it. */
function anyParent(cmd: AnyCommand, holds: (cmd: AnyCommand) => boolean | undefined): boolean {
  const { parent } = cmd.state;
  return holds(cmd) || (parent !== undefined && anyParent(parent, holds));
}

/** Gives the main command `--version`, if it has one, and everything `--help`. */
export function addDefaultOptions(cmd: AnyCommand): void {
  const { state } = cmd;
  if (state.parent) return addDefaultOptions(state.parent);
  if (state.hasDefaultOptions) return;
  state.hasDefaultOptions = true;
  const version = parseOption("-V, --version", "Show the version number for this program.");
  const help = parseOption("-h, --help", "Show this help.");
  if (state.version) state.options.unshift({ ...version, standalone: true });
  state.options.unshift({ ...help, standalone: true, global: true });
}

/** Returns the global options of the parents, without those that are defined again further down. */
export function inheritedOptions(cmd: AnyCommand): Option[] {
  const names = new Set(cmd.state.options.map((option) => option.name));
  const inherited: Option[] = [];
  let blocked = cmd.state.noGlobals;
  for (let parent = cmd.state.parent; parent; parent = parent.state.parent) {
    for (const option of parent.state.options) {
      const wanted = option.global && (!blocked || option.standalone) && !names.has(option.name);
      if (!wanted) continue;
      inherited.push(option);
      names.add(option.name);
    }
    blocked ||= parent.state.noGlobals;
  }
  return inherited;
}
