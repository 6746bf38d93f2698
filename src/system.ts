/** The outside world as far as a decision depends on it, so that tests can run in another one. */
export interface System {
  /** Epoch milliseconds by the wall clock, which people may set. */
  now(): number;
  /** Milliseconds since some moment, by a clock that only goes forward and that nobody sets. */
  monotonic(): number;
  /** A number from 0 up to 1. */
  random(): number;
  /** Starts a timer of `ms` milliseconds; disposing of it calls it off. */
  timer(ms: number): Timer;
}

/** A wait that can be called off. `over` resolves when the time has passed. */
export interface Timer extends Disposable {
  readonly over: Promise<void>;
}

/** The longest time that setTimeout can wait; a longer one would fire at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const realSystem: System = {
  now: Date.now,
  monotonic: () => performance.now(),
  random: Math.random,
  timer(ms) {
    let id: ReturnType<typeof setTimeout>;
    const over = new Promise<void>((resolve) => {
      id = setTimeout(resolve, Math.min(ms, LONGEST_TIMER_MS));
    });
    return { over, [Symbol.dispose]: () => clearTimeout(id) };
  },
};

/** Resolves after `ms` milliseconds. */
export async function sleep(system: System, ms: number): Promise<void> {
  using timer = system.timer(ms);
  await timer.over;
}
