import { Database } from "@db/sqlite";
import { assert, assertEquals } from "@std/assert";
import { Cli, commandLine, forShell, waitUntil } from "../helpers/cli.ts";
import { between, seeded } from "../helpers/random.ts";

const QUEUECTL = forShell(commandLine());
const NOTE = "echo $QUEUECTL_JOB_ID >> ran";
const HOUR_MS = 3_600_000;

/** A job as a line of JSON describes it. */
interface Described {
  id: string;
  priority: number;
  run_at?: string;
  delay?: string;
}

/** A job as `list --json` shows it. */
type Listed = Record<"id" | "run_at" | "created_at", string> & { priority: number };

/** Jobs of five priorities that are due at once, at one of four times in the past, or a little later. */
function mixedJobs(count: number, seed: number): Described[] {
  const random = seeded(seed);
  const pasts = [1, 2, 3, 4].map((hours) => new Date(Date.now() - hours * HOUR_MS).toISOString());
  return Array.from({ length: count }, (_, i): Described => {
    const job = { id: `job-${i}`, priority: between(random, -2, 2) };
    const kind = between(random, 0, 2);
    if (kind === 0) return job;
    if (kind === 1) return { ...job, delay: `${between(random, 1, 9)}00ms` };
    return { ...job, run_at: pasts[between(random, 0, 3)] };
  });
}

function assertDueAsDescribed(listed: Listed[], described: Described[]) {
  const askedAt = new Set<number>();
  described.forEach(({ id, priority, run_at: runAt, delay }, i) => {
    const job = listed[i]!;
    assertEquals([job.id, job.priority], [id, priority]);
    if (delay) askedAt.add(Date.parse(job.run_at) - parseInt(delay));
    else assertEquals(job.run_at, runAt ?? job.created_at);
  });
  assertEquals(askedAt.size, 1);
  const [at] = askedAt;
  const waitMs = Date.parse(listed[0]!.created_at) - at!;
  assert(waitMs >= 0 && waitMs < 10_000, `asked for ${waitMs} ms before they were there`);
}

/** The ids of jobs in the order they should run: by priority, then by when they are due, then as they came. */
function inOrder(jobs: Listed[]): string[] {
  const later = (a: Listed, b: Listed) => Date.parse(a.run_at) - Date.parse(b.run_at);
  return jobs.toSorted((a, b) => b.priority - a.priority || later(a, b)).map(({ id }) => id);
}

/** Makes a job look as if it had been added, and due, some hours earlier. No worker may run meanwhile. */
function makeOlder(cli: Cli, id: string, hours: number) {
  const db = new Database(cli.db, { int64: true });
  try {
    const older = "update jobs set created_at = created_at - ?, run_at = run_at - ? where id = ?";
    assertEquals(db.prepare(older).run(hours * HOUR_MS, hours * HOUR_MS, id), 1);
  } finally {
    db.close();
  }
}

for (const seed of [1, 2]) {
  Deno.test(`one worker runs the highest priority first, then what is due first, then what came first (seed ${seed})`, async () => {
    await using cli = new Cli();
    const described = mixedJobs(80, seed);
    const lines = described.map((job) => JSON.stringify({ ...job, command: NOTE }) + "\n");
    cli.write("jobs.jsonl", lines.join(""));
    await cli.ok("enqueue", "@jobs.jsonl");

    const listed: Listed[] = await cli.json("list");
    assertDueAsDescribed(listed, described);
    const last = Math.max(...listed.map(({ run_at }) => Date.parse(run_at)));
    await waitUntil(() => Date.now() > last, "the last job to be due");

    assertEquals(await cli.drain(), 0);
    assertEquals(cli.lines("ran"), inOrder(listed));
  });
}

Deno.test("--priority, --run-at and --delay of enqueue decide the order as their keys in JSON do", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "usual", NOTE);
  await cli.ok("enqueue", "--id", "low", "--priority", "-3", NOTE);
  await cli.ok("enqueue", "--id", "delayed", "--delay", "200ms", NOTE);
  await cli.ok("enqueue", "--id", "past", "--run-at", "2020-02-29T12:00:00Z", NOTE);
  await cli.ok("enqueue", "--id", "high", "--priority", "+7", NOTE);
  await cli.ok("enqueue", "--id", "later", "--priority", "1000", "--run-at", "+1h", NOTE);
  const { run_at: dueAt } = await cli.json("show", "delayed");
  await waitUntil(() => Date.now() > Date.parse(dueAt), "the delayed job to be due");

  const worker = await cli.startWorker();
  assertEquals(await cli.linesOnce("ran", 5), ["high", "past", "usual", "delayed", "low"]);
  await worker.event("completed", "low");
  const later = await cli.show("later");
  assertEquals([later.state, later.attempts], ["pending", 0]);
});

Deno.test("a job does not start before it is due, and then at once, however seldom the worker looks", async () => {
  await using cli = new Cli();
  const worker = await cli.startWorker("--poll", "1h");
  await cli.ok("enqueue", "--id", "soon", "--delay", "700ms", "true");
  await worker.event("completed", "soon");
  const { run_at, started_at } = await cli.json("show", "soon");
  const lateMs = Date.parse(started_at) - Date.parse(run_at);
  assert(lateMs >= 0 && lateMs < 1500, `started ${lateMs} ms after it was due`);
});

Deno.test("while a queue is kept busy with higher priorities, a low one runs when it has waited long enough", async () => {
  await using cli = new Cli();
  // Each of these adds its successor, so that some are always waiting: more than are claimed ahead, which
  // are two at most, because each starts a program that takes more than 50 ms.
  const BUSY = 6;
  const busy = ["enqueue", "--priority", "1", "sh busy.sh"];
  cli.write("busy.sh", `echo busy >> ran; ${QUEUECTL} enqueue --priority 1 'sh busy.sh'`);
  for (let i = 0; i < BUSY; i++) await cli.ok(...busy);
  await cli.ok("enqueue", "--id", "low", "echo low >> ran");
  await cli.startWorker();
  await cli.linesOnce("ran", 2 * BUSY);
  await cli.ok("worker", "stop");
  const before = cli.lines("ran");
  assertEquals(before.filter((line) => line === "low"), []);

  makeOlder(cli, "low", 2);
  await cli.startWorker();
  await cli.linesOnce("ran", before.length + 3);
  await cli.ok("worker", "stop");
  const after = cli.lines("ran").slice(before.length);
  assertEquals(after[0], "low");
  assertEquals(after.slice(1).every((line) => line === "busy"), true);
  assertEquals((await cli.json("status")).jobs.pending, BUSY);
});
