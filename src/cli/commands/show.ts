import { Command } from "@cliffy/command";
import { attemptJson, jobJson } from "../../job_json.ts";
import { type App, type GlobalOptions, storeToRead } from "../app.ts";
import { look } from "../look.ts";
import { jsonLine } from "../format/text.ts";

const OUTPUT_LINES = 10;

export function showCommand(app: App) {
  return new Command<GlobalOptions>()
    .arguments("<id:string>")
    .action(async (options, id) => {
      using store = await storeToRead(app, options);
      const job = await store.find(id);
      const attempts = await store.attempts(job.id);
      const { circumstancesOf } = await import("../circumstances.ts");
      const { waitsFor } = await import("../format/waits.ts");
      const waits = waitsFor(job, await circumstancesOf(store, app.system, [job]));
      if (options.json) {
        const history = attempts.map(attemptJson);
        const shown = { ...jobJson(job), attempts_history: history, waits_for: waits };
        return app.terminal.out(jsonLine(shown));
      }
      const { jobDetails } = await import("../format/job_details.ts");
      app.terminal.out(jobDetails(job, attempts, waits, look(app, options)));
      const last = attempts.at(-1);
      if (!last) return;
      const { lastLines } = await import("../job_output.ts");
      const output = await lastLines(store, last.seq, OUTPUT_LINES);
      if (output) app.terminal.out(`\n${output}`);
    });
}
