/**
 * An executor is given so much ahead as it will have begun within this time, if all take as long as
 * its last.
 */
const AHEAD_MS = 100;
/** No more than so many: enough for one turn to settle and claim many, because a turn has its price. */
const MOST_AHEAD = 16;
/** Where the commands turn out to take longer, no more than so much is left waiting. */
const MOST_WAIT_MS = 500;
/** A command that takes longer than this, and twice as long as the one before, has nothing wait behind it. */
const LEAST_PATIENCE_MS = 50;

interface InHand {
  executor: number;
  /** On the monotonic clock. */
  startedAt: number;
}

/** What each executor of a worker process runs, and what it will run next. */
export class Executors<T extends InHand> {
  readonly #limit: number;
  readonly #idle: number[];
  readonly #running = new Map<number, T>();
  readonly #waiting = new Map<number, T[]>();
  /** How many commands of each have ended. */
  readonly #executed = new Map<number, number>();
  /** How long the last command of each took, in milliseconds. */
  readonly #lastTookMs = new Map<number, number>();
  /** Those from which what waits is being taken back: until that is done they are given no more. */
  readonly #clearing = new Set<number>();

  /** Each of `count` executors ends after `limit` commands. */
  constructor({ count, limit = Infinity }: { count: number; limit?: number }) {
    this.#limit = limit;
    this.#idle = Array.from({ length: count }, (_, i) => i + 1);
  }

  /** Those that have nothing to do and have not reached their limit. */
  get idle(): readonly number[] {
    return this.#idle;
  }

  /** Those that can be given something ahead, each as often as it can take one, by turns. */
  ahead(now: number): number[] {
    const open = [...this.#lastTookMs].filter(([executor]) => {
      const running = this.#running.get(executor);
      return !this.#clearing.has(executor) &&
        (!running || now - running.startedAt < this.patienceMs(executor));
    });
    const places = Array.from({ length: MOST_AHEAD }, (_, place) => place);
    return places.flatMap((place) =>
      open.filter(([executor, lastTookMs]) =>
        (place + 1) * lastTookMs <= AHEAD_MS && this.#waitingOf(executor).length <= place &&
        this.#mayRun(executor, place + 2)
      ).map(([executor]) => executor)
    );
  }

  /** How long its command may run with others behind it, in milliseconds. */
  patienceMs(executor: number): number {
    const expectedMs = this.#lastTookMs.get(executor) ?? 0;
    return Math.min(AHEAD_MS, Math.max(LEAST_PATIENCE_MS, 2 * expectedMs));
  }

  /** What runs, one for each busy executor. */
  get running(): T[] {
    return [...this.#running.values()];
  }

  /** What runs and what waits. */
  get inHand(): T[] {
    return [...this.#running.values(), ...[...this.#waiting.values()].flat()];
  }

  runningOn(executor: number): T | undefined {
    return this.#running.get(executor);
  }

  /** Whether it still waits for the end of another one. */
  waits(item: T): boolean {
    return this.#waitingOf(item.executor).includes(item);
  }

  /** Gives an executor its next command: it begins at once, or when those before it have ended. */
  give(item: T) {
    const at = this.#idle.indexOf(item.executor);
    if (at < 0) {
      this.#waitingOf(item.executor).push(item);
      return;
    }
    this.#idle.splice(at, 1);
    this.#running.set(item.executor, item);
  }

  /** What an executor ran has ended after `tookMs`. Returns what it runs now, at `now`, if something waited. */
  end(executor: number, { tookMs, now }: { tookMs: number; now: number }): T | undefined {
    this.#running.delete(executor);
    this.#executed.set(executor, (this.#executed.get(executor) ?? 0) + 1);
    this.#lastTookMs.set(executor, tookMs);
    const next = this.#waitingOf(executor).shift();
    if (next) {
      next.startedAt = now;
      this.#running.set(executor, next);
    } else {
      this.#clearing.delete(executor);
      if (this.#mayRun(executor, 1)) this.#idle.push(executor);
    }
    return next;
  }

  /** Whether too much waits for an executor, if all take as long as its last. */
  isOverloaded(executor: number): boolean {
    const lastTookMs = this.#lastTookMs.get(executor) ?? 0;
    return this.#waitingOf(executor).length * lastTookMs > MOST_WAIT_MS;
  }

  /** Begins to take back what waits. False if nothing does, or it has begun already. */
  clear(executor: number): boolean {
    if (this.#waitingOf(executor).length === 0 || this.#clearing.has(executor)) return false;
    this.#clearing.add(executor);
    return true;
  }

  /** Takes back the first `count` of what waits. */
  takeBack(executor: number, count: number): T[] {
    this.#clearing.delete(executor);
    return this.#waitingOf(executor).splice(0, count);
  }

  /** Whether it may run so many more before it ends. */
  #mayRun(executor: number, more: number): boolean {
    return (this.#executed.get(executor) ?? 0) + more <= this.#limit;
  }

  #waitingOf(executor: number): T[] {
    const waiting = this.#waiting.get(executor) ?? [];
    this.#waiting.set(executor, waiting);
    return waiting;
  }
}
