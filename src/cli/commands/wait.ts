import { Command } from "@cliffy/command";
import { type App, type GlobalOptions } from "../app.ts";

export function waitCommand(app: App) {
  return new Command<GlobalOptions>()
    .arguments("[ids...:string]")
    .option("--all", "All jobs that have not ended.")
    .option("--timeout <duration:string>", "Wait no longer than this; then the exit code is 124.")
    .action(async (options, ...ids) => {
      const { waitForJobs } = await import("../wait_for_jobs.ts");
      await waitForJobs(app, options, ids, options);
    });
}
