import { formatDuration } from "../duration.ts";
import { badRequest } from "../errors.ts";
import { isFinal, type Job } from "../job.ts";
import { jobJson } from "../job_json.ts";
import type { Store } from "../store/store.ts";
import { type App, type GlobalOptions, storePath, storeToRead } from "./app.ts";
import { Changes } from "./changes.ts";
import { jobExitCode, NEVER_RAN_TO_ITS_END, TIMED_OUT } from "./job_exit_code.ts";
import { durationOption } from "./options.ts";
import { jsonLine } from "./format/text.ts";

const LOOK_MS = 500;

/** Waits until all these jobs have ended for good; the exit code is the highest of theirs. */
export async function waitForJobs(
  app: App,
  options: GlobalOptions,
  words: readonly string[],
  { all, timeout }: { all?: true; timeout?: string },
): Promise<void> {
  if ((words.length > 0) === Boolean(all)) {
    throw badRequest("Cannot wait for jobs: expected either job ids or --all");
  }
  const { system, terminal } = app;
  const limitMs = timeout === undefined ? Infinity : durationOption("--timeout", timeout);
  const until = system.monotonic() + limitMs;
  using store = await storeToRead(app, options);
  const ids = all ? await store.unfinished() : await wholeIds(store, words);
  using changes = new Changes(store, system, storePath(app, options));
  const ended: Job[] = [];
  for (const id of ids) {
    let job = await store.get(id);
    while (job && !isFinal(job.state)) {
      const restMs = until - system.monotonic();
      if (restMs <= 0) {
        terminal.err(`Waited ${formatDuration(limitMs)} in vain: job ${id} is ${job.state}\n`);
        app.exitCode = TIMED_OUT;
        if (options.json) terminal.out(jsonLine(ended.map(jobJson)));
        return;
      }
      await changes.next(Math.min(LOOK_MS, restMs));
      job = await store.get(id);
    }
    const code = job ? await exitCodeOf(store, job) : NEVER_RAN_TO_ITS_END;
    app.exitCode = Math.max(app.exitCode, code);
    if (job) ended.push(job);
    else terminal.err(`Job ${id} was deleted\n`);
    if (job && !options.json) terminal.out(`${id} ${job.state}\n`);
  }
  if (options.json) terminal.out(jsonLine(ended.map(jobJson)));
}

async function exitCodeOf(store: Store, job: Job): Promise<number> {
  return jobExitCode(job, (await store.attempts(job.id)).at(-1));
}

async function wholeIds(store: Store, words: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const word of words) ids.push((await store.find(word)).id);
  return [...new Set(ids)];
}
