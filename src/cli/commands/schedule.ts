import { Command } from "@cliffy/command";
import { type App, byPerson, type GlobalOptions, storeToRead } from "../app.ts";
import { addJobOptions, type JobOptions } from "../job_options.ts";
import { look } from "../look.ts";
import { jsonLine } from "../format/text.ts";

/** What can hold for one job only. */
const NOT_REPEATABLE = ["id", "run_at", "after", "after_any"];

export function scheduleCommand(app: App) {
  return new Command<GlobalOptions>()
    .action(function () {
      this.showHelp();
    })
    .command("add", addCommand(app)).reset()
    .command("list", listCommand(app)).reset()
    .command("remove", removeCommand(app)).reset()
    .command("pause", pauseCommand(app)).reset()
    .command("resume", resumeCommand(app)).reset();
}

function addCommand(app: App) {
  const command = new Command<GlobalOptions>()
    .description("Add a schedule: a name, when, and the job.")
    .arguments("<name:string> [words...:string]")
    .option("--cron <expression:string>", "Five fields, or six with seconds first; or @daily.", {
      required: true,
    })
    .option(
      "--tz <zone:string>",
      "The time zone, such as Europe/Berlin, instead of this machine's.",
    )
    .option(
      "--missed <policy:string>",
      "For ticks that no worker was there for: one job (one), none (skip), or all.",
    )
    .example(
      "Every night, in local time",
      'queuectl schedule add backup --cron "0 2 * * *" ./backup.sh',
    );
  return addJobOptions(command, NOT_REPEATABLE).action(async function (options, name, ...words) {
    const { addSchedule } = await import("../add_schedule.ts");
    const { cron, tz, missed, ...rest } = options as typeof options & {
      cron: string;
      tz?: string;
      missed?: string;
    };
    const all = [...words as string[], ...this.getLiteralArgs()];
    await addSchedule(app, rest as JobOptions, { name: name as string, cron, tz, missed }, all);
  });
}

function listCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("List the schedules with their next ticks and what became of the last one.")
    .action(async (options) => {
      using store = await storeToRead(app, options);
      const { readSchedules } = await import("../read_schedules.ts");
      const { scheduleJson, scheduleTable } = await import("../format/schedules.ts");
      const schedules = await readSchedules(store, app.system.now());
      if (options.json) app.terminal.out(jsonLine(schedules.map(scheduleJson)));
      else if (schedules.length > 0) app.terminal.out(scheduleTable(schedules, look(app, options)));
      else app.terminal.err("No schedules\n");
    });
}

function removeCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("Remove a schedule; the jobs that it has made stay.")
    .arguments("<name:string>")
    .action(async (options, name) => {
      using store = await storeToRead(app, options);
      await store.removeSchedule(name, byPerson(app));
      done(app, options, name, "removed");
    });
}

function pauseCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("Make no jobs until it is resumed.")
    .arguments("<name:string>")
    .action(async (options, name) => {
      using store = await storeToRead(app, options);
      await store.pauseSchedule(name, { paused: true, nextAt: null }, byPerson(app));
      done(app, options, name, "paused");
    });
}

function resumeCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("Make jobs again, from the next tick on.")
    .arguments("<name:string>")
    .action(async (options, name) => {
      using store = await storeToRead(app, options);
      const { resumeSchedule } = await import("../add_schedule.ts");
      await resumeSchedule(store, name, byPerson(app));
      done(app, options, name, "resumed");
    });
}

function done({ terminal }: App, { json }: GlobalOptions, name: string, what: string) {
  terminal.out(json ? jsonLine({ name, [what]: true }) : `${name} ${what}\n`);
}
