// What else an enqueue reads, named before others name it: whoever is the first to name a file has its
// source map decoded, to know its place in the source, and the map of this file is a short one.
import "@db/sqlite";
import "../../backoff.ts";
import "../../duration.ts";
import "../../ids.ts";
import "../../instant.ts";
import "../../job.ts";
import "../../request_values.ts";
import "../../settings.ts";
import "../../store/bell.ts";
import "../../store/open.ts";
import "../../store/sqlite.ts";
import "../../store/sqlite_care.ts";
import "../../store/sqlite_claim.ts";
import "../../store/sqlite_control.ts";
import "../../store/sqlite_ends.ts";
import "../../store/sqlite_enqueue.ts";
import "../../store/sqlite_errors.ts";
import "../../store/sqlite_events.ts";
import "../../store/sqlite_queues.ts";
import "../../store/sqlite_rows.ts";
import "../../store/sqlite_selection.ts";
import "../../store/sqlite_turn.ts";

import { failPoint } from "../../fail_point.ts";
import { Command } from "@cliffy/command";
import { badRequest, quote, RefusedJob } from "../../errors.ts";
import { lazily } from "../../lazily.ts";
import { completeJob, type JobRequest } from "../../job_request.ts";
import type { Enqueued } from "../../store/store.ts";
import { type App, byPerson, type GlobalOptions, storeToWrite, surroundings } from "../app.ts";
import { placed } from "../enqueue_input.ts";
import { Progress } from "../format/progress.ts";
import { addJobOptions, type JobOptions, readRequests } from "../job_options.ts";
import { jsonLine } from "../format/text.ts";

export function enqueueCommand(app: App) {
  const command = new Command<GlobalOptions>()
    .arguments("[words...:string]")
    .example("A shell command", "queuectl enqueue 'make test > report.txt'")
    .example("An argument list", "queuectl enqueue -- convert 'my photo.png' photo.jpg")
    .example("With an id and a limit", "queuectl enqueue --id nightly --timeout 15m ./backup.sh")
    .example("JSON", `queuectl enqueue '{"id":"job1","command":"sleep 2"}'`)
    .example("Many at once", "generate-jobs | queuectl enqueue @-");
  return addJobOptions(command).action(async function (options, ...words) {
    await enqueue(app, options as JobOptions, [...words, ...this.getLiteralArgs()]);
  });
}

async function enqueue(app: App, options: JobOptions, words: string[]): Promise<void> {
  const by = byPerson(app);
  const around = surroundings(app, by);
  const { requests, places } = await readRequests(options, words, around);
  refuseRepeatedIds(requests, places);
  using store = await storeToWrite(app, options); // not before: a bad request makes no store
  const settings = await store.settings();
  const jobs = requests.map((request) => completeJob(request, settings, around));
  using progress = new Progress(app.terminal, "Enqueueing", jobs.length);
  const results = await store.enqueue(jobs, by, (done) => progress.show(done)).catch((error) => {
    if (!(error instanceof RefusedJob)) throw error;
    throw placed(error, places?.[jobs.findIndex(({ id }) => id === error.job)]);
  });
  failPoint("after-enqueue");
  progress.clear();
  printIds(app, options, results, places !== null);
  const queues = await store.queues();
  const added = jobs.filter((_, i) => results[i]!.added);
  if (app.terminal.errIsTerminal || queues.some(({ pausedAt }) => pausedAt !== null)) {
    const { enqueueHint } = await hint();
    app.terminal.err(await enqueueHint(app, store, { added, queues }));
  }
}

// Most enqueues are made by scripts, and nobody reads what they say.
const hint = lazily<typeof import("../enqueue_hint.ts")>("../enqueue_hint.ts", import.meta.url);

function refuseRepeatedIds(requests: readonly JobRequest[], places: readonly string[] | null) {
  const seen = new Set<string>();
  for (const [i, { id }] of requests.entries()) {
    if (id === undefined) continue;
    if (seen.has(id)) {
      const problem = `Cannot enqueue job ${quote(id)} twice in one batch: expected unique ids`;
      throw placed(badRequest(problem), places?.[i]);
    }
    seen.add(id);
  }
}

function printIds(
  { terminal }: App,
  { json }: GlobalOptions,
  results: readonly Enqueued[],
  many: boolean,
) {
  if (!json) return terminal.out(results.map(({ id }) => `${id}\n`).join(""));
  const shown = results.map(({ id, state }) => ({ id, state }));
  terminal.out(jsonLine(many ? shown : shown[0]));
}
