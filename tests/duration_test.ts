import { assertEquals } from "@std/assert";
import { formatDuration, parseDuration } from "../src/duration.ts";
import { between, seeded } from "./helpers/random.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

Deno.test("a duration is read as seconds, or in the units that it names", () => {
  const cases: [string, number][] = [
    ["0", 0],
    ["90", 90 * SECOND],
    ["1.5", 1500],
    ["0.0004", 0],
    ["0.0006", 1],
    ["500ms", 500],
    ["0ms", 0],
    ["90s", 90 * SECOND],
    ["1.5s", 1500],
    ["15m", 15 * MINUTE],
    ["5m5ms", 5 * MINUTE + 5],
    ["1h30m", HOUR + 30 * MINUTE],
    ["2d", 2 * DAY],
    ["1d2h3m4s5ms", DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND + 5],
    ["0.5h", 30 * MINUTE],
    ["007", 7 * SECOND],
  ];
  for (const [text, ms] of cases) assertEquals(parseDuration(text), ms, text);
});

Deno.test("what is no duration is not read as one", () => {
  const texts = [
    "",
    " ",
    "-1",
    "+1",
    "1.",
    ".5",
    "1e3",
    "0x10",
    "abc",
    "s",
    "ms",
    "1 s",
    " 1",
    "1 ",
  ];
  texts.push("1h30", "30m1h ", "1S", "1w", "1y", "1.5.5", "1,5", "Infinity", "NaN", "1s\n", "１s");
  for (const text of texts) assertEquals(parseDuration(text), undefined, JSON.stringify(text));
});

Deno.test("a duration is shown in the units that it is made of", () => {
  const cases: [number, string][] = [
    [0, "0s"],
    [1, "1ms"],
    [999, "999ms"],
    [1500, "1s500ms"],
    [90 * SECOND, "1m30s"],
    [HOUR + 30 * MINUTE, "1h30m"],
    [2 * DAY, "2d"],
    [365 * DAY + 1, "365d1ms"],
  ];
  for (const [ms, text] of cases) assertEquals(formatDuration(ms), text);
});

Deno.test("every duration that is shown is read back exactly", () => {
  const random = seeded(1);
  for (let i = 0; i < 5000; i++) {
    const ms = between(random, 0, 10 ** between(random, 1, 13));
    assertEquals(parseDuration(formatDuration(ms)), ms, formatDuration(ms));
  }
});
