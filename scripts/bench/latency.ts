import { openStore } from "../../src/store/open.ts";
import { milliseconds, onceARound, pause, quantile, type Section, type Size } from "./line.ts";
import { queuectl, run, start, temporaryFolder } from "./programs.ts";
import { completeJob } from "../../src/job_request.ts";
import { settingsFrom } from "../../src/settings.ts";

/** From the moment an enqueue in one process has returned to the start of the job in another, idle one. */
export function latency({ samples }: Size): Section {
  const measure = onceARound(() => startsAfter(samples));
  const line = (name: string, share: number) => ({
    what: `enqueue to start, ${name}`,
    unit: "ms" as const,
    measure: async (round: number) => quantile(await measure(round), share),
  });
  return {
    lines: [{ ...line("p50", 0.5), atMost: 50 }, line("p95", 0.95), line("p99", 0.99)],
    [Symbol.dispose]() {},
  };
}

async function startsAfter(samples: number): Promise<number[]> {
  using folder = temporaryFolder();
  const path = folder.file("queue.db");
  using store = await openStore(path);
  const settings = settingsFrom(new Map());
  // The first thing that a job does is to write into a pipe: files' times are good to milliseconds only.
  const pipe = folder.file("started");
  await run(["mkfifo", pipe]);
  using started = await Deno.open(pipe, { read: true, write: true });
  const worker = start(queuectl(path, "worker", "start", "--quiet"));
  const died = worker.status.then(({ code }) => {
    throw new Error(`The worker ended with exit code ${code}`);
  });
  const took: number[] = [];
  try {
    for (let i = 0; i < samples; i++) {
      const now = Date.now();
      const job = completeJob({ command: `echo > ${pipe}` }, settings, {
        folder: folder.path,
        now,
      });
      await store.enqueue([job], { now, actor: "bench" });
      took.push(
        await milliseconds(() => Promise.race([started.read(new Uint8Array(1)), died])),
      );
      while ((await store.counts()).completed <= i) await pause(10);
    }
  } finally {
    died.catch(() => {});
    worker.kill("SIGTERM");
    await worker.status;
  }
  return took.slice(1); // the first one waited for the worker process to start
}
