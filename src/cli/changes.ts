import { listenForBell } from "../store/bell.ts";
import type { Store } from "../store/store.ts";
import { sleep, type System } from "../system.ts";
import { Wake } from "../worker/wake.ts";

/** However fast others write, nobody needs to look more often. */
const FASTEST_MS = 50;

/** Waits for others to write to the store. */
export class Changes implements Disposable {
  readonly #store: Store;
  readonly #system: System;
  readonly #wake: Wake;
  readonly #bell: Disposable;
  #seen: number;
  #lookedAt = -Infinity;

  constructor(store: Store, system: System, path: string) {
    this.#store = store;
    this.#system = system;
    this.#wake = new Wake(system);
    this.#bell = listenForBell(path, "news", () => this.#wake.raise());
    this.#seen = store.changes();
  }

  [Symbol.dispose]() {
    this.#bell[Symbol.dispose]();
  }

  /** Ends a wait, or the next one. */
  wake() {
    this.#seen = -1;
    this.#wake.raise();
  }

  /** Resolves when somebody has written since it last did, or after `ms` at the latest. */
  async next(ms: number) {
    const until = this.#system.monotonic() + ms;
    const restMs = this.#lookedAt + FASTEST_MS - this.#system.monotonic();
    if (restMs > 0) await sleep(this.#system, Math.min(ms, restMs));
    while (true) {
      const changes = this.#store.changes();
      const now = this.#system.monotonic();
      if (changes !== this.#seen || now >= until) {
        this.#seen = changes;
        this.#lookedAt = now;
        return;
      }
      await this.#wake.wait(until - now);
    }
  }
}
