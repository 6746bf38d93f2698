import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { hint } from "../../src/cli/format/enqueued.ts";
import { jobDetails } from "../../src/cli/format/job_details.ts";
import { attemptJson, jobJson, jobTable } from "../../src/cli/format/jobs.ts";
import { statusJson, statusPage, workerTable } from "../../src/cli/format/status.ts";
import { table } from "../../src/cli/format/table.ts";
import { cut, painter, printable, textWidth } from "../../src/cli/format/text.ts";
import { isoTime, relativeTime, span } from "../../src/cli/format/time.ts";
import { waitsFor } from "../../src/cli/format/waits.ts";
import { eventJson, eventLines } from "../../src/cli/format/worker_events.ts";
import { type Attempt, type Job, JOB_STATES, type JobState } from "../../src/job.ts";
import type { HeldLease, JobCounts, Worker } from "../../src/store/store.ts";
import { newJob, newWorker } from "../helpers/store.ts";

const NOW = Date.UTC(2030, 0, 2, 3, 4, 5, 678);
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const PLAIN = { now: NOW, width: Infinity, paint: painter(false), line: false };

function job(said: Partial<Job> = {}): Job {
  return {
    ...newJob({ id: "abcdefghjkmn" }),
    state: "pending",
    queue: "default",
    priority: 0,
    attempts: 0,
    tags: [],
    runAt: NOW,
    createdAt: NOW,
    updatedAt: NOW,
    startedAt: null,
    finishedAt: null,
    exitCode: null,
    signal: null,
    lastError: null,
    workerId: null,
    ...said,
  };
}

function attempt(said: Partial<Attempt> = {}): Attempt {
  return {
    attempt: 1,
    outcome: "completed",
    workerId: "w-1",
    startedAt: NOW - MINUTE,
    finishedAt: NOW - MINUTE + 1500,
    exitCode: 0,
    signal: null,
    error: null,
    ...said,
  };
}

function worker(said: Partial<Worker> = {}): Worker {
  const alive = { startedAt: NOW - HOUR, heartbeatAt: NOW, beat: 5, stop: null };
  return { ...newWorker({ id: "worker1" }), ...alive, ...said };
}

function held(id: string, workerId: string): HeldLease {
  const lease = { job: 1, attempt: 1, token: "t" };
  return { lease, job: job({ id, workerId, state: "processing" }), process: null };
}

const NO_JOBS = Object.fromEntries(JOB_STATES.map((state) => [state, 0])) as JobCounts;

// --- Text

Deno.test("whatever could act on a terminal is shown as an escape", () => {
  const cases: [string, string][] = [
    ["plain text, größe 日本 😀", "plain text, größe 日本 😀"],
    ["a\nb\rc\td", "a\\nb\\rc\\td"],
    ["\x1b[2J", "\\e[2J"],
    ["\0\x07\x08\x7f", "\\x00\\x07\\x08\\x7f"],
    ["\x9b2J\x85", "\\x9b2J\\x85"],
    ["\u202egnp\u2069\u200b\ufeff", "\\u202egnp\\u2069\\u200b\\ufeff"],
    ["\u2028\u2029", "\\u2028\\u2029"],
  ];
  for (const [text, shown] of cases) assertEquals(printable(text), shown);
});

Deno.test("no control character is left in printable text", () => {
  for (let code = 0; code < 0x100; code++) {
    const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0);
    const text = String.fromCharCode(code);
    assertEquals(printable(text) !== text, isControl, `code ${code}`);
  }
});

Deno.test("the width of text is that on a terminal", () => {
  const cases: [string, number][] = [
    ["", 0],
    ["abc", 3],
    ["grün", 4],
    ["日本", 4],
    ["e\u0301", 1],
    ["😀", 2],
  ];
  for (const [text, width] of cases) assertEquals(textWidth(text), width, text);
});

Deno.test("text is cut to a width, and shows that it was", () => {
  const cases: [string, number, string][] = [
    ["abcdef", 6, "abcdef"],
    ["abcdef", 5, "abcd…"],
    ["abcdef", 1, "…"],
    ["日本語", 6, "日本語"],
    ["日本語", 5, "日本…"],
    ["日本語", 4, "日…"],
    ["😀😀😀", 4, "😀…"],
  ];
  for (const [text, width, shown] of cases) assertEquals(cut(text, width), shown);
});

Deno.test("text is painted only where there is colour", () => {
  assertEquals(painter(true)("dead", "red"), "\x1b[31mdead\x1b[0m");
  assertEquals(painter(false)("dead", "red"), "dead");
});

// --- Time

Deno.test("a length of time is said with as many digits as one cares for", () => {
  const cases: [number, string][] = [
    [0, "0 s"],
    [400, "0.4 s"],
    [1000, "1 s"],
    [1500, "1.5 s"],
    [9949, "9.9 s"],
    [9950, "10 s"],
    [38 * SECOND, "38 s"],
    [90 * SECOND, "90 s"],
    [5 * MINUTE, "5 min"],
    [90 * MINUTE, "90 min"],
    [3 * HOUR, "3 h"],
    [47 * HOUR, "47 h"],
    [2 * DAY, "2 d"],
    [400 * DAY, "400 d"],
  ];
  for (const [ms, text] of cases) assertEquals(span(ms), text, String(ms));
});

Deno.test("an instant is said as seen from now", () => {
  const cases: [number, string][] = [
    [0, "now"],
    [-400, "now"],
    [400, "now"],
    [-5 * SECOND, "5 s ago"],
    [2 * MINUTE, "in 2 min"],
    [-3 * HOUR, "3 h ago"],
    [2 * DAY, "in 2 d"],
  ];
  for (const [distance, text] of cases) {
    assertEquals(relativeTime(NOW + distance, NOW), text);
  }
});

Deno.test("an instant in JSON is ISO 8601 in UTC with milliseconds", () => {
  assertEquals(isoTime(NOW), "2030-01-02T03:04:05.678Z");
  assertEquals(isoTime(0), "1970-01-01T00:00:00.000Z");
  assertEquals(isoTime(null), null);
});

// --- Tables

Deno.test("a table is laid out under its titles, numbers to the right", () => {
  const columns = [{ title: "NAME" }, { title: "N", align: "right" }, { title: "TEXT" }] as const;
  const rows = [[{ text: "a" }, { text: "1" }, { text: "x" }], [
    { text: "日本語" },
    { text: "100" },
    { text: "" },
  ]];
  assertEquals(table(columns, rows, PLAIN), "NAME      N  TEXT\na         1  x\n日本語  100  \n");
  assertEquals(
    table(columns, [], { ...PLAIN, line: true }),
    "NAME  N  TEXT\n────  ─  ────\n",
  );
});

Deno.test("the table of jobs fits the terminal, and never cuts an id or a state", () => {
  const commands = [
    "true",
    "x".repeat(500),
    "日本語".repeat(100),
    "a\tb\n".repeat(100),
    "😀".repeat(90),
  ];
  const jobs = JOB_STATES.flatMap((state) =>
    commands.map((command) => job({ state, command, startedAt: NOW - HOUR, runAt: NOW + HOUR }))
  );
  for (const width of [60, 72, 80, 100, 133, 200]) {
    const lines = jobTable(jobs, { ...PLAIN, width, line: true }).trimEnd().split("\n");
    for (const line of lines) assert(textWidth(line) <= width, `${textWidth(line)}: ${line}`);
    lines.slice(2).forEach((line, i) => {
      assertStringIncludes(line, jobs[i]!.id);
      assertStringIncludes(line, jobs[i]!.state);
    });
  }
});

Deno.test("in a terminal that is too narrow for it the table keeps ids and states whole", () => {
  const id = "x".repeat(64);
  const shown = jobTable([job({ id, state: "processing", startedAt: NOW })], {
    ...PLAIN,
    width: 20,
  });
  assertStringIncludes(shown, id);
  assertStringIncludes(shown, "processing");
});

Deno.test("where there is no terminal nothing is cut", () => {
  const command = "x".repeat(5000);
  assertStringIncludes(jobTable([job({ command })], PLAIN), command);
});

Deno.test("a table is as wide with colour as without", () => {
  // deno-lint-ignore no-control-regex
  const uncolored = (text: string) => text.replaceAll(/\x1b\[\d+m/g, "");
  const jobs = JOB_STATES.map((state) => job({ state, command: "y".repeat(300), startedAt: NOW }));
  const look = { ...PLAIN, width: 80, line: true };
  const colored = jobTable(jobs, { ...look, paint: painter(true) });
  assertEquals(uncolored(colored), jobTable(jobs, look));
  assert(colored.includes("\x1b["));
});

Deno.test("the command in a table cannot act on the terminal", () => {
  const shown = jobTable([job({ command: "echo '\x1b[31m'\nrm x\u202e" })], PLAIN);
  assertStringIncludes(shown, "echo '\\e[31m'\\nrm x\\u202e");
});

Deno.test("the table of jobs says of each state the instant that matters", () => {
  const cases: [Partial<Job>, string][] = [
    [{ state: "pending", createdAt: NOW - 5000 }, "added 5 s ago"],
    [{ state: "pending", runAt: NOW + HOUR }, "due in 60 min"],
    [{ state: "processing", startedAt: NOW - 5000 }, "since 5 s "],
    [{ state: "failed", runAt: NOW + 4000 }, "retry in 4 s"],
    [{ state: "failed", runAt: NOW - 4000 }, "retry now"],
    [{ state: "completed", finishedAt: NOW - DAY }, "24 h ago"],
    [{ state: "dead", finishedAt: NOW - 20_000 }, "20 s ago"],
    [{ state: "cancelled", finishedAt: null, updatedAt: NOW - 20_000 }, "20 s ago"],
  ];
  for (const [said, when] of cases) {
    assertStringIncludes(jobTable([job({ ...said, command: "c" })], PLAIN), `  ${when}`);
  }
});

Deno.test("the table of jobs counts tries out of one at least", () => {
  assertMatch(jobTable([job({ attempts: 1, maxRetries: 0 })], PLAIN), / 1\/1 /);
  assertMatch(jobTable([job({ attempts: 2, maxRetries: 3 })], PLAIN), / 2\/3 /);
});

// --- JSON

Deno.test("a job in JSON has the keys of the contract, in their order, with ISO times", () => {
  const shown = jobJson(
    job({ state: "failed", runAt: NOW + 1, exitCode: 3, tags: ["a"], timeoutMs: 5 }),
  );
  assertEquals(
    Object.keys(shown).join(", "),
    "id, command, state, queue, priority, attempts, max_retries, backoff_base, timeout_ms, cwd, " +
      "run_at, created_at, updated_at, started_at, finished_at, exit_code, signal, last_error, " +
      "worker_id, tags",
  );
  assertEquals(
    [shown.run_at, shown.started_at, shown.exit_code, shown.tags, shown.timeout_ms],
    ["2030-01-02T03:04:05.679Z", null, 3, ["a"], 5],
  );
});

Deno.test("an attempt in JSON has the keys of the contract", () => {
  assertEquals(attemptJson(attempt({ outcome: "failed", exitCode: 2, error: "Exit code 2" })), {
    attempt: 1,
    outcome: "failed",
    worker_id: "w-1",
    started_at: "2030-01-02T03:03:05.678Z",
    finished_at: "2030-01-02T03:03:07.178Z",
    exit_code: 2,
    signal: null,
    error: "Exit code 2",
  });
});

Deno.test("the status in JSON has every state, and each worker with the jobs it runs", () => {
  const counts = { ...NO_JOBS, processing: 2 };
  const leases = [
    held("job-a", "worker1-1"),
    held("job-b", "worker1-12"),
    held("job-c", "other-1"),
  ];
  assertEquals(statusJson({ counts, workers: [worker({ count: 12 })], leases }), {
    jobs: counts,
    workers: [{
      id: "worker1",
      host: "here",
      pid: 4711,
      count: 12,
      started_at: "2030-01-02T02:04:05.678Z",
      heartbeat_at: "2030-01-02T03:04:05.678Z",
      running: ["job-a", "job-b"],
    }],
  });
});

// --- Pages

Deno.test("the status page counts every state and shows who runs what", () => {
  const counts = { ...NO_JOBS, pending: 1_234_567, processing: 1 };
  const leases = [held("job-a", "worker1-1")];
  const page = statusPage({ counts, workers: [worker({ count: 2 })], leases }, PLAIN);
  for (const state of JOB_STATES) assertStringIncludes(page, state);
  assertMatch(page, /^pending +1,234,567$/m);
  assertMatch(page, /^worker1 +4711 +here +60 min ago +1 of 2 +job-a$/m);
});

Deno.test("without workers a page says so", () => {
  assertEquals(workerTable({ workers: [], leases: [] }, PLAIN), "No worker is running\n");
});

Deno.test("the page of a job shows its settings, why it waits and its last error, made harmless", () => {
  const waiting = job({
    state: "failed",
    command: "rm \x1b[8m-rf",
    attempts: 1,
    maxRetries: 3,
    timeoutMs: 90_000,
    cwd: "/srv/\ndata",
    env: { TOKEN: "s3cret", "A\x07": "1" },
    tags: ["nightly"],
    lastError: "Exit code 1\x1b[0m",
    createdAt: NOW - MINUTE,
  });
  const page = jobDetails(waiting, [], "retry 2 of 3 in 4 s", PLAIN);
  for (
    const line of [
      "job         abcdefghjkmn",
      "command     rm \\e[8m-rf",
      "state       failed",
      "waits for   retry 2 of 3 in 4 s",
      "last error  Exit code 1\\e[0m",
      "attempts    1 of 3",
      "backoff     2 ** n seconds, at most 5 min",
      "timeout     90 s",
      "folder      /srv/\\ndata",
      "queue       default, priority 0",
      "added       60 s ago",
      "environment TOKEN, A\\x07",
      "tags        nightly",
    ]
  ) {
    assertStringIncludes(page, `${line}\n`);
  }
  assert(!page.includes("s3cret"), "values of the environment may be secrets");
});

Deno.test("the page of a job lists its attempts, the running one too, within the width", () => {
  const attempts = [
    attempt({ outcome: "failed", exitCode: 1, error: `Exit code 1 ${"and more ".repeat(50)}` }),
    attempt({ attempt: 2, outcome: null, finishedAt: null, startedAt: NOW - 5000 }),
  ];
  const page = jobDetails(job({ attempts: 2 }), attempts, null, { ...PLAIN, width: 80 });
  const [, rows] = page.split("\n\n");
  assertMatch(rows!, /^ +1 +failed +60 s ago +1\.5 s +w-1 +Exit code 1 and.*…$/m);
  assertMatch(rows!, /^ +2 +running +5 s ago +5 s +w-1/m);
  for (const line of rows!.split("\n")) assert(textWidth(line) <= 80, line);
});

Deno.test("why a job waits is said of each state", () => {
  const cases: [JobState, number, boolean, string | null][] = [
    ["pending", 0, true, "a free worker"],
    ["pending", -5000, true, "a free worker"],
    ["pending", MINUTE, true, "due in 60 s"],
    ["pending", 0, false, "no worker is running"],
    ["failed", 4000, true, "retry 2 of 3 in 4 s"],
    ["failed", 0, true, "retry 2 of 3 now"],
    ["failed", 4000, false, "retry 2 of 3 in 4 s; no worker is running"],
    ["processing", 0, true, null],
    ["completed", 0, true, null],
    ["dead", 0, false, null],
    ["cancelled", 0, true, null],
  ];
  for (const [state, dueMs, workersRun, text] of cases) {
    const waiting = { state, runAt: NOW + dueMs, attempts: 1, maxRetries: 3 };
    assertEquals(waitsFor(waiting, { now: NOW, workersRun }), text, `${state} ${dueMs}`);
  }
});

Deno.test("after an enqueue a person reads what happened and what is missing", () => {
  const counts = { ...NO_JOBS, pending: 2 };
  const one = hint([newJob({ command: "echo \x1b[1m" + "x".repeat(100) })], counts, true);
  assertMatch(one, /^Enqueued: echo \\e\[1mx+… \(2 pending\)\n$/);
  assertEquals(
    hint([newJob(), newJob()], counts, false),
    "Enqueued 2 jobs (2 pending)\nNo worker is running; start one with: queuectl worker start\n",
  );
});

// --- A worker's events

Deno.test("each event of a worker is a line that names the job and cannot act on the terminal", () => {
  const look = { now: NOW, paint: painter(false) };
  const cases: [Parameters<typeof eventLines>[0], string][] = [
    [
      { event: "started", worker: "w", pid: 7, count: 2 },
      "started     worker w, pid 7, 2 executors",
    ],
    [
      { event: "claimed", job: "j", attempt: 1, executor: 1, command: "echo \x1b[1m" },
      "claimed     j attempt 1: echo \\e[1m",
    ],
    [
      { event: "completed", job: "j", attempt: 1, durationMs: 1500 },
      "completed   j attempt 1 in 1.5 s",
    ],
    [
      { event: "failed", job: "j", attempt: 1, error: "Exit code 1", retryInMs: 2000 },
      "failed      j attempt 1: exit code 1; next attempt in 2 s",
    ],
    [
      { event: "failed", job: "j", attempt: 1, error: "Lost", retryInMs: 0 },
      "failed      j attempt 1: lost; next attempt now",
    ],
    [
      { event: "dead", job: "j", attempt: 3, error: "Exit code 1\x07" },
      "dead        j attempt 3: exit code 1\\x07; no attempts left",
    ],
    [
      { event: "interrupted", job: "j", attempt: 1 },
      "interrupted j attempt 1; the job is pending again",
    ],
    [
      { event: "recovered", job: "j", attempt: 1, worker: "w-1", state: "failed" },
      "recovered   j attempt 1, lost by w-1; the job is failed",
    ],
    [{ event: "warning", message: "a\nb" }, "warning     a\\nb"],
    [{ event: "stopping", running: 3, force: true }, "stopping    ending 3 running jobs"],
    [{ event: "stopped", worker: "w" }, "stopped     worker w"],
  ];
  for (const [event, text] of cases) {
    assertEquals(eventLines(event, look).replace(/^\d\d:\d\d:\d\d /, ""), `${text}\n`);
  }
});

Deno.test("what a job prints is shown line by line behind its id, made harmless", () => {
  const bytes = new TextEncoder().encode("one\n\x1b[2Jtwo\n");
  const printed = { chunks: [{ start: 0, stream: "stdout" as const, bytes }], discard: null };
  assertEquals(
    eventLines({ event: "output", job: "j", printed }, { now: NOW, paint: painter(false) }),
    "j | one\nj | \\e[2Jtwo\n",
  );
});

Deno.test("an event in JSON has its time and its facts in snake_case", () => {
  assertEquals(
    eventJson({ event: "failed", job: "j", attempt: 1, error: "x", retryInMs: 2000 }, NOW),
    {
      at: "2030-01-02T03:04:05.678Z",
      event: "failed",
      job: "j",
      attempt: 1,
      error: "x",
      retry_in_ms: 2000,
    },
  );
});
