import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Child, Cli, commandLine, MAIN, type Result, succeeds } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";
import { AS_NOBODY, NOBODY } from "./nobody.ts";

/** Enqueues one job as JSON describes it, without a check. */
function enqueueJson(cli: Cli, job: Record<string, unknown>): Promise<Result> {
  return cli.run(["enqueue", "@-"], { stdin: JSON.stringify(job) });
}

Deno.test("failure 17: a command of 1 MB is refused in one sentence, and nothing of its file is added", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "before", "true");
  const jobs = [{ id: "beside", command: "true" }, { command: `: ${"x".repeat(1_000_000)}` }];
  const { code, stdout, stderr } = await cli.run(["enqueue", "@-"], {
    stdin: jobs.map((job) => JSON.stringify(job)).join("\n"),
  });
  assertEquals([code, stdout], [2, ""]);
  assertMatch(stderr, /^[^\n]{1,200}1000002 bytes[^\n]{1,200}128 KiB[^\n]{0,200}\n$/);
  await assertSound(cli, ["before"]);
});

Deno.test("failure 17: newlines, quotes and words with dashes reach the command as they were given", async () => {
  await using cli = new Cli();
  const words = [
    ...["-rf", "--", "--help", "-", "", " ", "it's", '"quoted"', "two\nlines\n", "\\n", "$HOME"],
    ...["`id`", "$(id)", "*", "~", "a;b", "a&b|c", "#no", "!x", "\t", "ü€😀", "%s", "=x"],
  ];
  await cli.ok("enqueue", "--id", "words", "--", "printf", "[%s]", ...words);
  const text = `printf '%s\\n' "it's" -rf \\\n  'a "b"'\n# a comment\nprintf "%s" '$x'`;
  assertEquals((await enqueueJson(cli, { id: "text", command: text })).code, 0);
  assertEquals(await cli.drain(), 0);
  const { stdout } = await cli.run(["logs", "words"]);
  assertEquals(stdout, words.map((word) => `[${word}]`).join(""));
  assertEquals(await cli.ok("logs", "text"), 'it\'s\n-rf\na "b"\n$x');
  await assertSound(cli, ["words", "text"]);
});

Deno.test("failure 17: a command that begins with a dash is a command, not an option of the shell", async () => {
  await using cli = new Cli();
  Deno.mkdirSync(cli.path("bin"));
  cli.write("bin/-rf", '#!/bin/sh\necho "ran with $*"\n');
  Deno.chmodSync(cli.path("bin/-rf"), 0o755);
  await cli.ok("enqueue", "--id", "text", "--max-retries", "1", "--", "-rf here");
  await cli.ok("enqueue", "--id", "words", "--max-retries", "1", "--", "-rf", "there");
  await enqueueJson(cli, { id: "missing", command: "-no-such-program", max_retries: 1 });
  const env = { PATH: `${cli.path("bin")}:${Deno.env.get("PATH")}` };
  await cli.run(["worker", "start", "--drain"], { env });
  assertEquals(await cli.ok("logs", "text"), "ran with here");
  assertEquals(await cli.ok("logs", "words"), "ran with there");
  assertEquals((await cli.show("missing")).exit_code, 127);
});

Deno.test("failure 17: a job may have 10,000 environment values", async () => {
  await using cli = new Cli();
  const env = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, i) => [`VALUE_${i}`, `it's "${i}"\n`]),
  );
  const command = "env -0 | grep -zc '^VALUE_'; printf '%s' \"$VALUE_9999\"";
  assertEquals((await enqueueJson(cli, { id: "job", command, env })).code, 0);
  assertEquals(await cli.drain(), 0);
  assertEquals((await cli.run(["logs", "job"])).stdout, '10000\nit\'s "9999"\n');
  await assertSound(cli, ["job"]);
});

Deno.test("failure 17: an environment that no program can be started with fails its job, and no other", async () => {
  await using cli = new Cli();
  const env = Object.fromEntries(
    Array.from({ length: 4000 }, (_, i) => [`VALUE_${i}`, "x".repeat(2000)]),
  );
  const job = { id: "job", command: "true", env, max_retries: 2, backoff_base: 0 };
  assertEquals((await enqueueJson(cli, job)).code, 0);
  await cli.ok("enqueue", "--id", "next", "true");
  assertEquals(await cli.drain(), 1);
  const { state, attempts, last_error } = await cli.show("job");
  assertEquals([state, attempts], ["dead", 2]);
  assertMatch(last_error!, /Argument list too long/);
  assertEquals((await cli.show("next")).state, "completed");
  await assertSound(cli, ["job", "next"]);
});

Deno.test("failure 17: without sh in the path jobs fail with an error that names it, and run once it is there", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "job", command: "echo ran", max_retries: 3, backoff_base: 0 });
  Deno.mkdirSync(cli.path("empty"));
  const started = await cli.run(["worker", "start", "--limit", "1"], {
    env: { PATH: cli.path("empty") },
  });
  assertEquals(started.code, 0, started.stderr);
  const job = await cli.show("job");
  assertEquals([job.state, job.attempts], ["failed", 1]);
  assertMatch(job.last_error!, /'sh'/);
  assertEquals(await cli.drain(), 0);
  assertEquals(await cli.ok("logs", "job"), "ran");
  await assertSound(cli, ["job"]);
});

/** Whether a program succeeds as another user, whom limits bind even if this one is root. */
function asNobody(program: string, args: string[]): Promise<boolean> {
  return succeeds("setpriv", [...AS_NOBODY, program, ...args]);
}

const hasNobody = Deno.build.os === "linux" && Deno.uid() === 0 &&
  await asNobody("prlimit", ["--nproc=1000:", "true"]) &&
  await asNobody(Deno.execPath(), ["--version"]) && await asNobody("cat", [MAIN]);
if (!hasNobody) {
  console.warn(
    "A test without processes to fork is left out: it needs root, setpriv, prlimit and sources that " +
      "everybody may read",
  );
}

Deno.test({
  name:
    "failure 17: while no process can be forked jobs fail with that error, and the worker goes on",
  ignore: !hasNobody,
  async fn() {
    await using cli = new Cli();
    Deno.chownSync(cli.folder, NOBODY, NOBODY);
    Deno.mkdirSync(cli.path("home"));
    Deno.chownSync(cli.path("home"), NOBODY, NOBODY);
    const queuectl = (...args: string[]): Child =>
      cli.spawnProgram("setpriv", [...AS_NOBODY, ...commandLine(...args)], {
        env: { DENO_DIR: cli.path("home"), HOME: cli.path("home") },
      });
    const ok = async (...args: string[]) => assertEquals((await queuectl(...args).result).code, 0);
    // A soft limit, so that the same user may take it back.
    const limit = async (processes: number) =>
      assert(await asNobody("prlimit", ["--pid", String(worker.pid), `--nproc=${processes}:`]));

    await ok("enqueue", "--id", "first", "true");
    const worker = queuectl("worker", "start", "--json");
    await worker.event("completed", "first");
    await limit(1);
    await ok(
      "enqueue",
      "--id",
      "job",
      "--backoff-base",
      "0.2",
      "--max-retries",
      "1000",
      "echo ran",
    );
    const failed = await worker.event("failed", "job", 1);
    assertMatch(String(failed.error), /Resource temporarily unavailable/);
    assert(!worker.ended);
    await limit(1000);
    await worker.event("completed", "job");
    worker.signal("SIGTERM");
    assertEquals((await worker.result).code, 0);
    assertEquals(await cli.ok("logs", "job"), "ran");
    await assertSound(cli, ["first", "job"]);
  },
});
