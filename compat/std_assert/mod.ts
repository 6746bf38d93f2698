/** The assertions of `jsr:@std/assert` that the tests use. */

import { equal } from "./equal.ts";

/** What every assertion here throws when it does not hold. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

// deno-lint-ignore no-explicit-any -- any class may be expected, whatever it is made from
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

/** Fails unless `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Fails unless the two are alike all the way down. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  fail(`Values are not equal\n    actual: ${show(actual)}\n  expected: ${show(expected)}`, msg);
}

/** Fails if the two are alike all the way down. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) fail(`Expected a value other than ${show(actual)}`, msg);
}

/** Fails unless `actual` matches the pattern. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) fail(`Expected ${show(actual)} to match ${expected}`, msg);
}

/** Fails unless `actual` holds `expected` somewhere. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (!actual.includes(expected)) fail(`Expected ${show(actual)} to hold ${show(expected)}`, msg);
}

/** Fails unless `fn` throws, given a class that kind of error; returns what was thrown. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  classOrMsg?: ErrorClass<Error> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const thrown = caught(fn);
  return judge(thrown, "throw", classOrMsg, msgIncludes, msg);
}

/** As assertThrows for the promise of `fn`; it fails too if `fn` throws before it returns one. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: ErrorClass<Error> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const promise = promiseOf(fn);
  const thrown = await promise.then(() => undefined, (error) => ({ error }));
  return judge(thrown, "reject", classOrMsg, msgIncludes, msg);
}

// A box tells "threw undefined" from "threw nothing".
type Thrown = { error: unknown } | undefined;

function caught(fn: () => unknown): Thrown {
  try {
    fn();
  } catch (error) {
    return { error };
  }
}

function promiseOf(fn: () => PromiseLike<unknown>): PromiseLike<unknown> {
  try {
    const promise = fn();
    if (typeof promise?.then === "function") return promise;
  } catch (error) {
    fail(`Function throws when expected to reject: ${error}`);
  }
  fail("Expected function to return a promise");
}

function judge(
  thrown: Thrown,
  verb: string,
  classOrMsg: ErrorClass<Error> | string | undefined,
  msgIncludes: string | undefined,
  msg: string | undefined,
): unknown {
  if (typeof classOrMsg !== "function") {
    if (!thrown) fail(`Expected function to ${verb}`, classOrMsg);
    return thrown.error;
  }
  if (!thrown) fail(`Expected function to ${verb}`, msg);
  const { error } = thrown;
  if (!(error instanceof Error)) fail(`A non-Error object was thrown: ${show(error)}`, msg);
  const ofClass: boolean = error instanceof classOrMsg;
  if (!ofClass) fail(`Expected an error of class ${classOrMsg.name}, but got ${error}`, msg);
  if (msgIncludes && !error.message.includes(msgIncludes)) {
    fail(
      `Expected error message to hold ${show(msgIncludes)}, but was ${show(error.message)}`,
      msg,
    );
  }
  return error;
}

function fail(what: string, msg?: string): never {
  throw new AssertionError(msg ? `${what}: ${msg}` : what);
}

// Everything is shown in full: an elided part may be the one that differs.
function show(value: unknown): string {
  return Deno.inspect(value, {
    depth: Infinity,
    iterableLimit: Infinity,
    strAbbreviateSize: Infinity,
    sorted: true,
  });
}
