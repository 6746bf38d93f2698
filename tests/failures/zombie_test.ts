import { assert, assertEquals } from "@std/assert";
import { type Child, Cli, commandLine, lives, succeeds, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";
import { standStill } from "./stand_still.ts";

/** Notes its attempt and its process, and ends as the file `end-N` of its attempt says. */
const JOB = `
  echo "$QUEUECTL_ATTEMPT $$" >> started
  until [ -e "end-$QUEUECTL_ATTEMPT" ]; do sleep 0.02; done
  exit "$(cat "end-$QUEUECTL_ATTEMPT")"
`;

/** The processes of the attempts that have started, in their order. */
function processes(cli: Cli): string[] {
  return cli.lines("started").map((line) => line.split(" ")[1]!);
}

async function enqueueWithShortLease(cli: Cli) {
  await cli.ok("config", "set", "lease", "2");
  // So that a failure that counted would be seen as a third attempt at once.
  await cli.enqueue({ id: "job", command: JOB, max_retries: 5, backoff_base: 0 });
}

/** A worker process that stands still in the middle of its job, past its lease. */
async function stoppedInMidJob(cli: Cli): Promise<Child> {
  await enqueueWithShortLease(cli);
  const zombie = await cli.startWorker();
  await cli.linesOnce("started", 1);
  await standStill(cli, zombie);
  return zombie;
}

/** Lets the second attempt complete, and looks at what has become of the job. */
async function assertSecondAttemptCounts(cli: Cli, heir: Child) {
  const running = await cli.show("job");
  assertEquals([running.state, running.attempts], ["processing", 2]);
  cli.write("end-2", "0");
  await heir.event("completed", "job", 2);
  const job = await cli.show("job");
  assertEquals([job.state, job.attempts], ["completed", 2]);
  assertEquals(job.attempts_history.map(({ outcome }) => outcome), ["lost", "completed"]);
  assertEquals(cli.lines("started").length, 2);
  await assertSound(cli, ["job"]);
}

Deno.test("failure 2: the job of a worker that stands still past its lease is killed before another runs it, and the late result is refused", async () => {
  await using cli = new Cli();
  const zombie = await stoppedInMidJob(cli);
  const [first] = processes(cli);
  assert(lives(first!));
  const heir = await cli.startWorker();
  await heir.event("recovered", "job", 1);
  assert(!lives(first!), "the old group lives while the job is free for another");
  await cli.linesOnce("started", 2);

  zombie.signal("SIGCONT");
  const lost = await zombie.event("lost", "job", 1);
  assertEquals(lost.reason, "The lease was lost");
  await assertSecondAttemptCounts(cli, heir);
  const ends = zombie.events.filter(({ event }) => ["completed", "failed", "dead"].includes(event));
  assertEquals(ends, []);
});

Deno.test("failure 2: jobs that a worker had claimed but not begun when it stood still are not begun by it any more", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "lease", "1");
  const ids = Array.from({ length: 400 }, (_, i) => `job-${i}`);
  const command = 'echo "$QUEUECTL_JOB_ID $QUEUECTL_ATTEMPT" >> ran';
  await cli.enqueue(...ids.map((id) => ({ id, command, backoff_base: 0 })));
  const zombie = await cli.startWorker();
  await cli.linesOnce("ran", 50);
  await standStill(cli, zombie);
  assertEquals(await cli.drain(), 0);

  const lines = cli.lines("ran");
  zombie.signal("SIGCONT");
  // Another job for it: by then it has gone on for long enough.
  await cli.enqueue({ id: "later", command: "true" });
  await zombie.event("completed", "later");
  // But for one that may have been on its way to the operating system, and was ended at once.
  assert(cli.lines("ran").length <= lines.length + 1, cli.lines("ran").slice(lines.length).join());
  const executions = Map.groupBy(lines, (line) => line.split(" ")[0]!);
  assertEquals(executions.size, ids.length);
  // Those that had ended in the last 40 ms, but were not settled yet, and the one in the middle: no more
  // than its executor had in hand.
  assert(lines.length <= ids.length + 17, `${lines.length - ids.length} were executed twice`);
  await assertSound(cli, [...ids, "later"]);
});

Deno.test("failure 2: a failure that a worker tells after its lease was taken schedules nothing", async () => {
  await using cli = new Cli();
  const zombie = await stoppedInMidJob(cli);
  const [first] = processes(cli);
  // It fails by itself while its worker stands still and before anybody else has taken it.
  cli.write("end-1", "1");
  await waitUntil(() => !lives(first!), "the first attempt to end");
  const heir = await cli.startWorker();
  await cli.linesOnce("started", 2);

  const before = await cli.history("job");
  zombie.signal("SIGCONT");
  await zombie.event("lost", "job", 1);
  assertEquals(await cli.history("job"), before);
  await assertSecondAttemptCounts(cli, heir);
  // It is a worker like any other again.
  heir.signal("SIGTERM");
  await heir.result;
  await cli.ok("enqueue", "--id", "next", "true");
  await zombie.event("completed", "next");
});

const canUnshare = await succeeds("unshare", ["--pid", "--fork", "--mount-proc", "true"]);
if (!canUnshare) {
  console.warn("A test with two worlds of process ids is left out: unshare may not make any here");
}

Deno.test({
  name:
    "failure 2: what nobody else could end is ended by the worker that stood still, as soon as it goes on",
  ignore: !canUnshare,
  async fn() {
    await using cli = new Cli();
    const zombie = await stoppedInMidJob(cli);
    const [first] = processes(cli);
    // Like a worker in another container: it sees the store, but no process of the first one.
    const heir = cli.spawnProgram("unshare", [
      ...["--pid", "--fork", "--mount-proc", "--kill-child"],
      ...commandLine("worker", "start", "--json"),
    ]);
    await cli.linesOnce("started", 2);
    assert(lives(first!), "nobody can end it from there");

    zombie.signal("SIGCONT");
    await zombie.event("lost", "job", 1);
    await waitUntil(() => !lives(first!), "the first attempt to be ended");
    await assertSecondAttemptCounts(cli, heir);
  },
});
