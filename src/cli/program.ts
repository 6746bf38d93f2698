import { Command, ValidationError } from "@cliffy/command";
import { BAD_REQUEST, OPERATION_FAILED, UserError } from "../errors.ts";
import type { App } from "./app.ts";
import { printable } from "./format/text.ts";

export const VERSION = "0.1.0";

/** An error is one line, and no longer than this. */
const LONGEST_ERROR = 500;

// deno-lint-ignore no-explicit-any -- each command has options of its own
type AnyCommand = Command<any>;

// By a name that is put together here: the runtime reads whatever a plain import names before it starts,
// and a command needs half of all files.
function load<M>(name: string): Promise<M> {
  return import(new URL(`./commands/${name}.ts`, import.meta.url).href);
}

/** The commands in the order of the help; each is loaded when it is needed. */
const COMMANDS: Record<string, (app: App, root: AnyCommand) => Promise<AnyCommand>> = {
  enqueue: async (app) =>
    (await load<typeof import("./commands/enqueue.ts")>("enqueue")).enqueueCommand(app),
  run: async (app) => (await load<typeof import("./commands/run.ts")>("run")).runCommand(app),
  worker: async (app) =>
    (await load<typeof import("./commands/worker.ts")>("worker")).workerCommand(app),
  status: async (app) =>
    (await load<typeof import("./commands/status.ts")>("status")).statusCommand(app),
  list: async (app) => (await load<typeof import("./commands/list.ts")>("list")).listCommand(app),
  show: async (app) => (await load<typeof import("./commands/show.ts")>("show")).showCommand(app),
  logs: async (app) => (await load<typeof import("./commands/logs.ts")>("logs")).logsCommand(app),
  wait: async (app) => (await load<typeof import("./commands/wait.ts")>("wait")).waitCommand(app),
  cancel: async (app) =>
    (await load<typeof import("./commands/cancel.ts")>("cancel")).cancelCommand(app),
  retry: async (app) =>
    (await load<typeof import("./commands/retry.ts")>("retry")).retryCommand(app),
  delete: async (app) =>
    (await load<typeof import("./commands/delete.ts")>("delete")).deleteCommand(app),
  prune: async (app) =>
    (await load<typeof import("./commands/prune.ts")>("prune")).pruneCommand(app),
  dlq: async (app) => (await load<typeof import("./commands/dlq.ts")>("dlq")).dlqCommand(app),
  queue: async (app) =>
    (await load<typeof import("./commands/queue.ts")>("queue")).queueCommand(app),
  schedule: async (app) =>
    (await load<typeof import("./commands/schedule.ts")>("schedule")).scheduleCommand(app),
  events: async (app) =>
    (await load<typeof import("./commands/events.ts")>("events")).eventsCommand(app),
  config: async (app) =>
    (await load<typeof import("./commands/config.ts")>("config")).configCommand(app),
  doctor: async (app) =>
    (await load<typeof import("./commands/doctor.ts")>("doctor")).doctorCommand(app),
  backup: async (app) =>
    (await load<typeof import("./commands/backup.ts")>("backup")).backupCommand(app),
  completions: async (app) =>
    (await load<typeof import("./commands/completions.ts")>("completions")).completionsCommand(app),
  complete: async (app, root) =>
    (await load<typeof import("./commands/completions.ts")>("completions"))
      .completeCommand(app, () => root),
  help: async (_app, root) =>
    (await load<typeof import("./commands/help.ts")>("help")).helpCommand(() => root),
};
/** These show or complete all the others. */
const NEED_ALL = ["complete", "help"];

/** The tree of commands; if `word` is the name of one, of that one alone. */
export async function program(app: App, word?: string) {
  const root = new Command()
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
  const alone = word !== undefined && Object.hasOwn(COMMANDS, word) && !NEED_ALL.includes(word);
  const names = alone ? [word] : Object.keys(COMMANDS);
  for (const name of names) root.command(name, await COMMANDS[name]!(app, root)).reset();
  return root;
}

/** Carries out a command line and returns the exit code. */
export async function runProgram(args: readonly string[], app: App): Promise<number> {
  try {
    const at = commandIndex(args);
    const root = await program(app, args[at]);
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
