import { Command } from "@cliffy/command";
import type { App, GlobalOptions } from "../app.ts";
import { addJobOptions, type JobOptions } from "../job_options.ts";

export function runCommand(app: App) {
  const command = new Command<GlobalOptions>()
    .arguments("[words...:string]")
    .example(
      "In CI: like make test, with retries, a timeout, and its log kept",
      [
        "queuectl run --max-retries 3 --timeout 10m -- make test",
      ].join(""),
    );
  return addJobOptions(command).action(async function (options, ...words) {
    const { runJob } = await import("../run_job.ts");
    await runJob(app, options as JobOptions, [...words, ...this.getLiteralArgs()]);
  });
}
