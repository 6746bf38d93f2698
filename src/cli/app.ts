import type { Command } from "@cliffy/command";
import { join, resolve } from "@std/path";
import { badRequest } from "../errors.ts";
import { openStore, openStoreIfAny } from "../store/open.ts";
import type { Surroundings } from "../job_request.ts";
import type { By, Store } from "../store/store.ts";
import type { System } from "../system.ts";
import { type Terminal } from "./terminal.ts";

/** The options that every command has. */
export type GlobalOptions = { db?: string; json?: true; color: boolean };

/** A command whose arguments and options are not known to whoever looks at it. */
// deno-lint-ignore no-explicit-any -- they are different ones for each command
export type AnyCommand = Command<any>;

/** What a command is given of the world. */
export interface App {
  readonly terminal: Terminal;
  readonly system: System;
  /** The folder of the person's shell. */
  readonly folder: string;
  /** Whether `deno task` is what started it. */
  readonly isTask: boolean;
  env(name: string): string | undefined;
  /** The code that the process will end with, where that is not 0. */
  exitCode: number;
}

/** Where and when a person asks for jobs. */
export function surroundings(app: App, { now }: By): Surroundings {
  return { folder: app.folder, now, env: (name) => app.env(name) };
}

/** The person who does something now, as the history will say. */
export function byPerson(app: App): By {
  const actor = app.env("USER") || app.env("LOGNAME") || "somebody";
  return { now: app.system.now(), actor };
}

/** The path of the store that a command is about. */
export function storePath(app: App, { db }: GlobalOptions): string {
  const named = db ?? app.env("QUEUECTL_DB") ?? app.env("QUEUECTL_DB_PATH");
  if (named === undefined) return join(homeFolder(app), ".queuectl", "queue.db");
  if (named.trim() === "" || named.includes("\0")) {
    throw badRequest(`Cannot use the store ${JSON.stringify(named)}: expected the path of a file`);
  }
  return resolve(app.folder, named);
}

function homeFolder(app: App): string {
  const home = app.env("HOME");
  if (!home) throw badRequest("Cannot find the store: HOME is not set; name a file with --db");
  return home;
}

/** Opens the store for a command that writes; it is made if there is none. */
export function storeToWrite(app: App, options: GlobalOptions): Promise<Store> {
  return openStore(storePath(app, options));
}

/** Opens the store for a command that only looks; where there is none, it sees an empty one. */
export function storeToRead(app: App, options: GlobalOptions): Promise<Store> {
  return openStoreIfAny(storePath(app, options));
}

/** Whether to colour what goes to stdout. */
export function colored(app: App, { color }: GlobalOptions): boolean {
  return color && app.terminal.outIsTerminal && !app.env("NO_COLOR");
}
