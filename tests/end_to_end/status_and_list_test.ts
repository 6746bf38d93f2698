import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Cli, waitUntil } from "../helpers/cli.ts";

const JOB_KEYS =
  "id command state queue priority attempts max_retries backoff_base timeout_ms cwd run_at " +
  "created_at updated_at started_at finished_at exit_code signal last_error worker_id tags key " +
  "schedule";
const ATTEMPT_KEYS = "attempt outcome worker_id started_at finished_at exit_code signal error";
const WORKER_KEYS = "id host pid count started_at heartbeat_at running";
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

function idsOf(jobs: { id: string }[]): string[] {
  return jobs.map(({ id }) => id);
}

/** A store with a job in each state that there can be, and the worker that runs one of them. */
async function storeWithAllStates() {
  const cli = new Cli();
  const jobs = [
    { id: "good", command: "echo out" },
    { id: "dying", command: "exit 3", max_retries: 1 },
    { id: "retrying", command: "exit 4", backoff_base: 1000 },
    { id: "running", command: "echo x > started; while :; do sleep 0.05; done" },
    { id: "waiting", command: "true" },
    { id: "following", command: "true", after: "running" },
    { id: "unwanted", command: "true" },
  ];
  await cli.run(["enqueue", "@-"], { stdin: JSON.stringify(jobs) });
  await cli.ok("cancel", "unwanted");
  const worker = await cli.startWorker();
  await cli.linesOnce("started", 1);
  // Until the one that runs takes longer than those before it, another one may have been claimed behind it.
  const pending = async () => (await jsonOf(cli, "status")).jobs.pending;
  await waitUntil(async () => await pending() === 1, "the one that waits");
  return { cli, worker };
}

/** What a process of its own prints as JSON: this is about the looks themselves. */
// deno-lint-ignore no-explicit-any -- every caller knows what it asked for
async function jsonOf(cli: Cli, ...args: string[]): Promise<any> {
  return JSON.parse(await cli.ok(...args, "--json"));
}

Deno.test("status and list show jobs in every state", async () => {
  const { cli, worker } = await storeWithAllStates();
  await using _ = cli;
  const status = await jsonOf(cli, "status");
  assertEquals(status.jobs, {
    ...{ pending: 1, processing: 1, completed: 1, failed: 1, dead: 1, cancelled: 1, blocked: 1 },
  });
  const [shown, ...others] = status.workers;
  assertEquals(others, []);
  assertEquals(Object.keys(shown).sort(), WORKER_KEYS.split(" ").sort());
  assertEquals([shown.pid, shown.count, shown.running], [worker.pid, 1, ["running"]]);
  assertEquals(shown.host, Deno.hostname());
  for (const at of [shown.started_at, shown.heartbeat_at]) assertMatch(at, INSTANT);

  for (
    const [state, id] of Object.entries({
      pending: "waiting",
      processing: "running",
      running: "running",
      completed: "good",
      failed: "retrying",
      dead: "dying",
      Dead: "dying",
      cancelled: "unwanted",
      blocked: "following",
    })
  ) {
    assertEquals(idsOf(await jsonOf(cli, "list", "--state", state)), [id], state);
  }

  const page = await cli.ok("status");
  assertMatch(page, /^processing +1$/m);
  assertStringIncludes(page, String(worker.pid));
  const details = await cli.ok("show", "dying");
  for (const part of ["dying", "exit 3", "dead", "Exit code 3"]) {
    assertStringIncludes(details, part);
  }
  assertStringIncludes(await cli.ok("show", "good"), "out");
});

Deno.test("list --json and show --json have the documented keys and values", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "fresh", "--timeout", "5", "echo 1");
  await cli.ok("enqueue", "--id", "other", "--max-retries", "1", "exit 3");
  const [fresh] = await jsonOf(cli, "list");
  assertEquals(Object.keys(fresh).sort(), JOB_KEYS.split(" ").sort());
  assertMatch(fresh.created_at, INSTANT);
  assertEquals(fresh, {
    ...{ id: "fresh", command: "echo 1", state: "pending", queue: "default", priority: 0 },
    ...{ attempts: 0, max_retries: 3, backoff_base: 2, timeout_ms: 5000, cwd: cli.folder },
    ...{ run_at: fresh.created_at, created_at: fresh.created_at, updated_at: fresh.created_at },
    ...{ started_at: null, finished_at: null, exit_code: null, signal: null, last_error: null },
    ...{ worker_id: null, tags: [], key: null, schedule: null },
  });
  assertEquals((await jsonOf(cli, "show", "fresh")).waits_for, "no worker is running");

  await cli.drain();
  const { attempts_history: history, waits_for, ...job } = await jsonOf(cli, "show", "other");
  assertEquals(job, (await jsonOf(cli, "list"))[1]);
  assertEquals(waits_for, null);
  const [attempt, ...more] = history;
  assertEquals(more, []);
  assertEquals(Object.keys(attempt).sort(), ATTEMPT_KEYS.split(" ").sort());
  for (const at of [job.started_at, job.finished_at, attempt.started_at, attempt.finished_at]) {
    assertMatch(at, INSTANT);
  }
  assertMatch(job.worker_id, /^[0-9a-z]+-1$/);
  assertEquals(attempt, {
    ...{ attempt: 1, outcome: "failed", worker_id: job.worker_id, exit_code: 3, signal: null },
    ...{ started_at: job.started_at, finished_at: job.finished_at, error: "Exit code 3" },
  });
});

Deno.test("list shows the newest jobs, the newest last, and says how many older ones there are", async () => {
  await using cli = new Cli();
  const jobs = Array.from({ length: 103 }, (_, i) => ({ id: `job${i}`, command: "true" }));
  await cli.run(["enqueue", "@-"], { stdin: JSON.stringify(jobs) });
  const plain = await cli.run(["list", "--json"]);
  assertEquals(idsOf(JSON.parse(plain.stdout)), idsOf(jobs.slice(3)));
  assertMatch(plain.stderr, /^3 older jobs [^\n]*--limit 0[^\n]*\n$/);
  const two = await cli.run(["list", "--json", "--limit", "2"]);
  assertEquals(idsOf(JSON.parse(two.stdout)), ["job101", "job102"]);
  assertMatch(two.stderr, /^101 older/);
  const all = await cli.run(["list", "--json", "--limit", "0"]);
  assertEquals(idsOf(JSON.parse(all.stdout)), idsOf(jobs));
  assertEquals(all.stderr, "");
});

Deno.test("list --search finds text in ids and commands, in any case, without patterns", async () => {
  await using cli = new Cli();
  const jobs = [
    { id: "Backup-1", command: "tar cf x" },
    { id: "b", command: "make BACKUP" },
    { id: "c", command: "echo 100%" },
    { id: "d", command: "echo 100" },
    { id: "e", command: "echo it's" },
  ];
  await cli.run(["enqueue", "@-"], { stdin: JSON.stringify(jobs) });
  const search = async (text: string) => idsOf(await jsonOf(cli, "list", "--search", text));
  assertEquals(await search("backup"), ["Backup-1", "b"]);
  assertEquals(await search("100%"), ["c"]);
  assertEquals(await search("it's"), ["e"]);
  assertEquals(await search("_"), []);
});

Deno.test("show finds a job by a unique prefix of its id", async () => {
  await using cli = new Cli();
  const id = await cli.ok("enqueue", "true");
  assertEquals((await jsonOf(cli, "show", id.slice(0, 4))).id, id);
  assertEquals((await cli.run(["show", id.slice(0, 3)])).code, 1);
});

Deno.test("failure 36: hostile text in commands, output and errors never reaches the terminal as it is", async () => {
  await using cli = new Cli();
  const hostile =
    "printf '\x1b[2Jgone\\n\\033]0;title\\007\u202e'; exit 1 # \r\x07\u200b\x9b'; drop";
  await cli.ok("enqueue", "--id", "evil", "--max-retries", "1", hostile);
  const worker = await cli.run(["worker", "start", "--drain", "--verbose"]);
  const printed = [worker.stderr];
  for (const args of [["list"], ["show", "evil"], ["dlq", "list"], ["status"]]) {
    printed.push(await cli.ok(...args));
  }
  // deno-lint-ignore no-control-regex -- that is the point
  const harmful = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e]/;
  for (const text of printed) assert(!harmful.test(text), JSON.stringify(text));
  assertStringIncludes(printed[1]!, "\\e[2Jgone");
  assertEquals(
    (await jsonOf(cli, "show", "evil")).command,
    hostile,
    "JSON has the text itself, escaped",
  );
});

Deno.test("commands that only look show an empty store where there is none, and make none", async () => {
  await using cli = new Cli();
  const { code, stdout, stderr } = await cli.run(["list"]);
  assertEquals([code, stdout, stderr], [0, "", "No jobs\n"]);
  assertEquals(await jsonOf(cli, "list"), []);
  assertEquals((await jsonOf(cli, "status")).workers, []);
  assertEquals((await jsonOf(cli, "status")).jobs.pending, 0);
  assertEquals((await cli.run(["show", "nosuchjob"])).code, 1);
  assertEquals((await cli.run(["logs", "nosuchjob"])).code, 1);
  assertEquals((await cli.run(["dlq", "retry", "--all"])).code, 0);
  assertEquals([...Deno.readDirSync(cli.folder)], []);
});

Deno.test("what is not for a terminal has neither colour nor lines nor cut commands", async () => {
  await using cli = new Cli();
  const long = `echo ${"x".repeat(500)}`;
  await cli.ok("enqueue", "--id", "long", long);
  const list = await cli.ok("list");
  assertStringIncludes(list, long);
  // deno-lint-ignore no-control-regex -- that is the point
  assert(!/\x1b|─/.test(list + await cli.ok("status")));
});
