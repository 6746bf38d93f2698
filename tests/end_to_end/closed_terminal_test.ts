import { assert, assertEquals } from "@std/assert";
import { Cli, commandLine, forShell, lives, waitUntil } from "../helpers/cli.ts";

Deno.test("failure 4: a worker whose events nobody reads for a while keeps its leases", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "lease", "1s");
  await cli.ok("config", "set", "max_retries", "1");
  await cli.ok("enqueue", "--id", "flood", "yes 0123456789 | head -c 20000000; sleep 3");
  const words = forShell(commandLine("worker", "start", "--json", "--verbose", "--drain"));
  const reader = "{ until [ -e read ]; do sleep 0.05; done; cat > events; }";
  const stalled = cli.spawnProgram("sh", ["-c", `${words} | ${reader}`]);
  await waitUntil(async () => (await cli.show("flood")).state === "processing", "the start");
  const other = await cli.startWorker();
  await waitUntil(async () => (await cli.show("flood")).state !== "processing", "the end");
  cli.write("read");
  assertEquals((await stalled.result).code, 0);
  other.signal("SIGTERM");
  const { state, attempts_history: [only] } = await cli.show("flood");
  assertEquals([state, only!.outcome], ["completed", "completed"]);
  const events = cli.lines("events").map((line) => JSON.parse(line).event);
  assertEquals([events[0], events.at(-1)], ["started", "stopped"]);
});

Deno.test("a worker whose events nobody reads any more goes on with its jobs", async () => {
  await using cli = new Cli();
  for (const id of ["first", "second", "third"]) {
    await cli.ok("enqueue", "--id", id, "sleep 0.2; echo $PPID >> parents");
  }
  const [program, ...args] = commandLine("--db", cli.db, "worker", "start", "--drain");
  const worker = new Deno.Command(program, {
    args,
    stdout: "null",
    stderr: "piped",
    stdin: "null",
  }).spawn();
  await worker.stderr.cancel();
  assertEquals((await worker.status).code, 0);
  const jobs = await cli.json("list");
  const ends = jobs.map(({ state, attempts }: { state: string; attempts: number }) =>
    `${state} ${attempts}`
  );
  assertEquals(ends, ["completed 1", "completed 1", "completed 1"]);
});

Deno.test("failure 13: a closed terminal stops a worker like SIGTERM: its job ends, no other begins", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "running", "echo $$ > pid; sleep 1; echo done > done");
  await cli.ok("enqueue", "--id", "waiting", "true");
  const [program, ...args] = commandLine("--db", cli.db, "worker");
  const worker = new Deno.Command(program, {
    args,
    stdout: "null",
    stderr: "piped",
    stdin: "null",
  }).spawn();
  await waitUntil(() => cli.lines("pid").length > 0, "the job to run");
  await worker.stderr.cancel();
  worker.kill("SIGHUP");
  assertEquals((await worker.status).code, 0);
  assertEquals(cli.lines("done"), ["done"]);
  assert(!lives(cli.lines("pid")[0]!));
  assertEquals((await cli.show("running")).state, "completed");
  assertEquals((await cli.show("waiting")).attempts, 0);
});
