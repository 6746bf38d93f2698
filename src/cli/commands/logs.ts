import { Command } from "@cliffy/command";
import { type App, type GlobalOptions } from "../app.ts";
import { wholeNumber } from "../options.ts";

export function logsCommand(app: App) {
  return new Command<GlobalOptions>()
    .arguments("<id:string>")
    .option("-f, --follow", "Go on until the job ends for good, and return its exit code.")
    .option("--attempt <n:string>", "Of this attempt instead of the last one.")
    .option("--stdout", "Only its stdout.")
    .option("--stderr", "Only its stderr.", { conflicts: ["stdout"] })
    .option("--tail <n:string>", "Only the last n lines.")
    .option("--limit <n:string>", "The same as --tail.", { conflicts: ["tail"] })
    .action(async (options, id) => {
      const { showLogs } = await import("../show_logs.ts");
      const lines = options.tail ?? options.limit;
      const flag = options.tail === undefined ? "--limit" : "--tail";
      await showLogs(app, options, id, {
        follow: options.follow ?? false,
        attempt: options.attempt === undefined
          ? undefined
          : wholeNumber("--attempt", options.attempt, { min: 1, max: 1_000_000 }),
        stream: options.stdout ? "stdout" : options.stderr ? "stderr" : undefined,
        lines: lines === undefined
          ? undefined
          : wholeNumber(flag, lines, { min: 0, max: 1_000_000_000 }),
      });
    });
}
