import type { System } from "../system.ts";

/** A flag that somebody waits for: raising it ends the wait, or the next one if nobody waits now. */
export class Wake {
  readonly #system: System;
  #raised = false;
  #wakeUp: (() => void) | undefined;

  constructor(system: System) {
    this.#system = system;
  }

  raise() {
    this.#raised = true;
    this.#wakeUp?.();
  }

  /** Resolves when the flag is raised, or after `ms`, and lowers it. */
  async wait(ms: number) {
    if (!this.#raised) {
      const raised = new Promise<void>((resolve) => this.#wakeUp = resolve);
      using sleep = this.#system.timer(ms);
      await Promise.race([raised, sleep.over]);
      this.#wakeUp = undefined;
    }
    this.#raised = false;
  }
}
