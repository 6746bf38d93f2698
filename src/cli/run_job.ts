import { badRequest, UserError } from "../errors.ts";
import { completeJob } from "../job_request.ts";
import { openStore } from "../store/open.ts";
import { mayPass } from "../store/sqlite_errors.ts";
import type { System } from "../system.ts";
import { type App, byPerson, storePath, surroundings } from "./app.ts";
import { Changes } from "./changes.ts";
import { circumstancesOf } from "./circumstances.ts";
import { followJob, Reading } from "./follow_job.ts";
import { printable } from "./format/text.ts";
import { waitsFor } from "./format/waits.ts";
import { jobExitCode, NEVER_RAN_TO_ITS_END } from "./job_exit_code.ts";
import { type JobOptions, readRequests } from "./job_options.ts";
import { OwnExecutor } from "./own_executor.ts";
import { piecePrinter } from "./show_logs.ts";
import { onStopSignals } from "./stop_signals.ts";
import { untilItFails } from "./terminal.ts";

/** A job that does not start for so long makes people wonder why. */
const WONDER_MS = 2000;
const LOOK_AROUND_MS = 400;

/** Adds a job and stands for it: what it prints is printed, and its exit code becomes ours. */
export async function runJob(app: App, options: JobOptions, words: string[]): Promise<void> {
  const by = byPerson(app);
  const around = surroundings(app, by);
  const { requests: [request], places } = await readRequests(options, words, around);
  if (places) throw badRequest("Cannot run a list of jobs: expected one; see enqueue and wait");
  const path = storePath(app, options);
  using store = await openStore(path);
  const job = completeJob(request!, await store.settings(), around);
  using changes = new Changes(store, app.system, path);
  const [added] = await store.enqueue([job], by);
  const { id } = added!;

  const say = untilItFails((text: string) => app.terminal.err(text));
  const left = Promise.withResolvers<undefined>();
  let force = false;
  using _signals = onStopSignals(() => {
    // Somebody else's job, that stands in for ours, is only left alone.
    if (!added!.added) {
      own.stop();
      return left.resolve(undefined);
    }
    store.cancel({ ids: [id] }, { force }, byPerson(app)).catch((error) => {
      if (!(error instanceof UserError)) throw error;
      if (mayPass(error)) say(`${error.message}\n`); // else it has ended
    }).finally(() => changes.wake());
    force = true;
  });

  await using own = new OwnExecutor(app.system, path, id, (event) => {
    if (event.event === "warning") say(`${event.message}\n`);
  });
  let lookedAt = -Infinity;
  const waitWords = new WaitWords(app.system, say, id);
  const reading = new Reading(store, untilItFails(piecePrinter(app, options)));
  const ended = await Promise.race([
    followJob({ store, changes }, id, reading, {
      async onLook(job) {
        // What it waits for changes seldom, and takes longer to find out than what it has printed.
        const now = app.system.monotonic();
        if (now - lookedAt < LOOK_AROUND_MS) return;
        lookedAt = now;
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

/** Tells a person why a job does not run, once it has taken long enough to wonder. */
class WaitWords {
  readonly #system: System;
  readonly #say: (text: string) => void;
  readonly #id: string;
  readonly #since: number;
  #said = "";

  constructor(system: System, say: (text: string) => void, id: string) {
    this.#system = system;
    this.#say = say;
    this.#id = id;
    this.#since = system.monotonic();
  }

  say(reason: string | null) {
    if (this.#system.monotonic() - this.#since < WONDER_MS || reason === null) return;
    const kind = reason.replace(/ in .*/, ""); // the time that is left does not make it another reason
    if (kind !== this.#said) this.#say(`Job ${this.#id} waits: ${reason}\n`);
    this.#said = kind;
  }
}
