import { constants } from "node:os";
import type { Attempt } from "../job.ts";

const TIMED_OUT = 124;
const NEVER_RAN_TO_ITS_END = 125;

/** The exit code that stands for a job: that of its last attempt, as a shell and `timeout` count them. */
export function jobExitCode(last: Attempt | undefined): number {
  if (last?.outcome === "timed_out") return TIMED_OUT;
  if (last?.exitCode != null) return last.exitCode;
  const signals: Record<string, number> = constants.signals;
  const signal = last?.signal ? signals[last.signal] : undefined;
  return signal === undefined ? NEVER_RAN_TO_ITS_END : 128 + signal;
}
