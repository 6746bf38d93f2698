import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { between, Cli, lives } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

Deno.test("failure 14: a job that ignores TERM is killed when it has timed out, with what it started", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "kill_grace", "0.3");
  const stubborn = `
    trap '' TERM
    sh -c 'trap "" TERM; echo $$ >> pids; while :; do sleep 0.05; done' &
    echo $$ >> pids
    echo before
    while :; do sleep 0.05; done`;
  await cli.ok("enqueue", "--id", "stubborn", "--max-retries", "1", "--timeout", "700ms", stubborn);
  assertEquals(await cli.drain(), 1);

  const job = await cli.show("stubborn");
  const [attempt, ...more] = job.attempts_history;
  assertEquals(more, []);
  assertEquals([job.state, attempt!.outcome], ["dead", "timed_out"]);
  assertEquals(job.last_error, "Timed out after 0.7 s");
  const ranMs = between(attempt!.started_at, attempt!.finished_at);
  assert(ranMs >= 950 && ranMs < 4000, `ran ${ranMs} ms`);
  const pids = cli.lines("pids");
  assertEquals(pids.length, 2);
  assertEquals(pids.filter(lives), []);
  assertEquals(await cli.ok("logs", "stubborn"), "before");
  assertEquals((await cli.run(["logs", "-f", "stubborn"])).code, 124);
  await assertSound(cli, ["stubborn"]);
});

Deno.test("failure 14: a job that times out is told by TERM first, and can clean up", async () => {
  await using cli = new Cli();
  const willing = "trap 'echo cleaned > cleaned; exit 0' TERM; while :; do sleep 0.02; done";
  await cli.ok("enqueue", "--id", "willing", "--max-retries", "1", "--timeout", "0.5", willing);
  assertEquals(await cli.drain(), 1);
  const [attempt] = (await cli.show("willing")).attempts_history;
  assertEquals(attempt!.outcome, "timed_out");
  assertEquals(cli.lines("cleaned"), ["cleaned"]);
  const ranMs = between(attempt!.started_at, attempt!.finished_at);
  assert(ranMs < 4000, `ran ${ranMs} ms, as if it had been killed after the grace of 5 s`);
});

Deno.test("a job that timed out is tried again like any that failed", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "timeout", "400ms");
  const slowAtFirst = '[ "$QUEUECTL_ATTEMPT" = 2 ] || sleep 100';
  await cli.ok("enqueue", "--id", "slow", "--backoff-base", "0", slowAtFirst);
  await cli.ok("enqueue", "--id", "unlimited", "--timeout", "none", "sleep 0.8");
  assertEquals(await cli.drain("--count", "2"), 0);
  const { attempts, attempts_history: history } = await cli.show("slow");
  assertEquals([attempts, history.map(({ outcome }) => outcome)], [2, ["timed_out", "completed"]]);
  assertEquals((await cli.show("unlimited")).attempts, 1);
});

Deno.test("failure 15: what a job leaves in the background neither holds its worker nor outlives it", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "leaving", "sleep 1000 & echo $! > pid; echo done");
  assertEquals(await cli.drain(), 0);
  const [attempt] = (await cli.show("leaving")).attempts_history;
  assert(between(attempt!.started_at, attempt!.finished_at) < 4000);
  const [pid] = cli.lines("pid");
  assert(!lives(pid!));
  assertStringIncludes(await cli.ok("logs", "leaving"), "done");
  await assertSound(cli, ["leaving"]);
});
