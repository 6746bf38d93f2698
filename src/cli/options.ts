import { DURATION_RULE, parseDuration } from "../duration.ts";
import { badRequest, quote } from "../errors.ts";
import { JOB_STATES, type JobState } from "../job.ts";

/** The value of an option that is a whole number. Throws a bad request that says what is accepted. */
export function wholeNumber(
  flag: string,
  text: string,
  { min, max }: { min: number; max: number },
): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw badRequest(
    `Cannot read ${flag} ${quote(text)}: expected a whole number from ${min} to ${max}`,
  );
}

/** The value of an option that is a duration, in milliseconds. Throws a bad request. */
export function durationOption(flag: string, text: string, { minMs = 0 } = {}): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= minMs && Number.isSafeInteger(ms)) return ms;
  throw badRequest(`Cannot read ${flag} ${quote(text)}: expected ${DURATION_RULE}`);
}

/** The job state called `text`; `running` is another name of `processing`. Throws a bad request. */
export function stateOption(text: string): JobState {
  const wanted = text.toLowerCase();
  const state = wanted === "running" ? "processing" : JOB_STATES.find((state) => state === wanted);
  if (state) return state;
  throw badRequest(`Unknown state ${quote(text)}: expected ${JOB_STATES.join(", ")}`);
}
