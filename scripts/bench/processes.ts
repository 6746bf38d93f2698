import { isInstalled, queuectl, run, start, temporaryFolder } from "./programs.ts";
import {
  type Line,
  median,
  milliseconds,
  onceARound,
  pause,
  type Section,
  type Size,
} from "./line.ts";

const EMPTY = "empty script";
/** The job that some of the commands are about. */
const JOB = "job";
/** Commands that can be given again and again, and have little to do. */
const AT_ONCE = [
  ...["--version", "help", "enqueue true", "status", "list", `show ${JOB}`, `logs ${JOB}`],
  ...["worker list", "dlq list", "queue list", "schedule list", "events", "config get", "doctor"],
  "completions bash",
];
/** These start a worker. */
const WITH_WORKER = ["run true"];
const WATCHED_MS = 5000;
/** The kernel's unit for processor time. */
const TICK_MS = 10;

/** What starting the tool costs, and what a worker process takes that has nothing to do. */
export function processes({ samples }: Size): Section {
  const folder = temporaryFolder();
  const store = folder.file("queue.db");
  const empty = folder.file("empty.ts");
  Deno.writeTextFileSync(empty, "");
  const commands = new Map([[EMPTY, [Deno.execPath(), "run", "-A", "--no-prompt", empty]]]);
  for (const command of [...AT_ONCE, ...WITH_WORKER]) {
    commands.set(`queuectl ${command}`, queuectl(store, ...command.split(" ")));
  }
  const prepare = async () => {
    await run(queuectl(store, "run", "--id", JOB, "true"));
    await startTimes(commands, 1); // the first start of each may have to compile it
  };
  let prepared: Promise<void> | undefined;
  const starts = onceARound(async () => {
    await (prepared ??= prepare());
    return await startTimes(commands, samples / 10);
  });
  const startOf = (what: string, rest: Pick<Line, "to" | "atMost"> = {}): Line => ({
    what,
    unit: "ms",
    ...rest,
    measure: async (round) => (await starts(round)).get(what)!,
  });
  const idle = onceARound(() => idleWorker(store));
  const lines: Line[] = [
    startOf(EMPTY),
    ...AT_ONCE.map((command) => startOf(`queuectl ${command}`, { to: EMPTY, atMost: 8 })),
    ...WITH_WORKER.map((command) => startOf(`queuectl ${command}`, { to: EMPTY })),
    {
      what: "memory of an idle worker process of 4",
      unit: "MiB",
      atMost: 200,
      measure: async (round) => (await idle(round)).memoryMib,
    },
    {
      what: "processor time of an idle worker process of 4",
      unit: "%",
      atMost: 5,
      measure: async (round) => (await idle(round)).busyPercent,
    },
  ];
  if (isInstalled("strace")) {
    const count = onceARound(() => systemCalls(samples));
    lines.push({
      what: "fsyncs a job, draining true",
      unit: "",
      measure: async (round) => (await count(round)).syncs,
    }, {
      what: "transactions a job, draining true",
      unit: "",
      measure: async (round) => (await count(round)).transactions,
    });
  } else console.error("fsyncs are not counted: strace is not installed");
  return { lines, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

/**
 * The median for each command. All are started again and again, so that a moment in which the machine is
 * slow is one for all, and in an order that is always another, because what was started before matters.
 */
async function startTimes(commands: ReadonlyMap<string, string[]>, times: number) {
  const took = new Map([...commands.keys()].map((what): [string, number[]] => [what, []]));
  for (let i = 0; i < times; i++) {
    for (const [what, words] of shuffled(commands)) {
      took.get(what)!.push(await milliseconds(() => run(words)));
    }
  }
  return new Map([...took].map(([what, each]) => [what, median(each)]));
}

function shuffled<T>(items: Iterable<T>): T[] {
  const drawn = [...items].map((item) => ({ item, at: Math.random() }));
  return drawn.sort((a, b) => a.at - b.at).map(({ item }) => item);
}

async function idleWorker(store: string) {
  const worker = start(queuectl(store, "worker", "start", "--quiet", "--count", "4"));
  try {
    await run(queuectl(store, "enqueue", "--id", `warm-${crypto.randomUUID()}`, "true"));
    await pause(1000);
    const before = processorMs(worker.pid);
    await pause(WATCHED_MS);
    const busyPercent = (processorMs(worker.pid) - before) / WATCHED_MS * 100;
    const status = Deno.readTextFileSync(`/proc/${worker.pid}/status`);
    const memoryMib = Number(/^VmRSS:\s*(\d+)/m.exec(status)![1]) / 1024;
    return { busyPercent, memoryMib };
  } finally {
    worker.kill("SIGTERM");
    await worker.status;
  }
}

function processorMs(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13);
  return (Number(user) + Number(system)) * TICK_MS;
}

/** Counted by strace in a drain of its own, because it makes everything slow. */
async function systemCalls(jobs: number) {
  using folder = temporaryFolder();
  const store = folder.file("queue.db");
  await run(queuectl(store, "enqueue", "@-"), { input: '{"command":"true"}\n'.repeat(jobs) });
  const log = folder.file("calls");
  const words = queuectl(store, "worker", "start", "--quiet", "--drain", "--count", "4");
  await run(["strace", "-f", "-qq", "-o", log, "-e", "trace=fsync,fdatasync,fcntl", ...words]);
  const calls = Deno.readTextFileSync(log).split("\n");
  const syncs = calls.filter((call) => /f(data)?sync\(/.test(call)).length;
  // The one byte of the shared index that a writer locks for the time of its transaction.
  const writeLock = /F_SETLK.*F_WRLCK.*l_start=120, l_len=1\b/;
  const transactions = calls.filter((call) => writeLock.test(call)).length;
  return { syncs: syncs / jobs, transactions: transactions / jobs };
}
