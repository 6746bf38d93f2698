import { badRequest, UserError } from "../errors.ts";
import { completeJob } from "../job_request.ts";
import { openStore } from "../store/open.ts";
import { type App, byPerson, storePath, surroundings } from "./app.ts";
import { Changes } from "./changes.ts";
import { circumstancesOf } from "./circumstances.ts";
import { followJob, type PrintPiece, Reading } from "./follow_job.ts";
import { printable } from "./format/text.ts";
import { waitsFor } from "./format/waits.ts";
import { jobExitCode, NEVER_RAN_TO_ITS_END } from "./job_exit_code.ts";
import { type JobOptions, readRequests } from "./job_options.ts";
import { OwnExecutor } from "./own_executor.ts";
import { piecePrinter } from "./show_logs.ts";
import { onStopSignals } from "./stop_signals.ts";

/** A job that does not start for so long makes people wonder why. */
const WONDER_MS = 2000;

/** Adds a job and stands for it: what it prints is printed, and its exit code becomes ours. */
export async function runJob(app: App, options: JobOptions, words: string[]): Promise<void> {
  const by = byPerson(app);
  const around = surroundings(app, by);
  const { requests: [request], many } = await readRequests(options, words, around);
  if (many) throw badRequest("Cannot run a list of jobs: expected one; see enqueue and wait");
  const path = storePath(app, options);
  using store = await openStore(path);
  const job = completeJob(request!, await store.settings(), around);
  using changes = new Changes(store, app.system, path);
  const [added] = await store.enqueue([job], by);
  const { id } = added!;

  const left = Promise.withResolvers<undefined>();
  let force = false;
  using _signals = onStopSignals(() => {
    // Somebody else's job, that stands in for ours, is only left alone.
    if (!added!.added) return left.resolve(undefined);
    store.cancel({ ids: [id] }, { force }, byPerson(app)).catch((error) => {
      if (!(error instanceof UserError)) throw error; // it has ended
    }).finally(() => changes.wake());
    force = true;
  });

  await using own = new OwnExecutor(app.system, path, id, (event) => {
    if (event.event === "warning") app.terminal.err(`${event.message}\n`);
  });
  const waitWords = new WaitWords(app, id);
  const reading = new Reading(store, untilNobodyReads(piecePrinter(app, options)));
  const ended = await Promise.race([
    followJob({ store, changes }, id, reading, {
      async onLook(job) {
        const circumstances = await circumstancesOf(store, app.system, [job]);
        await own.startUnlessServed(circumstances.workers, job.queue);
        const workers = own.hasStarted ? [{ queues: null }] : circumstances.workers;
        if (!options.json) waitWords.say(waitsFor(job, { ...circumstances, workers }));
      },
    }),
    own.failure,
    left.promise,
  ]);
  app.exitCode = ended ? jobExitCode(ended.job, ended.attempts.at(-1)) : NEVER_RAN_TO_ITS_END;
  if (app.exitCode !== 0 && app.terminal.errIsTerminal && !options.json) {
    const { state, lastError } = ended?.job ?? { state: "left", lastError: null };
    const reason = lastError === null ? "" : ` (${printable(lastError)})`;
    app.terminal.err(`Job ${id} is ${state}${reason}; see queuectl show ${id}\n`);
  }
}

/** Prints for as long as somebody reads; the job goes on all the same. */
function untilNobodyReads(print: PrintPiece): PrintPiece {
  let isRead = true;
  return (piece, attempt) => {
    if (!isRead) return;
    try {
      print(piece, attempt);
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      isRead = false;
    }
  };
}

/** Tells a person why a job does not run, once it has taken long enough to wonder. */
class WaitWords {
  readonly #app: App;
  readonly #id: string;
  readonly #since: number;
  #said = "";

  constructor(app: App, id: string) {
    this.#app = app;
    this.#id = id;
    this.#since = app.system.monotonic();
  }

  say(reason: string | null) {
    const { system, terminal } = this.#app;
    if (system.monotonic() - this.#since < WONDER_MS || reason === null) return;
    const kind = reason.replace(/ in .*/, ""); // the time that is left does not make it another reason
    if (kind !== this.#said) terminal.err(`Job ${this.#id} waits: ${reason}\n`);
    this.#said = kind;
  }
}
