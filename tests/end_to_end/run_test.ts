import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { type Child, Cli, jsonLines, lives, waitUntil } from "../helpers/cli.ts";

/** Notes its processes, one of them in a session of its own; all of them ignore TERM. */
const TREE = `
  trap '' TERM
  sh -c 'echo $$ >> pids; exec sleep 1000' &
  setsid sh -c 'echo $$ >> pids; exec sleep 1000' &
  echo $$ >> pids
  wait
`;

async function stateAndCode(cli: Cli, ...args: string[]): Promise<[string, number]> {
  const { code } = await cli.run(["run", "--id", "job", ...args]);
  const { state } = await cli.show("job");
  await cli.ok("delete", "job");
  return [state, code];
}

/** Signals that come within a moment of each other count as one: Ctrl-C comes twice under deno task. */
async function ctrlCTwice(run: Child) {
  run.signal("SIGINT");
  const at = performance.now();
  await waitUntil(() => performance.now() - at > 300, "the moment to pass");
  run.signal("SIGINT");
}

Deno.test("run prints what the job prints while it runs, each stream where it belongs", async () => {
  await using cli = new Cli();
  const command = "echo out; echo err >&2; until [ -e go ]; do sleep 0.02; done; echo end";
  const run = cli.spawn(["run", command]);
  await waitUntil(() => run.stdout !== "" && run.stderr !== "", "the output");
  assertEquals([run.stdout, run.stderr, run.ended], ["out\n", "err\n", false]);
  cli.write("go");
  const { code, stdout, stderr } = await run.result;
  assertEquals([code, stdout, stderr], [0, "out\nend\n", "err\n"]);
});

Deno.test("run returns the job's exit code, 124 where it timed out, 128 and the signal that ended it", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "max_retries", "1");
  assertEquals(await stateAndCode(cli, "true"), ["completed", 0]);
  assertEquals(await stateAndCode(cli, "exit 7"), ["dead", 7]);
  assertEquals(await stateAndCode(cli, "--timeout", "100ms", "sleep 1000"), ["dead", 124]);
  assertEquals(await stateAndCode(cli, "kill -TERM $$"), ["dead", 143]);
  assertEquals(await stateAndCode(cli, "kill -KILL $$"), ["dead", 137]);
});

Deno.test("run shows the output of every attempt and returns the exit code of the last one", async () => {
  await using cli = new Cli();
  const failing = await cli.run([
    ...["run", "--id", "failing", "--max-retries", "3", "--backoff-base", "0"],
    'echo "try $QUEUECTL_ATTEMPT"; exit $((10 + QUEUECTL_ATTEMPT))',
  ]);
  assertEquals([failing.code, failing.stdout], [13, "try 1\ntry 2\ntry 3\n"]);
  assertEquals((await cli.show("failing")).attempts, 3);
  const flaky = 'echo "try $QUEUECTL_ATTEMPT"; [ "$QUEUECTL_ATTEMPT" = 2 ]';
  const saved = await cli.run(["run", "--backoff-base", "0", flaky]);
  assertEquals([saved.code, saved.stdout], [0, "try 1\ntry 2\n"]);
});

Deno.test("run without a worker runs the job by itself, that one alone, and leaves no worker behind", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "other", "--priority", "9", "echo x > other-ran");
  const { code, stdout } = await cli.run(["run", "--id", "mine", "echo done"]);
  assertEquals([code, stdout], [0, "done\n"]);
  assertEquals((await cli.show("mine")).state, "completed");
  assertEquals((await cli.show("other")).state, "pending");
  assertEquals(cli.lines("other-ran"), []);
  assertEquals((await cli.json("status")).workers, []);
});

Deno.test("run leaves the job to a worker that is there", async () => {
  await using cli = new Cli();
  const worker = await cli.startWorker("--poll", "1h");
  const { code, stdout } = await cli.run([
    "run",
    "--id",
    "job",
    "echo done; exit 3",
    "--ok-codes",
    "3",
  ]);
  assertEquals([code, stdout], [0, "done\n"]);
  const { worker: id } = await worker.event("started");
  await worker.event("completed", "job");
  assertEquals((await cli.show("job")).worker_id, `${id}-1`);
});

Deno.test("run runs the job itself where the only worker serves another queue", async () => {
  await using cli = new Cli();
  const worker = await cli.startWorker("--queue", "other");
  assertEquals((await cli.run(["run", "exit 7", "--max-retries", "1"])).code, 7);
  assertEquals(worker.events.filter(({ event }) => event === "claimed"), []);
});

Deno.test("run takes words as an argument list, and a single one as a shell command or JSON", async () => {
  await using cli = new Cli();
  const words = ["printf", "<%s>", "a  b", "$HOME", "-n", "it's"];
  assertEquals((await cli.run(["run", "--", ...words])).stdout, "<a  b><$HOME><-n><it's>");
  assertEquals((await cli.run(["run", "echo $((1 + 1)) | tr 2 3"])).stdout, "3\n");
  const json = JSON.stringify({ command: 'echo "$GREETING"; exit 4', max_retries: 1 });
  const { code, stdout } = await cli.run(["run", "--env", "GREETING=hello", json]);
  assertEquals([code, stdout], [4, "hello\n"]);
});

Deno.test("run --json prints the output as JSON lines, and nothing else", async () => {
  await using cli = new Cli();
  const command = "echo one; sleep 0.1; echo two >&2; sleep 0.1; printf '\\377'";
  const { code, stdout, stderr } = await cli.run(["run", "--json", command]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(jsonLines(stdout), [
    { attempt: 1, stream: "stdout", start: 0, text: "one\n" },
    { attempt: 1, stream: "stderr", start: 4, text: "two\n" },
    { attempt: 1, stream: "stdout", start: 8, base64: "/w==" },
  ]);
});

Deno.test("run refuses what it cannot stand for, and makes no store", async () => {
  await using cli = new Cli();
  const refused = [[], [""], ["@-"], ['@[{"command":"true"}]'], ["--timeout", "x", "true"]];
  for (const args of refused) {
    const { code, stdout, stderr } = await cli.run(["run", ...args]);
    assertEquals([code, stdout, stderr.split("\n").length], [2, "", 2], args.join(" "));
  }
  assertEquals([...Deno.readDirSync(cli.folder)], []);
});

for (const who of ["its own executor", "a worker"]) {
  Deno.test(`Ctrl-C ends the job of a run with ${who}, and all that it started`, async () => {
    await using cli = new Cli();
    const worker = who === "a worker" ? await cli.startWorker() : null;
    const run = cli.spawn(["run", "--id", "job", TREE]);
    const pids = await cli.linesOnce("pids", 3);
    assertEquals(pids.filter(lives), pids);
    const before = performance.now();
    run.signal("SIGINT");
    assertEquals((await run.result).code, 125);
    const took = performance.now() - before;
    assert(took < 3000, `took ${took} ms`);
    assertEquals(pids.filter(lives), []);

    assertEquals(await cli.drain(), 0);
    const job = await cli.show("job");
    assertEquals([job.state, job.attempts], ["cancelled", 1]);
    assertEquals(job.attempts_history.map(({ outcome }) => outcome), ["cancelled"]);
    assertEquals(cli.lines("pids").length, 3, "it ran once");
    assertEquals(worker?.ended ?? false, false, "the worker works on");
  });
}

Deno.test("a second Ctrl-C does not wait for a job that will not end by itself", async () => {
  await using cli = new Cli();
  await cli.startWorker("--count", "2");
  const stubborn = (name: string) => `trap '' TERM; echo x > ${name}; while :; do sleep 0.02; done`;
  const [patient, hasty] = ["patient", "hasty"].map((id) =>
    cli.spawn(["run", "--id", id, stubborn(id)])
  ) as [Child, Child];
  await cli.linesOnce("patient", 1);
  await cli.linesOnce("hasty", 1);
  patient.signal("SIGINT");
  await ctrlCTwice(hasty);
  assertEquals([(await patient.result).code, (await hasty.result).code], [125, 125]);
  const endOf = async (id: string) => (await cli.show(id)).attempts_history[0]!.finished_at!;
  assert(await endOf("hasty") < await endOf("patient"), "the grace of the one is cut short");
  const asked = (await cli.history()).filter(({ event }) => event === "cancelling");
  assertEquals(asked.map(({ job }) => job).sort(), ["hasty", "hasty", "patient"]);
});

Deno.test("Ctrl-C while the job of a run waits for its next attempt cancels it at once", async () => {
  await using cli = new Cli();
  const run = cli.spawn(["run", "--id", "job", "--backoff-base", "300", "echo x; exit 7"]);
  await waitUntil(async () => {
    const jobs = await cli.json("list", "--state", "failed");
    return jobs.length > 0;
  }, "the first attempt to fail");
  run.signal("SIGTERM");
  assertNotEquals((await run.result).code, 0);
  const job = await cli.show("job");
  assertEquals([job.state, job.attempts], ["cancelled", 1]);
});

Deno.test("run on a paused queue says within a few seconds what it waits for, and runs once it is resumed", async () => {
  await using cli = new Cli();
  await cli.ok("queue", "pause", "default", "--reason", "disk full");
  const run = cli.spawn(["run", "echo ran"]);
  await waitUntil(() => run.stderr.includes("\n"), "the reason", { timeoutMs: 6000 });
  assertStringIncludes(run.stderr, "queue paused: disk full");
  assertEquals([run.stderr.split("\n").length, run.stdout], [2, ""]);
  await cli.ok("queue", "resume", "default");
  const { code, stdout } = await run.result;
  assertEquals([code, stdout], [0, "ran\n"]);
});

Deno.test("the job of a run that was killed with -9 is run again by a later worker, and not twice at a time", async () => {
  await using cli = new Cli();
  const command = `
    if [ "$QUEUECTL_ATTEMPT" = 1 ]; then echo $$ > pid; while :; do sleep 0.02; done; fi
    grep '^State:.[^Z]' "/proc/$(cat pid)/status" 2> gone
    echo ran`;
  const run = cli.spawn(["run", "--id", "job", command]);
  const [pid] = await cli.linesOnce("pid", 1);
  run.signal("SIGKILL");
  await run.result;
  assert(lives(pid!));
  assertEquals(await cli.drain(), 0);
  const job = await cli.show("job");
  assertEquals(job.state, "completed");
  assertEquals(job.attempts_history.map(({ outcome }) => outcome), ["lost", "completed"]);
  assertEquals(await cli.ok("logs", "job"), "ran");
  assert(!lives(pid!));
});

Deno.test("a run goes on by itself where the worker that ran its job was killed with -9", async () => {
  await using cli = new Cli();
  const worker = await cli.startWorker();
  const command = '[ "$QUEUECTL_ATTEMPT" = 2 ] && echo ran && exit; echo x > on; sleep 1000';
  const run = cli.spawn(["run", "--id", "job", command]);
  await cli.linesOnce("on", 1);
  worker.signal("SIGKILL");
  const { code, stdout } = await run.result;
  assertEquals([code, stdout], [0, "ran\n"]);
  const [lost, completed] = (await cli.show("job")).attempts_history;
  assertEquals([lost!.outcome, completed!.outcome], ["lost", "completed"]);
  assert(lost!.worker_id !== completed!.worker_id);
});

Deno.test("a run whose job is deleted before it could run returns 125", async () => {
  await using cli = new Cli();
  await cli.ok("queue", "pause", "default");
  await cli.ok("enqueue", "--id", "job10", "exit 3");
  const run = cli.spawn(["run", "--id", "job1", "true"]);
  await waitUntil(() => run.stderr !== "", "it to say that it waits");
  await cli.ok("delete", "job1");
  await waitUntil(() => run.ended, "the end of the run", { timeoutMs: 10_000 });
  assertEquals((await run.result).code, 125);
});

Deno.test("a run goes on after worker stop, which ends the executors of runs as well", async () => {
  await using cli = new Cli();
  const command = 'echo "$QUEUECTL_ATTEMPT" >> tries; exit 7';
  const run = cli.spawn([
    "run",
    "--id",
    "job",
    "--max-retries",
    "2",
    "--backoff-base",
    "1",
    command,
  ]);
  await cli.linesOnce("tries", 1);
  await cli.ok("worker", "stop");
  await waitUntil(() => run.ended, "the end of the run", { timeoutMs: 10_000 });
  assertEquals((await run.result).code, 7);
  assertEquals(cli.lines("tries"), ["1", "2"]);
});
