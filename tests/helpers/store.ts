import { join } from "@std/path";
import { newId } from "../../src/ids.ts";
import type { NewJob, Outcome } from "../../src/job.ts";
import type { StoreFile } from "../../src/store/sqlite.ts";
import {
  type By,
  type Claim,
  type Ended,
  type Lease,
  type NewWorker,
  type Store,
  type Turn,
  type TurnResult,
  WHOLE_STORE,
} from "../../src/store/store.ts";
import { endOf } from "../../src/worker/ends.ts";

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

/** The file of a store that wakes nobody and is not to be copied. */
export function silentFile(path: string): StoreFile {
  const silent = { ring() {} };
  const syncLog = () => Promise.resolve();
  return { path, verify() {}, syncLog, copyTo() {}, wake: silent, news: silent };
}

/** A job as `enqueue` would hand it to the store, but for what is said. */
export function newJob(said: Partial<NewJob> = {}): NewJob {
  return {
    id: newId(),
    command: "true",
    queue: "default",
    priority: 0,
    maxRetries: 3,
    backoffBase: 2,
    backoffMaxMs: 300_000,
    backoffJitter: 0,
    timeoutMs: null,
    okCodes: [],
    fatalCodes: [],
    snoozeMs: null,
    cwd: "/",
    env: {},
    tags: [],
    key: null,
    ifExists: "error",
    schedule: null,
    runAt: null,
    after: [],
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
    queues: null,
    leaseMs: 30_000,
    ...said,
  };
}

/** A turn in which nothing happens, but for what is said. */
export function turnOf(said: Partial<Turn> = {}): Turn {
  return {
    worker: "worker",
    settled: [],
    output: [],
    started: [],
    idle: [],
    ahead: [],
    scope: WHOLE_STORE,
    ...said,
  };
}

/** A turn of a worker process that has introduced itself: others get no jobs. */
export async function takeTurn(
  store: Store,
  said: Partial<Turn>,
  now: number,
): Promise<TurnResult> {
  const turn = turnOf(said);
  await store.register(newWorker({ id: turn.worker }), now);
  return await store.turn(turn, now);
}

/** Something that is done at `now`. */
export function by(now = 0, actor = "tester"): By {
  return { now, actor };
}

/** The end of a claimed attempt, by the rules. */
export function ended(
  { lease, job }: Pick<Claim, "lease" | "job">,
  outcome: Outcome,
  now = 0,
): Ended {
  return endOf({ lease, job }, outcome, { begunAt: null, endedAt: now, random: 0 });
}

/** Claims jobs for `idle` executors, numbered from 1. */
export async function claim(
  store: Store,
  { now = 0, idle = 1, worker = "worker" } = {},
): Promise<Claim[]> {
  const executors = Array.from({ length: idle }, (_, i) => ({ executor: i + 1, token: newId(20) }));
  return (await takeTurn(store, { worker, idle: executors }, now)).claimed;
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
  claim: Pick<Claim, "lease" | "job">,
  outcome: Outcome,
  now = 0,
): Promise<TurnResult> {
  return await store.turn(turnOf({ settled: [ended(claim, outcome, now)] }), now);
}

/** The same lease in other hands: somebody whose token is not the one that the job carries. */
export function stale(lease: Lease): Lease {
  return { ...lease, token: newId(20) };
}
