import { cancelled, settle, workerOf } from "../job.ts";
import { type HeldLease, type NewWorker, WHOLE_STORE } from "../store/store.ts";
import { sleep } from "../system.ts";
import { DeathWatch } from "./death.ts";
import type { World } from "./supervisor.ts";

/** What was killed takes a moment to be gone. */
const LOOKS = 6;
const LOOK_MS = 20;

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

    const mourned = new Set(dead.keys());
    let recovered = false;
    for (const lease of held) {
      const worker = workerOf(lease.job.workerId!);
      const reason = known.has(worker) ? dead.get(worker) : "Its worker is gone";
      const forgotten = worker === this.#me && !mine.has(lease.lease.token);
      if (reason === undefined && !forgotten) continue;
      // On another machine, or before it was started anew, its process id was somebody else's.
      const process = known.get(worker)?.machine === here ? lease.process : null;
      const left = { ...lease, process };
      if (await this.#takeBack(left, reason ?? "Its worker lost track of it")) recovered = true;
      else mourned.delete(worker);
    }
    for (const id of mourned) await store.deregister(id, known.get(id)!.beat);
    return recovered;
  }

  // False while something of the last attempt lives: two attempts of a job never overlap.
  async #takeBack({ lease, job, process }: HeldLease, reason: string): Promise<boolean> {
    const { store, system, processes, report } = this.#world;
    for (let looks = 1; !processes.killLeftovers(lease.token, process); looks++) {
      if (looks === LOOKS) return false;
      await sleep(system, LOOK_MS);
    }
    const now = system.now();
    const settlement = settle(job, { kind: "lost", reason }, { now, random: system.random() });
    const ifCancelled = cancelled(settlement, job.attempts);
    const result = await store.turn({
      worker: this.#me,
      settled: [{ lease, job, begunAt: null, endedAt: now, settlement, ifCancelled }],
      output: [],
      started: [],
      idle: [],
      ahead: [],
      scope: WHOLE_STORE,
    }, now);
    if (result.refused.length === 0) {
      const { id, attempts: attempt, workerId } = job;
      const { state } = result.cancelled.length > 0 ? ifCancelled : settlement;
      report({ event: "recovered", job: id, attempt, worker: workerId!, state });
    }
    return true;
  }
}
