import { assertEquals } from "@std/assert";
import { nextTick } from "../../src/cron.ts";

Deno.test("failure 29: what comes on a leap day comes in leap years only, also around 2100", () => {
  const ticks: string[] = [];
  let tick: number | null = Date.UTC(2088, 0, 1);
  while (ticks.length < 5) {
    tick = nextTick("30 12 29 2 *", "UTC", tick!);
    ticks.push(new Date(tick!).toISOString().slice(0, 16));
  }
  const years = [2088, 2092, 2096, 2104, 2108];
  assertEquals(ticks, years.map((year) => `${year}-02-29T12:30`));
});

Deno.test("failure 29: a day that only some months have comes in those only", () => {
  const months: number[] = [];
  for (let tick = Date.UTC(2027, 0, 1) - 1; months.length < 7;) {
    tick = nextTick("0 0 31 * *", "UTC", tick)!;
    months.push(new Date(tick).getUTCMonth() + 1);
  }
  assertEquals(months, [1, 3, 5, 7, 8, 10, 12]);
});

Deno.test("failure 29: a midnight that is not there comes right after the gap", () => {
  // In Santiago the clocks go from 24:00 to 01:00, so that day has no midnight.
  const day = Date.parse("2026-09-06T04:00Z");
  assertEquals(nextTick("0 0 * * *", "America/Santiago", day - 60_000), day);
  assertEquals(nextTick("0 0 * * *", "America/Santiago", day), Date.parse("2026-09-07T03:00Z"));
});
