import type { Worker } from "../store/store.ts";
import type { Processes } from "./processes.ts";

/** The longest stretch between two looks that counts as watching. */
const LONGEST_GAP_MS = 2000;

/** Why a worker process counts as dead. */
export type Death = "Its worker died" | "Its worker stopped renewing the lease";

/**
 * Judges whether worker processes are dead. On the same machine by the process itself; anywhere by
 * whether its beat still changes, on this process's own clock that nobody sets, counting only time
 * in which this process did watch: neither a clock step nor a sleep of the machine kills anybody.
 */
export class DeathWatch {
  readonly #processes: Processes;
  readonly #host: string;
  readonly #machine: string;
  readonly #seen = new Map<string, { beat: number; quietMs: number }>();
  #lookedAt: number | undefined;

  constructor(processes: Processes, host: string) {
    this.#processes = processes;
    this.#host = host;
    this.#machine = processes.machineId();
  }

  /** The dead ones of `workers`, with the reason; `now` is monotonic milliseconds. */
  look(workers: readonly Worker[], now: number): Map<string, Death> {
    const gapMs = Math.min(now - (this.#lookedAt ?? now), LONGEST_GAP_MS);
    this.#lookedAt = now;
    const dead = new Map<string, Death>();
    for (const worker of workers) {
      // Whoever has not been watching for a lease looks twice before it says so.
      const quietMs = this.#quietMs(worker, Math.min(gapMs, worker.leaseMs / 2));
      if (this.#isGone(worker)) dead.set(worker.id, "Its worker died");
      else if (quietMs > worker.leaseMs) {
        dead.set(worker.id, "Its worker stopped renewing the lease");
      }
    }
    this.#forget(workers);
    return dead;
  }

  #quietMs({ id, beat }: Worker, gapMs: number): number {
    const seen = this.#seen.get(id);
    const quietMs = seen?.beat === beat ? seen.quietMs + gapMs : 0;
    this.#seen.set(id, { beat, quietMs });
    return quietMs;
  }

  #isGone({ machine, host, process }: Worker): boolean {
    if (machine === this.#machine) return !this.#processes.isAlive(process);
    // The same host after another boot: whatever ran before is gone.
    return host === this.#host && bootOf(machine) !== bootOf(this.#machine);
  }

  #forget(workers: readonly Worker[]) {
    const known = new Set(workers.map(({ id }) => id));
    for (const id of this.#seen.keys()) if (!known.has(id)) this.#seen.delete(id);
  }
}

function bootOf(machine: string): string {
  return machine.split(" ")[0]!;
}
