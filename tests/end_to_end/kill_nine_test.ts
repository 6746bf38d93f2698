import { assert, assertEquals } from "@std/assert";
import { between, type Child, Cli, lives, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

/**
 * Notes its attempt, its process and that of a child, and holds a folder as a lock for as long as
 * anything of it lives. The first attempt never ends by itself; a later one does at once, and fails
 * for good if a process of the first one still lives.
 */
const JOB = `
  echo "printed by $QUEUECTL_ATTEMPT"
  if [ "$QUEUECTL_ATTEMPT" = 1 ]; then
    sleep 1000 &
    echo "$$ $!" > processes
    echo 1 >> started
    wait
  fi
  for pid in $(cat processes); do
    if kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$pid/status"; then
      echo "$pid lives" >> overlaps
    fi
  done
  echo "$QUEUECTL_ATTEMPT" >> started
`;

/** Starts a worker process, and kills it once the first attempt runs; resolves when it is gone. */
async function killInMidJob(cli: Cli, worker: Child) {
  await cli.linesOnce("started", 1);
  await cli.linesOnce("processes", 1);
  // So that the output of the first attempt has reached the store.
  await waitUntil(async () => await cli.ok("logs", "victim") === "printed by 1", "the output");
  worker.signal("SIGKILL");
  await worker.result;
  const killedAt = new Date().toISOString();
  return { killedAt, killed: String((await worker.event("started")).worker) };
}

async function assertRecovered(
  cli: Cli,
  { killedAt, killed }: { killedAt: string; killed: string },
) {
  const job = await cli.show("victim");
  assertEquals([job.state, job.attempts], ["completed", 2]);
  const [first, second, ...more] = job.attempts_history;
  assertEquals(more, []);
  assertEquals([first!.attempt, first!.outcome, first!.exit_code], [1, "lost", null]);
  assertEquals([second!.attempt, second!.outcome], [2, "completed"]);
  assertEquals([first!.worker_id, first!.error], [`${killed}-1`, "Its worker died"]);
  assert(second!.worker_id !== first!.worker_id);
  assert(between(first!.finished_at, second!.started_at) >= 0);
  const delay = between(killedAt, second!.started_at);
  assert(delay < 5000, `ran again after ${delay} ms`);

  assertEquals(cli.lines("started"), ["1", "2"]);
  assertEquals(cli.lines("overlaps"), []);
  const processes = cli.lines("processes").join(" ").split(" ");
  assertEquals(processes.length, 2);
  assertEquals(processes.filter(lives), []);
  assertEquals(await cli.ok("logs", "victim", "--attempt", "1"), "printed by 1");
  assertEquals(await cli.ok("logs", "victim"), "printed by 2");
  await assertSound(cli, ["victim"]);
}

Deno.test("failure 1: kill -9 of a worker process: another one runs the job again within 5 s", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "victim", JOB);
  const victim = await cli.startWorker();
  await cli.linesOnce("started", 1);
  const other = await cli.startWorker();
  const death = await killInMidJob(cli, victim);
  const recovered = await other.event("recovered", "victim", 1);
  assertEquals(recovered.state, "failed");
  await other.event("completed", "victim", 2);
  await assertRecovered(cli, death);
});

Deno.test("failure 1: kill -9 of the only worker process: one that is started later runs the job again", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "victim", JOB);
  const death = await killInMidJob(cli, await cli.startWorker());
  assertEquals((await cli.show("victim")).state, "processing");
  assertEquals((await cli.json("status")).workers, []);
  assertEquals(await cli.drain(), 0);
  await assertRecovered(cli, death);
});

Deno.test("failure 1: kill -9 of a worker process: what its job started in another session dies as well", async () => {
  await using cli = new Cli();
  const escaping = `
    if [ "$QUEUECTL_ATTEMPT" = 1 ]; then
      setsid sh -c 'echo $$ > escaped; sleep 1000' &
      sleep 1000
    fi`;
  await cli.ok("enqueue", "--id", "escaping", escaping);
  const worker = await cli.startWorker();
  const [escaped] = await cli.linesOnce("escaped", 1);
  worker.signal("SIGKILL");
  await worker.result;
  assert(lives(escaped!));
  assertEquals(await cli.drain(), 0);
  assert(!lives(escaped!));
});

Deno.test("kill -9 of a worker process right after a claim loses nothing", async () => {
  await using cli = new Cli();
  const jobs = Array.from({ length: 20 }, (_, i) => ({ id: `job${i}`, command: "sleep 0.02" }));
  await cli.run(["enqueue", "@-"], { stdin: JSON.stringify(jobs) });
  for (let round = 0; round < 3; round++) {
    const worker = await cli.startWorker("--count", "2");
    await worker.event("claimed");
    worker.signal("SIGKILL");
    await worker.result;
  }
  assertEquals(await cli.drain("--count", "2"), 0);
  const { completed, ...others } = (await cli.json("status")).jobs;
  assertEquals(completed, 20);
  assertEquals(Object.values(others).every((count) => count === 0), true);
});

Deno.test("failure 6: a job that kills its worker process each time is dead after max_retries crashes", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "poison", "--max-retries", "2", 'kill -9 "$PPID"; sleep 1000');
  for (const _ of [1, 2]) await cli.run(["worker", "start"]); // until its job kills it
  await cli.ok("enqueue", "--id", "healthy", "true");
  assertEquals(await cli.drain(), 1);
  const job = await cli.show("poison");
  assertEquals([job.state, job.attempts, job.last_error], ["dead", 2, "Its worker died"]);
  assertEquals(job.attempts_history.map(({ outcome }) => outcome), ["lost", "lost"]);
  assertEquals((await cli.show("healthy")).state, "completed");
});
