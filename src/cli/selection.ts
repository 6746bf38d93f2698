import { badRequest } from "../errors.ts";
import type { JobState } from "../job.ts";
import type { JobFilter, JobSelection, Store } from "../store/store.ts";
import type { App, GlobalOptions } from "./app.ts";
import { stateOption } from "./options.ts";
import { jsonLine } from "./format/text.ts";

/** The options that choose jobs other than by their ids. */
export interface SelectionOptions {
  all?: true;
  state?: string;
  queue?: string;
  tag?: string;
  yes?: true;
}

interface TakesOptions {
  option(flags: string, description: string): unknown;
}

export function addSelectionOptions<C extends TakesOptions>(command: C, verb: string): C {
  command.option("--all", `${verb} all jobs that it can be done to.`);
  command.option("-s, --state <state:string>", `${verb} those in this state.`);
  command.option("--queue <name:string>", `${verb} those of this queue.`);
  command.option("--tag <tag:string>", `${verb} those with this tag.`);
  return command;
}

/** The jobs that a person means: by ids or unique prefixes, by a filter, or all. Throws a bad request. */
export async function readSelection(
  store: Store,
  verb: string,
  ids: readonly string[],
  { all, state, queue, tag }: SelectionOptions,
): Promise<JobSelection> {
  const filter: JobFilter = {
    state: state === undefined ? undefined : stateOption(state),
    queue,
    tag,
  };
  const filters = Object.values(filter).some((value) => value !== undefined);
  if ((ids.length > 0) === (filters || all === true)) {
    throw badRequest(`Cannot ${verb} jobs: expected either job ids, or --all, or a filter`);
  }
  if (ids.length === 0) return { filter };
  const found: string[] = [];
  for (const id of ids) found.push((await store.find(id)).id);
  return { ids: found };
}

const STEP = 1000;

/**
 * Does something to the selected jobs: to those that were named at once, all or none; to those that a
 * filter finds, state by state and step by step, so that workers do not wait long for the store.
 */
export async function* inSteps<T>(
  chosen: JobSelection,
  states: readonly JobState[],
  act: (which: JobSelection) => Promise<T>,
): AsyncGenerator<T> {
  if ("ids" in chosen) return yield await act(chosen);
  const { filter } = chosen;
  for (const state of states) {
    if (filter.state !== undefined && filter.state !== state) continue;
    const isLeft = state !== "processing"; // these stay in their state for now
    while (true) {
      const limit = isLeft ? STEP : undefined;
      const done = await act({ filter: { ...filter, state }, limit });
      yield done;
      if (!isLeft || sizeOf(done) < STEP) break;
    }
  }
}

function sizeOf(done: unknown): number {
  return Array.isArray(done) ? done.length : (done as { cancelled: string[] }).cancelled.length;
}

/** Lets a person say no to what would be done to all jobs that match. */
export async function confirmMany(
  app: App,
  store: Store,
  filter: JobFilter,
  states: readonly JobState[],
  verb: string,
  options: { yes?: true } & Pick<GlobalOptions, "json">,
): Promise<void> {
  let count = 0;
  for (const state of states) {
    if (filter.state === undefined || filter.state === state) {
      count += await store.count({ ...filter, state });
    }
  }
  confirm(app, `${verb} ${count} ${count === 1 ? "job" : "jobs"}`, options);
}

/** Lets a person say no to something that concerns many jobs. Throws a bad request if nobody can be asked. */
export function confirm(
  { terminal }: App,
  what: string,
  { yes, json }: { yes?: true } & Pick<GlobalOptions, "json">,
): void {
  if (yes) return;
  const answer = json ? undefined : terminal.ask(`${what}? [y/N] `);
  if (answer === undefined) throw badRequest(`${what}? Nobody can be asked: expected --yes`);
  if (!/^y(es)?$/i.test(answer)) throw badRequest("Nothing was done: expected y or --yes");
}

/** Prints what was done to which jobs. */
export function printDone(
  { terminal }: App,
  { json }: GlobalOptions,
  done: string,
  ids: readonly string[],
) {
  if (json) return terminal.out(jsonLine({ ids }));
  terminal.out(ids.map((id) => `${id}\n`).join(""));
  if (terminal.errIsTerminal || ids.length === 0) {
    terminal.err(`${done} ${ids.length} ${ids.length === 1 ? "job" : "jobs"}\n`);
  }
}
