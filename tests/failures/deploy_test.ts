import { assert, assertEquals } from "@std/assert";
import { Cli, type ShownJob, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

Deno.test("failure 12: while new worker processes take over from old ones, no job runs twice and none is left", async () => {
  await using cli = new Cli();
  const ids = Array.from({ length: 120 }, (_, i) => `job-${i}`);
  await cli.enqueue(
    ...ids.map((id, i) => ({ id, command: `sleep 0.${i % 3}; echo ${id} >> ran` })),
  );
  let workers = await Promise.all([1, 2].map(() => cli.startWorker("--count", "3")));
  for (const deploy of [1, 2]) {
    const news = await Promise.all([1, 2].map(() => cli.startWorker("--count", "3")));
    await Promise.all(news.map((worker) => worker.event("claimed")));
    assert(cli.lines("ran").length < ids.length, `deploy ${deploy} came too late to be one`);
    for (const worker of workers) worker.signal("SIGTERM");
    for (const worker of workers) assertEquals((await worker.result).code, 0);
    workers = news;
  }
  await waitUntil(async () => (await cli.json("status")).jobs.completed === ids.length, "the end", {
    everyMs: 200,
  });
  assertEquals(cli.lines("ran").sort(), ids.toSorted());
  const jobs: ShownJob[] = await cli.json("list", "--limit", "0");
  assertEquals(jobs.filter(({ attempts }) => attempts !== 1), []);
  await assertSound(cli, ids);
});
