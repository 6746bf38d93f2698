import { badRequest, quote } from "../errors.ts";
import {
  FIELDS,
  type JobRequest,
  refuseContradictions,
  requestFromOptions,
  type Surroundings,
} from "../job_request.ts";
import type { GlobalOptions } from "./app.ts";
import { at, type EnqueueInput, readEnqueueInput } from "./enqueue_input.ts";

/** Options of which only their names are known when the program is compiled. */
export type JobOptions = GlobalOptions & Record<string, unknown>;

interface TakesOptions {
  option(flags: string, description: string, settings: { collect?: true }): unknown;
}

/** Gives a command the options that say what a job is to be, but for those in `without`. */
export function addJobOptions<C extends TakesOptions>(command: C, without: string[] = []): C {
  for (const { flags, help, keys, collect } of FIELDS) {
    if (!without.includes(keys[0]!)) command.option(flags, help, { collect });
  }
  return command;
}

/** The jobs that the words and options of a command ask for, and where each stands if it was a list. */
export async function readRequests(
  options: JobOptions,
  words: string[],
  around: Surroundings,
): Promise<EnqueueInput> {
  const said = requestFromOptions(options, around);
  if (said.command !== undefined) {
    if (words.length === 0) {
      refuseContradictions(said);
      return { requests: [said], places: null };
    }
    throw badRequest(
      `Cannot enqueue both --command and ${quote(words.join(" "))}: expected one of them`,
    );
  }
  const input = await readEnqueueInput(words, around, readBytes);
  const requests = input.requests.map((request) => overridden(request, said));
  requests.forEach((request, i) => at(input.places?.[i], () => refuseContradictions(request)));
  return { requests, places: input.places };
}

/** What options say wins over JSON, also over what does not go together with it. */
function overridden(request: JobRequest, said: JobRequest): JobRequest {
  const merged = { ...request, ...said };
  if (said.env) merged.env = { ...request.env, ...said.env };
  if (said.delayMs !== undefined && said.runAt === undefined) delete merged.runAt;
  if (said.runAt !== undefined && said.delayMs === undefined) delete merged.delayMs;
  if (said.okCodes && !said.fatalCodes) {
    merged.fatalCodes = request.fatalCodes?.filter((code) => !said.okCodes!.includes(code));
  }
  if (said.fatalCodes && !said.okCodes) {
    merged.okCodes = request.okCodes?.filter((code) => !said.fatalCodes!.includes(code));
  }
  return merged;
}

async function readBytes(path: string | undefined): Promise<Uint8Array> {
  if (path !== undefined) return await Deno.readFile(path);
  return new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer());
}
