import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Cli, hasTerminals, waitUntil } from "../helpers/cli.ts";

const MEGABYTE = 1_000_000;
/** Some free pages stay in the file, for the next jobs. */
const LITTLE = 8 * MEGABYTE;

/** A store with a job in each state that can be pruned, and one that waits. */
async function storeWithEnded(): Promise<Cli> {
  const cli = new Cli();
  await cli.enqueue(
    { id: "completed", command: "true" },
    { id: "dead", command: "false", max_retries: 1 },
    { id: "cancelled", command: "true" },
    { id: "failed", command: "false", backoff_base: 1000 },
    { id: "pending", command: "true", delay: "1h" },
  );
  await cli.ok("cancel", "cancelled");
  const worker = await cli.startWorker("--limit", "3");
  assertEquals((await worker.result).code, 0);
  return cli;
}

async function ids(cli: Cli): Promise<string[]> {
  return (await cli.json("list")).map(({ id }: { id: string }) => id);
}

function fileSize(cli: Cli): number {
  return Deno.statSync(cli.db).size;
}

/** A store with completed jobs that have printed twenty megabytes. */
async function bigStore(): Promise<Cli> {
  const cli = new Cli();
  const jobs = Array.from({ length: 40 }, (_, i) => ({
    id: `job${i}`,
    command: `head -c ${MEGABYTE / 2} /dev/urandom`,
  }));
  await cli.enqueue(...jobs);
  assertEquals(await cli.drain(), 0);
  assert(fileSize(cli) > 20 * MEGABYTE);
  return cli;
}

Deno.test("prune deletes completed and cancelled jobs, and dead ones only when they are asked for", async () => {
  await using cli = await storeWithEnded();
  assertEquals(await cli.ok("prune", "--yes"), "Deleted 2 jobs");
  assertEquals(await ids(cli), ["dead", "failed", "pending"]);
  assertEquals(await cli.ok("prune", "--yes"), "Deleted 0 jobs");
  assertEquals(await cli.json("prune", "--state", "dead", "--yes"), { pruned: 1 });
  assertEquals(await ids(cli), ["failed", "pending"]);
});

Deno.test("prune --older-than takes those that ended before that time, and --state those in it", async () => {
  await using cli = await storeWithEnded();
  assertEquals(await cli.ok("prune", "--older-than", "1h", "--yes"), "Deleted 0 jobs");
  const { finished_at } = await cli.show("completed");
  await waitUntil(() => Date.now() - Date.parse(finished_at!) > 300, "it to be old enough");
  await cli.ok("enqueue", "--id", "fresh", "true");
  await cli.ok("cancel", "fresh");
  const fresh = Date.parse((await cli.show("fresh")).finished_at!);
  const age = `${Date.now() - fresh + 10_000}ms`;
  assertEquals(await cli.ok("prune", "--older-than", age, "--yes"), "Deleted 0 jobs");
  const args = ["--older-than", "300ms", "--state", "completed", "--yes"];
  assertEquals(await cli.ok("prune", ...args), "Deleted 1 job");
  assertEquals((await ids(cli)).includes("completed"), false);
  assertEquals((await ids(cli)).includes("cancelled"), true);
});

Deno.test("prune needs --yes where nobody can be asked, and refuses what cannot be pruned", async () => {
  await using cli = await storeWithEnded();
  const before = await cli.listing();
  for (const args of [[], ["--older-than", "0"], ["--state", "dead"], ["--json"]]) {
    const { code, stdout, stderr } = await cli.run(["prune", ...args]);
    assertEquals([code, stdout], [2, ""], args.join(" "));
    assertStringIncludes(stderr, "--yes");
  }
  const wrong = [["--state", "pending"], ["--state", "x"], ["--older-than", "soon"], ["dead"]];
  for (const args of wrong) {
    assertEquals((await cli.run(["prune", "--yes", ...args])).code, 2, args.join(" "));
  }
  assertEquals(await cli.listing(), before);
});

Deno.test({
  name: "prune on a terminal says how many jobs it would delete, and obeys the answer",
  ignore: !hasTerminals,
  async fn() {
    await using cli = await storeWithEnded();
    const refused = await cli.answer(["prune"], "n");
    assertMatch(refused.stdout, /^Delete 2 completed and cancelled jobs\? \[y\/N\] /);
    assertEquals([refused.code, (await ids(cli)).length], [2, 5]);
    const obeyed = await cli.answer(["prune", "--state", "dead"], "y");
    assertMatch(obeyed.stdout, /^Delete 1 dead job\? \[y\/N\] /);
    assertEquals([obeyed.code, (await ids(cli)).includes("dead")], [0, false]);
  },
});

Deno.test("what prune deletes is given back to the file system", async () => {
  await using cli = await bigStore();
  const before = fileSize(cli);
  await cli.ok("prune", "--yes");
  assert(fileSize(cli) < before - MEGABYTE, `of ${before} bytes there are still ${fileSize(cli)}`);
});

Deno.test("a worker deletes by itself what is older than retention, and the file shrinks", async () => {
  await using cli = await bigStore();
  await cli.enqueue({ id: "dead", command: "false", max_retries: 1 });
  assertEquals(await cli.drain(), 1);
  await cli.enqueue({ id: "cancelled", command: "true" }, {
    id: "later",
    command: "true",
    delay: "1h",
  });
  await cli.ok("cancel", "cancelled");
  await cli.ok("config", "set", "retention", "1s");
  const { finished_at } = await cli.show("cancelled");
  await waitUntil(
    () => Date.now() - Date.parse(finished_at!) > 1000,
    "all of them to be old enough",
  );
  const worker = await cli.startWorker();
  await waitUntil(async () => (await ids(cli)).length === 2, "the old ones to be deleted");
  assertEquals(await ids(cli), ["dead", "later"], "dead ones and those that wait are kept");
  await waitUntil(() => fileSize(cli) < LITTLE, "the file to shrink", { timeoutMs: 5000 });
  worker.signal("SIGTERM");
  assertEquals((await worker.result).code, 0);
});

Deno.test("retention none keeps everything", async () => {
  await using cli = await storeWithEnded();
  await cli.ok("config", "set", "retention", "none");
  const before = await ids(cli);
  const worker = await cli.startWorker();
  await cli.ok("enqueue", "--id", "next", "true");
  await worker.event("completed", "next");
  assertEquals(await ids(cli), [...before, "next"]);
});
