import { cancelled, type Outcome, settle, type Settleable, type Settlement } from "../job.ts";
import type { Ended, Lease, TurnResult } from "../store/store.ts";

/** The end of an attempt as a turn takes it, by the rules; `random` is from 0 to 1. */
export function endOf<Job extends Settleable & Ended["job"]>(
  { lease, job }: { lease: Lease; job: Job },
  outcome: Outcome,
  { begunAt, endedAt, random }: Pick<Ended, "begunAt" | "endedAt"> & { random: number },
): Ended & { job: Job } {
  const settlement = settle(job, outcome, { now: endedAt, random });
  const ifCancelled = cancelled(settlement, job.attempts);
  return { lease, job, begunAt, endedAt, settlement, ifCancelled };
}

/** The settlement that holds after a turn with this end; null if it was refused. */
export function whatBecameOf(
  { lease, settlement, ifCancelled }: Ended,
  { refused, cancelled }: TurnResult,
): Settlement | null {
  const isIn = (leases: readonly Lease[]) => leases.some(({ token }) => token === lease.token);
  return isIn(refused) ? null : isIn(cancelled) ? ifCancelled : settlement;
}
