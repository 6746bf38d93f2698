import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Child, Cli, lives } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

const WAITING = "echo $$ >> began; until [ -e go ]; do sleep 0.05; done";

/** It is noticed within a second and the job has one more to end in; the machine may be busy. */
const ENDED_WITHIN_MS = 6000;

/** A worker that runs a job, and the job's process. */
async function workerWithJob(cli: Cli): Promise<{ worker: Child; pid: string }> {
  await cli.ok("enqueue", "--id", "job", WAITING);
  const worker = await cli.startWorker();
  const [pid] = await cli.linesOnce("began", 1);
  return { worker, pid: pid! };
}

/** Asserts that the worker ends soon with this error, and that its job does not outlive it. */
async function assertStops({ worker, pid }: { worker: Child; pid: string }, error: string) {
  const since = performance.now();
  const { code, stderr } = await worker.result;
  const tookMs = performance.now() - since;
  assertEquals(code, 1);
  assertStringIncludes(stderr, error);
  assertEquals(stderr.trim().split("\n").length, 1, stderr);
  assert(!lives(pid), "its job outlived it");
  assert(tookMs < ENDED_WITHIN_MS, `it took ${tookMs} ms`);
}

Deno.test("failure 22: a worker whose store is deleted stops with an error, and makes no new one", async () => {
  await using cli = new Cli();
  const running = await workerWithJob(cli);
  for (const suffix of ["", "-wal", "-shm"]) Deno.removeSync(cli.db + suffix);
  await assertStops(running, `The store "${cli.db}" was deleted while it was in use`);
  const left = [...Deno.readDirSync(cli.path("store"))].map(({ name }) => name);
  assertEquals(left.filter((name) => !/^queue\.db-(wake|news)$/.test(name)), []);
});

Deno.test("failure 22: a worker whose store is deleted with its folder stops with an error", async () => {
  await using cli = new Cli();
  const running = await workerWithJob(cli);
  Deno.removeSync(cli.path("store"), { recursive: true });
  await assertStops(running, `The store "${cli.db}" was deleted while it was in use`);
});

Deno.test("failure 22: a worker whose store is replaced stops with an error, and leaves the other one alone", async () => {
  await using cli = new Cli();
  const running = await workerWithJob(cli);
  const other = cli.path("other.db");
  await cli.ok("--db", other, "enqueue", "--id", "of-the-other", "true");
  for (const suffix of ["-wal", "-shm"]) Deno.removeSync(cli.db + suffix);
  Deno.renameSync(other, cli.db);
  await assertStops(running, `The store "${cli.db}" was replaced by another file`);
  assertEquals((await cli.show("of-the-other")).state, "pending");
  await assertSound(cli, ["of-the-other"]);
});

Deno.test("failure 22: an idle worker whose store is deleted stops with an error", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "poll_interval", "1h");
  const worker = await cli.startWorker();
  Deno.removeSync(cli.db);
  await assertStops({ worker, pid: "0" }, `The store "${cli.db}" was deleted`);
});
