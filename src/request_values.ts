import { DURATION_RULE, parseDuration } from "./duration.ts";
import { badRequest, quote } from "./errors.ts";
import { isName, NAME_RULE } from "./ids.ts";
import { INSTANT_RULE, parseInstant } from "./instant.ts";
import type { Surroundings } from "./job_request.ts";
import { IF_EXISTS, type IfExists } from "./job.ts";
import { readSetting, type SettingName } from "./settings.ts";

// How the values of a job request are read, whether they come from options or from JSON.

/** One argument of a program may have 128 KiB with the zero behind it; the command is one. */
const LONGEST_COMMAND_BYTES = 128 * 1024 - 1;
/** Further from 0 than anybody needs, and near enough for the arithmetic of ranks. */
const HIGHEST_PRIORITY = 1_000_000;
const LONGEST_KEY = 256;
const LONGEST_DELAY_MS = 100 * 365 * 86_400_000;

/** Throws a bad request unless `command` can be executed as one argument of `sh -c`. */
export function readCommand(command: string, label = "command"): string {
  if (command.trim() === "") {
    throw badRequest(`Cannot use an empty ${label}: expected a shell command`);
  }
  // A UTF-16 unit is at most three bytes of UTF-8: most commands need not be measured.
  const bytes = command.length * 3 > LONGEST_COMMAND_BYTES
    ? new TextEncoder().encode(command).length
    : 0;
  if (bytes > LONGEST_COMMAND_BYTES) {
    throw badRequest(`Cannot use a ${label} of ${bytes} bytes: expected less than 128 KiB`);
  }
  return plainText(command, label);
}

/** Throws a bad request unless `name` may be the name of a job, a queue, a tag or a schedule. */
export function readName(name: string, label: string): string {
  if (!isName(name)) {
    throw badRequest(`Cannot use ${label} ${quote(name)}: expected ${NAME_RULE}`);
  }
  return name;
}

export function readNames(value: unknown, label: string): string[] {
  const names = Array.isArray(value) ? value : [value];
  if (names.some((name) => typeof name !== "string")) {
    throw badRequest(`Cannot set ${label} to ${quote(JSON.stringify(value))}: expected strings`);
  }
  return [...new Set(names.map((name) => readName(name, label)))];
}

export function readPriority(text: string, label: string): number {
  const priority = Number(text);
  if (/^[+-]?\d+$/.test(text) && Math.abs(priority) <= HIGHEST_PRIORITY) return priority;
  throw badRequest(
    `Cannot set ${label} to ${
      quote(text)
    }: expected a whole number from -${HIGHEST_PRIORITY} to ${HIGHEST_PRIORITY}`,
  );
}

export function readInstant(text: string, label: string, now: number): number {
  const at = parseInstant(text, now);
  if (at !== undefined) return at;
  throw badRequest(`Cannot set ${label} to ${quote(text)}: expected ${INSTANT_RULE}`);
}

export function readDelay(text: string, label: string): number {
  const delayMs = parseDuration(text);
  if (delayMs !== undefined && delayMs <= LONGEST_DELAY_MS) return delayMs;
  throw badRequest(`Cannot set ${label} to ${quote(text)}: expected ${DURATION_RULE}`);
}

export function readKeyText(key: string, label: string): string {
  if (key.trim() !== "" && key.length <= LONGEST_KEY) return plainText(key, label);
  throw badRequest(
    `Cannot use ${label} ${quote(key)}: expected a text of 1 to ${LONGEST_KEY} characters`,
  );
}

export function readIfExists(text: string, label: string): IfExists {
  const found = IF_EXISTS.find((each) => each === text);
  if (found) return found;
  throw badRequest(`Cannot set ${label} to ${quote(text)}: expected ${IF_EXISTS.join(", ")}`);
}

export function readCodes(name: "ok_codes" | "fatal_codes", value: unknown, label: string) {
  if (!Array.isArray(value)) return readSetting(name, String(value), label);
  if (value.every((code) => typeof code === "number")) {
    return readSetting(name, value.join(",") || "none", label);
  }
  throw badRequest(`Cannot set ${label} to ${quote(JSON.stringify(value))}: expected numbers`);
}

export function readOrNone<Name extends SettingName>(name: Name, value: unknown, label: string) {
  return readSetting(name, value === null ? "none" : String(value), label);
}

export function readPath(path: string, label: string): string {
  if (path.trim() === "") throw badRequest(`Cannot use an empty ${label}: expected a folder`);
  return plainText(path, label);
}

export function readEnv(
  value: unknown,
  label: string,
  { env }: Surroundings,
): Record<string, string> {
  const entries = Array.isArray(value)
    ? value.map((assignment: string) => splitAssignment(assignment, label, env))
    : Object.entries(value as Record<string, unknown>);
  for (const [key, text] of entries) {
    if (!/^[^=\0]+$/.test(key) || !key.isWellFormed() || typeof text !== "string") {
      throw badRequest(`Cannot set ${label} ${quote(key)}: expected a name and a string`);
    }
    plainText(text, `${label} ${quote(key)}`);
  }
  return Object.fromEntries(entries as [string, string][]);
}

function splitAssignment(
  assignment: string,
  label: string,
  env: Surroundings["env"],
): [string, string] {
  const at = assignment.indexOf("=");
  if (at >= 0) return [assignment.slice(0, at), assignment.slice(at + 1)];
  const now = assignment === "" ? undefined : env(assignment);
  if (now === undefined) {
    throw badRequest(
      `Cannot take ${label} ${quote(assignment)}: expected KEY=VALUE, or a KEY that is set now`,
    );
  }
  return [assignment, now];
}

/** What a program can be given, and a store can keep. */
function plainText(text: string, label: string): string {
  if (text.includes("\0")) {
    throw badRequest(`Cannot use a ${label} with a NUL character: expected text`);
  }
  if (!text.isWellFormed()) {
    throw badRequest(`Cannot use a ${label} with half a surrogate pair: expected text`);
  }
  return text;
}
