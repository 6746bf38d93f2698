import { jobJson } from "../job_json.ts";
import type { Settings } from "../settings.ts";
import type { WorkerEvent } from "./events.ts";
import type { World } from "./supervisor.ts";

type HookName = "hook_completed" | "hook_dead" | "hook_idle";

/** Runs the hooks that people have set, when what they wait for has happened. */
export class HookRunner {
  readonly #world: World;
  readonly #settings: () => Settings;
  readonly #onQuiet: () => void;
  #begun: Promise<void> = Promise.resolve();
  #last: symbol | null = null;

  /** `onQuiet` is called when the last hook has ended. */
  constructor(world: World, settings: () => Settings, onQuiet: () => void) {
    this.#world = world;
    this.#settings = settings;
    this.#onQuiet = onQuiet;
  }

  /** Whether no hook runs or waits. */
  get isQuiet(): boolean {
    return this.#last === null;
  }

  /** Looks whether an event is one that a hook is set for. */
  told(event: WorkerEvent) {
    if (event.event === "completed") this.#run("hook_completed", event.job);
    if (event.event === "dead") this.#run("hook_dead", event.job);
    if (event.event === "recovered" && event.state === "dead") this.#run("hook_dead", event.job);
  }

  /** Nothing is left to run. */
  idle() {
    this.#run("hook_idle", null);
  }

  end() {
    this.#world.hooks.end();
  }

  #run(name: HookName, id: string | null) {
    const command = this.#settings()[name];
    if (command === null) return;
    const me = this.#last = Symbol();
    this.#begun = this.#begun.then(() => this.#begin(name, command, id));
    this.#begun.then(() => this.#world.hooks.finished()).then(() => {
      if (this.#last !== me) return; // a later one tells
      this.#last = null;
      this.#onQuiet();
    });
  }

  async #begin(name: HookName, command: string, id: string | null) {
    const { store, hooks, report } = this.#world;
    const env: Record<string, string> = { QUEUECTL_HOOK: name.slice("hook_".length) };
    if (id === null) return hooks.run({ name, command, env, input: "" });
    try {
      const job = await store.get(id);
      if (!job) throw new Error(`No job ${id}`);
      env.QUEUECTL_JOB_ID = id;
      env.QUEUECTL_STATE = job.state;
      env.QUEUECTL_QUEUE = job.queue;
      env.QUEUECTL_ATTEMPT = String(job.attempts);
      if (job.exitCode !== null) env.QUEUECTL_EXIT_CODE = String(job.exitCode);
      hooks.run({ name, command, env, input: JSON.stringify(jobJson(job)) + "\n" });
    } catch (error) {
      const message = `The ${name} of job ${id} did not run: ${(error as Error).message}`;
      report({ event: "warning", message });
    }
  }
}
