import { Command } from "@cliffy/command";
import { badRequest, quote } from "../../errors.ts";
import { FINAL_STATES, isFinal } from "../../job.ts";
import { type App, byPerson, type GlobalOptions, storeToRead } from "../app.ts";
import { durationOption, stateOption } from "../options.ts";
import { confirm } from "../selection.ts";
import { jsonLine } from "../format/text.ts";

const STEP = 500;

export function pruneCommand(app: App) {
  return new Command<GlobalOptions>()
    .option("--older-than <duration:string>", "Only those that ended longer ago than this.")
    .option("-s, --state <state:string>", "Only those in this state.")
    .option("--queue <name:string>", "Only those of this queue.")
    .option("--tag <tag:string>", "Only those with this tag.")
    .option("--yes", "Do not ask.")
    .action(async (options) => {
      const age = options.olderThan;
      const olderMs = age === undefined ? 0 : durationOption("--older-than", age);
      const states = options.state === undefined
        ? (["completed", "cancelled"] as const)
        : [finalState(options.state)];
      using store = await storeToRead(app, options);
      const by = byPerson(app);
      const finishedBefore = age === undefined ? undefined : by.now - olderMs;
      const filter = { queue: options.queue, tag: options.tag, finishedBefore };
      let count = 0;
      for (const state of states) count += await store.count({ ...filter, state });
      if (count > 0) {
        confirm(
          app,
          `Delete ${count} ${states.join(" and ")} ${count === 1 ? "job" : "jobs"}`,
          options,
        );
      }
      let pruned = 0;
      for (const state of states) {
        // In steps, so that workers do not wait long for the store.
        for (let step = STEP; step === STEP; pruned += step) {
          const which = { filter: { ...filter, state }, limit: STEP };
          step = (await store.remove(which, [state], by)).length;
        }
      }
      if (options.json) app.terminal.out(jsonLine({ pruned }));
      else app.terminal.out(`Deleted ${pruned} ${pruned === 1 ? "job" : "jobs"}\n`);
    });
}

function finalState(text: string) {
  const state = stateOption(text);
  if (isFinal(state)) return state;
  throw badRequest(
    `Cannot prune ${quote(state)} jobs: expected ${FINAL_STATES.join(", ")}; see also delete`,
  );
}
