import { assert, assertEquals } from "@std/assert";
import { between, Cli } from "../helpers/cli.ts";

const ONE_AFTER_ANOTHER = 8;

Deno.test("an idle worker with a long poll starts what other processes enqueue, soon and without losing any", async () => {
  await using cli = new Cli();
  const worker = await cli.startWorker("--poll", "1h");
  const ids: string[] = [];
  for (let i = 0; i < ONE_AFTER_ANOTHER; i++) {
    const id = await cli.ok("enqueue", "true");
    await worker.event("completed", id);
    ids.push(id);
  }
  const jobs = await cli.json("list");
  for (const { id, state, created_at, started_at } of jobs) {
    assertEquals(state, "completed");
    const waitMs = between(created_at, started_at);
    assert(waitMs < 1500, `${id} waited ${waitMs} ms`);
  }
  assertEquals(jobs.map(({ id }: { id: string }) => id), ids);
});

Deno.test("a worker that runs one job wakes up for another one that is due meanwhile", async () => {
  await using cli = new Cli();
  const waiting = "until [ -e go ]; do sleep 0.02; done";
  await cli.ok("enqueue", "--id", "long", waiting);
  const worker = await cli.startWorker("--count", "2", "--poll", "1h");
  await worker.event("claimed", "long");
  await cli.ok("enqueue", "--id", "short", "true");
  await worker.event("completed", "short");
  const { created_at, started_at } = (await cli.json("list"))[1];
  assert(between(created_at, started_at) < 1500);
  cli.write("go");
  await worker.event("completed", "long");
});

Deno.test("several worker processes and a crowd of enqueues lose nothing and run nothing twice", async () => {
  await using cli = new Cli();
  const workers = [await cli.startWorker("--count", "2"), await cli.startWorker("--count", "2")];
  const enqueues = Array.from({ length: 12 }, () => cli.ok("enqueue", "echo x >> ran"));
  await Promise.all(enqueues);
  await cli.linesOnce("ran", 12);
  assertEquals(await cli.ok("worker", "stop"), "Stopped 2 of 2 worker processes");
  for (const { result } of workers) assertEquals((await result).code, 0);
  assertEquals(cli.lines("ran").length, 12);
  assertEquals((await cli.json("status")).jobs.completed, 12);
});
