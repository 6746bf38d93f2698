import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { between, Cli, hasTerminals } from "../helpers/cli.ts";

const ENDLESS = "echo x >> started; exec sleep 1000";
const UNLESS_FIXED = "echo ran >> tries; [ -e fixed ]";

/** A store with a job in each state but for processing; those that ran succeed once there is a file `fixed`. */
async function storeWithAllStates(): Promise<Cli> {
  const cli = new Cli();
  await cli.enqueue(
    { id: "completed", command: "echo kept" },
    { id: "dead", command: UNLESS_FIXED, max_retries: 1, tags: ["broken"] },
    { id: "failed", command: UNLESS_FIXED, backoff_base: 1000, tags: ["broken"] },
    { id: "cancelled", command: "true" },
    { id: "pending", command: "true", delay: "1h" },
    { id: "blocked", command: "true", after: "pending" },
  );
  await cli.ok("cancel", "cancelled");
  const worker = await cli.startWorker("--limit", "3");
  assertEquals((await worker.result).code, 0);
  return cli;
}

async function states(cli: Cli): Promise<Record<string, string>> {
  const jobs: { id: string; state: string }[] = await cli.json("list", "--limit", "0");
  return Object.fromEntries(jobs.map(({ id, state }) => [id, state]));
}

Deno.test("retry gives failed, dead and cancelled jobs all their attempts again, now, and keeps their history", async () => {
  await using cli = await storeWithAllStates();
  const before = await states(cli);
  for (const id of ["completed", "dead", "failed", "cancelled", "pending", "blocked"]) {
    assertEquals(before[id], id);
  }
  assertEquals(await cli.ok("retry", "failed", "dead"), "failed\ndead");
  assertEquals(await cli.json("retry", "cancel"), { ids: ["cancelled"] });
  for (const id of ["failed", "dead", "cancelled"]) {
    const { state, attempts, run_at, finished_at } = await cli.show(id);
    assertEquals([state, attempts, finished_at], ["pending", 0, null], id);
    assert(Date.parse(run_at) <= Date.now(), id);
  }
  cli.write("fixed");
  const worker = await cli.startWorker("--limit", "3");
  assertEquals((await worker.result).code, 0);
  const outcomes = async (id: string) =>
    (await cli.show(id)).attempts_history.map(({ attempt, outcome }) => `${attempt} ${outcome}`);
  assertEquals(await outcomes("failed"), ["1 failed", "1 completed"]);
  assertEquals(await outcomes("dead"), ["1 failed", "1 completed"]);
  assertEquals(await outcomes("cancelled"), ["1 completed"]);
  const retried = (await cli.history("failed")).filter(({ event }) => event === "retried");
  assertEquals(retried.length, 1);
});

Deno.test("retry refuses a job in any other state and an unknown one, and then leaves all of them alone", async () => {
  await using cli = await storeWithAllStates();
  await cli.enqueue({ id: "processing", command: ENDLESS, priority: 9 });
  await cli.startWorker();
  await cli.linesOnce("started", 1);
  const before = await cli.listing();
  for (const id of ["completed", "pending", "blocked", "processing", "nosuchjob"]) {
    const { code, stdout, stderr } = await cli.run(["retry", "dead", id]);
    assertEquals([code, stdout], [1, ""], id);
    assertStringIncludes(stderr, `"${id}"`);
  }
  assertEquals((await cli.run(["retry"])).code, 2);
  assertEquals((await cli.run(["retry", "dead", "--all"])).code, 2);
  assertEquals(await cli.listing(), before);
});

Deno.test("retry wakes an idle worker with a long poll", async () => {
  await using cli = await storeWithAllStates();
  cli.write("fixed");
  const worker = await cli.startWorker("--poll", "1h");
  for (const id of ["dead", "failed", "cancelled"]) {
    await cli.ok("retry", id);
    await worker.event("completed", id);
    const { run_at, started_at } = await cli.show(id);
    const waitMs = between(run_at, started_at);
    assert(waitMs < 1500, `${id} waited ${waitMs} ms`);
  }
});

Deno.test("retry with a filter takes what it can be done to, and no others", async () => {
  await using cli = await storeWithAllStates();
  assertEquals(await cli.ok("retry", "--tag", "broken", "--state", "dead"), "dead");
  assertEquals(await cli.ok("retry", "--all"), "failed\ncancelled");
  assertEquals(await states(cli), {
    ...{ completed: "completed", dead: "pending", failed: "pending", cancelled: "pending" },
    ...{ pending: "pending", blocked: "blocked" },
  });
});

Deno.test("retry runs a job whose prerequisite failed it, though that one never completed", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "first", command: "false", max_retries: 1 }, {
    id: "second",
    command: "true",
    after: "first",
  });
  assertEquals(await cli.drain(), 1);
  const skipped = await cli.show("second");
  assertEquals([skipped.state, skipped.last_error], ["cancelled", 'Job "first" is dead']);
  await cli.ok("retry", "second");
  assertEquals(await cli.drain(), 0);
  assertEquals((await cli.show("second")).state, "completed");
});

Deno.test("retry refuses a job whose key another unfinished job has taken, and says so", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "first", command: "false", max_retries: 1, key: "nightly" });
  assertEquals(await cli.drain(), 1);
  await cli.enqueue({ id: "second", command: "true", key: "nightly" });
  for (const args of [["retry", "first"], ["dlq", "retry", "first"]]) {
    const { code, stdout, stderr } = await cli.run(args);
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /^Cannot retry job "first"[^\n]*"second"[^\n]*\n$/);
  }
  assertEquals(await states(cli), { first: "dead", second: "pending" });
  assertEquals(await cli.drain(), 0);
  assertEquals(await cli.ok("retry", "first"), "first");
});

Deno.test("retry of two jobs with one key refuses both by their ids, and takes one of them with a filter", async () => {
  await using cli = new Cli();
  for (const id of ["first", "second"]) {
    await cli.enqueue({ id, command: "true", key: "nightly" });
    await cli.ok("cancel", id);
  }
  const { code, stdout, stderr } = await cli.run(["retry", "first", "second"]);
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /^Cannot retry job "second"[^\n]*"first"[^\n]*\n$/);
  assertEquals(await states(cli), { first: "cancelled", second: "cancelled" });
  assertEquals(await cli.ok("retry", "--all"), "first");
  assertEquals(await states(cli), { first: "pending", second: "cancelled" });
});

Deno.test("delete removes a job in any state but processing, with its history and output", async () => {
  await using cli = await storeWithAllStates();
  const ids = ["completed", "dead", "failed", "cancelled", "blocked", "pending"];
  assertEquals(await cli.ok("delete", ...ids), ids.join("\n"));
  assertEquals(await cli.json("list"), []);
  for (const args of [["show", "completed"], ["logs", "completed"], ["delete", "completed"]]) {
    assertEquals((await cli.run(args)).code, 1, args.join(" "));
  }
  const counts = Object.values((await cli.json("status")).jobs);
  assertEquals(counts.every((count) => count === 0), true);
  // The name is free, and what comes under it starts from nothing.
  await cli.ok("enqueue", "--id", "completed", "true");
  assertEquals((await cli.show("completed")).attempts_history, []);
});

Deno.test("delete refuses a running job and an unknown one, and then deletes none", async () => {
  await using cli = await storeWithAllStates();
  await cli.enqueue({ id: "processing", command: ENDLESS, priority: 9 });
  await cli.startWorker();
  await cli.linesOnce("started", 1);
  const before = await cli.listing();
  for (const id of ["processing", "nosuchjob"]) {
    const { code, stdout, stderr } = await cli.run(["delete", "dead", id]);
    assertEquals([code, stdout], [1, ""], id);
    assertStringIncludes(stderr, `"${id}"`);
  }
  assertEquals(await cli.listing(), before);
  assertEquals(await cli.ok("delete", "--state", "running", "--yes"), "");
  await cli.ok("delete", "--all", "--yes");
  assertEquals(await states(cli), { processing: "processing" });
});

Deno.test("delete of a job cancels those that wait for it, and says why", async () => {
  await using cli = await storeWithAllStates();
  await cli.ok("delete", "pending");
  const blocked = await cli.show("blocked");
  assertEquals([blocked.state, blocked.last_error], ["cancelled", 'Job "pending" is deleted']);
});

Deno.test("delete of many needs --yes where nobody can be asked, and takes filters", async () => {
  await using cli = await storeWithAllStates();
  const before = await cli.listing();
  for (
    const args of [["--all"], ["--tag", "broken"], ["--state", "dead"], ["--queue", "default"]]
  ) {
    const { code, stdout, stderr } = await cli.run(["delete", ...args]);
    assertEquals([code, stdout], [2, ""], args.join(" "));
    assertStringIncludes(stderr, "--yes");
  }
  for (const args of [[], ["dead", "--all", "--yes"], ["--state", "nonsense", "--yes"]]) {
    assertEquals((await cli.run(["delete", ...args])).code, 2, args.join(" "));
  }
  assertEquals(await cli.listing(), before);
  const { ids } = await cli.json("delete", "--tag", "broken", "--yes");
  assertEquals(ids.toSorted(), ["dead", "failed"]);
  assertEquals(await cli.ok("delete", "--state", "completed", "--yes"), "completed");
  assertEquals(Object.keys(await states(cli)), ["cancelled", "pending", "blocked"]);
});

Deno.test({
  name: "delete on a terminal asks, and obeys the answer",
  ignore: !hasTerminals,
  async fn() {
    await using cli = new Cli();
    await cli.ok("enqueue", "--id", "job", "true");
    const refused = await cli.answer(["delete", "--all"], "no");
    assertMatch(refused.stdout, /^Delete .*jobs?\? \[y\/N\] /);
    assertEquals(refused.code, 2);
    assertEquals(await states(cli), { job: "pending" });
    assertEquals((await cli.answer(["delete", "--all"], "YES")).code, 0);
    assertEquals(await states(cli), {});
  },
});
