import { assert, assertEquals } from "@std/assert";
import type { FailPoint } from "../../src/fail_point.ts";
import { Cli, type ShownJob } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

const KILLED = 137;

/** Runs a command that is killed at the named place. */
async function killedAt(cli: Cli, place: string, ...args: string[]) {
  const { code, stderr } = await cli.run(args, { env: { QUEUECTL_FAIL_AT: place } });
  assertEquals(code, KILLED, `${args.join(" ")} was not killed at ${place}: ${stderr}`);
}

/** Notes each execution, and that of two at once: the folder is there as long as one lives. */
const JOB =
  'mkdir running || echo "$QUEUECTL_ATTEMPT" >> overlaps; echo "$QUEUECTL_ATTEMPT" >> ran; ' +
  "sleep 0.2; rmdir running";

/** What a job looks like that was killed at a place and was then run by another worker. */
const AFTERWARDS: Partial<Record<FailPoint, { outcomes: string[]; executions: [number, number] }>> =
  {
    // Its transaction never happened.
    "inside-claim": { outcomes: ["completed"], executions: [1, 1] },
    "after-claim": { outcomes: ["lost", "completed"], executions: [1, 1] },
    "before-spawn": { outcomes: ["lost", "completed"], executions: [1, 1] },
    // The process may or may not have come to its first line before it was found and ended.
    "after-spawn": { outcomes: ["lost", "completed"], executions: [1, 2] },
    "after-exit": { outcomes: ["lost", "completed"], executions: [2, 2] },
    "inside-settle": { outcomes: ["lost", "completed"], executions: [2, 2] },
    "after-settle": { outcomes: ["completed"], executions: [1, 1] },
  };

for (const [place, { outcomes, executions: [fewest, most] }] of Object.entries(AFTERWARDS)) {
  Deno.test(`failure 5: a worker killed ${place.replace("-", " ")} loses no job and runs none twice at once`, async () => {
    await using cli = new Cli();
    // What is left of an execution that was ended in the middle is not in the way of the next one.
    const command = place === "after-spawn" ? JOB.replace("mkdir", "mkdir -p") : JOB;
    await cli.ok("enqueue", "--id", "job", command);
    await killedAt(cli, place, "worker", "start", "--drain");
    assertEquals(await cli.drain(), 0);

    const job = await cli.show("job");
    assertEquals(job.state, "completed");
    assertEquals(job.attempts_history.map(({ outcome }) => outcome), outcomes);
    assertEquals(cli.lines("overlaps"), []);
    const executions = cli.lines("ran").length;
    assert(executions >= fewest && executions <= most, `it was executed ${executions} times`);
    await assertSound(cli);
  });
}

Deno.test("failure 26: an enqueue killed in the middle has added nothing, and one killed after it everything", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "before", "true");
  cli.write("jobs.jsonl", '{"id":"a","command":"true"}\n{"id":"b","command":"true"}\n');
  await killedAt(cli, "inside-enqueue", "enqueue", "@jobs.jsonl");
  assertEquals(await ids(cli), ["before"]);
  await killedAt(cli, "after-enqueue", "enqueue", "@jobs.jsonl");
  assertEquals(await ids(cli), ["before", "a", "b"]);
  await assertSound(cli);
});

for (const nth of [1, 2]) {
  Deno.test(`failure 21: a store killed in step ${nth} of its making is not there, and is made by the next command`, async () => {
    await using cli = new Cli();
    await killedAt(cli, `inside-migrate:${nth}`, "enqueue", "true");
    assertEquals(await ids(cli), []);
    await cli.ok("enqueue", "--id", "first", "true");
    assertEquals(await ids(cli), ["first"]);
    await assertSound(cli);
  });
}

Deno.test("failure 29: a worker killed between the insert and the advance of a tick makes it neither lost nor double", async () => {
  await using cli = new Cli();
  await cli.ok("schedule", "add", "tick", "--cron", "* * * * * *", "true");
  await killedAt(cli, "inside-tick", "worker", "start");
  assertEquals(await ids(cli), []);
  const [schedule] = await cli.json("schedule", "list");
  const worker = await cli.startWorker();
  await worker.event("completed");
  worker.signal("SIGTERM");
  assertEquals((await worker.result).code, 0);
  const made = await cli.json("list") as ShownJob[];
  const seconds = made.map(({ run_at }) => run_at);
  assertEquals(new Set(seconds).size, seconds.length);
  assert(made[0]!.run_at < schedule.next[0], "the tick that was interrupted made no job");
  await assertSound(cli);
});

async function ids(cli: Cli): Promise<string[]> {
  return (await cli.json("list")).map(({ id }: ShownJob) => id);
}
