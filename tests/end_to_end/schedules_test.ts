import { Database } from "@db/sqlite";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Child, Cli, waitUntil } from "../helpers/cli.ts";
import { between, seeded } from "../helpers/random.ts";

const EVERY_SECOND = "* * * * * *";
const DAY_MS = 86_400_000;

/** A schedule as `schedule list --json` shows it. */
interface ShownSchedule {
  name: string;
  time_zone: string;
  paused: boolean;
  next: string[];
  last_tick: string | null;
  last_job: string | null;
  last_state: string | null;
}

/** What a schedule has made so far, and how far it has come. */
interface Made {
  schedule: ShownSchedule;
  jobs: { id: string; state: string; created_at: string; schedule: string }[];
}

/** The schedule of that name, and its jobs in the order they were made. No worker may run meanwhile. */
async function made(cli: Cli, name: string): Promise<Made> {
  const schedules: ShownSchedule[] = await cli.json("schedule", "list");
  const all: Made["jobs"] = await cli.json("list", "--limit", "0");
  return {
    schedule: schedules.find((each) => each.name === name)!,
    jobs: all.filter(({ schedule }) => schedule === name),
  };
}

/** An event as `events --json` prints it. */
interface StoredEvent {
  at: string;
  event: string;
  job: string | null;
  cause: string | null;
  actor: string;
}

async function events(cli: Cli): Promise<StoredEvent[]> {
  return (await cli.ok("events", "--json")).split("\n").map((line) => JSON.parse(line));
}

/** Adds a schedule whose jobs do nothing, and returns its first tick, epoch milliseconds. */
async function add(cli: Cli, name: string, cron: string, ...said: string[]): Promise<number> {
  const command = said.includes("--") ? [] : ["true"];
  const options = ["--json", "--cron", cron, "--tz", "UTC"];
  const { next_at: firstTick } = JSON.parse(
    await cli.ok("schedule", "add", name, ...options, ...said, ...command),
  );
  return Date.parse(firstTick);
}

/**
 * Puts the next tick of a schedule into the past, as if nobody had worked since. No worker may run
 * meanwhile.
 */
function setBack(cli: Cli, name: string, ms: number) {
  const db = new Database(cli.db, { int64: true });
  try {
    const back = "update schedules set next_at = next_at - ? where name = ?";
    assertEquals(db.prepare(back).run(ms, name), 1);
  } finally {
    db.close();
  }
}

/** A time of day in UTC that is twelve hours away, so that no tick comes by itself during a test. */
function dailyFarAway(): string {
  return `0 ${(new Date().getUTCHours() + 12) % 24} * * *`;
}

/**
 * A job for each tick from the first one to the last, no more and no less. The jobs do not say their
 * ticks, but each comes after its own and before long, so that one made twice would be too early.
 */
function assertOneJobATick({ schedule, jobs }: Made, firstTick: number) {
  const ticks = (Date.parse(schedule.last_tick!) - firstTick) / 1000 + 1;
  assertEquals(jobs.length, ticks);
  jobs.forEach(({ created_at }, i) => {
    const lateMs = Date.parse(created_at) - (firstTick + i * 1000);
    assert(lateMs >= 0 && lateMs < 8000, `the job of tick ${i} was made after ${lateMs} ms`);
  });
}

Deno.test("failure 29: five worker processes, killed at random: exactly one job for each tick", async () => {
  await using cli = new Cli();
  const random = seeded(29);
  const workers: Child[] = [];
  for (let i = 0; i < 5; i++) workers.push(await cli.startWorker());
  const firstTick = await add(cli, "tick", EVERY_SECOND);
  for (let kills = 0; kills < 12; kills++) {
    const [victim] = workers.splice(between(random, 0, workers.length - 1), 1);
    victim!.signal("SIGKILL");
    await victim!.result;
    workers.push(await cli.startWorker());
    // Now and then while a tick is being dealt with.
    const killAt = Math.ceil(Date.now() / 1000) * 1000 + between(random, 0, 40);
    await waitUntil(() => Date.now() >= killAt, "the next kill", { everyMs: 1 });
  }
  await cli.ok("worker", "stop");
  const result = await made(cli, "tick");
  assert(result.jobs.length >= 12);
  assertOneJobATick(result, firstTick);
  const makers = (await events(cli)).filter(({ event }) => event === "enqueued");
  assert(new Set(makers.map(({ actor }) => actor)).size > 1);
});

Deno.test("a schedule makes a job at each tick, in the folder and with all that was said of it", async () => {
  await using cli = new Cli();
  await Deno.mkdir(cli.path("sub"));
  const said = ["--queue", "night", "--priority", "3", "--tag", "t", "--max-retries", "7"];
  const more = [
    "--timeout",
    "9s",
    "--env",
    "WHO=schedule",
    "--",
    "sh",
    "-c",
    'echo "$WHO $PWD" >> ran',
  ];
  const words = ["schedule", "add", "nightly", "--cron", EVERY_SECOND, ...said, ...more];
  assertEquals((await cli.run(words, { cwd: cli.path("sub") })).code, 0);
  await cli.startWorker("--poll", "1h");
  await cli.linesOnce("sub/ran", 2);
  await cli.ok("worker", "stop");
  assertEquals(cli.lines("sub/ran")[0], `schedule ${cli.path("sub")}`);
  const { id } = (await made(cli, "nightly")).jobs[0]!;
  const job = await cli.json("show", id);
  assertEquals(
    [job.schedule, job.queue, job.priority, job.tags, job.max_retries, job.timeout_ms, job.cwd],
    ["nightly", "night", 3, ["t"], 7, 9000, cli.path("sub")],
  );
  assertMatch(await cli.ok("show", id), /^schedule +nightly$/m);
});

Deno.test("a schedule that is added while workers sleep is heard of at once", async () => {
  await using cli = new Cli();
  const worker = await cli.startWorker("--poll", "1h");
  const firstTick = await add(cli, "tick", EVERY_SECOND, "--", "sh", "-c", "echo x >> ran");
  await cli.linesOnce("ran", 1);
  const { at } = await worker.event("claimed");
  const lateMs = Date.parse(at) - firstTick;
  assert(lateMs >= 0 && lateMs < 2000, `the first job came ${lateMs} ms after the first tick`);
});

Deno.test("schedule list shows the next three ticks and what became of the last one", async () => {
  await using cli = new Cli();
  const firstTick = await add(cli, "failing", dailyFarAway(), "--max-retries", "1", "--", "false");
  const [before] = await cli.json("schedule", "list");
  const ticks = [0, 1, 2].map((day) => new Date(firstTick + day * DAY_MS).toISOString());
  assertEquals(before.next, ticks);
  assertEquals([before.last_tick, before.last_job, before.last_state], [null, null, null]);
  assertMatch(await cli.ok("schedule", "list"), / not yet /);

  setBack(cli, "failing", DAY_MS);
  const worker = await cli.startWorker();
  const { job } = await worker.event("dead");
  await cli.ok("worker", "stop");
  const [after] = await cli.json("schedule", "list");
  assertEquals(after.next, ticks);
  assertEquals(after.last_tick, new Date(firstTick - DAY_MS).toISOString());
  assertEquals([after.last_job, after.last_state], [job, "dead"]);
  assertMatch(await cli.ok("schedule", "list"), /^failing .* dead .* false$/m);

  await cli.ok("delete", job!);
  const [deleted] = await cli.json("schedule", "list");
  assertEquals([deleted.last_job, deleted.last_state], [job, null]);
});

/**
 * What becomes of four days without a worker: how many jobs there are then, and the days ago of the
 * last tick.
 */
const MISSED = {
  skip: { jobs: 0, lastTick: null },
  one: { jobs: 1, lastTick: 1 },
  all: { jobs: 4, lastTick: 1 },
};

for (const [missed, expected] of Object.entries(MISSED)) {
  Deno.test(`--missed ${missed}: after four days without a worker there are ${expected.jobs} jobs, and it goes on`, async () => {
    await using cli = new Cli();
    const firstTick = await add(cli, "daily", dailyFarAway(), "--missed", missed);
    setBack(cli, "daily", 4 * DAY_MS);
    const workers = [await cli.startWorker(), await cli.startWorker()];
    const tick = new Date(firstTick).toISOString();
    const goesOn = async () => (await cli.json("schedule", "list"))[0].next[0] === tick;
    await waitUntil(goesOn, "the schedule to go on");
    await cli.ok("worker", "stop");
    for (const { result } of workers) assertEquals((await result).code, 0);

    const { schedule, jobs } = await made(cli, "daily");
    assertEquals(jobs.length, expected.jobs);
    const lastTick = expected.lastTick &&
      new Date(firstTick - expected.lastTick * DAY_MS).toISOString();
    assertEquals(schedule.last_tick, lastTick);
    assertEquals(await cli.drain(), 0);
    assertEquals((await made(cli, "daily")).jobs.length, expected.jobs);
  });
}

Deno.test("a tick that is missed by a moment only is none that was missed, even with --missed skip", async () => {
  await using cli = new Cli();
  const firstTick = await add(cli, "tick", EVERY_SECOND, "--missed", "skip");
  await waitUntil(() => Date.now() > firstTick + 2000, "three ticks without a worker");
  const worker = await cli.startWorker("--limit", "3");
  await worker.result;
  assertOneJobATick(await made(cli, "tick"), firstTick);
});

Deno.test("a paused schedule makes no jobs; resumed, it goes on with the next tick and makes up for none", async () => {
  await using cli = new Cli();
  const worker = await cli.startWorker("--poll", "1h");
  await add(cli, "tick", EVERY_SECOND, "--missed", "all", "--", "sh", "-c", "echo tick >> ticks");
  await cli.linesOnce("ticks", 1);
  assertEquals(await cli.ok("schedule", "pause", "tick"), "tick paused");
  const [paused] = await cli.json("schedule", "list");
  assertEquals([paused.paused, paused.next], [true, []]);
  assertMatch(await cli.ok("schedule", "list"), / paused /);

  const pausedAt = Date.now();
  await add(cli, "other", EVERY_SECOND, "--", "sh", "-c", "echo other >> others");
  await cli.linesOnce("others", 3);
  const ticksMeanwhile = (await made(cli, "tick")).jobs
    .filter(({ created_at }) => Date.parse(created_at) > pausedAt);
  assertEquals(ticksMeanwhile, []);

  const before = cli.lines("ticks").length;
  await cli.ok("schedule", "resume", "tick");
  await cli.linesOnce("ticks", before + 2);
  await cli.ok("worker", "stop");
  assertEquals((await worker.result).code, 0);
  const resumed = (await events(cli)).find(({ event }) => event === "schedule resumed")!;
  const resumedAt = Date.parse(resumed.at);
  const { schedule, jobs } = await made(cli, "tick");
  assertEquals(schedule.paused, false);
  const since = jobs.filter(({ created_at }) => Date.parse(created_at) > resumedAt);
  assertOneJobATick({ schedule, jobs: since }, Math.floor(resumedAt / 1000) * 1000 + 1000);
});

Deno.test("schedule remove ends a schedule for good and leaves the jobs that it has made", async () => {
  await using cli = new Cli();
  const worker = await cli.startWorker();
  await add(cli, "tick", EVERY_SECOND, "--", "sh", "-c", "echo x >> ran");
  await cli.linesOnce("ran", 1);
  assertEquals(await cli.ok("schedule", "remove", "tick"), "tick removed");
  assertEquals(await cli.json("schedule", "list"), []);
  const removedAt = Date.now();
  await add(cli, "other", EVERY_SECOND, "--", "sh", "-c", "echo x >> others");
  await cli.linesOnce("others", 2);
  await cli.ok("worker", "stop");
  assertEquals((await worker.result).code, 0);
  const all: Made["jobs"] = await cli.json("list");
  const ticks = all.filter(({ schedule }) => schedule === "tick");
  assertEquals(ticks.length, cli.lines("ran").length);
  assertEquals(ticks.filter(({ created_at }) => Date.parse(created_at) > removedAt), []);
  assertEquals((await cli.run(["schedule", "remove", "tick"])).code, 1);
});

Deno.test("with a key a schedule does not pile up: while its job is unfinished, ticks make no other", async () => {
  await using cli = new Cli();
  const waiting = "echo $QUEUECTL_JOB_ID >> started; until [ -e go ]; do sleep 0.02; done";
  const worker = await cli.startWorker("--count", "4");
  const firstTick = await add(cli, "tick", EVERY_SECOND, "--key", "k", "--", "sh", "-c", waiting);
  const ticked = async (times: number) => {
    const [{ last_tick: last }] = await cli.json("schedule", "list");
    return last !== null && Date.parse(last) >= firstTick + (times - 1) * 1000;
  };
  await waitUntil(() => ticked(4), "four ticks");
  assertEquals((await made(cli, "tick")).jobs.length, 1);
  assertEquals(worker.events.filter(({ event }) => event === "warning"), []);
  assertEquals((await made(cli, "tick")).schedule.last_job, cli.lines("started")[0]!);

  cli.write("go");
  await cli.linesOnce("started", 2);
  await cli.ok("worker", "stop");
  const ids = cli.lines("started");
  assertEquals(new Set(ids).size, ids.length);
});

Deno.test("a schedule whose job is refused at a tick says so, and goes on ticking", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "holder", "--key", "k", "--delay", "1h", "true");
  const worker = await cli.startWorker();
  await add(cli, "tick", EVERY_SECOND, "--key", "k", "--if-exists", "error", "--", "true");
  const warning = await worker.event("warning");
  assertMatch(String(warning.message), /^Schedule tick: .*"k".*"holder"/);
  await cli.ok("cancel", "holder");
  await worker.event("completed");
});

Deno.test("failure 29: --tz: a schedule follows the clock of its zone, over the days on which the clocks change", async () => {
  await using cli = new Cli();
  const words = ["--cron", "30 9 * * *", "--tz", "America/New_York", "true"];
  const { time_zone } = await cli.json("schedule", "add", "morning", ...words);
  assertEquals(time_zone, "America/New_York");
  const hours = new Intl.DateTimeFormat("en", {
    timeZone: "America/New_York",
    timeStyle: "short",
    hourCycle: "h23",
  });
  const [{ next }] = await cli.json("schedule", "list");
  assertEquals(next.map((tick: string) => hours.format(new Date(tick))), [
    "09:30",
    "09:30",
    "09:30",
  ]);
});

Deno.test("without --tz a schedule follows the clock of the machine, and schedule add says which", async () => {
  await using cli = new Cli();
  const words = ["schedule", "add", "noon", "--cron", "0 12 * * *", "true"];
  const { code, stdout } = await cli.run(words, { env: { TZ: "Asia/Tokyo" } });
  assertEquals(code, 0);
  assertStringIncludes(stdout, "12:00 (Asia/Tokyo)");
  const [{ time_zone, next }] = await cli.json("schedule", "list");
  assertEquals(time_zone, "Asia/Tokyo");
  assertMatch(next[0], /T03:00:00\.000Z$/);
});

Deno.test("schedule add says the first tick by the clock of the zone that it names", async () => {
  await using cli = new Cli();
  const words = ["schedule", "add", "noon", "--cron", "0 12 * * *", "--tz", "Asia/Tokyo", "true"];
  const { stdout } = await cli.run(words, { env: { TZ: "America/New_York" } });
  assertStringIncludes(stdout, "12:00 (Asia/Tokyo)");
});

const JOB = ["--", "true"];
/** Schedules that cannot be, and what the message has to name. */
const REFUSED: Record<string, { words: string[]; named: string }> = {
  "no cron expression": { words: ["s", "true"], named: "--cron" },
  "four fields": { words: ["s", "--cron", "* * * *", ...JOB], named: "five fields" },
  "seven fields": { words: ["s", "--cron", "* * * * * * *", ...JOB], named: "five fields" },
  "a wrong minute": { words: ["s", "--cron", "60 * * * *", ...JOB], named: 'minute is "60"' },
  "a wrong weekday": { words: ["s", "--cron", "* * * * FUN", ...JOB], named: "FUN" },
  "a day that never comes": { words: ["s", "--cron", "0 0 30 2 *", ...JOB], named: "never" },
  "an unknown nickname": { words: ["s", "--cron", "@fortnightly", ...JOB], named: "@fortnightly" },
  "an empty expression": { words: ["s", "--cron", "", ...JOB], named: "--cron" },
  "an unknown zone": {
    words: ["s", "--cron", "@daily", "--tz", "Mars/Olympus", ...JOB],
    named: "Mars/Olympus",
  },
  "a name with a space": { words: ["a b", "--cron", "@daily", ...JOB], named: '"a b"' },
  "a name with a slash": { words: ["a/b", "--cron", "@daily", ...JOB], named: '"a/b"' },
  "an unknown policy": {
    words: ["s", "--cron", "@daily", "--missed", "some", ...JOB],
    named: "one, skip, all",
  },
  "no command": { words: ["s", "--cron", "@daily"], named: "command" },
  "an empty command": { words: ["s", "--cron", "@daily", " "], named: "command" },
  "an id": { words: ["s", "--cron", "@daily", "--id", "x", ...JOB], named: "--id" },
  "an id in JSON": { words: ["s", "--cron", "@daily", '{"id":"x","command":"true"}'], named: "id" },
  "a time": { words: ["s", "--cron", "@daily", "--run-at", "+1h", ...JOB], named: "--run-at" },
  "a prerequisite in JSON": {
    words: ["s", "--cron", "@daily", '{"after":"x","command":"true"}'],
    named: "after",
  },
  "a bad priority": {
    words: ["s", "--cron", "@daily", "--priority", "high", ...JOB],
    named: '"high"',
  },
};

for (const [what, { words, named }] of Object.entries(REFUSED)) {
  Deno.test(`schedule add with ${what} is a bad request that adds nothing`, async () => {
    await using cli = new Cli();
    const { code, stdout, stderr } = await cli.run(["schedule", "add", ...words]);
    assertEquals([code, stdout], [2, ""], stderr);
    assertMatch(stderr, /^.{1,499}\n$/);
    assertStringIncludes(stderr, named);
    assertEquals(await cli.json("schedule", "list"), []);
  });
}

Deno.test("a second schedule of the same name is refused and changes nothing of the first", async () => {
  await using cli = new Cli();
  await add(cli, "s", "@daily", "--", "first");
  const second = ["schedule", "add", "s", "--cron", "@hourly", "second"];
  const { code, stdout, stderr } = await cli.run(second);
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /^.*"s".*\n$/);
  const schedules = await cli.json("schedule", "list");
  assertEquals(schedules.length, 1);
  assertEquals([schedules[0].cron, schedules[0].command], ["@daily", "first"]);
});

for (const verb of ["remove", "pause", "resume"]) {
  Deno.test(`schedule ${verb} of a schedule that is not there fails`, async () => {
    await using cli = new Cli();
    const { code, stdout, stderr } = await cli.run(["schedule", verb, "nobody"]);
    assertEquals([code, stdout, stderr], [1, "", 'No schedule "nobody"\n']);
  });
}

Deno.test("what is done to schedules stands in the events, and their jobs name who made them", async () => {
  await using cli = new Cli();
  await add(cli, "s", dailyFarAway());
  await cli.ok("schedule", "pause", "s");
  await cli.ok("schedule", "resume", "s");
  setBack(cli, "s", DAY_MS);
  assertEquals(await cli.drain(), 0);
  await cli.ok("schedule", "remove", "s");
  const all = await events(cli);
  const schedules = all.filter(({ job }) => job === null);
  assertEquals(
    schedules.map(({ event, cause }) => `${event}: ${cause}`),
    ["added", "paused", "resumed", "removed"].map((what) => `schedule ${what}: Schedule "s"`),
  );
  const [enqueued, ...others] = all.filter(({ event }) => event === "enqueued");
  assertEquals(others, []);
  const [claimed] = all.filter(({ event }) => event === "claimed");
  assertEquals([claimed!.job, claimed!.actor], [enqueued!.job, `${enqueued!.actor}-1`]);
});
