import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { type Child, Cli, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

const MAIN = fromFileUrl(new URL("../../main.ts", import.meta.url));
const LEASE_MS = 2000;

async function assertOneAttempt(cli: Cli, id: string, watchers: readonly Child[]) {
  const job = await cli.show(id);
  assertEquals([job.state, job.attempts], ["completed", 1]);
  assertEquals(job.attempts_history.map(({ outcome }) => outcome), ["completed"]);
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

for (const [how, flags] of [["", ""], [" that are passed on by --verbose", " --verbose"]]) {
  Deno.test(`failure 4: 200 MB of output${how}, for three leases: the lease is kept`, async () => {
    await using cli = new Cli();
    await cli.ok("config", "set", "lease", String(LEASE_MS / 1000));
    const watcher = await cli.startWorker("--queue", "none");
    // Ten times 20 MB at full speed, and so on until three leases are over.
    const flood = `
      end=$(( $(date +%s) + ${3 * LEASE_MS / 1000} + 1 ))
      rounds=0
      while [ $rounds -lt 10 ] || [ "$(date +%s)" -lt $end ]; do
        yes "a line of output that is neither long nor short" | head -c 20000000
        rounds=$((rounds + 1))
      done
      echo $rounds > rounds`;
    await cli.ok("enqueue", "--id", "flood", flood);
    const start = `"$0" run -A --no-prompt "$1" worker start --drain${flags} >/dev/null 2>&1`;
    const flooded = cli.spawnProgram("sh", ["-c", start, Deno.execPath(), MAIN]);
    assertEquals((await flooded.result).code, 0);
    assert(Number(cli.lines("rounds")[0]) >= 10);
    await assertOneAttempt(cli, "flood", [watcher]);
  });
}

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
