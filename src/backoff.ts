/** How long a job waits between a failed attempt and the next one. */
export interface Backoff {
  /** The delay after attempt n is `backoffBase ** n` seconds. */
  backoffBase: number;
  /** The longest delay, before jitter, in milliseconds. */
  backoffMaxMs: number;
  /** A share of the delay, 0 to 1, that is added at random. */
  backoffJitter: number;
}

/**
 * The delay in milliseconds after failed attempt `attempt` (from 1): exponential, capped, with jitter on top,
 * so that jobs which failed together do not all come back together. `random` is from 0 to 1.
 */
export function backoffMs(backoff: Backoff, attempt: number, random: number): number {
  const delayMs = Math.min(backoff.backoffBase ** attempt * 1000, backoff.backoffMaxMs);
  return Math.round(delayMs * (1 + backoff.backoffJitter * random));
}
