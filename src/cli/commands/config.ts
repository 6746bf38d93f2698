import { Command } from "@cliffy/command";
import { badRequest } from "../../errors.ts";
import {
  readSetting,
  SETTING_NAMES,
  type SettingName,
  settingNamed,
  SETTINGS,
  type Settings,
  writeSetting,
} from "../../settings.ts";
import { type App, type GlobalOptions, storeToRead, storeToWrite } from "../app.ts";
import { look } from "../look.ts";
import { jsonLine, printable } from "../format/text.ts";

export function configCommand(app: App) {
  return new Command<GlobalOptions>()
    .action(function () {
      this.showHelp();
    })
    .command("get", getCommand(app)).reset()
    .command("list", listCommand(app)).reset()
    .command("set", setCommand(app)).reset()
    .command("unset", unsetCommand(app)).reset();
}

function getCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("Show one setting or all.")
    .arguments("[key:string]")
    .action((options, key) =>
      show(app, options, key === undefined ? SETTING_NAMES : [settingNamed(key)])
    );
}

function listCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("Show all settings: the same as config get.")
    .action((options) => show(app, options, SETTING_NAMES));
}

function setCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("Set a setting; a running worker obeys within a second.")
    // The value may stand behind "--": a negative number would be taken for an option.
    .arguments("[key:string] [value:string]")
    .action(async function (options, ...words) {
      const [key, value, ...more] = [...words, ...this.getLiteralArgs()];
      if (key === undefined || value === undefined || more.length > 0) {
        throw badRequest("Cannot set a setting: expected its key and its value");
      }
      const name = settingNamed(key);
      const read = readSetting(name, value);
      using store = await storeToWrite(app, options);
      await store.changeSetting(name, read);
      print(app, options, await store.settings(), [name]);
    });
}

function unsetCommand(app: App) {
  return new Command<GlobalOptions>()
    .description("Put a setting back to its initial value.")
    .arguments("<key:string>")
    .action(async (options, key) => {
      const name = settingNamed(key);
      using store = await storeToWrite(app, options);
      await store.changeSetting(name, undefined);
      print(app, options, await store.settings(), [name]);
    });
}

async function show(app: App, options: GlobalOptions, names: SettingName[]) {
  using store = await storeToRead(app, options);
  print(app, options, await store.settings(), names);
}

function print(app: App, options: GlobalOptions, settings: Settings, names: SettingName[]) {
  if (options.json) {
    const shown = Object.fromEntries(names.map((name) => [name, jsonValue(name, settings[name])]));
    return app.terminal.out(jsonLine(shown));
  }
  const lines = names.map((name) => `${name}=${printable(writeSetting(name, settings[name]))}`);
  const { paint } = look(app, options);
  const width = Math.max(...lines.map((line) => line.length));
  app.terminal.out(
    lines.map((line, i) => {
      if (!app.terminal.outIsTerminal) return `${line}\n`;
      const help = SETTINGS[names[i]!].help;
      return `${line.padEnd(width)}  ${paint(help, "dim")}\n`;
    }).join(""),
  );
}

/** A number where the setting's text is one: `"lease": 30`, but `"retention": "30d"`. */
function jsonValue<N extends SettingName>(
  name: N,
  value: Settings[N],
): string | number | number[] | null {
  if (value === null || Array.isArray(value)) return value;
  const text = writeSetting(name, value);
  return text !== "" && !isNaN(Number(text)) ? Number(text) : text;
}
