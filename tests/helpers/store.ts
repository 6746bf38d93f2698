import { join } from "@std/path";
import { newId } from "../../src/ids.ts";
import { type NewJob, type Outcome, settle } from "../../src/job.ts";
import type { Claim, Lease, NewWorker, Store, Turn, TurnResult } from "../../src/store/store.ts";

export interface TempFolder extends Disposable {
  readonly path: string;
  /** The path of a file in it. */
  file(name: string): string;
}

/** A folder that is removed with everything in it at the end of the block. */
export function tempFolder(): TempFolder {
  const path = Deno.makeTempDirSync({ prefix: "queuectl-test-" });
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}

/** A job as `enqueue` would hand it to the store, but for what is said. */
export function newJob(said: Partial<NewJob> = {}): NewJob {
  return {
    id: newId(),
    command: "true",
    maxRetries: 3,
    backoffBase: 2,
    backoffMaxMs: 300_000,
    backoffJitter: 0,
    timeoutMs: null,
    cwd: "/",
    env: {},
    ...said,
  };
}

/** A worker process as it introduces itself, but for what is said. */
export function newWorker(said: Partial<NewWorker> = {}): NewWorker {
  return {
    id: newId(),
    host: "here",
    machine: "boot-1 pid:[1]",
    process: { pid: 4711, startedAt: "1000" },
    count: 1,
    leaseMs: 30_000,
    ...said,
  };
}

/** A turn in which nothing happens, but for what is said. */
export function turnOf(said: Partial<Turn> = {}): Turn {
  return { worker: "worker", settled: [], output: [], started: [], idle: [], ...said };
}

/** Claims jobs for `idle` executors, numbered from 1. */
export async function claim(
  store: Store,
  { now = 0, idle = 1, worker = "worker" } = {},
): Promise<Claim[]> {
  const executors = Array.from({ length: idle }, (_, i) => ({ executor: i + 1, token: newId(20) }));
  return (await store.turn(turnOf({ worker, idle: executors }), now)).claimed;
}

/** Claims one job; there must be one. */
export async function claimOne(store: Store, now = 0): Promise<Claim> {
  const [claimed] = await claim(store, { now });
  if (!claimed) throw new Error("There was no job to claim");
  return claimed;
}

/** Ends a claimed attempt, by the rules. */
export async function end(
  store: Store,
  { lease, job }: Claim,
  outcome: Outcome,
  now = 0,
): Promise<TurnResult> {
  const settlement = settle(job, outcome, { now, random: 0 });
  return await store.turn(turnOf({ settled: [{ lease, settlement }] }), now);
}

/** The same lease in other hands: somebody whose token is not the one that the job carries. */
export function stale(lease: Lease): Lease {
  return { ...lease, token: newId(20) };
}
