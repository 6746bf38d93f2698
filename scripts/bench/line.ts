/** One line of the table: what is measured, and what it is compared with. */
export interface Line {
  what: string;
  unit: "/s" | "ms" | "µs" | "s" | "MiB" | "%" | "";
  /** The line that it is a ratio to. */
  to?: string;
  /** With --check the ratio, or the value of a line that has none, may not be below or above. */
  atLeast?: number;
  atMost?: number;
  /** Measures it once, in the round with this number. */
  measure(round: number): number | Promise<number>;
}

/** A group of lines, with what has to be taken away afterwards. */
export interface Section extends Disposable {
  lines: Line[];
}

/** How much is done: less of it with --quick. */
export interface Size {
  /** Jobs a drain. */
  jobs: number;
  /** Jobs that are enqueued in bulk. */
  bulk: number;
  /** Rows in a store that has grown. */
  rows: number;
  /** Single operations of which the median counts. */
  samples: number;
}

/** Calls `measure` for the first line of a round that asks, and gives its result to the others too. */
export function onceARound<T>(measure: () => Promise<T>): (round: number) => Promise<T> {
  let last: { round: number; result: Promise<T> } | undefined;
  return (round) => {
    if (last?.round !== round) last = { round, result: measure() };
    return last.result;
  };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}

export async function milliseconds(action: () => unknown): Promise<number> {
  const begin = performance.now();
  await action();
  return performance.now() - begin;
}

/** `count` things in the time that `action` takes, per second. */
export async function perSecond(count: number, action: () => unknown): Promise<number> {
  return count / (await milliseconds(action)) * 1000;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
