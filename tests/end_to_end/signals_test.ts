import { assert, assertEquals } from "@std/assert";
import { between, type Child, Cli, lives, type ShownAttempt, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

/** Runs until there is a file `go`, and notes its process and its end. */
const WAITING = "echo $$ > pid; until [ -e go ]; do sleep 0.02; done; echo finished > end";
const STUBBORN = "trap '' TERM INT HUP; sleep 1000 & echo $! > child; echo $$ > pid; " +
  "while :; do sleep 0.02; done";

/** A worker process that runs the job `running` and has another one waiting. */
async function workerWithJob(cli: Cli, command: string): Promise<Child> {
  await cli.ok("enqueue", "--id", "running", command);
  await cli.ok("enqueue", "--id", "next", "true");
  const worker = await cli.startWorker();
  await cli.linesOnce("pid", 1);
  return worker;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.test(`failure 10: ${signal} lets the running job finish, starts no other, and ends the worker with 0`, async () => {
    await using cli = new Cli();
    const worker = await workerWithJob(cli, WAITING);
    worker.signal(signal);
    const stopping = await worker.event("stopping");
    assertEquals([stopping.running, stopping.force], [1, false]);
    assert(!worker.ended);
    cli.write("go");
    assertEquals((await worker.result).code, 0);

    const job = await cli.show("running");
    assertEquals([job.state, job.attempts], ["completed", 1]);
    assertEquals(job.attempts_history.length, 1);
    assertEquals(cli.lines("end"), ["finished"]);
    const next = await cli.show("next");
    assertEquals([next.state, next.attempts_history], ["pending", []]);
    assertEquals((await cli.json("status")).workers, []);
    await assertSound(cli, ["running", "next"]);
  });
}

Deno.test("a signal ends an idle worker at once", async () => {
  await using cli = new Cli();
  const worker = await cli.startWorker("--poll", "1h");
  const before = performance.now();
  worker.signal("SIGTERM");
  assertEquals((await worker.result).code, 0);
  const took = performance.now() - before;
  assert(took < 1000, `took ${took} ms`);
});

for (const [kind, command] of [["willing", WAITING], ["stubborn", STUBBORN]] as const) {
  Deno.test(`failure 11: a second signal ends a ${kind} job soon, gives it back and does not count its attempt`, async () => {
    await using cli = new Cli();
    const worker = await workerWithJob(cli, command);
    const [pid] = cli.lines("pid");
    worker.signal("SIGTERM");
    const first = await worker.event("stopping");
    // Within a moment of the first one it counts as the same: Ctrl-C can come twice under deno task.
    await waitUntil(() => Date.now() - Date.parse(first.at) > 400, "the moment to pass");
    worker.signal("SIGTERM");
    assertEquals((await worker.result).code, 0);
    const second = worker.events.find(({ event, force }) => event === "stopping" && force);
    const [{ finished_at }] = (await cli.show("running")).attempts_history as [ShownAttempt];
    const took = between(second!.at, finished_at);
    // What ignores TERM has a second before it is killed; the rest is for a busy machine.
    assert(took < (kind === "stubborn" ? 2500 : 1000), `took ${took} ms`);

    assertEquals([pid!, ...cli.lines("child")].filter(lives), []);
    const job = await cli.show("running");
    assertEquals([job.state, job.attempts], ["pending", 0]);
    assertEquals(job.attempts_history.map(({ attempt, outcome }) => [attempt, outcome]), [
      [1, "interrupted"],
    ]);
    assertEquals(cli.lines("end"), []);
    await assertSound(cli, ["running", "next"]);

    if (kind === "stubborn") return;
    cli.write("go");
    assertEquals(await cli.drain(), 0);
    const again = await cli.show("running");
    assertEquals([again.state, again.attempts], ["completed", 1]);
    assertEquals(again.attempts_history.map(({ attempt, outcome }) => [attempt, outcome]), [
      [1, "interrupted"],
      [1, "completed"],
    ]);
  });
}

Deno.test("a signal that comes twice at once counts once", async () => {
  await using cli = new Cli();
  const worker = await workerWithJob(cli, WAITING);
  worker.signal("SIGINT");
  worker.signal("SIGTERM");
  await worker.event("stopping");
  cli.write("go");
  assertEquals((await worker.result).code, 0);
  assertEquals(worker.events.filter(({ event }) => event === "stopping").length, 1);
  assertEquals((await cli.show("running")).state, "completed");
});

Deno.test("failure 11: a job that outlasts shutdown_grace is ended, and given back", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "shutdown_grace", "0.3");
  const worker = await workerWithJob(cli, WAITING);
  worker.signal("SIGTERM");
  const stopping = await worker.event("stopping");
  assertEquals((await worker.result).code, 0);
  const { state, attempts, attempts_history: [attempt] } = await cli.show("running");
  assertEquals([state, attempts, attempt!.outcome], ["pending", 0, "interrupted"]);
  assert(!lives(cli.lines("pid")[0]!));
  const graceMs = between(stopping.at, attempt!.finished_at);
  assert(graceMs >= 250 && graceMs < 2500, `ended after ${graceMs} ms`);
});

Deno.test("the attempt after an interrupted one has its number, and logs --attempt shows the later one", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "shutdown_grace", "0");
  const worker = await workerWithJob(
    cli,
    `[ -e end ] && echo second && exit; echo first; ${WAITING}`,
  );
  await waitUntil(async () => await cli.ok("logs", "running") === "first", "the output");
  worker.signal("SIGTERM");
  await worker.result;
  cli.write("end");
  assertEquals(await cli.drain(), 0);
  const history = (await cli.show("running")).attempts_history;
  assertEquals(history.map(({ attempt }) => attempt), [1, 1]);
  assertEquals(await cli.ok("logs", "running", "--attempt", "1"), "second");
});
