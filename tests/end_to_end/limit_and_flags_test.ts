import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Cli, lives, waitUntil } from "../helpers/cli.ts";

async function enqueueMany(cli: Cli, count: number, command: string) {
  const jobs = Array.from({ length: count }, () => ({ command }));
  const { code } = await cli.run(["enqueue", "@-"], { stdin: JSON.stringify(jobs) });
  assertEquals(code, 0);
}

Deno.test("worker -l ends after so many attempts, failed ones counted", async () => {
  await using cli = new Cli();
  await enqueueMany(cli, 4, "true");
  await enqueueMany(cli, 4, "false");
  const { code } = await cli.run(["worker", "-l", "5"]);
  assertEquals(code, 0);
  const { jobs } = await cli.json("status");
  assertEquals([jobs.completed, jobs.failed, jobs.pending], [4, 1, 3]);
});

Deno.test("worker start --limit counts for each of its executors", async () => {
  await using cli = new Cli();
  await enqueueMany(cli, 10, "true");
  await cli.ok("worker", "start", "--count", "2", "--limit", "3");
  assertEquals((await cli.json("status")).jobs.completed, 6);
});

Deno.test("worker start runs as many jobs at a time as --count says", async () => {
  await using cli = new Cli();
  const together = "echo x >> here; until [ $(wc -l < here) -ge 3 ]; do sleep 0.02; done";
  await enqueueMany(cli, 3, together);
  assertEquals(await cli.drain("-c", "3"), 0);
});

Deno.test("worker start prints one line an event on stderr, and nothing on stdout", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "good", "echo printed");
  await cli.ok("enqueue", "--id", "bad", "--max-retries", "2", "--backoff-base", "0.1", "exit 6");
  const { code, stdout, stderr } = await cli.run(["worker", "start", "--drain"]);
  assertEquals([code, stdout], [1, ""]);
  const events = stderr.trimEnd().split("\n").map((line) => line.replace(/^\d\d:\d\d:\d\d /, ""));
  const expected = [
    /^started .*pid \d+/,
    /^claimed +good attempt 1: echo printed$/,
    /^completed +good attempt 1 in /,
    /^claimed +bad attempt 1: exit 6$/,
    /^failed +bad attempt 1: exit code 6; next attempt in \d[\d.]* m?s$/,
    /^claimed +bad attempt 2/,
    /^dead +bad attempt 2: exit code 6/,
    /^stopped /,
  ];
  assertEquals(events.length, expected.length, stderr);
  expected.forEach((pattern, i) => assertMatch(events[i]!, pattern));
});

Deno.test("worker -v -c 3 -s 1 adds each job's output behind its id", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "talking", "echo one; echo two >&2; printf '\\033[2J'");
  const worker = cli.spawn(["worker", "-v", "-c", "3", "-s", "1"]);
  await waitUntil(() => worker.stderr.includes("completed"), "the end of the job");
  worker.signal("SIGTERM");
  const { code, stderr } = await worker.result;
  assertEquals(code, 0);
  assertStringIncludes(stderr, "3 executors");
  assertMatch(stderr, /^talking \| one$/m);
  assertMatch(stderr, /^talking \| two$/m);
  assert(!stderr.includes("\x1b"), "no escape sequence reaches the terminal");
});

Deno.test("worker -q prints nothing", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "quiet", "echo x; exit 1");
  const worker = cli.spawn(["worker", "-q", "-l", "1"]);
  const { code, stdout, stderr } = await worker.result;
  assertEquals([code, stdout, stderr], [0, "", ""]);
  assertEquals((await cli.show("quiet")).state, "failed");
});

Deno.test("worker start --json prints events as JSON lines on stdout, and nothing on stderr", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "good", "true");
  await cli.ok("enqueue", "--id", "bad", "--max-retries", "2", "--backoff-base", "0.1", "exit 6");
  const worker = cli.spawn(["worker", "start", "--drain", "--json"]);
  const { code, stderr } = await worker.result;
  assertEquals([code, stderr], [1, ""]);
  const names = worker.events.map(({ event }) => event);
  assertEquals(names, [
    ...["started", "claimed", "completed", "claimed", "failed", "claimed", "dead", "stopped"],
  ]);
  for (const { at } of worker.events) assertEquals(new Date(at).toISOString(), at);
  const failed = await worker.event("failed");
  assertEquals([failed.job, failed.attempt, failed.error], ["bad", 1, "Exit code 6"]);
  assert(Number(failed.retry_in_ms) > 0 && Number(failed.retry_in_ms) <= 100);
});

Deno.test("failure 37: worker start --detach prints the pid of a worker that goes on in the background, with a private log", async () => {
  await using cli = new Cli();
  const pid = Number(await cli.ok("worker", "start", "--detach", "--count", "2"));
  assert(lives(pid));
  const [worker] = await cli.json("worker", "list");
  assertEquals([worker.pid, worker.count], [pid, 2]);

  await cli.ok("enqueue", "--id", "behind", "echo x > ran");
  await cli.linesOnce("ran", 1);
  assertEquals(await cli.ok("worker", "stop"), "Stopped 1 of 1 worker processes");
  await waitUntil(() => !lives(pid), "the end of the worker");
  const log = `${cli.db}.worker.log`;
  assertEquals(Deno.statSync(log).mode! & 0o777, 0o600);
  assertMatch(Deno.readTextFileSync(log), /started[^]*completed +behind[^]*stopped/);
});

Deno.test("worker start takes its options with and without the word start", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "true");
  await cli.ok("worker", "--drain", "--poll", "50ms");
  assertEquals((await cli.json("status")).jobs.completed, 1);
});
