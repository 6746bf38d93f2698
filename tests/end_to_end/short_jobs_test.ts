import { assert, assertEquals } from "@std/assert";
import { Cli, type ShownJob, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

const JOBS = 60;

Deno.test("short jobs of one executor follow each other in the history, none before the end of another", async () => {
  await using cli = new Cli();
  const ids = Array.from({ length: JOBS }, (_, i) => `job-${String(i).padStart(2, "0")}`);
  await cli.enqueue(...ids.map((id) => ({ id, command: "echo $QUEUECTL_JOB_ID >> ran" })));
  assertEquals(await cli.drain(), 0);
  assertEquals(cli.lines("ran"), ids);
  const jobs: ShownJob[] = await cli.json("list");
  for (const [i, { started_at, finished_at, attempts }] of jobs.entries()) {
    assert(started_at! <= finished_at!, `job ${i} ended before it began`);
    const next = jobs[i + 1];
    assert(!next || finished_at! <= next.started_at!, `job ${i + 1} began before job ${i} ended`);
    assertEquals(attempts, 1);
  }
  await assertSound(cli, ids);
});

Deno.test("what was claimed ahead behind a job that turns out to be long runs elsewhere", async () => {
  await using cli = new Cli();
  const short = Array.from({ length: 40 }, () => ({ command: "true" }));
  await cli.enqueue(...short, { command: "sleep 30", id: "long" }, ...short);
  const worker = await cli.startWorker("--count", "2");
  await waitUntil(async () => {
    const { jobs } = await cli.json("status");
    return jobs.completed === 2 * short.length;
  }, "all short jobs");
  assertEquals((await cli.show("long")).state, "processing");
  worker.signal("SIGTERM");
  worker.signal("SIGKILL");
});
