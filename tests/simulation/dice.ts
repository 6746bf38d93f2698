import { seeded } from "../helpers/random.ts";

/** Random choices that are the same in every run with the same seed and names. */
export class Dice {
  readonly #random: () => number;

  /** Whoever has dice of its own is not disturbed when others throw more often, or not at all. */
  constructor(seed: number, ...names: (string | number)[]) {
    this.#random = seeded(names.reduce((hash: number, name) => hashOf(String(name), hash), seed));
  }

  /** From 0 up to 1. */
  share = (): number => this.#random();

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  /** A whole number from `min` to `max`, both included. */
  whole(min: number, max: number): number {
    return min + Math.floor(this.#random() * (max - min + 1));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random() * choices.length)]!;
  }

  /** One of the choices, each as often as its weight says. */
  weighted<T>(choices: readonly (readonly [weight: number, choice: T])[]): T {
    let rest = this.#random() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, choice] of choices) if ((rest -= weight) < 0) return choice;
    return choices.at(-1)![1];
  }
}

/** FNV-1a. */
export function hashOf(text: string, hash = 0x811c9dc5): number {
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
