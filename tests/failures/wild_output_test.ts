import { assert, assertEquals, assertMatch } from "@std/assert";
import { between, type Child, Cli, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

/** The most memory that a process has ever had, in bytes. */
function peakMemory(pid: number): number {
  const [, kib] = /^VmHWM:\s*(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))!;
  return Number(kib) * 1024;
}

async function runsToItsEnd(cli: Cli, worker: Child, command: string) {
  await cli.ok("enqueue", "--id", "job", "--max-retries", "1", command);
  await waitUntil(async () => ["completed", "dead"].includes((await cli.show("job")).state), "it", {
    everyMs: 100,
    timeoutMs: 60_000,
  });
  assertEquals((await cli.show("job")).state, "completed", worker.stderr);
}

const BIG = {
  "400 MB": "head -c 400000000 /dev/zero; echo; echo end",
  "one line of 400 MB": "head -c 400000000 /dev/zero | tr '\\0' x; echo; echo end",
};

for (const [what, command] of Object.entries(BIG)) {
  Deno.test({
    name: `failure 16: a job that prints ${what} costs its worker little memory`,
    ignore: Deno.build.os !== "linux",
    async fn() {
      await using cli = new Cli();
      await cli.ok("config", "set", "output_limit", "1048576");
      const worker = await cli.startWorker();
      await runsToItsEnd(cli, worker, command);
      // Of the 400 MB far less than half may ever have been held at once.
      const peak = peakMemory(worker.pid);
      assert(peak < 250_000_000, `the worker had ${peak} bytes`);
      const { out } = await cli.run(["logs", "job"]);
      assertEquals(new TextDecoder().decode(out.slice(-5)), "\nend\n");
      assert(out.length < 1_048_576 + 100, `${out.length} bytes kept`);
      await assertSound(cli);
    },
  });
}

Deno.test("failure 16: a line of 50 MB is kept whole where the limit is larger, also beside --verbose", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "output_limit", "60000000");
  await cli.ok("enqueue", "--id", "job", "head -c 50000000 /dev/zero | tr '\\0' x; echo; echo end");
  const worker = await cli.run(["worker", "start", "--drain", "--verbose"]);
  assertEquals(worker.code, 0);
  // Not all of it: a reader who is slower than the job misses something.
  assert(worker.err.length > 1_000_000, `${worker.err.length} bytes were passed on`);
  const { out, code } = await cli.run(["logs", "job"]);
  assertEquals([code, out.length], [0, 50_000_005]);
  assert(out.subarray(0, 50_000_000).every((byte) => byte === "x".charCodeAt(0)));
  assertEquals(await cli.ok("logs", "job", "--tail", "1"), "end");
  await assertSound(cli);
});

Deno.test("failure 16: random bytes with NULs and broken UTF-8 come back as they were, in every way to run and to look", async () => {
  await using cli = new Cli();
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  bytes.set([0, 0, 0xc3, 0x28, 0xed, 0xa0, 0x80, 0xff, 0xfe], 1000);
  Deno.writeFileSync(cli.path("random"), bytes);
  await cli.ok("enqueue", "--id", "job", "cat random");
  assertEquals((await cli.run(["worker", "start", "--drain", "--verbose", "--json"])).code, 0);
  assertEquals((await cli.run(["logs", "job"])).out, bytes);
  const text = await cli.ok("show", "job");
  // deno-lint-ignore no-control-regex -- that is the point
  assertMatch(text, /^[^\x00-\x09\x0b-\x1f\x7f]*$/);
  await cli.json("show", "job");
  await assertSound(cli);
});

const ESCAPES = "printf '\\033[31mred\\033[0m\\033]0;title\\007\\033[2J\\r\\b\\033cend\\n'";

Deno.test("failure 16: terminal escapes come back as they were from logs, and are harmless in all other places", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "job", ESCAPES);
  const { code, stderr } = await cli.run(["worker", "start", "--drain", "--verbose"]);
  assertEquals(code, 0);
  const { stdout } = await cli.run(["logs", "job"]);
  assertEquals(stdout, "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b[2J\r\b\x1bcend\n");
  for (const text of [stderr, await cli.ok("show", "job")]) {
    assert(text.includes("red") && text.includes("end"), text);
    // deno-lint-ignore no-control-regex -- that is the point
    assertMatch(text, /^[^\x00-\x09\x0b-\x1f\x7f]*$/);
  }
  await assertSound(cli);
});

Deno.test("failure 16: a job that closes its output runs on to its end, and what it had printed is kept", async () => {
  await using cli = new Cli();
  const closing = "echo before; exec >&- 2>&-; sleep 0.5; touch over; exit 3";
  await cli.ok("enqueue", "--id", "job", "--max-retries", "1", closing);
  assertEquals(await cli.drain(), 1);
  const [attempt, ...more] = (await cli.show("job")).attempts_history;
  assertEquals([attempt!.outcome, attempt!.exit_code, more], ["failed", 3, []]);
  const ranMs = between(attempt!.started_at, attempt!.finished_at);
  assert(ranMs >= 480, `it had ended after ${ranMs} ms`);
  assert(Deno.statSync(cli.path("over")).isFile);
  assertEquals(await cli.ok("logs", "job"), "before");
  await assertSound(cli);
});
