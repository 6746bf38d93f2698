import { assert, assertEquals } from "@std/assert";
import { between, Cli, type ShownJob } from "../helpers/cli.ts";

/** From each attempt's end to the next one's start, in milliseconds. */
function gaps({ attempts_history: history }: ShownJob): number[] {
  return history.slice(1).map((next, i) => between(history[i]!.finished_at, next.started_at));
}

function assertAbout(actual: number, expected: number) {
  assert(
    actual >= expected - 50 && actual < expected + 1500,
    `expected about ${expected} ms, was ${actual}`,
  );
}

Deno.test("a failing job runs max_retries times, after waits of backoff_base ** n seconds", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "max_retries", "3");
  await cli.ok("config", "set", "backoff_base", "2");
  await cli.ok("enqueue", "--id", "failing", 'echo "$QUEUECTL_ATTEMPT" >> runs; exit 7');
  assertEquals(await cli.drain(), 1);

  const job = await cli.show("failing");
  assertEquals(cli.lines("runs"), ["1", "2", "3"]);
  assertEquals([job.state, job.attempts, job.exit_code], ["dead", 3, 7]);
  assertEquals(job.last_error, "Exit code 7");
  const history = job.attempts_history.map(({ attempt, outcome, exit_code }) => [
    attempt,
    outcome,
    exit_code,
  ]);
  assertEquals(history, [[1, "failed", 7], [2, "failed", 7], [3, "failed", 7]]);
  const [first, second, ...more] = gaps(job);
  assertAbout(first!, 2000);
  assertAbout(second!, 4000);
  assertEquals(more, []);
});

Deno.test("a job that waits for its next attempt is failed, with the time and the reason", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "waiting", "--backoff-base", "60", "exit 4");
  const worker = await cli.startWorker();
  const event = await worker.event("failed", "waiting", 1);
  assertEquals(event.error, "Exit code 4");
  assert(Number(event.retry_in_ms) > 55_000 && Number(event.retry_in_ms) <= 60_000);

  const job = await cli.show("waiting");
  assertEquals([job.state, job.attempts, job.exit_code], ["failed", 1, 4]);
  const [attempt] = job.attempts_history;
  assertAbout(between(attempt!.finished_at, job.run_at), 60_000);
});

Deno.test("the wait between attempts is never longer than backoff_max", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "backoff_max", "0.5");
  await cli.ok("enqueue", "--id", "capped", "--backoff-base", "1000", "false");
  assertEquals(await cli.drain(), 1);
  for (const gap of gaps(await cli.show("capped"))) assertAbout(gap, 500);
});

Deno.test("a job that succeeds at a later attempt is completed, with its failures in the history", async () => {
  await using cli = new Cli();
  const flaky = 'echo try >> tries; [ "$(wc -l < tries)" -ge 3 ]';
  await cli.ok("enqueue", "--id", "flaky", "--backoff-base", "0", flaky);
  assertEquals(await cli.drain(), 0);
  const job = await cli.show("flaky");
  assertEquals([job.state, job.attempts, job.last_error], ["completed", 3, null]);
  assertEquals(job.attempts_history.map(({ outcome }) => outcome), [
    "failed",
    "failed",
    "completed",
  ]);
});

for (const maxRetries of ["0", "1"]) {
  Deno.test(`a job with max_retries ${maxRetries} runs once`, async () => {
    await using cli = new Cli();
    await cli.ok("enqueue", "--id", "once", "--max-retries", maxRetries, "echo x >> runs; false");
    assertEquals(await cli.drain(), 1);
    assertEquals(cli.lines("runs").length, 1);
    assertEquals((await cli.show("once")).state, "dead");
  });
}

Deno.test("a command that does not exist, and one that ends by a signal, are failures like any other", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "missing", "--max-retries", "1", "surely-no-such-program");
  await cli.ok("enqueue", "--id", "signalled", "--max-retries", "1", "kill -SEGV $$");
  assertEquals(await cli.drain(), 1);
  const missing = await cli.show("missing");
  const signalled = await cli.show("signalled");
  assertEquals([missing.state, missing.exit_code, missing.signal], ["dead", 127, null]);
  assertEquals([signalled.state, signalled.exit_code, signalled.signal], ["dead", null, "SIGSEGV"]);
  assertEquals((await cli.run(["logs", "-f", "missing"])).code, 127);
  assertEquals((await cli.run(["logs", "-f", "signalled"])).code, 128 + 11);
});
