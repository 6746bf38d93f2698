import { assertEquals } from "@std/assert";
import { JOB_STATES } from "../../src/job.ts";
import type { JobCounts, Queue } from "../../src/store/store.ts";
import { by, claim, end, newJob } from "../helpers/store.ts";
import { claimJob, DONE, eventsOf, FAILED, type FreshStore, NOW, rulesFor } from "./rules.ts";

/** What is known of queues, and what may be changed about them. */
export function queueConformance(name: string, freshStore: () => Promise<FreshStore>) {
  const rule = rulesFor(name, freshStore);

  rule(
    "queues() are those that have jobs or were changed, by their names, with their counts",
    async (connect) => {
      const [store, other] = [await connect(), await connect()];
      assertEquals(await store.queues(), []);
      await store.enqueue(
        ["b", "a", "b", "B", "b"].map((queue, i) => newJob({ id: `${queue}${i}`, queue })),
        by(NOW),
      );
      await store.changeQueue("empty", { maxRunning: 7 }, by(NOW));
      await end(store, await claimJob(store, "b0"), DONE, NOW);
      await claimJob(store, "b2");
      await store.cancel({ ids: ["a1"] }, { force: false }, by(NOW));
      const after = [{ id: "b2", anyEnd: false }];
      await store.enqueue([newJob({ queue: "a", after })], by(NOW));
      assertEquals(await other.queues(), [
        queue("B", { jobs: { pending: 1 } }),
        queue("a", { jobs: { cancelled: 1, blocked: 1 } }),
        queue("b", { jobs: { completed: 1, processing: 1, pending: 1 } }),
        queue("empty", { maxRunning: 7 }),
      ]);
    },
  );

  rule("a queue without jobs and changes is forgotten", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a", queue: "q" })], by(NOW));
    await store.changeQueue("q", { paused: { reason: null }, maxRunning: 1 }, by(NOW));
    await store.remove({ ids: ["a"] }, ["pending"], by(NOW));
    assertEquals(await store.queues(), [queue("q", { pausedAt: NOW, maxRunning: 1 })]);
    await store.changeQueue("q", { paused: null }, by(NOW));
    assertEquals(await store.queues(), [queue("q", { maxRunning: 1 })]);
    await store.changeQueue("q", { maxRunning: null }, by(NOW));
    assertEquals(await store.queues(), []);
  });

  rule("a change of a queue leaves what it does not name", async (connect) => {
    const store = await connect();
    const only = async () => (await store.queues())[0]!;
    await store.changeQueue("q", { paused: { reason: "deploy" } }, by(NOW));
    assertEquals(await only(), queue("q", { pausedAt: NOW, pauseReason: "deploy" }));
    await store.changeQueue("q", { maxRunning: 3 }, by(NOW + 1));
    assertEquals(await only(), queue("q", { pausedAt: NOW, pauseReason: "deploy", maxRunning: 3 }));
    await store.changeQueue("q", { paused: { reason: null } }, by(NOW + 2));
    assertEquals(await only(), queue("q", { pausedAt: NOW + 2, maxRunning: 3 }));
    await store.changeQueue("q", {}, by(NOW + 3));
    assertEquals(await only(), queue("q", { pausedAt: NOW + 2, maxRunning: 3 }));
  });

  rule("a pause lasts although the jobs of the queue come and go", async (connect) => {
    const store = await connect();
    await store.changeQueue("q", { paused: { reason: null } }, by(NOW));
    await store.enqueue([newJob({ id: "a", queue: "q" })], by(NOW));
    await store.remove({ filter: {} }, ["pending"], by(NOW));
    await store.enqueue([newJob({ id: "b", queue: "q" })], by(NOW));
    assertEquals(await claim(store, { now: NOW }), []);
  });

  rule(
    "a change of a queue is an event with the queue's name, and the reason of a pause",
    async (connect) => {
      const store = await connect();
      await store.changeQueue("q", { paused: { reason: "deploy" } }, by(NOW, "anna"));
      await store.changeQueue("q", { paused: null, maxRunning: 4 }, by(NOW + 1, "bob"));
      await store.changeQueue("q", { maxRunning: null }, by(NOW + 2, "bob"));
      const events = (await eventsOf(store)).map(({ at, event, job, attempt, cause, actor }) =>
        [at - NOW, event, job, attempt, cause, actor] as const
      );
      assertEquals(events, [
        [0, "queue paused", null, null, 'Queue "q": deploy', "anna"],
        [1, "queue resumed", null, null, 'Queue "q"', "bob"],
        [1, "queue limited", null, null, 'Queue "q": 4', "bob"],
        [2, "queue limited", null, null, 'Queue "q": none', "bob"],
      ]);
    },
  );

  rule("the counts of a queue follow its jobs, retries and ends", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a", queue: "q", maxRetries: 2 })], by(NOW));
    const jobs = async () => (await store.queues())[0]!.jobs;
    const counts = (said: Partial<JobCounts>) => queue("q", { jobs: said }).jobs;
    assertEquals(await jobs(), counts({ pending: 1 }));
    await end(store, await claimJob(store, "a"), FAILED, NOW);
    assertEquals(await jobs(), counts({ failed: 1 }));
    await end(store, await claimJob(store, "a", NOW + 2000), FAILED, NOW + 2000);
    assertEquals(await jobs(), counts({ dead: 1 }));
    await store.retry({ ids: ["a"] }, ["dead"], by(NOW + 2000));
    assertEquals(await jobs(), counts({ pending: 1 }));
    await store.cancel({ ids: ["a"] }, { force: false }, by(NOW + 2000));
    assertEquals(await jobs(), counts({ cancelled: 1 }));
    await store.prune(NOW + 3000, 10);
    assertEquals(await store.queues(), []);
  });
}

// --- Words of the rules

function queue(
  name: string,
  { jobs, ...said }: Partial<Omit<Queue, "jobs">> & { jobs?: Partial<JobCounts> },
): Queue {
  const none = Object.fromEntries(JOB_STATES.map((state) => [state, 0])) as JobCounts;
  const nothing = { pausedAt: null, pauseReason: null, maxRunning: null };
  return { name, ...nothing, ...said, jobs: { ...none, ...jobs } };
}
