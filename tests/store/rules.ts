import type { Outcome } from "../../src/job.ts";
import type { Claim, OutputChunk, Store, StoredEvent } from "../../src/store/store.ts";
import { newId } from "../../src/ids.ts";
import { by, claimOne, end, newJob, takeTurn, turnOf } from "../helpers/store.ts";

// What the rules of the conformance suites have in common.

/** One store that is empty at first. Disposing of it closes its connections and removes it. */
export interface FreshStore extends AsyncDisposable {
  /** Opens another connection to it, as another process would. */
  connect(): Promise<Store>;
}

export type Connect = () => Promise<Store>;

/** Declares promises of the Store interface as tests of whatever `freshStore` makes. */
export function rulesFor(name: string, freshStore: () => Promise<FreshStore>) {
  return (promise: string, check: (connect: Connect) => Promise<void>) =>
    Deno.test(`${name}: ${promise}`, async () => {
      await using fresh = await freshStore();
      await check(() => fresh.connect());
    });
}

export const NOW = Date.UTC(2030, 0, 1);
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
/** More than there ever are. */
export const ALL = 1_000_000;

export const DONE: Outcome = { kind: "exited", code: 0 };
export const FAILED: Outcome = { kind: "exited", code: 1 };
export const LOST: Outcome = { kind: "lost", reason: "Its worker died" };
export const INTERRUPTED: Outcome = { kind: "interrupted" };

export function chunk(
  start: number,
  text: string,
  stream: OutputChunk["stream"] = "stdout",
): OutputChunk {
  return { start, stream, bytes: new TextEncoder().encode(text) };
}

export function jobIds(claims: readonly Claim[]): string[] {
  return claims.map(({ job }) => job.id);
}

export async function idsOf(store: Store): Promise<string[]> {
  return (await store.list({}, ALL)).jobs.map(({ id }) => id);
}

/** The state of each job, by its id. */
export async function statesOf(store: Store): Promise<Record<string, string>> {
  const { jobs } = await store.list({}, ALL);
  return Object.fromEntries(jobs.map(({ id, state }) => [id, state]));
}

/** What has happened, or only what has happened to one job. */
export async function eventsOf(store: Store, job?: string): Promise<StoredEvent[]> {
  const events = await store.events(0, ALL);
  return job === undefined ? events : events.filter((event) => event.job === job);
}

/** A store with one job that is being worked on. */
export async function running(connect: Connect) {
  const store = await connect();
  await store.enqueue([newJob()], by(NOW));
  return { store, lease: (await claimOne(store, NOW)).lease };
}

/** Adds jobs and lets them die, each with one attempt that printed something. */
export async function bury(store: Store, ids: readonly string[]) {
  for (const id of ids) {
    await store.enqueue([newJob({ id, maxRetries: 1 })], by(NOW));
    const claimed = await claimJob(store, id);
    const output = [{ lease: claimed.lease, chunks: [chunk(0, id)], discard: null }];
    await store.turn(turnOf({ output }), NOW);
    await end(store, claimed, FAILED, NOW);
  }
}

/** Claims exactly this job, whatever else waits. */
export async function claimJob(store: Store, id: string, now = NOW): Promise<Claim> {
  const scope = { queues: null, only: id };
  const idle = [{ executor: 1, token: newId(20) }];
  const { claimed: [claimed] } = await takeTurn(store, { idle, scope }, now);
  if (!claimed) throw new Error(`Job ${id} could not be claimed`);
  return claimed;
}

/** All that a store tells, so that one can see whether anything has changed. */
export async function everythingOf(store: Store) {
  const { jobs } = await store.list({}, ALL);
  const histories = await Promise.all(jobs.map(async ({ id }) => {
    const attempts = await store.attempts(id);
    const output = await Promise.all(attempts.map(({ seq }) => store.output(seq, 0)));
    return { id, attempts, output };
  }));
  return {
    jobs,
    histories,
    blockers: await store.blockers(jobs.map(({ id }) => id)),
    counts: await store.counts(),
    leases: await store.leases(),
    cancelRequests: await store.cancelRequests(),
    events: await store.events(0, ALL),
    queues: await store.queues(),
    schedules: await store.schedules(),
  };
}
