import type { SQLOutputValue, StatementSync } from "node:sqlite";

/** What a parameter may be: undefined binds NULL, a boolean 0 or 1, a Date its ISO text. */
export type BindValue = number | string | bigint | boolean | null | undefined | Date | Uint8Array;

/** The parameters in order, or by name (":id", "@id", "$id", or bare "id"). */
export type BindParameters = BindValue[] | Record<string, BindValue>;

/** What the methods of a statement take: the parameters one by one, or all in one value. */
export type RestBindParameters = BindValue[] | [BindParameters];

// What the types of the runtime do not tell of yet.
type ArrayStatement = StatementSync & { setReturnArrays(on: boolean): void };

// What node:sqlite binds.
type Input = number | string | bigint | null | Uint8Array;

// deno-lint-ignore no-explicit-any -- the caller knows the columns; SQL tells the compiler nothing
type AnyRow = Record<string, any>;
// deno-lint-ignore no-explicit-any -- as above
type AnyValues = any[];

/** A prepared statement. Parameters that are not given are NULL, never left from the last call. */
export class Statement<TRow extends object = AnyRow> {
  #inner: StatementSync;
  #names: string[] | undefined;

  constructor(inner: StatementSync) {
    // Rows are built here from arrays: that is quicker than the prototype-less objects of node.
    (inner as ArrayStatement).setReturnArrays(true);
    // Without this an integer beyond 2^53 is an error, thrown after the statement took effect.
    inner.setReadBigInts(true);
    this.#inner = inner;
  }

  /** Runs it, passing over any rows; returns how many the last INSERT, UPDATE or DELETE changed. */
  run(...params: RestBindParameters): number {
    return Number(this.#inner.run(...bindable(params)).changes);
  }

  /** Returns the first row as an object, undefined if there is none. */
  get<T extends object = TRow>(...params: RestBindParameters): T | undefined {
    const row = this.#inner.get(...bindable(params));
    return row && this.#toObject(row as unknown as SQLOutputValue[]) as T;
  }

  /** Returns every row as an object. */
  all<T extends object = TRow>(...params: RestBindParameters): T[] {
    const rows = this.#inner.all(...bindable(params)) as unknown[];
    for (let i = 0; i < rows.length; i++) rows[i] = this.#toObject(rows[i] as SQLOutputValue[]);
    return rows as T[];
  }

  /** Returns the first row as an array of its columns, undefined if there is none. */
  value<T extends unknown[] = AnyValues>(...params: RestBindParameters): T | undefined {
    const row = this.#inner.get(...bindable(params)) as unknown as SQLOutputValue[] | undefined;
    return row && toValues(row) as T;
  }

  /** Returns every row as an array of its columns. */
  values<T extends unknown[] = AnyValues>(...params: RestBindParameters): T[] {
    const rows = this.#inner.all(...bindable(params)) as unknown as SQLOutputValue[][];
    return rows.map(toValues) as T[];
  }

  /** Yields the rows as objects, reading on only as they are asked for. */
  *iter<T extends object = TRow>(...params: RestBindParameters): IterableIterator<T> {
    for (const row of this.#inner.iterate(...bindable(params))) {
      yield this.#toObject(row as unknown as SQLOutputValue[]) as T;
    }
  }

  /** Says that the caller is done with it; the memory is freed with this object or the database. */
  finalize(): void {}

  // The names are read once: asking for them costs as much as reading a row.
  #toObject(row: SQLOutputValue[]): object {
    const names = this.#names ??= this.#inner.columns().map((column) => column.name);
    const object: AnyRow = {};
    for (let i = 0; i < names.length; i++) object[names[i]!] = toValue(row[i]!);
    return object;
  }
}

function toValues(row: SQLOutputValue[]): SQLOutputValue[] {
  for (let i = 0; i < row.length; i++) row[i] = toValue(row[i]!);
  return row;
}

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

function toValue(value: SQLOutputValue): SQLOutputValue {
  if (typeof value !== "bigint" || value > MAX_SAFE || value < -MAX_SAFE) return value;
  return Number(value);
}

// The array of positional parameters is our own (a rest parameter), so it is changed in place.
function bindable(params: RestBindParameters): Input[] {
  const first = params[0];
  if (Array.isArray(first)) return first.map(toInput);
  if (isNamed(first)) return [namedInputs(first) as unknown as Input];
  for (let i = 0; i < params.length; i++) params[i] = toInput(params[i] as BindValue);
  return params as Input[];
}

function isNamed(first: BindValue | BindParameters): first is Record<string, BindValue> {
  return typeof first === "object" && first !== null &&
    !(first instanceof Uint8Array) && !(first instanceof Date);
}

function namedInputs(params: Record<string, BindValue>): Record<string, Input> {
  const inputs: Record<string, Input> = {};
  for (const name in params) inputs[name] = toInput(params[name]);
  return inputs;
}

// node:sqlite binds every number as REAL, which shows in text, JSON and division; a bigint it binds
// as INTEGER.
function toInput(value: BindValue): Input {
  switch (typeof value) {
    case "number":
      return Number.isInteger(value) && Math.abs(value) < 2 ** 63 ? BigInt(value) : value;
    case "boolean":
      return value ? 1n : 0n;
    case "undefined":
      return null;
    default:
      return value instanceof Date ? value.toISOString() : value;
  }
}
