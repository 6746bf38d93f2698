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

/** How an execution ended, as the thread sees it; `interrupted` means that it was told to end it. */
export type End = Exclude<Outcome, { kind: "lost" }>;

/** Output on its way to the store: what came, and what is no longer to be kept. */
export type Printed = Omit<OutputBatch, "lease">;

/** From the pool to a thread, about one of the executors that it serves. */
export type Order =
  | { type: "run"; executor: number; run: Run; shell: Shell }
  /** End the command: TERM, after `graceMs` KILL. */
  | { type: "stop"; executor: number; graceMs: number }
  /** The last output was stored; more may come. */
  | { type: "stored"; executor: number }
  | { type: "ping" };

/** From a thread to the pool. */
export type Report =
  | { type: "started"; executor: number; pid: number }
  | { type: "output"; executor: number; printed: Printed }
  | { type: "ended"; executor: number; end: End; printed: Printed | null }
  | { type: "pong" };

/** What a command is started with. Both are paths, so that nobody has to search for them each time. */
export interface Shell {
  sh: string;
  /** Puts the command in a session of its own; null where there is none, and Deno has to fork for that. */
  setsid: string | null;
}
