import { assert, assertEquals } from "@std/assert";
import { badRequest, operationFailed, quote, UserError } from "../src/errors.ts";

Deno.test("an error that people can cause carries its exit code and its cause", () => {
  const cause = new Error("the reason behind it");
  const cases: [UserError, number][] = [
    [operationFailed("Cannot do it", cause), 1],
    [badRequest("Cannot do it", cause), 2],
  ];
  for (const [error, exitCode] of cases) {
    assert(error instanceof UserError && error instanceof Error);
    assertEquals(
      { name: error.name, message: error.message, exitCode: error.exitCode, cause: error.cause },
      { name: "UserError", message: "Cannot do it", exitCode, cause },
    );
  }
});

Deno.test("failure 36: a quoted value is one line in which nothing can act on a terminal", () => {
  const cases: [string, string][] = [
    ["job1", '"job1"'],
    ["", '""'],
    ['say "hi"', '"say \\"hi\\""'],
    ["a\nb\tc\r", '"a\\nb\\tc\\r"'],
    ["\x1b[31m", '"\\u001b[31m"'],
    ["\0", '"\\u0000"'],
    ["\x7f\x9b2J", '"\\u007f\\u009b2J"'],
    ["a\u2028b\u2029", '"a\\u2028b\\u2029"'],
    ["\u202egnp.exe\u2066", '"\\u202egnp.exe\\u2066"'],
    ["größe 😀", '"größe 😀"'],
    ["\ud800", '"\\ud800"'],
  ];
  for (const [text, quoted] of cases) assertEquals(quote(text), quoted);
});

Deno.test("a long value is quoted with its beginning and its end", () => {
  const text = "b".repeat(50) + "m".repeat(5000) + "e".repeat(20);
  assertEquals(quote(text), `"${"b".repeat(50)}…${"e".repeat(20)}"`);
  assertEquals(quote("x".repeat(80)), `"${"x".repeat(80)}"`);
});
