import { resolve } from "@std/path";
import { badRequest, operationFailed, quote, UserError } from "../errors.ts";
import { type JobRequest, requestFromJson, type Surroundings } from "../job_request.ts";
import { readCommand } from "../request_values.ts";

/** What `enqueue` was asked for, and whether it was one job or a list of them. */
export interface EnqueueInput {
  requests: JobRequest[];
  /** Where each stands in the list, such as `line 3`; null if it is no list. */
  places: string[] | null;
}

/**
 * Reads the words of `enqueue`: a shell command, an argument list, JSON, or where to read JSON from.
 * `readFile` returns the bytes of a file, or of standard input for undefined.
 */
export async function readEnqueueInput(
  words: readonly string[],
  around: Surroundings,
  readFile: (path: string | undefined) => Promise<Uint8Array>,
): Promise<EnqueueInput> {
  const [word, ...more] = words;
  if (word === undefined) {
    throw badRequest("Cannot enqueue nothing: expected a command, JSON, @FILE or @-");
  }
  if (more.length > 0) return one({ command: readCommand(quoteWords(words)) });
  const text = word.trim();
  if (text === "-" || text === "@-") return readJobs(decode(await readFile(undefined)), around);
  if (/^@\s*[{[]/.test(text)) return readJobs(text.slice(1), around);
  if (text.startsWith("@")) {
    const path = resolve(around.folder, text.slice(1));
    return readJobs(decode(await readNamed(path, readFile)), around);
  }
  if (isJson(text)) return one(requestFromJson(parse(text), around));
  return one({ command: readCommand(word) });
}

/** Whether a single word is meant as JSON. `{ echo a; }` is a command of the shell. */
function isJson(text: string): boolean {
  return /^\{["}]/.test(text) || /^\{\s+("(?:[^"\\]|\\.)*"\s*:|\})/.test(text);
}

const RESERVED = /^(if|then|elif|else|fi|for|in|do|done|while|until|case|esac)$/;

/** The words as one shell command in which each of them stays one word. */
function quoteWords(words: readonly string[]): string {
  if (words[0] === "") readCommand("");
  return words.map((word, i) => {
    // NAME=value in front would be an assignment.
    const plain = i === 0 ? /^[\w@%+:,./-]+$/ : /^[\w@%+=:,./-]+$/;
    return plain.test(word) && !(i === 0 && RESERVED.test(word))
      ? word
      : `'${word.replaceAll("'", `'\\''`)}'`;
  }).join(" ");
}

function one(request: JobRequest): EnqueueInput {
  return { requests: [request], places: null };
}

/** Jobs from the text of a file: one JSON object, an array of them, or one object a line. */
function readJobs(text: string, around: Surroundings): EnqueueInput {
  const whole = tryParse(text);
  if (Array.isArray(whole)) {
    if (whole.length === 0) throw emptyInput();
    const places = whole.map((_, i) => `job ${i + 1}`);
    return {
      requests: whole.map((job, i) => at(places[i], () => requestFromJson(job, around))),
      places,
    };
  }
  if (whole !== undefined) return one(requestFromJson(whole, around));
  return readLines(text, around);
}

function readLines(text: string, around: Surroundings): EnqueueInput {
  const requests: JobRequest[] = [];
  const places: string[] = [];
  text.split("\n").forEach((line, i) => {
    if (line.trim() === "") return;
    const place = `line ${i + 1}`;
    requests.push(at(place, () => requestFromJson(parse(line), around)));
    places.push(place);
  });
  if (requests.length === 0) throw emptyInput();
  return { requests, places };
}

function emptyInput(): UserError {
  return badRequest("Cannot enqueue from an empty input: expected JSON objects");
}

/** Does something, and says of a mistake where in the input it stands, if it is a list. */
export function at<T>(place: string | undefined, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw placed(error, place);
  }
}

/** `error` with where in the input it stands, if that is known. */
export function placed(error: unknown, place: string | undefined): unknown {
  if (!(error instanceof UserError) || place === undefined) return error;
  return new UserError(`In ${place}: ${error.message}`, error.exitCode, { cause: error });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badRequest(`Cannot read JSON ${quote(text.trim())}: ${(error as Error).message}`, error);
  }
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // JSON lines, or a mistake that is reported with its line
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    const problem = badRequest("Cannot read the input as UTF-8: expected JSON in UTF-8", error);
    throw placed(problem, `line ${firstBadLine(bytes)}`);
  }
}

/** The number of the first line that is no UTF-8. */
function firstBadLine(bytes: Uint8Array): number {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for (let line = 1, start = 0;; line++) {
    const end = bytes.indexOf(0x0a, start);
    try {
      decoder.decode(bytes.subarray(start, end < 0 ? undefined : end));
    } catch {
      return line;
    }
    start = end + 1;
  }
}

async function readNamed(
  path: string,
  readFile: (path: string) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : "it cannot be read";
    throw operationFailed(`Cannot read ${quote(path)}: ${reason}`, error);
  }
}
