import { assertEquals } from "@std/assert";
import { Cli, commandLine, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

const JOBS = 20_000;
const PROCESSES = 8;

/** Starts a worker process that may take longer than a command of `cli` may. */
function startDrain(cli: Cli): Deno.ChildProcess {
  const [program, ...args] = commandLine("worker", "start", "--drain", "--quiet");
  return new Deno.Command(program, {
    args,
    cwd: cli.folder,
    env: { QUEUECTL_DB: cli.db },
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
}

Deno.test("failure 30: eight worker processes run each of 20,000 jobs once", async () => {
  await using cli = new Cli();
  const command = "echo $QUEUECTL_JOB_ID >> ran";
  const ids = Array.from({ length: JOBS }, (_, i) => `job-${i}`);
  // The last quarter is claimed one by one only, the others may be claimed ahead.
  const once = new Set(ids.slice(JOBS * 3 / 4));
  await cli.enqueue(
    ...ids.map((id) => ({ id, command, ...once.has(id) && { max_retries: 1 } })),
  );
  const workers = Array.from({ length: PROCESSES }, () => startDrain(cli));
  const codes = await Promise.all(workers.map(async ({ status }) => (await status).code));
  assertEquals(codes, workers.map(() => 0));
  await waitUntil(() => cli.lines("ran").length >= JOBS, "the last line");
  assertEquals(cli.lines("ran").sort(), ids.sort());
  assertEquals((await cli.json("status")).jobs.completed, JOBS);
  const history = await cli.history();
  const claims = history.filter(({ event }) => event === "claimed");
  const givenBack = history.filter(({ event }) => event === "interrupted");
  assertEquals(new Set(claims.map(({ actor }) => actor)).size, PROCESSES, "some had nothing to do");
  assertEquals(claims.filter(({ job }) => once.has(job!)).length, once.size);
  assertEquals(claims.length, JOBS + givenBack.length);
  await assertSound(cli, ids);
});
