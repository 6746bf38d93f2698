import { serves, type Worker } from "../store/store.ts";
import type { System } from "../system.ts";
import type { WorkerEvent } from "../worker/events.ts";
import type { Supervisor } from "../worker/supervisor.ts";
import { makeSupervisor, openWorkerStore } from "./worker_process.ts";

/** An executor in this process for one job that no worker process would run. */
export class OwnExecutor implements AsyncDisposable {
  readonly #system: System;
  readonly #path: string;
  readonly #job: string;
  readonly #onEvent: (event: WorkerEvent) => void;
  readonly #failure = Promise.withResolvers<never>();
  #finished: Promise<void> | undefined;
  #supervisor: Supervisor | undefined;

  constructor(system: System, path: string, job: string, onEvent: (event: WorkerEvent) => void) {
    this.#system = system;
    this.#path = path;
    this.#job = job;
    this.#onEvent = onEvent;
    this.#failure.promise.catch(() => {}); // whoever waits for it hears of it
  }

  /** Rejects when the executor cannot go on; otherwise never settles. */
  get failure(): Promise<never> {
    return this.#failure.promise;
  }

  get hasStarted(): boolean {
    return this.#finished !== undefined;
  }

  /** Starts, unless one of these worker processes serves the job's queue. */
  async startUnlessServed(workers: readonly Pick<Worker, "queues">[], queue: string) {
    const isServed = workers.some((worker) => serves(worker, queue));
    if (this.#finished || isServed) return;
    const store = await openWorkerStore(this.#path);
    const supervisor = this.#supervisor = makeSupervisor(
      this.#system,
      { store, path: this.#path },
      {
        count: 1,
        scope: { queues: null, only: this.#job },
        drain: true,
        report: (event) => this.#onEvent(event),
      },
    );
    this.#finished = supervisor.run()
      .catch((error) => this.#failure.reject(error))
      .finally(() => {
        store[Symbol.dispose]();
        this.#finished = undefined; // somebody may have stopped it between two attempts
      });
  }

  /** Lets go of the job: an attempt that runs is interrupted. */
  stop() {
    this.#supervisor?.stop(true);
  }

  /** Resolves when it has ended, which it does with its job. */
  async [Symbol.asyncDispose]() {
    await this.#finished;
  }
}
