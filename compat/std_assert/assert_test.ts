import {
  assert,
  assertEquals,
  AssertionError,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";

function assertDiffer(a: unknown, b: unknown): void {
  assertNotEquals(a, b);
  assertThrows(() => assertEquals(a, b), AssertionError, "Values are not equal");
}

function assertAlike(a: unknown, b: unknown): void {
  assertEquals(a, b);
  assertThrows(() => assertNotEquals(a, b), AssertionError);
}

Deno.test("assert narrows the type of what it is given", () => {
  const value = ["a"].find((text) => text === "a");
  assert(value);
  assertEquals(value.length, 1);
  assertThrows(() => assert(0, "zero is not truthy"), AssertionError, "zero is not truthy");
});

Deno.test("primitives are equal by value, NaN to itself and 0 to -0", () => {
  assertAlike(1, 1);
  assertAlike(NaN, NaN);
  assertAlike(0, -0);
  assertAlike(10n, 10n);
  assertDiffer(1, "1");
  assertDiffer(1, 1n);
  assertDiffer(null, undefined);
  assertDiffer(null, {});
});

Deno.test("objects and arrays are compared all the way down", () => {
  assertAlike({ a: [1, { b: "x" }] }, { a: [1, { b: "x" }] });
  assertAlike({ a: 1, b: 2 }, { b: 2, a: 1 });
  assertDiffer({ a: [1, { b: "x" }] }, { a: [1, { b: "y" }] });
  assertDiffer([1, 2], [2, 1]);
  assertDiffer([], [undefined]);
  assertDiffer([], {});
});

Deno.test("a missing property differs from an undefined one", () => {
  assertDiffer({ a: undefined }, {});
  assertDiffer({ a: undefined }, { b: undefined });
});

Deno.test("an object without a prototype equals a plain one, but not one of a class", () => {
  class Job {
    id = 1;
  }
  assertAlike(Object.assign(Object.create(null), { id: 1 }), { id: 1 });
  assertDiffer(new Job(), { id: 1 });
  assertAlike(new Job(), new Job());
});

Deno.test("bytes, dates, patterns and addresses are compared by what they hold", () => {
  assertAlike(new Uint8Array([1, 2]), new Uint8Array([1, 2]));
  assertDiffer(new Uint8Array([1, 2]), new Uint8Array([1, 3]));
  assertDiffer(new Uint8Array([1, 2]), new Uint8Array([1, 2, 3]));
  assertDiffer(new Uint8Array([1]), [1]);
  assertAlike(new Date(5), new Date(5));
  assertAlike(new Date(NaN), new Date(NaN));
  assertDiffer(new Date(5), new Date(6));
  assertAlike(/a/g, /a/g);
  assertDiffer(/a/g, /a/i);
  assertAlike(new URL("file:///a"), new URL("file:///a"));
  assertDiffer(new URL("file:///a"), new URL("file:///b"));
});

Deno.test("sets and maps are compared whatever their order", () => {
  assertAlike(new Set([1, 2]), new Set([2, 1]));
  assertAlike(new Set([{ a: 1 }, { a: 2 }]), new Set([{ a: 2 }, { a: 1 }]));
  assertDiffer(new Set([1, 2]), new Set([1, 3]));
  assertDiffer(new Set([1]), new Set([1, 2]));
  assertAlike(
    new Map([["a", { x: 1 }], ["b", { x: 2 }]]),
    new Map([["b", { x: 2 }], ["a", { x: 1 }]]),
  );
  assertDiffer(new Map([["a", 1]]), new Map([["a", 2]]));
  assertDiffer(new Map([["a", 1]]), new Map([["b", 1]]));
});

Deno.test("values that hold themselves can be compared", () => {
  const a: Record<string, unknown> = { n: 1 };
  a.self = a;
  const b: Record<string, unknown> = { n: 1 };
  b.self = b;
  assertAlike(a, b);
  b.n = 2;
  assertDiffer(a, b);
});

Deno.test("a failed comparison shows both values and the caller's words", () => {
  const error = assertThrows(
    () => assertEquals({ state: "dead" }, { state: "done" }, "job 7"),
    AssertionError,
  );
  assertStringIncludes(error.message, "dead");
  assertStringIncludes(error.message, "done");
  assertStringIncludes(error.message, "job 7");
});

Deno.test("texts are matched by pattern or by part", () => {
  assertMatch("job 12", /\d+/);
  assertThrows(() => assertMatch("job", /\d+/), AssertionError);
  assertStringIncludes("database is locked", "locked");
  assertThrows(() => assertStringIncludes("database", "locked"), AssertionError);
});

Deno.test("assertThrows returns what was thrown", () => {
  const thrown = new TypeError("no such thing");
  const fn = () => {
    throw thrown;
  };
  assert(assertThrows(fn) === thrown);
  assert(assertThrows(fn, TypeError, "such") === thrown);
  assert(assertThrows(fn, Error) === thrown);
});

Deno.test("assertThrows fails on no error, another class or another message", () => {
  const fn = () => {
    throw new TypeError("no such thing");
  };
  assertThrows(() => assertThrows(() => 1), AssertionError);
  assertThrows(() => assertThrows(fn, RangeError), AssertionError, "RangeError");
  assertThrows(() => assertThrows(fn, TypeError, "other"), AssertionError, "other");
  const throwText = () => {
    throw "text";
  };
  assertThrows(() => assertThrows(throwText, Error), AssertionError);
  assertEquals(assertThrows(throwText), "text");
});

Deno.test("assertRejects returns what the promise was rejected with", async () => {
  const thrown = new TypeError("no such thing");
  assert(await assertRejects(() => Promise.reject(thrown)) === thrown);
  assert(await assertRejects(() => Promise.reject(thrown), TypeError, "such") === thrown);
});

Deno.test("assertRejects fails on no rejection, another error or a plain throw", async () => {
  const fails = (fn: () => Promise<unknown>) => assertRejects(fn, AssertionError);
  await fails(() => assertRejects(() => Promise.resolve(1)));
  await fails(() => assertRejects(() => Promise.reject(new Error("x")), TypeError));
  await fails(() => assertRejects(() => Promise.reject(new Error("x")), Error, "y"));
  await fails(() =>
    assertRejects(() => {
      throw new Error("before the promise");
    })
  );
});
