import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Cli, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

const WAITING = "echo x >> started; until [ -e go ]; do sleep 0.02; done";

Deno.test("failure 10: worker stop reaches every worker process and returns when they have stopped", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "running", WAITING);
  const workers = [await cli.startWorker("--poll", "1h"), await cli.startWorker("--poll", "1h")];
  await cli.linesOnce("started", 1);
  const stop = cli.spawn(["worker", "stop"]);
  // The idle one stops, the busy one waits for its job, and so does the command.
  await Promise.race(workers.map(({ result }) => result));
  await Promise.all(workers.map((worker) => worker.event("stopping")));
  assert(!stop.ended);
  await cli.ok("enqueue", "--id", "next", "true");
  cli.write("go");
  const { code, stdout } = await stop.result;
  assertEquals([code, stdout], [0, "Stopped 2 of 2 worker processes\n"]);
  for (const { result } of workers) assertEquals((await result).code, 0);
  const job = await cli.show("running");
  assertEquals([job.state, job.attempts], ["completed", 1]);
  const next = await cli.show("next");
  assertEquals([next.state, next.attempts_history], ["pending", []]);
  await assertSound(cli, ["running", "next"]);
});

Deno.test("failure 11: worker stop --force ends running jobs, which go back to pending", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "running", WAITING);
  const worker = await cli.startWorker();
  await cli.linesOnce("started", 1);
  const before = performance.now();
  await cli.ok("worker", "stop", "--force");
  const took = performance.now() - before;
  assert(took < 4000, `took ${took} ms`);
  assertEquals((await worker.result).code, 0);
  const job = await cli.show("running");
  assertEquals([job.state, job.attempts], ["pending", 0]);
  assertEquals(job.attempts_history[0]!.outcome, "interrupted");
});

Deno.test("worker stop --force also ends what worker stop still waits for", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "running", WAITING);
  const worker = await cli.startWorker();
  await cli.linesOnce("started", 1);
  const stop = cli.spawn(["worker", "stop"]);
  await worker.event("stopping");
  await cli.ok("worker", "stop", "--force");
  assertEquals((await stop.result).code, 0);
  assertEquals((await worker.result).code, 0);
  assertEquals((await cli.show("running")).state, "pending");
});

Deno.test("worker stop --timeout gives up with exit code 1 and leaves the job running", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "running", WAITING);
  const worker = await cli.startWorker();
  await cli.linesOnce("started", 1);
  const { code, stdout, stderr } = await cli.run(["worker", "stop", "--timeout", "300ms"]);
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /^[^\n]*"300ms"[^\n]*1 of 1[^\n]*\n$/);
  assert(!worker.ended);
  cli.write("go");
  assertEquals((await worker.result).code, 0);
  assertEquals((await cli.show("running")).state, "completed");
});

Deno.test("worker --stop is another way to say worker stop", async () => {
  await using cli = new Cli();
  const worker = await cli.startWorker();
  assertEquals(await cli.ok("worker", "--stop"), "Stopped 1 of 1 worker processes");
  assertEquals((await worker.result).code, 0);
});

Deno.test("worker stop says that no worker is running, and succeeds", async () => {
  await using cli = new Cli();
  assertEquals(await cli.ok("worker", "stop"), "No worker is running");
  assertEquals(await cli.ok("worker", "--stop"), "No worker is running");
  assertEquals(await cli.json("worker", "stop"), { stopped: [] });
});

Deno.test("worker stop does not wait for a worker that was killed", async () => {
  await using cli = new Cli();
  const worker = await cli.startWorker();
  worker.signal("SIGKILL");
  await worker.result;
  assertEquals(await cli.ok("worker", "stop"), "No worker is running");
});

Deno.test("worker stop does not stop workers that are started later", async () => {
  await using cli = new Cli();
  const first = await cli.startWorker();
  await cli.ok("worker", "stop");
  await first.result;
  await cli.startWorker();
  await cli.ok("enqueue", "echo x >> ran");
  await cli.linesOnce("ran", 1);
});

Deno.test("worker list shows the live worker processes and what they run", async () => {
  await using cli = new Cli();
  assertEquals(await cli.ok("worker", "list"), "No worker is running");
  await cli.ok("enqueue", "--id", "running", WAITING);
  const worker = await cli.startWorker("--count", "3");
  await cli.linesOnce("started", 1);
  const [listed, ...others] = await cli.json("worker", "list");
  assertEquals(others, []);
  assertEquals([listed.pid, listed.count, listed.running], [worker.pid, 3, ["running"]]);
  assertStringIncludes(await cli.ok("worker", "list"), String(worker.pid));
  worker.signal("SIGKILL");
  await worker.result;
  await waitUntil(async () => (await cli.json("worker", "list")).length === 0, "no worker");
});
