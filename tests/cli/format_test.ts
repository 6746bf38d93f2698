import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { hint, pausedHint } from "../../src/cli/format/enqueued.ts";
import { jobDetails } from "../../src/cli/format/job_details.ts";
import { jobTable } from "../../src/cli/format/jobs.ts";
import { queueJson, queueSentence, queueTable } from "../../src/cli/format/queues.ts";
import { scheduleJson, scheduleTable } from "../../src/cli/format/schedules.ts";
import { statusJson, statusPage, workerTable } from "../../src/cli/format/status.ts";
import { storedEventJson, storedEventLine } from "../../src/cli/format/stored_events.ts";
import { table } from "../../src/cli/format/table.ts";
import { cut, painter, printable, textWidth } from "../../src/cli/format/text.ts";
import { clockTime, relativeTime, span, zonedTime } from "../../src/cli/format/time.ts";
import { type Circumstances, waitsFor } from "../../src/cli/format/waits.ts";
import { eventJson, eventLines } from "../../src/cli/format/worker_events.ts";
import type { ShownSchedule } from "../../src/cli/read_schedules.ts";
import { type Attempt, type Job, JOB_STATES } from "../../src/job.ts";
import { attemptJson, isoTime, jobJson } from "../../src/job_json.ts";
import type {
  Blocker,
  HeldLease,
  JobCounts,
  Queue,
  StoredEvent,
  Worker,
} from "../../src/store/store.ts";
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
    attempts: 0,
    snoozes: 0,
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

function held(id: string, workerId: string, attempt = 1): HeldLease {
  const lease = { job: 1, attempt, token: "t" };
  return { lease, job: job({ id, workerId, state: "processing" }), process: null };
}

const NO_JOBS = Object.fromEntries(JOB_STATES.map((state) => [state, 0])) as JobCounts;

function queue(said: Partial<Queue> = {}): Queue {
  const open = { name: "default", pausedAt: null, pauseReason: null, maxRunning: null };
  return { ...open, jobs: NO_JOBS, ...said };
}

/** A queue that may run no more jobs for now. */
function fullQueue(maxRunning: number, name = "default"): Queue {
  return queue({ name, maxRunning, jobs: { ...NO_JOBS, processing: maxRunning } });
}

/** A worker serves every queue, and nothing is in the way of any job, but for what is said. */
function circumstances(said: Partial<Circumstances> = {}): Circumstances {
  return { now: NOW, workers: [{ queues: null }], queues: [], blockers: [], lost: [], ...said };
}

const CLEAR = circumstances();

/** The first `count` prerequisites of the job, each in another state. */
function blockers(count: number, job = "abcdefghjkmn"): Blocker[] {
  const states = ["pending", "processing", "failed", "blocked", "pending"] as const;
  return states.slice(0, count).map((state, i) => ({ job, needs: `need-${i + 1}`, state }));
}

function schedule(said: Partial<ShownSchedule> = {}): ShownSchedule {
  return {
    name: "nightly",
    cron: "0 3 * * *",
    timeZone: "Europe/Berlin",
    missed: "one",
    request: "{}",
    createdAt: NOW - 10 * DAY,
    pausedAt: null,
    nextAt: NOW + HOUR,
    lastTick: NOW - 23 * HOUR,
    lastJob: "abcdefghjkmn",
    command: "./backup.sh",
    next: [NOW + HOUR, NOW + HOUR + DAY, NOW + HOUR + 2 * DAY],
    lastState: "completed",
    ...said,
  };
}

function storedEvent(said: Partial<StoredEvent> = {}): StoredEvent {
  return {
    seq: 7,
    at: NOW,
    event: "cancelled",
    job: "abcdefghjkmn",
    attempt: 2,
    cause: "Cancelled",
    actor: "me",
    ...said,
  };
}

/** What could do something to a terminal, or break out of its line. */
const HARMFUL = "a\x1b[2J\x07\n\r\t\u202eb\x9bc\u2028d";

/** Asserts that a terminal shows `text` as these many lines and nothing else. */
function assertHarmless(text: string, lines: number) {
  const shown = text.split("\n");
  assertEquals(shown.pop(), "");
  assertEquals(shown.length, lines, text);
  for (const line of shown) assertEquals(printable(line), line);
}

/** All keys in a JSON document. */
function keysIn(json: unknown): string[] {
  if (typeof json !== "object" || json === null) return [];
  const nested = Object.values(json).flatMap(keysIn);
  return Array.isArray(json) ? nested : [...Object.keys(json), ...nested];
}

function assertSnakeCase(json: unknown) {
  for (const key of keysIn(json)) assertMatch(key, /^[a-z]+(_[a-z]+)*$/);
}

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

Deno.test("the clock shows the time of today, and the date of another day", () => {
  const now = new Date(2030, 0, 2, 12, 30).getTime();
  const cases: [Date, string][] = [
    [new Date(2030, 0, 2, 0, 0), "00:00"],
    [new Date(2030, 0, 2, 12, 30), "12:30"],
    [new Date(2030, 0, 2, 23, 59, 59, 999), "23:59:59"],
    [new Date(2030, 0, 3, 0, 0), "2030-01-03 00:00"],
    [new Date(2030, 0, 1, 23, 59), "2030-01-01 23:59"],
    [new Date(2030, 1, 2, 12, 30), "2030-02-02 12:30"],
    [new Date(2031, 11, 24, 9, 5), "2031-12-24 09:05"],
  ];
  for (const [at, text] of cases) assertEquals(clockTime(at.getTime(), now), text);
});

Deno.test("the clock of another zone is shown the same way", () => {
  const now = Date.UTC(2030, 0, 2, 22, 0);
  assertEquals(zonedTime(now, now, "UTC"), "22:00");
  assertEquals(
    zonedTime(Date.UTC(2030, 0, 2, 23, 30, 5), now, "Europe/Berlin"),
    "2030-01-03 00:30:05",
  );
  assertEquals(zonedTime(Date.UTC(2030, 0, 3, 3, 0), now, "Asia/Tokyo"), "12:00");
});

Deno.test("an instant in JSON is ISO 8601 in UTC with milliseconds", () => {
  assertEquals(isoTime(NOW), "2030-01-02T03:04:05.678Z");
  assertEquals(isoTime(0), "1970-01-01T00:00:00.000Z");
  assertEquals(isoTime(null), null);
});

// --- Tables

function assertFits(shown: string, width: number) {
  for (const line of shown.split("\n")) {
    assert(textWidth(line) <= width, `${textWidth(line)} for ${width}: ${line}`);
  }
}

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
    const shown = jobTable(jobs, CLEAR, { ...PLAIN, width, line: true });
    assertFits(shown, width);
    shown.split("\n").slice(2, -1).forEach((line, i) => {
      assertStringIncludes(line, jobs[i]!.id);
      assertStringIncludes(line, jobs[i]!.state);
    });
  }
});

Deno.test("the table of jobs fits the terminal whatever they wait for", () => {
  const waiting = [
    job({ state: "failed", runAt: NOW + HOUR, attempts: 1 }),
    job({ state: "pending", runAt: NOW + DAY }),
    job({ state: "blocked" }),
  ];
  const long = "until the new machines have come and somebody has looked at what they do";
  const reasons: Circumstances[] = [
    circumstances({ workers: [], blockers: blockers(1) }),
    circumstances({ workers: [{ queues: ["other"] }], blockers: blockers(3) }),
    circumstances({ queues: [fullQueue(12)], blockers: blockers(5) }),
    circumstances({
      queues: [queue({ pausedAt: NOW, pauseReason: long })],
      blockers: blockers(5).map((each, i) => ({ ...each, needs: `${i}`.repeat(64) })),
    }),
  ];
  for (const width of [60, 80, 100, 133]) {
    for (const each of reasons) {
      const shown = jobTable(waiting, each, { ...PLAIN, width, line: true });
      assertFits(shown, width);
      for (const { id, state } of waiting) assertMatch(shown, new RegExp(`^${id}  ${state} `, "m"));
    }
  }
});

Deno.test("in a terminal that is too narrow for it the table keeps ids and states whole", () => {
  const id = "x".repeat(64);
  const running = job({ id, state: "processing", startedAt: NOW });
  const shown = jobTable([running], CLEAR, { ...PLAIN, width: 20 });
  assertStringIncludes(shown, id);
  assertStringIncludes(shown, "processing");
});

Deno.test("where there is no terminal nothing is cut", () => {
  const command = "x".repeat(5000);
  assertStringIncludes(jobTable([job({ command })], CLEAR, PLAIN), command);
});

Deno.test("a table is as wide with colour as without", () => {
  // deno-lint-ignore no-control-regex
  const uncolored = (text: string) => text.replaceAll(/\x1b\[\d+m/g, "");
  const jobs = JOB_STATES.map((state) => job({ state, command: "y".repeat(300), startedAt: NOW }));
  const look = { ...PLAIN, width: 80, line: true };
  const colored = jobTable(jobs, CLEAR, { ...look, paint: painter(true) });
  assertEquals(uncolored(colored), jobTable(jobs, CLEAR, look));
  assert(colored.includes("\x1b["));
});

Deno.test("the command in a table cannot act on the terminal", () => {
  const shown = jobTable([job({ command: "echo '\x1b[31m'\nrm x\u202e" })], CLEAR, PLAIN);
  assertStringIncludes(shown, "echo '\\e[31m'\\nrm x\\u202e");
});

Deno.test("the reason for a pause in a table cannot act on the terminal", () => {
  const paused = circumstances({ queues: [queue({ pausedAt: NOW, pauseReason: HARMFUL })] });
  assertHarmless(jobTable([job()], paused, PLAIN), 2);
});

Deno.test("the table of jobs says what each one waits for, or the instant that matters", () => {
  const cases: [Partial<Job>, string][] = [
    [{ state: "pending", createdAt: NOW - 5000 }, "a free worker"],
    [{ state: "pending", runAt: NOW + 5000 }, "due in 5 s"],
    [{ state: "pending", runAt: NOW + DAY }, `due at ${clockTime(NOW + DAY, NOW)}`],
    [{ state: "processing", startedAt: NOW - 5000 }, "since 5 s "],
    [{ state: "failed", attempts: 1, runAt: NOW + 4000 }, "retry 2 of 3 in 4 s"],
    [{ state: "failed", attempts: 1, runAt: NOW - 4000 }, "retry 2 of 3 now"],
    [{ state: "blocked" }, "after need-1 (pending)"],
    [{ state: "completed", finishedAt: NOW - DAY }, "24 h ago"],
    [{ state: "dead", finishedAt: NOW - 20_000 }, "20 s ago"],
    [{ state: "cancelled", finishedAt: null, updatedAt: NOW - 20_000 }, "20 s ago"],
  ];
  const around = circumstances({ blockers: blockers(1) });
  for (const [said, when] of cases) {
    assertStringIncludes(jobTable([job({ ...said, command: "c" })], around, PLAIN), `  ${when}`);
  }
});

Deno.test("the table of jobs counts tries out of one at least", () => {
  assertMatch(jobTable([job({ attempts: 1, maxRetries: 0 })], CLEAR, PLAIN), / 1\/1 /);
  assertMatch(jobTable([job({ attempts: 2, maxRetries: 3 })], CLEAR, PLAIN), / 2\/3 /);
});

Deno.test("the table of queues says what waits and runs, the limit, and why one is paused", () => {
  const jobs = { ...NO_JOBS, blocked: 1, pending: 20, failed: 300, processing: 2, dead: 4 };
  const queues = [
    queue({ jobs, maxRunning: 5 }),
    queue({ name: "mail", pausedAt: NOW - 5 * MINUTE, pauseReason: "new server" }),
    queue({ name: "web", pausedAt: NOW - 5000 }),
  ];
  const [, first, second, third] = queueTable(queues, PLAIN).split("\n");
  assertMatch(first!, /^default +321 +2 +5 +4 +open$/);
  assertMatch(second!, /^mail +0 +0 +none +0 +paused: new server \(5 min ago\)$/);
  assertMatch(third!, /^web +0 +0 +none +0 +paused \(5 s ago\)$/);
});

Deno.test("the table of queues fits the terminal and cannot act on it", () => {
  const jobs = { ...NO_JOBS, pending: 1_234_567, processing: 1000, dead: 99_999 };
  for (const pauseReason of [HARMFUL, "x".repeat(300), "日本語".repeat(50), "\t".repeat(100)]) {
    const queues = [queue({ jobs, maxRunning: 1000, pausedAt: NOW - HOUR, pauseReason }), queue()];
    for (const width of [60, 80, 133]) {
      const shown = queueTable(queues, { ...PLAIN, width, line: true });
      assertFits(shown, width);
      assertHarmless(shown, 4);
    }
    assertHarmless(queueSentence("default", queues[0]), 1);
  }
});

Deno.test("a queue in a sentence is open or paused, with its limit", () => {
  const cases: [Queue | undefined, string][] = [
    [undefined, "mail: open, no limit\n"],
    [queue({ maxRunning: 3 }), "mail: open, limit 3\n"],
    [queue({ pausedAt: NOW }), "mail: queue paused, no limit\n"],
    [
      queue({ pausedAt: NOW, pauseReason: "new server", maxRunning: 1 }),
      "mail: queue paused: new server, limit 1\n",
    ],
  ];
  for (const [queue, sentence] of cases) assertEquals(queueSentence("mail", queue), sentence);
});

Deno.test("the table of schedules says when each comes next and what became of the last job", () => {
  const cases: [Partial<ShownSchedule>, RegExp][] = [
    [{}, / {2}completed .*23 h ago/],
    [{ lastState: "dead" }, / {2}dead .*23 h ago/],
    [{ lastState: null }, / {2}deleted .*23 h ago/],
    [{ lastTick: null, lastJob: null, lastState: null }, / {2}not yet {2}/],
    [{ lastJob: null, lastState: null }, / {2}23 h ago {2}/],
    [{ pausedAt: NOW, next: [] }, / {2}paused {2}/],
    [{ nextAt: null, next: [] }, / {2}never again {2}/],
    [
      {},
      new RegExp(
        `  ${
          ["", DAY].map((later) => zonedTime(NOW + HOUR + Number(later), NOW, "Europe/Berlin"))
            .join(
              ", ",
            )
        }`,
      ),
    ],
    [{}, /^nightly +0 3 \* \* \* +Europe\/Berlin /m],
    [{}, / {2}\.\/backup\.sh$/m],
  ];
  for (const [said, text] of cases) assertMatch(scheduleTable([schedule(said)], PLAIN), text);
});

Deno.test("the table of schedules cannot act on the terminal", () => {
  assertHarmless(scheduleTable([schedule({ command: HARMFUL })], PLAIN), 2);
  // Between the fields any white space will do.
  for (const cron of ["0\t3 * * *", "0\n3 * * *", "0 3 *\u2028* *"]) {
    assertHarmless(scheduleTable([schedule({ cron })], PLAIN), 2);
  }
});

Deno.test("the table of schedules fits the terminal, and never cuts a name or a state", () => {
  const daily = [
    schedule({ command: "x".repeat(300) }),
    schedule({ name: "paused", command: "true", pausedAt: NOW, next: [] }),
    schedule({ name: "new", lastTick: null, lastJob: null, lastState: null }),
    schedule({ name: "running", lastState: "processing", lastTick: NOW - 59 * MINUTE }),
  ];
  const rare = [
    schedule({ cron: "*/15 9-17 * * MON-FRI", next: [NOW + MINUTE, NOW + DAY, NOW + 2 * DAY] }),
    schedule({
      name: "far",
      timeZone: "America/Argentina/Buenos_Aires",
      command: "日本".repeat(90),
    }),
  ];
  const cases: [number, ShownSchedule[]][] = [
    [80, daily],
    [100, [...daily, ...rare]],
    [133, [...daily, ...rare]],
    [200, [...daily, ...rare]],
  ];
  for (const [width, schedules] of cases) {
    const shown = scheduleTable(schedules, { ...PLAIN, width, line: true });
    assertFits(shown, width);
    for (const { name, lastState } of schedules) {
      assertMatch(shown, new RegExp(`^${name} .* ${lastState ?? "not yet"} `, "m"));
    }
  }
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
      "worker_id, tags, key, schedule",
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
  assertEquals(statusJson({ counts, paused: [], workers: [worker({ count: 12 })], leases }), {
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

Deno.test("what was claimed ahead of an executor is not shown as running", () => {
  const counts = { ...NO_JOBS, processing: 4 };
  const leases = [
    held("ahead-2", "worker1-1", 13),
    held("running-1", "worker1-1", 11),
    held("ahead-1", "worker1-1", 12),
    held("running-2", "worker1-2", 14),
  ];
  const workers = [worker({ count: 2 })];
  const [shown] = statusJson({ counts, paused: [], workers, leases }).workers;
  assertEquals(shown!.running, ["running-1", "running-2"]);
  assertStringIncludes(workerTable({ workers, leases }, PLAIN), "2 of 2");
});

Deno.test("a queue in JSON has its state, its limit and its jobs", () => {
  const jobs = { ...NO_JOBS, pending: 2 };
  const paused = queue({ pausedAt: NOW, pauseReason: "new server", maxRunning: 3, jobs });
  assertEquals(queueJson(paused), {
    name: "default",
    paused: true,
    paused_at: "2030-01-02T03:04:05.678Z",
    reason: "new server",
    limit: 3,
    jobs,
  });
  assertEquals(queueJson(queue()), {
    name: "default",
    paused: false,
    paused_at: null,
    reason: null,
    limit: null,
    jobs: NO_JOBS,
  });
});

Deno.test("a schedule in JSON has its next ticks and what became of the last one", () => {
  assertEquals(scheduleJson(schedule({ next: [NOW, NOW + SECOND], lastTick: NOW - SECOND })), {
    name: "nightly",
    cron: "0 3 * * *",
    time_zone: "Europe/Berlin",
    missed: "one",
    command: "./backup.sh",
    paused: false,
    next: ["2030-01-02T03:04:05.678Z", "2030-01-02T03:04:06.678Z"],
    last_tick: "2030-01-02T03:04:04.678Z",
    last_job: "abcdefghjkmn",
    last_state: "completed",
  });
  const { paused, next, last_tick } = scheduleJson(
    schedule({ pausedAt: NOW, next: [], lastTick: null }),
  );
  assertEquals({ paused, next, last_tick }, { paused: true, next: [], last_tick: null });
});

Deno.test("an event of the history in JSON has its number, its time, its cause and its actor", () => {
  assertEquals(
    JSON.stringify(storedEventJson(storedEvent({ cause: HARMFUL }))),
    [
      '{"seq":7,"at":"2030-01-02T03:04:05.678Z","event":"cancelled","job":"abcdefghjkmn","attempt":2,',
      `"cause":${JSON.stringify(HARMFUL)},"actor":"me"}`,
    ].join(""),
  );
});

Deno.test("keys of JSON are in snake_case", () => {
  const status = { counts: NO_JOBS, paused: [], workers: [worker()], leases: [] };
  const documents = [
    jobJson(job()),
    attemptJson(attempt()),
    statusJson(status),
    queueJson(queue()),
    scheduleJson(schedule()),
    storedEventJson(storedEvent()),
    eventJson({ event: "snoozed", job: "j", attempt: 1, retryInMs: 5 }, NOW),
  ];
  for (const json of documents) assertSnakeCase(json);
});

// --- Pages

Deno.test("the status page counts every state and shows who runs what", () => {
  const counts = { ...NO_JOBS, pending: 1_234_567, processing: 1 };
  const leases = [held("job-a", "worker1-1")];
  const page = statusPage({ counts, paused: [], workers: [worker({ count: 2 })], leases }, PLAIN);
  for (const state of JOB_STATES) assertStringIncludes(page, state);
  assertMatch(page, /^pending +1,234,567$/m);
  assertMatch(page, /^worker1 +4711 +here +60 min ago +1 of 2 +job-a$/m);
});

Deno.test("the status page names the queues that are paused, and why, made harmless", () => {
  const paused = [
    queue({ name: "mail", pausedAt: NOW - 5 * MINUTE, pauseReason: "new\nserver\x1b[2J" }),
    queue({ name: "web", pausedAt: NOW - 5000 }),
  ];
  const page = statusPage({ counts: NO_JOBS, paused, workers: [], leases: [] }, PLAIN);
  const since = (at: number) => clockTime(at, NOW);
  assertStringIncludes(
    page,
    `\n\nqueue paused: new\\nserver\\e[2J (mail, since ${since(NOW - 5 * MINUTE)})\n` +
      `queue paused (web, since ${since(NOW - 5000)})\n\n`,
  );
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

Deno.test("the page of a job shows what is said of its exit codes, its key and its schedule", () => {
  const page = jobDetails(
    job({
      okCodes: [3, 4],
      fatalCodes: [5],
      snoozeMs: 10 * MINUTE,
      snoozes: 2,
      key: "report\x1b[8m",
      schedule: "nightly",
      queue: "mail",
      priority: -5,
    }),
    [],
    null,
    PLAIN,
  );
  for (
    const line of [
      "queue       mail, priority -5",
      "ok codes    0, 3, 4",
      "fatal codes 5",
      "snooze      10 min after exit code 75; used: 2",
      "key         report\\e[8m",
      "schedule    nightly",
    ]
  ) {
    assertStringIncludes(page, `${line}\n`);
  }
  const plain = jobDetails(job(), [], null, PLAIN);
  for (const name of ["ok codes", "fatal codes", "snooze", "key ", "schedule", "tags"]) {
    assert(!plain.includes(`\n${name}`), name);
  }
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

// --- What a job waits for

Deno.test("a job that is due waits for a free worker, and one that runs or has ended for nothing", () => {
  for (const runAt of [NOW, NOW - 5000, NOW - 400 * DAY]) {
    assertEquals(waitsFor(job({ runAt }), CLEAR), "a free worker");
  }
  const nothing = circumstances({ workers: [], queues: [queue({ pausedAt: NOW })] });
  for (const state of ["completed", "dead", "cancelled"] as const) {
    assertEquals(waitsFor(job({ state, runAt: NOW + DAY }), nothing), null, state);
  }
  assertEquals(waitsFor(job({ state: "processing" }), CLEAR), null);
});

Deno.test("a job whose worker has died waits for another one, and says so", () => {
  const running = job({ state: "processing", startedAt: NOW });
  const lost = [running.id];
  const words = "its worker has died; another one takes it back";
  assertEquals(waitsFor(running, circumstances({ lost })), words);
  assertStringIncludes(jobTable([running], circumstances({ lost }), PLAIN), words);
  const nobody = circumstances({ workers: [], lost });
  assertEquals(waitsFor(running, nobody), "its worker has died; no worker is running");
});

Deno.test("what is due within a minute is counted down, later today it is a time, then a date", () => {
  const now = new Date(2030, 0, 2, 12, 30).getTime();
  const cases: [number, string][] = [
    [now + 1, "due in 1 ms"],
    [now + 4000, "due in 4 s"],
    [now + 59 * SECOND, "due in 59 s"],
    [now + MINUTE, "due at 12:31"],
    [new Date(2030, 0, 2, 23, 59).getTime(), "due at 23:59"],
    [new Date(2030, 0, 3, 0, 0).getTime(), "due at 2030-01-03 00:00"],
    [new Date(2031, 6, 1, 9, 5).getTime(), "due at 2031-07-01 09:05"],
  ];
  for (const [runAt, text] of cases) {
    assertEquals(waitsFor(job({ runAt }), circumstances({ now })), text);
  }
});

Deno.test("a job that failed waits for its next try of so many", () => {
  const cases: [number, number, number, string][] = [
    [4000, 1, 3, "retry 2 of 3 in 4 s"],
    [5 * MINUTE, 2, 3, "retry 3 of 3 in 5 min"],
    [0, 1, 3, "retry 2 of 3 now"],
    [-4000, 1, 3, "retry 2 of 3 now"],
    [4000, 0, 0, "retry 1 of 1 in 4 s"],
  ];
  for (const [dueMs, attempts, maxRetries, text] of cases) {
    const failed = job({ state: "failed", runAt: NOW + dueMs, attempts, maxRetries });
    assertEquals(waitsFor(failed, CLEAR), text);
  }
});

/** What is in the way of the job, but for its time. */
const OBSTACLES: [Partial<Circumstances>, string][] = [
  [{ queues: [queue({ pausedAt: NOW })] }, "queue paused"],
  [
    { queues: [queue({ pausedAt: NOW, pauseReason: "new server" })] },
    "queue paused: new server",
  ],
  [
    { queues: [queue({ pausedAt: NOW, pauseReason: "\x1b[2J\n" })] },
    "queue paused: \\e[2J\\n",
  ],
  [{ queues: [fullQueue(1)] }, "queue limit 1 reached"],
  [{ queues: [{ ...fullQueue(5), maxRunning: 2 }] }, "queue limit 2 reached"],
  [{ workers: [] }, "no worker is running"],
  [
    { workers: [{ queues: ["mail"] }, { queues: [] }] },
    "no worker serves queue default",
  ],
  // Of several the one that has to go first is said.
  [
    { queues: [{ ...fullQueue(1), pausedAt: NOW }], workers: [] },
    "queue paused",
  ],
  [{ queues: [fullQueue(1)], workers: [] }, "no worker is running"],
  [
    { queues: [fullQueue(1)], workers: [{ queues: ["mail"] }] },
    "no worker serves queue default",
  ],
];

for (const [said, text] of OBSTACLES) {
  Deno.test(`a job may wait because: ${text} (${JSON.stringify(said.workers ?? "served")})`, () => {
    const around = circumstances(said);
    assertEquals(waitsFor(job(), around), text);
    assertEquals(waitsFor(job({ runAt: NOW + 4000 }), around), `due in 4 s; ${text}`);
    const failed = job({ state: "failed", attempts: 1, runAt: NOW + 4000 });
    assertEquals(waitsFor(failed, around), `retry 2 of 3 in 4 s; ${text}`);
    assertEquals(waitsFor({ ...failed, runAt: NOW }, around), `retry 2 of 3 now; ${text}`);
  });
}

Deno.test("what is in the way of other queues is in the way of no job of this one", () => {
  const clear: Partial<Circumstances>[] = [
    { queues: [queue({ name: "mail", pausedAt: NOW }), fullQueue(1, "web"), queue()] },
    { queues: [queue({ maxRunning: 2, jobs: { ...NO_JOBS, processing: 1, pending: 9 } })] },
    { queues: [queue({ jobs: { ...NO_JOBS, processing: 1000 } })] },
    { workers: [{ queues: ["mail"] }, { queues: ["web", "default"] }] },
    { workers: [{ queues: ["mail"] }, { queues: null }] },
  ];
  for (const said of clear) assertEquals(waitsFor(job(), circumstances(said)), "a free worker");
});

Deno.test("a blocked job waits for its own prerequisites, of which the first three are named", () => {
  const cases: [number, string][] = [
    [1, "after need-1 (pending)"],
    [3, "after need-1 (pending), need-2 (processing), need-3 (failed)"],
    [4, "after need-1 (pending), need-2 (processing), need-3 (failed) and 1 more"],
    [5, "after need-1 (pending), need-2 (processing), need-3 (failed) and 2 more"],
  ];
  for (const [count, text] of cases) {
    const around = circumstances({
      workers: [], // as long as it is blocked, that is not what it waits for
      blockers: [...blockers(2, "another-job"), ...blockers(count)],
    });
    assertEquals(waitsFor(job({ state: "blocked" }), around), text);
  }
});

// --- After an enqueue

const SERVED = { workers: [{ queues: null }], queues: [] };

Deno.test("after an enqueue a person reads what happened", () => {
  const counts = { ...NO_JOBS, pending: 2 };
  const one = hint([newJob({ command: "echo \x1b[1m" + "x".repeat(100) })], counts, SERVED);
  assertMatch(one, /^Enqueued: echo \\e\[1mx+… \(2 pending\)\n$/);
  assertEquals(hint([newJob(), newJob()], counts, SERVED), "Enqueued 2 jobs (2 pending)\n");
  assertEquals(
    hint([], counts, { workers: [], queues: [queue({ pausedAt: NOW })] }),
    "Nothing was added: an unfinished job with this key exists\n",
  );
});

Deno.test("after an enqueue a person reads which worker is missing", () => {
  const jobs = ["mail", "web", "mail", "default"].map((queue) => newJob({ queue }));
  const added = "Enqueued 4 jobs (0 pending)\n";
  const missing = (name: string) =>
    `No worker serves queue ${name}; start one with: queuectl worker start --queue ${name}\n`;
  const cases: [Circumstances["workers"], string][] = [
    [[], "No worker is running; start one with: queuectl worker start\n"],
    [[{ queues: ["default"] }], missing("mail") + missing("web")],
    [[{ queues: ["web", "mail"] }], missing("default")],
    [[{ queues: ["web", "mail"] }, { queues: ["default"] }], ""],
    [[{ queues: ["other"] }, { queues: null }], ""],
  ];
  for (const [workers, text] of cases) {
    assertEquals(hint(jobs, NO_JOBS, { workers, queues: [] }), added + text);
  }
});

Deno.test("after an enqueue to a paused queue a person reads that, once a queue, and why", () => {
  const jobs = ["mail", "web", "mail", "default"].map((queue) => newJob({ queue }));
  const queues = [
    queue({ maxRunning: 1 }),
    queue({ name: "mail", pausedAt: NOW, pauseReason: "new\nserver\x1b[2J" }),
    queue({ name: "other", pausedAt: NOW }),
    queue({ name: "web", pausedAt: NOW }),
  ];
  const text = "Nothing of mail runs now, queue paused: new\\nserver\\e[2J\n" +
    "Nothing of web runs now, queue paused\n";
  assertEquals(pausedHint(jobs, queues), text);
  assertEquals(pausedHint(jobs, [queue()]), "");
  assertEquals(
    hint(jobs, NO_JOBS, { ...SERVED, queues }),
    `Enqueued 4 jobs (0 pending)\n${text}`,
  );
});

// --- The history

Deno.test("an event of the history is a line with what happened to which job, why and by whom", () => {
  const start = "7 2030-01-02T03:04:05.678Z";
  const cases: [Partial<StoredEvent>, string][] = [
    [{}, "cancelled        abcdefghjkmn attempt 2 Cancelled by me"],
    [
      { event: "enqueued", attempt: null, cause: null },
      "enqueued         abcdefghjkmn by me",
    ],
    [
      { event: "claimed", attempt: 1, cause: null, actor: "worker1-1" },
      "claimed          abcdefghjkmn attempt 1 by worker1-1",
    ],
    [
      { event: "queue paused", job: null, attempt: null, cause: 'Queue "mail": new server' },
      'queue paused     Queue "mail": new server by me',
    ],
  ];
  for (const [said, text] of cases) {
    assertEquals(storedEventLine(storedEvent(said), painter(false)), `${start} ${text}\n`);
  }
});

Deno.test("an event of the history cannot act on the terminal", () => {
  const event = storedEvent({ cause: HARMFUL, actor: HARMFUL });
  assertHarmless(storedEventLine(event, painter(false)), 1);
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
      "dead        j attempt 3: exit code 1\\x07; no further attempt",
    ],
    [
      { event: "interrupted", job: "j", attempt: 1 },
      "interrupted j attempt 1; the job is pending again",
    ],
    [
      { event: "recovered", job: "j", attempt: 1, worker: "w-1", state: "failed" },
      "recovered   j attempt 1, lost by w-1; the job is failed",
    ],
    [
      { event: "snoozed", job: "j", attempt: 2, retryInMs: 60_000 },
      "snoozed     j attempt 2: put off; next attempt in 60 s",
    ],
    [{ event: "cancelled", job: "j", attempt: 2 }, "cancelled   j attempt 2"],
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
