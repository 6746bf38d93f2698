import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { between, Cli, hasTerminals, lives, waitUntil } from "../helpers/cli.ts";

/** Notes its processes in `pids`: children that ignore TERM, and one in a session of its own. */
const TREE = `
  echo x >> ran
  trap '' TERM
  sh -c 'echo $$ >> pids; while :; do sleep 0.05; done' &
  sh -c 'sh -c "echo \\$\\$ >> pids; exec sleep 1000"; true' &
  setsid sh -c 'echo $$ >> pids; exec sleep 1000' &
  echo $$ >> pids
  wait
`;
const ENDLESS = "echo $QUEUECTL_JOB_ID >> started; exec sleep 1000";
const STUBBORN = "trap '' TERM; echo $QUEUECTL_JOB_ID >> started; while :; do sleep 0.02; done";

async function states(cli: Cli): Promise<Record<string, string>> {
  const jobs: { id: string; state: string }[] = await cli.json("list");
  return Object.fromEntries(jobs.map(({ id, state }) => [id, state]));
}

Deno.test("cancel ends a job that waits at once, and it never runs", async () => {
  await using cli = new Cli();
  await cli.enqueue(
    { id: "pending", command: "echo x > ran" },
    { id: "delayed", command: "echo x > ran", delay: "1s" },
    { id: "failing", command: "false", backoff_base: 1000 },
  );
  const worker = await cli.startWorker("--queue", "none-of-these");
  assertEquals(await cli.ok("cancel", "pending"), "pending");
  assertEquals(await cli.json("cancel", "delayed"), { ids: ["delayed"] });
  worker.signal("SIGTERM");
  await worker.result;
  const another = await cli.startWorker();
  await another.event("failed", "failing", 1);
  await cli.ok("cancel", "fail");
  another.signal("SIGTERM");
  await another.result;
  assertEquals(await cli.drain(), 0);
  assertEquals(cli.lines("ran"), []);
  const jobs = await cli.json("list");
  for (const { id, state, last_error, finished_at } of jobs) {
    assertEquals([state, last_error], ["cancelled", "Cancelled"], id);
    assertMatch(finished_at, /Z$/);
  }
  assertEquals(jobs.map(({ attempts }: { attempts: number }) => attempts), [0, 0, 1]);
});

Deno.test("cancel ends a running job with all that it started, within about a second, and it never runs again", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "tree", "--backoff-base", "0", TREE);
  const worker = await cli.startWorker();
  const pids = await cli.linesOnce("pids", 4);
  assertEquals(pids.filter(lives), pids);
  assertEquals(await cli.ok("cancel", "tree"), "tree");
  assertEquals(pids.filter(lives), [], "all of it is gone when cancel returns");
  await worker.event("cancelled", "tree", 1);

  // Whatever the worker does next, it is not this job.
  await cli.ok("enqueue", "--id", "next", "true");
  await worker.event("completed", "next");
  const job = await cli.show("tree");
  assertEquals([job.state, job.attempts, job.last_error], ["cancelled", 1, "Cancelled"]);
  const [attempt, ...more] = job.attempts_history;
  assertEquals([attempt!.outcome, more], ["cancelled", []]);
  assertEquals(cli.lines("ran"), ["x"]);
  const asked = (await cli.history("tree")).find(({ event }) => event === "cancelling");
  const took = between(asked!.at, attempt!.finished_at);
  assert(took < 3000, `took ${took} ms`);
});

Deno.test("cancel gives a job a moment to clean up, and what it makes of it does not count", async () => {
  await using cli = new Cli();
  const tidy = "trap 'echo bye; echo x > tidied; exit 0' TERM; echo x > started; " +
    "while :; do sleep 0.02; done";
  await cli.ok("enqueue", "--id", "tidy", tidy);
  await cli.startWorker();
  await cli.linesOnce("started", 1);
  await cli.ok("cancel", "tidy");
  assertEquals(cli.lines("tidied"), ["x"]);
  assertEquals((await cli.show("tidy")).state, "cancelled");
  assertEquals(await cli.ok("logs", "tidy"), "bye", "its output is kept");
});

Deno.test("cancel --force does not wait for a job that will not end by itself", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "patient", command: STUBBORN }, { id: "hasty", command: STUBBORN });
  await cli.startWorker("--count", "2");
  await cli.linesOnce("started", 2);
  await Promise.all([cli.ok("cancel", "patient"), cli.ok("cancel", "--force", "hasty")]);
  const endOf = async (id: string) => (await cli.show(id)).attempts_history[0]!.finished_at!;
  assert(await endOf("hasty") < await endOf("patient"));
});

Deno.test("cancel takes several jobs in one go, those that run and those that wait", async () => {
  await using cli = new Cli();
  await cli.enqueue(
    { id: "running-1", command: ENDLESS },
    { id: "running-2", command: ENDLESS },
    { id: "waiting-1", command: "true" },
    { id: "blocked-1", command: "true", after: "running-1" },
    { id: "other", command: "true", delay: "1h" },
  );
  await cli.startWorker("--count", "2");
  await cli.linesOnce("started", 2);
  const ids = ["waiting-1", "running-1", "running-2", "blocked-1"];
  // The worker may run what waits as soon as the others are gone, but not what is to be cancelled.
  const cancelled = (await cli.ok("cancel", ...ids)).split("\n");
  assertEquals(cancelled.sort(), ids.sort());
  const { other, ...rest } = await states(cli);
  assertEquals(other, "pending");
  assertEquals(new Set(Object.values(rest)), new Set(["cancelled"]));
});

Deno.test("cancel refuses jobs that have ended and unknown ones with 1, and leaves all others alone", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "done", command: "true" }, {
    id: "dead",
    command: "false",
    max_retries: 1,
  });
  await cli.drain();
  await cli.enqueue({ id: "running", command: ENDLESS }, { id: "pending", command: "true" });
  await cli.startWorker();
  await cli.linesOnce("started", 1);
  const before = await cli.listing();
  const refusals = { done: "completed", dead: "dead", nosuchjob: "No job" };
  for (const [id, reason] of Object.entries(refusals)) {
    const { code, stdout, stderr } = await cli.run(["cancel", "running", "pending", id]);
    assertEquals([code, stdout], [1, ""], id);
    assertStringIncludes(stderr, `"${id}"`);
    assertStringIncludes(stderr, reason);
  }
  assertEquals(await cli.listing(), before);
});

Deno.test("cancel of many needs --yes where nobody can be asked, and takes filters", async () => {
  await using cli = new Cli();
  await cli.enqueue(
    { id: "a", command: "true", tags: ["nightly"] },
    { id: "b", command: "true", queue: "mail", tags: ["nightly"] },
    { id: "c", command: "true", queue: "mail" },
    { id: "d", command: "true", after: "c" },
    { id: "e", command: "true" },
  );
  const before = await cli.listing();
  const filters = [["--all"], ["--tag", "nightly"], ["--queue", "mail"], ["--state", "pending"]];
  for (const filter of filters) {
    const { code, stdout, stderr } = await cli.run(["cancel", ...filter]);
    assertEquals([code, stdout], [2, ""], filter.join(" "));
    assertStringIncludes(stderr, "--yes");
  }
  for (const args of [[], ["a", "--all", "--yes"], ["--state", "nonsense", "--yes"]]) {
    assertEquals((await cli.run(["cancel", ...args])).code, 2, args.join(" "));
  }
  assertEquals(await cli.listing(), before);

  assertEquals(await cli.ok("cancel", "--tag", "nightly", "--queue", "mail", "--yes"), "b");
  assertEquals(await cli.ok("cancel", "--state", "blocked", "--yes"), "d");
  assertEquals(await cli.ok("cancel", "--queue", "mail", "--yes"), "c");
  assertEquals(await cli.ok("cancel", "--all", "--yes"), "a\ne");
  const none = await cli.run(["cancel", "--all", "--yes"]);
  assertEquals([none.code, none.stdout], [0, ""]);
  assertStringIncludes(none.stderr, "0 jobs");
});

for (const [answer, state] of [["n", "pending"], ["", "pending"], ["y", "cancelled"]] as const) {
  Deno.test({
    name: `cancel --all on a terminal asks, and the answer "${answer}" leaves the job ${state}`,
    ignore: !hasTerminals,
    async fn() {
      await using cli = new Cli();
      await cli.ok("enqueue", "--id", "job", "true");
      const { code, stdout } = await cli.answer(["cancel", "--all"], answer);
      assertMatch(stdout, /^Cancel .*jobs?\? \[y\/N\] /);
      assertEquals(code, state === "cancelled" ? 0 : 2);
      assertEquals((await cli.show("job")).state, state);
    },
  });
}

/** A store with a job of a worker that is dead, while the job itself runs on. */
async function storeWithOrphans(cli: Cli, beforeTheKill = async () => {}): Promise<string[]> {
  await cli.ok("enqueue", "--id", "tree", TREE);
  const worker = await cli.startWorker();
  const pids = await cli.linesOnce("pids", 4);
  worker.signal("SIGSTOP");
  await beforeTheKill();
  worker.signal("SIGKILL");
  await worker.result;
  assertEquals((await cli.show("tree")).state, "processing");
  assertEquals(pids.filter(lives), pids);
  return pids;
}

async function assertCancelledAfterOneAttempt(cli: Cli, pids: string[]) {
  const job = await cli.show("tree");
  assertEquals([job.state, job.attempts], ["cancelled", 1]);
  assertEquals(job.attempts_history.map(({ outcome }) => outcome), ["cancelled"]);
  assertEquals(cli.lines("ran"), ["x"]);
  assertEquals(pids.filter(lives), []);
}

Deno.test("failure 18: a job whose worker is killed with -9 before it could obey is ended by the next one, and not run again", async () => {
  await using cli = new Cli();
  const pids = await storeWithOrphans(cli, async () => {
    const cancel = cli.spawn(["cancel", "tree"]);
    await waitUntil(
      async () => (await cli.history("tree")).some(({ event }) => event === "cancelling"),
      "the request",
    );
    cancel.signal("SIGKILL");
    await cancel.result;
  });
  assertEquals(await cli.drain(), 0);
  await assertCancelledAfterOneAttempt(cli, pids);
});

Deno.test("failure 18: cancel ends the job of a dead worker by itself where no other worker is there", async () => {
  await using cli = new Cli();
  const pids = await storeWithOrphans(cli);
  assertEquals(await cli.ok("cancel", "tree"), "tree");
  await assertCancelledAfterOneAttempt(cli, pids);
  assertEquals(await cli.drain(), 0);
  await assertCancelledAfterOneAttempt(cli, pids);
});

Deno.test("failure 18: a job that fails, or asks to be put off, while it is being cancelled ends cancelled", async () => {
  await using cli = new Cli();
  const waiting = (end: string) =>
    `trap '${end}' TERM; echo x >> started; while :; do sleep 0.02; done`;
  await cli.enqueue(
    { id: "snoozing", command: waiting("exit 75"), snooze: "10ms" },
    { id: "retrying", command: waiting("exit 1"), backoff_base: 0 },
  );
  await cli.startWorker("--count", "2");
  await cli.linesOnce("started", 2);
  await cli.ok("cancel", "snoozing", "retrying");
  assertEquals(await states(cli), { snoozing: "cancelled", retrying: "cancelled" });
  assertEquals(await cli.drain(), 0);
  assertEquals(cli.lines("started").length, 2);
});
