import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Cli } from "../helpers/cli.ts";

const NOTE = "echo $QUEUECTL_JOB_ID >> ran";
const WAITING = "until [ -e go ]; do sleep 0.02; done";

/** A job as a line of JSON describes it; it notes its id unless told otherwise. */
interface Described {
  id: string;
  command?: string;
  after?: string | string[];
  after_any?: string | string[];
  max_retries?: number;
  delay?: string;
}

async function enqueue(cli: Cli, jobs: Described[]) {
  const lines = jobs.map((job) => JSON.stringify({ command: NOTE, ...job }) + "\n");
  return await cli.run(["enqueue", "-"], { stdin: lines.join("") });
}

async function enqueued(cli: Cli, jobs: Described[]) {
  const { code, stderr } = await enqueue(cli, jobs);
  assertEquals(code, 0, stderr);
}

/** The states of these jobs, in this order. */
async function states(cli: Cli, ids: string[]): Promise<string[]> {
  const jobs: { id: string; state: string }[] = await cli.json("list", "--limit", "0");
  return ids.map((id) => jobs.find((job) => job.id === id)!.state);
}

/** A chain of jobs, each after the one before. */
function chain(ids: string[], first: Partial<Described> = {}): Described[] {
  return ids.map((id, i) => i === 0 ? { id, ...first } : { id, after: ids[i - 1]! });
}

Deno.test("of a diamond the sides run after the top, and the bottom after both sides", async () => {
  await using cli = new Cli();
  await enqueued(cli, [
    { id: "bottom", after: ["left", "right"] },
    { id: "left", after: "top", command: `until grep -q right ran; do sleep 0.02; done; ${NOTE}` },
    { id: "right", after: "top" },
    { id: "top" },
  ]);
  assertEquals(await states(cli, ["top", "left", "right", "bottom"]), [
    "pending",
    "blocked",
    "blocked",
    "blocked",
  ]);
  assertEquals(await cli.drain("--count", "4", "--poll", "1h"), 0);
  assertEquals(cli.lines("ran"), ["top", "right", "left", "bottom"]);
});

Deno.test("a chain of 1000 jobs runs in its order, whatever the order they came in", async () => {
  await using cli = new Cli();
  const ids = Array.from({ length: 1000 }, (_, i) => `link-${i}`);
  await enqueued(cli, chain(ids).reverse());
  assertEquals(await cli.drain("--count", "4"), 0);
  assertEquals(cli.lines("ran"), ids);
});

Deno.test("waits_for and show of a blocked job name the jobs that it comes after, with their states", async () => {
  await using cli = new Cli();
  await enqueued(cli, [
    { id: "running", command: WAITING },
    { id: "retrying", command: "false", max_retries: 1000 },
    { id: "done", command: "true" },
    { id: "next", after: ["running", "done"] },
    { id: "last", after: "next", after_any: "retrying" },
  ]);
  const worker = await cli.startWorker("--count", "3");
  await worker.event("failed", "retrying");
  await worker.event("completed", "done");
  await worker.event("claimed", "running");
  assertEquals((await cli.show("next")).waits_for, "after running (processing)");
  assertEquals((await cli.show("last")).waits_for, "after retrying (failed), next (blocked)");
  assertMatch(await cli.ok("show", "next"), /^waits for +after running \(processing\)$/m);
  assertMatch(await cli.ok("list"), /^next +blocked +0\/3 +after running \(processing\) /m);
  cli.write("go");
  await worker.event("completed", "next");
});

Deno.test("of many jobs that one comes after, waits_for names the first three and counts the others", async () => {
  await using cli = new Cli();
  const ids = [1, 2, 3, 4, 5].map((i) => `first-${i}`);
  await enqueued(cli, [...ids.map((id) => ({ id })), { id: "last", after: ids }]);
  assertEquals(
    (await cli.show("last")).waits_for,
    "after first-1 (pending), first-2 (pending), first-3 (pending) and 2 more",
  );
});

/** The ways in which a job can end without having completed, and what its dependants are told. */
const ENDS: Record<string, { said: string; end(cli: Cli): Promise<unknown> }> = {
  "that dies": { said: "dead", end: (cli) => cli.drain() },
  "that is cancelled": { said: "cancelled", end: (cli) => cli.ok("cancel", "first") },
  "that is deleted": { said: "deleted", end: (cli) => cli.ok("delete", "first") },
};

for (const [how, { said, end }] of Object.entries(ENDS)) {
  Deno.test(`a job ${how} cancels what comes after it, all the way down, and show says why`, async () => {
    await using cli = new Cli();
    await enqueued(cli, [
      ...chain(["first", "second", "third", "fourth"], { command: "false", max_retries: 1 }),
      { id: "beside", after: ["alone", "second"] },
      { id: "alone" },
    ]);
    await end(cli);
    assertEquals(
      await states(cli, ["second", "third", "fourth", "beside"]),
      ["cancelled", "cancelled", "cancelled", "cancelled"],
    );
    const reasons = {
      second: `Job "first" is ${said}`,
      third: 'Job "second" is cancelled',
      fourth: 'Job "third" is cancelled',
      beside: 'Job "second" is cancelled',
    };
    for (const [id, reason] of Object.entries(reasons)) {
      const job = await cli.show(id);
      assertEquals([job.last_error, job.attempts, job.waits_for], [reason, 0, null]);
      assertStringIncludes(await cli.ok("show", id), reason);
    }
    await cli.drain();
    assertEquals(cli.lines("ran"), ["alone"]);
  });

  Deno.test(`--after-any: a job ${how} lets what comes after it run`, async () => {
    await using cli = new Cli();
    await cli.ok("enqueue", "--id", "first", "--max-retries", "1", "false");
    await cli.ok("enqueue", "--id", "clean-up", "--after-any", "first", NOTE);
    assertEquals((await cli.show("clean-up")).waits_for, "after first (pending)");
    await end(cli);
    await cli.drain();
    assertEquals(cli.lines("ran"), ["clean-up"]);
    assertEquals((await cli.show("clean-up")).state, "completed");
  });
}

Deno.test("a chain of 1000 behind a job that is cancelled is cancelled at once", async () => {
  await using cli = new Cli();
  const ids = Array.from({ length: 1000 }, (_, i) => `link-${i}`);
  await enqueued(cli, chain(ids));
  await cli.ok("cancel", "link-0");
  const { cancelled, pending, blocked } = (await cli.json("status")).jobs;
  assertEquals([cancelled, pending, blocked], [1000, 0, 0]);
  assertEquals((await cli.show("link-999")).last_error, 'Job "link-998" is cancelled');
});

Deno.test("cancelling a running job cancels what comes after it", async () => {
  await using cli = new Cli();
  await enqueued(cli, chain(["first", "second"], { command: WAITING }));
  const worker = await cli.startWorker();
  await worker.event("claimed", "first");
  await cli.ok("cancel", "first");
  assertEquals(await states(cli, ["first", "second"]), ["cancelled", "cancelled"]);
  await cli.ok("worker", "stop");
});

Deno.test("what comes after a job that fails and is tried again waits until it has completed", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "backoff_max", "0.1");
  const flaky = "echo try >> tries; [ $(wc -l < tries) -eq 3 ]";
  await enqueued(cli, chain(["first", "second"], { command: flaky, max_retries: 3 }));
  assertEquals(await cli.drain(), 0);
  assertEquals(cli.lines("ran"), ["second"]);
  const [first, second] = [await cli.json("show", "first"), await cli.json("show", "second")];
  assert(Date.parse(second.started_at) >= Date.parse(first.finished_at));
});

Deno.test("a job after one that has ended already is decided at once", async () => {
  await using cli = new Cli();
  await enqueued(cli, [{ id: "good" }, { id: "bad", command: "false", max_retries: 1 }]);
  assertEquals(await cli.drain(), 1);
  const after = ["enqueue", "--json", "--after"];
  assertEquals(JSON.parse(await cli.ok(...after, "good", "--id", "a", NOTE)).state, "pending");
  assertEquals(JSON.parse(await cli.ok(...after, "bad", "--id", "b", NOTE)).state, "cancelled");
  const either = ["--after", "good", "--after-any", "bad", "--id", "c", NOTE];
  assertEquals(JSON.parse(await cli.ok("enqueue", "--json", ...either)).state, "pending");
  assertEquals((await cli.show("b")).last_error, 'Job "bad" is dead');
});

Deno.test("--after takes a prefix of an id, and a job that is due later is not forgotten when it is free", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "nightly-build", NOTE);
  await cli.ok("enqueue", "--id", "report", "--after", "nigh", "--delay", "1500ms", NOTE);
  assertEquals((await cli.show("report")).waits_for, "after nightly-build (pending)");
  const worker = await cli.startWorker("--poll", "1h");
  await worker.event("completed", "report");
  assertEquals(cli.lines("ran"), ["nightly-build", "report"]);
  const { started_at, run_at } = await cli.json("show", "report");
  assert(Date.parse(started_at) >= Date.parse(run_at));
});

Deno.test("a job that is free wakes an idle worker of another process", async () => {
  await using cli = new Cli();
  await enqueued(cli, chain(["first", "second"], { command: WAITING }));
  const first = await cli.startWorker("--limit", "1");
  await first.event("claimed", "first");
  const other = await cli.startWorker("--poll", "1h");
  await cli.ok("enqueue", "--id", "alone", "true");
  await other.event("completed", "alone");
  cli.write("go");
  await other.event("completed", "second");
});

Deno.test("worker start --drain runs what its jobs set free, and does not wait for what nothing sets free", async () => {
  await using cli = new Cli();
  await cli.ok("queue", "pause", "closed");
  await cli.ok("enqueue", "--id", "never", "--queue", "closed", "true");
  await enqueued(cli, [
    ...chain(["first", "second", "third"]),
    { id: "stuck", after: ["never", "first"] },
  ]);
  assertEquals(await cli.drain("--poll", "1h"), 0);
  assertEquals(cli.lines("ran"), ["first", "second", "third"]);
  assertEquals((await cli.show("stuck")).waits_for, "after never (pending)");
});

/** Batches that cannot be, with what the message has to name. */
const REFUSED: Record<string, { jobs: Described[]; code: number; named: string }> = {
  "after an unknown job": {
    jobs: [{ id: "good" }, { id: "bad", after: "nobody" }],
    code: 1,
    named: '"nobody"',
  },
  "after an unknown job however it ends": {
    jobs: [{ id: "good" }, { id: "bad", after_any: ["good", "nobody"] }],
    code: 1,
    named: '"nobody"',
  },
  "after itself": { jobs: [{ id: "good" }, { id: "bad", after: "bad" }], code: 1, named: '"bad"' },
  "in a circle of three": {
    jobs: [
      { id: "good" },
      { id: "one", after: ["good", "three"] },
      { id: "two", after: "one" },
      { id: "three", after: "two" },
    ],
    code: 1,
    named: '"one"',
  },
  "in a circle by way of --after-any": {
    jobs: [{ id: "one", after_any: "two" }, { id: "two", after: "one" }],
    code: 1,
    named: '"one"',
  },
  "after an ambiguous prefix": {
    jobs: [{ id: "build-1" }, { id: "build-2" }, { id: "bad", after: "buil" }],
    code: 2,
    named: '"buil"',
  },
  "after what is no id": { jobs: [{ id: "bad", after: "a b" }], code: 2, named: '"a b"' },
  "after nothing": { jobs: [{ id: "bad", after: "" }], code: 2, named: '""' },
};

for (const [how, { jobs, code, named }] of Object.entries(REFUSED)) {
  Deno.test(`a batch with a job ${how} is refused whole`, async () => {
    await using cli = new Cli();
    await cli.ok("enqueue", "--id", "before", "true");
    const result = await enqueue(cli, jobs);
    assertEquals([result.code, result.stdout], [code, ""], result.stderr);
    assertMatch(result.stderr, /^.{1,499}\n$/);
    assertStringIncludes(result.stderr, named);
    const listed = await cli.json("list");
    assertEquals(listed.map(({ id }: { id: string }) => id), ["before"]);
    assertEquals((await cli.ok("events")).split("\n").length, 1);
  });
}

Deno.test("a blocked job can be cancelled and deleted, and then takes its own dependants along", async () => {
  await using cli = new Cli();
  await enqueued(cli, chain(["first", "second", "third", "fourth"]));
  await cli.ok("delete", "third");
  assertEquals((await cli.show("fourth")).last_error, 'Job "third" is deleted');
  await cli.ok("cancel", "second");
  assertEquals(await cli.drain(), 0);
  assertEquals(cli.lines("ran"), ["first"]);
  await cli.ok("retry", "second");
  assertEquals(await cli.drain(), 0);
  assertEquals(cli.lines("ran"), ["first", "second"]);
});
