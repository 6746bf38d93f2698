/** The part of `jsr:@db/sqlite` that we use, on the SQLite that is built into the runtime. */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { fromFileUrl } from "@std/path";
import { Statement } from "./statement.ts";

export type { BindParameters, BindValue, RestBindParameters } from "./statement.ts";
export { Statement };

/** How a database is opened. */
export interface DatabaseOpenOptions {
  /** Open it for reading only; it must exist then. */
  readonly?: boolean;
  /** Create the file if it is missing; true by default. */
  create?: boolean;
  /** Keep it in memory, whatever the path. */
  memory?: boolean;
  /** Not looked at: integers are always exact here. Say true, or the real package cuts them. */
  int64?: boolean;
  /** Not looked at: JSON is always text here. Say false, or the real package parses it. */
  parseJson?: boolean;
}

// deno-lint-ignore no-explicit-any -- any function may be wrapped
type AnyFunction = (...args: any[]) => void;
type Call<T extends AnyFunction> = (...args: Parameters<T>) => ReturnType<T>;

/** A function wrapped in a transaction; the properties say how the transaction begins. */
export type Transaction<T extends AnyFunction> = Call<T> & {
  /** BEGIN DEFERRED */
  deferred: Call<T>;
  /** BEGIN IMMEDIATE */
  immediate: Call<T>;
  /** BEGIN EXCLUSIVE */
  exclusive: Call<T>;
};

/** A connection to a database, with the defaults of plain SQLite. */
export class Database {
  #path: string;
  #inner: DatabaseSync;
  #changes: StatementSync | undefined;

  constructor(path: string | URL, options: DatabaseOpenOptions = {}) {
    this.#path = path instanceof URL ? fromFileUrl(path) : path;
    this.#inner = new DatabaseSync(location(this.#path, options), {
      readOnly: options.readonly ?? false,
      enableForeignKeyConstraints: false,
      enableDoubleQuotedStringLiterals: true,
    });
    // The runtime waits 5 s for a lock, whatever its `timeout` option says; SQLite does not wait.
    this.#inner.exec("PRAGMA busy_timeout = 0");
  }

  /** The path it was opened with. */
  get path(): string {
    return this.#path;
  }

  /** Whether it is still open. */
  get open(): boolean {
    return this.#inner.isOpen;
  }

  /** Whether no transaction is under way. */
  get autocommit(): boolean {
    return !this.#inner.isTransaction;
  }

  /** Whether a transaction is under way; false once closed. */
  get inTransaction(): boolean {
    return this.open && this.#inner.isTransaction;
  }

  /** How many rows the last INSERT, UPDATE or DELETE changed. */
  get changes(): number {
    this.#changes ??= this.#inner.prepare("SELECT changes() AS changes");
    return Number(this.#changes.get()!.changes);
  }

  /** Runs one or more statements that take no parameters. */
  exec(sql: string): void {
    this.#inner.exec(sql);
  }

  /** Prepares one statement. */
  // deno-lint-ignore no-explicit-any -- the caller knows the columns
  prepare<T extends object = Record<string, any>>(sql: string): Statement<T> {
    return new Statement<T>(this.#inner.prepare(sql));
  }

  /**
   * Wraps `fn`, which must not be async: a call commits when it returns, and rolls back and throws
   * on when it throws. A call inside a transaction is a savepoint of that one.
   */
  transaction<T extends AnyFunction>(fn: T): Transaction<T> {
    const begun = (begin: string): Call<T> => (...args) =>
      this.#transact(begin, () => fn(...args) as ReturnType<T>);
    return Object.assign(begun("BEGIN"), {
      deferred: begun("BEGIN DEFERRED"),
      immediate: begun("BEGIN IMMEDIATE"),
      exclusive: begun("BEGIN EXCLUSIVE"),
    });
  }

  /** Closes it; closing again does nothing. */
  close(): void {
    if (this.open) this.#inner.close();
  }

  #transact<R>(begin: string, body: () => R): R {
    const nested = this.inTransaction;
    const end = nested ? "RELEASE nested" : "COMMIT";
    this.exec(nested ? "SAVEPOINT nested" : begin);
    try {
      const result = body();
      this.exec(end);
      return result;
    } catch (error) {
      // Some errors, a full disk for one, have ended the transaction already.
      if (this.inTransaction) this.exec(nested ? `ROLLBACK TO nested; ${end}` : "ROLLBACK");
      throw error;
    }
  }
}

// The runtime has no option against creating the file, but SQLite reads one from a URI. Everything
// is escaped, slashes too, so that no part of the path can be taken for another part of the URI.
function location(path: string, options: DatabaseOpenOptions): string {
  if (options.memory) return ":memory:";
  if (options.readonly || options.create !== false || path === ":memory:") return path;
  return `file:${encodeURIComponent(path)}?mode=rw`;
}
