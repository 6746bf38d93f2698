import type { Outcome } from "../job.ts";
import type { OutputBatch } from "../store/store.ts";

/** A command to execute: all that a thread knows of a job. */
export interface Run {
  command: string;
  cwd: string;
  /** Added to the environment of the worker. */
  env: Record<string, string>;
  timeoutMs: number | null;
  killGraceMs: number;
  outputLimit: number;
}

/** When a command may begin, epoch milliseconds. What is earlier is later, by a clock that was set back. */
export interface BeginTime {
  from: number;
  by: number;
}

/** How an execution ended, as the thread sees it; `interrupted` if it was to end, or not to begin. */
export type End = Exclude<Outcome, { kind: "lost" }>;

/** Output on its way to the store: what came, and what is no longer to be kept. */
export type Printed = Omit<OutputBatch, "lease">;

/** When a command ran, epoch milliseconds, and how long by the clock that nobody sets. */
export interface Ran {
  from: number;
  to: number;
  tookMs: number;
}

/** From the pool to a thread, about one of the executors that it serves. Runs are numbered. */
export type Order =
  /** Start the command after those before it, if it is the time for that. */
  | {
    type: "run";
    executor: number;
    number: number;
    run: Run;
    shell: Shell;
    begin: BeginTime;
  }
  /** Forget the commands that still wait for the end of another one. */
  | { type: "withdraw"; executor: number }
  /** End the command, if it is still that one: TERM, after `graceMs` KILL. */
  | { type: "stop"; executor: number; number: number; graceMs: number }
  /** The last output was stored; more may come. */
  | { type: "stored"; executor: number }
  | { type: "ping" };

/** From a thread to the pool. */
export type Report =
  | { type: "started"; executor: number; pid: number }
  | { type: "output"; executor: number; printed: Printed }
  /** The next command of the executor, if one waits, starts now. */
  | { type: "ended"; executor: number; end: End; printed: Printed | null; ran: Ran | null }
  /** So many of the executor's commands, the next ones, will not be started. */
  | { type: "withdrawn"; executor: number; count: number }
  | { type: "pong" };

/** What a command is started with. Both are paths, so that nobody has to search for them each time. */
export interface Shell {
  sh: string;
  /** Puts the command in a session of its own; null where there is none, and Deno has to fork for that. */
  setsid: string | null;
}
