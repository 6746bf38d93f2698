import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Cli, hasTerminals, waitUntil } from "../helpers/cli.ts";

const NOTE = "echo $QUEUECTL_JOB_ID >> ran";
/** Notes that it has started, and runs until there is a file `go`. */
const WAITING = "echo x >> started; until [ -e go ]; do sleep 0.02; done";

/** Enqueues jobs that note their ids, `count` of each queue, one queue after the other. */
async function fill(cli: Cli, queues: string[], count: number, said: object = {}) {
  const jobs = queues.flatMap((queue) =>
    Array.from({ length: count }, (_, i) => ({ id: `${queue}${i}`, queue, command: NOTE, ...said }))
  );
  const { code, stderr } = await cli.run(["enqueue", "@-"], { stdin: JSON.stringify(jobs) });
  assertEquals(code, 0, stderr);
}

function numbered(queue: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${queue}${i}`);
}

async function stateOf(cli: Cli, id: string): Promise<string> {
  return (await cli.show(id)).state;
}

Deno.test("two queues of equal priority take turns, each in its own order", async () => {
  await using cli = new Cli();
  await fill(cli, ["a", "b"], 10);
  assertEquals(await cli.drain(), 0);
  const turns = numbered("a", 10).flatMap((id, i) => [id, `b${i}`]);
  assertEquals(cli.lines("ran"), turns);
});

Deno.test("three queues take turns, and one that is new or comes back does not wait for the long one", async () => {
  await using cli = new Cli();
  await fill(cli, ["long"], 30);
  await fill(cli, ["other", "short"], 2);
  assertEquals(await cli.drain(), 0);
  assertEquals(
    cli.lines("ran").slice(0, 7),
    ["long0", "other0", "short0", "long1", "other1", "short1", "long2"],
  );
});

Deno.test("a job of higher priority comes before the jobs of other queues whose turn it would be", async () => {
  await using cli = new Cli();
  await fill(cli, ["a"], 3);
  await fill(cli, ["b"], 3, { priority: 1 });
  assertEquals(await cli.drain(), 0);
  assertEquals(cli.lines("ran"), [...numbered("b", 3), ...numbered("a", 3)]);
});

for (const flags of ["--queue b,a", "--queue b --queue a"]) {
  Deno.test(`worker start ${flags} takes all of b first, whatever the priorities, and nothing of c`, async () => {
    await using cli = new Cli();
    await fill(cli, ["a"], 5, { priority: 9 });
    await fill(cli, ["b", "c"], 5);
    assertEquals(await cli.drain(...flags.split(" ")), 0);
    assertEquals(cli.lines("ran"), [...numbered("b", 5), ...numbered("a", 5)]);
    assertEquals((await cli.json("list", "--queue", "c", "--state", "pending")).length, 5);
  });
}

Deno.test("worker start --queue a never takes a job of b, and show says that no worker does", async () => {
  await using cli = new Cli();
  await fill(cli, ["b"], 1);
  const worker = await cli.startWorker("--queue", "a", "--count", "3");
  assertEquals((await cli.show("b0")).waits_for, "no worker serves queue b");
  await fill(cli, ["a"], 20);
  await worker.event("completed", "a19");
  const b = await cli.show("b0");
  assertEquals([b.state, b.attempts], ["pending", 0]);
  await cli.startWorker("--queue", "b");
  await waitUntil(async () => await stateOf(cli, "b0") === "completed", "b to run");
  assertEquals(worker.events.filter(({ job }) => job?.startsWith("b")), []);
});

Deno.test("a queue that is named twice is served once: each of its jobs has one attempt", async () => {
  await using cli = new Cli();
  await fill(cli, ["a"], 1);
  assertEquals(await cli.drain("--queue", "a,a", "--queue", "a", "--count", "4"), 0);
  assertEquals(cli.lines("ran"), ["a0"]);
  assertEquals((await cli.show("a0")).attempts_history.length, 1);
});

for (const names of ["a,", ",", "a b", " ", "-a", "a\nb"]) {
  Deno.test(`worker start --queue ${JSON.stringify(names)} is refused`, async () => {
    await using cli = new Cli();
    const { code, stdout, stderr } = await cli.run([
      "worker",
      "start",
      "--drain",
      "--queue",
      names,
    ]);
    assertEquals([code, stdout], [2, ""]);
    assertMatch(stderr, /^Cannot use --queue ".*": expected 1 to 64 letters.*\n$/);
  });
}

Deno.test("a paused queue says so, with the reason, wherever somebody may wonder", async () => {
  await using cli = new Cli();
  const reason = "no deployments before \x1b[31mMonday";
  const shown = "queue paused: no deployments before \\e[31mMonday";
  const said = await cli.ok("queue", "pause", "deploy", "--reason", reason);
  assertStringIncludes(said, `deploy: ${shown}`);

  const enqueue = ["enqueue", "--id", "first", "--queue", "deploy", "true"];
  const { code, stdout, stderr } = await cli.run(enqueue);
  assertEquals([code, stdout], [0, "first\n"]);
  assertStringIncludes(stderr, "deploy");
  assertStringIncludes(stderr, shown);
  assertEquals(stderr.split("\n").length, 2, "one line");
  const other = await cli.run(["enqueue", "--id", "other", "--queue", "open", "true"]);
  assertEquals(other.stderr, "");

  const row = (text: string, word: string) =>
    text.split("\n").find((line) => line.includes(word)) ?? "";
  assertStringIncludes(row(await cli.ok("list"), "first"), shown);
  assertStringIncludes(row(await cli.ok("show", "first"), "waits for"), shown);
  assertEquals((await cli.show("first")).waits_for, shown);
  assertStringIncludes(row(await cli.ok("queue", "list"), "deploy"), shown.replace("queue ", ""));
  assertEquals(row(await cli.ok("queue", "list"), "open").includes("paused"), false);

  assertStringIncludes(row(await cli.ok("status"), "deploy"), shown);

  const [deploy, open] = await cli.json("queue", "list");
  assertEquals([deploy.name, deploy.paused, deploy.reason], ["deploy", true, reason]);
  assertEquals(deploy.jobs.pending, 1);
  assertMatch(deploy.paused_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assertEquals(
    [open.name, open.paused, open.reason, open.paused_at],
    ["open", false, null, null],
  );
});

Deno.test({
  name: "enqueue on a terminal says that the queue is paused, or that no worker serves it",
  ignore: !hasTerminals,
  async fn() {
    await using cli = new Cli();
    await cli.ok("queue", "pause", "deploy");
    await cli.startWorker("--queue", "deploy");
    const enqueue = (queue: string) =>
      cli.spawnOnTerminal(["enqueue", "--queue", queue, "true"], "").result;
    assertMatch((await enqueue("deploy")).stdout, /deploy.*queue paused/);
    const { stdout } = await enqueue("lonely");
    assertStringIncludes(stdout, "queuectl worker start --queue lonely");
    assertEquals(stdout.includes("paused"), false);
  },
});

Deno.test("pausing a queue lets what runs go on, starts nothing more of it, and holds up no other queue", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "running", "--queue", "a", WAITING);
  const worker = await cli.startWorker("--count", "2");
  await cli.linesOnce("started", 1);
  await cli.ok("queue", "pause", "a");
  await fill(cli, ["a", "b"], 5);
  await worker.event("completed", "b4");
  assertEquals(await stateOf(cli, "running"), "processing");
  cli.write("go");
  await worker.event("completed", "running");

  await cli.ok("enqueue", "--id", "last", "--queue", "b", "true");
  await worker.event("completed", "last");
  assertEquals(cli.lines("ran"), numbered("b", 5));
  assertEquals((await cli.json("list", "--queue", "a", "--state", "pending")).length, 5);
});

Deno.test("a retry that comes due in a paused queue waits until the queue is resumed", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "backoff_max", "1");
  await cli.ok("enqueue", "--id", "flaky", "--queue", "a", "echo x >> tries; [ -e go ]");
  const worker = await cli.startWorker();
  await worker.event("failed", "flaky", 1);
  await cli.ok("queue", "pause", "a");
  const tries = cli.lines("tries").length;
  const { run_at: dueAt } = await cli.show("flaky");
  await waitUntil(() => Date.now() > Date.parse(dueAt), "the retry to be due");
  // Whichever queue's turn it is, it would have been served before the second one of these.
  for (const id of ["other", "another"]) {
    await cli.ok("enqueue", "--id", id, "true");
    await worker.event("completed", id);
  }
  assertEquals(cli.lines("tries").length, tries);
  cli.write("go");
  await cli.ok("queue", "resume", "a");
  await worker.event("completed", "flaky");
});

Deno.test("worker start --drain does not wait for paused queues, whose jobs stay", async () => {
  await using cli = new Cli();
  await cli.ok("queue", "pause", "a");
  await fill(cli, ["a", "b"], 3);
  assertEquals(await cli.drain("--poll", "1h"), 0);
  assertEquals(cli.lines("ran"), numbered("b", 3));
  assertEquals((await cli.json("list", "--queue", "a", "--state", "pending")).length, 3);
  await cli.ok("queue", "resume", "a");
  assertEquals(await cli.drain(), 0);
  assertEquals(cli.lines("ran"), [...numbered("b", 3), ...numbered("a", 3)]);
});

Deno.test("worker start --drain ends when the queue that it still waits for is paused", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "later", "--queue", "a", "--delay", "1h", "true");
  const worker = await cli.startWorker("--drain", "--poll", "1h");
  await cli.ok("enqueue", "--id", "now", "true");
  await worker.event("completed", "now");
  assertEquals(worker.ended, false);
  await cli.ok("queue", "pause", "a");
  assertEquals((await worker.result).code, 0);
  assertEquals(await stateOf(cli, "later"), "pending");
});

Deno.test("resuming a queue wakes idle workers at once", async () => {
  await using cli = new Cli();
  await cli.ok("queue", "pause", "a", "--reason", "for now");
  await fill(cli, ["a"], 2);
  const worker = await cli.startWorker("--poll", "1h");
  await cli.ok("enqueue", "--id", "other", "true");
  await worker.event("completed", "other");
  assertEquals(cli.lines("ran"), []);

  assertEquals(await cli.ok("queue", "resume", "a"), "a: open, no limit");
  await worker.event("completed", "a1");
  const events: { event: string; at: string; cause: string }[] = (await cli.ok("events", "--json"))
    .split("\n").map((line) => JSON.parse(line));
  const resumed = events.find(({ event }) => event === "queue resumed")!;
  const { started_at } = await cli.json("show", "a0");
  const waitMs = Date.parse(started_at) - Date.parse(resumed.at);
  assert(waitMs < 1500, `started ${waitMs} ms after the queue was resumed`);
  assertStringIncludes(events.find(({ event }) => event === "queue paused")!.cause, "for now");
  assertEquals((await cli.json("queue", "list"))[0].reason, null);
});

Deno.test("a queue can be paused and limited before it has jobs, and is forgotten when it is open and empty", async () => {
  await using cli = new Cli();
  await cli.ok("queue", "pause", "a");
  await cli.ok("queue", "limit", "b", "3");
  const queues: { name: string; paused: boolean; limit: number }[] = await cli.json(
    "queue",
    "list",
  );
  assertEquals(queues.map(({ name, paused, limit }) => [name, paused, limit]), [
    ["a", true, null],
    ["b", false, 3],
  ]);
  await cli.ok("queue", "resume", "a");
  await cli.ok("queue", "limit", "b", "none");
  assertEquals(await cli.json("queue", "list"), []);
});

Deno.test("pausing and limiting a queue do not undo each other", async () => {
  await using cli = new Cli();
  await cli.ok("queue", "limit", "a", "2");
  await cli.ok("queue", "pause", "a", "--reason", "first");
  await cli.ok("queue", "pause", "a", "--reason", "second");
  const paused = await cli.json("queue", "limit", "a", "4");
  assertEquals([paused.paused, paused.reason, paused.limit], [true, "second", 4]);
  const open = await cli.json("queue", "resume", "a");
  assertEquals([open.paused, open.reason, open.limit], [false, null, 4]);
});

for (
  const words of [
    ["pause"],
    ["pause", "a b"],
    ["pause", ""],
    ["pause", "x".repeat(65)],
    ["resume", "a/b"],
    ["resume"],
    ["limit", "a"],
    ["limit", "a", "0"],
    ["limit", "a", "-1"],
    ["limit", "a", "1.5"],
    ["limit", "a", "many"],
    ["limit", "a", ""],
    ["limit", "a", "1e3"],
    ["limit", "a", "1000001"],
    ["limit", "a", "1", "2"],
    ["limit", "a;b", "1"],
    ["pasue", "a"],
  ]
) {
  Deno.test(`queue ${words.join(" ").slice(0, 30)} is a bad request that changes nothing`, async () => {
    await using cli = new Cli();
    const { code, stdout, stderr } = await cli.run(["queue", ...words]);
    assertEquals([code, stdout], [2, ""], stderr);
    assertMatch(stderr, /^.{1,499}\n$/);
    assertEquals(await cli.json("queue", "list"), []);
  });
}
