import type { AnyCommand } from "./state.ts";

/** A mistake of the user's. With `throwErrors()`, `parse` rejects with it and prints nothing. */
export class ValidationError extends Error {
  readonly exitCode: number;
  /** The command whose words were wrong. */
  cmd?: AnyCommand;

  constructor(message: string, options: { exitCode?: number } = {}) {
    super(message);
    this.exitCode = options.exitCode ?? 2;
  }
}

/** Returns ` Did you mean <kind> "<nearest>"?`, or nothing when there are no candidates. */
export function didYouMean(kind: string, word: string, candidates: string[]): string {
  let nearest: string | undefined;
  let best = Infinity;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < best) [nearest, best] = [candidate, distance];
  }
  return nearest === undefined ? "" : ` Did you mean ${kind} "${nearest}"?`;
}

/** Counts the single-letter insertions, removals and replacements between two words. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (let at = 0; at < to.length; at++) {
      const replaced = cell(row, at) + (letter === to[at] ? 0 : 1);
      next.push(Math.min(replaced, cell(row, at + 1) + 1, cell(next, at) + 1));
    }
    row = next;
  }
  return cell(row, to.length);
}

function cell(row: number[], index: number): number {
  return row[index] ?? Infinity;
}
