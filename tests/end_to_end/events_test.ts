import { assert, assertEquals, assertMatch } from "@std/assert";
import { Cli, jsonLines, type PastEvent, waitUntil } from "../helpers/cli.ts";

const KEYS = "seq at event job attempt cause actor";

/** What happened, in a few words an event. */
function told(events: readonly PastEvent[]): string[] {
  return events.map(({ event, job, attempt, cause }) =>
    [event, job, attempt, cause].filter((part) => part !== null).join(" ")
  );
}

Deno.test("events show every transition of a job that fails and then dies, in order, with causes", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "dying", "--max-retries", "2", "--backoff-base", "0", "exit 3");
  assertEquals(await cli.drain(), 1);
  const events = await cli.history();
  assertEquals(told(events), [
    "enqueued dying",
    "claimed dying 1",
    "failed dying 1 Exit code 3",
    "claimed dying 2",
    "dead dying 2 Exit code 3",
  ]);
  for (const event of events) {
    assertEquals(Object.keys(event).sort(), KEYS.split(" ").sort());
    assertMatch(event.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  }
  const [first] = events;
  assertEquals(events.map(({ seq }) => seq), events.map((_, i) => first!.seq + i));
  assertEquals(events.map(({ at }) => at), events.map(({ at }) => at).sort());
});

Deno.test("events say who did it: the person or the worker", async () => {
  await using cli = new Cli();
  const as = (USER: string, ...args: string[]) => cli.run(args, { env: { USER } });
  await as("ann", "enqueue", "--id", "job", "false", "--max-retries", "1");
  const worker = await cli.startWorker();
  await worker.event("dead", "job");
  await as("bob", "queue", "pause", "default", "--reason", "lunch");
  await as("ann", "retry", "job");
  await as("bob", "cancel", "job");
  await as("ann", "delete", "job");
  await as("bob", "queue", "resume", "default");
  const { worker: id } = await worker.event("started");
  const events = await cli.history();
  const actors = events.map(({ event, actor }) => `${event} ${actor}`);
  assertEquals(actors, [
    ...["enqueued ann", `claimed ${id}-1`, `dead ${id}`],
    ...["queue paused bob", "retried ann", "cancelled bob", "deleted ann", "queue resumed bob"],
  ]);
  const paused = events.find(({ event }) => event === "queue paused")!;
  assertEquals(paused.job, null);
  assertMatch(String(paused.cause), /default.*lunch/);
});

Deno.test("events show an attempt that was put off, one that was lost, one that was cancelled", async () => {
  await using cli = new Cli();
  const endless = "echo x >> $QUEUECTL_JOB_ID; exec sleep 1000";
  await cli.enqueue({
    id: "shy",
    command: "[ -e seen ] || { echo x > seen; exit 75; }",
    snooze: "10ms",
  }, { id: "lost", command: endless });
  const worker = await cli.startWorker("--count", "2");
  await worker.event("completed", "shy");
  await cli.linesOnce("lost", 1);
  worker.signal("SIGKILL");
  await worker.result;
  const another = await cli.startWorker();
  await cli.linesOnce("lost", 2);
  await cli.ok("cancel", "lost");
  await another.event("cancelled", "lost");
  assertEquals(told(await cli.history("shy")), [
    ...["enqueued shy", "claimed shy 1", "snoozed shy 1 Put off by exit code 75"],
    ...["claimed shy 1", "completed shy 1"],
  ]);
  assertEquals(told(await cli.history("lost")), [
    ...["enqueued lost", "claimed lost 1", "failed lost 1 Its worker died"],
    ...["claimed lost 2", "cancelling lost", "cancelled lost 2 Cancelled"],
  ]);
});

Deno.test("events --since shows those after an event, and nothing after the last one", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "a", command: "true" }, { id: "b", command: "true" });
  await cli.drain();
  const all = await cli.history();
  const since = async (seq: number) =>
    jsonLines(await cli.ok("events", "--json", "--since", String(seq)));
  assertEquals(await since(0), all);
  assertEquals(await since(all[1]!.seq), all.slice(2));
  assertEquals(await since(all.at(-1)!.seq), []);
  assertEquals(await since(all.at(-1)!.seq + 1000), []);
  for (const wrong of ["-1", "x", "1.5", ""]) {
    assertEquals((await cli.run(["events", "--since", wrong])).code, 2, wrong);
  }
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`events -f shows what was, then what happens as it happens, until ${signal} ends it with 0`, async () => {
    await using cli = new Cli();
    await cli.ok("enqueue", "--id", "before", "true");
    const follow = cli.spawn(["events", "-f", "--json"]);
    const told = () => follow.events.map(({ event, job }) => `${event} ${job}`);
    await waitUntil(() => told().length > 0, "what was");
    assertEquals(told(), ["enqueued before"]);

    const worker = await cli.startWorker("--poll", "1h");
    await cli.ok("enqueue", "--id", "live", "until [ -e go ]; do sleep 0.02; done");
    await waitUntil(() => told().includes("claimed live"), "the claim", { timeoutMs: 2000 });
    cli.write("go");
    await worker.event("completed", "live");
    await waitUntil(() => told().includes("completed live"), "the end", { timeoutMs: 2000 });
    const about = (id: string) => told().filter((words) => words.endsWith(` ${id}`));
    assertEquals(about("live"), ["enqueued live", "claimed live", "completed live"]);
    assertEquals(about("before"), ["enqueued before", "claimed before", "completed before"]);

    assert(!follow.ended);
    follow.signal(signal);
    const { code, stdout, stderr } = await follow.result;
    assertEquals([code, stderr], [0, ""]);
    assertEquals(jsonLines(stdout), await cli.history());
  });
}

Deno.test("events -f --since leaves out what was before", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "old", command: "true" });
  const [{ seq }] = await cli.history() as [PastEvent];
  const follow = cli.spawn(["events", "-f", "--json", "--since", String(seq)]);
  await cli.ok("enqueue", "--id", "new", "true");
  await waitUntil(() => follow.events.length > 0, "the new one");
  follow.signal("SIGINT");
  assertEquals((await follow.result).code, 0);
  assertEquals(follow.events.map(({ job }) => job), ["new"]);
});

Deno.test("failure 36: events for people are one line each, and nothing in them acts on the terminal", async () => {
  await using cli = new Cli();
  await cli.ok("queue", "pause", "default", "--reason", "new\nline \x1b[31mred\u202e");
  await cli.ok("enqueue", "--id", "job", "true");
  const lines = (await cli.ok("events")).split("\n");
  assertEquals(lines.length, 2, lines.join("\n"));
  assertMatch(lines[0]!, /^\d+ .*Z queue paused .*new\\nline \\e\[31mred/);
  assertMatch(lines[1]!, /enqueued +job/);
  // deno-lint-ignore no-control-regex -- that is the point
  assert(!/[\x00-\x1f\u202e]/.test(lines.join("")));
});

Deno.test("events of a store that is not there are none, and make none", async () => {
  await using cli = new Cli();
  const { code, stdout, stderr } = await cli.run(["events"]);
  assertEquals([code, stdout, stderr], [0, "", ""]);
  assertEquals([...Deno.readDirSync(cli.folder)], []);
});
