import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Cli, lives } from "../helpers/cli.ts";

Deno.test("failure 24: workers of a copy run what was running, and leave alone what still runs for the original", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "lease", "1");
  const job =
    'echo "$$" >> began; [ "$(wc -l < began)" = 2 ] || until [ -e go ]; do sleep 0.02; done';
  await cli.ok("enqueue", "--id", "job", job);
  const worker = await cli.startWorker();
  const [pid] = await cli.linesOnce("began", 1);
  const copy = cli.path("copy.db");
  assertEquals(await cli.ok("backup", copy), copy);

  assertEquals((await cli.run(["--db", copy, "doctor"])).code, 0);
  assertEquals((await cli.run(["--db", copy, "worker", "start", "--drain"])).code, 0);
  const { state, attempts_history } = await cli.json("--db", copy, "show", "job");
  assertEquals(state, "completed");
  assertEquals(
    attempts_history.map(({ outcome }: { outcome: string }) => outcome),
    ["interrupted", "completed"],
  );
  assert(lives(pid!), "the original's job was killed");
  cli.write("go");
  await worker.event("completed", "job", 1);
});

Deno.test("a backup takes the place of nothing, and needs a store", async () => {
  await using cli = new Cli();
  const before = await cli.run(["backup", cli.path("copy.db")]);
  assertEquals([before.code, before.stdout], [1, ""]);
  await cli.ok("enqueue", "true");
  cli.write("copy.db", "something");
  const { code, stderr } = await cli.run(["backup", cli.path("copy.db")]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "copy.db");
  assertEquals(cli.lines("copy.db"), ["something"]);
});

Deno.test("doctor finds nothing wrong with a sound store, and makes none", async () => {
  await using cli = new Cli();
  assertEquals((await cli.run(["doctor"])).code, 0);
  assertEquals([...Deno.readDirSync(cli.folder)], []);
  await cli.ok("enqueue", "true");
  const findings = await cli.json("doctor");
  const failures = findings.filter(({ level }: { level: string }) => level === "failure");
  assertEquals(failures, []);
  assert(findings.length >= 10);
});

Deno.test("doctor fails where the counters are wrong, and says what it found", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "true");
  const { Database } = await import("@db/sqlite");
  const db = new Database(cli.db, { int64: true });
  db.exec("update job_counts set jobs = 7");
  db.close();
  const { code, stdout } = await cli.run(["doctor"]);
  assertEquals(code, 1);
  assertStringIncludes(stdout, "1 pending jobs in queue default, counted as 7");
});

Deno.test("doctor says so where the machine has no program that tells the free space", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "true");
  const { code, stdout } = await cli.run(["doctor"], { env: { PATH: cli.folder } });
  assertEquals(code, 0);
  assertStringIncludes(stdout, "ok      disk: how much is free is not known");
});

Deno.test("doctor warns of a worker that has died, and of what lives on of an ended attempt", async () => {
  await using cli = new Cli();
  const id = await cli.ok("enqueue", "sleep 60");
  const worker = await cli.startWorker();
  await worker.event("claimed", id);
  assert(!/^warning (workers|orphans)/m.test(await cli.ok("doctor")));
  worker.signal("SIGKILL");
  await worker.result;
  const [dead] = (await cli.json("show", id)).waits_for.split(";");
  assertEquals(dead, "its worker has died");
  assertMatch(await cli.ok("doctor"), /^warning workers: 1 of 1 died/m);

  const marks = { QUEUECTL_JOB_ID: id, QUEUECTL_ATTEMPT_ID: "of-an-ended-attempt" };
  const stray = cli.spawnProgram("sleep", ["60"], { env: marks });
  const foreign = { ...marks, QUEUECTL_JOB_ID: "of-another-store" };
  const other = cli.spawnProgram("sleep", ["60"], { env: foreign });
  const seen = await cli.ok("doctor");
  assertMatch(seen, new RegExp(`^warning orphans: .*\\b${stray.pid}$`, "m"));
  assert(!new RegExp(`\\b${other.pid}\\b`).test(seen), "a process of another store");
});
