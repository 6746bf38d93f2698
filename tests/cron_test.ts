import { assert, assertEquals } from "@std/assert";
import { cronProblem, nextTick, systemTimeZone } from "../src/cron.ts";

const QUARTER = 15 * 60_000;
const HOUR = 4 * QUARTER;

interface Change {
  zone: string;
  /** Local midnights around the day of the change, and the change itself. */
  from: string;
  at: string;
  to: string;
}

const SPRING: Change[] = [
  {
    zone: "Europe/Berlin",
    from: "2026-03-28T23:00Z",
    at: "2026-03-29T01:00Z",
    to: "2026-03-29T22:00Z",
  },
  {
    zone: "America/New_York",
    from: "2026-03-08T05:00Z",
    at: "2026-03-08T07:00Z",
    to: "2026-03-09T04:00Z",
  },
];

const AUTUMN: Change[] = [
  {
    zone: "Europe/Berlin",
    from: "2026-10-24T22:00Z",
    at: "2026-10-25T01:00Z",
    to: "2026-10-25T23:00Z",
  },
  {
    zone: "America/New_York",
    from: "2026-11-01T04:00Z",
    at: "2026-11-01T06:00Z",
    to: "2026-11-02T05:00Z",
  },
];

/** The ticks from `from` up to but without `to`. */
function ticksOf(text: string, { zone, from, to }: Omit<Change, "at">): number[] {
  const ticks: number[] = [];
  let tick = nextTick(text, zone, Date.parse(from) - 1);
  while (tick !== null && tick < Date.parse(to)) {
    ticks.push(tick);
    tick = nextTick(text, zone, tick);
  }
  return ticks;
}

function localTime(tick: number, timeZone: string): string {
  return new Date(tick).toLocaleTimeString("de-DE", { timeZone });
}

Deno.test("the next tick is the first one strictly after, with and without seconds", () => {
  const cases: [string, string, string][] = [
    ["*/15 * * * *", "2026-11-22T08:00:00.000Z", "2026-11-22T08:15:00Z"],
    ["*/15 * * * *", "2026-11-22T08:14:59.999Z", "2026-11-22T08:15:00Z"],
    ["*/15 * * * *", "2026-11-22T08:15:00.001Z", "2026-11-22T08:30:00Z"],
    ["*/10 * * * * *", "2026-11-22T08:00:00.000Z", "2026-11-22T08:00:10Z"],
    ["*/10 * * * * *", "2026-11-22T08:00:09.999Z", "2026-11-22T08:00:10Z"],
    ["* * * * * *", "2026-11-22T08:00:00.500Z", "2026-11-22T08:00:01Z"],
    ["30 0 8 * * *", "2026-11-22T08:00:00.000Z", "2026-11-22T08:00:30Z"],
    ["0 9 * * MON-FRI", "2026-11-22T08:00:00.000Z", "2026-11-23T09:00:00Z"],
    ["0 0 * * 7", "2026-11-22T08:00:00.000Z", "2026-11-29T00:00:00Z"],
    ["0 0 13 * FRI", "2026-11-22T08:00:00.000Z", "2026-11-27T00:00:00Z"],
    ["0 0 L * *", "2026-11-22T08:00:00.000Z", "2026-11-30T00:00:00Z"],
    ["0 0 29 2 *", "2026-11-22T08:00:00.000Z", "2028-02-29T00:00:00Z"],
    ["@hourly", "2026-11-22T08:00:00.000Z", "2026-11-22T09:00:00Z"],
    ["@daily", "2026-11-22T08:00:00.000Z", "2026-11-23T00:00:00Z"],
    ["@weekly", "2026-11-22T08:00:00.000Z", "2026-11-29T00:00:00Z"],
    ["@monthly", "2026-11-22T08:00:00.000Z", "2026-12-01T00:00:00Z"],
    ["@yearly", "2026-11-22T08:00:00.000Z", "2027-01-01T00:00:00Z"],
  ];
  for (const [text, after, tick] of cases) {
    assertEquals(nextTick(text, "UTC", Date.parse(after)), Date.parse(tick), `${text} ${after}`);
  }
});

Deno.test("a schedule is one of its time zone", () => {
  const after = Date.parse("2026-11-22T08:00Z");
  const cases: [string, string][] = [
    ["UTC", "2026-11-23T06:00Z"],
    ["Europe/Berlin", "2026-11-23T05:00Z"],
    ["America/New_York", "2026-11-22T11:00Z"],
    ["Asia/Kolkata", "2026-11-23T00:30Z"],
  ];
  for (const [zone, tick] of cases) {
    assertEquals(nextTick("0 6 * * *", zone, after), Date.parse(tick), zone);
  }
});

Deno.test("failure 29: a daily job at 02:30 comes once on the day without a 02:30, right after the gap", () => {
  for (const change of SPRING) {
    assertEquals(ticksOf("30 2 * * *", change), [Date.parse(change.at)], change.zone);
    assertEquals(ticksOf("0 30 2 * * *", change), [Date.parse(change.at)], change.zone);
  }
});

Deno.test("failure 29: a daily job at a time that comes twice comes once, the first time", () => {
  const [berlin, newYork] = AUTUMN as [Change, Change];
  assertEquals(ticksOf("30 2 * * *", berlin), [Date.parse("2026-10-25T00:30Z")]);
  assertEquals(ticksOf("30 1 * * *", newYork), [Date.parse("2026-11-01T05:30Z")]);
  // Here only the hour from 01:00 comes twice.
  assertEquals(ticksOf("30 2 * * *", newYork), [Date.parse("2026-11-01T07:30Z")]);
});

Deno.test("failure 29: each of several times of day comes once a day", () => {
  for (const change of [...SPRING, ...AUTUMN]) {
    const hours = ticksOf("30 1,2,14 * * *", change).map((tick) => localTime(tick, change.zone));
    const second = SPRING.includes(change) ? "03:00:00" : "02:30:00";
    assertEquals(hours, ["01:30:00", second, "14:30:00"], change.zone);
  }
  // At 02:00 and at 03:00 are both right after the gap.
  assertEquals(ticksOf("0 2,3 * * *", SPRING[0]!), [Date.parse(SPRING[0]!.at)]);
});

Deno.test("failure 29: what comes every quarter or hour does so in real time when the clocks change", () => {
  for (const change of [...SPRING, ...AUTUMN]) {
    const [from, to] = [Date.parse(change.from), Date.parse(change.to)];
    const every = (ms: number) => Array.from({ length: (to - from) / ms }, (_, i) => from + i * ms);
    assertEquals(every(HOUR).length, SPRING.includes(change) ? 23 : 25);
    for (const text of ["*/15 * * * *", "0,15,30,45 * * * *", "0 */15 * * * *"]) {
      assertEquals(ticksOf(text, change), every(QUARTER), `${text} ${change.zone}`);
    }
    for (const text of ["0 * * * *", "0 */1 * * *", "@hourly"]) {
      assertEquals(ticksOf(text, change), every(HOUR), `${text} ${change.zone}`);
    }
  }
});

Deno.test("failure 29: an every-second job comes each second of the repeated hour", () => {
  for (const { at, zone } of [...SPRING, ...AUTUMN]) {
    const change = Date.parse(at);
    for (const after of [change - HOUR, change - 1000, change, change + HOUR - 1000]) {
      assertEquals(nextTick("* * * * * *", zone, after), after + 1000, `${zone} ${after - change}`);
    }
  }
});

Deno.test("a valid schedule has no problem", () => {
  const texts = ["* * * * *", "* * * * * *", "*/15 * * * *", "5-59/10 9-17 * * MON-FRI"];
  texts.push("0 0 29 2 *", "0 0 L * *", "0 0 15W * *", "0 0 * * FRI#2", "0 0 1 JAN,jul ?");
  texts.push("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually");
  texts.push("@DAILY", "  0 \t 0 * * * ");
  for (const text of texts) assertEquals(cronProblem(text, "Europe/Berlin"), null, text);
  for (const zone of ["UTC", "America/New_York", "europe/berlin", "Etc/GMT+1", systemTimeZone()]) {
    assertEquals(cronProblem("* * * * *", zone), null, zone);
  }
});

Deno.test("a wrong number of fields is a problem", () => {
  const texts = ["", " ", "*", "* * * *", "* * * * * * *", "0 0 1 1 * 2027 UTC", "every day"];
  // Croner alone would read these as dates.
  texts.push("2026-12-24T18:00:00Z", "2026-12-24 18:00");
  for (const text of texts) {
    const problem = cronProblem(text, "UTC");
    assertEquals(problem, "expected five fields, or six with seconds first", JSON.stringify(text));
  }
});

Deno.test("a field that cannot be read is named, with what it may be", () => {
  const cases: [string, string, string][] = [
    ["60 * * * *", 'minute is "60"', "0-59"],
    ["60 * * * * *", 'second is "60"', "0-59"],
    ["0 24 * * *", 'hour is "24"', "0-23"],
    ["* * 0 * *", 'day of the month is "0"', "1-31"],
    ["* * 32 * *", 'day of the month is "32"', "1-31"],
    ["* * * 13 *", 'month is "13"', "1-12 or JAN-DEC"],
    ["* * * foo *", 'month is "foo"', "1-12 or JAN-DEC"],
    ["* * * * 8", 'day of the week is "8"', "0-7 or SUN-SAT"],
    ["* * * * @daily", 'day of the week is "@daily"', "0-7 or SUN-SAT"],
    ["5/15 * * * *", 'minute is "5/15"', "0-59"],
    ["*/0 * * * *", 'minute is "*/0"', "0-59"],
    ["30-10 * * * *", 'minute is "30-10"', "0-59"],
    ["1,,2 * * * *", 'minute is "1,,2"', "0-59"],
    ["* -1 * * *", 'hour is "-1"', "0-23"],
    ["24 Dec 2026 18:00 UTC", 'hour is "Dec"', "0-23"],
  ];
  for (const [text, field, values] of cases) {
    const problem = `the ${field}: expected ${values}, *, a list, a range or a step`;
    assertEquals(cronProblem(text, "UTC"), problem, text);
  }
});

Deno.test("an unknown nickname is a problem, and so is @reboot", () => {
  for (const text of ["@reboot", "@often", "@", "@daily 5", "@every 5m"]) {
    const problem = cronProblem(text, "UTC");
    assertEquals(problem, "expected @hourly, @daily, @weekly, @monthly or @yearly", text);
  }
});

Deno.test("what is no IANA time zone is a problem", () => {
  for (const zone of ["", "Mars/Olympus", "CET-1CEST", "+02:00", "-0500", " UTC", "Etc/Unknown"]) {
    const problem = `no such time zone as ${JSON.stringify(zone)}`;
    assertEquals(cronProblem("* * * * *", zone), problem);
  }
});

Deno.test("failure 29: a schedule that never comes is a problem", () => {
  for (const text of ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "* * * 31 2 *", "0 0 31W 2 *"]) {
    assertEquals(cronProblem(text, "Europe/Berlin"), "it never comes", text);
    assertEquals(nextTick(text, "Europe/Berlin", Date.parse("2026-11-22T08:00Z")), null, text);
  }
});

Deno.test("the time zone of the system is a name in which a schedule can be kept, or UTC", async () => {
  const script = `import { systemTimeZone } from ${
    JSON.stringify(new URL("../src/cron.ts", import.meta.url))
  };
    console.log(systemTimeZone());`;
  const names = await Promise.all(["Europe/Berlin", "", "Foo/Bar"].map(async (TZ) => {
    const command = new Deno.Command(Deno.execPath(), { args: ["eval", script], env: { TZ } });
    return new TextDecoder().decode((await command.output()).stdout).trim();
  }));
  assertEquals(names, ["Europe/Berlin", "UTC", "UTC"]);
  assert(cronProblem("* * * * *", systemTimeZone()) === null);
});
