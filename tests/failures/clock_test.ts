import { assert, assertEquals } from "@std/assert";
import {
  type Child,
  Cli,
  MAIN,
  type RunOptions,
  type ShownJob,
  waitUntil,
} from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const WAITING = "echo $$ >> began; until [ -e go ]; do sleep 0.05; done";

const CLOCK = new URL("./stepped_clock.ts", import.meta.url).pathname;

/** The command line in a world with a clock on the wall that the test can set. */
class SteppedCli extends Cli {
  #aheadMs = 0;

  constructor() {
    super();
    this.setClock(0);
  }

  /** In a process of its own: this one has the real clock. */
  override look(...args: string[]): Promise<string> {
    return this.ok(...args);
  }

  /** Sets the clock of all processes so far ahead of the real one, also of those that run. */
  setClock(aheadMs: number) {
    this.#aheadMs = aheadMs;
    this.write("clock", String(aheadMs));
  }

  now(): number {
    return Date.now() + this.#aheadMs;
  }

  override spawn(args: readonly string[], options: RunOptions = {}): Child {
    const words = ["run", "-A", "--no-prompt", "--preload", CLOCK, MAIN, ...args];
    const env = { ...options.env, TEST_CLOCK: this.path("clock") };
    return this.spawnProgram(Deno.execPath(), words, { ...options, env });
  }

  /** Resolves when every worker process has renewed its leases after `at`. */
  async renewedAfter(at: number) {
    await waitUntil(async () => {
      const workers: { heartbeat_at: string }[] = await this.json("worker", "list");
      return workers.every(({ heartbeat_at }) => Date.parse(heartbeat_at) > at);
    }, "the workers to renew their leases");
  }
}

async function stop(...workers: Child[]) {
  for (const worker of workers) {
    worker.signal("SIGTERM");
    const { code, stderr } = await worker.result;
    assertEquals(code, 0, stderr);
  }
}

function names({ events }: Child): string[] {
  return events.map(({ event }) => event);
}

async function outcomes(cli: Cli, id: string): Promise<(string | null)[]> {
  return (await cli.show(id)).attempts_history.map(({ outcome }) => outcome);
}

Deno.test("failure 27: when the clock steps an hour forward, leases with live workers are not taken", async () => {
  await using cli = new SteppedCli();
  await cli.ok("config", "set", "lease", "1");
  await cli.ok("enqueue", "--id", "job", WAITING);
  const busy = await cli.startWorker();
  await cli.linesOnce("began", 1);
  const idle = await cli.startWorker();
  cli.setClock(HOUR);
  await cli.renewedAfter(cli.now() + 2 * SECOND);
  assertEquals((await cli.show("job")).attempts, 1);
  cli.write("go");
  const completed = await busy.event("completed", "job", 1);
  assert(Date.parse(completed.at) > Date.now() + HOUR / 2, "the clock has not been set");
  await stop(busy, idle);
  assertEquals(names(busy).includes("lost"), false);
  assertEquals(names(idle).includes("recovered"), false);
  assertEquals(await outcomes(cli, "job"), ["completed"]);
  await assertSound(cli, ["job"]);
});

Deno.test("failure 27: when the clock steps an hour back, due jobs still run, and new ones and their retries too", async () => {
  await using cli = new SteppedCli();
  await cli.enqueue(
    { id: "running", command: WAITING },
    { id: "due", command: "true" },
    { id: "urgent", command: "true", priority: 9 },
  );
  const worker = await cli.startWorker();
  await cli.linesOnce("began", 1);
  cli.setClock(-HOUR);
  const flaky = { command: '[ "$QUEUECTL_ATTEMPT" = 2 ]', backoff_base: 0.5 };
  await cli.enqueue({ id: "new", command: "true" }, { id: "flaky", ...flaky });
  cli.write("go");
  for (const id of ["running", "due", "urgent", "new"]) await worker.event("completed", id, 1);
  const retried = await worker.event("completed", "flaky", 2);
  assert(Date.parse(retried.at) < Date.now() - HOUR / 2, "the clock has not been set");
  await stop(worker);
  await assertSound(cli, ["running", "due", "urgent", "new", "flaky"]);
});

Deno.test("failure 27: when the clock steps an hour back, the lease of a dead worker lasts no longer", async () => {
  await using cli = new SteppedCli();
  await cli.ok("config", "set", "lease", "2");
  await cli.enqueue({ id: "job", command: WAITING, backoff_base: 0 });
  const frozen = await cli.startWorker();
  await cli.linesOnce("began", 1);
  const heir = await cli.startWorker();
  frozen.signal("SIGSTOP");
  cli.setClock(-HOUR);
  await heir.event("recovered", "job", 1);
  await cli.linesOnce("began", 2);
  frozen.signal("SIGCONT");
  await frozen.event("lost", "job", 1);
  cli.write("go");
  await heir.event("completed", "job", 2);
  await stop(frozen, heir);
  assertEquals(await outcomes(cli, "job"), ["lost", "completed"]);
  await assertSound(cli, ["job"]);
});

Deno.test("failure 27: when the clock steps an hour back, nothing is pruned early", async () => {
  await using cli = new SteppedCli();
  await cli.ok("config", "set", "retention", "none");
  cli.setClock(-2 * HOUR);
  await cli.ok("enqueue", "--id", "old", "true");
  assertEquals(await cli.drain(), 0);
  cli.setClock(0);
  await cli.ok("enqueue", "--id", "recent", "true");
  assertEquals(await cli.drain(), 0);
  const ids = async () => (await cli.json("list") as ShownJob[]).map(({ id }) => id);
  const worker = await cli.startWorker();
  cli.setClock(-HOUR);
  await cli.ok("config", "set", "retention", "30m");
  await waitUntil(async () => !(await ids()).includes("old"), "what is old to be pruned");
  await cli.ok("enqueue", "--id", "new", "true");
  await worker.event("completed", "new");
  await stop(worker);
  await assertSound(cli, ["recent", "new"]);
});

Deno.test("failure 27: a machine that has slept for ten minutes makes up for one tick, and takes no lease", async () => {
  await using cli = new SteppedCli();
  await cli.ok("config", "set", "lease", "5");
  await cli.ok("enqueue", "--id", "job", WAITING);
  const busy = await cli.startWorker();
  await cli.linesOnce("began", 1);
  const idle = await cli.startWorker("--count", "2");
  await cli.ok("schedule", "add", "each-minute", "--cron", "* * * * *", "true");
  const later = Array.from({ length: 20 }, (_, i) => `later-${i}`);
  await cli.enqueue(...later.map((id) => ({ id, command: "echo x >> ran", delay: "5m" })));
  const ticks = async () =>
    (await cli.json("list", "--limit", "0") as (ShownJob & { schedule: string | null })[])
      .filter(({ schedule }) => schedule !== null).map(({ run_at }) => Date.parse(run_at));
  const asleep = [busy, idle];
  for (const worker of asleep) worker.signal("SIGSTOP");
  await waitUntil(() => asleep.every(isStopped), "the machine to sleep");
  const from = cli.now();
  cli.setClock(10 * MINUTE);
  const until = cli.now();
  for (const worker of asleep) worker.signal("SIGCONT");

  for (const id of later) await idle.event("completed", id, 1);
  await waitUntil(async () => (await ticks()).some((at) => at > from), "the tick made up for");
  // The latest one that was missed, and one if it came just before the machine woke.
  const missed = (await ticks()).filter((at) => at > from && at < until);
  assert(missed.length <= 2, `${missed.length} jobs for the ticks of ten minutes`);
  assertEquals(cli.lines("ran").length, later.length);
  assertEquals((await cli.show("job")).attempts, 1);
  cli.write("go");
  await busy.event("completed", "job", 1);
  await stop(busy, idle);
  for (const worker of asleep) {
    assertEquals(names(worker).filter((name) => name === "lost" || name === "recovered"), []);
  }
  await assertSound(cli);
});

function isStopped({ pid }: Child): boolean {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T");
}
