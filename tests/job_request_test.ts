import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { UserError } from "../src/errors.ts";
import {
  completeJob,
  type JobRequest,
  readCommand,
  requestFromJson,
  requestFromOptions,
  type Surroundings,
} from "../src/job_request.ts";
import { settingsFrom } from "../src/settings.ts";

const AROUND: Surroundings = {
  folder: "/home/me/project",
  env: (name) => ({ HOME: "/home/me", EMPTY: "" })[name],
};

/** Asserts that `act` is refused as a bad request, in words that hold each of `parts`. */
function assertRefused(act: () => unknown, ...parts: string[]) {
  const error = assertThrows(act, UserError);
  assertEquals(error.exitCode, 2, error.message);
  for (const part of parts) assertStringIncludes(error.message, part);
}

function fromJson(said: Record<string, unknown>): JobRequest {
  return requestFromJson({ command: "true", ...said }, AROUND);
}

Deno.test("each key of a JSON job sets its field", () => {
  const cases: [Record<string, unknown>, JobRequest][] = [
    [{ command: "echo 'a b' | wc" }, { command: "echo 'a b' | wc" }],
    [{ id: "job-1" }, { id: "job-1" }],
    [{ max_retries: 0 }, { maxRetries: 0 }],
    [{ backoff_base: 1.5 }, { backoffBase: 1.5 }],
    [{ backoff_base: 1e-7 }, { backoffBase: 1e-7 }],
    [{ base_backoff: 3 }, { backoffBase: 3 }],
    [{ timeout: 90 }, { timeoutMs: 90_000 }],
    [{ timeout: 0.5 }, { timeoutMs: 500 }],
    [{ timeout: "15m" }, { timeoutMs: 900_000 }],
    [{ timeout: "none" }, { timeoutMs: null }],
    [{ timeout: null }, { timeoutMs: null }],
    [{ timeout_seconds: 90 }, { timeoutMs: 90_000 }],
    [{ timeout_ms: 1500 }, { timeoutMs: 1500 }],
    [{ timeout_ms: null }, { timeoutMs: null }],
    [{ cwd: "/srv" }, { cwd: "/srv" }],
    [{ cwd: "sub/../other" }, { cwd: "/home/me/project/other" }],
    [{ env: {} }, { env: {} }],
    [{ env: { A: "1", B_2: "x=y\nz", C: "" } }, { env: { A: "1", B_2: "x=y\nz", C: "" } }],
  ];
  for (const [json, request] of cases) {
    assertEquals(fromJson(json), { command: "true", ...request }, JSON.stringify(json));
  }
});

Deno.test("keys of a JSON job may be in camelCase", () => {
  assertEquals(
    fromJson({ maxRetries: 5, backoffBase: 3, timeoutMs: 10 }),
    { command: "true", maxRetries: 5, backoffBase: 3, timeoutMs: 10 },
  );
  assertEquals(fromJson({ timeoutSeconds: 2 }), { command: "true", timeoutMs: 2000 });
  assertEquals(fromJson({ baseBackoff: 4 }), { command: "true", backoffBase: 4 });
});

Deno.test("what other queues export along with a job is accepted and ignored", () => {
  const exported = { attempts: 7, state: "dead", created_at: "x", updated_at: 1, last_error: null };
  const inCamelCase = { createdAt: 1, updatedAt: {}, lastError: [] };
  assertEquals(fromJson({ ...exported, ...inCamelCase }), { command: "true" });
});

Deno.test("any other key is refused by name, with the keys that there are", () => {
  for (
    const key of ["comand", "priorities", "Command", "__proto__", "constructor", "", "max-retries"]
  ) {
    const json = JSON.parse(`{"command":"true",${JSON.stringify(key)}:1}`);
    assertRefused(
      () => requestFromJson(json, AROUND),
      `Unknown key "${key}"`,
      "command, id, max_retries, backoff_base, timeout, cwd, env",
    );
  }
});

Deno.test("a value of the wrong JSON type is refused with the key and the types that fit", () => {
  const wrong: [string, unknown[], string][] = [
    ["command", [1, null, true, ["ls"], {}], "expected a JSON string"],
    ["id", [1, null, false, [], {}], "expected a JSON string"],
    ["max_retries", ["3", null, true, [3], {}], "expected a JSON number"],
    ["backoff_base", ["2", null, true, [2], {}], "expected a JSON number"],
    ["timeout", [true, [1], {}], "expected a JSON number or string or null"],
    ["timeout_ms", ["5", "5ms", true, [1], {}], "expected a JSON number or null"],
    ["cwd", [1, null, true, [], {}], "expected a JSON string"],
    ["env", [1, null, true, "A=1", ["A=1"]], "expected a JSON object"],
  ];
  for (const [key, values, accepted] of wrong) {
    for (const value of values) {
      assertRefused(() => fromJson({ [key]: value }), `Cannot set ${key} to `, accepted);
    }
  }
});

Deno.test("a value out of range is refused with the key and the range", () => {
  const wrong: [Record<string, unknown>, ...string[]][] = [
    [{ max_retries: -1 }, 'max_retries to "-1"', "from 0 to 1000000"],
    [{ max_retries: 1.5 }, 'max_retries to "1.5"', "whole number"],
    [{ max_retries: 1e21 }, "max_retries", "from 0 to 1000000"],
    [{ backoff_base: 1001 }, "backoff_base", "from 0 to 1000"],
    [{ timeout: 0 }, "timeout", "none or a duration"],
    [{ timeout: -1 }, "timeout", "none or a duration"],
    [{ timeout: "soon" }, 'timeout to "soon"', "none or a duration"],
    [{ timeout_ms: 0 }, "timeout_ms", "none or a duration"],
    [{ timeout_ms: -5 }, "timeout_ms", "none or a duration"],
    [{ timeout: "366d" }, "timeout", "365d"],
    [{ id: "" }, 'id ""', "1 to 64"],
    [{ id: "-x" }, 'id "-x"', "1 to 64"],
    [{ id: "a b" }, 'id "a b"', "1 to 64"],
    [{ id: "x".repeat(65) }, "1 to 64"],
    [{ cwd: "" }, "empty cwd", "expected a folder"],
    [{ cwd: " " }, "empty cwd", "expected a folder"],
    [{ env: { "": "x" } }, 'env ""', "expected a name and a string"],
    [{ env: { "A=B": "x" } }, 'env "A=B"', "expected a name and a string"],
    [{ env: { A: 1 } }, 'env "A"', "expected a name and a string"],
    [{ env: { A: null } }, 'env "A"', "expected a name and a string"],
  ];
  for (const [json, ...parts] of wrong) assertRefused(() => fromJson(json), ...parts);
});

Deno.test("a NUL is refused wherever it could end up in a system call", () => {
  const wrong: Record<string, unknown>[] = [
    { command: "echo \0" },
    { id: "a\0b" },
    { cwd: "/srv\0" },
    { env: { "A\0": "x" } },
    { env: { A: "x\0y" } },
  ];
  for (const json of wrong) assertRefused(() => fromJson(json));
  assertRefused(() => requestFromOptions({ command: "a\0b" }, AROUND), "NUL");
});

Deno.test("a job that is no object, or has no command, is refused", () => {
  for (const json of [null, 1, "echo", true, [], [{ command: "true" }]]) {
    assertRefused(() => requestFromJson(json, AROUND), "expected an object");
  }
  for (const json of [{}, { id: "a" }]) {
    assertRefused(() => requestFromJson(json, AROUND), 'without "command"');
  }
});

Deno.test("a command is blank or longer than one argument may be, or else it is taken verbatim", () => {
  const longest = 128 * 1024 - 1;
  for (const command of [" true ", "a\nb", "x".repeat(longest), "é".repeat((longest - 1) / 2)]) {
    assertEquals(readCommand(command), command);
  }
  for (const command of ["", " ", "\t\n"]) {
    assertRefused(() => readCommand(command), "empty command");
  }
  // Bytes count, not characters.
  for (const command of ["x".repeat(longest + 1), "é".repeat(longest / 2 + 1)]) {
    assertRefused(() => readCommand(command), "131072 bytes", "less than 128 KiB");
  }
  assertRefused(() => fromJson({ command: " " }), "empty command");
});

Deno.test("each option of enqueue sets its field, and nothing is set without one", () => {
  const options = {
    command: "ls",
    id: "nightly",
    maxRetries: "5",
    backoffBase: "1.5",
    timeout: "15m",
    cwd: "../other",
    env: ["A=1", "B=x=y", "EMPTY", "C="],
    db: "elsewhere.db",
    json: true,
  };
  assertEquals(requestFromOptions(options, AROUND), {
    command: "ls",
    id: "nightly",
    maxRetries: 5,
    backoffBase: 1.5,
    timeoutMs: 900_000,
    cwd: "/home/me/other",
    env: { A: "1", B: "x=y", EMPTY: "", C: "" },
  });
  assertEquals(requestFromOptions({}, AROUND), {});
});

Deno.test("--env KEY takes the value of now, and is refused where there is none", () => {
  assertEquals(requestFromOptions({ env: ["HOME"] }, AROUND), { env: { HOME: "/home/me" } });
  for (const assignment of ["MISSING", "", "=x"]) {
    assertRefused(() => requestFromOptions({ env: [assignment] }, AROUND), "--env");
  }
});

Deno.test("a refused option is named as it was typed", () => {
  const cases: [Record<string, unknown>, string][] = [
    [{ maxRetries: "many" }, 'Cannot set --max-retries to "many"'],
    [{ maxRetries: "" }, 'Cannot set --max-retries to ""'],
    [{ backoffBase: "-2" }, 'Cannot set --backoff-base to "-2"'],
    [{ timeout: "0" }, 'Cannot set --timeout to "0"'],
    [{ id: "" }, 'Cannot use --id ""'],
    [{ command: "  " }, "Cannot use an empty --command"],
    [{ cwd: "" }, "Cannot use an empty --cwd"],
  ];
  for (const [options, message] of cases) {
    assertRefused(() => requestFromOptions(options, AROUND), message);
  }
});

Deno.test("a request is completed with the settings of this moment and the person's folder", () => {
  const settings = settingsFrom(
    new Map([
      ["max_retries", "7"],
      ["backoff_base", "3"],
      ["backoff_max", "60"],
      ["backoff_jitter", "0.5"],
      ["timeout", "10"],
    ]),
  );
  const { id, ...job } = completeJob({ command: "ls" }, settings, AROUND.folder);
  assertMatch(id, /^[0-9a-z]{12}$/);
  assertEquals(job, {
    command: "ls",
    maxRetries: 7,
    backoffBase: 3,
    backoffMaxMs: 60_000,
    backoffJitter: 0.5,
    timeoutMs: 10_000,
    cwd: "/home/me/project",
    env: {},
  });
});

Deno.test("what a request says wins over the settings, also where it says zero or none", () => {
  const settings = settingsFrom(new Map([["timeout", "10"]]));
  const request: Required<JobRequest> = {
    id: "mine",
    command: "ls",
    maxRetries: 0,
    backoffBase: 0,
    timeoutMs: null,
    cwd: "/srv",
    env: { A: "1" },
  };
  const job = completeJob(request, settings, AROUND.folder);
  assertEquals(job, { ...request, backoffMaxMs: 300_000, backoffJitter: 0 });
});

Deno.test("two jobs without an id get different ones", () => {
  const ids = [1, 2].map(() =>
    completeJob({ command: "ls" }, settingsFrom(new Map()), AROUND.folder).id
  );
  assert(ids[0] !== ids[1]);
});
