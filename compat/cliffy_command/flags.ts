import { convert, findOption, type Option } from "./definition.ts";
import { didYouMean, ValidationError } from "./errors.ts";

/** What is known of the command line so far. It is handed down from command to subcommand. */
export interface Context {
  /** The words that no option has taken. */
  words: string[];
  options: Record<string, unknown>;
  /** The keys of `options` that nobody gave. */
  defaults: Set<string>;
  /** The words after `--`. */
  literal: string[];
  standalone?: Option;
  /** The standalone option was written with two dashes. */
  long: boolean;
}

export function newContext(words: string[]): Context {
  return { words: [...words], options: {}, defaults: new Set(), literal: [], long: false };
}

/**
 * Takes the options out of `context.words`.
 * With `leading`, stops quietly at the first word that is not one of `options` or a value of one.
 */
export function parseFlags(context: Context, options: Option[], leading = false): void {
  const queue = context.words;
  const seen = new Set<Option>();
  let stopped = false;
  context.words = [];
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    if (word === "--") {
      context.literal.push(...queue.splice(0));
    } else if (stopped || word === "-" || !word.startsWith("-")) {
      stopped ||= leading;
      context.words.push(word);
    } else {
      const first = unfold(word, queue, options);
      const { flag, text } = splitFlag(first);
      const option = findOption(options, flag);
      if (option) {
        seen.add(option);
        take(context, option, flag, text, queue);
      } else if (leading) {
        stopped = true;
        context.words.push(first);
      } else {
        throw notAnOption("Unknown", flag, options);
      }
    }
  }
  addDefaults(context, options);
  validate(context, options, seen);
}

/** Returns the first flag of a word such as `-abc` or `-c3` and puts the others in the queue. */
function unfold(word: string, queue: string[], options: Option[]): string {
  // A long flag has two letters at least.
  if (/^--(.?$|-)/.test(word)) throw notAnOption("Invalid", word, options);
  if (word.startsWith("--") || word.length === 2 || word[2] === "=") return word;
  if (/\d$/.test(word)) {
    queue.unshift(word.slice(2));
    return word.slice(0, 2);
  }
  const [letters = "", ...value] = word.slice(1).split(/(?==)/);
  const flags = [...letters].map((letter) => `-${letter}`);
  queue.unshift(...flags.slice(1, -1), (flags.at(-1) ?? "") + value.join(""));
  return word.slice(0, 2);
}

/** Splits `--name=value`. An empty value counts as none, so that the next word is taken. */
function splitFlag(word: string): { flag: string; text: string | undefined } {
  const at = word.indexOf("=");
  if (at < 0) return { flag: word, text: undefined };
  return { flag: word.slice(0, at), text: word.slice(at + 1) || undefined };
}

function take(
  context: Context,
  option: Option,
  flag: string,
  text: string | undefined,
  queue: string[],
): void {
  const negated = flag.startsWith("--no-");
  const key = camelCase(negated ? option.name.replace(/^no-/, "") : option.name);
  const given = context.defaults.delete(key) ? undefined : context.options[key];
  if (given !== undefined && !option.collect) {
    const name = flag.replace(/^--no-/, "--");
    throw new ValidationError(
      `Option "${name}" can only occur once, but was found several times.`,
    );
  }
  const value = takeValue(option, text, queue, negated);
  context.options[key] = option.collect ? [...(given as unknown[] ?? []), value] : value;
  if (option.standalone) {
    context.standalone = option;
    context.long = flag.startsWith("--");
  }
}

function takeValue(
  option: Option,
  given: string | undefined,
  queue: string[],
  negated: boolean,
): unknown {
  const argument = option.args[0];
  const name = `Option "--${option.name}"`;
  if (!argument && given !== undefined) {
    throw new ValidationError(`${name} doesn't take a value, but got "${given}".`);
  }
  if (negated || !argument) return !negated;
  const text = given ?? queue[0];
  // A required value may begin with a dash; an optional one may not, unless it is a number.
  const isFlag = given === undefined && text?.startsWith("-") &&
    !(argument.type === "number" && !isNaN(Number(text)));
  if (!text || (argument.optional && isFlag)) {
    if (argument.optional) return argument.type === "boolean" ? true : option.default ?? true;
    throw new ValidationError(`Missing value for option "--${option.name}".`);
  }
  if (given === undefined) queue.shift();
  return convert(name, argument.type, text);
}

function addDefaults(context: Context, options: Option[]): void {
  for (const option of options) {
    const positive = option.name.replace(/^no-/, "");
    const negatable = positive !== option.name;
    const value = option.default ?? (negatable ? true : undefined);
    const key = camelCase(positive);
    if (value === undefined || context.options[key] !== undefined) continue;
    if (negatable && findOption(options, positive)) continue;
    context.options[key] = value;
    context.defaults.add(key);
  }
}

function validate(context: Context, options: Option[], seen: Set<Option>): void {
  const isSet = (name: string) => {
    if (!findOption(options, name)) throw new Error(`Unknown option "--${name}" in a definition.`);
    return context.options[camelCase(name)] !== undefined;
  };
  if (context.standalone) {
    const alone = [...seen].every((option) => option === context.standalone);
    if (alone) return;
    throw new ValidationError(
      `Option "--${context.standalone.name}" cannot be combined with other options.`,
    );
  }
  for (const { name, conflicts, depends } of seen) {
    const conflict = conflicts?.find(isSet);
    if (conflict) {
      throw new ValidationError(`Option "--${name}" conflicts with option "--${conflict}".`);
    }
    const missing = depends?.find((other) => !isSet(other));
    if (missing) throw new ValidationError(`Option "--${name}" depends on option "--${missing}".`);
  }
  for (const { name, required, conflicts } of options) {
    const excused = () =>
      conflicts?.some(isSet) || [...seen].some((option) => option.conflicts?.includes(name));
    if (required && context.options[camelCase(name)] === undefined && !excused()) {
      throw new ValidationError(`Missing required option "--${name}".`);
    }
  }
}

function notAnOption(how: string, flag: string, options: Option[]): ValidationError {
  const flags = options.flatMap((option) =>
    [option.name, ...option.aliases ?? []].map((name) => name.length > 1 ? `--${name}` : `-${name}`)
  );
  return new ValidationError(`${how} option "${flag}".${didYouMean("option", flag, flags)}`);
}

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
