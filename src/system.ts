/** The outside world as far as a decision depends on it, so that tests can run in another one. */
export interface System {
  /** Epoch milliseconds by the wall clock, which people may set. */
  now(): number;
  /** Milliseconds since some moment, by a clock that only goes forward and that nobody sets. */
  monotonic(): number;
  /** A number from 0 up to 1. */
  random(): number;
  /** Resolves after `ms` milliseconds, or as soon as `signal` is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The longest time that setTimeout can wait; a longer one would fire at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const realSystem: System = {
  now: Date.now,
  monotonic: () => performance.now(),
  random: Math.random,
  sleep(ms, signal) {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, Math.min(ms, LONGEST_TIMER_MS));
      signal?.addEventListener("abort", done);
    });
  },
};
