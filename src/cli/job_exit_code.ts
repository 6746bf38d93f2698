import { constants } from "node:os";
import type { Attempt, Job } from "../job.ts";

export const TIMED_OUT = 124;
export const NEVER_RAN_TO_ITS_END = 125;

/**
 * The exit code that stands for a job that has ended: 0 if it completed, else that of its last attempt,
 * as a shell and `timeout` count them.
 */
export function jobExitCode({ state }: Pick<Job, "state">, last: Attempt | undefined): number {
  if (state === "completed") return 0;
  if (state === "cancelled") return NEVER_RAN_TO_ITS_END;
  if (last?.outcome === "timed_out") return TIMED_OUT;
  if (last?.exitCode != null) return last.exitCode;
  const signals: Record<string, number> = constants.signals;
  const signal = last?.signal ? signals[last.signal] : undefined;
  return signal === undefined ? NEVER_RAN_TO_ITS_END : 128 + signal;
}
