import { assert, assertEquals } from "@std/assert";
import { type Child, Cli, commandLine, forShell, succeeds, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

const LEASE_MS = 2000;

// A disk on which whoever waits for it waits for a second.
const SLOW_DISK = [
  ...["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "signal=none"],
  ...["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:delay_enter=1000000"],
];
const canBeSlow = await succeeds("strace", [...SLOW_DISK, "true"]);
if (!canBeSlow) {
  console.warn("A test with a slow disk is left out: it needs strace, and to be allowed it");
}

async function assertOneAttempt(cli: Cli, id: string, watchers: readonly Child[]) {
  const job = await cli.show(id);
  assertEquals(job.attempts_history.map(({ outcome, error }) => [outcome, error]), [
    ["completed", null],
  ]);
  assertEquals([job.state, job.attempts], ["completed", 1]);
  for (const { events } of watchers) {
    const taken = events.filter(({ event }) => event === "recovered" || event === "lost");
    assertEquals(taken, []);
  }
  await assertSound(cli);
}

Deno.test("failure 3: a job ten leases long has one attempt, with three idle worker processes beside it", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "lease", "1");
  const busy = await cli.startWorker();
  const idle = await Promise.all([1, 2, 3].map(() => cli.startWorker()));
  // Whoever takes it, three are left to watch it.
  await cli.ok("enqueue", "--id", "long", "echo x >> started; sleep 10");
  await waitUntil(async () => (await cli.show("long")).state === "completed", "the end", {
    everyMs: 500,
  });
  assertEquals(cli.lines("started").length, 1);
  await assertOneAttempt(cli, "long", [busy, ...idle]);
});

for (
  const [how, flags] of [["", []], [" that are passed on by --verbose", ["--verbose"]]] as const
) {
  Deno.test(`failure 4: 200 MB of output${how}, for three leases: the lease is kept`, async () => {
    await using cli = new Cli();
    await cli.ok("config", "set", "lease", String(LEASE_MS / 1000));
    const watcher = await cli.startWorker("--queue", "none");
    // Ten times 20 MB at full speed, each of which takes a while to store.
    const flood = `
      for round in $(seq 10); do
        yes "a line of output that is neither long nor short" | head -c 20000000
        sleep ${0.3 * LEASE_MS / 1000}
        echo $round >> rounds
      done`;
    await cli.ok("enqueue", "--id", "flood", flood);
    const start = forShell(commandLine("worker", "start", "--drain", ...flags));
    const flooded = cli.spawnProgram("sh", ["-c", `${start} >/dev/null 2>&1`]);
    assertEquals((await flooded.result).code, 0);
    assertEquals(cli.lines("rounds").length, 10);
    await assertOneAttempt(cli, "flood", [watcher]);
  });
}

Deno.test({
  name: "failure 4: a disk that is half a lease late takes nobody's lease",
  ignore: !canBeSlow,
  async fn() {
    await using cli = new Cli();
    await cli.ok("config", "set", "lease", String(LEASE_MS / 1000));
    const startSlowly = async (...flags: string[]) => {
      const words = commandLine("worker", "start", "--json", ...flags);
      const worker = cli.spawnProgram("strace", [...SLOW_DISK, ...words]);
      await worker.event("started");
      return worker;
    };
    const watcher = await startSlowly("--queue", "none");
    const busy = await startSlowly();
    const command = `for i in $(seq ${3.5 * LEASE_MS / 100}); do echo $i; sleep 0.1; done`;
    await cli.ok("enqueue", "--id", "long", command);
    await busy.event("completed", "long", 1);
    await assertOneAttempt(cli, "long", [watcher, busy]);
  },
});

Deno.test("failure 4: a worker whose event loop is flooded with short jobs for three leases keeps the lease of a long one", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "lease", String(LEASE_MS / 1000));
  await cli.ok(
    "enqueue",
    "--id",
    "long",
    `touch begun; sleep ${3 * LEASE_MS / 1000 + 1}; touch over`,
  );
  const watcher = await cli.startWorker("--queue", "none");
  const flooded = await cli.startWorker("--count", "16");
  await waitUntil(() => exists(cli.path("begun")), "the long job to begin");
  for (let batch = 0; !exists(cli.path("over")); batch++) {
    const jobs = Array.from({ length: 1000 }, () => ({ command: ":" }));
    await cli.enqueue(...jobs);
    const few = async () => (await cli.json("status")).jobs.pending < 500;
    await waitUntil(async () => exists(cli.path("over")) || await few(), "room for more");
  }
  await flooded.event("completed", "long", 1);
  assert((await cli.json("status")).jobs.completed > 100);
  await assertOneAttempt(cli, "long", [watcher, flooded]);
});

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
