import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { between, type Child, Cli, lives, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";
import { holdLock } from "./lock.ts";

/** What a job does that is to run until there is a file `go`. */
const WAITING = "echo $$ >> began; until [ -e go ]; do sleep 0.05; done";

/** Longer than any command waits for the store. */
const TOO_LONG_MS = 30_000;

async function stop(worker: Child) {
  worker.signal("SIGTERM");
  assertEquals((await worker.result).code, 0, worker.stderr);
}

Deno.test("failure 19: while another process holds the write lock for 3 s everybody waits and succeeds", async () => {
  await using cli = new Cli();
  await cli.enqueue(
    { id: "running", command: WAITING },
    { id: "unwanted", command: "true", delay: "1h" },
    { id: "old", command: "true", delay: "1h" },
  );
  const worker = await cli.startWorker();
  await cli.linesOnce("began", 1);
  const acts = [
    ["enqueue", "--id", "new", "true"],
    ["cancel", "unwanted"],
    ["delete", "old", "--yes"],
    ["config", "set", "max_retries", "7"],
    ["queue", "pause", "later"],
    ["list"],
  ];
  let waiting: Child[];
  {
    using _lock = holdLock(cli.db);
    waiting = [...acts, ["worker", "start", "--drain"]].map((args) => cli.spawn(args));
    cli.write("go"); // so that there is a result to be written as well
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const [looking, ...writing] = waiting.toReversed().slice(1);
    assertEquals(looking!.ended, true, "whoever only looks has not to wait");
    assertEquals(writing.filter(({ ended }) => ended), [], "it was not locked");
  }
  for (const { result } of waiting) {
    const { code, stderr } = await result;
    assertEquals(code, 0, stderr);
  }
  await worker.event("completed", "running", 1);
  await waitUntil(async () => (await cli.show("new")).state === "completed", "the new job");
  await stop(worker);
  assertEquals((await cli.show("unwanted")).state, "cancelled");
  assertEquals(await cli.ok("config", "get", "max_retries"), "max_retries=7");
  assertEquals((await cli.show("running")).attempts_history.length, 1);
  await assertSound(cli, ["running", "unwanted", "new"]);
});

Deno.test("failure 19: while the store is kept busy for too long, enqueue says so and a worker keeps its jobs", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "ends", command: WAITING }, { id: "goes-on", command: "sleep 1" });
  const worker = await cli.startWorker();
  await cli.linesOnce("began", 1);
  {
    using _lock = holdLock(cli.db);
    cli.write("go");
    const { code, stdout, stderr } = await cli.run(["enqueue", "--id", "refused", "true"]);
    assertEquals([code, stdout], [1, ""]);
    assertMatch(
      stderr,
      /^Cannot \w+ in the store ".*": another process has kept it busy for too long\n$/,
    );
    await worker.event("warning");
    assertEquals(worker.events.map(({ event }) => event).includes("completed"), false);
  }
  await worker.event("completed", "ends", 1);
  await worker.event("completed", "goes-on", 1);
  await stop(worker);
  await assertSound(cli, ["ends", "goes-on"]);
});

Deno.test("failure 19: a worker that cannot renew its lease ends its job before the lease can be taken", async () => {
  const LEASE_MS = 5000;
  await using cli = new Cli();
  await cli.ok("config", "set", "lease", String(LEASE_MS / 1000));
  await cli.enqueue({ id: "job", command: WAITING, backoff_base: 0 });
  const worker = await cli.startWorker();
  const [pid] = await cli.linesOnce("began", 1);
  {
    using _lock = holdLock(cli.db);
    const [renewed] = await cli.json("worker", "list");
    const lost = await worker.event("lost", "job", 1);
    assertStringIncludes(String(lost.reason), "could not renew the lease");
    const quietMs = between(renewed.heartbeat_at, lost.at);
    assert(quietMs < LEASE_MS, `it let go of its job after ${quietMs} ms`);
    await waitUntil(() => !lives(pid!), "the end of the job", { timeoutMs: TOO_LONG_MS });
    assertEquals((await cli.show("job")).state, "processing", "the lock was held all the time");
  }
  cli.write("go");
  await worker.event("completed", "job", 2);
  await stop(worker);
  const { attempts_history } = await cli.show("job");
  assertEquals(attempts_history.map(({ outcome }) => outcome), ["lost", "completed"]);
  await assertSound(cli, ["job"]);
});
