import { assertEquals, assertThrows } from "@std/assert";
import { basename, dirname, fromFileUrl, isAbsolute, join, resolve } from "@std/path";

Deno.test("join puts one slash between the parts and tidies the result", () => {
  assertEquals(join("/a", "b", "c.ts"), "/a/b/c.ts");
  assertEquals(join("/a/", "/b//", "./c", "../d"), "/a/b/d");
  assertEquals(join("a", "", "b"), "a/b");
  assertEquals(join("a b", "ü"), "a b/ü");
  assertEquals(join(new URL("file:///a%20b"), "c"), "/a b/c");
});

Deno.test("join keeps a trailing slash and is never empty", () => {
  assertEquals(join("/a", "b/"), "/a/b/");
  assertEquals(join("/"), "/");
  assertEquals(join(""), ".");
  assertEquals(join("a", ".."), ".");
  assertEquals(join("a", "../"), "./");
});

Deno.test("join climbs above a relative path but not above the root", () => {
  assertEquals(join("a", "../../b"), "../b");
  assertEquals(join("..", "..", "a"), "../../a");
  assertEquals(join("/a", "../../b"), "/b");
});

Deno.test("resolve goes by the last absolute part, or by the directory", () => {
  assertEquals(resolve("/a", "b"), "/a/b");
  assertEquals(resolve("/a", "/b", "c/"), "/b/c");
  assertEquals(resolve("/a/b", "../c"), "/a/c");
  assertEquals(resolve("/", ".."), "/");
  assertEquals(resolve("a"), join(Deno.cwd(), "a"));
  assertEquals(resolve(), Deno.cwd());
  assertEquals(resolve(""), Deno.cwd());
});

Deno.test("a path is absolute when it begins with a slash", () => {
  assertEquals(isAbsolute("/a"), true);
  assertEquals(isAbsolute("a"), false);
  assertEquals(isAbsolute("./a"), false);
  assertEquals(isAbsolute(""), false);
});

Deno.test("dirname drops the last part", () => {
  assertEquals(dirname("/a/b/c.ts"), "/a/b");
  assertEquals(dirname("/a/b/"), "/a");
  assertEquals(dirname("a//b"), "a");
  assertEquals(dirname("/a"), "/");
  assertEquals(dirname("/"), "/");
  assertEquals(dirname("a"), ".");
  assertEquals(dirname(""), ".");
  assertEquals(dirname(new URL("file:///a/b%20c/d")), "/a/b c");
});

Deno.test("basename keeps the last part, less the suffix", () => {
  assertEquals(basename("/a/b/c.ts"), "c.ts");
  assertEquals(basename("/a/b/c.ts", ".ts"), "c");
  assertEquals(basename("/a/.ts", ".ts"), ".ts");
  assertEquals(basename("/a/c.ts", ".js"), "c.ts");
  assertEquals(basename("/a/b/"), "b");
  assertEquals(basename("/"), "/");
  assertEquals(basename(""), "");
  assertEquals(basename(new URL("file:///a/b%20c")), "b c");
});

Deno.test("fromFileUrl decodes the path and leaves a lone percent sign", () => {
  assertEquals(fromFileUrl("file:///a/b%20c"), "/a/b c");
  assertEquals(fromFileUrl(new URL("file:///a/%C3%BC.db")), "/a/ü.db");
  assertEquals(fromFileUrl("file:///100%"), "/100%");
  assertEquals(fromFileUrl(new URL("./x?y#z", "file:///a/")), "/a/x");
});

Deno.test("fromFileUrl takes nothing but file URLs", () => {
  assertThrows(() => fromFileUrl("https://example.org/a"), TypeError, "must be a file URL");
  assertThrows(() => fromFileUrl("/a/b"), TypeError);
});
