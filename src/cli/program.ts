import { Command, ValidationError } from "@cliffy/command";
import { BAD_REQUEST, OPERATION_FAILED, UserError } from "../errors.ts";
import type { AnyCommand, App } from "./app.ts";
import { printable } from "./format/text.ts";

export const VERSION = "0.1.0";
const VERSION_FLAGS = ["--version", "-V"];

/** An error is one line, and no longer than this. */
const LONGEST_ERROR = 500;

/** In the order of the help. Each is loaded from the file with its name when it is needed. */
const COMMANDS = [
  ...["enqueue", "run", "worker", "status", "list", "show", "logs", "wait", "cancel", "retry"],
  ...["delete", "prune", "dlq", "queue", "schedule", "events", "config", "doctor", "backup"],
  ...["completions", "complete", "help"],
];
/** These show or complete all the others. */
const NEED_ALL = ["complete", "help"];

/** The tree of commands, with all of them or only some. */
export async function program(app: App, names = COMMANDS): Promise<AnyCommand> {
  const root: AnyCommand = new Command()
    .name("queuectl")
    .version(VERSION)
    .description("Run shell commands in the background, and be able to rely on it.")
    .globalOption("--db <path:string>", "The store; else $QUEUECTL_DB or ~/.queuectl/queue.db.")
    .globalOption("--json", "Print results as JSON.")
    .globalOption("--no-color", "Print without colour.")
    .action(function () {
      this.showHelp();
    })
    .noExit();
  const commands = await Promise.all(names.map((name) => load(name, app, () => root)));
  for (const [i, name] of names.entries()) root.command(name, commands[i]!).reset();
  return root;
}

// By a name that is put together here: the runtime reads whatever a plain import names before it starts,
// and a command needs half of all files.
async function load(name: string, app: App, root: () => AnyCommand): Promise<AnyCommand> {
  const module = await import(new URL(`./commands/${name}.ts`, import.meta.url).href);
  return module[`${name}Command`](app, root);
}

/** The commands that a command line is about: all of them where help may be wanted. */
function neededFor(args: readonly string[], word: string | undefined): string[] {
  if (word === undefined && VERSION_FLAGS.includes(args.at(-1) ?? "")) return [];
  const isAlone = word !== undefined && COMMANDS.includes(word) && !NEED_ALL.includes(word);
  return isAlone ? [word] : COMMANDS;
}

/** Carries out a command line and returns the exit code. */
export async function runProgram(args: readonly string[], app: App): Promise<number> {
  try {
    const at = commandIndex(args);
    const root = await program(app, neededFor(args, args[at]));
    await root.parse(valuesBehindDashes(args, at));
    return app.exitCode;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return 0; // the reader has seen enough
    const { message, exitCode } = explain(error);
    app.terminal.err(`${oneLine(message)}\n`);
    if (app.env("QUEUECTL_DEBUG") === "1" && error instanceof Error) {
      app.terminal.err(`${Deno.inspect(error)}\n`);
    }
    return exitCode;
  }
}

/** Where among the words the command is; -1 if there is none. */
function commandIndex(args: readonly string[]): number {
  return args.findIndex((arg, i) => !arg.startsWith("-") && args[i - 1] !== "--db");
}

/** `config set KEY -1` is about a value, though a parser of options takes it for one. */
function valuesBehindDashes(args: readonly string[], command: number): string[] {
  const isNumber = (arg: string) => /^-[\d.]/.test(arg);
  const sets = args[command] === "config" && args[command + 1] === "set";
  const [numbers, words] = [args.filter(isNumber), args.filter((arg) => !isNumber(arg))];
  // An option without its value would take the dashes for it.
  const isOpen = words.at(-1)?.startsWith("-");
  if (!sets || numbers.length === 0 || isOpen || args.includes("--")) return [...args];
  return [...words, "--", ...numbers];
}

function explain(error: unknown): { message: string; exitCode: number } {
  if (error instanceof UserError) return error;
  if (error instanceof ValidationError) return { message: error.message, exitCode: BAD_REQUEST };
  const said = error instanceof Error ? error.message : String(error);
  return {
    message: `Unexpected failure: ${said} (QUEUECTL_DEBUG=1 shows where)`,
    exitCode: OPERATION_FAILED,
  };
}

function oneLine(message: string): string {
  const line = printable(message.trim().replace(/\s*\n\s*/g, " "));
  return line.length <= LONGEST_ERROR ? line : `${line.slice(0, LONGEST_ERROR - 1)}…`;
}
