import { Command } from "@cliffy/command";
import type { JobFilter } from "../../store/store.ts";
import { jobJson } from "../../job_json.ts";
import { type App, type GlobalOptions, storeToRead } from "../app.ts";
import { stateOption, wholeNumber } from "../options.ts";
import { look } from "../look.ts";
import { jsonLine } from "../format/text.ts";

export function listCommand(app: App) {
  return new Command<GlobalOptions>()
    .option("-s, --state <state:string>", "Only jobs in this state.")
    .option("--queue <name:string>", "Only jobs of this queue.")
    .option("--tag <tag:string>", "Only jobs with this tag.")
    .option("--search <text:string>", "Only jobs with this text in the id or the command.")
    .option("--limit <n:string>", "The newest n jobs; 0 for all.", { default: "100" })
    .action((options) => {
      const { queue, tag, search } = options;
      const state = options.state === undefined ? undefined : stateOption(options.state);
      return listJobs(app, options, { state, queue, tag, search }, options.limit);
    });
}

/** Prints the newest jobs that match, as many as the value of `--limit` says; 0 for all. */
export async function listJobs(
  app: App,
  options: GlobalOptions,
  filter: JobFilter,
  limitText: string,
): Promise<void> {
  const limit = wholeNumber("--limit", limitText, { min: 0, max: 1_000_000_000 });
  using store = await storeToRead(app, options);
  const { jobs, older } = await store.list(filter, limit || Number.MAX_SAFE_INTEGER);
  const { jobTable } = await import("../format/jobs.ts");
  if (options.json) {
    app.terminal.out(jsonLine(jobs.map(jobJson)));
  } else if (jobs.length > 0) {
    const { circumstancesOf } = await import("../circumstances.ts");
    const circumstances = await circumstancesOf(store, app.system, jobs);
    app.terminal.out(jobTable(jobs, circumstances, look(app, options)));
  } else {
    app.terminal.err("No jobs\n");
  }
  if (older > 0) {
    const noun = older === 1 ? "older job is" : "older jobs are";
    app.terminal.err(`${older} ${noun} not shown; --limit 0 shows all\n`);
  }
}
