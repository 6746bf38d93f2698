import { workerOf } from "../job.ts";
import { type HeldLease, type NewWorker, WHOLE_STORE } from "../store/store.ts";
import { sleep } from "../system.ts";
import { DeathWatch } from "./death.ts";
import { endOf, whatBecameOf } from "./ends.ts";
import type { World } from "./supervisor.ts";

/** What was killed takes a moment to be gone. */
const LOOKS = 6;
const LOOK_MS = 20;

/** A lease that nobody keeps any more. */
interface Left extends HeldLease {
  worker: string;
  reason: string;
}

/** What a recovery works with. */
export type RecoveryWorld = Pick<World, "store" | "system" | "processes" | "report">;

/** Takes back the jobs of worker processes that have died, once nothing of their attempts is left. */
export class Recovery {
  readonly #world: RecoveryWorld;
  readonly #me: string;
  readonly #deaths: DeathWatch;

  constructor(world: RecoveryWorld, me: Pick<NewWorker, "id" | "host">) {
    this.#world = world;
    this.#me = me.id;
    this.#deaths = new DeathWatch(world.processes, me.host);
  }

  /**
   * Settles those of the `held` leases as lost whose worker process is dead, and forgets dead worker
   * processes. `mine` are the tokens of this process's own attempts. True if a job came back.
   */
  async recover(held: readonly HeldLease[], mine: ReadonlySet<string>): Promise<boolean> {
    const { store, system } = this.#world;
    const workers = await store.workers();
    const others = workers.filter(({ id }) => id !== this.#me);
    const dead: Map<string, string> = this.#deaths.look(others, system.monotonic());
    const known = new Map(workers.map((worker) => [worker.id, worker]));
    const here = this.#world.processes.machineId();

    const left = held.flatMap((lease): Left[] => {
      const worker = workerOf(lease.job.workerId!);
      const reason = known.has(worker) ? dead.get(worker) : "Its worker is gone";
      const forgotten = worker === this.#me && !mine.has(lease.lease.token);
      if (reason === undefined && !forgotten) return [];
      // On another machine, or before it was started anew, its process id was somebody else's.
      const process = known.get(worker)?.machine === here ? lease.process : null;
      return [{ ...lease, process, worker, reason: reason ?? "Its worker lost track of it" }];
    });
    const living = await this.#killWhatLives(left);
    const over = left.filter((each) => !living.includes(each));
    if (over.length > 0) await this.#takeBack(over);
    for (const id of dead.keys()) {
      const mourned = !living.some(({ worker }) => worker === id);
      if (mourned) await store.deregister(id, known.get(id)!.beat);
    }
    return over.length > 0;
  }

  /** Those of which something cannot be killed. */
  async #killWhatLives(left: readonly Left[]): Promise<readonly Left[]> {
    const { system, processes } = this.#world;
    let living = left;
    for (let looks = 0; living.length > 0 && looks < LOOKS; looks++) {
      if (looks > 0) await sleep(system, LOOK_MS);
      const found = processes.killLeftovers(
        living.map(({ lease: { token }, process }) => ({ token, leader: process })),
      );
      living = living.filter(({ lease }) => found.has(lease.token));
    }
    return living;
  }

  // Only where nothing of the last attempt lives: two attempts of a job never overlap.
  async #takeBack(over: readonly Left[]) {
    const { store, system, report } = this.#world;
    const now = system.now();
    const when = { begunAt: null, endedAt: now };
    const settled = over.map(({ reason, ...left }) =>
      endOf(left, { kind: "lost", reason }, { ...when, random: system.random() })
    );
    const result = await store.turn({
      worker: this.#me,
      settled,
      output: [],
      started: [],
      idle: [],
      ahead: [],
      scope: WHOLE_STORE,
    }, now);
    for (const end of settled) {
      const state = whatBecameOf(end, result)?.state;
      const { id, attempts: attempt, workerId } = end.job;
      if (state) report({ event: "recovered", job: id, attempt, worker: workerId!, state });
    }
  }
}
