import { Database, type Statement } from "@db/sqlite";

/** A database of which one statement can be made to fail. */
export class FaultyDatabase extends Database {
  #left = Infinity;
  #error: unknown;

  /** Lets the statement after the next `statements` ones throw `error` instead of doing anything. */
  failAfter(statements: number, error: unknown) {
    this.#left = statements;
    this.#error = error;
  }

  /** Calls it off. */
  failNoMore() {
    this.#left = Infinity;
  }

  override exec(sql: string) {
    // What ends a failed transaction does not fail, nor does a pragma that only sets something.
    if (/^(BEGIN|COMMIT)/i.test(sql)) this.#mayFail();
    super.exec(sql);
  }

  // deno-lint-ignore no-explicit-any -- as the class declares it
  override prepare<T extends object = Record<string, any>>(sql: string): Statement<T> {
    return new FaultyStatement(super.prepare<T>(sql), () => this.#mayFail()) as
      & FaultyStatement
      & Statement<T>;
  }

  /** A statement that never fails, for those who only look on. */
  prepareSafely(sql: string): Statement {
    return super.prepare(sql);
  }

  #mayFail() {
    if (this.#left-- > 0) return;
    this.failNoMore();
    throw this.#error;
  }
}

type Params = Parameters<Statement["run"]>;

class FaultyStatement {
  readonly #statement: Statement;
  readonly #mayFail: () => void;

  constructor(statement: Statement, mayFail: () => void) {
    this.#statement = statement;
    this.#mayFail = mayFail;
  }

  run(...params: Params) {
    this.#mayFail();
    return this.#statement.run(...params);
  }

  get(...params: Params) {
    this.#mayFail();
    return this.#statement.get(...params);
  }

  all(...params: Params) {
    this.#mayFail();
    return this.#statement.all(...params);
  }

  values(...params: Params) {
    this.#mayFail();
    return this.#statement.values(...params);
  }

  finalize() {
    this.#statement.finalize();
  }
}
