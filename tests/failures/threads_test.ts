import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { type Child, Cli, lives, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

const PROGRAM = fromFileUrl(new URL("./misbehaving_worker.ts", import.meta.url));

const REASONS = {
  throws: "The thread that ran it failed: Uncaught Error: out of order",
  hangs: "The thread that ran it did not answer",
};

/** A worker process that drains a job during which a thread throws or hangs, and another job. */
async function startMisbehaving(cli: Cli, how: string): Promise<Child> {
  const command = `sleep 1000 & echo "$$ $!" > pids; touch ready; wait # the thread ${how}`;
  await cli.enqueue(
    { id: "job", command, max_retries: 1 },
    { id: "next", command: `[ "$(wc -w < pids)" = 2 ]` },
  );
  const start = ["worker", "start", "--drain", "--json"];
  return cli.spawnProgram(Deno.execPath(), ["run", "-A", "--no-prompt", PROGRAM, ...start]);
}

for (const [how, reason] of Object.entries(REASONS)) {
  Deno.test(`failure 7: when a thread of the pool ${how}, its child is ended, its job settled, and a fresh thread takes the place`, async () => {
    await using cli = new Cli();
    const worker = await startMisbehaving(cli, how);
    await worker.event("stopped");

    const job = await cli.show("job");
    assertEquals([job.state, job.attempts, job.last_error], ["dead", 1, reason]);
    assertEquals(job.attempts_history.map(({ outcome }) => outcome), ["lost"]);
    const pids = cli.lines("pids").join(" ").split(" ");
    assertEquals([pids.length, pids.filter(lives)], [2, []]);
    assertEquals((await cli.show("next")).state, "completed");
    const ends = worker.events.filter(({ event }) => event === "dead" || event === "completed");
    assertEquals(ends.map(({ job }) => job), ["job", "next"]);
    await assertSound(cli, ["job", "next"]);
  });

  Deno.test(`failure 7: a worker process of which a thread ${how} still ends when its work is done`, async () => {
    await using cli = new Cli();
    const worker = await startMisbehaving(cli, how);
    await worker.event("stopped");
    await waitUntil(() => worker.ended, "the process to end");
    assertEquals((await worker.result).code, 1, "a job has died");
  });
}
