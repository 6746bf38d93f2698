import { assert, assertEquals } from "@std/assert";
import { Cli, commandLine, forShell, type ShownJob, waitUntil } from "../helpers/cli.ts";
import { between, seeded } from "../helpers/random.ts";
import { assertSound } from "../helpers/sound.ts";

const ROUNDS = 8;
const BATCH = 50;
const ID_LENGTH = 12;

Deno.test("failure 26: every id that an enqueue printed before it was killed is there afterwards", async () => {
  await using cli = new Cli();
  const random = seeded(26);
  await cli.ok("config", "set", "max_retries", "1"); // makes the store
  const jobs = Array.from({ length: BATCH }, () => '{"command":"true"}\n').join("");
  cli.write("jobs.jsonl", jobs);
  const queuectl = forShell(commandLine());
  const loop = `while :; do
    ${queuectl} enqueue true >> printed || exit
    ${queuectl} enqueue @jobs.jsonl >> printed || exit
  done`;
  for (let round = 0; round < ROUNDS; round++) {
    const before = cli.lines("printed").length;
    const child = cli.spawnProgram("sh", ["-c", loop]);
    await waitUntil(() => cli.lines("printed").length > before, "the first id of a round");
    await new Promise((resolve) => setTimeout(resolve, between(random, 0, 400)));
    assert(!child.ended, child.stderr);
    Deno.kill(-child.pid, "SIGKILL"); // the loop and the enqueue of this moment
    await child.result;
  }

  // The last line of a round may have been cut in the middle, and the next round goes on behind it.
  const whole = Deno.readTextFileSync(cli.path("printed")).split("\n")
    .filter((line) => line.length === ID_LENGTH);
  const there = (await cli.json("list", "--limit", "0") as ShownJob[]).map(({ id }) => id);
  const ids = new Set(there);
  assert(whole.length >= ROUNDS);
  assertEquals(whole.filter((id) => !ids.has(id)), []);
  assertEquals(there.length, ids.size);
  await assertSound(cli);
});
