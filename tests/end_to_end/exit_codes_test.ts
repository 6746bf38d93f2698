import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { between, Cli } from "../helpers/cli.ts";

/** The state, the number of attempts and the exit code of each job. */
async function ends(cli: Cli): Promise<Record<string, [string, number, number]>> {
  const jobs: { id: string; state: string; attempts: number; exit_code: number }[] = await cli
    .json("list");
  return Object.fromEntries(
    jobs.map(({ id, state, attempts, exit_code }) => [id, [state, attempts, exit_code]]),
  );
}

Deno.test("exit codes that are ok complete a job, whether an option, a JSON key or the config names them", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "max_retries", "1");
  await cli.ok("enqueue", "--id", "option", "--ok-codes", "3,4", "exit 4");
  await cli.ok("enqueue", "--id", "one", "--ok-codes", "3", "exit 3");
  await cli.enqueue(
    { id: "list", command: "exit 4", ok_codes: [3, 4] },
    { id: "number", command: "exit 3", okCodes: 3 },
    { id: "text", command: "exit 3", ok_codes: "3, 4" },
    { id: "others", command: "exit 5", ok_codes: [3, 4] },
    { id: "zero", command: "true", ok_codes: [3] },
  );
  await cli.ok("config", "set", "ok_codes", "7");
  await cli.ok("enqueue", "--id", "config", "exit 7");
  await cli.ok("enqueue", "--id", "instead", "--ok-codes", "none", "exit 7");
  await cli.ok("config", "unset", "ok_codes");
  await cli.ok("enqueue", "--id", "without", "exit 7");
  assertEquals(await cli.drain(), 1);
  assertEquals(await ends(cli), {
    option: ["completed", 1, 4],
    one: ["completed", 1, 3],
    list: ["completed", 1, 4],
    number: ["completed", 1, 3],
    text: ["completed", 1, 3],
    others: ["dead", 1, 5],
    zero: ["completed", 1, 0],
    config: ["completed", 1, 7],
    instead: ["dead", 1, 7],
    without: ["dead", 1, 7],
  });
  assertStringIncludes(await cli.ok("show", "option"), "3, 4");
});

Deno.test("a command that stands for a job with an ok code returns 0", async () => {
  await using cli = new Cli();
  assertEquals((await cli.run(["run", "--id", "job", "--ok-codes", "3", "exit 3"])).code, 0);
  assertEquals((await cli.run(["wait", "job"])).code, 0);
  assertEquals((await cli.run(["logs", "-f", "job"])).code, 0);
});

Deno.test("a fatal exit code makes a job dead at once, and other ones are retried", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "backoff_base", "0");
  await cli.ok("config", "set", "fatal_codes", "7");
  await cli.ok("enqueue", "--id", "config", "exit 7");
  await cli.ok("config", "unset", "fatal_codes");
  await cli.ok("enqueue", "--id", "option", "--fatal-codes", "2,3", "exit 3");
  await cli.enqueue(
    { id: "list", command: "exit 2", fatal_codes: [2] },
    { id: "others", command: "exit 4", fatalCodes: [2, 3] },
    { id: "second", command: "exit $((QUEUECTL_ATTEMPT + 1))", fatal_codes: [3] },
  );
  assertEquals(await cli.drain(), 1);
  assertEquals(await ends(cli), {
    config: ["dead", 1, 7],
    option: ["dead", 1, 3],
    list: ["dead", 1, 2],
    others: ["dead", 3, 4],
    second: ["dead", 2, 3],
  });
});

Deno.test("exit code 75 puts a job off without costing an attempt where it may snooze", async () => {
  await using cli = new Cli();
  const busy = "echo x >> tries; [ $(wc -l < tries) -gt 2 ] || exit 75";
  await cli.ok("enqueue", "--id", "job", "--max-retries", "1", "--snooze", "300ms", busy);
  const worker = await cli.startWorker();
  const snoozed = await worker.event("snoozed", "job", 1);
  await worker.event("completed", "job", 1);
  assert(Number(snoozed.retry_in_ms) <= 300, JSON.stringify(snoozed));
  const job = await cli.show("job");
  assertEquals([job.state, job.attempts, job.exit_code], ["completed", 1, 0]);
  const history = job.attempts_history;
  assertEquals(history.map(({ attempt, exit_code }) => [attempt, exit_code]), [
    ...[[1, 75], [1, 75], [1, 0]],
  ]);
  for (const i of [0, 1]) {
    const waitMs = between(history[i]!.finished_at, history[i + 1]!.started_at);
    assert(waitMs >= 295, `waited ${waitMs} ms`);
  }
});

Deno.test("a job that snoozes is pending, with its next time", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "job", command: "exit 75", snooze: "1h" });
  const worker = await cli.startWorker();
  await worker.event("snoozed", "job", 1);
  const job = await cli.show("job");
  assertEquals([job.state, job.attempts, job.exit_code], ["pending", 0, 75]);
  assertEquals(job.last_error, "Put off by exit code 75");
  assertEquals(between(job.attempts_history[0]!.finished_at, job.run_at), 3_600_000);
  assertStringIncludes(String(job.waits_for), "due at ");
});

Deno.test("exit code 75 is a failure like any other where a job may not snooze", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "backoff_base", "0");
  await cli.ok("config", "set", "snooze", "10ms");
  const twice = "echo x >> tries; [ $(wc -l < tries) -gt 2 ] || exit 75";
  await cli.ok("enqueue", "--id", "config", "--max-retries", "1", twice);
  await cli.ok("enqueue", "--id", "none", "--snooze", "none", "exit 75");
  await cli.ok("config", "unset", "snooze");
  await cli.enqueue(
    { id: "plain", command: "exit 75", max_retries: 2 },
    { id: "fatal", command: "exit 75", snooze: "10ms", fatal_codes: [75] },
    { id: "ok", command: "exit 75", snooze: "10ms", ok_codes: [75] },
    { id: "other", command: "exit 74", snooze: "10ms", max_retries: 1 },
  );
  assertEquals(await cli.drain(), 1);
  assertEquals(await ends(cli), {
    config: ["completed", 1, 0],
    none: ["dead", 3, 75],
    plain: ["dead", 2, 75],
    fatal: ["dead", 1, 75],
    ok: ["completed", 1, 75],
    other: ["dead", 1, 74],
  });
});

Deno.test("exit codes and snoozes that cannot be are refused, as options, in JSON and in the config", async () => {
  await using cli = new Cli();
  const wrong = ["256", "-1", "x", "1;2", "1,,2", "1.5", ""];
  for (const flag of ["--ok-codes", "--fatal-codes"]) {
    for (const value of wrong) {
      const { code, stderr } = await cli.run(["enqueue", `${flag}=${value}`, "true"]);
      assertEquals(code, 2, `${flag}=${value}`);
      assertStringIncludes(stderr, flag);
    }
  }
  for (
    const job of [{ ok_codes: [256] }, { fatal_codes: ["x"] }, { ok_codes: {} }, { snooze: "soon" }]
  ) {
    const text = JSON.stringify({ command: "true", ...job });
    assertEquals((await cli.run(["enqueue", text])).code, 2, text);
  }
  for (const [key, value] of [["ok_codes", "300"], ["fatal-codes", "x"], ["snooze", "-1"]]) {
    assertEquals((await cli.run(["config", "set", key!, value!])).code, 2, key);
  }
  assertEquals([...Deno.readDirSync(cli.folder)], []);
});
