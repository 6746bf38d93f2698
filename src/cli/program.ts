import { Command, ValidationError } from "@cliffy/command";
import { BAD_REQUEST, badRequest, OPERATION_FAILED, UserError } from "../errors.ts";
import { lazily } from "../lazily.ts";
import type { AnyCommand, App } from "./app.ts";
import { printable } from "./format/text.ts";

export const VERSION = "0.1.0";

/** An error is one line, and no longer than this. */
const LONGEST_ERROR = 500;

/**
 * The commands in the order of the help, with their arguments and what they are for. The rest of each is
 * in the file with its name, which is loaded when it is needed.
 */
const COMMANDS: Readonly<Record<string, string>> = {
  "enqueue [words...:string]": "Add a job: a shell command, an argument list, or JSON.",
  "run [words...:string]":
    "Add a job, show what it prints, and return its exit code. Ctrl-C cancels it.",
  worker: "Run jobs until told to stop. The same as worker start.",
  status: "Count the jobs in each state, and show the live workers with what they run.",
  list: "List jobs, the newest last.",
  "show <id:string>":
    "Show one job: its settings, every attempt, and the last lines of its output.",
  "logs <id:string>": "Print what a job printed: its stdout on stdout, its stderr on stderr.",
  "wait [ids...:string]": "Wait until jobs have ended, and return the highest of their exit codes.",
  "cancel [ids...:string]":
    "End jobs for good: those that wait at once, those that run with all they started.",
  "retry [ids...:string]":
    "Run failed, dead or cancelled jobs now, with all their attempts before them.",
  "delete [ids...:string]":
    "Delete jobs with their history and output; what waits for them is cancelled.",
  prune: "Delete completed and cancelled jobs; dead ones only with --state dead.",
  dlq: "The dead letter queue: jobs that have used up their attempts.",
  queue: "Queues: pause and resume them, and limit how many of their jobs run at a time.",
  schedule: "Jobs that are made again and again, at the times of a cron expression.",
  events: "What has happened to jobs, queues and schedules, with causes and actors.",
  config: "The settings of the store; jobs keep those of the moment they were enqueued.",
  doctor: "Look for whatever could be wrong with the store, its workers and this machine.",
  "backup <file:string>":
    "Copy the store to a file, whatever workers and people are doing meanwhile.",
  "completions <shell:string>":
    "Print the script that completes commands, options and names in a shell.",
  complete: "List what can stand at the end of a command line, for completions.",
  "help [command...:string]": "Show the help of a command.",
};
const ALL = Object.keys(COMMANDS).map(nameOf);
const HIDDEN = "complete";
/** These need no command if nothing follows. */
const ALONE = ["--help", "-h", "--version", "-V"];

function nameOf(definition: string): string {
  return definition.split(" ", 1)[0]!;
}

/** What of the tree of commands is needed. */
interface Needed {
  /** The commands that are needed with their options and what they do. */
  loaded?: readonly string[];
  /** Whether the others are needed for the list of commands. */
  listed?: boolean;
}

/** The tree of commands, or what is needed of it. */
export async function program(
  app: App,
  { loaded = ALL, listed = true }: Needed = {},
): Promise<AnyCommand> {
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
  const commands = await Promise.all(
    ALL.map((name) => loaded.includes(name) ? load(name, app, () => root) : null),
  );
  for (const [i, [definition, description]] of Object.entries(COMMANDS).entries()) {
    const command = commands[i];
    if (!command && !listed) continue;
    if (command) root.command(nameOf(definition), command);
    else root.command(definition);
    root.description(description);
    if (nameOf(definition) === HIDDEN) root.hidden();
    root.reset();
  }
  return root;
}

type CommandFile = Record<string, (app: App, root: () => AnyCommand) => AnyCommand>;

async function load(name: string, app: App, root: () => AnyCommand): Promise<AnyCommand> {
  const file = await lazily<CommandFile>(`./commands/${name}.ts`, import.meta.url)();
  return file[`${name}Command`]!(app, root);
}

/** Where among the words the command is, behind the options that may stand before it. */
function commandIndex(args: readonly string[]): number {
  for (let at = 0;;) {
    if (/^(--json|--no-color|--db=.+)$/s.test(args[at] ?? "")) at++;
    else if (args[at] === "--db" && /^[^-]/.test(args[at + 1] ?? "")) at += 2;
    else return at;
  }
}

/** What a command line needs of the tree; all of it where that cannot be told in advance. */
function neededFor(args: readonly string[], at: number): Needed {
  const word = args[at];
  if (word === undefined) return { loaded: [] };
  if (ALONE.includes(word) && at === args.length - 1) return { loaded: [] };
  if (word === "help") return { loaded: args };
  return ALL.includes(word) && word !== "complete" ? { loaded: [word], listed: false } : {};
}

/** Carries out a command line and returns the exit code. */
export async function runProgram(args: readonly string[], app: App): Promise<number> {
  try {
    refuseBrokenText(args);
    const at = commandIndex(args);
    const root = await program(app, neededFor(args, at));
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

// The runtime replaces what is no UTF-8, so that another command would be stored than was meant.
function refuseBrokenText(args: readonly string[]) {
  if (Deno.build.os !== "linux" || !args.some((arg) => arg.includes("\ufffd"))) return;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(Deno.readFileSync("/proc/self/cmdline"));
  } catch (error) {
    throw badRequest("Cannot read the command line as UTF-8: expected words in UTF-8", error);
  }
}

/** `config set KEY -1` is about a value, though a parser of options takes it for one. */
function valuesBehindDashes(args: readonly string[], command: number): string[] {
  const isNumber = (arg: string) => /^-[\d.]/.test(arg);
  const sets = ["config set", "queue limit"].includes(args.slice(command, command + 2).join(" "));
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
