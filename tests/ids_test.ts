import { assert, assertEquals, assertMatch } from "@std/assert";
import { isName, newId } from "../src/ids.ts";

Deno.test("a new id is 12 characters of 0-9 and a-z without i, l, o, u", () => {
  for (let i = 0; i < 1000; i++) assertMatch(newId(), /^[0-9a-hjkmnp-tv-z]{12}$/);
});

Deno.test("a new id is as long as it is asked to be", () => {
  for (const length of [1, 8, 20]) assertEquals(newId(length).length, length);
});

Deno.test("new ids do not repeat, and use every letter of the alphabet", () => {
  const ids = Array.from({ length: 10_000 }, () => newId());
  assertEquals(new Set(ids).size, ids.length);
  assertEquals(new Set(ids.join("")).size, 32);
});

Deno.test("a generated id is a name", () => {
  for (let i = 0; i < 100; i++) assert(isName(newId()));
});

Deno.test("a name is 1 to 64 of letters, digits, dot, underscore, colon and dash, no dash first", () => {
  const good = ["a", "Z", "0", ".", "_", ":", "job1", "a-b", "a.b_c:d-e", "a-", "x".repeat(64)];
  const bad = ["", "-", "-a", "x".repeat(65), "a b", " a", "a ", "a/b", "é", "a\n", "a\0", "a'b"];
  bad.push("{", "~", "😀", "a\tb", "a=b", "\u202ea");
  assertEquals(good.filter(isName), good);
  assertEquals(bad.filter(isName), []);
});
