import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { Cli } from "../helpers/cli.ts";

const FAILED = 1;
const BAD_REQUEST = 2;

interface BadCase {
  args: string[];
  stdin?: string | Uint8Array<ArrayBuffer>;
  /** What the sentence must say. */
  says?: RegExp;
}

/** Two jobs with ids that begin alike, a completed one and a dead one. */
async function storeWithJobs(): Promise<Cli> {
  const cli = new Cli();
  const done = [
    { id: "done", command: "echo out" },
    { id: "gone", command: "exit 3", max_retries: 1 },
  ];
  await cli.run(["enqueue", "@-"], { stdin: JSON.stringify(done) });
  await cli.drain();
  const waiting = [{ id: "alpha-1", command: "true" }, { id: "alpha-2", command: "true" }];
  await cli.run(["enqueue", "@-"], { stdin: JSON.stringify(waiting) });
  return cli;
}

async function contents(cli: Cli): Promise<string> {
  return await cli.listing() + await cli.look("config", "get") + await cli.look("worker", "list");
}

async function isRefused(cli: Cli, expected: number, { args, stdin, says }: BadCase) {
  const about = args.map((arg) => arg.length > 60 ? `${arg.slice(0, 60)}…` : arg).join(" ") +
    (typeof stdin === "string" ? ` < ${stdin.slice(0, 60)}` : "");
  const { code, stdout, stderr } = await cli.run(args, { stdin });
  assertEquals(code, expected, `exit code of ${about}: ${stderr}`);
  assertEquals(stdout, "", `stdout of ${about}`);
  assertMatch(stderr, /^[^\n]+\n$/, `one line on stderr of ${about}`);
  assert(stderr.length <= 501, `${stderr.length} characters on stderr of ${about}`);
  // deno-lint-ignore no-control-regex -- that is the point
  assert(!/[\x00-\x09\x0b-\x1f\x7f]/.test(stderr), `control characters on stderr of ${about}`);
  assert(
    !/\bat .*:\d+:\d+|Unexpected failure|\.ts\b/.test(stderr),
    `a stack of ${about}: ${stderr}`,
  );
  if (says) assertMatch(stderr, says, about);
}

function refuses(what: string, code: number, cases: readonly (BadCase | string[])[]) {
  Deno.test(`failure 35: queuectl refuses ${what} with exit code ${code}, one sentence and nothing changed`, async () => {
    await using cli = await storeWithJobs();
    const before = await contents(cli);
    for (const each of cases) {
      await isRefused(cli, code, Array.isArray(each) ? { args: each } : each);
    }
    assertEquals(await contents(cli), before);
  });
}

refuses("what is no command or option", BAD_REQUEST, [
  { args: ["frobnicate"], says: /"frobnicate"/ },
  { args: ["enqeue", "true"], says: /enqueue/ },
  { args: ["enqueue", "--max-retires", "3", "true"], says: /--max-retries/ },
  { args: ["list", "--stat", "pending"], says: /--state/ },
  ["worker", "frobnicate"],
  ["dlq", "frobnicate"],
  { args: ["help", "enqeue"], says: /Did you mean command "enqueue"/ },
  { args: ["help", "worker", "strat"], says: /Did you mean command "start"/ },
  { args: ["help", "enqueue", "true"], says: /"enqueue true"/ },
  ["config", "frobnicate"],
  ["status", "extra"],
  ["-x"],
  ["list", "--json=yes"],
]);

refuses("options without their value, twice or against each other", BAD_REQUEST, [
  ["list", "--db"],
  ["list", "--db", ""],
  ["list", "--db", "  "],
  ["enqueue", "--id", "a", "--id", "b", "true"],
  ["logs", "done", "--tail", "1", "--limit", "1"],
  ["logs", "done", "--stdout", "--stderr"],
  ["worker", "start", "--sleep", "1", "--poll", "1s"],
  ["show"],
  ["logs"],
  ["config", "set"],
  ["config", "set", "max_retries"],
  ["config", "set", "max_retries", "1", "2"],
  ["config", "unset"],
]);

refuses("choices of dead jobs that say nothing or too much", BAD_REQUEST, [
  ["dlq", "retry"],
  ["dlq", "retry", "--all", "gone"],
  ["dlq", "purge"],
  { args: ["dlq", "purge", "--all"], says: /--yes/ },
  ["dlq", "purge", "--all", "gone", "--yes"],
]);

refuses("unknown states and prefixes of several ids", BAD_REQUEST, [
  { args: ["list", "--state", "frozen"], says: /"frozen".*pending/ },
  ["list", "-s", ""],
  { args: ["show", "alpha"], says: /"alpha"/ },
  ["logs", "alph"],
  ["dlq", "retry", "alpha-"],
]);

refuses("bad numbers and durations", BAD_REQUEST, [
  { args: ["list", "--limit", "-1"], says: /--limit "-1": expected/ },
  ["list", "--limit", "many"],
  ["list", "--limit", "1.5"],
  ["list", "--limit", "99999999999999999999"],
  ["list", "--limit", ""],
  { args: ["worker", "start", "--count", "0"], says: /1 to 1000/ },
  ["worker", "start", "--count", "1001"],
  ["worker", "start", "--count", "1e2"],
  ["worker", "start", "--limit", "0"],
  ["worker", "start", "--limit", "99999999999999999999999"],
  ["worker", "start", "--sleep", "soon"],
  ["worker", "start", "--sleep", "-1"],
  ["worker", "start", "--poll", "0"],
  ["worker", "start", "--poll", "5 s"],
  ["worker", "stop", "--timeout", "1w"],
  ["logs", "done", "--tail", "-1"],
  ["logs", "done", "--attempt", "0"],
  ["logs", "done", "--attempt", "x"],
  ["dlq", "list", "--limit", "x"],
]);

refuses("bad options of a job", BAD_REQUEST, [
  { args: ["enqueue", "--max-retries", "-1", "true"], says: /"-1": expected a whole number/ },
  ["enqueue", "--max-retries", "1.5", "true"],
  ["enqueue", "--max-retries", "1000001", "true"],
  ["enqueue", "--backoff-base", "two", "true"],
  ["enqueue", "--backoff-base", "-2", "true"],
  ["enqueue", "--backoff-base", "1e9", "true"],
  ["enqueue", "--timeout", "0", "true"],
  ["enqueue", "--timeout", "-5", "true"],
  ["enqueue", "--timeout", "1 hour", "true"],
  ["enqueue", "--timeout", "99999d", "true"],
  ["enqueue", "--env", "=value", "true"],
  { args: ["enqueue", "--env", "SURELY_NOT_SET", "true"], says: /"SURELY_NOT_SET"/ },
  ["enqueue", "--cwd", "  ", "true"],
]);

refuses("ids with characters that could hurt", BAD_REQUEST, [
  { args: ["enqueue", "--id", "a b", "true"], says: /letters, digits/ },
  ["enqueue", "--id", "-a", "true"],
  ["enqueue", "--id", "a/b", "true"],
  ["enqueue", "--id", "ä", "true"],
  ["enqueue", "--id", "a\nb", "true"],
  ["enqueue", "--id", "\x1b[31m", "true"],
  ["enqueue", "--id", "x".repeat(65), "true"],
  ["enqueue", '{"id":"","command":"true"}'],
  ["enqueue", '{"id":"../x","command":"true"}'],
]);

refuses("commands that are none", BAD_REQUEST, [
  ["enqueue"],
  ["enqueue", ""],
  ["enqueue", "  \n "],
  ["enqueue", "", "word"],
  ["enqueue", "-c", " "],
  ["enqueue", "-c", "true", "word"],
  { args: ["enqueue", '{"command":"a\\u0000b"}'], says: /NUL/ },
  {
    args: ["enqueue", "@-"],
    stdin: JSON.stringify({ command: `: ${"x".repeat(128 * 1024)}` }),
    says: /128 KiB/,
  },
  { args: ["enqueue", "@-"], stdin: JSON.stringify({ command: `: ${"ä".repeat(65_536)}` }) },
]);

refuses("JSON that is broken or of the wrong shape", BAD_REQUEST, [
  ["enqueue", '{"command":'],
  ["enqueue", '{"command":"true",}'],
  ["enqueue", "{}"],
  ["enqueue", '{"id":"lonely"}'],
  { args: ["enqueue", '{"command":"true","comand":1}'], says: /"comand"/ },
  ["enqueue", '{"command":"true","__proto__":{}}'],
  ["enqueue", '{"command":"true","constructor":1}'],
  ["enqueue", "@{"],
  { args: ["enqueue", "@-"], stdin: "" },
  { args: ["enqueue", "-"], stdin: " \n \n" },
  { args: ["enqueue", "@-"], stdin: '"true"' },
  { args: ["enqueue", "@-"], stdin: "[]" },
  { args: ["enqueue", "@-"], stdin: "[1]" },
  { args: ["enqueue", "@-"], stdin: '[{"command":"true"},null]' },
  { args: ["enqueue", "@-"], stdin: '[[{"command":"true"}]]' },
  { args: ["enqueue", "@-"], stdin: '[{"command":"true"}' },
  { args: ["enqueue", "@-"], stdin: '{"command":"true"}\nnot json\n', says: /line 2/ },
  { args: ["enqueue", "@-"], stdin: new Uint8Array([0x22, 0xff, 0xfe, 0x22]), says: /UTF-8/ },
  {
    args: ["enqueue", "@-"],
    stdin: '{"id":"twin","command":"true"}\n{"id":"twin","command":"true"}',
    says: /"twin"/,
  },
  { args: ["enqueue", "@-"], stdin: `[{"command":"true","${"k".repeat(5000)}":1}]` },
]);

refuses(
  "JSON values of the wrong type or size",
  BAD_REQUEST,
  [
    '"command":7',
    '"command":null',
    '"command":["echo"]',
    '"command":"true","id":7',
    '"command":"true","max_retries":"3"',
    '"command":"true","max_retries":-1',
    '"command":"true","max_retries":1.5',
    '"command":"true","max_retries":1e400',
    '"command":"true","max_retries":null',
    '"command":"true","backoff_base":-1',
    '"command":"true","backoff_base":[2]',
    '"command":"true","timeout":true',
    '"command":"true","timeout":0',
    '"command":"true","timeout":"soon"',
    '"command":"true","timeout":1e300',
    '"command":"true","timeout_ms":"5"',
    '"command":"true","cwd":""',
    '"command":"true","cwd":"/\\u0000"',
    '"command":"true","env":["A=1"]',
    '"command":"true","env":{"A":1}',
    '"command":"true","env":{"A=B":"c"}',
    '"command":"true","env":{"":"c"}',
    '"command":"true","env":{"A":"\\u0000"}',
  ].map((body) => ["enqueue", `{${body}}`]),
);

refuses("unknown settings and bad values of them", BAD_REQUEST, [
  { args: ["config", "get", "colour"], says: /"colour".*max_retries/ },
  ["config", "get", "__proto__"],
  ["config", "set", "colour", "red"],
  ["config", "unset", "colour"],
  {
    args: ["config", "set", "max-retries", "-1"],
    says: /Cannot set .*max_retries to "-1": expected a whole number from 0/,
  },
  ["config", "set", "max_retries", "three"],
  ["config", "set", "max_retries", ""],
  ["config", "set", "max_retries", "1e9"],
  ["config", "set", "backoff_base", "-0.5"],
  ["config", "set", "backoff_jitter", "1.1"],
  ["config", "set", "timeout", "0"],
  ["config", "set", "lease", "0"],
  ["config", "set", "output_limit", "1"],
  ["config", "set", "retention", "soon"],
  ["config", "set", "durability", "perhaps"],
]);

refuses("what cannot be done", FAILED, [
  { args: ["show", "nosuchjob"], says: /"nosuchjob"/ },
  { args: ["show", "alp"], says: /"alp"/ },
  ["logs", "nosuchjob"],
  { args: ["logs", "done", "--attempt", "2"], says: /"2".*"done"/ },
  { args: ["enqueue", "@missing.json"], says: /missing\.json.*no such file/ },
  { args: ["enqueue", "@store"], says: /cannot be read/ },
  { args: ["enqueue", "--id", "done", "true"], says: /"done"/ },
  { args: ["enqueue", "@-"], stdin: '[{"id":"new","command":"x"},{"id":"gone","command":"x"}]' },
  { args: ["dlq", "retry", "done"], says: /"done".*completed/ },
  ["dlq", "retry", "gone", "nosuchjob"],
  ["dlq", "purge", "gone", "alpha-1"],
  ["dlq", "purge", "nosuchjob"],
]);

Deno.test("failure 21: queuectl says in one sentence why it cannot use what lies where the store should be", async () => {
  await using cli = new Cli();
  cli.write("text", "this is not a database, and long enough to be looked at\n".repeat(40));
  cli.write("empty");
  Deno.mkdirSync(cli.path("folder"));
  for (const db of ["text", "empty", "folder", "text/below"]) {
    for (const command of [["list"], ["enqueue", "true"], ["worker", "start", "--drain"]]) {
      await isRefused(cli, FAILED, { args: ["--db", db, ...command], says: new RegExp(`${db}"`) });
    }
  }
  assertEquals(Deno.statSync(cli.path("empty")).size, 0);
});

Deno.test("queuectl shows where an error came from only if QUEUECTL_DEBUG is 1", async () => {
  await using cli = new Cli();
  const shown = await cli.run(["show", "nosuchjob"], { env: { QUEUECTL_DEBUG: "1" } });
  const plain = await cli.run(["show", "nosuchjob"], { env: { QUEUECTL_DEBUG: "0" } });
  assertMatch(shown.stderr, /at .*\.ts:\d+/);
  assertEquals(plain.stderr, shown.stderr.split("\n")[0] + "\n");
  assertNotEquals(plain.stderr, shown.stderr);
});
