import { Database } from "@db/sqlite";
import { fromFileUrl } from "@std/path";
import { type Line, onceARound, perSecond, type Section, type Size } from "./line.ts";
import { isInstalled, output, queuectl, run, temporaryFolder } from "./programs.ts";

const WORKERS = [1, 2, 4, 8];
const SLEEP_MS = 50;

/** Drains of jobs that do nothing, wait, or print, beside the limit and beside other tools. */
export function drains({ jobs }: Size): Section {
  /** From the first start to the last end: what starting the worker process takes is a line of its own. */
  const drain = async (command: string, count: number, workers: number) => {
    using place = temporaryFolder();
    const store = place.file("queue.db");
    const line = `${JSON.stringify({ command })}\n`;
    await run(queuectl(store, "enqueue", "@-"), { input: line.repeat(count) });
    const words = ["worker", "start", "--quiet", "--drain", "--count", String(workers)];
    await run(queuectl(store, ...words));
    const { tookMs, inJobsMs } = timesOf(store);
    return { perSecond: count / tookMs * 1000, busyPercent: inJobsMs / tookMs / workers * 100 };
  };
  const rate = async (...what: Parameters<typeof drain>) => (await drain(...what)).perSecond;

  const lines: Line[] = WORKERS.flatMap((workers) => [
    {
      what: `bare loop of true, ${workers} at a time`,
      unit: "/s",
      measure: () => bareLoop("true", jobs, workers),
    },
    {
      what: `drain of true, ${workers} at a time`,
      unit: "/s",
      to: `bare loop of true, ${workers} at a time`,
      ...workers === 4 && { atLeast: 0.5 },
      measure: () => rate("true", jobs, workers),
    },
  ]);

  lines.push({
    what: "bare loop of true by detached, 4 at a time",
    unit: "/s",
    to: "bare loop of true, 4 at a time",
    measure: () => bareLoop("true", Math.ceil(jobs / 4), 4, "detached"),
  });

  const few = Math.ceil(jobs / 10);
  const megabyte = "head -c 1000000 /dev/zero";
  lines.push({
    what: "bare loop of 1 MB of output, 4 at a time",
    unit: "/s",
    measure: () => bareLoop(megabyte, few, 4),
  }, {
    what: "drain of 1 MB of output, 4 at a time",
    unit: "/s",
    to: "bare loop of 1 MB of output, 4 at a time",
    measure: () => rate(megabyte, few, 4),
  });

  const sleeps = Math.ceil(jobs / 4);
  const sleep = `sleep ${SLEEP_MS / 1000}`;
  const drainSleeps = onceARound(() => drain(sleep, sleeps, 4));
  lines.push({
    what: `bare loop of ${SLEEP_MS} ms, 4 at a time`,
    unit: "/s",
    measure: () => bareLoop(sleep, sleeps, 4),
  }, {
    what: `drain of ${SLEEP_MS} ms, 4 at a time`,
    unit: "/s",
    to: `bare loop of ${SLEEP_MS} ms, 4 at a time`,
    atLeast: 0.5,
    measure: async (round) => (await drainSleeps(round)).perSecond,
  }, {
    what: `time of 4 executors spent in jobs of ${SLEEP_MS} ms`,
    unit: "%",
    measure: async (round) => (await drainSleeps(round)).busyPercent,
  });

  for (const [name, { program, execute }] of Object.entries(PEERS)) {
    if (!isInstalled(program)) {
      console.error(`${name} is left out: ${program} is not installed`);
      continue;
    }
    const count = Math.ceil(jobs / 4);
    lines.push({
      what: name,
      unit: "/s",
      to: "bare loop of true, 4 at a time",
      measure: async () => {
        using place = temporaryFolder();
        return await perSecond(count, () => execute(count, place.path));
      },
    });
  }
  return { lines, [Symbol.dispose]() {} };
}

/** The limit, in a process of its own as the worker has one: commands per second. */
async function bareLoop(
  ...args: [command: string, commands: number, concurrency: number, how?: "detached"]
) {
  const script = fromFileUrl(new URL("./bare_loop.ts", import.meta.url));
  return Number(
    await output([Deno.execPath(), "run", "-A", "--no-prompt", script, ...args.map(String)]),
  );
}

/** From the first start to the last end, and what the jobs have taken altogether. */
function timesOf(store: string): { tookMs: number; inJobsMs: number } {
  const db = new Database(store, { int64: true, create: false });
  try {
    return db.prepare(`
      select max(finished_at) - min(started_at) as tookMs, sum(finished_at - started_at) as inJobsMs
      from attempts where exit_code is not null -- others were given back before they began
    `).get<{ tookMs: number; inJobsMs: number }>()!;
  } finally {
    db.close();
  }
}

/** What people use instead, four commands at a time where they can. */
const PEERS: Record<
  string,
  { program: string; execute: (jobs: number, folder: string) => Promise<void> }
> = {
  "xargs -P 4": {
    program: "xargs",
    execute: (jobs) => run(["xargs", "-P", "4", "-I{}", "sh", "-c", "{}"], lines(jobs)),
  },
  "parallel -j 4 --joblog": {
    program: "parallel",
    execute: (jobs, folder) =>
      run(["parallel", "-j", "4", "--joblog", `${folder}/log`], lines(jobs)),
  },
  "task-spooler, 4 slots": {
    program: "tsp",
    async execute(jobs, folder) {
      const env = { TS_SOCKET: `${folder}/socket`, TS_MAXFINISHED: "10", TMPDIR: folder };
      await run(["tsp", "-S", "4"], { env });
      try {
        for (let i = 0; i < jobs; i++) await run(["tsp", "sh", "-c", "true"], { env });
        await run(["tsp", "-w"], { env });
      } finally {
        await run(["tsp", "-K"], { env });
      }
    },
  },
  "nq, one at a time": {
    program: "nq",
    async execute(jobs, folder) {
      const env = { NQDIR: folder };
      for (let i = 0; i < jobs; i++) await run(["nq", "-q", "sh", "-c", "true"], { env });
      await run(["nq", "-w"], { env });
    },
  },
};

function lines(jobs: number): { input: string } {
  return { input: "true\n".repeat(jobs) };
}
