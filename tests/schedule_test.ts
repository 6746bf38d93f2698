import { assert, assertEquals } from "@std/assert";
import { dueTicks, LATE_MS, MISSED_POLICIES, type MissedPolicy } from "../src/schedule.ts";
import { between, seeded } from "./helpers/random.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;
const NOW = Date.UTC(2026, 10, 22, 8);

/** A schedule that comes every `ms` of the epoch. */
function every(ms: number): (after: number) => number {
  return (after) => (Math.floor(after / ms) + 1) * ms;
}

/** A schedule that comes at `ticks`, in order, and never again. */
function only(ticks: readonly number[]): (after: number) => number | null {
  return (after) => ticks.find((tick) => tick > after) ?? null;
}

/** `next`, with the number of its calls. */
function counted(next: (after: number) => number | null) {
  const counter = {
    calls: 0,
    next(after: number): number | null {
      counter.calls++;
      return next(after);
    },
  };
  return counter;
}

Deno.test("a tick that lies ahead is not due", () => {
  for (const missed of MISSED_POLICIES) {
    const due = dueTicks({
      nextAt: NOW + 1,
      missed,
      now: NOW,
      next: () => {
        throw new Error("nothing is to be asked");
      },
      most: 1000,
    });
    assertEquals(due, { ticks: [], nextAt: NOW + 1 });
  }
});

Deno.test("a tick that is due gets its job, whatever the policy, and the next one is kept", () => {
  for (const missed of MISSED_POLICIES) {
    for (const lateMs of [0, 1, LATE_MS]) {
      const now = NOW + lateMs;
      const due = dueTicks({ nextAt: NOW, missed, now, next: every(MINUTE), most: 1000 });
      assertEquals(due, { ticks: [NOW], nextAt: NOW + MINUTE }, `${missed} ${lateMs}`);
    }
  }
});

Deno.test("every tick on time gets a job, whatever the policy", () => {
  for (const missed of MISSED_POLICIES) {
    const nextAt = NOW - LATE_MS;
    const due = dueTicks({ nextAt, missed, now: NOW, next: every(SECOND), most: 1000 });
    assertEquals(due.ticks, Array.from({ length: 11 }, (_, i) => nextAt + i * SECOND));
    assertEquals(due.nextAt, NOW + SECOND);
  }
});

Deno.test("a tick that is later than on time is missed: one and all make its job, skip does not", () => {
  const now = NOW + LATE_MS + 1;
  for (const missed of MISSED_POLICIES) {
    const due = dueTicks({ nextAt: NOW, missed, now, next: every(MINUTE), most: 1000 });
    assertEquals(due, { ticks: missed === "skip" ? [] : [NOW], nextAt: NOW + MINUTE }, missed);
  }
});

Deno.test("of several missed ticks, one has the latest, skip has none and all has each", () => {
  const [a, b, c] = [NOW - 3 * MINUTE, NOW - 2 * MINUTE, NOW - MINUTE];
  const jobs: [MissedPolicy, number[]][] = [
    ["one", [c, NOW]],
    ["skip", [NOW]],
    ["all", [a, b, c, NOW]],
  ];
  for (const [missed, ticks] of jobs) {
    const due = dueTicks({ nextAt: a, missed, now: NOW, next: every(MINUTE), most: 1000 });
    assertEquals(due, { ticks, nextAt: NOW + MINUTE }, missed);
  }
});

Deno.test("a schedule that has ended has no next tick", () => {
  const [a, b] = [NOW - DAY, NOW - DAY + MINUTE];
  const jobs: [MissedPolicy, number[]][] = [["one", [b]], ["skip", []], ["all", [a, b]]];
  for (const [missed, ticks] of jobs) {
    const due = dueTicks({ nextAt: a, missed, now: NOW, next: only([a, b]), most: 1000 });
    assertEquals(due, { ticks, nextAt: null }, missed);
  }
});

Deno.test("a year of missed seconds is jumped over by one and skip", () => {
  const nextAt = NOW - 365 * DAY;
  const onTime = Array.from({ length: 11 }, (_, i) => NOW - LATE_MS + i * SECOND);
  const jobs: [MissedPolicy, number[]][] = [
    ["one", [NOW - LATE_MS - SECOND, ...onTime]],
    ["skip", onTime],
  ];
  for (const [missed, ticks] of jobs) {
    const schedule = counted(every(SECOND));
    const due = dueTicks({ nextAt, missed, now: NOW, next: schedule.next, most: 1000 });
    assertEquals(due, { ticks, nextAt: NOW + SECOND });
    assert(schedule.calls < 60, `${missed} asked ${schedule.calls} times`);
  }
});

Deno.test("a missed day of seconds long ago is jumped over as well", () => {
  const start = NOW - 300 * DAY;
  const schedule = counted((after) => {
    const tick = Math.max(every(SECOND)(after), start);
    return tick < start + DAY ? tick : after < NOW + DAY ? NOW + DAY : null;
  });
  const due = dueTicks({
    nextAt: start,
    missed: "one",
    now: NOW,
    next: schedule.next,
    most: 1000,
  });
  assertEquals(due, { ticks: [start + DAY - SECOND], nextAt: NOW + DAY });
  assert(schedule.calls < 60, `asked ${schedule.calls} times`);
});

Deno.test("all makes no more than the most at once, and goes on from there", () => {
  const nextAt = NOW - 100 * SECOND;
  const ticks: number[] = [];
  const calls: number[] = [];
  let from: number | null = nextAt;
  while (from !== null && from <= NOW) {
    const due = dueTicks({ nextAt: from, missed: "all", now: NOW, next: every(SECOND), most: 40 });
    calls.push(due.ticks.length);
    ticks.push(...due.ticks);
    from = due.nextAt;
  }
  assertEquals(calls, [40, 40, 21]);
  assertEquals(ticks, Array.from({ length: 101 }, (_, i) => nextAt + i * SECOND));
  assertEquals(from, NOW + SECOND);
});

Deno.test("as many as the most leave nothing over", () => {
  const nextAt = NOW - MINUTE;
  const due = dueTicks({ nextAt, missed: "all", now: NOW, next: every(MINUTE), most: 2 });
  assertEquals(due, { ticks: [nextAt, NOW], nextAt: NOW + MINUTE });
});

Deno.test("each policy picks from the ticks of any schedule as it says", () => {
  const random = seeded(1);
  for (let i = 0; i < 500; i++) {
    const ticks: number[] = [];
    let tick = NOW - between(random, -20, 120) * SECOND;
    for (let left = between(random, 1, 30); left > 0; left--) {
      ticks.push(tick);
      tick += between(random, 1, between(random, 1, 30)) * SECOND;
    }
    const due = ticks.filter((tick) => tick <= NOW);
    const late = due.filter((tick) => NOW - tick > LATE_MS);
    const onTime = due.slice(late.length);
    const jobs = { one: [...late.slice(-1), ...onTime], skip: onTime, all: due };
    for (const missed of MISSED_POLICIES) {
      assertEquals(
        dueTicks({ nextAt: ticks[0]!, missed, now: NOW, next: only(ticks), most: 1000 }),
        { ticks: jobs[missed], nextAt: ticks[due.length] ?? null },
        `${missed} of ${ticks.map((tick) => (tick - NOW) / SECOND)}`,
      );
    }
  }
});
