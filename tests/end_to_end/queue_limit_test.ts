import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname, fromFileUrl } from "@std/path";
import { Cli, commandLine, forShell, type ShownJob, waitUntil } from "../helpers/cli.ts";

const SCRIPT = fromFileUrl(new URL("../../scripts/limit_test.sh", import.meta.url));

/** Notes that it has started, and runs until there is a file `go`. */
const WAITING = "echo $QUEUECTL_JOB_ID >> started; until [ -e go ]; do sleep 0.02; done";

/** Enqueues `count` jobs with the same command to the queue `few`. */
async function fill(cli: Cli, count: number, command: string) {
  const jobs = Array.from(
    { length: count },
    (_, i) => ({ id: `job-${i}`, queue: "few", command }),
  );
  const { code, stderr } = await cli.run(["enqueue", "@-"], { stdin: JSON.stringify(jobs) });
  assertEquals(code, 0, stderr);
}

async function countProcessing(cli: Cli): Promise<number> {
  const [queue] = await cli.json("queue", "list");
  assertEquals(queue.name, "few");
  return queue.jobs.processing;
}

/** How many attempts were running at the same time at most, as their history has it. */
function mostAtOnce(jobs: ShownJob[]): number {
  const changes = jobs.flatMap(({ attempts_history: attempts }) =>
    attempts.flatMap(({ started_at, finished_at }) => [
      { at: Date.parse(started_at), change: 1 },
      { at: Date.parse(finished_at!), change: -1 },
    ])
  );
  let [running, most] = [0, 0];
  // An attempt that begins in the very millisecond in which another one ends comes after it.
  for (const { change } of changes.toSorted((a, b) => a.at - b.at || a.change - b.change)) {
    running += change;
    most = Math.max(most, running);
  }
  return most;
}

Deno.test("failure 33: queue limit holds over all executors of all worker processes, and is made use of", async () => {
  await using cli = new Cli();
  await cli.ok("queue", "limit", "few", "3");
  await fill(cli, 24, "sleep 0.05");
  const drains = [1, 2, 3].map(() => cli.drain("--count", "4"));
  assertEquals(await Promise.all(drains), [0, 0, 0]);
  const jobs = await Promise.all(Array.from({ length: 24 }, (_, i) => cli.show(`job-${i}`)));
  assertEquals(jobs.filter(({ state }) => state !== "completed"), []);
  assertEquals(mostAtOnce(jobs), 3);
});

Deno.test("a job that the limit of its queue holds back says so; other queues are not held back", async () => {
  await using cli = new Cli();
  assertEquals(await cli.ok("queue", "limit", "few", "1"), "few: open, limit 1");
  await fill(cli, 2, WAITING);
  const worker = await cli.startWorker("--count", "4");
  await cli.linesOnce("started", 1);
  await cli.ok("enqueue", "--id", "free", "--queue", "other", "true");
  await worker.event("completed", "free");
  assertEquals(cli.lines("started"), ["job-0"]);
  assertEquals((await cli.show("job-1")).waits_for, "queue limit 1 reached");
  assertStringIncludes(await cli.ok("list"), "queue limit 1 reached");
  const [row] = (await cli.ok("queue", "list")).split("\n").filter((line) => /^few/.test(line));
  assertMatch(row!, /^few\s+1\s+1\s+1\s+0\s+open$/);

  cli.write("go");
  await worker.event("completed", "job-1");
});

Deno.test("the end of a job wakes the idle worker of another process that the limit held back", async () => {
  await using cli = new Cli();
  await cli.ok("queue", "limit", "few", "1");
  await fill(cli, 2, WAITING);
  await cli.startWorker("--limit", "1");
  await cli.linesOnce("started", 1);
  const held = await cli.startWorker("--poll", "1h");
  await cli.ok("enqueue", "--id", "other", "true");
  await held.event("completed", "other");
  assertEquals(cli.lines("started"), ["job-0"]);
  cli.write("go");
  await held.event("completed", "job-1");
});

Deno.test("a higher limit, and none, let more jobs run at once; a lower one ends none", async () => {
  await using cli = new Cli();
  await cli.ok("queue", "limit", "few", "1");
  await fill(cli, 6, WAITING);
  await cli.startWorker("--count", "8", "--poll", "1h");
  await cli.linesOnce("started", 1);
  await cli.ok("queue", "limit", "few", "3");
  await cli.linesOnce("started", 3);
  await waitUntil(async () => await countProcessing(cli) === 3, "three jobs to run");
  await cli.ok("queue", "limit", "few", "1");
  assertEquals(await countProcessing(cli), 3);
  assertEquals(await cli.ok("queue", "limit", "few", "none"), "few: open, no limit");
  assertEquals(
    (await cli.linesOnce("started", 6)).sort(),
    [0, 1, 2, 3, 4, 5].map((i) => `job-${i}`),
  );
});

Deno.test("a forced stop frees the place of a job in a limited queue", async () => {
  await using cli = new Cli();
  await cli.ok("queue", "limit", "few", "1");
  await fill(cli, 2, WAITING);
  await cli.startWorker();
  await cli.linesOnce("started", 1);
  await cli.ok("worker", "stop", "--force");
  assertEquals(await countProcessing(cli), 0);
  cli.write("go");
  assertEquals(await cli.drain("--count", "2"), 0);
  const jobs = [await cli.show("job-0"), await cli.show("job-1")];
  assertEquals(jobs.map(({ state }) => state), ["completed", "completed"]);
  assertEquals(mostAtOnce(jobs), 1);
});

Deno.test("cancelling the job that fills a limited queue lets the next one run", async () => {
  await using cli = new Cli();
  await cli.ok("queue", "limit", "few", "1");
  await fill(cli, 2, WAITING);
  await cli.startWorker("--count", "2", "--poll", "1h");
  await cli.linesOnce("started", 1);
  await cli.ok("cancel", "job-0");
  assertEquals(await cli.linesOnce("started", 2), ["job-0", "job-1"]);
});

/** Runs scripts/limit_test.sh with the deno that runs this test. */
async function runScript(cli: Cli, args: string[], env: Record<string, string> = {}) {
  const path = `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`;
  return await cli.spawnProgram("sh", [SCRIPT, ...args], { env: { PATH: path, ...env } }).result;
}

Deno.test("failure 33: scripts/limit_test.sh passes: under kill -9 a queue limited to one never runs two jobs", async () => {
  await using cli = new Cli();
  const { code, stdout, stderr } = await runScript(cli, ["60", "4", "2"]);
  assertEquals(code, 0, stdout + stderr);
  assertMatch(stdout, /\n60 jobs completed in \d+ s, 60 ran to their end, /);
  assertMatch(stdout, / [1-9]\d* worker processes killed, [1-9]\d* attempts lost\n/);
  assertStringIncludes(stdout, "\n0 overlaps seen by jobs, 0 in the history\n");
});

Deno.test("scripts/limit_test.sh fails where nothing limits the queue", async () => {
  await using cli = new Cli();
  cli.write(
    "unlimited.sh",
    `[ "$3 $4" != "queue limit" ] || exit 0
    exec ${forShell(commandLine())} "$@"`,
  );
  const env = { QUEUECTL: `sh ${cli.path("unlimited.sh")}` };
  const { code, stdout } = await runScript(cli, ["6", "2", "2"], env);
  assertEquals(code, 1);
  assertMatch(stdout, /\n[1-9]\d* overlaps seen by jobs, [1-9]\d* in the history\n/);
});
