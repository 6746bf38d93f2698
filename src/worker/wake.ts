import type { System } from "../system.ts";

/** A flag that somebody waits for: raising it ends the wait, or the next one if nobody waits now. */
export class Wake {
  readonly #system: System;
  #raised = false;
  #waiting: AbortController | undefined;

  constructor(system: System) {
    this.#system = system;
  }

  raise() {
    this.#raised = true;
    this.#waiting?.abort();
  }

  /** Resolves when the flag is raised, or after `ms`, and lowers it. */
  async wait(ms: number) {
    if (!this.#raised) {
      this.#waiting = new AbortController();
      await this.#system.sleep(ms, this.#waiting.signal);
      this.#waiting = undefined;
    }
    this.#raised = false;
  }
}
