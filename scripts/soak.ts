/**
 * Two worker processes at full speed with pruning on, and what they take: memory, descriptors, zombies,
 * and the store's files. Fails if one of these grows.
 */
import { Command, ValidationError } from "@cliffy/command";
import { median, pause } from "./bench/line.ts";
import { queuectl as commandLine, temporaryFolder } from "./bench/programs.ts";

const WORKERS = 2;
const ROWS = 20;
const SAMPLES_A_ROW = 3;
/** As many jobs wait at any time, at least. */
const BACKLOG = 300;
/** Between two looks at what waits: the processor is for the jobs. */
const PAUSE_MS = 100;
const MIB = 2 ** 20;

/** What is watched, with how much more of it at the end than at the beginning is no growth. */
const WATCHED = {
  "memory, MiB": 12,
  "descriptors": 4,
  "zombies": 2,
  "log, MiB": 4,
  "file, MiB": 4,
};
type Watched = keyof typeof WATCHED;
type Sample = Record<Watched, number> & { seconds: number; ended: number };

const COMMANDS: Record<string, unknown>[] = [
  ...Array.from({ length: 96 }, () => ({ command: "true" })),
  { command: "head -c 100000 /dev/zero | tr '\\0' x" },
  { command: '[ "$QUEUECTL_ATTEMPT" -gt 1 ]', backoff_base: 0 },
  { command: '[ "$QUEUECTL_ATTEMPT" -gt 1 ] || sleep 30', timeout: "100ms", backoff_base: 0 },
  { command: "sleep 30 & exit 0" },
];

const { options: { minutes } } = await new Command()
  .name("deno task soak")
  .description("Two worker processes at full speed; fails where something of them grows.")
  .option("--minutes <minutes:number>", "How long.", { default: 10 })
  .action(({ minutes }) => {
    if (minutes > 0) return;
    throw new ValidationError(`Cannot soak for ${minutes} minutes: expected more than 0`);
  })
  .parse();
using folder = temporaryFolder();
const store = folder.file("queue.db");
await queuectl(["config", "set", "retention", "3s"]);
const workers = Array.from(
  { length: WORKERS },
  () => start(["worker", "start", "--quiet", "--count", "2"], "null"),
);
const samples: Sample[] = [];
try {
  await watch();
} finally {
  await queuectl(["worker", "stop", "--force"]);
  for (const { status } of workers) await status;
}
Deno.exitCode = judge() ? 0 : 1;

async function watch() {
  const began = performance.now();
  const everyMs = minutes * 60_000 / (ROWS * SAMPLES_A_ROW);
  let enqueued = 0;
  console.log(`| ${["seconds", "jobs ended", ...Object.keys(WATCHED)].join(" | ")} |`);
  console.log(`|${"--:|".repeat(Object.keys(WATCHED).length + 2)}`);
  while (samples.length < ROWS * SAMPLES_A_ROW) {
    await pause(PAUSE_MS);
    const { jobs } = JSON.parse(await queuectl(["status", "--json"]));
    const unfinished = jobs.pending + jobs.failed + jobs.processing;
    const ended = enqueued - unfinished;
    if (unfinished < BACKLOG) {
      const more = Array.from({ length: BACKLOG }, (_, i) => COMMANDS[i % COMMANDS.length]);
      await queuectl(["enqueue", "@-"], JSON.stringify(more));
      enqueued += BACKLOG;
    }
    const seconds = (performance.now() - began) / 1000;
    if (seconds * 1000 < (samples.length + 1) * everyMs) continue;
    samples.push({ seconds, ended, ...look() });
    if (samples.length % SAMPLES_A_ROW === 0) printRow(samples.at(-1)!);
  }
}

function look(): Record<Watched, number> {
  const pids = workers.map(({ pid }) => pid);
  return {
    "memory, MiB": sum(pids.map(residentMib)),
    "descriptors": sum(pids.map((pid) => [...Deno.readDirSync(`/proc/${pid}/fd`)].length)),
    "zombies": zombiesOf(pids),
    "log, MiB": Deno.statSync(`${store}-wal`).size / MIB,
    "file, MiB": Deno.statSync(store).size / MIB,
  };
}

function residentMib(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s*(\d+)/m.exec(status)![1]) / 1024;
}

function zombiesOf(parents: readonly number[]): number {
  let zombies = 0;
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (state === "Z" && parents.includes(Number(parent))) zombies++;
    } catch {
      // It has ended meanwhile.
    }
  }
  return zombies;
}

function printRow(sample: Sample) {
  const watched = Object.keys(WATCHED) as Watched[];
  const cells = [sample.seconds, sample.ended, ...watched.map((what) => sample[what])];
  console.log(`| ${cells.map((cell) => cell.toFixed(0)).join(" | ")} |`);
}

/** Compares the second quarter of the time with the last one; in the first one caches fill. */
function judge(): boolean {
  const quarter = samples.length / 4;
  let isFlat = true;
  for (const [what, allowed] of Object.entries(WATCHED) as [Watched, number][]) {
    const early = median(samples.slice(quarter, 2 * quarter).map((sample) => sample[what]));
    const late = median(samples.slice(3 * quarter).map((sample) => sample[what]));
    if (late <= early * 1.1 + allowed) continue;
    isFlat = false;
    console.log(`${what} has grown from ${early.toFixed(1)} to ${late.toFixed(1)}`);
  }
  const { ended, seconds } = samples.at(-1)!;
  if (ended === 0) throw new Error("No job has ended");
  if (isFlat) console.log(`${ended} jobs in ${seconds.toFixed(0)} s; nothing has grown`);
  return isFlat;
}

function start(args: string[], stdout: "null" | "piped"): Deno.ChildProcess {
  const [program, ...words] = commandLine(store, ...args);
  return new Deno.Command(program!, {
    args: words,
    stdin: stdout === "null" ? "null" : "piped",
    stdout,
    stderr: "inherit",
  }).spawn();
}

async function queuectl(args: string[], input = ""): Promise<string> {
  const child = start(args, "piped");
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout } = await child.output();
  if (code !== 0) throw new Error(`${args.join(" ")} ended with exit code ${code}`);
  return new TextDecoder().decode(stdout);
}

function sum(numbers: number[]): number {
  return numbers.reduce((all, each) => all + each, 0);
}
