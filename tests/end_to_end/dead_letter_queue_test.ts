import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Cli } from "../helpers/cli.ts";

async function idsOf(cli: Cli, ...args: string[]): Promise<string[]> {
  return (await cli.json(...args)).map(({ id }: { id: string }) => id);
}

/**
 * A store with dead jobs of these ids, which succeed once there is a file `fixed`, and one that is
 * completed.
 */
async function storeWithDead(...ids: string[]): Promise<Cli> {
  const cli = new Cli();
  const jobs = ids.map((id) => ({ id, command: "[ -e fixed ]", max_retries: 2, backoff_base: 0 }));
  const all = [...jobs, { id: "fine", command: "true" }];
  await cli.run(["enqueue", "@-"], { stdin: JSON.stringify(all) });
  await cli.drain();
  return cli;
}

Deno.test("dlq list shows the dead jobs and no others", async () => {
  await using cli = await storeWithDead("bad1", "bad2");
  assertEquals(await idsOf(cli, "dlq", "list"), ["bad1", "bad2"]);
  const shown = await cli.ok("dlq", "list");
  assertMatch(shown, /bad1 +dead +2\/2/);
  assertEquals(shown.includes("fine"), false);
});

Deno.test("dlq list says that there are no jobs where there are none", async () => {
  await using cli = new Cli();
  const { code, stdout, stderr } = await cli.run(["dlq", "list"]);
  assertEquals([code, stdout, stderr], [0, "", "No jobs\n"]);
  assertEquals(await cli.json("dlq", "list"), []);
});

Deno.test("dlq retry gives a job all its attempts again, keeps its history, and it can succeed", async () => {
  await using cli = await storeWithDead("bad1", "bad2");
  assertEquals(await cli.ok("dlq", "retry", "bad1"), "bad1");
  const pending = await cli.show("bad1");
  assertEquals([pending.state, pending.attempts], ["pending", 0]);
  assertEquals(await idsOf(cli, "dlq", "list"), ["bad2"]);

  cli.write("fixed");
  assertEquals(await cli.drain(), 0);
  const job = await cli.show("bad1");
  assertEquals([job.state, job.attempts], ["completed", 1]);
  assertEquals(job.attempts_history.map(({ attempt, outcome }) => `${attempt} ${outcome}`), [
    "1 failed",
    "2 failed",
    "1 completed",
  ]);
});

Deno.test("dlq retry of a job that fails again brings it back after all its attempts", async () => {
  await using cli = await storeWithDead("bad1");
  await cli.ok("dlq", "retry", "bad1");
  assertEquals(await cli.drain(), 1);
  const job = await cli.show("bad1");
  assertEquals([job.state, job.attempts, job.attempts_history.length], ["dead", 2, 4]);
});

Deno.test("dlq retry --all retries every dead job, and says so when there is none", async () => {
  await using cli = await storeWithDead("bad1", "bad2", "bad3");
  assertEquals(await cli.ok("dlq", "retry", "--all"), "bad1\nbad2\nbad3");
  assertEquals((await cli.json("status")).jobs.pending, 3);
  const { code, stdout, stderr } = await cli.run(["dlq", "retry", "--all"]);
  assertEquals([code, stdout], [0, ""]);
  assertStringIncludes(stderr, "0 jobs");
});

Deno.test("dlq retry takes several ids and prefixes, and retries all of them or none", async () => {
  await using cli = await storeWithDead("bad-one", "bad-two");
  const refused = await cli.run(["dlq", "retry", "bad-one", "fine"]);
  assertEquals([refused.code, refused.stdout], [1, ""]);
  assertEquals(await idsOf(cli, "dlq", "list"), ["bad-one", "bad-two"]);
  assertEquals(await cli.json("dlq", "retry", "bad-o", "bad-t"), { ids: ["bad-one", "bad-two"] });
});

Deno.test("dlq purge deletes the named jobs, and with --all --yes every dead one, but no others", async () => {
  await using cli = await storeWithDead("bad1", "bad2", "bad3");
  assertEquals(await cli.ok("dlq", "purge", "bad2"), "bad2");
  assertEquals(await idsOf(cli, "dlq", "list"), ["bad1", "bad3"]);
  assertEquals(await cli.ok("dlq", "purge", "--all", "--yes"), "bad1\nbad3");
  assertEquals(await idsOf(cli, "list"), ["fine"]);
  assertEquals((await cli.run(["show", "bad1"])).code, 1);
});
