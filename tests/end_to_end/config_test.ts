import { assert, assertEquals, assertMatch } from "@std/assert";
import { Cli, waitUntil } from "../helpers/cli.ts";

const INITIAL = {
  max_retries: 3,
  backoff_base: 2,
  backoff_max: 300,
  backoff_jitter: 0,
  timeout: null,
  ok_codes: [],
  fatal_codes: [],
  snooze: null,
  lease: 30,
  kill_grace: 5,
  shutdown_grace: 30,
  poll_interval: 1,
  output_limit: 10_485_760,
  retention: "30d",
  hook_completed: null,
  hook_dead: null,
  hook_idle: null,
  durability: "full",
};

Deno.test("config get shows every setting as key=value, and makes no store", async () => {
  await using cli = new Cli();
  const text = (value: unknown) => String(value ?? "none") || "none";
  const lines = Object.entries(INITIAL).map(([key, value]) => `${key}=${text(value)}`);
  assertEquals((await cli.ok("config", "get")).split("\n").sort(), lines.sort());
  assertEquals(await cli.ok("config", "list"), await cli.ok("config", "get"));
  assertEquals(await cli.json("config", "get"), INITIAL);
  assertEquals(await cli.ok("config", "get", "max_retries"), "max_retries=3");
  assertEquals([...Deno.readDirSync(cli.folder)], []);
});

Deno.test("config set changes each setting, and config unset brings the initial value back", async () => {
  await using cli = new Cli();
  const changes: Record<string, [string, unknown]> = {
    max_retries: ["5", 5],
    backoff_base: ["1.5", 1.5],
    backoff_max: ["10m", 600],
    backoff_jitter: ["0.25", 0.25],
    timeout: ["15m", 900],
    ok_codes: ["3, 4,3", [3, 4]],
    fatal_codes: ["2", [2]],
    snooze: ["1m", 60],
    lease: ["10", 10],
    kill_grace: ["500ms", 0.5],
    shutdown_grace: ["1m30s", 90],
    poll_interval: ["250ms", 0.25],
    output_limit: ["65536", 65_536],
    retention: ["7d", "7d"],
    hook_completed: ["true", "true"],
    hook_dead: ["notify 'a  b' >&2", "notify 'a  b' >&2"],
    hook_idle: ["false", "false"],
    durability: ["normal", "normal"],
  };
  assertEquals(Object.keys(changes).sort(), Object.keys(INITIAL).sort());
  for (const [key, [value]] of Object.entries(changes)) await cli.ok("config", "set", key, value);
  const changed = Object.entries(changes).map(([key, [, value]]) => [key, value]);
  assertEquals(await cli.json("config", "get"), Object.fromEntries(changed));
  for (const key of Object.keys(changes)) await cli.ok("config", "unset", key);
  assertEquals(await cli.json("config", "get"), INITIAL);
});

Deno.test("config takes - for _, capitals, and other names of a setting", async () => {
  await using cli = new Cli();
  assertEquals(await cli.ok("config", "set", "max-retries", "7"), "max_retries=7");
  assertEquals(await cli.ok("config", "set", "base-backoff", "3"), "backoff_base=3");
  assertEquals(await cli.ok("config", "set", "worker_poll_interval", "2"), "poll_interval=2");
  assertEquals(await cli.ok("config", "get", "Max-Retries"), "max_retries=7");
  assertEquals(await cli.ok("config", "get", "backoff-base"), "backoff_base=3");
  assertEquals(await cli.ok("config", "get", "worker-poll-interval"), "poll_interval=2");
});

Deno.test("config set max-retries -1 says what is accepted, not that -1 is no option", async () => {
  await using cli = new Cli();
  const { code, stdout, stderr } = await cli.run(["config", "set", "max-retries", "-1"]);
  assertEquals([code, stdout], [2, ""]);
  assertMatch(stderr, /^Cannot set config max_retries to "-1": expected a whole number from 0 to /);
});

Deno.test("failure 36: a hook of several lines is one line in config get, and nothing in it acts on the terminal", async () => {
  await using cli = new Cli();
  const hook = "echo one\necho '\x1b[31mtwo'";
  const lines = [await cli.ok("config", "set", "hook_dead", hook)];
  lines.push(...(await cli.ok("config", "get")).split("\n"));
  assertEquals(lines.length, 1 + Object.keys(INITIAL).length);
  // deno-lint-ignore no-control-regex -- that is the point
  for (const line of lines) assert(!/[\x00-\x1f]/.test(line), JSON.stringify(line));
  assertEquals((await cli.json("config", "get")).hook_dead, hook, "JSON has the text itself");
});

Deno.test("a job keeps the settings of the moment it was enqueued", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "max_retries", "2");
  await cli.ok("config", "set", "backoff_base", "0");
  await cli.ok("enqueue", "--id", "early", "false");
  await cli.ok("config", "set", "max_retries", "1");
  await cli.ok("config", "set", "timeout", "60");
  await cli.ok("enqueue", "--id", "late", "false");
  await cli.drain();
  const [early, late] = [await cli.show("early"), await cli.show("late")];
  assertEquals([early.attempts, early.timeout_ms], [2, null]);
  assertEquals([late.attempts, late.timeout_ms], [1, 60_000]);
});

Deno.test("a running worker obeys a new output_limit", async () => {
  await using cli = new Cli();
  const worker = await cli.startWorker("--poll", "1h");
  await cli.ok("config", "set", "output_limit", "1024");
  const kept = async (id: string) => {
    await cli.ok("enqueue", "--id", id, "head -c 100000 /dev/zero");
    await worker.event("completed", id);
    return (await cli.run(["logs", id])).out.length;
  };
  let tries = 0;
  // The change takes effect within a second, so the first of these jobs may still have the old one.
  await waitUntil(async () => await kept(`job${++tries}`) < 2000, "a job with the new limit", {
    timeoutMs: 5000,
    everyMs: 100,
  });
});

Deno.test("a running worker obeys a new shutdown_grace", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "shutdown_grace", "1h");
  await cli.ok("enqueue", "--id", "endless", "echo x > started; while :; do sleep 0.02; done");
  const worker = await cli.startWorker("--count", "2");
  await cli.linesOnce("started", 1);
  await cli.ok("config", "set", "shutdown_grace", "100ms");
  // The change takes effect within a second: as long as this job takes.
  await cli.ok("enqueue", "--id", "later", "sleep 1.1");
  await worker.event("completed", "later");
  const before = performance.now();
  worker.signal("SIGTERM");
  assertEquals((await worker.result).code, 0);
  assert(performance.now() - before < 10_000);
  assertEquals((await cli.show("endless")).state, "pending");
});
