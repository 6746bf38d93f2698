import { ValidationError } from "./errors.ts";

/** One `<name:type>`, `[name:type]` or variadic `<name...:type>` of a definition. */
export interface Argument {
  name: string;
  type: string;
  optional?: boolean;
  variadic?: boolean;
  /** The argument as it was written. */
  raw: string;
}

/** What the caller may say about an option besides its flags. */
export interface OptionSettings {
  hidden?: boolean;
  required?: boolean;
  collect?: boolean;
  default?: unknown;
  conflicts?: string[];
  depends?: string[];
}

/** An option of a command. */
export interface Option extends OptionSettings {
  /** The first long flag without its dashes. */
  name: string;
  aliases?: string[];
  flags: string[];
  description: string;
  args: Argument[];
  typeDefinition?: string;
  /** Known to the subcommands too. */
  global?: boolean;
  /** Cannot be combined with other options. */
  standalone?: boolean;
}

const VALUE = /^[<[].+[>\]]$/;
const ARGUMENT = /^[<[](?:\.\.\.)?([^:]+?)(?:\.\.\.)?(?::(\w+))?[>\]]$/;

/** Splits `-c, --count <n:integer>` or `start <id:string>` into names and arguments. */
export function splitDefinition(definition: string): { names: string[]; values: string } {
  const words = definition.trim().split(/[ ,=]+/);
  return {
    names: words.filter((word) => !VALUE.test(word)),
    values: words.filter((word) => VALUE.test(word)).join(" "),
  };
}

/** Parses `<id:string> [words...:string]`. Throws for a definition that no user could satisfy. */
export function parseArguments(definition: string): Argument[] {
  const list = definition.split(" ").filter(Boolean).map(parseArgument);
  for (const [index, argument] of list.slice(1).entries()) {
    const before = list[index];
    if (before?.variadic || (before?.optional && !argument.optional)) {
      throw new Error(`"${argument.raw}" cannot follow "${before.raw}".`);
    }
  }
  return list;
}

function parseArgument(raw: string): Argument {
  const [, name = "", type = "string"] = ARGUMENT.exec(raw) ?? [];
  if (!name) throw new Error(`"${raw}" is not an argument definition.`);
  if (!Object.hasOwn(CONVERTERS, type)) throw new Error(`Unknown type "${type}".`);
  return { name, type, optional: raw.startsWith("["), variadic: raw.includes("..."), raw };
}

/** Parses the flags of an option. Throws without a long flag, which names the option. */
export function parseOption(flags: string, description: string, settings?: OptionSettings): Option {
  const { names, values } = splitDefinition(flags);
  const args = parseArguments(values);
  const long = names.find((name) => name.startsWith("--"));
  if (!long) throw new Error(`Option "${flags}" has no long flag.`);
  if (args.length > 1 || args[0]?.variadic) throw new Error(`Option "${long}" has many values.`);
  const aliases = names.filter((name) => name !== long).map(withoutDashes);
  const name = withoutDashes(long);
  return { ...settings, name, aliases, flags: names, description, args, typeDefinition: values };
}

export function addOption(options: Option[], option: Option): Option[] {
  const taken = option.flags.find((flag) => findOption(options, flag));
  if (taken) throw new Error(`Duplicate option "${taken}".`);
  return [...options, option];
}

function withoutDashes(flag: string): string {
  return flag.replace(/^-+/, "");
}

/** Finds the option with this name or alias, with or without dashes. */
export function findOption(options: Option[], flag: string): Option | undefined {
  const name = withoutDashes(flag);
  return options.find((option) => option.name === name || option.aliases?.includes(name));
}

const CONVERTERS: Record<string, (text: string) => unknown> = {
  string: (text) => text,
  number: (text) => Number.isFinite(Number(text)) ? Number(text) : undefined,
  integer: (text) => Number.isInteger(Number(text)) ? Number(text) : undefined,
  boolean: (text) => /^(true|1)$/.test(text) || (/^(false|0)$/.test(text) ? false : undefined),
};

/** Converts one word of the user's. `what` names it in the error, as in `Option "--count"`. */
export function convert(what: string, type: string, text: string): unknown {
  const value = CONVERTERS[type]?.(text);
  if (value !== undefined) return value;
  const expected = type === "boolean" ? ' Expected values: "true", "false", "1", "0"' : "";
  throw new ValidationError(`${what} must be of type "${type}", but got "${text}".${expected}`);
}

/** Converts the words to the arguments. Throws unless there are as many as there must be. */
export function takeArguments(list: Argument[], words: string[]): unknown[] {
  const rest = [...words];
  const required = list.filter((argument) => !argument.optional).map(({ name }) => name);
  if (rest.length === 0 && required.length > 0) {
    throw new ValidationError(`Missing argument(s): ${required.join(", ")}`);
  }
  const values = list.flatMap(({ name, type, optional, variadic }) => {
    if (rest.length === 0 && !optional) throw new ValidationError(`Missing argument: ${name}`);
    const taken = rest.splice(0, variadic ? rest.length : 1);
    return taken.map((word) => convert(`Argument "${name}"`, type, word));
  });
  if (rest.length > 0) throw new ValidationError(`Too many arguments: ${rest.join(" ")}`);
  return values;
}
