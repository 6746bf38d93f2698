import { openStore } from "../../src/store/open.ts";
import { onceARound, pause, quantile, type Section, type Size } from "./line.ts";
import { queuectl, start, temporaryFolder } from "./programs.ts";
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
  const worker = start(queuectl(path, "worker", "start", "--quiet"));
  const settings = settingsFrom(new Map());
  const took: number[] = [];
  try {
    for (let i = 0; i < samples; i++) {
      const now = Date.now();
      const mark = folder.file(`started-${i}`);
      // The shell's own first act: when the file was made is when the job began.
      const job = completeJob({ command: `: > ${mark}` }, settings, { folder: folder.path, now });
      await store.enqueue([job], { now, actor: "bench" });
      const enqueued = performance.timeOrigin + performance.now();
      while ((await store.counts()).completed <= i) await pause(10);
      took.push(Math.max(0, Deno.statSync(mark).mtime!.getTime() - enqueued));
    }
  } finally {
    worker.kill("SIGTERM");
    await worker.status;
  }
  return took.slice(1); // the first one waited for the worker process to start
}
