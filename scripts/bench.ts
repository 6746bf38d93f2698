/**
 * Measures the tool beside the limit of the machine and beside other tools, interleaved in one run, and
 * prints medians and ratios: absolute numbers differ from machine to machine.
 */
import { Command } from "@cliffy/command";
import { drains } from "./bench/drain.ts";
import { enqueues } from "./bench/enqueue.ts";
import { growth } from "./bench/growth.ts";
import { latency } from "./bench/latency.ts";
import { type Line, median, type Size } from "./bench/line.ts";
import { processes } from "./bench/processes.ts";

const FULL: Size = { jobs: 3000, bulk: 100_000, rows: 1_000_000, samples: 200 };
const QUICK: Size = { jobs: 300, bulk: 10_000, rows: 100_000, samples: 40 };

const { options: { quick, check: isCheck = false, only = "", ...said } } = await new Command()
  .name("deno task bench")
  .description("Measures queuectl beside the limit of the machine and beside other tools.")
  .option("--quick", "Smaller stores and fewer jobs, once: under a minute on a quiet machine.")
  .option("--check", "The same, but only what has a bound; fails where one does not hold.")
  .option("--rounds <rounds:integer>", "How often everything is measured.")
  .option(
    "--only <words:string>",
    "Only the lines with these words, and what they are compared with. Starts are measured together.",
  )
  .parse();
const isQuick = isCheck || quick;
const rounds = Math.max(1, said.rounds ?? (isCheck ? 3 : isQuick ? 1 : 5));

const size = isQuick ? QUICK : FULL;
const sections = [drains(size), enqueues(size), latency(size), growth(size), processes(size)];
const samples = new Map<string, number[]>();
try {
  const all = sections.flatMap(({ lines }) => lines);
  const lines = isCheck ? withBases(all.filter(isBounded), all) : all;
  const chosen = withBases(lines.filter(({ what }) => what.includes(only)), all);
  for (let round = 0; round < rounds; round++) {
    for (const line of chosen) {
      samples.set(line.what, [...samples.get(line.what) ?? [], await line.measure(round)]);
    }
  }
  print(chosen);
  const broken = isCheck ? chosen.filter(isBroken) : [];
  for (const { what, atLeast, atMost } of broken) {
    console.log(
      `not ok - ${what}: expected ${atLeast ? `at least ${atLeast}` : `at most ${atMost}`}`,
    );
  }
  Deno.exitCode = broken.length > 0 ? 1 : 0;
} finally {
  for (const section of sections) section[Symbol.dispose]();
}

function isBounded({ atLeast, atMost }: Line): boolean {
  return atLeast !== undefined || atMost !== undefined;
}

/** These lines and those that they are compared with, in the order of all. */
function withBases(lines: readonly Line[], all: readonly Line[]): Line[] {
  return all.filter((line) => lines.some((each) => each === line || each.to === line.what));
}

function medianOf(what: string): number {
  return median(samples.get(what)!);
}

/**
 * What the bounds of a line are about. Of a ratio it is the median over the rounds, each beside the base of
 * its own round: the next may be a slower minute.
 */
function judged({ what, to }: Line): number {
  if (to === undefined) return medianOf(what);
  const bases = samples.get(to)!;
  return median(samples.get(what)!.map((value, round) => value / bases[round]!));
}

function isBroken(line: Line): boolean {
  const { atLeast = -Infinity, atMost = Infinity } = line;
  return judged(line) < atLeast || judged(line) > atMost;
}

function print(lines: readonly Line[]) {
  const rows = [["what", "ratio", "median", "ratio to"]];
  for (const line of lines) {
    const { what, unit, to } = line;
    const value = medianOf(what);
    const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
    const absolute = `${value.toFixed(digits)}${unit === "/s" ? "" : " "}${unit}`.trim();
    rows.push([what, to ? judged(line).toFixed(2) : "", absolute, to ?? ""]);
  }
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  for (const row of rows) {
    console.log(`| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`);
    if (row === rows[0]) console.log(`|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`);
  }
  const { jobs, rows: grown } = size;
  console.log(`\nmedians of ${rounds}, ${jobs} jobs a drain, up to ${grown} rows, ${machine()}`);
}

function machine(): string {
  const gib = Math.round(Deno.systemMemoryInfo().total / 2 ** 30);
  const date = new Date().toISOString().slice(0, 10);
  return `${navigator.hardwareConcurrency} cores, ${gib} GiB, Deno ${Deno.version.deno}, ${date}`;
}
