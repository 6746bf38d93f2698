import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Cli, commandLine, forShell, type RunOptions } from "../helpers/cli.ts";

/** Enqueues, and returns the jobs that are in the store afterwards. */
async function jobsAfter(cli: Cli, args: readonly string[], options: RunOptions = {}) {
  const { code, stderr } = await cli.run(["enqueue", ...args], options);
  assertEquals(code, 0, stderr);
  return JSON.parse(await cli.listing());
}

Deno.test("enqueue prints the id of the new job, and nothing else", async () => {
  await using cli = new Cli();
  const { code, stdout, stderr } = await cli.run(["enqueue", "echo hello"]);
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^[0-9abcdefghjkmnpqrstvwxyz]{12}\n$/);
  assertEquals((await cli.show(stdout.trim())).command, "echo hello");
});

Deno.test("enqueue takes one word as a shell command, verbatim", async () => {
  await using cli = new Cli();
  const commands = [
    `echo "a  b" | tr a-z A-Z; echo 'c'  > /dev/null`,
    "{ echo a; }",
    "{ echo a; echo '\"'; }",
    "  echo spaces  ",
    "echo 1\necho 2",
    "echo grüße 🎉",
    "[ -e / ]",
  ];
  for (const command of commands) await cli.ok("enqueue", command);
  const stored = JSON.parse(await cli.listing()).map((job: { command: string }) => job.command);
  assertEquals(stored, commands);
});

Deno.test("enqueue takes several words as an argument list, in which spaces and quotes survive", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "hello", "echo", "Hello Queue");
  const awkward = ["it's", "a  b", '"', "$HOME", "`x`", "*", "", "new\nline", "\\", "a=b", "-n"];
  await cli.ok("enqueue", "--id", "awkward", "--", "printf", "<%s>", ...awkward);
  assertEquals(await cli.drain(), 0);
  assertEquals(await cli.ok("logs", "hello"), "Hello Queue");
  assertEquals(await cli.ok("logs", "awkward"), awkward.map((word) => `<${word}>`).join(""));
});

Deno.test("enqueue takes words behind -- even if they look like its own options", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "dashes", "--", "echo", "--id", "-c", "--", "--json");
  assertEquals(await cli.drain(), 0);
  assertEquals(await cli.ok("logs", "dashes"), "--id -c -- --json");
});

Deno.test("enqueue does not take a first word with = in it for an assignment", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "assign", "--max-retries", "1", "A=1", "true");
  assertEquals(await cli.drain(), 1);
  assertEquals((await cli.show("assign")).exit_code, 127);
});

Deno.test("enqueue takes the command as -c or --command", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "-c", "echo a | cat", "--id", "short");
  await cli.ok("enqueue", "--command", "-x looks like an option", "--id", "long");
  await cli.ok("enqueue", "--command=echo b", "--id", "equals");
  assertEquals((await cli.show("short")).command, "echo a | cat");
  assertEquals((await cli.show("long")).command, "-x looks like an option");
  assertEquals((await cli.show("equals")).command, "echo b");
});

Deno.test("enqueue takes a JSON object, with spaces around and inside", async () => {
  await using cli = new Cli();
  const jobs = await jobsAfter(cli, ['{"id":"job1","command":"sleep 2"}']);
  assertEquals([jobs[0].id, jobs[0].command, jobs[0].state], ["job1", "sleep 2", "pending"]);
  await cli.ok("enqueue", ' \n {\n  "id" : "job2", "command" : "echo 2" } ');
  assertEquals((await cli.show("job2")).command, "echo 2");
});

Deno.test("enqueue takes JSON behind an @", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", '@{ "id":"x1", "command":"echo x" }');
  await cli.ok("enqueue", '@[{"id":"x2","command":"echo 2"},{"id":"x3","command":"echo 3"}]');
  const jobs = JSON.parse(await cli.listing());
  assertEquals(jobs.map(idOf), ["x1", "x2", "x3"]);
});

const THREE = [
  { id: "t1", command: "echo 1" },
  { id: "t2", command: "echo 2", max_retries: 7 },
  { id: "t3", command: "echo 3" },
];
const SHAPES: [string, string, string[]][] = [
  ["one object", JSON.stringify(THREE[0]), ["t1"]],
  ["one object over several lines", JSON.stringify(THREE[1], null, 2), ["t2"]],
  ["an array", JSON.stringify(THREE), ["t1", "t2", "t3"]],
  ["an array over several lines", JSON.stringify(THREE, null, 2), ["t1", "t2", "t3"]],
  ["JSON lines", THREE.map((job) => JSON.stringify(job)).join("\n"), ["t1", "t2", "t3"]],
  [
    "JSON lines with blank ones and CRLF",
    THREE.map((job) => `${JSON.stringify(job)}\r\n`).join("\n"),
    ["t1", "t2", "t3"],
  ],
];

for (const [shape, text, ids] of SHAPES) {
  Deno.test(`enqueue reads ${shape} from a file and from its input`, async () => {
    for (const from of ["@jobs.json", "@-", "-"]) {
      await using cli = new Cli();
      cli.write("jobs.json", text);
      const { code, stdout, stderr } = await cli.run(["enqueue", from], { stdin: text });
      assertEquals([code, stderr], [0, ""], from);
      assertEquals(stdout, ids.map((id) => `${id}\n`).join(""), from);
    }
  });
}

Deno.test("enqueue finds @FILE from the folder it is called in", async () => {
  await using cli = new Cli();
  Deno.mkdirSync(cli.path("sub folder"));
  cli.write("sub folder/jobs.json", '{"id":"near","command":"pwd"}');
  const [job] = await jobsAfter(cli, ["@jobs.json"], { cwd: cli.path("sub folder") });
  assertEquals([job.id, job.cwd], ["near", cli.path("sub folder")]);
});

Deno.test("enqueue sets what its options say", async () => {
  await using cli = new Cli();
  Deno.mkdirSync(cli.path("there"));
  const options = [
    "--id",
    "o",
    "--max-retries",
    "5",
    "--backoff-base",
    "1.5",
    "--timeout",
    "1m30s",
  ];
  await cli.ok("enqueue", ...options, "--cwd", "there", "true");
  const job = await cli.show("o");
  assertEquals(
    [job.max_retries, job.backoff_base, job.timeout_ms, job.cwd],
    [5, 1.5, 90_000, cli.path("there")],
  );
});

Deno.test("enqueue reads the same from JSON in snake_case, camelCase and other spellings", async () => {
  await using cli = new Cli();
  const spellings = [
    { id: "s1", max_retries: 5, backoff_base: 3, timeout: 90 },
    { id: "s2", maxRetries: 5, backoffBase: 3, timeout: "1m30s" },
    { id: "s3", maxRetries: 5, base_backoff: 3, timeout_seconds: 90 },
    { id: "s4", max_retries: 5, baseBackoff: 3, timeout_ms: 90_000 },
    { id: "s5", max_retries: 5, backoff_base: 3, timeoutSeconds: 90 },
  ].map((job) => ({ ...job, command: "true" }));
  for (const job of await jobsAfter(cli, ["@-"], { stdin: JSON.stringify(spellings) })) {
    assertEquals([job.max_retries, job.backoff_base, job.timeout_ms], [5, 3, 90_000], job.id);
  }
});

Deno.test("enqueue ignores the keys that other queues export along", async () => {
  await using cli = new Cli();
  const [job] = await jobsAfter(cli, [JSON.stringify({
    ...{ id: "exported", command: "true", attempts: 2, state: "dead", last_error: "boom" },
    ...{ created_at: "2020-01-01T00:00:00Z", updated_at: "2020-01-01T00:00:00Z" },
  })]);
  assertEquals([job.attempts, job.state, job.last_error], [0, "pending", null]);
  assert(Date.parse(job.created_at) > Date.parse("2021-01-01"));
});

Deno.test("enqueue --json prints one object for one job and an array for many", async () => {
  await using cli = new Cli();
  assertEquals(await cli.json("enqueue", "--id", "a", "true"), { id: "a", state: "pending" });
  const many = await cli.run(["enqueue", "@-", "--json"], {
    stdin: '[{"id":"b","command":"true"}]',
  });
  assertEquals(JSON.parse(many.stdout), [{ id: "b", state: "pending" }]);
});

Deno.test("enqueue adds all jobs of an input or none, and names the line that is wrong", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "old", "true");
  const before = await cli.listing();
  const good = '{"id":"new1","command":"true"}';
  const cases: [string, RegExp, number][] = [
    [`${good}\n{"id":"new2"`, /line 2/, 2],
    [`${good}\n\n{"id":"new2","comand":"true"}`, /line 3.*"comand"/, 2],
    [`${good}\n{"id":"new2","command":""}`, /line 2/, 2],
    [`[${good},{"id":"new2","command":7}]`, /job 2.*command/, 2],
    [`${good}\n${good}`, /^In line 2: .*"new1".*twice/, 2],
    [`${good}\n{"id":"old","command":"true"}`, /^In line 2: .*"old".*exists/, 1],
    [`[${good},{"id":"old","command":"true"}]`, /^In job 2: .*"old".*exists/, 1],
    [`${good}\n\n{"id":"new2","command":"true","after":"none"}`, /^In line 3: .*"none"/, 1],
    [`${good}\n{"id":"new2","command":"true","after":"new2"}`, /^In line 2: .*itself/, 1],
    [`{"key":"k","command":"true"}\n{"key":"k","command":"true"}`, /^In line 2: .*"k"/, 1],
    [`${good}\n{"command":"echo \\ud800"}`, /^In line 2: .*surrogate/, 2],
  ];
  for (const [stdin, message, expected] of cases) {
    const { code, stdout, stderr } = await cli.run(["enqueue", "@-"], { stdin });
    assertEquals([code, stdout], [expected, ""], stdin);
    assertMatch(stderr, message);
    assertEquals(await cli.listing(), before, stdin);
  }
});

Deno.test("enqueue refuses a command line that is no UTF-8, and takes U+FFFD as it is", async () => {
  await using cli = new Cli();
  const script = `exec ${forShell(commandLine("enqueue"))} "$(printf 'echo \\377')"`;
  const { code, stderr } = await cli.spawnProgram("sh", ["-c", script]).result;
  assertEquals([code, stderr], [
    2,
    "Cannot read the command line as UTF-8: expected words in UTF-8\n",
  ]);
  const id = await cli.ok("enqueue", "echo \ufffd");
  assertEquals((await cli.show(id)).command, "echo \ufffd");
});

Deno.test("enqueue refuses an id that exists, whichever state its job is in", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "once", "true");
  assertEquals((await cli.run(["enqueue", "--id", "once", "true"])).code, 1);
  await cli.drain();
  const again = await cli.run(["enqueue", "--id", "once", "true"]);
  assertEquals(again.code, 1);
  assertStringIncludes(again.stderr, '"once"');
});

Deno.test("failure 37: enqueue makes the store private, with its folder", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "true");
  assertEquals(Deno.statSync(cli.db).mode! & 0o777, 0o600);
  assertEquals(Deno.statSync(cli.path("store")).mode! & 0o777, 0o700);
});

Deno.test("enqueue finds the store by --db, QUEUECTL_DB, QUEUECTL_DB_PATH and the home folder, in this order", async () => {
  await using cli = new Cli();
  const env = { QUEUECTL_DB_PATH: "second.db", HOME: cli.path("home") };
  const without = { ...env, QUEUECTL_DB: undefined };
  const nothing = { ...without, QUEUECTL_DB_PATH: undefined };
  await cli.run(["--db", "first.db", "enqueue", "--id", "before", "true"], { env });
  await cli.run(["enqueue", "--db", "first.db", "--id", "after", "true"], { env });
  await cli.run(["enqueue", "--id", "variable", "true"], { env });
  await cli.run(["enqueue", "--id", "path", "true"], { env: without });
  await cli.run(["enqueue", "--id", "home", "true"], { env: nothing });
  const stores = ["first.db", cli.db, "second.db", "home/.queuectl/queue.db"];
  const ids = stores.map(async (db) => (await cli.json("list", "--db", db)).map(idOf));
  assertEquals(await Promise.all(ids), [["before", "after"], ["variable"], ["path"], ["home"]]);
});

function idOf({ id }: { id: string }): string {
  return id;
}
