import { endName, type Job, type Settlement } from "../job.ts";
import type { Printed } from "./protocol.ts";

/** What a worker process tells the person who started it. `job` is the job's id. */
export type WorkerEvent =
  | { event: "started"; worker: string; pid: number; count: number }
  | { event: "claimed"; job: string; attempt: number; executor: number; command: string }
  | { event: "completed"; job: string; attempt: number; durationMs: number }
  | { event: "failed"; job: string; attempt: number; error: string; retryInMs: number }
  | { event: "dead"; job: string; attempt: number; error: string }
  | { event: "interrupted"; job: string; attempt: number }
  | { event: "snoozed"; job: string; attempt: number; retryInMs: number }
  | { event: "cancelled"; job: string; attempt: number }
  | { event: "recovered"; job: string; attempt: number; worker: string; state: string }
  | { event: "lost"; job: string; attempt: number; reason: string }
  | { event: "output"; job: string; printed: Printed }
  | { event: "warning"; message: string }
  | { event: "stopping"; running: number; force: boolean }
  | { event: "stopped"; worker: string };

/** The event of an attempt that was settled. */
export function endEvent(
  { id, attempts: attempt }: Pick<Job, "id" | "attempts">,
  settlement: Settlement,
  { durationMs, now }: { durationMs: number; now: number },
): WorkerEvent {
  const { error, runAt } = settlement;
  const name = endName(settlement);
  switch (name) {
    case "completed":
      return { event: name, job: id, attempt, durationMs };
    case "failed":
      return { event: name, job: id, attempt, error: error!, retryInMs: Math.max(0, runAt - now) };
    case "dead":
      return { event: name, job: id, attempt, error: error! };
    case "interrupted":
      return { event: name, job: id, attempt };
    case "snoozed":
      return { event: name, job: id, attempt, retryInMs: Math.max(0, runAt - now) };
    case "cancelled":
      return { event: name, job: id, attempt };
    case "pending":
    case "processing":
    case "blocked":
      throw new Error(`A settled job cannot be ${name}`);
  }
}
