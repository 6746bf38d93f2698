import { resolve } from "@std/path";
import { badRequest, quote } from "./errors.ts";
import { NAME_RULE, newId } from "./ids.ts";
import { INSTANT_RULE } from "./instant.ts";
import type { NewJob, Prerequisite } from "./job.ts";
import {
  readCodes,
  readCommand,
  readDelay,
  readEnv,
  readIfExists,
  readInstant,
  readKeyText,
  readName,
  readNames,
  readOrNone,
  readPath,
  readPriority,
} from "./request_values.ts";
import { readSetting, type Settings } from "./settings.ts";

/** What a person may say of a new job; the rest comes from the settings. */
export type JobRequest = Partial<
  & Omit<NewJob, "backoffMaxMs" | "backoffJitter" | "schedule" | "after">
  & {
    /** How long after the enqueue, in milliseconds. */
    delayMs: number;
    /** Ids, or prefixes of ids. */
    after: string[];
    afterAny: string[];
  }
>;

/** Where and when a request is made. */
export interface Surroundings {
  /** The folder of the person's shell. */
  folder: string;
  /** Epoch milliseconds. */
  now: number;
  env(name: string): string | undefined;
}

/** A field of a request: as an option of `enqueue`, and under which keys in JSON. */
interface Field {
  flags: string;
  help: string;
  collect?: true;
  keys: readonly string[];
  /** What a JSON value may be; an option is always a string. */
  json: readonly ("string" | "number" | "null" | "object" | "array")[];
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
    help: `The job's id: ${NAME_RULE}.`,
    keys: ["id"],
    json: ["string"],
    read: (value, label) => ({ id: readName(value as string, label) }),
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
    read: (value, label) => ({ timeoutMs: readOrNone("timeout", value, label) }),
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
  {
    flags: "--queue <name:string>",
    help: "The queue that it goes to, instead of default.",
    keys: ["queue"],
    json: ["string"],
    read: (value, label) => ({ queue: readName(value as string, label) }),
  },
  {
    flags: "--priority <n:string>",
    help: "The higher, the sooner it runs (0).",
    keys: ["priority"],
    json: ["number"],
    read: (value, label) => ({ priority: readPriority(String(value), label) }),
  },
  {
    flags: "--run-at <time:string>",
    help: `Not before this time: ${INSTANT_RULE}.`,
    keys: ["run_at"],
    json: ["number", "string"],
    read: (value, label, { now }) => ({ runAt: readInstant(String(value), label, now) }),
  },
  {
    flags: "--delay <duration:string>",
    help: "Not before this time has passed.",
    keys: ["delay"],
    json: ["number", "string"],
    read: (value, label) => ({ delayMs: readDelay(String(value), label) }),
  },
  {
    flags: "--key <text:string>",
    help: "Of all jobs with the same key only one may be unfinished.",
    keys: ["key"],
    json: ["string"],
    read: (value, label) => ({ key: readKeyText(value as string, label) }),
  },
  {
    flags: "--if-exists <what:string>",
    help: "If there is one with this key: error, skip (its id is printed), or replace it.",
    keys: ["if_exists"],
    json: ["string"],
    read: (value, label) => ({ ifExists: readIfExists(value as string, label) }),
  },
  {
    flags: "--after <id:string>",
    help: "Only after this job has completed; cancelled if it does not. Repeatable.",
    collect: true,
    keys: ["after"],
    json: ["string", "array"],
    read: (value, label) => ({ after: readNames(value, label) }),
  },
  {
    flags: "--after-any <id:string>",
    help: "Only after this job has ended, however it did. Repeatable.",
    collect: true,
    keys: ["after_any"],
    json: ["string", "array"],
    read: (value, label) => ({ afterAny: readNames(value, label) }),
  },
  {
    flags: "--tag <tag:string>",
    help: "A word to find it by. Repeatable.",
    collect: true,
    keys: ["tags", "tag"],
    json: ["string", "array"],
    read: (value, label) => ({ tags: readNames(value, label) }),
  },
  {
    flags: "--ok-codes <codes:string>",
    help: "Exit codes other than 0 that are no failure, such as 3,4.",
    keys: ["ok_codes"],
    json: ["string", "number", "array"],
    read: (value, label) => ({ okCodes: readCodes("ok_codes", value, label) }),
  },
  {
    flags: "--fatal-codes <codes:string>",
    help: "Exit codes after which it is dead at once.",
    keys: ["fatal_codes"],
    json: ["string", "number", "array"],
    read: (value, label) => ({ fatalCodes: readCodes("fatal_codes", value, label) }),
  },
  {
    flags: "--snooze <duration:string>",
    help: "How long exit code 75 puts it off without costing an attempt, or none.",
    keys: ["snooze"],
    json: ["string", "number", "null"],
    read: (value, label) => ({ snoozeMs: readOrNone("snooze", value, label) }),
  },
];

export const DEFAULT_QUEUE = "default";

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
export function completeJob(
  request: JobRequest,
  settings: Settings,
  { folder, now, schedule = null }: Pick<Surroundings, "folder" | "now"> & {
    schedule?: string | null;
  },
): NewJob {
  refuseContradictions(request);
  const { delayMs, after = [], afterAny = [] } = request;
  // What was said of this job wins over what holds for all.
  const unless = (said: number[] = []) => (code: number) => !said.includes(code);
  return {
    id: request.id ?? newId(),
    command: request.command!,
    queue: request.queue ?? DEFAULT_QUEUE,
    priority: request.priority ?? 0,
    maxRetries: request.maxRetries ?? settings.max_retries,
    backoffBase: request.backoffBase ?? settings.backoff_base,
    backoffMaxMs: settings.backoff_max,
    backoffJitter: settings.backoff_jitter,
    timeoutMs: request.timeoutMs === undefined ? settings.timeout : request.timeoutMs,
    okCodes: request.okCodes ?? settings.ok_codes.filter(unless(request.fatalCodes)),
    fatalCodes: request.fatalCodes ?? settings.fatal_codes.filter(unless(request.okCodes)),
    snoozeMs: request.snoozeMs === undefined ? settings.snooze : request.snoozeMs,
    cwd: request.cwd ?? folder,
    env: request.env ?? {},
    tags: request.tags ?? [],
    key: request.key ?? null,
    ifExists: request.ifExists ?? "error",
    schedule,
    runAt: delayMs === undefined ? request.runAt ?? null : now + delayMs,
    after: [...prerequisites(after, false), ...prerequisites(afterAny, true)],
  };
}

function prerequisites(ids: string[], anyEnd: boolean): Prerequisite[] {
  return [...new Set(ids)].map((id) => ({ id, anyEnd }));
}

/** Throws a bad request where two things that were said of a job do not go together. */
export function refuseContradictions(request: JobRequest) {
  const { runAt, delayMs, key, ifExists, okCodes, fatalCodes } = request;
  if (runAt !== undefined && delayMs !== undefined) {
    throw badRequest("Cannot use both run-at and delay: expected one of them");
  }
  if (ifExists !== undefined && key === undefined) {
    throw badRequest("Cannot use if-exists without a key: expected the key that may exist");
  }
  const both = okCodes?.find((code) => fatalCodes?.includes(code));
  if (both !== undefined) {
    throw badRequest(`Cannot use exit code "${both}" as ok and as fatal: expected one of them`);
  }
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
