import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Cli } from "../helpers/cli.ts";

Deno.test("a job sees its id, its attempt, its worker and a mark of the attempt", async () => {
  await using cli = new Cli();
  const show = 'env | grep "^QUEUECTL_[JAMW]" | sort; [ "$QUEUECTL_ATTEMPT" = 2 ]';
  await cli.ok("enqueue", "--id", "seen", "--max-retries", "5", "--backoff-base", "0", show);
  assertEquals(await cli.drain(), 0);
  const variables = (await cli.ok("logs", "seen")).split("\n");
  const mark = variables.find((line) => line.startsWith("QUEUECTL_ATTEMPT_ID="));
  assertMatch(mark!, /^QUEUECTL_ATTEMPT_ID=[0-9a-z]{16,}$/);
  assertEquals(variables.filter((line) => line !== mark), [
    "QUEUECTL_ATTEMPT=2",
    "QUEUECTL_JOB_ID=seen",
    "QUEUECTL_MAX_RETRIES=5",
    "QUEUECTL_WORKER=1",
  ]);
  assert(!(await cli.ok("logs", "seen", "--attempt", "1")).includes(mark!));
});

Deno.test("executors of one worker process have different numbers", async () => {
  await using cli = new Cli();
  const meet = "mkdir w$QUEUECTL_WORKER; until [ -d w1 ] && [ -d w2 ]; do sleep 0.02; done";
  await cli.run(["enqueue", "@-"], {
    stdin: JSON.stringify([{ command: meet, timeout: 10 }, { command: meet, timeout: 10 }]),
  });
  assertEquals(await cli.drain("--count", "2"), 0);
});

Deno.test("a job has the worker's environment, and what --env names", async () => {
  await using cli = new Cli();
  const show = 'printf "%s\\n" "$FROM_WORKER|$GIVEN|$EMPTY|$TAKEN|$NOT_TAKEN"';
  const named = ["--env", "GIVEN=a=b c", "--env", "EMPTY=", "--env", "TAKEN"];
  const env = { TAKEN: "at enqueue", NOT_TAKEN: "at enqueue" };
  await cli.run(["enqueue", "--id", "env", ...named, show], { env });
  await cli.ok("enqueue", JSON.stringify({ id: "json", command: show, env: { GIVEN: "j" } }));
  await cli.run(["worker", "start", "--drain"], { env: { FROM_WORKER: "w", TAKEN: "worker" } });
  assertEquals(await cli.ok("logs", "env"), "w|a=b c||at enqueue|");
  assertEquals(await cli.ok("logs", "json"), "w|j||worker|");
});

Deno.test("a job runs in the folder it was enqueued from, wherever its worker was started", async () => {
  await using cli = new Cli();
  for (const folder of ["here", "there", "worker's"]) Deno.mkdirSync(cli.path(folder));
  await cli.run(["enqueue", "--id", "a", "pwd"], { cwd: cli.path("here") });
  await cli.run(["enqueue", "--id", "b", "--cwd", "../there", "pwd"], { cwd: cli.path("here") });
  await cli.run(["worker", "start", "--drain"], { cwd: cli.path("worker's") });
  assertEquals(await cli.ok("logs", "a"), cli.path("here"));
  assertEquals(await cli.ok("logs", "b"), cli.path("there"));
});

Deno.test("failure 17: a job whose folder is gone fails with an error that names the folder", async () => {
  await using cli = new Cli();
  Deno.mkdirSync(cli.path("gone"));
  await cli.run(["enqueue", "--id", "homeless", "--max-retries", "1", "pwd"], {
    cwd: cli.path("gone"),
  });
  Deno.removeSync(cli.path("gone"));
  assertEquals(await cli.drain(), 1);
  const job = await cli.show("homeless");
  assertEquals([job.state, job.attempts_history[0]!.outcome], ["dead", "failed"]);
  assertStringIncludes(job.last_error!, cli.path("gone"));
  assertEquals((await cli.run(["logs", "-f", "homeless"])).code, 125);
});

Deno.test("failure 16: a job that reads its input finds it empty", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "reading", 'read -r line && echo "got $line"; cat; echo end');
  assertEquals(await cli.drain(), 0);
  assertEquals(await cli.ok("logs", "reading"), "end");
});

Deno.test("a job leads a session and a process group of its own", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "leader", "echo $$; ps -o sid= -o pgid= -p $$");
  assertEquals(await cli.drain(), 0);
  const [pid, sid, pgid] = (await cli.ok("logs", "leader")).trim().split(/\s+/);
  assertEquals([sid, pgid], [pid, pid]);
});

Deno.test("failure 17: a command may be as long as an argument can be", async () => {
  await using cli = new Cli();
  const command = `echo ok #${"x".repeat(128 * 1024 - 1 - 9)}`;
  assertEquals(command.length, 128 * 1024 - 1);
  await cli.run(["enqueue", "@-"], { stdin: JSON.stringify({ id: "long", command }) });
  assertEquals(await cli.drain(), 0);
  assertEquals(await cli.ok("logs", "long"), "ok");
});
