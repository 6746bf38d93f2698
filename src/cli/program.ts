import { Command, ValidationError } from "@cliffy/command";
import { BAD_REQUEST, OPERATION_FAILED, UserError } from "../errors.ts";
import type { App } from "./app.ts";
import { printable } from "./format/text.ts";
import { configCommand } from "./commands/config.ts";
import { dlqCommand } from "./commands/dlq.ts";
import { enqueueCommand } from "./commands/enqueue.ts";
import { helpCommand } from "./commands/help.ts";
import { listCommand } from "./commands/list.ts";
import { logsCommand } from "./commands/logs.ts";
import { showCommand } from "./commands/show.ts";
import { statusCommand } from "./commands/status.ts";
import { workerCommand } from "./commands/worker.ts";

export const VERSION = "0.1.0";

/** An error is one line, and no longer than this. */
const LONGEST_ERROR = 500;

/** The tree of commands. */
export function program(app: App) {
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
  root.command("enqueue", enqueueCommand(app)).reset();
  root.command("worker", workerCommand(app)).reset();
  root.command("status", statusCommand(app)).reset();
  root.command("list", listCommand(app)).reset();
  root.command("show", showCommand(app)).reset();
  root.command("logs", logsCommand(app)).reset();
  root.command("dlq", dlqCommand(app)).reset();
  root.command("config", configCommand(app)).reset();
  root.command("help", helpCommand(() => root)).reset();
  return root;
}

/** Carries out a command line and returns the exit code. */
export async function runProgram(args: readonly string[], app: App): Promise<number> {
  try {
    await program(app).parse(valuesBehindDashes(args));
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

/** `config set KEY -1` is about a value, though a parser of options takes it for one. */
function valuesBehindDashes(args: readonly string[]): string[] {
  const command = args.findIndex((arg, i) => !arg.startsWith("-") && args[i - 1] !== "--db");
  const isNumber = (arg: string) => /^-[\d.]/.test(arg);
  const sets = args[command] === "config" && args[command + 1] === "set";
  if (!sets || args.includes("--")) return [...args];
  return [...args.filter((arg) => !isNumber(arg)), "--", ...args.filter(isNumber)];
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
