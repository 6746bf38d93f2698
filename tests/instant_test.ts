import { assert, assertEquals } from "@std/assert";
import { INSTANT_RULE, parseInstant } from "../src/instant.ts";

const NOW = Date.UTC(2026, 10, 22, 8, 0, 0, 250);

Deno.test("a time with Z or an offset is read as the instant that it names", () => {
  const cases: [string, string][] = [
    ["2026-12-24T18:00:00Z", "2026-12-24T18:00:00.000Z"],
    ["2026-12-24 18:00:00Z", "2026-12-24T18:00:00.000Z"],
    ["2026-12-24t18:00:00z", "2026-12-24T18:00:00.000Z"],
    ["2026-12-24T18:00Z", "2026-12-24T18:00:00.000Z"],
    ["2026-12-24T18:00:00.5Z", "2026-12-24T18:00:00.500Z"],
    ["2026-12-24T18:00:00.123999Z", "2026-12-24T18:00:00.123Z"],
    ["2026-12-24T18:00:00+01:00", "2026-12-24T17:00:00.000Z"],
    ["2026-12-24 18:00:00.25-05:30", "2026-12-24T23:30:00.250Z"],
    ["2026-12-24T18:00:00-00:00", "2026-12-24T18:00:00.000Z"],
    ["2028-02-29T00:00:00Z", "2028-02-29T00:00:00.000Z"],
    ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"],
    ["0050-01-01T00:00:00Z", "0050-01-01T00:00:00.000Z"],
    ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
  ];
  for (const [text, iso] of cases) assertEquals(parseInstant(text, NOW), Date.parse(iso), text);
});

Deno.test("a time without an offset is local, and a date is its midnight", () => {
  const cases: [string, Date][] = [
    ["2026-12-24 18:00", new Date(2026, 11, 24, 18)],
    ["2026-12-24T18:00", new Date(2026, 11, 24, 18)],
    ["2026-12-24 18:00:07", new Date(2026, 11, 24, 18, 0, 7)],
    ["2026-07-01t06:05:04.321", new Date(2026, 6, 1, 6, 5, 4, 321)],
    ["2026-12-24", new Date(2026, 11, 24)],
    ["2026-07-01", new Date(2026, 6, 1)],
  ];
  for (const [text, date] of cases) assertEquals(parseInstant(text, NOW), date.getTime(), text);
});

Deno.test("a local time that the clocks skip is as much later, one that comes twice is the first", async () => {
  const texts = ["2026-12-24", "2026-07-01 12:00", "2026-03-29 02:30", "2026-10-25 02:30"];
  const module = new URL("../src/instant.ts", import.meta.url);
  const script = `import { parseInstant } from ${JSON.stringify(module)};
    const instants = ${JSON.stringify(texts)}.map((text) => parseInstant(text, 0));
    console.log(JSON.stringify(instants.map((instant) => new Date(instant))));`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", script],
    env: { TZ: "Europe/Berlin" },
  }).output();
  assertEquals(JSON.parse(new TextDecoder().decode(stdout)), [
    "2026-12-23T23:00:00.000Z",
    "2026-07-01T10:00:00.000Z",
    "2026-03-29T01:30:00.000Z",
    "2026-10-25T00:30:00.000Z",
  ]);
});

Deno.test("a duration after + is counted from now", () => {
  const cases: [string, number][] = [
    ["+10m", 600_000],
    ["+1h30m", 5_400_000],
    ["+500ms", 500],
    ["+90", 90_000],
    ["+0", 0],
  ];
  for (const [text, ms] of cases) assertEquals(parseInstant(text, NOW), NOW + ms, text);
});

Deno.test("a number is epoch seconds from 1973 to 5138 and nothing otherwise", () => {
  const cases: [string, number | undefined][] = [
    ["100000000", 1e11],
    ["1798135200", Date.UTC(2026, 11, 24, 18)],
    ["1798135200.25", Date.UTC(2026, 11, 24, 18, 0, 0, 250)],
    ["99999999999", 99_999_999_999_000],
    ["0", undefined],
    ["5", undefined],
    ["2026", undefined],
    ["20261224", undefined],
    ["99999999.9", undefined],
    ["0100000000", undefined],
    ["100000000000", undefined],
    ["1798135200000", undefined],
  ];
  for (const [text, instant] of cases) assertEquals(parseInstant(text, NOW), instant, text);
});

Deno.test("a day or an hour that does not exist is not read as another one", () => {
  const times = [
    "2026-02-30",
    "2027-02-29",
    "2026-04-31",
    "2026-13-01",
    "2026-00-10",
    "2026-01-00",
  ];
  times.push("2026-01-01T24:00:00", "2026-01-01T12:60:00", "2026-01-01T12:00:60");
  times.push("2026-02-30T12:00:00.5", "2026-01-01 25:00");
  for (const time of times) {
    assertEquals(parseInstant(time, NOW), undefined, time);
    assertEquals(parseInstant(`${time}Z`, NOW), undefined, `${time}Z`);
  }
  for (const offset of ["+24:00", "-01:60", "+1:00", "+01", "+0100", "+01:00:00"]) {
    assertEquals(parseInstant(`2026-12-24T18:00:00${offset}`, NOW), undefined, offset);
  }
});

Deno.test("what is no instant is not read as one", () => {
  const texts = [
    "",
    " ",
    "now",
    "tomorrow",
    "18:00",
    "10m",
    "-10m",
    "+",
    "++1",
    "+-1",
    "+1w",
    "+ 1m",
  ];
  texts.push("2026-12", "2026-12-24T", "2026-12-24T18", "2026-12-24Z", "2026-12-24+01:00");
  texts.push("2026-12-24  18:00", "2026-12-24T18:00:00 Z", "2026-12-24T18:00.5Z", "2026-1-1");
  texts.push("2026-12-24T18:00:00.Z", "2026-12-24T18:00:00,5Z", "26-12-24", "12026-12-24");
  texts.push("+012026-12-24T18:00:00Z", " 2026-12-24", "2026-12-24 ", "2026-12-24\n", "1e9");
  texts.push("Thu, 24 Dec 2026 18:00:00 GMT", "2026/12/24", "2026-12-24T18:00:00[Europe/Berlin]");
  texts.push("-1798135200", "1798135200.", "NaN", "Infinity", "0x6b8d5d20", "２026-12-24");
  for (const text of texts) assertEquals(parseInstant(text, NOW), undefined, JSON.stringify(text));
});

Deno.test("no instant lies beyond the year 9999", () => {
  assertEquals(parseInstant("9999-12-31T23:59:59-01:00", NOW), undefined);
  assertEquals(parseInstant("+9999999d", NOW), undefined);
  assertEquals(parseInstant(`+${"9".repeat(400)}d`, NOW), undefined);
});

Deno.test("the rule's own examples are read", () => {
  const examples = INSTANT_RULE.match(/\d{4}-[\dT:-]+Z|(?<=")[^"]+(?=")|\+\w+/g)!;
  assertEquals(examples, ["2026-12-24T18:00:00Z", "2026-12-24 18:00", "+10m"]);
  for (const example of examples) assert(parseInstant(example, NOW)! > NOW, example);
});
