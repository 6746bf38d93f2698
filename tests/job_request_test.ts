import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { UserError } from "../src/errors.ts";
import {
  completeJob,
  FIELDS,
  type JobRequest,
  requestFromJson,
  requestFromOptions,
  type Surroundings,
} from "../src/job_request.ts";
import { readCommand } from "../src/request_values.ts";
import { settingsFrom } from "../src/settings.ts";

const NOW = Date.UTC(2030, 0, 2, 3, 4, 5, 678);
const MINUTE = 60_000;

const AROUND: Surroundings = {
  folder: "/home/me/project",
  now: NOW,
  env: (name) => ({ HOME: "/home/me", EMPTY: "" })[name],
};

/** Asserts that `act` is refused as a bad request, in words that hold each of `parts`. */
function assertRefused(act: () => unknown, ...parts: string[]) {
  const error = assertThrows(act, UserError);
  assertEquals(error.exitCode, 2, error.message);
  for (const part of parts) assertStringIncludes(error.message, part);
}

const INITIAL = settingsFrom(new Map());

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
    [{ queue: "mail" }, { queue: "mail" }],
    [{ priority: 0 }, { priority: 0 }],
    [{ priority: -5 }, { priority: -5 }],
    [{ priority: 1_000_000 }, { priority: 1_000_000 }],
    [{ run_at: "2030-01-02T04:00:00+01:00" }, { runAt: Date.UTC(2030, 0, 2, 3) }],
    [{ run_at: "+10m" }, { runAt: NOW + 10 * MINUTE }],
    [{ run_at: 1_900_000_000 }, { runAt: 1_900_000_000_000 }],
    [{ run_at: "2030-01-02 03:04" }, { runAt: new Date(2030, 0, 2, 3, 4).getTime() }],
    [{ delay: 0 }, { delayMs: 0 }],
    [{ delay: 90 }, { delayMs: 90_000 }],
    [{ delay: "1h30m" }, { delayMs: 90 * MINUTE }],
    [{ key: "report of 2030/01: ü" }, { key: "report of 2030/01: ü" }],
    [{ key: "x".repeat(256) }, { key: "x".repeat(256) }],
    [{ if_exists: "error" }, { ifExists: "error" }],
    [{ if_exists: "skip" }, { ifExists: "skip" }],
    [{ if_exists: "replace" }, { ifExists: "replace" }],
    [{ after: "job-1" }, { after: ["job-1"] }],
    [{ after: ["job-1", "job-2", "job-1"] }, { after: ["job-1", "job-2"] }],
    [{ after: [] }, { after: [] }],
    [{ after_any: "job-1" }, { afterAny: ["job-1"] }],
    [{ after_any: ["job-1", "job-2"] }, { afterAny: ["job-1", "job-2"] }],
    [{ tags: ["a", "b", "a"] }, { tags: ["a", "b"] }],
    [{ tags: "a" }, { tags: ["a"] }],
    [{ tag: "a" }, { tags: ["a"] }],
    [{ tag: ["a", "b"] }, { tags: ["a", "b"] }],
    [{ ok_codes: 3 }, { okCodes: [3] }],
    [{ ok_codes: "3,4" }, { okCodes: [3, 4] }],
    [{ ok_codes: "none" }, { okCodes: [] }],
    [{ ok_codes: [3, 4] }, { okCodes: [3, 4] }],
    [{ fatal_codes: 3 }, { fatalCodes: [3] }],
    [{ fatal_codes: " 3, 4 " }, { fatalCodes: [3, 4] }],
    [{ fatal_codes: [255] }, { fatalCodes: [255] }],
    [{ snooze: 60 }, { snoozeMs: MINUTE }],
    [{ snooze: "10m" }, { snoozeMs: 10 * MINUTE }],
    [{ snooze: "none" }, { snoozeMs: null }],
    [{ snooze: null }, { snoozeMs: null }],
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
  assertEquals(
    fromJson({
      runAt: "+1m",
      ifExists: "skip",
      afterAny: ["job-1"],
      okCodes: [3],
      fatalCodes: [4],
    }),
    {
      command: "true",
      runAt: NOW + MINUTE,
      ifExists: "skip",
      afterAny: ["job-1"],
      okCodes: [3],
      fatalCodes: [4],
    },
  );
});

Deno.test("each option of enqueue has a JSON key of the same name in snake_case", () => {
  for (const { flags, keys } of FIELDS) {
    const [, option] = flags.match(/--([a-z-]+)/)!;
    assert(keys.includes(option!.replaceAll("-", "_")), flags);
  }
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
      "command, id, max_retries, backoff_base, timeout, cwd, env, queue, priority, run_at, delay, " +
        "key, if_exists, after, after_any, tags, ok_codes, fatal_codes, snooze",
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
    ["queue", [1, null, true, ["mail"], {}], "expected a JSON string"],
    ["priority", ["5", null, true, [5], {}], "expected a JSON number"],
    ["run_at", [null, true, [], {}], "expected a JSON number or string"],
    ["delay", [null, true, [], {}], "expected a JSON number or string"],
    ["key", [1, null, true, [], {}], "expected a JSON string"],
    ["if_exists", [1, null, true, [], {}], "expected a JSON string"],
    ["after", [1, null, true, {}], "expected a JSON string or array"],
    ["after_any", [1, null, true, {}], "expected a JSON string or array"],
    ["tags", [1, null, true, {}], "expected a JSON string or array"],
    ["tag", [1, null, true, {}], "expected a JSON string or array"],
    ["ok_codes", [null, true, {}], "expected a JSON string or number or array"],
    ["fatal_codes", [null, true, {}], "expected a JSON string or number or array"],
    ["snooze", [true, [1], {}], "expected a JSON string or number or null"],
  ];
  for (const [key, values, accepted] of wrong) {
    for (const value of values) {
      assertRefused(() => fromJson({ [key]: value }), `Cannot set ${key} to `, accepted);
    }
  }
});

Deno.test("an empty list of codes says that there are none", () => {
  const json = { ok_codes: [], fatal_codes: [] };
  assertEquals(fromJson(json), { command: "true", okCodes: [], fatalCodes: [] });
});

Deno.test("what stands in a list of names is not taken for text where it is none", () => {
  for (const key of ["after", "after_any", "tags", "tag"]) {
    for (const value of [null, 1, true, {}, ["a"]]) {
      assertRefused(() => fromJson({ [key]: ["a", value] }), `Cannot set ${key} to `);
    }
  }
});

Deno.test("what stands in a list of codes is an exit code or refused", () => {
  for (const key of ["ok_codes", "fatal_codes"]) {
    for (const value of [null, true, {}, "x", "none", "3,4", [3], 1.5, -1, 256]) {
      for (const json of [{ [key]: [value] }, { [key]: [3, value] }]) {
        assertRefused(() => fromJson(json), `Cannot set ${key} to `);
      }
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
    [{ queue: "" }, 'queue ""', "1 to 64"],
    [{ queue: "-mail" }, 'queue "-mail"', "1 to 64"],
    [{ queue: "a\x1bb" }, 'queue "a\\u001bb"', "1 to 64"],
    [{ priority: 1.5 }, 'priority to "1.5"', "whole number from -1000000 to 1000000"],
    [{ priority: 1_000_001 }, 'priority to "1000001"', "from -1000000 to 1000000"],
    [{ priority: -1_000_001 }, 'priority to "-1000001"', "from -1000000 to 1000000"],
    [{ priority: 1e21 }, "priority", "from -1000000 to 1000000"],
    [{ run_at: "soon" }, 'run_at to "soon"', "a time such as"],
    [{ run_at: "2030-02-30" }, 'run_at to "2030-02-30"', "a time such as"],
    [{ run_at: 5 }, 'run_at to "5"', "epoch seconds"],
    [{ run_at: NOW }, `run_at to "${NOW}"`, "epoch seconds"],
    [{ delay: -1 }, 'delay to "-1"', "a duration"],
    [{ delay: "tomorrow" }, 'delay to "tomorrow"', "a duration"],
    [{ delay: "36501d" }, 'delay to "36501d"', "a duration"],
    [{ key: "" }, 'key ""', "1 to 256"],
    [{ key: "  " }, 'key "  "', "1 to 256"],
    [{ key: "x".repeat(257) }, "key", "1 to 256"],
    [{ if_exists: "Skip" }, 'if_exists to "Skip"', "error, skip, replace"],
    [{ if_exists: "" }, 'if_exists to ""', "error, skip, replace"],
    [{ after: "" }, 'after ""', "1 to 64"],
    [{ after: ["a b"] }, 'after "a b"', "1 to 64"],
    [{ after_any: "a/b" }, 'after_any "a/b"', "1 to 64"],
    [{ tags: ["ok", "not ok"] }, 'tags "not ok"', "1 to 64"],
    [{ ok_codes: 256 }, 'ok_codes to "256"', "from 0 to 255"],
    [{ ok_codes: -1 }, 'ok_codes to "-1"', "from 0 to 255"],
    [{ ok_codes: "3;4" }, 'ok_codes to "3;4"', "separated by commas"],
    [{ fatal_codes: "3,,4" }, 'fatal_codes to "3,,4"', "separated by commas"],
    [{ fatal_codes: 1.5 }, 'fatal_codes to "1.5"', "from 1 to 255"],
    [{ snooze: 0 }, 'snooze to "0"', "none or a duration"],
    [{ snooze: -1 }, 'snooze to "-1"', "none or a duration"],
    [{ snooze: "366d" }, 'snooze to "366d"', "365d"],
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
    { queue: "a\0" },
    { key: "a\0" },
    { tags: ["a\0"] },
    { after: ["a\0"] },
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
    queue: "mail",
    priority: "-5",
    runAt: "+10m",
    delay: "1m",
    key: "report",
    ifExists: "replace",
    after: ["job-1", "job-2", "job-1"],
    afterAny: ["job-3"],
    tag: ["nightly", "eu"],
    okCodes: "3, 4",
    fatalCodes: "none",
    snooze: "10m",
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
    queue: "mail",
    priority: -5,
    runAt: NOW + 10 * MINUTE,
    delayMs: MINUTE,
    key: "report",
    ifExists: "replace",
    after: ["job-1", "job-2"],
    afterAny: ["job-3"],
    tags: ["nightly", "eu"],
    okCodes: [3, 4],
    fatalCodes: [],
    snoozeMs: 10 * MINUTE,
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
    [{ queue: "a b" }, 'Cannot use --queue "a b"'],
    [{ priority: "" }, 'Cannot set --priority to ""'],
    [{ priority: "1e3" }, 'Cannot set --priority to "1e3"'],
    [{ runAt: "" }, 'Cannot set --run-at to ""'],
    [{ delay: "-1" }, 'Cannot set --delay to "-1"'],
    [{ key: "" }, 'Cannot use --key ""'],
    [{ ifExists: "ignore" }, 'Cannot set --if-exists to "ignore"'],
    [{ after: ["a", ""] }, 'Cannot use --after ""'],
    [{ afterAny: ["-a"] }, 'Cannot use --after-any "-a"'],
    [{ tag: ["a b"] }, 'Cannot use --tag "a b"'],
    [{ okCodes: "ok" }, 'Cannot set --ok-codes to "ok"'],
    [{ fatalCodes: "" }, 'Cannot set --fatal-codes to ""'],
    [{ snooze: "0s" }, 'Cannot set --snooze to "0s"'],
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
      ["ok_codes", "3"],
      ["fatal_codes", "4,5"],
      ["snooze", "1m"],
    ]),
  );
  const { id, ...job } = completeJob({ command: "ls" }, settings, AROUND);
  assertMatch(id, /^[0-9a-z]{12}$/);
  assertEquals(job, {
    command: "ls",
    queue: "default",
    priority: 0,
    maxRetries: 7,
    backoffBase: 3,
    backoffMaxMs: 60_000,
    backoffJitter: 0.5,
    timeoutMs: 10_000,
    okCodes: [3],
    fatalCodes: [4, 5],
    snoozeMs: MINUTE,
    cwd: "/home/me/project",
    env: {},
    tags: [],
    key: null,
    ifExists: "error",
    schedule: null,
    runAt: null,
    after: [],
  });
});

Deno.test("what a request says wins over the settings, also where it says zero or none", () => {
  const settings = settingsFrom(
    new Map([["timeout", "10"], ["snooze", "10"], ["ok_codes", "3"], ["fatal_codes", "4"]]),
  );
  const request: Required<Omit<JobRequest, "delayMs" | "afterAny" | "after">> = {
    id: "mine",
    command: "ls",
    queue: "mail",
    priority: -5,
    maxRetries: 0,
    backoffBase: 0,
    timeoutMs: null,
    okCodes: [],
    fatalCodes: [],
    snoozeMs: null,
    cwd: "/srv",
    env: { A: "1" },
    tags: ["nightly"],
    key: "report",
    ifExists: "skip",
    runAt: NOW + 1,
  };
  const job = completeJob(request, settings, AROUND);
  const rest = { backoffMaxMs: 300_000, backoffJitter: 0, schedule: null, after: [] };
  assertEquals(job, { ...request, ...rest });
});

Deno.test("a delay counts from the moment of the enqueue, also one of nothing", () => {
  for (const delayMs of [0, 1, MINUTE]) {
    assertEquals(completeJob({ command: "ls", delayMs }, INITIAL, AROUND).runAt, NOW + delayMs);
  }
});

Deno.test("a job runs after each of its prerequisites, with what is enough of each", () => {
  const request = { command: "ls", after: ["a", "b", "a"], afterAny: ["c", "b"] };
  assertEquals(completeJob(request, INITIAL, AROUND).after, [
    { id: "a", anyEnd: false },
    { id: "b", anyEnd: false },
    { id: "c", anyEnd: true },
    { id: "b", anyEnd: true },
  ]);
});

Deno.test("a job that a schedule made knows which one", () => {
  const job = completeJob({ command: "ls" }, INITIAL, { ...AROUND, schedule: "nightly" });
  assertEquals(job.schedule, "nightly");
});

Deno.test("a code that is called ok or fatal is not the other one by the settings", () => {
  const settings = settingsFrom(new Map([["ok_codes", "3,4"], ["fatal_codes", "5,6"]]));
  const codesOf = (request: JobRequest) => {
    const { okCodes, fatalCodes } = completeJob(
      { command: "ls", ...request },
      settings,
      AROUND,
    );
    return { okCodes, fatalCodes };
  };
  assertEquals(codesOf({ okCodes: [5] }), { okCodes: [5], fatalCodes: [6] });
  assertEquals(codesOf({ fatalCodes: [3, 4] }), { okCodes: [], fatalCodes: [3, 4] });
});

Deno.test("things that do not go together are refused as a bad request that names them", () => {
  const cases: [JobRequest, string][] = [
    [{ runAt: NOW, delayMs: 1000 }, "both run-at and delay"],
    [{ runAt: NOW, delayMs: 0 }, "both run-at and delay"],
    [{ ifExists: "error" }, "if-exists without a key"],
    [{ ifExists: "skip" }, "if-exists without a key"],
    [{ ifExists: "replace" }, "if-exists without a key"],
    [{ okCodes: [2, 3], fatalCodes: [4, 3] }, 'exit code "3" as ok and as fatal'],
  ];
  for (const [request, message] of cases) {
    assertRefused(() => completeJob({ command: "ls", ...request }, INITIAL, AROUND), message);
  }
});

Deno.test("what could contradict each other but does not is accepted", () => {
  const requests: JobRequest[] = [
    { key: "report" },
    { key: "report", ifExists: "skip" },
    { okCodes: [2, 3], fatalCodes: [4] },
    { after: ["a"], afterAny: ["a"] },
    { delayMs: 1000, after: ["a"] },
  ];
  for (const request of requests) {
    assertEquals(completeJob({ command: "ls", ...request }, INITIAL, AROUND).command, "ls");
  }
});

Deno.test("two jobs without an id get different ones", () => {
  const ids = [1, 2].map(() => completeJob({ command: "ls" }, INITIAL, AROUND).id);
  assert(ids[0] !== ids[1]);
});
