import { assertEquals } from "@std/assert";
import { Cli } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

const PARALLEL = 50;

Deno.test("failure 32: of 50 parallel enqueues with one id, and no store yet, one adds a job and 49 say why not", async () => {
  await using cli = new Cli();
  const results = await Promise.all(
    Array.from({ length: PARALLEL }, (_, i) => cli.run(["enqueue", "--id", "same", `echo ${i}`])),
  );
  const added = results.filter(({ code, stdout }) => code === 0 && stdout === "same\n");
  assertEquals(added.length, 1);
  const refused = results.filter((result) => !added.includes(result));
  for (const { code, stdout, stderr } of refused) {
    assertEquals([code, stdout], [1, ""]);
    assertEquals(stderr, 'Cannot enqueue job "same": a job with this id exists\n');
  }
  await assertSound(cli, ["same"]);
});
