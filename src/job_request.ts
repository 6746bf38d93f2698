import { resolve } from "@std/path";
import { badRequest, quote } from "./errors.ts";
import { isJobId, JOB_ID_RULE, newId } from "./ids.ts";
import type { NewJob } from "./job.ts";
import { readSetting, type Settings } from "./settings.ts";

/** One argument of a program may have 128 KiB with the zero behind it; the command is one. */
const LONGEST_COMMAND_BYTES = 128 * 1024 - 1;

/** What a person may say of a new job; the rest comes from the settings. */
export type JobRequest = Partial<
  Pick<NewJob, "id" | "command" | "maxRetries" | "backoffBase" | "timeoutMs" | "cwd" | "env">
>;

/** Where a request is made. */
export interface Surroundings {
  /** The folder of the person's shell. */
  folder: string;
  env(name: string): string | undefined;
}

/** A field of a request: as an option of `enqueue`, and under which keys in JSON. */
interface Field {
  flags: string;
  help: string;
  collect?: true;
  keys: readonly string[];
  /** What a JSON value may be; an option is always a string. */
  json: readonly ("string" | "number" | "null" | "object")[];
  read(value: unknown, label: string, around: Surroundings): JobRequest;
}

/** Every field, declared once: the options of `enqueue` and the keys of JSON come from here. */
export const FIELDS: readonly Field[] = [
  {
    flags: "-c, --command <command:string>",
    help: "The shell command, as one word.",
    keys: ["command"],
    json: ["string"],
    read: (value, label) => ({ command: readCommand(value as string, label) }),
  },
  {
    flags: "--id <id:string>",
    help: `The job's id: ${JOB_ID_RULE}.`,
    keys: ["id"],
    json: ["string"],
    read: (value, label) => ({ id: readId(value as string, label) }),
  },
  {
    flags: "--max-retries <n:string>",
    help: "Executions before the job is dead.",
    keys: ["max_retries"],
    json: ["number"],
    read: (value, label) => ({ maxRetries: readSetting("max_retries", String(value), label) }),
  },
  {
    flags: "--backoff-base <n:string>",
    help: "After failed attempt n the job waits this ** n seconds.",
    keys: ["backoff_base", "base_backoff"],
    json: ["number"],
    read: (value, label) => ({ backoffBase: readSetting("backoff_base", String(value), label) }),
  },
  {
    flags: "--timeout <duration:string>",
    help: "The longest that an attempt may run, or none.",
    keys: ["timeout", "timeout_seconds"],
    json: ["number", "string", "null"],
    read: (value, label) => ({
      timeoutMs: readSetting("timeout", value === null ? "none" : String(value), label),
    }),
  },
  {
    flags: "--cwd <folder:string>",
    help: "The folder to run in, instead of the current one.",
    keys: ["cwd"],
    json: ["string"],
    read: (value, label, { folder }) => ({
      cwd: resolve(folder, readPath(value as string, label)),
    }),
  },
  {
    flags: "--env <assignment:string>",
    help: "KEY=VALUE for the job's environment, or KEY for the value of now. Repeatable.",
    collect: true,
    keys: ["env"],
    json: ["object"],
    read: (value, label, around) => ({ env: readEnv(value, label, around) }),
  },
];

const TIMEOUT_MS_KEY = "timeout_ms";
/** What other queues export along with a job, and what means nothing for a new one. */
const IGNORED_KEYS = ["attempts", "state", "created_at", "updated_at", "last_error"];

/** Reads the options of `enqueue`, by their names in camelCase. */
export function requestFromOptions(
  options: Record<string, unknown>,
  around: Surroundings,
): JobRequest {
  const request: JobRequest = {};
  for (const field of FIELDS) {
    const value = options[optionName(field)];
    if (value !== undefined) Object.assign(request, field.read(value, longFlag(field), around));
  }
  return request;
}

/** Reads a JSON object that describes a job. Throws a bad request that names the key. */
export function requestFromJson(json: unknown, around: Surroundings): JobRequest {
  if (typeOf(json) !== "object") {
    throw badRequest(`Cannot read a job from ${quote(JSON.stringify(json))}: expected an object`);
  }
  const request: JobRequest = {};
  for (const [key, value] of Object.entries(json as Record<string, unknown>)) {
    Object.assign(request, readKey(key, value, around));
  }
  if (request.command === undefined) {
    throw badRequest('Cannot read a job without "command": expected a shell command');
  }
  return request;
}

function readKey(key: string, value: unknown, around: Surroundings): JobRequest {
  const name = key.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);
  if (IGNORED_KEYS.includes(name)) return {};
  const inMs = name === TIMEOUT_MS_KEY;
  const field = FIELDS.find(({ keys }) => keys.includes(inMs ? "timeout" : name));
  if (!field) {
    const known = FIELDS.flatMap(({ keys }) => keys[0]!).join(", ");
    throw badRequest(`Unknown key ${quote(key)} in a job: expected ${known}`);
  }
  const type = typeOf(value);
  const accepted = inMs ? ["number", "null"] : field.json;
  if (!accepted.includes(type as "string")) {
    const shown = quote(JSON.stringify(value));
    throw badRequest(`Cannot set ${key} to ${shown}: expected a JSON ${accepted.join(" or ")}`);
  }
  return field.read(inMs && value !== null ? `${value}ms` : value, key, around);
}

/** A job that can be stored: what was said, and the settings of this moment for the rest. */
export function completeJob(request: JobRequest, settings: Settings, folder: string): NewJob {
  return {
    id: request.id ?? newId(),
    command: request.command!,
    maxRetries: request.maxRetries ?? settings.max_retries,
    backoffBase: request.backoffBase ?? settings.backoff_base,
    backoffMaxMs: settings.backoff_max,
    backoffJitter: settings.backoff_jitter,
    timeoutMs: request.timeoutMs === undefined ? settings.timeout : request.timeoutMs,
    cwd: request.cwd ?? folder,
    env: request.env ?? {},
  };
}

/** The name under which Cliffy gives a field's option: `maxRetries` for `--max-retries <n>`. */
function optionName(field: Field): string {
  return longFlag(field).slice(2).replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
}

function longFlag({ flags }: Field): string {
  return flags.match(/--[a-z-]+/)![0];
}

function typeOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
}

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
  return withoutNul(command, label);
}

function readId(id: string, label: string): string {
  if (!isJobId(id)) {
    throw badRequest(`Cannot use ${label} ${quote(id)}: expected ${JOB_ID_RULE}`);
  }
  return id;
}

function readPath(path: string, label: string): string {
  if (path.trim() === "") throw badRequest(`Cannot use an empty ${label}: expected a folder`);
  return withoutNul(path, label);
}

function readEnv(
  value: unknown,
  label: string,
  { env }: Surroundings,
): Record<string, string> {
  const entries = Array.isArray(value)
    ? value.map((assignment: string) => splitAssignment(assignment, label, env))
    : Object.entries(value as Record<string, unknown>);
  for (const [key, text] of entries) {
    if (!/^[^=\0]+$/.test(key) || typeof text !== "string") {
      throw badRequest(`Cannot set ${label} ${quote(key)}: expected a name and a string`);
    }
    withoutNul(text, `${label} ${quote(key)}`);
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

function withoutNul(text: string, label: string): string {
  if (text.includes("\0")) {
    throw badRequest(`Cannot use a ${label} with a NUL character: expected text`);
  }
  return text;
}
