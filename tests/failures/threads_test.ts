import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { type Child, Cli, lives, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

const PROGRAM = fromFileUrl(new URL("./misbehaving_worker.ts", import.meta.url));

const REASONS = {
  throws: "The thread that ran it failed: Uncaught Error: out of order",
  hangs: "The thread that ran it did not answer",
};

/**
 * A worker process that drains a job during which a thread throws or hangs, one that runs beside it if
 * there is one, and another job.
 */
async function startMisbehaving(cli: Cli, how: string, beside?: string): Promise<Child> {
  const command = `sleep 1000 & echo "$$ $!" > pids; touch ready; wait # the thread ${how}`;
  await cli.enqueue(
    { id: "job", command, max_retries: 1 },
    ...beside ? [{ id: "beside", command: beside }] : [],
    { id: "next", command: `[ "$(wc -w < pids)" = 2 ]` },
  );
  const start = ["worker", "start", "--drain", "--json", "--count", beside ? "2" : "1"];
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

  Deno.test(`failure 7: when a thread of the pool ${how}, what another thread runs goes on`, async () => {
    await using cli = new Cli();
    const worker = await startMisbehaving(cli, how, "until [ -e over ]; do sleep 0.02; done");
    await worker.event("completed", "next");
    cli.write("over");
    await worker.event("stopped");
    const [job, beside] = await Promise.all(["job", "beside"].map((id) => cli.show(id)));
    assertEquals([job!.state, job!.last_error], ["dead", reason]);
    assertEquals([beside!.state, beside!.attempts], ["completed", 1]);
    await assertSound(cli, ["job", "beside", "next"]);
  });

  Deno.test(`failure 7: a worker process of which a thread ${how} still ends when its work is done`, async () => {
    await using cli = new Cli();
    const worker = await startMisbehaving(cli, how);
    await worker.event("stopped");
    await waitUntil(() => worker.ended, "the process to end");
    assertEquals((await worker.result).code, 1, "a job has died");
  });
}
