/**
 * Measures the tool beside the limit of the machine, interleaved in one run, and prints ratios:
 * absolute numbers differ from machine to machine. `deno task bench [--rounds N] [--jobs N]`.
 */
import { fromFileUrl, join } from "@std/path";
import { findShell } from "../src/worker/shell.ts";

const MAIN = fromFileUrl(new URL("../main.ts", import.meta.url));
const WORKERS = [1, 2, 4, 8];
const BULK_JOBS = 100_000;

const rounds = numberAfter("--rounds", 5);
const jobs = numberAfter("--jobs", 2000);
using folder = temporaryFolder();
const samples = new Map<string, number[]>();
for (let round = 0; round < rounds; round++) {
  for (const workers of WORKERS) {
    await sample(`bare loop, ${workers} at a time`, () => perSecond(jobs, () => bareLoop(workers)));
    await sample(`drain, ${workers} at a time`, () => drainRate(workers));
  }
  await sample("empty script", () => milliseconds(() => deno([join(folder.path, "empty.ts")])));
  for (const command of ["--version", "status", "list", "enqueue true"]) {
    await sample(`queuectl ${command}`, () => milliseconds(() => queuectl(command.split(" "))));
  }
  await sample("enqueue 100,000 from standard input", bulkEnqueue);
}
print();

function print() {
  const rows: string[][] = [["what", "median", "ratio", "to what"]];
  for (const workers of WORKERS) {
    const bare = `bare loop, ${workers} at a time`;
    rows.push([bare, `${median(bare).toFixed(0)}/s`, "", ""]);
    const drain = `drain, ${workers} at a time`;
    rows.push([drain, `${median(drain).toFixed(0)}/s`, ratio(drain, bare), "bare loop"]);
  }
  rows.push(["empty script", `${median("empty script").toFixed(0)} ms`, "", ""]);
  for (const name of samples.keys()) {
    if (!name.startsWith("queuectl")) continue;
    rows.push([name, `${median(name).toFixed(0)} ms`, ratio(name, "empty script"), "empty script"]);
  }
  const bulk = "enqueue 100,000 from standard input";
  rows.push([bulk, `${(median(bulk) / 1000).toFixed(1)} s`, "", ""]);
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  for (const row of rows) {
    console.log(`| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`);
    if (row === rows[0]) console.log(`|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`);
  }
  console.log(`\nmedians of ${rounds}, ${jobs} jobs of "true" a drain, ${describeMachine()}`);
}

/** The limit: the same commands with the same isolation and their output read, but no queue. */
async function bareLoop(concurrency: number) {
  const { sh, setsid } = findShell();
  const starter = setsid ?? sh;
  const args = setsid ? [sh, "-c", "true"] : ["-c", "true"];
  let left = jobs;
  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (left-- > 0) {
      const child = new Deno.Command(starter, {
        args,
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        detached: setsid === null,
      }).spawn();
      await Promise.all([child.status, drain(child.stdout), drain(child.stderr)]);
    }
  }));
}

async function drain(stream: ReadableStream<Uint8Array>) {
  const reader = stream.getReader();
  while (!(await reader.read()).done);
}

/** The whole life of a worker process, start and end included. */
async function drainRate(workers: number): Promise<number> {
  await queuectl(["enqueue", "@-"], '{"command":"true"}\n'.repeat(jobs));
  const args = ["worker", "start", "--quiet", "--drain", "--count", String(workers)];
  return await perSecond(jobs, () => queuectl(args));
}

async function bulkEnqueue(): Promise<number> {
  using fresh = temporaryFolder();
  const lines = '{"command":"true"}\n'.repeat(BULK_JOBS);
  return await milliseconds(() => queuectl(["enqueue", "@-"], lines, fresh.path));
}

function queuectl(args: string[], input = "", store = folder.path): Promise<void> {
  return deno([MAIN, ...args], input, store);
}

async function deno(args: string[], input = "", store = folder.path) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", ...args],
    env: { QUEUECTL_DB: join(store, "queue.db") },
    stdin: "piped",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code } = await child.status;
  if (code !== 0) throw new Error(`${args.join(" ")} ended with exit code ${code}`);
}

async function sample(name: string, measure: () => Promise<number>) {
  const values = samples.get(name) ?? [];
  samples.set(name, values);
  values.push(await measure());
}

async function milliseconds(action: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await action();
  return performance.now() - begin;
}

async function perSecond(count: number, action: () => Promise<unknown>): Promise<number> {
  return count / (await milliseconds(action)) * 1000;
}

function median(name: string): number {
  const sorted = [...samples.get(name)!].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

function ratio(name: string, to: string): string {
  return (median(name) / median(to)).toFixed(2);
}

function numberAfter(flag: string, otherwise: number): number {
  const at = Deno.args.indexOf(flag);
  return at < 0 ? otherwise : Number(Deno.args[at + 1]);
}

function temporaryFolder() {
  const path = Deno.makeTempDirSync({ prefix: "queuectl-bench-" });
  Deno.writeTextFileSync(join(path, "empty.ts"), "");
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

function describeMachine(): string {
  const gib = Math.round(Deno.systemMemoryInfo().total / 2 ** 30);
  const date = new Date().toISOString().slice(0, 10);
  return `${navigator.hardwareConcurrency} cores, ${gib} GiB, Deno ${Deno.version.deno}, ${date}`;
}
