import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type EnqueueInput, readEnqueueInput } from "../../src/cli/enqueue_input.ts";
import { UserError } from "../../src/errors.ts";
import type { JobRequest, Surroundings } from "../../src/job_request.ts";

const AROUND: Surroundings = {
  folder: "/home/me",
  now: Date.UTC(2030, 0, 2, 3, 4, 5),
  env: () => undefined,
};

/** Files by their path; standard input is "-". */
function filesOf(files: Record<string, string | Uint8Array>) {
  return async (path = "-") => {
    await Promise.resolve();
    const found = files[path];
    if (found === undefined) throw new Deno.errors.NotFound(path);
    return typeof found === "string" ? new TextEncoder().encode(found) : found;
  };
}

function read(words: string[], files: Record<string, string | Uint8Array> = {}) {
  return readEnqueueInput(words, AROUND, filesOf(files));
}

async function readStdin(text: string | Uint8Array): Promise<JobRequest[]> {
  return (await read(["@-"], { "-": text })).requests;
}

async function assertRefused(words: string[], stdin: string | Uint8Array, ...parts: string[]) {
  const error = await assertRejects(() => read(words, { "-": stdin }), UserError);
  assertEquals(error.exitCode, 2, error.message);
  for (const part of parts) assertStringIncludes(error.message, part);
}

Deno.test("one word is a shell command, verbatim", async () => {
  const commands = [
    "ls",
    " ls -l | wc > 'a b' ",
    "{ echo a; }",
    "{ echo; } && (ls)",
    "{a,b}",
    "[ -f x ]",
  ];
  commands.push('{ "a" b; }', "{ 'a'; }", "echo @-", "a@b", "$(true)", "-x", '"quoted"', "5");
  for (const command of commands) {
    assertEquals(await read([command]), { requests: [{ command }], places: null }, command);
  }
});

Deno.test("several words are an argument list in which each stays one word", async () => {
  const cases: [string[], string][] = [
    [["ls", "-l", "/tmp"], "ls -l /tmp"],
    [["echo", "a b", "c"], "echo 'a b' c"],
    [["echo", "it's"], `echo 'it'\\''s'`],
    [["echo", ""], "echo ''"],
    [
      ["echo", "$HOME", "`x`", "*", "~", "#", "a;b", "a\nb"],
      "echo '$HOME' '`x`' '*' '~' '#' 'a;b' 'a\nb'",
    ],
    [["env", "A=1", "B"], "env A=1 B"],
    [["A=1", "x"], "'A=1' x"],
    [["{", "a", "}"], "'{' a '}'"],
    [["@-", "x"], "@- x"],
    [["-x", "y"], "-x y"],
  ];
  for (const [words, command] of cases) {
    assertEquals(await read(words), { requests: [{ command }], places: null });
  }
});

Deno.test("a shell takes a quoted argument list apart into the same words", async () => {
  const words = [
    "printf",
    "%s\\0",
    "",
    "a b",
    "it's",
    '"',
    "\\",
    "$HOME",
    "*",
    "~",
    "a\n\nb",
    "ü😀",
    "-n",
    "!",
  ];
  const { requests } = await read(words);
  const { stdout } = await new Deno.Command("sh", { args: ["-c", requests[0]!.command!] }).output();
  assertEquals(new TextDecoder().decode(stdout).split("\0").slice(0, -1), words.slice(2));
});

Deno.test("one word is JSON if it begins like an object", async () => {
  const cases: [string, JobRequest][] = [
    ['{"command":"ls"}', { command: "ls" }],
    ['  {"command":"ls"}\n', { command: "ls" }],
    ['{ "command": "ls", "id": "a" }', { command: "ls", id: "a" }],
    ['{\n  "id" : "a",\n  "command": "ls"\n}', { command: "ls", id: "a" }],
    ['@{ "id":"x", "command":"ls" }', { command: "ls", id: "x" }],
    ['@ {"command":"ls"}', { command: "ls" }],
  ];
  for (const [word, request] of cases) {
    assertEquals(await read([word]), { requests: [request], places: null }, word);
  }
});

Deno.test("broken JSON is an error, not a command", async () => {
  for (
    const word of [
      '{"command":"ls"',
      '{"command"}',
      '{"a":1,}',
      '{ "command": ls }',
      '{"command":"ls"} x',
    ]
  ) {
    await assertRefused([word], "", "Cannot read JSON");
  }
  await assertRefused(["{}"], "", 'without "command"');
  await assertRefused(["{ }"], "", 'without "command"');
});

Deno.test("standard input and a file may hold one object, an array, or JSON lines", async () => {
  const [a, b] = ['{"id":"a","command":"1"}', '{"id":"b","command":"2"}'];
  const requests = [{ id: "a", command: "1" }, { id: "b", command: "2" }];
  const cases: [string, EnqueueInput][] = [
    [a, { requests: requests.slice(0, 1), places: null }],
    [` \n${a}\n`, { requests: requests.slice(0, 1), places: null }],
    [`[${a},${b}]`, { requests, places: ["job 1", "job 2"] }],
    [`[${a}]`, { requests: requests.slice(0, 1), places: ["job 1"] }],
    [`${a}\n${b}`, { requests, places: ["line 1", "line 2"] }],
    [`${a}\n\n  \n${b}\n`, { requests, places: ["line 1", "line 4"] }],
    [`${a}\r\n${b}\r\n`, { requests, places: ["line 1", "line 2"] }],
    [`\ufeff${a}\n${b}\n`, { requests, places: ["line 1", "line 2"] }],
  ];
  for (const [text, input] of cases) {
    for (
      const word of ["-", "@-", " - ", "@jobs.json", "@/home/me/jobs.json", "@../me/jobs.json"]
    ) {
      assertEquals(await read([word], { "-": text, "/home/me/jobs.json": text }), input, word);
    }
  }
});

Deno.test("an array may stand in the word itself", async () => {
  assertEquals(await read(['@[{"command":"1"},{"command":"2"}]']), {
    requests: [{ command: "1" }, { command: "2" }],
    places: ["job 1", "job 2"],
  });
});

Deno.test("an error in many jobs names the line, or the place in the array", async () => {
  const good = '{"command":"ls"}';
  await assertRefused(["@-"], `${good}\n\n{"command":}\n${good}`, "In line 3", "Cannot read JSON");
  await assertRefused(
    ["@-"],
    `${good}\n${good}\n{"comand":"x"}`,
    "In line 3",
    'Unknown key "comand"',
  );
  await assertRefused(["@-"], `${good}\n5\n`, "In line 2", "expected an object");
  await assertRefused(["@-"], `[${good},{"command":""}]`, "In job 2", "empty command");
  await assertRefused(["@-"], `[${good},null]`, "In job 2", "expected an object");
});

Deno.test("what is wrong with the new keys of a job is reported with its line as well", async () => {
  const good = '{"command":"ls"}';
  const cases: [string, string][] = [
    ['{"command":"ls","priority":"high"}', "Cannot set priority"],
    ['{"command":"ls","run_at":"soon"}', "Cannot set run_at"],
    ['{"command":"ls","tags":["a b"]}', "Cannot use tags"],
  ];
  for (const [bad, message] of cases) {
    await assertRefused(["@-"], `${good}\n${bad}\n${good}`, "In line 2", message);
    await assertRefused(["@-"], `[${good},${good},${bad}]`, "In job 3", message);
  }
});

Deno.test("a time of a job counts from the moment of the enqueue, wherever the job was read", async () => {
  const job = '{"command":"ls","run_at":"+10m"}';
  const runAt = AROUND.now + 600_000;
  assertEquals((await read([job])).requests, [{ command: "ls", runAt }]);
  assertEquals(await readStdin(`${job}\n${job}`), [1, 2].map(() => ({ command: "ls", runAt })));
});

Deno.test("an input without a job is an error", async () => {
  for (const text of ["", "\n", "  \n\t\n"]) await assertRefused(["-"], text, "empty input");
});

Deno.test("text that is not UTF-8 is an error", async () => {
  const bytes = new Uint8Array([...new TextEncoder().encode('{"command":"'), 0xff, 0x22, 0x7d]);
  await assertRefused(["@-"], bytes, "UTF-8");
});

Deno.test("no word, a blank word and a blank list are bad requests", async () => {
  await assertRefused([], "", "Cannot enqueue nothing");
  for (const words of [[""], ["  "], ["\n"], ["", ""], ["", "x"]]) {
    await assertRefused(words, "", "empty command");
  }
});

Deno.test("a NUL or a command that is too long is refused in words as well as in JSON", async () => {
  await assertRefused(["echo \0"], "", "NUL");
  await assertRefused(["echo", "\0"], "", "NUL");
  await assertRefused(["@-"], '{"command":"echo \\u0000"}', "NUL");
  await assertRefused(["x".repeat(131_072)], "", "128 KiB");
  await assertRefused(["echo", "x".repeat(131_072)], "", "128 KiB");
});

Deno.test("a file that is missing or unreadable fails with its path, and exit code 1", async () => {
  const missing = await assertRejects(() => read(["@no.json"]), UserError);
  assertEquals(missing.exitCode, 1);
  assertEquals(missing.message, 'Cannot read "/home/me/no.json": there is no such file');
  const readFile = () => Promise.reject(new Deno.errors.PermissionDenied("no"));
  const denied = await assertRejects(
    () => readEnqueueInput(["@no.json"], AROUND, readFile),
    UserError,
  );
  assertEquals(denied.exitCode, 1);
  assertEquals(denied.message, 'Cannot read "/home/me/no.json": it cannot be read');
});

Deno.test("ten thousand JSON lines are read in order", async () => {
  const lines = Array.from({ length: 10_000 }, (_, i) => `{"id":"job-${i}","command":"${i}"}`);
  const requests = await readStdin(lines.join("\n"));
  assertEquals(requests.length, 10_000);
  assertEquals(requests[9_999], { id: "job-9999", command: "9999" });
});

Deno.test("what is no UTF-8 is named by its line", async () => {
  const text = new TextEncoder().encode('{"command":"é"}\n\n{"command":"?"}\n');
  const broken = text.map((byte) => byte === "?".charCodeAt(0) ? 0xff : byte);
  await assertRefused(["@-"], broken, "In line 3: Cannot read the input as UTF-8");
});
