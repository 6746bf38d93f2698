import { assert, assertEquals } from "@std/assert";
import { UserError } from "../../src/errors.ts";
import { IF_EXISTS, isFinal, type Job, JOB_STATES, type JobState } from "../../src/job.ts";
import {
  type By,
  type Claim,
  type JobCounts,
  type JobFilter,
  type Queue,
  type Scope,
  type Store,
  WHOLE_STORE,
} from "../../src/store/store.ts";
import { newId } from "../../src/ids.ts";
import { between, seeded } from "../helpers/random.ts";
import { by, end, newJob, stale, takeTurn } from "../helpers/store.ts";
import { ALL, DONE, FAILED, type FreshStore, INTERRUPTED, LOST, NOW, rulesFor } from "./rules.ts";

/** What holds whatever is done to a store, in whatever order. */
export function countConformance(name: string, freshStore: () => Promise<FreshStore>) {
  const rule = rulesFor(name, freshStore);

  for (const seed of [1, 2, 3, 4, 5, 6]) {
    rule(
      `whatever happens, counts are real, keys unique, and events true: ${seed}`,
      async (connect) => {
        await doRandomThings([await connect(), await connect()], seed);
      },
    );
  }
}

const QUEUES = ["a", "b", "c"];
const OUTCOMES = [DONE, FAILED, LOST, INTERRUPTED, { kind: "exited", code: 75 }] as const;
const RETRYABLE: readonly JobState[] = ["failed", "dead", "cancelled"];
const DELETABLE = JOB_STATES.filter((state) => state !== "processing");

/** Carries out 200 operations at random on any of the connections, looking at the store after each. */
async function doRandomThings(stores: Store[], seed: number) {
  const random = seeded(seed);
  const one = <T>(list: readonly T[]): T => list[between(random, 0, list.length - 1)]!;
  const held: Claim[] = [];
  const ids = ["nobody"];
  let now = NOW;

  const newRandomJob = () => {
    const after = Array.from({ length: Math.max(0, between(random, -3, 2)) }, () => ({
      id: one(ids.slice(-20)),
      anyEnd: random() < 0.5,
    }));
    const job = newJob({
      id: `job-${ids.length}`,
      after,
      queue: one(QUEUES),
      priority: between(random, -1, 1),
      maxRetries: between(random, 0, 3),
      backoffBase: between(random, 0, 2),
      snoozeMs: random() < 0.5 ? 500 : null,
      key: random() < 0.7 ? null : `key-${between(random, 1, 5)}`,
      ifExists: one(IF_EXISTS),
      runAt: random() < 0.7 ? null : now + between(random, -3000, 3000),
    });
    ids.push(job.id);
    return job;
  };
  const filter = (): JobFilter =>
    random() < 0.5 ? { queue: one(QUEUES) } : { state: one(JOB_STATES) };
  const which = () =>
    random() < 0.4
      ? { filter: filter(), limit: between(random, 1, 9) }
      : { ids: [one(ids), one(ids)] };
  const scope = (): Scope =>
    random() < 0.5 ? WHOLE_STORE : { queues: ["c", one(QUEUES)], only: null };

  const claimSome = async (store: Store) => {
    const before = await store.queues();
    const idle = Array.from({ length: between(random, 1, 4) }, (_, i) => ({
      executor: i + 1,
      token: newId(20),
    }));
    const { claimed } = await takeTurn(store, { idle, scope: scope() }, now);
    assertObeyed(claimed, before, await store.queues());
    held.push(...claimed);
  };
  const endSome = async (store: Store) => {
    const claimed = held.splice(between(random, 0, held.length), 1)[0];
    if (claimed) await end(store, claimed, one(OUTCOMES), now);
  };
  const operations: ((store: Store, by: By) => Promise<unknown>)[] = [
    (store, by) => store.enqueue(Array.from({ length: between(random, 1, 4) }, newRandomJob), by),
    (store, by) => store.enqueue([newRandomJob(), newJob({ id: `twice-${seed}` })], by),
    ...[claimSome, claimSome, endSome, endSome],
    async (store) => {
      const claimed = held[between(random, 0, held.length)];
      if (claimed) await end(store, { ...claimed, lease: stale(claimed.lease) }, DONE, now);
    },
    (store, by) => store.cancel(which(), { force: random() < 0.5 }, by),
    (store, by) => store.retry(which(), RETRYABLE, by),
    (store, by) => store.remove(which(), DELETABLE, by),
    (store) => store.prune(now - 20_000, between(random, 1, 5)),
    (store, by) =>
      store.changeQueue(one(QUEUES), {
        paused: one([undefined, null, null, { reason: null }]),
        maxRunning: one([undefined, null, 1, 3]),
      }, by),
  ];

  const told = new Map<string, JobState>();
  const kinds = new Set<string>();
  let lastSeq = 0;
  for (let i = 0; i < 200; i++) {
    now += between(random, 0, 1500);
    try {
      await one(operations)(one(stores), by(now));
    } catch (error) {
      // Much of what is asked at random cannot be done; then it must not be half done.
      if (!(error instanceof UserError)) throw error;
    }
    const observer = one(stores);
    const what = `seed ${seed}, operation ${i}`;
    const { jobs } = await observer.list({}, ALL);
    await assertCounted(observer, jobs, now, what);
    await assertConsistent(observer, jobs, what);
    for (const event of await observer.events(lastSeq, ALL)) {
      lastSeq = event.seq;
      kinds.add(event.event);
      if (event.job !== null) follow(told, event.job, event.event, what);
    }
    // Events do not tell of jobs that are blocked, nor of those that are pruned.
    const unblocked = jobs.map(({ id, state }) => [id, state === "blocked" ? "pending" : state]);
    const real = Object.fromEntries(unblocked);
    for (const id of told.keys()) if (!(id in real)) told.delete(id);
    assertEquals(Object.fromEntries(told), real, what);
  }
  assert(kinds.size > 6, `only this has happened: ${[...kinds]}`);
}

/** Asserts that a claim left paused queues alone and kept within the limits. */
function assertObeyed(
  claimed: readonly Claim[],
  before: readonly Queue[],
  after: readonly Queue[],
) {
  for (const { job } of claimed) {
    const { pausedAt, maxRunning } = before.find(({ name }) => name === job.queue)!;
    const { processing } = after.find(({ name }) => name === job.queue)!.jobs;
    assertEquals(pausedAt, null);
    assert(maxRunning === null || processing <= maxRunning, `${processing} run in ${job.queue}`);
  }
}

async function assertCounted(store: Store, jobs: readonly Job[], now: number, what: string) {
  const countOf = (some: readonly Job[]) =>
    Object.fromEntries(
      JOB_STATES.map((state) => [state, some.filter((job) => job.state === state).length]),
    ) as JobCounts;
  assertEquals(await store.counts(), countOf(jobs), what);
  const queues = await store.queues();
  for (const { name, jobs: counted } of queues) {
    assertEquals(counted, countOf(jobs.filter(({ queue }) => queue === name)), what);
  }
  const names = new Set(queues.map(({ name }) => name));
  assertEquals(jobs.filter(({ queue }) => !names.has(queue)), [], what);

  const paused = queues.filter(({ pausedAt }) => pausedAt !== null).map(({ name }) => name);
  const { pending, processing, failed } = countOf(
    jobs.filter(({ queue }) => !paused.includes(queue)),
  );
  const { unfinished } = await store.outlook(WHOLE_STORE, now);
  assertEquals(unfinished, pending + processing + failed, what);
}

async function assertConsistent(store: Store, jobs: readonly Job[], what: string) {
  const keys = jobs.filter(({ key, state }) => key !== null && !isFinal(state))
    .map(({ key }) => key);
  assertEquals(keys.length, new Set(keys).size, what);
  const blocked = jobs.filter(({ state }) => state === "blocked").map(({ id }) => id);
  const blockers = await store.blockers(jobs.map(({ id }) => id));
  assertEquals(new Set(blockers.map(({ job }) => job)), new Set(blocked), what);
  assertEquals(blockers.filter(({ state }) => isFinal(state)), [], what);
  for (const { state, finishedAt, id } of jobs) {
    assertEquals(finishedAt !== null, isFinal(state), `${what}, ${id} is ${state}`);
  }
}

/** What each event does, and to a job in which state. A blocked job counts as pending. */
const TRANSITIONS: Record<string, [from: (JobState | undefined)[], to: JobState | undefined]> = {
  enqueued: [[undefined], "pending"],
  unblocked: [["pending"], "pending"],
  claimed: [["pending", "failed"], "processing"],
  completed: [["processing"], "completed"],
  failed: [["processing"], "failed"],
  dead: [["processing"], "dead"],
  interrupted: [["processing"], "pending"],
  snoozed: [["processing"], "pending"],
  cancelling: [["processing"], "processing"],
  cancelled: [["pending", "failed", "processing"], "cancelled"],
  retried: [["failed", "dead", "cancelled"], "pending"],
  deleted: [["pending", "completed", "failed", "dead", "cancelled"], undefined],
};

/** Applies an event to what the events before it have told. */
function follow(told: Map<string, JobState>, job: string, event: string, what: string) {
  const [from, to] = TRANSITIONS[event]!;
  assert(from.includes(told.get(job)), `${what}: ${job} is ${told.get(job)} and ${event}`);
  if (to === undefined) told.delete(job);
  else told.set(job, to);
}
