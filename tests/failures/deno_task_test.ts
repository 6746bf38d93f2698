import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { type Child, Cli, hasTerminals, jsonLines, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));
const TASK = ["task", "--quiet", "--config", CONFIG, "queuectl"];
const START = ["worker", "start", "--json"];

/** Jobs of which the first one runs until there is a file `go`. */
async function enqueueJobs(cli: Cli) {
  const waiting = "echo x >> started; until [ -e go ]; do sleep 0.02; done; echo finished > end";
  await cli.enqueue(
    { id: "running", command: waiting, cwd: cli.folder },
    { id: "next", command: "true" },
  );
}

/** The shell's words for a program with arguments. */
function shellWords(program: string, args: readonly string[]): string {
  return [program, ...args].map((word) => `'${word}'`).join(" ");
}

/** A worker process under `deno task`, which is the first process of a terminal. */
async function startOnTerminal(cli: Cli, keys: AsyncIterable<string> | "" = ""): Promise<Child> {
  await enqueueJobs(cli);
  // What the worker says has to be read after the terminal is gone too.
  const command = `exec ${shellWords(Deno.execPath(), [...TASK, ...START])} > events 2>/dev/null`;
  const script = ["-q", "-e", "-c", command, "/dev/null"];
  const terminal = cli.spawnProgram("script", script, { stdin: keys });
  await cli.linesOnce("started", 1);
  return terminal;
}

/** The worker was told to stop once, lets its job finish, starts no other, and is gone. */
async function assertStoppedGently(cli: Cli, events: () => string) {
  const told = () => jsonLines(events()).filter(({ event }) => event === "stopping");
  await waitUntil(() => told().length > 0, "the worker to obey");
  assertEquals((await cli.show("running")).state, "processing");
  cli.write("go");
  await waitUntil(() => jsonLines(events()).at(-1)?.event === "stopped", "the worker to stop");
  assertEquals(told().map(({ running, force }) => [running, force]), [[1, false]]);
  const running = await cli.show("running");
  assertEquals([running.state, running.attempts], ["completed", 1]);
  assertEquals(cli.lines("end"), ["finished"]);
  const next = await cli.show("next");
  assertEquals([next.state, next.attempts_history], ["pending", []]);
  assertEquals((await cli.json("status")).workers, []);
  await assertSound(cli, ["running", "next"]);
}

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  Deno.test(`failure 13: ${signal} to the deno task above a worker is the same as SIGTERM to the worker`, async () => {
    await using cli = new Cli();
    await enqueueJobs(cli);
    const task = cli.spawnProgram(Deno.execPath(), [...TASK, ...START]);
    await cli.linesOnce("started", 1);
    task.signal(signal);
    await assertStoppedGently(cli, () => task.stdout);
    assertEquals((await task.result).code, 0);
  });
}

const fileOf = (cli: Cli) => () => cli.lines("events").map((line) => `${line}\n`).join("");

Deno.test({
  name:
    "failure 13: Ctrl-C on a terminal with a worker under deno task is the same as SIGTERM, and counts once",
  ignore: !hasTerminals,
  async fn() {
    await using cli = new Cli();
    async function* keys() {
      await cli.linesOnce("started", 1);
      yield "\x03";
    }
    const terminal = await startOnTerminal(cli, keys());
    await assertStoppedGently(cli, fileOf(cli));
    assertEquals((await terminal.result).code, 0);
  },
});

Deno.test({
  name: "failure 13: kill -9 of the deno task above a worker on a terminal is the same as SIGTERM",
  ignore: !hasTerminals,
  async fn() {
    await using cli = new Cli();
    await startOnTerminal(cli);
    Deno.kill(parentOf((await cli.json("worker", "list"))[0].pid), "SIGKILL");
    await assertStoppedGently(cli, fileOf(cli));
  },
});

Deno.test({
  name: "failure 13: a terminal that is closed is the same as SIGTERM to the worker in it",
  ignore: !hasTerminals,
  async fn() {
    await using cli = new Cli();
    const terminal = await startOnTerminal(cli);
    terminal.signal("SIGKILL");
    await assertStoppedGently(cli, fileOf(cli));
  },
});

Deno.test("failure 13: kill -9 of the deno task above a worker without a terminal is the same as SIGTERM", async () => {
  await using cli = new Cli();
  await enqueueJobs(cli);
  const command = `exec ${shellWords(Deno.execPath(), [...TASK, ...START])} > events 2>/dev/null`;
  const task = cli.spawnProgram("sh", ["-c", command]);
  await cli.linesOnce("started", 1);
  const [worker] = await cli.json("worker", "list");
  Deno.kill(parentOf(worker.pid), "SIGKILL");
  await task.result;
  await assertStoppedGently(cli, fileOf(cli));
});

function parentOf(pid: number): number {
  const [, parent] = /^PPid:\s*(\d+)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))!;
  assert(Number(parent) > 1);
  return Number(parent);
}
