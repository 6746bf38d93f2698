import { Command, ValidationError } from "@cliffy/command";
import { BAD_REQUEST, badRequest, OPERATION_FAILED, UserError } from "../errors.ts";
import type { AnyCommand, App } from "./app.ts";
import { printable } from "./format/text.ts";

export const VERSION = "0.1.0";

/** An error is one line, and no longer than this. */
const LONGEST_ERROR = 500;

/**
 * The commands in the order of the help, with their arguments and what they are for. The rest of each is
 * in the file with its name, which is loaded when it is needed.
 */
const COMMANDS: Readonly<Record<string, { words?: string; about: string }>> = {
  enqueue: {
    words: "[words...:string]",
    about: "Add a job: a shell command, an argument list, or JSON.",
  },
  run: {
    words: "[words...:string]",
    about: "Add a job, show what it prints, and return its exit code. Ctrl-C cancels it.",
  },
  worker: { about: "Run jobs until told to stop. The same as worker start." },
  status: { about: "Count the jobs in each state, and show the live workers with what they run." },
  list: { about: "List jobs, the newest last." },
  show: {
    words: "<id:string>",
    about: "Show one job: its settings, every attempt, and the last lines of its output.",
  },
  logs: {
    words: "<id:string>",
    about: "Print what a job printed: its stdout on stdout, its stderr on stderr.",
  },
  wait: {
    words: "[ids...:string]",
    about: "Wait until jobs have ended, and return the highest of their exit codes.",
  },
  cancel: {
    words: "[ids...:string]",
    about: "End jobs for good: those that wait at once, those that run with all they started.",
  },
  retry: {
    words: "[ids...:string]",
    about: "Run failed, dead or cancelled jobs now, with all their attempts before them.",
  },
  delete: {
    words: "[ids...:string]",
    about: "Delete jobs with their history and output; what waits for them is cancelled.",
  },
  prune: { about: "Delete completed and cancelled jobs; dead ones only with --state dead." },
  dlq: { about: "The dead letter queue: jobs that have used up their attempts." },
  queue: {
    about: "Queues: pause and resume them, and limit how many of their jobs run at a time.",
  },
  schedule: { about: "Jobs that are made again and again, at the times of a cron expression." },
  events: { about: "What has happened to jobs, queues and schedules, with causes and actors." },
  config: { about: "The settings of the store; jobs keep those of the moment they were enqueued." },
  doctor: {
    about: "Look for whatever could be wrong with the store, its workers and this machine.",
  },
  backup: {
    words: "<file:string>",
    about: "Copy the store to a file, whatever workers and people are doing meanwhile.",
  },
  completions: {
    words: "<shell:string>",
    about: "Print the script that completes commands, options and names in a shell.",
  },
  complete: { about: "List what can stand at the end of a command line, for completions." },
  help: { words: "[command...:string]", about: "Show the help of a command." },
};
const ALL = Object.keys(COMMANDS);
const HIDDEN = "complete";
/** These need no command if nothing follows. */
const ALONE = ["--help", "-h", "--version", "-V"];

/** A part of the tree of commands. */
interface Part {
  /** The commands that are there. */
  names: readonly string[];
  /** Those that are there with their options and what they do; of the others only the list can be shown. */
  whole: readonly string[];
}

/** The tree of commands, or a part of it. */
export async function program(
  app: App,
  { names, whole }: Part = { names: ALL, whole: ALL },
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
  const loaded = await Promise.all(
    names.map((name) => whole.includes(name) ? load(name, app, () => root) : null),
  );
  for (const [i, name] of names.entries()) {
    const command = loaded[i];
    const { words, about } = COMMANDS[name]!;
    if (command) root.command(name, command);
    else root.command(words ? `${name} ${words}` : name);
    root.description(about);
    if (name === HIDDEN) root.hidden();
    root.reset();
  }
  return root;
}

// By a name that is put together here: the runtime reads whatever a plain import names before it starts,
// and a command needs half of all files.
async function load(name: string, app: App, root: () => AnyCommand): Promise<AnyCommand> {
  const module = await import(new URL(`./commands/${name}.ts`, import.meta.url).href);
  return module[`${name}Command`](app, root);
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
function neededFor(args: readonly string[], at: number): Part {
  const word = args[at];
  const isAlone = ALONE.includes(word ?? "") && at === args.length - 1;
  if (word === undefined || isAlone) return { names: ALL, whole: [] };
  if (word === "help") return { names: ALL, whole: args };
  const names = ALL.includes(word) && word !== "complete" ? [word] : ALL;
  return { names, whole: names };
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
