import { Command } from "@cliffy/command";
import { badRequest, quote } from "../../errors.ts";
import {
  completeJob,
  FIELDS,
  type JobRequest,
  requestFromOptions,
  type Surroundings,
} from "../../job_request.ts";
import { type App, type GlobalOptions, storeToWrite } from "../app.ts";
import { readEnqueueInput } from "../enqueue_input.ts";
import { Progress } from "../format/progress.ts";

export function enqueueCommand(app: App) {
  const command = new Command<GlobalOptions>()
    .description("Add a job: a shell command, an argument list, or JSON.")
    .arguments("[words...:string]")
    .example("A shell command", "queuectl enqueue 'make test > report.txt'")
    .example("An argument list", "queuectl enqueue -- convert 'my photo.png' photo.jpg")
    .example("With an id and a limit", "queuectl enqueue --id nightly --timeout 15m ./backup.sh")
    .example("JSON", `queuectl enqueue '{"id":"job1","command":"sleep 2"}'`)
    .example("Many at once", "generate-jobs | queuectl enqueue @-");
  for (const { flags, help, collect } of FIELDS) command.option(flags, help, { collect });
  return command.action(async function (options, ...words) {
    const values = options as GlobalOptions & Record<string, unknown>;
    await enqueue(app, values, [...words, ...this.getLiteralArgs()]);
  });
}

async function enqueue(
  app: App,
  options: GlobalOptions & Record<string, unknown>,
  words: string[],
): Promise<void> {
  const { requests, many } = await readRequests(options, words, app);
  refuseRepeatedIds(requests);
  using store = await storeToWrite(app, options); // not before: a bad request makes no store
  const settings = await store.settings();
  const jobs = requests.map((request) => completeJob(request, settings, app.folder));
  using progress = new Progress(app.terminal, "Enqueueing", jobs.length);
  await store.enqueue(jobs, app.system.now(), (done) => progress.show(done));
  progress.clear();
  printIds(app, options, jobs.map(({ id }) => id), many);
  if (app.terminal.errIsTerminal) {
    const { hint } = await import("../format/enqueued.ts");
    const { liveWorkers } = await import("../live_workers.ts");
    const workersRun = (await liveWorkers(store, app.system)).length > 0;
    app.terminal.err(hint(jobs, await store.counts(), workersRun));
  }
}

async function readRequests(
  options: Record<string, unknown>,
  words: string[],
  around: Surroundings,
) {
  const said = requestFromOptions(options, around);
  if (said.command !== undefined) {
    if (words.length === 0) return { requests: [said], many: false };
    throw badRequest(
      `Cannot enqueue both --command and ${quote(words.join(" "))}: expected one of them`,
    );
  }
  const input = await readEnqueueInput(words, around, readBytes);
  const requests = input.requests.map((request): JobRequest => ({
    ...request,
    ...said,
    ...(said.env && { env: { ...request.env, ...said.env } }),
  }));
  return { requests, many: input.many };
}

async function readBytes(path: string | undefined): Promise<Uint8Array> {
  if (path !== undefined) return await Deno.readFile(path);
  return new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer());
}

function refuseRepeatedIds(requests: readonly JobRequest[]) {
  const seen = new Set<string>();
  for (const { id } of requests) {
    if (id === undefined) continue;
    if (seen.has(id)) {
      throw badRequest(`Cannot enqueue job ${quote(id)} twice in one batch: expected unique ids`);
    }
    seen.add(id);
  }
}

function printIds(app: App, { json }: GlobalOptions, ids: string[], many: boolean) {
  if (!json) return app.terminal.out(ids.map((id) => `${id}\n`).join(""));
  const results = ids.map((id) => ({ id, state: "pending" }));
  app.terminal.out(JSON.stringify(many ? results : results[0]) + "\n");
}
