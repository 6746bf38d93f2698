import { assert, assertEquals } from "@std/assert";
import { Cli, lives, type Result, type ShownJob, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";
import { standStill } from "./stand_still.ts";

/** The executions of each job, by what the jobs have noted in `ran`. */
function executions(cli: Cli): Map<string, number> {
  const counts = new Map<string, number>();
  for (const id of cli.lines("ran")) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

async function shown(cli: Cli, ids: readonly string[]): Promise<ShownJob[]> {
  return await Promise.all(ids.map((id) => cli.show(id)));
}

/** Lets a worker run whatever may still run, and sees that no cancelled job did. */
async function assertNoCancelledJobRunsAgain(cli: Cli, ids: readonly string[]) {
  const before = executions(cli);
  const jobs = await shown(cli, ids);
  await cli.drain("--count", "4");
  const after = executions(cli);
  for (const { id, state } of jobs) {
    if (state !== "cancelled") continue;
    assertEquals(after.get(id), before.get(id), `${id} ran again`);
    assertEquals((await cli.show(id)).state, "cancelled");
  }
  await assertSound(cli, ids);
}

/** The job has completed or was cancelled, in its one attempt, and `cancel` has said which. */
async function assertOneWinner(cli: Cli, id: string, { stdout, stderr }: Result) {
  const { state, attempts, attempts_history } = await cli.show(id);
  assert(state === "completed" || state === "cancelled", `${id} is ${state}`);
  assertEquals([attempts, attempts_history.map(({ outcome }) => outcome)], [1, [state]], id);
  assertEquals(stdout.includes(`"${id}"`), state === "cancelled", `${id} is ${state}: ${stdout}`);
  assertEquals(stderr.includes(`"${id}"`), state === "completed", `${id} is ${state}: ${stderr}`);
}

Deno.test("failure 18: of a cancel and the completion of the same job one wins, and everybody is told the same", async () => {
  await using cli = new Cli();
  const ids = Array.from({ length: 6 }, (_, i) => `job-${i}`);
  // Some complete before their cancel has started, some after it, and some in the middle.
  const command = (i: number) => `until [ -e go ]; do sleep 0.01; done; sleep 0.${i}`;
  await cli.enqueue(
    ...ids.map((id, i) => ({ id, command: `echo ${id} >> ran; ${command(i)}` })),
  );
  const worker = await cli.startWorker("--count", "6");
  await cli.linesOnce("ran", 6);
  const cancels = ids.map((id) => cli.run(["cancel", "--json", id]));
  cli.write("go");
  for (const [i, id] of ids.entries()) {
    const cancel = await cancels[i]!;
    const won = cancel.stdout !== "" && JSON.parse(cancel.stdout).ids.length > 0;
    assertEquals(cancel.code, won ? 0 : 1);
    await assertOneWinner(cli, id, cancel);
  }
  worker.signal("SIGTERM");
  await worker.result;
  await assertNoCancelledJobRunsAgain(cli, ids);
});

Deno.test("failure 18: of a cancel and a completion that a worker learns of at the same moment one wins", async () => {
  await using cli = new Cli();
  const ids = Array.from({ length: 8 }, (_, i) => `job-${i}`);
  const command = "echo $$ >> pids; until [ -e go ]; do sleep 0.01; done";
  await cli.enqueue(...ids.map((id) => ({ id, command: `echo ${id} >> ran; ${command}` })));
  const worker = await cli.startWorker("--count", "8");
  const pids = await cli.linesOnce("pids", 8);
  await standStill(cli, worker);
  cli.write("go");
  await waitUntil(() => !pids.some(lives), "all jobs to complete unseen");
  const cancel = cli.spawn(["cancel", "--json", ...ids]);
  const asked = async () => (await cli.history()).filter(({ event }) => event === "cancelling");
  await waitUntil(async () => (await asked()).length === ids.length, "the wish");
  worker.signal("SIGCONT");
  const result = await cancel.result;
  for (const id of ids) await assertOneWinner(cli, id, result);
  worker.signal("SIGTERM");
  await worker.result;
  await assertNoCancelledJobRunsAgain(cli, ids);
});

Deno.test("failure 18: a job that fails and runs again all the time never runs again once cancel has returned", async () => {
  await using cli = new Cli();
  const ids = Array.from({ length: 4 }, (_, i) => `job-${i}`);
  await cli.enqueue(...ids.map((id, i) => ({
    ...{ id, max_retries: 100_000, backoff_base: 0 },
    command: `echo ${id} >> ran; sleep 0.0${i}; false`,
  })));
  const workers = [await cli.startWorker("--count", "3"), await cli.startWorker("--count", "3")];
  for (const [i, id] of ids.entries()) {
    await cli.linesOnce("ran", 8 + 4 * i);
    assertEquals(await cli.ok("cancel", id), id);
    const once = executions(cli).get(id)!;
    const { state, attempts, attempts_history } = await cli.show(id);
    assertEquals([state, attempts_history.length], ["cancelled", attempts]);
    // The others go on, this one does not.
    if (i < ids.length - 1) await cli.linesOnce("ran", cli.lines("ran").length + 4);
    assertEquals(executions(cli).get(id), once);
    assert(once <= attempts, `${once} executions in ${attempts} attempts`);
  }
  for (const worker of workers) worker.signal("SIGTERM");
  for (const worker of workers) await worker.result;
  await assertNoCancelledJobRunsAgain(cli, ids);
});

Deno.test("failure 18: of a cancel and a retry at once each does all or nothing, and the later one wins", async () => {
  await using cli = new Cli();
  const ids = Array.from({ length: 8 }, (_, i) => `job-${i}`);
  await cli.enqueue(
    ...ids.map((id) => ({ id, command: `echo ${id} >> ran; false`, max_retries: 1 })),
  );
  assertEquals(await cli.drain("--count", "4"), 1);
  await Promise.all(ids.map(async (id) => {
    const [retry, cancel] = await Promise.all([
      cli.run(["retry", id]),
      cli.run(["cancel", id]),
    ]);
    assertEquals(retry.code, 0, retry.stderr);
    const { state } = await cli.show(id);
    // A dead job has nothing to be cancelled: that command came too early, and said so.
    assertEquals([state, cancel.code], cancel.code === 0 ? ["cancelled", 0] : ["pending", 1]);
  }));
  const jobs = await shown(cli, ids);
  await assertNoCancelledJobRunsAgain(cli, ids);
  const expected = jobs.map(({ id, state }) => [id, state === "cancelled" ? 1 : 2]);
  assertEquals([...executions(cli)].sort(), expected.sort());
});

Deno.test("failure 18: of a cancel and the recovery of the same job one wins, and it ends cancelled with nothing of it alive", async () => {
  await using cli = new Cli();
  const ids = Array.from({ length: 8 }, (_, i) => `job-${i}`);
  await cli.enqueue(...ids.map((id) => ({
    ...{ id, max_retries: 100, backoff_base: 0 },
    command: `echo ${id} >> ran; echo $$ >> pids; exec sleep 1000`,
  })));
  const worker = await cli.startWorker("--count", "8");
  await cli.linesOnce("pids", 8);
  worker.signal("SIGKILL");
  await worker.result;

  const heirs = [1, 2].map(() => cli.spawn(["worker", "start", "--json", "--count", "4"]));
  const cancels = ids.map((id) => cli.run(["cancel", id]));
  for (const { code, stderr } of await Promise.all(cancels)) assertEquals(code, 0, stderr);
  for (const { state, attempts, attempts_history } of await shown(cli, ids)) {
    assertEquals(state, "cancelled");
    assertEquals(attempts_history.length, attempts);
    const [last, ...before] = attempts_history.map(({ outcome }) => outcome).reverse();
    assert(last === "cancelled" || last === "lost", `it ended ${last}`);
    assertEquals(before.filter((outcome) => outcome !== "lost"), []);
  }
  assertEquals(cli.lines("pids").filter(lives), []);
  const once = executions(cli);
  await cli.ok("enqueue", "--id", "after", "true");
  await Promise.any(heirs.map((heir) => heir.event("completed", "after")));
  assertEquals(executions(cli), once);
  for (const heir of heirs) heir.signal("SIGTERM");
  for (const heir of heirs) assertEquals((await heir.result).code, 0);
  await assertNoCancelledJobRunsAgain(cli, [...ids, "after"]);
});
