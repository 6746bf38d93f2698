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

/** From the pool to a thread. */
export type Order =
  | { type: "run"; run: Run; sessionStarter: SessionStarter }
  /** End the command: TERM, after `graceMs` KILL. */
  | { type: "stop"; graceMs: number }
  /** The last output was stored; more may come. */
  | { type: "stored" }
  | { type: "ping" };

/** From a thread to the pool. */
export type Report =
  | { type: "started"; pid: number }
  | { type: "output"; printed: Printed }
  | { type: "ended"; end: End; printed: Printed | null }
  | { type: "pong" };

/**
 * What puts a command in a session of its own: the path of `setsid`, which does it without a fork of
 * this process, or "detached" for Deno's own way, which forks it.
 */
export type SessionStarter = string;
