import { DURATION_RULE, formatDuration, parseDuration } from "./duration.ts";
import { badRequest, quote } from "./errors.ts";

/** A setting: how it is read from text, how it is shown, and what it means. */
export interface Setting<T> {
  readonly initial: T;
  readonly help: string;
  /** What `read` accepts, as the end of the sentence "expected …". Made when asked for: most starts never do. */
  readonly accepts: string;
  readonly aliases: readonly string[];
  /** The value of `text`, or undefined where it is not acceptable. */
  read(text: string): T | undefined;
  /** The text that `read` turns into `value` again. */
  write(value: T): string;
}

type About = { help: string; aliases?: readonly string[] };

function number(
  initial: number,
  { min, max, whole }: { min: number; max: number; whole?: boolean },
  { help, aliases = [] }: About,
): Setting<number> {
  return {
    initial,
    help,
    aliases,
    accepts: `a ${whole ? "whole " : ""}number from ${min} to ${max}`,
    read(text) {
      // The exponent is how `write` shows a number such as 0.0000001.
      if (!/^\d+(\.\d+)?(e-\d+)?$/.test(text)) return undefined;
      const value = Number(text);
      return value >= min && value <= max && (!whole || Number.isInteger(value))
        ? value
        : undefined;
    },
    write: String,
  };
}

const YEAR_MS = 365 * 86_400_000;

function durationMs(
  initial: number,
  { minMs = 0, maxMs = YEAR_MS, units = false }: {
    minMs?: number;
    maxMs?: number;
    units?: boolean;
  },
  { help, aliases = [] }: About,
): Setting<number> {
  return {
    initial,
    help,
    aliases,
    get accepts() {
      return `${DURATION_RULE}, from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
    },
    read(text) {
      const value = parseDuration(text);
      return value !== undefined && value >= minMs && value <= maxMs ? value : undefined;
    },
    write: (ms) => units ? formatDuration(ms) : String(ms / 1000),
  };
}

/** Exit codes from `min` on, separated by commas; `none` is an empty list, and 0 need not be listed. */
function exitCodes(min: number, { help, aliases = [] }: About): Setting<number[]> {
  return {
    initial: [],
    help,
    aliases,
    accepts: `none or exit codes from ${min} to 255, separated by commas`,
    read(text) {
      if (text === "none") return [];
      const codes = text.split(",").map((code) => code.trim());
      const fits = (code: string) => /^\d+$/.test(code) && +code >= min && +code <= 255;
      if (!codes.every(fits)) return undefined;
      return [...new Set(codes.map(Number))].filter((code) => code !== 0);
    },
    write: (codes) => codes.length > 0 ? codes.join(",") : "none",
  };
}

function shellCommand({ help, aliases = [] }: About): Setting<string> {
  return {
    initial: "",
    help,
    aliases,
    accepts: "a shell command",
    read: (text) => text !== "" && !text.includes("\0") ? text : undefined,
    write: String,
  };
}

/** The same setting with `none` as one more value. */
function orNone<T>(inner: Setting<T>, initial: T | null): Setting<T | null> {
  const { help, aliases } = inner;
  return {
    initial,
    help,
    aliases,
    get accepts() {
      return `none or ${inner.accepts}`;
    },
    read: (text) => text === "none" ? null : inner.read(text),
    write: (value) => value === null ? "none" : inner.write(value),
  };
}

function oneOf<T extends string>(
  values: readonly [T, ...T[]],
  { help, aliases = [] }: About,
): Setting<T> {
  return {
    initial: values[0],
    help,
    aliases,
    accepts: values.join(" or "),
    read: (text) => values.find((value) => value === text),
    write: String,
  };
}

/** Every setting, declared once. Durations are kept in milliseconds. */
export const SETTINGS = {
  max_retries: number(3, { min: 0, max: 1_000_000, whole: true }, {
    help: "executions before a job is dead; 0 and 1 both mean one",
  }),
  backoff_base: number(2, { min: 0, max: 1000 }, {
    help: "after failed attempt n a job waits base ** n seconds",
    aliases: ["base_backoff"],
  }),
  backoff_max: durationMs(300_000, {}, { help: "the longest wait between attempts" }),
  backoff_jitter: number(0, { min: 0, max: 1 }, {
    help: "the share of the wait that is added at random",
  }),
  timeout: orNone(
    durationMs(0, { minMs: 1 }, { help: "the longest an attempt may run" }),
    null,
  ),
  ok_codes: exitCodes(0, { help: "exit codes other than 0 that are no failure" }),
  fatal_codes: exitCodes(1, { help: "exit codes after which a job is dead at once" }),
  snooze: orNone(
    durationMs(0, { minMs: 1 }, {
      help: "how long exit code 75 puts a job off, without costing an attempt",
    }),
    null,
  ),
  lease: durationMs(30_000, { minMs: 1000, maxMs: 86_400_000 }, {
    help: "a worker elsewhere that shows no life for so long is dead",
  }),
  kill_grace: durationMs(5000, { maxMs: 3_600_000 }, {
    help: "from TERM to KILL when an attempt has timed out",
  }),
  shutdown_grace: durationMs(30_000, { maxMs: 86_400_000 }, {
    help: "how long a worker that is told to stop lets its jobs run on",
  }),
  poll_interval: durationMs(1000, { minMs: 10, maxMs: 3_600_000 }, {
    help: "how often a worker looks for jobs if nothing wakes it",
    aliases: ["worker_poll_interval"],
  }),
  output_limit: number(10_485_760, { min: 1024, max: 1_073_741_824, whole: true }, {
    help: "bytes of output kept of an attempt: the first quarter and the last three",
  }),
  retention: orNone(
    durationMs(0, { minMs: 1000, maxMs: 100 * YEAR_MS, units: true }, {
      help: "completed and cancelled jobs, and events, are deleted after this time",
    }),
    30 * 86_400_000,
  ),
  hook_completed: orNone(
    shellCommand({ help: "run by the worker when a job has completed" }),
    null,
  ),
  hook_dead: orNone(shellCommand({ help: "run by the worker when a job has died" }), null),
  hook_idle: orNone(
    shellCommand({ help: "run by the worker when nothing is left to run" }),
    null,
  ),
  durability: oneOf(["full", "normal"], {
    help: "full: jobs survive a power cut; normal: a crash of the program",
  }),
} as const;

export type SettingName = keyof typeof SETTINGS;
export type Settings = {
  [Name in SettingName]: (typeof SETTINGS)[Name] extends Setting<infer T> ? T : never;
};

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

/** The setting called `key`, by its name or an alias, with `-` as `_`. Throws a bad request that lists them. */
export function settingNamed(key: string): SettingName {
  const wanted = key.toLowerCase().replaceAll("-", "_");
  const name = SETTING_NAMES.find((name) =>
    name === wanted || SETTINGS[name].aliases.includes(wanted)
  );
  if (!name) {
    throw badRequest(`Unknown config key ${quote(key)}: expected ${SETTING_NAMES.join(", ")}`);
  }
  return name;
}

/** Reads `text` as a value of the setting. Throws a bad request that begins with `what`. */
export function readSetting<Name extends SettingName>(
  name: Name,
  text: string,
  what = `config ${name}`,
): Settings[Name] {
  const setting = SETTINGS[name] as unknown as Setting<Settings[Name]>;
  const value = setting.read(text.trim());
  if (value === undefined) {
    throw badRequest(`Cannot set ${what} to ${quote(text)}: expected ${setting.accepts}`);
  }
  return value;
}

/** The text of a setting's value, as `config get` shows it and `config set` accepts it. */
export function writeSetting<Name extends SettingName>(name: Name, value: Settings[Name]): string {
  return (SETTINGS[name] as unknown as Setting<Settings[Name]>).write(value);
}

/** All settings: those in `stored` (by name, as text), the others at their initial values. */
export function settingsFrom(stored: ReadonlyMap<string, string>): Settings {
  return Object.fromEntries(SETTING_NAMES.map((name) => {
    const text = stored.get(name);
    return [name, text === undefined ? SETTINGS[name].initial : readSetting(name, text)];
  })) as Settings;
}
