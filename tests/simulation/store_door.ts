import { operationFailed, UserError } from "../../src/errors.ts";
import type { SqliteStore } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import type { Dice } from "./dice.ts";
import type { FaultyDatabase } from "./faulty_database.ts";
import type { Owner, VirtualTime } from "./virtual_time.ts";

/** What SQLite says when it cannot go on. */
export const PASSING_ERRORS = {
  locked: "database is locked",
  full: "database or disk is full",
} as const;
export type PassingError = keyof typeof PASSING_ERRORS;

/** What goes wrong with one call: after so many statements, or when it is done. */
export interface CallFault {
  /** How many calls go well before. */
  calls: number;
  statements: number;
  what: "kill" | PassingError;
}

/** What goes wrong for a while, with a share of the calls. */
export interface Trouble {
  until: number;
  share: number;
  what: { error: PassingError } | { slowMs: number };
}

/** Whoever uses the store. */
export interface Caller extends Owner {
  readonly name: string;
  readonly time: VirtualTime;
  readonly dice: Dice;
  readonly faults: CallFault[];
  readonly troubles: Trouble[];
  /** How long a call may take where nothing is wrong. */
  readonly latencyMs: number;
  kill(): void;
  /** For `ms` it is no wonder if it does not get on. */
  hinder(ms: number): void;
}

/** A call that has written, or has failed. */
export interface Call {
  by: Caller;
  method: StoreMethod;
  args: readonly unknown[];
  result: unknown;
  error: unknown;
}

type StoreMethod = {
  [Name in keyof Store]: Store[Name] extends (...args: never[]) => Promise<unknown> ? Name : never;
}[keyof Store];

const READS: StoreMethod[] = [
  ...["get", "find", "list", "counts", "attempts", "output", "count", "blockers"] as const,
  ...["events", "queues", "schedules", "settings", "workers", "leases", "outlook"] as const,
  ...["cancelRequests", "examine", "sync"] as const,
];
const WRITES: StoreMethod[] = [
  ...["enqueue", "cancel", "retry", "remove", "prune", "changeQueue", "changeSetting"] as const,
  ...["register", "renew", "deregister", "requestStop", "turn"] as const,
];

/** The one store of a simulation, and what is shared by all doors to it. */
export interface SharedStore {
  readonly store: SqliteStore;
  readonly database: FaultyDatabase;
  /** What is wrong for everybody. */
  readonly troubles: Trouble[];
  /** How many calls have written. */
  writes: number;
  /** Nobody hears the bell. */
  isMuted: boolean;
  /** Is told of every call that wrote or could have written, before anybody else goes on. */
  onWrite(call: Call): void;
  onRead(by: Caller, method: string, error: unknown): void;
}

const NEVER = new Promise<never>(() => {});

class Killed extends Error {}

/** The store as one process sees it: its own connection, which can be slow, fail, or be its end. */
export function openDoor(shared: SharedStore, by: Caller): Store {
  let calls = 0;
  let ownWrites = 0;
  const call = async (method: StoreMethod, args: readonly unknown[]): Promise<unknown> => {
    const isWrite = WRITES.includes(method);
    const { slowMs, error } = troubleOf(shared, by);
    const isLate = by.dice.chance(0.5);
    if (slowMs > 0) by.hinder(slowMs);
    // The very first call is waited for: a supervisor that does not know the settings cannot be stopped.
    if (calls++ > 0) await wait(by, slowMs + (isLate ? 0 : latency(by)));
    const fault = nextFault(by);
    arm(shared.database, fault, error);
    shared.isMuted = fault?.what === "kill";
    const done = await carryOut(shared.store, method, args);
    shared.database.failNoMore();
    shared.isMuted = false;
    if (done.error !== undefined) by.hinder(0);
    if (isWrite) {
      if (done.error === undefined) {
        shared.writes++;
        ownWrites++;
      }
      shared.onWrite({ by, method, args, ...done });
    } else shared.onRead(by, method, done.error);
    if (fault?.what === "kill") {
      by.kill();
      return await NEVER;
    }
    if (isLate && calls > 1) await wait(by, latency(by));
    if (done.error !== undefined) throw done.error;
    return done.result;
  };
  const methods = [...READS, ...WRITES].map((method) =>
    [method, (...args: unknown[]) => call(method, args)] as const
  );
  return {
    ...Object.fromEntries(methods) as unknown as Store,
    changes() {
      const { error } = troubleOf(shared, by);
      if (error) {
        by.hinder(0);
        throw explainedError(error);
      }
      return shared.writes - ownWrites;
    },
    verify() {},
    [Symbol.dispose]() {},
  };
}

async function carryOut(
  store: SqliteStore,
  method: StoreMethod,
  args: readonly unknown[],
): Promise<{ result: unknown; error: unknown }> {
  try {
    const result = await (store[method] as (...args: readonly unknown[]) => unknown)(...args);
    return { result, error: undefined };
  } catch (error) {
    return { result: undefined, error };
  }
}

function nextFault({ faults }: Caller): CallFault | undefined {
  const [next] = faults;
  if (next === undefined || next.calls-- > 0) return undefined;
  return faults.shift();
}

function troubleOf(shared: SharedStore, { troubles, time, dice }: Caller) {
  let slowMs = 0;
  let error: PassingError | undefined;
  if (troubles.length + shared.troubles.length === 0) return { slowMs, error };
  for (const { until, share, what } of [...troubles, ...shared.troubles]) {
    if (time.now >= until || !dice.chance(share)) continue;
    if ("error" in what) error = what.error;
    else slowMs += what.slowMs * dice.share();
  }
  return { slowMs, error };
}

function arm(database: FaultyDatabase, fault: CallFault | undefined, error?: PassingError) {
  if (fault) {
    const { what, statements } = fault;
    database.failAfter(statements, what === "kill" ? new Killed() : sqliteError(what));
  } else if (error) database.failAfter(0, sqliteError(error));
}

function sqliteError(error: PassingError): Error {
  return new Error(PASSING_ERRORS[error]);
}

function explainedError(error: PassingError): UserError {
  return operationFailed("Cannot look at the store", sqliteError(error));
}

function latency({ dice, latencyMs }: Caller): number {
  return dice.chance(0.2) ? latencyMs * dice.share() : 0;
}

async function wait(by: Caller, ms: number) {
  if (ms === 0) return;
  await new Promise<void>((resolve) => by.time.after(ms, by, resolve));
}
