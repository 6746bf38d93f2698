import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Cli, hasTerminals } from "../helpers/cli.ts";

const NOTE = "echo $QUEUECTL_JOB_ID >> ran";
const WAITING = "until [ -e go ]; do sleep 0.02; done";
const PARALLEL = 50;

/** Tries to enqueue a job with the key `k`. */
async function enqueue(cli: Cli, id: string, ...said: string[]) {
  return await cli.run(["enqueue", "--id", id, "--key", "k", ...said, NOTE]);
}

async function idsAndStates(cli: Cli): Promise<string[]> {
  const jobs: { id: string; state: string }[] = await cli.json("list");
  return jobs.map(({ id, state }) => `${id} ${state}`);
}

Deno.test("a second unfinished job with the same key is refused, and the message names the first", async () => {
  await using cli = new Cli();
  assertEquals((await enqueue(cli, "first")).code, 0);
  for (const said of [[], ["--if-exists", "error"]]) {
    const { code, stdout, stderr } = await enqueue(cli, "second", ...said);
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /^.*"second".*"k".*"first".*pending\n$/);
  }
  assertEquals(await idsAndStates(cli), ["first pending"]);
  assertEquals((await cli.json("show", "first")).key, "k");
  assertMatch(await cli.ok("show", "first"), /^key +k$/m);
  await cli.ok("enqueue", "--id", "other", "--key", "K", NOTE);
});

Deno.test("--if-exists skip prints the id of the job that has the key, and adds none", async () => {
  await using cli = new Cli();
  await enqueue(cli, "first");
  const { code, stdout, stderr } = await enqueue(cli, "second", "--if-exists", "skip");
  assertEquals([code, stdout, stderr], [0, "first\n", ""]);
  const json = await enqueue(cli, "third", "--if-exists", "skip", "--json");
  assertEquals(JSON.parse(json.stdout), { id: "first", state: "pending" });
  assertEquals(await idsAndStates(cli), ["first pending"]);
  assertEquals((await cli.ok("events")).split("\n").length, 1);
});

Deno.test({
  name: "--if-exists skip says on a terminal that nothing was added",
  ignore: !hasTerminals,
  async fn() {
    await using cli = new Cli();
    await enqueue(cli, "first");
    const words = ["enqueue", "--key", "k", "--if-exists", "skip", "true"];
    const { code, stdout } = await cli.spawnOnTerminal(words, "").result;
    assertEquals(code, 0);
    assertMatch(stdout, /^first\r\nNothing was added/);
  },
});

Deno.test("--if-exists replace cancels the one that waits, with the reason and all that comes after it", async () => {
  await using cli = new Cli();
  await enqueue(cli, "first");
  await cli.ok("enqueue", "--id", "dependant", "--after", "first", NOTE);
  const { code, stdout } = await enqueue(cli, "second", "--if-exists", "replace");
  assertEquals([code, stdout], [0, "second\n"]);
  assertEquals(await idsAndStates(cli), [
    "first cancelled",
    "dependant cancelled",
    "second pending",
  ]);
  assertEquals((await cli.show("first")).last_error, 'Replaced by job "second"');
  assertStringIncludes(await cli.ok("show", "first"), 'Replaced by job "second"');
  assertEquals((await cli.show("dependant")).last_error, 'Job "first" is cancelled');
  assertEquals(await cli.drain(), 0);
  assertEquals(cli.lines("ran"), ["second"]);
});

Deno.test("--if-exists replace takes the place of a job that waits for another try, or for its time, or is blocked", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "failing", "--key", "f", "--backoff-base", "100", "false");
  const worker = await cli.startWorker();
  await worker.event("failed", "failing", 1);
  await cli.ok("worker", "stop");
  await cli.ok("enqueue", "--id", "later", "--key", "l", "--delay", "1h", NOTE);
  await cli.ok("enqueue", "--id", "blocked", "--key", "b", "--after", "later", NOTE);
  for (const key of ["b", "f", "l"]) {
    await cli.ok("enqueue", "--id", `new-${key}`, "--key", key, "--if-exists", "replace", NOTE);
  }
  assertEquals(await cli.drain(), 0);
  assertEquals(cli.lines("ran"), ["new-b", "new-f", "new-l"]);
  for (const id of ["failing", "later", "blocked"]) {
    assertEquals((await cli.show(id)).state, "cancelled");
  }
});

Deno.test("a running job cannot be replaced: nothing changes, and the message says why", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "first", "--key", "k", WAITING);
  const worker = await cli.startWorker();
  await worker.event("claimed", "first");
  const { code, stdout, stderr } = await enqueue(cli, "second", "--if-exists", "replace");
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /^.*"second".*"k".*"first".*runs.*\n$/);
  assertEquals((await enqueue(cli, "third", "--if-exists", "skip")).stdout, "first\n");
  assertEquals(await idsAndStates(cli), ["first processing"]);
  cli.write("go");
  await worker.event("completed", "first");
  assertEquals((await enqueue(cli, "second", "--if-exists", "replace")).code, 0);
  await worker.event("completed", "second");
});

const ENDS: Record<string, (cli: Cli) => Promise<unknown>> = {
  "has completed": async (cli) => {
    cli.write("go");
    await cli.drain();
  },
  "is dead": (cli) => cli.drain(),
  "is cancelled": (cli) => cli.ok("cancel", "first"),
  "is deleted": (cli) => cli.ok("delete", "first"),
};

for (const [how, end] of Object.entries(ENDS)) {
  Deno.test(`a key is free again when its job ${how}`, async () => {
    await using cli = new Cli();
    await cli.ok("enqueue", "--id", "first", "--key", "k", "--max-retries", "1", "[ -e go ]");
    await end(cli);
    const { code, stdout, stderr } = await enqueue(cli, "second");
    assertEquals([code, stdout, stderr], [0, "second\n", ""]);
  });
}

for (const policy of ["error", "skip"]) {
  Deno.test(`failure 32: of ${PARALLEL} parallel enqueues with one key and --if-exists ${policy} one adds a job`, async () => {
    await using cli = new Cli();
    await cli.ok("config", "set", "max_retries", "1"); // makes the store
    const results = await Promise.all(
      Array.from({ length: PARALLEL }, (_, i) => enqueue(cli, `job-${i}`, "--if-exists", policy)),
    );
    const [only, ...others] = await cli.json("list");
    assertEquals(others, []);
    const printed = results.filter(({ stdout }) => stdout === `${only.id}\n`);
    const refused = results.filter(({ code, stderr }) => code === 1 && stderr.includes(only.id));
    const expected = policy === "skip" ? [PARALLEL, 0] : [1, PARALLEL - 1];
    assertEquals([printed.length, refused.length], expected);
  });
}

Deno.test("in one batch a key can come twice only where that is allowed; else nothing is added", async () => {
  await using cli = new Cli();
  const batch = (...policies: (string | undefined)[]) =>
    cli.run(["enqueue", "-"], {
      stdin: JSON.stringify(
        policies.map((if_exists, i) => ({ id: `job-${i}`, command: NOTE, key: "k", if_exists })),
      ),
    });
  const refused = await batch(undefined, undefined);
  assertEquals([refused.code, refused.stdout], [1, ""]);
  assertEquals(await idsAndStates(cli), []);
  const { code, stdout } = await batch(undefined, "skip", "replace");
  assertEquals([code, stdout], [0, "job-0\njob-0\njob-2\n"]);
  assertEquals(await idsAndStates(cli), ["job-0 cancelled", "job-2 pending"]);
});

for (const retry of [["retry"], ["dlq", "retry"]]) {
  Deno.test(`${retry.join(" ")} of a job whose key another one has is refused with a sentence`, async () => {
    await using cli = new Cli();
    await cli.ok("enqueue", "--id", "first", "--key", "k", "--max-retries", "1", "false");
    assertEquals(await cli.drain(), 1);
    await enqueue(cli, "second");
    const { code, stdout, stderr } = await cli.run([...retry, "first"]);
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /^Cannot retry job "first".*"second".*\n$/);
    assertEquals(await idsAndStates(cli), ["first dead", "second pending"]);
  });

  Deno.test(`${retry.join(" ")} --all retries the others when the key of one is taken`, async () => {
    await using cli = new Cli();
    await cli.ok("enqueue", "--id", "first", "--key", "k", "--max-retries", "1", "[ -e go ]");
    await cli.ok("enqueue", "--id", "free", "--max-retries", "1", "[ -e go ]");
    assertEquals(await cli.drain(), 1);
    await enqueue(cli, "second");
    assertEquals(await cli.ok(...retry, "--all"), "free");
    assertEquals(await idsAndStates(cli), ["first dead", "free pending", "second pending"]);
  });
}

Deno.test("of several dead jobs with the same key dlq retry --all gives one a new start", async () => {
  await using cli = new Cli();
  for (const id of ["first", "second"]) {
    await cli.ok("enqueue", "--id", id, "--key", "k", "--max-retries", "1", "[ -e go ]");
    assertEquals(await cli.drain(), 1);
  }
  const both = await cli.run(["retry", "first", "second"]);
  assertEquals([both.code, both.stdout], [1, ""]);
  assertMatch(both.stderr, /^Cannot retry job /);
  assertEquals(await idsAndStates(cli), ["first dead", "second dead"]);

  const retried = await cli.ok("dlq", "retry", "--all");
  assertMatch(retried, /^(first|second)$/);
  cli.write("go");
  assertEquals(await cli.drain(), 0);
  assertEquals((await cli.show(retried)).state, "completed");
});

for (
  const words of [
    ["--if-exists", "skip"],
    ["--key", ""],
    ["--key", "  "],
    ["--key", "x".repeat(257)],
    ["--key", "k", "--if-exists", "ignore"],
    ["--key", "k", "--if-exists", ""],
  ]
) {
  Deno.test(`enqueue ${words.join(" ").slice(0, 30)} is a bad request that adds nothing`, async () => {
    await using cli = new Cli();
    const { code, stdout, stderr } = await cli.run(["enqueue", ...words, "true"]);
    assertEquals([code, stdout], [2, ""]);
    assertMatch(stderr, /^.{1,499}\n$/);
    assertEquals(await idsAndStates(cli), []);
  });
}
