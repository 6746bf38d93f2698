import { assertEquals, assertNotEquals } from "@std/assert";
import { Cli } from "../helpers/cli.ts";

Deno.test("an enqueue that fails makes no store", async () => {
  await using cli = new Cli();
  cli.write("bad.json", "{ nonsense");
  for (const word of ["", '{"id":1}', "@missing.json", "@bad.json", '@[{"command":""}]']) {
    assertNotEquals((await cli.run(["enqueue", word])).code, 0, word);
  }
  assertEquals([...Deno.readDirSync(cli.folder)].map(({ name }) => name), ["bad.json"]);
});

Deno.test("the words of a command stay in their order, whatever they look like", async () => {
  await using cli = new Cli();
  assertEquals((await cli.run(["enqueue", "git", "config", "set", "-1", "last"])).code, 2);
  await cli.ok("enqueue", "--id", "git", "--", "git", "config", "set", "-1", "last");
  assertEquals((await cli.show("git")).command, "git config set -1 last");
});

Deno.test("failure 36: what a person typed wrong comes back without acting on the terminal", async () => {
  await using cli = new Cli();
  for (const args of [["\x1b[31mx"], ["list", "--\x1b[31mfoo"], ["enqueue", '{"a": \x1b[31m}']]) {
    const { code, stderr } = await cli.run(args);
    assertEquals([code, stderr.includes("\x1b")], [2, false], stderr);
  }
});
