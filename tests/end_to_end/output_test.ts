import { assert, assertEquals, assertMatch } from "@std/assert";
import { dirname, join } from "@std/path";
import { Cli, waitUntil } from "../helpers/cli.ts";

/** Runs one job called `job` to its end. */
async function afterRunning(command: string, settings: Record<string, string> = {}): Promise<Cli> {
  const cli = new Cli();
  for (const [key, value] of Object.entries(settings)) await cli.ok("config", "set", key, value);
  await cli.ok("enqueue", "--id", "job", "--max-retries", "1", command);
  await cli.drain();
  return cli;
}

Deno.test("failure 16: logs prints both streams byte for byte, each where it belongs", async () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const octal = [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
  await using cli = await afterRunning(`printf '${octal}'; printf 'oops\\0\\377' >&2`);
  const both = await cli.run(["logs", "job"]);
  const oops = new Uint8Array([...new TextEncoder().encode("oops"), 0, 255]);
  assertEquals([both.code, both.out, both.err], [0, bytes, oops]);
  const stdout = await cli.run(["logs", "job", "--stdout"]);
  assertEquals([stdout.out, stdout.err.length], [bytes, 0]);
  const stderr = await cli.run(["logs", "job", "--stderr"]);
  assertEquals([stderr.out.length, stderr.err], [0, oops]);
});

Deno.test("logs shows the last lines with --tail or --limit, of what ends with a line break or not", async () => {
  await using cli = await afterRunning("seq 1 1000; printf unfinished");
  assertEquals(await cli.ok("logs", "job", "--tail", "3"), "999\n1000\nunfinished");
  assertEquals(await cli.ok("logs", "job", "--limit", "1"), "unfinished");
  assertEquals(await cli.ok("logs", "job", "--tail", "0"), "");
  assertEquals((await cli.ok("logs", "job", "--tail", "5000")).split("\n").length, 1001);
  await cli.ok("enqueue", "--id", "ends", "seq 1 10");
  await cli.drain();
  assertEquals(await cli.ok("logs", "ends", "--tail", "2"), "9\n10");
});

Deno.test("output over output_limit keeps the first quarter and the last three, and says what is missing", async () => {
  await using cli = await afterRunning("seq 1 20000", { output_limit: "4096" });
  const whole = Array.from({ length: 20000 }, (_, i) => `${i + 1}\n`).join("");
  const missing = whole.length - 4096;
  const line = `\n[queuectl: ${missing} bytes are missing here; see output_limit]\n`;
  const { stdout } = await cli.run(["logs", "job"]);
  assertEquals(stdout, whole.slice(0, 1024) + line + whole.slice(-3072));
});

Deno.test("failure 16: a job that prints 200 MB completes, and the store stays small", async () => {
  await using cli = await afterRunning("head -c 200000000 /dev/zero; echo end", {
    output_limit: "1048576",
  });
  assertEquals((await cli.show("job")).state, "completed");
  const { out, stderr } = await cli.run(["logs", "job"]);
  assertEquals(stderr, "");
  assert(out.length > 1_048_576 && out.length < 1_049_000, `${out.length} bytes kept`);
  assertEquals(new TextDecoder().decode(out.slice(-5)), "\0end\n");
  let stored = 0;
  for (const { name } of Deno.readDirSync(dirname(cli.db))) {
    stored += Deno.statSync(join(dirname(cli.db), name)).size;
  }
  assert(stored < 40_000_000, `the store has ${stored} bytes`);
});

Deno.test("logs -f follows a running job and returns its exit code", async () => {
  await using cli = new Cli();
  const talking = "echo first; until [ -e go ]; do sleep 0.02; done; echo second; exit 42";
  await cli.ok("enqueue", "--id", "talking", "--max-retries", "1", talking);
  const logs = cli.spawn(["logs", "-f", "talking"]);
  await cli.startWorker();
  await waitUntil(() => logs.stdout === "first\n", "the first line");
  assert(!logs.ended);
  cli.write("go");
  const { code, stdout, stderr } = await logs.result;
  assertEquals([code, stdout, stderr], [42, "first\nsecond\n", ""]);
});

Deno.test("logs -f goes on through the retries of a job", async () => {
  await using cli = new Cli();
  const flaky = 'echo "attempt $QUEUECTL_ATTEMPT"; [ "$QUEUECTL_ATTEMPT" = 2 ]';
  await cli.ok("enqueue", "--id", "flaky", "--backoff-base", "0", flaky);
  const logs = cli.spawn(["logs", "-f", "flaky"]);
  assertEquals(await cli.drain(), 0);
  const { code, stdout } = await logs.result;
  assertEquals(code, 0);
  assertMatch(stdout, /attempt 2\n$/);
});

Deno.test("logs -f of a job that has ended prints its output and returns its exit code", async () => {
  await using cli = await afterRunning("echo out; exit 9");
  const { code, stdout } = await cli.run(["logs", "--follow", "job"]);
  assertEquals([code, stdout], [9, "out\n"]);
});

Deno.test("logs shows what a running job has printed so far", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "slow", "echo early; until [ -e go ]; do sleep 0.02; done");
  await cli.startWorker();
  await waitUntil(async () => await cli.ok("logs", "slow") === "early", "the early line");
  assertEquals((await cli.show("slow")).state, "processing");
});

Deno.test("logs --attempt shows the output of an earlier attempt", async () => {
  await using cli = new Cli();
  const failing = 'echo "attempt $QUEUECTL_ATTEMPT"; false';
  await cli.ok("enqueue", "--id", "job", "--backoff-base", "0", failing);
  await cli.drain();
  assertEquals(await cli.ok("logs", "job", "--attempt", "1"), "attempt 1");
  assertEquals(await cli.ok("logs", "job", "--attempt", "2"), "attempt 2");
  assertEquals(await cli.ok("logs", "job"), "attempt 3");
});

Deno.test("logs of a job that has not run yet says so", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "waiting", "true");
  const { code, stdout, stderr } = await cli.run(["logs", "waiting"]);
  assertEquals([code, stdout, stderr], [0, "", 'Job "waiting" has not run yet\n']);
});

Deno.test("logs --json prints pieces as JSON lines, as text where it is UTF-8 and else as base 64", async () => {
  await using cli = await afterRunning("echo grüße; sleep 0.3; printf '\\377' >&2");
  const lines = (await cli.ok("logs", "job", "--json")).split("\n").map((line) => JSON.parse(line));
  assertEquals(lines, [
    { attempt: 1, stream: "stdout", start: 0, text: "grüße\n" },
    { attempt: 1, stream: "stderr", start: 8, base64: "/w==" },
  ]);
});
