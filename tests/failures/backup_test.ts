import { assert, assertEquals } from "@std/assert";
import { Cli, type ShownJob, waitUntil } from "../helpers/cli.ts";

const COPIES = 2;
/** How many short jobs each round adds while the store is copied. */
const BATCH = 60;

async function jobsOf(cli: Cli, db: string): Promise<ShownJob[]> {
  return await cli.json("--db", db, "list", "--limit", "0");
}

function idsIn(jobs: readonly ShownJob[], state: string): string[] {
  return jobs.filter((job) => job.state === state).map(({ id }) => id);
}

Deno.test("failure 24: a backup under load opens, passes its check, and its running jobs run again", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "durability", "normal");
  const long = { command: "echo $QUEUECTL_JOB_ID >> began; until [ -e go ]; do sleep 0.1; done" };
  await cli.enqueue({ id: "long-1", ...long }, { id: "long-2", ...long });
  const workers = [await cli.startWorker("--count", "3"), await cli.startWorker("--count", "3")];
  await cli.linesOnce("began", 2);

  const accepted: string[] = [];
  let enough = false;
  const load = (async () => {
    for (let batch = 0; !enough; batch++) {
      const ids = Array.from({ length: BATCH }, (_, i) => `short-${batch}-${i}`);
      await cli.enqueue(...ids.map((id) => ({ id, command: "true" })));
      accepted.push(...ids);
    }
  })();
  const copies: { path: string; accepted: string[] }[] = [];
  for (let i = 0; i < COPIES; i++) {
    const path = cli.path(`copy-${i}.db`);
    const before = accepted.length;
    await waitUntil(() => accepted.length > before, "more jobs");
    const completed = (await cli.json("status")).jobs.completed;
    copies.push({ path, accepted: [...accepted] });
    await cli.ok("backup", path);
    await waitUntil(
      async () => (await cli.json("status")).jobs.completed > completed,
      "the workers to go on",
    );
  }
  enough = true;
  await load;

  for (const { path, accepted } of copies) {
    assertEquals((await cli.run(["--db", path, "doctor"])).code, 0);
    const copied = await jobsOf(cli, path);
    const ids = new Set(copied.map(({ id }) => id));
    assertEquals(accepted.filter((id) => !ids.has(id)), []);
    assertEquals(idsIn(copied, "processing"), []);
    assertEquals(["long-1", "long-2"].filter((id) => !idsIn(copied, "pending").includes(id)), []);
  }

  // The workers of the copy finish in it what had been enqueued there, and nothing else.
  cli.write("go");
  const { path } = copies.at(-1)!;
  const before = await jobsOf(cli, path);
  const { code, stderr } = await cli.run(["--db", path, "worker", "start", "--drain", "-c", "4"]);
  assertEquals(code, 0, stderr);
  const after = await jobsOf(cli, path);
  assertEquals(after.map(({ id }) => id), before.map(({ id }) => id));
  assertEquals(idsIn(after, "completed").length, after.length);
  for (const id of ["long-1", "long-2"]) {
    const { attempts_history }: ShownJob = await cli.json("--db", path, "show", id);
    const outcomes = attempts_history.map(({ outcome }) => outcome);
    assertEquals(outcomes, ["interrupted", "completed"]);
  }
  assertEquals((await cli.run(["--db", path, "doctor"])).code, 0);

  await waitUntil(
    async () => (await cli.json("status")).jobs.completed === accepted.length + 2,
    "the end of the original's jobs",
  );
  assertEquals((await cli.show("long-1")).attempts_history.length, 1, "the original lost a job");
  for (const worker of workers) {
    worker.signal("SIGTERM");
    assertEquals((await worker.result).code, 0);
  }
  assert((await cli.run(["doctor"])).code === 0);
});
