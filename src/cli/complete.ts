import {
  IF_EXISTS,
  JOB_STATES,
  type JobState,
  RETRYABLE_STATES,
  UNFINISHED_STATES,
} from "../job.ts";
import { MISSED_POLICIES } from "../schedule.ts";
import { SETTING_NAMES, SETTINGS } from "../settings.ts";
import type { AnyCommand } from "./app.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

type Option = ReturnType<AnyCommand["getOptions"]>[number];

/** A word that can stand at the cursor, and what it means. */
export interface Candidate {
  word: string;
  help?: string;
}

/** Stands for the names of files: the shell completes those itself. */
export const FILES: Candidate = { word: "<files>" };

/** What there is in a store. */
export interface Names {
  /** Jobs in these states, the newest first; in all states where none are named. */
  jobs(states?: readonly JobState[]): Promise<Candidate[]>;
  queues(): Promise<Candidate[]>;
  schedules(): Promise<Candidate[]>;
}

/** A command line as far as it has been read. */
interface Line {
  root: AnyCommand;
  command: AnyCommand;
  /** The names of the command and of those above it, without the root's. */
  path: string[];
  /** The arguments of the command. */
  given: string[];
  /** The option whose value comes next. */
  option?: Option;
  /** There was a `--`: no options come any more. */
  literal: boolean;
  /** The value of `--db`. */
  db?: string;
}

/** Finds the candidates for what follows on `line`, whether or not they begin with `typed`. */
type Lookup = (names: Names, typed: string, line: Line) => Candidate[] | Promise<Candidate[]>;

const text: Lookup = () => [];
const files: Lookup = () => [FILES];
const jobs = (states?: readonly JobState[]): Lookup => (names) => names.jobs(states);
const queues: Lookup = (names) => names.queues();
const schedules: Lookup = (names) => names.schedules();
const oneOf = (words: readonly string[]): Lookup => () => words.map((word) => ({ word }));
const settings: Lookup = (_names, typed) =>
  SETTING_NAMES.map((name) => ({
    word: typed.includes("-") ? name.replaceAll("_", "-") : name,
    help: SETTINGS[name].help,
  }));
const options: Lookup = (_names, _typed, { command }) =>
  command.getOptions()
    .toSorted((a, b) => Number(a.global ?? false) - Number(b.global ?? false))
    .flatMap(({ flags, description }) => flags.map((word) => ({ word, help: description })));
const subcommands: Lookup = (_names, _typed, { command }) => commandsOf(command);
/** The words of `help` are the names of a command and of those above it. */
const commands: Lookup = (_names, _typed, { root, given }) => {
  const command = given.reduce<AnyCommand | undefined>((at, name) => at?.getCommand(name), root);
  return command ? commandsOf(command) : [];
};

/** What the value of an option is, by its long name; any text where it is not named. */
const VALUES: Record<string, Lookup> = {
  after: jobs(),
  "after-any": jobs(),
  cwd: files,
  db: files,
  "if-exists": oneOf(IF_EXISTS),
  missed: oneOf(MISSED_POLICIES),
  queue: queues,
  state: oneOf(JOB_STATES),
};

/** What the arguments of a command are, one by one. */
export const ARGUMENTS: Record<string, readonly Lookup[]> = {
  backup: [files],
  cancel: [jobs(UNFINISHED_STATES)],
  completions: [oneOf(SHELLS)],
  "config get": [settings],
  "config set": [settings, text],
  "config unset": [settings],
  delete: [jobs()],
  "dlq purge": [jobs(["dead"])],
  "dlq retry": [jobs(["dead"])],
  enqueue: [files],
  help: [commands],
  logs: [jobs()],
  "queue limit": [queues, text],
  "queue pause": [queues],
  "queue resume": [queues],
  retry: [jobs(RETRYABLE_STATES)],
  run: [files],
  "schedule add": [text, files],
  "schedule pause": [schedules],
  "schedule remove": [schedules],
  "schedule resume": [schedules],
  show: [jobs()],
  wait: [jobs()],
};

/**
 * The candidates for the last one of `words`, which are those behind the program's name. `namesIn` is
 * called with the value of `--db`, if it is among the words.
 */
export async function complete(
  root: AnyCommand,
  words: readonly string[],
  namesIn: (db?: string) => Names,
): Promise<Candidate[]> {
  const line: Line = { root, command: root, path: [], given: [], literal: false };
  for (const word of words.slice(0, -1)) read(line, word);
  let typed = words.at(-1) ?? "";
  let head = "";
  const joined = isOption(line, typed) ? typed.match(/^(.*?)=(.*)$/s) : null;
  if (joined) {
    const [, flag = "", value = ""] = joined;
    read(line, flag);
    if (!line.option) return [];
    [head, typed] = [`${flag}=`, value];
  }
  const found = await lookupFor(line, typed)(namesIn(line.db), typed, line);
  return found
    .filter((candidate) => candidate === FILES || candidate.word.startsWith(typed))
    .map((candidate) =>
      candidate === FILES ? FILES : { ...candidate, word: head + candidate.word }
    );
}

/** Whether `word`, as the next one, would be an option or the beginning of one. */
function isOption({ option, literal }: Line, word: string): boolean {
  return !option && !literal && word.startsWith("-");
}

function read(line: Line, word: string) {
  const { command, given } = line;
  if (line.option) {
    if (line.option.name === "db") line.db = word;
    line.option = undefined;
  } else if (isOption(line, word) && word !== "-") {
    readOption(line, word);
  } else {
    const child = given.length > 0 || line.literal ? undefined : command.getCommand(word);
    if (!child) return void given.push(word);
    line.command = child;
    line.path.push(child.getName());
  }
}

function readOption(line: Line, word: string) {
  if (word === "--") return void (line.literal = true);
  const [flag = "", ...value] = word.split("=");
  const option = line.command.getOptions().find(({ flags }) => flags.includes(flag));
  if (!option?.args.length) return;
  line.option = option;
  if (value.length > 0) read(line, value.join("="));
}

function lookupFor(line: Line, typed: string): Lookup {
  const { command, path, given, option, literal } = line;
  if (option) return VALUES[option.name] ?? text;
  if (isOption(line, typed)) return options;
  if (given.length === 0 && !literal && command.getCommands().length > 0) return subcommands;
  const args = command.getArguments();
  const last = args.length - 1;
  if (given.length > last && !args[last]?.variadic) return literal ? text : options;
  return ARGUMENTS[path.join(" ")]?.[Math.min(given.length, last)] ?? text;
}

function commandsOf(command: AnyCommand): Candidate[] {
  return command.getCommands().map((child) => ({
    word: child.getName(),
    help: child.getDescription(),
  }));
}

/**
 * A word of a command line as the shell would pass it on: without quotes and backslashes, with the
 * variables that are set. What is not finished yet counts as far as it goes.
 */
export function unquoted(word: string, env: (name: string) => string | undefined): string {
  const expand = (text: string) =>
    text.replace(
      /\\(.)|\$(\w+)|\$\{(\w+)\}/gs,
      (_, escaped, name, braced) => escaped ?? env(name ?? braced) ?? "",
    );
  const home = env("HOME");
  const path = home && /^~(?=$|\/)/.test(word) ? `'${home}'${word.slice(1)}` : word;
  return path.replace(
    /'([^']*)'?|"((?:\\.|[^"\\])*)"?|((?:\\.|[^'"\\])+)/gs,
    (_, single, double, bare) => single ?? expand(double ?? bare),
  );
}
