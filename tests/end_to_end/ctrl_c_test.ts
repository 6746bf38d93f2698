import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Child, Cli, hasTerminals, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

const CTRL_C = "\x03";
const WAITING = "echo x >> started; until [ -e go ]; do sleep 0.02; done";

/** A terminal with a worker in it that runs the job `running`; Ctrl-C is typed there `times` times. */
async function workerAfterCtrlC(cli: Cli, times: number): Promise<Child> {
  await cli.ok("enqueue", "--id", "running", WAITING);
  async function* keys() {
    await cli.linesOnce("started", 1);
    for (let time = 0; time < times; time++) {
      yield CTRL_C;
      const typedAt = performance.now();
      await waitUntil(() => terminal.stdout.includes("stopping"), "the worker to obey");
      await waitUntil(() => performance.now() - typedAt > 400, "the moment to pass");
    }
    await waitUntil(() => terminal.ended || terminalIsDone(), "the end");
  }
  const terminalIsDone = () => terminal.stdout.includes("stopped");
  const terminal = cli.spawnOnTerminal(["worker", "start"], keys());
  await waitUntil(() => terminal.stdout.includes("stopping"), "the worker to obey");
  return terminal;
}

Deno.test({
  name:
    "failure 10: Ctrl-C on a terminal does not touch the running job: it finishes at its first attempt",
  ignore: !hasTerminals,
  async fn() {
    await using cli = new Cli();
    const terminal = await workerAfterCtrlC(cli, 1);
    assert(!terminal.ended);
    await cli.ok("enqueue", "--id", "next", "true");
    cli.write("go");
    const { code, stdout } = await terminal.result;
    assertEquals(code, 0, stdout);
    const job = await cli.show("running");
    assertEquals([job.state, job.attempts], ["completed", 1]);
    assertEquals(job.attempts_history.map(({ outcome }) => outcome), ["completed"]);
    assertEquals(cli.lines("started").length, 1);
    const next = await cli.show("next");
    assertEquals([next.state, next.attempts_history], ["pending", []]);
    await assertSound(cli, ["running", "next"]);
  },
});

Deno.test({
  name: "failure 11: Ctrl-C twice ends the running job and gives it back",
  ignore: !hasTerminals,
  async fn() {
    await using cli = new Cli();
    const terminal = await workerAfterCtrlC(cli, 2);
    const { code, stdout } = await terminal.result;
    assertEquals(code, 0, stdout);
    const job = await cli.show("running");
    assertEquals([job.state, job.attempts], ["pending", 0]);
    assertEquals(job.attempts_history.map(({ outcome }) => outcome), ["interrupted"]);
  },
});

Deno.test({
  name: "on a terminal enqueue says what happened, and how to start a worker",
  ignore: !hasTerminals,
  async fn() {
    await using cli = new Cli();
    const { code, stdout } = await cli.spawnOnTerminal(["enqueue", "--id", "a", "true"], "").result;
    assertEquals(code, 0);
    const [id, ...hints] = stdout.trimEnd().split("\r\n");
    assertEquals(id, "a");
    assertStringIncludes(hints.join(" "), "queuectl worker start");
  },
});

Deno.test({
  name:
    "on a terminal pages have colour and fit its width, unless NO_COLOR or --no-color forbid it",
  ignore: !hasTerminals,
  async fn() {
    await using cli = new Cli();
    await cli.ok("enqueue", "--id", "long", `echo ${"x".repeat(300)}`);
    await cli.ok("queue", "pause", "default", "--reason", "y".repeat(300));
    const page = async (args: string[], env: Record<string, string> = {}) => {
      const options = { env: { TERM: "xterm", ...env } };
      return (await cli.spawnOnTerminal(args, "", options).result).stdout;
    };
    const colored = await page(["status"]);
    const plain = await page(["status", "--no-color"]);
    assertStringIncludes(colored, "\x1b[");
    assert(!plain.includes("\x1b["));
    assertEquals(await page(["status"], { NO_COLOR: "1" }), plain);
    // deno-lint-ignore no-control-regex -- that is the point
    assertEquals(colored.replace(/\x1b\[\d+m/g, ""), plain);
    const list = await page(["list", "--no-color"]);
    for (const line of list.split("\r\n")) assert(line.length <= 80, line);
    assertStringIncludes(list, "x…");
    assertStringIncludes(list, "y…");
    for (const line of (await page(["queue", "list"])).split("\r\n")) {
      // deno-lint-ignore no-control-regex -- that is the point
      assert(line.replace(/\x1b\[\d+m/g, "").length <= 80, line);
    }
  },
});
