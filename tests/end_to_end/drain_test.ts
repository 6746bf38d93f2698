import { assert, assertEquals } from "@std/assert";
import { Cli, commandLine, forShell } from "../helpers/cli.ts";

Deno.test("worker start --drain ends at once with 0 where there is nothing to do", async () => {
  await using cli = new Cli();
  assertEquals(await cli.drain(), 0);
  assertEquals(await cli.drain("--poll", "1h"), 0);
});

Deno.test("worker start --drain runs every job and then ends with 0", async () => {
  await using cli = new Cli();
  const jobs = Array.from({ length: 50 }, (_, i) => ({ command: `echo ${i} >> ran` }));
  await cli.run(["enqueue", "@-"], { stdin: JSON.stringify(jobs) });
  assertEquals(await cli.drain("--count", "4", "--poll", "1h"), 0);
  assertEquals(new Set(cli.lines("ran")).size, 50);
  assertEquals(cli.lines("ran").length, 50);
  assertEquals((await cli.json("status")).jobs.completed, 50);
});

Deno.test("worker start --drain waits for retries, and ends with 0 if they succeed", async () => {
  await using cli = new Cli();
  const flaky = "echo try >> tries; [ $(wc -l < tries) -eq 3 ]";
  await cli.ok("config", "set", "backoff_max", "0.3");
  await cli.ok("enqueue", "--id", "flaky", flaky);
  assertEquals(await cli.drain(), 0);
  assertEquals((await cli.show("flaky")).state, "completed");
});

Deno.test("worker start --drain ends with 1 if a job died, after the others have run", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "dying", "--max-retries", "2", "--backoff-base", "0", "false");
  await cli.ok("enqueue", "--id", "fine", "true");
  assertEquals(await cli.drain(), 1);
  assertEquals((await cli.show("dying")).state, "dead");
  assertEquals((await cli.show("fine")).state, "completed");
  assertEquals(await cli.drain(), 0, "what was dead before does not count");
});

Deno.test("worker start --drain waits for a job that another worker process runs", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "slow", "echo x > started; until [ -e go ]; do sleep 0.02; done");
  await cli.startWorker();
  await cli.linesOnce("started", 1);
  const draining = await cli.startWorker("--drain");
  await cli.ok("enqueue", "--id", "quick", "true");
  await draining.event("completed", "quick");
  assert(!draining.ended);
  cli.write("go");
  assertEquals((await draining.result).code, 0);
  assertEquals((await cli.show("slow")).state, "completed");
});

Deno.test("worker start --drain runs what its jobs enqueue", async () => {
  await using cli = new Cli();
  const queuectl = forShell(commandLine());
  await cli.ok("enqueue", "--id", "parent", `${queuectl} enqueue --id child 'echo child > ran'`);
  assertEquals(await cli.drain(), 0);
  assertEquals(cli.lines("ran"), ["child"]);
});
