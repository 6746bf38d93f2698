import { Command } from "@cliffy/command";
import type { JobState } from "../../job.ts";
import { openStoreIfAny } from "../../store/open.ts";
import type { Store } from "../../store/store.ts";
import { type AnyCommand, type App, type GlobalOptions, storePath } from "../app.ts";
import { type Candidate, complete, type Names, unquoted } from "../complete.ts";
import { cut, printable } from "../format/text.ts";

/** Somebody waits at a prompt: a store that is busy for longer has nothing to say. */
const BUSY_MS = 200;
/** Older jobs are not offered. */
const MOST_JOBS = 200;
const HELP_WIDTH = 60;

/**
 * `queuectl complete -- WORD…` prints the candidates for the last word, a line each, with a tab and
 * what it means behind it. It fails silently: what it prints ends up in somebody's prompt.
 */
export function completeCommand(app: App, root: () => AnyCommand) {
  return new Command<GlobalOptions>()
    .action(async function (options) {
      const words = this.getLiteralArgs().map((word) => unquoted(word, app.env));
      const namesIn = (db = options.db) => names(app, { ...options, db });
      try {
        const found = await complete(root(), words, namesIn);
        app.terminal.out(found.map(candidateLine).join(""));
      } catch {
        // Nothing to say is better than a message in the middle of somebody's command line.
      }
    });
}

function candidateLine({ word, help }: Candidate): string {
  return help ? `${word}\t${cut(printable(help), HELP_WIDTH)}\n` : `${word}\n`;
}

/** What there is in the store, which is opened only to answer. */
function names(app: App, options: GlobalOptions): Names {
  async function ask<T>(question: (store: Store) => Promise<T>): Promise<T> {
    using store = await openStoreIfAny(storePath(app, options), { busyMs: BUSY_MS });
    return await question(store);
  }
  const words = (named: readonly { name: string }[]) => named.map(({ name }) => ({ word: name }));
  return {
    queues: async () => words(await ask((store) => store.queues())),
    schedules: async () => words(await ask((store) => store.schedules())),
    jobs: (states) => ask((store) => newestJobs(store, states ?? [undefined])),
  };
}

async function newestJobs(
  store: Store,
  states: readonly (JobState | undefined)[],
): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (const state of states) {
    const { jobs } = await store.list({ state }, MOST_JOBS);
    for (const { id, state, command } of jobs.toReversed()) {
      found.push({ word: id, help: `${state}: ${command}` });
    }
  }
  return found;
}
