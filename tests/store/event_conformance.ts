import { assertEquals, assertRejects } from "@std/assert";
import type { Outcome } from "../../src/job.ts";
import type { Claim, Store } from "../../src/store/store.ts";
import { by, claim, end, ended, newJob, takeTurn, turnOf } from "../helpers/store.ts";
import {
  ALL,
  claimJob,
  DONE,
  eventsOf,
  FAILED,
  type FreshStore,
  INTERRUPTED,
  LOST,
  NOW,
  rulesFor,
} from "./rules.ts";

/** The history of what has happened. */
export function eventConformance(name: string, freshStore: () => Promise<FreshStore>) {
  const rule = rulesFor(name, freshStore);

  rule(
    "the life of a job is told from beginning to end, with each instant, cause and actor",
    async (connect) => {
      const store = await connect();
      await store.enqueue(
        [newJob({ id: "a", maxRetries: 2, snoozeMs: 0, backoffBase: 0 })],
        by(NOW),
      );
      let now = NOW;
      const attempt = async (outcome: Outcome) => {
        const idle = [{ executor: 3, token: "t" }];
        const turn = await takeTurn(store, { worker: "w1", idle }, now += 1);
        const settled = [ended(turn.claimed[0]!, outcome, now += 1)];
        await store.turn(turnOf({ worker: "w2", settled }), now);
      };
      for (const outcome of [SNOOZE, INTERRUPTED, FAILED, LOST]) await attempt(outcome);
      await store.retry({ ids: ["a"] }, ["dead"], by(NOW + 20, "anna"));
      now = NOW + 20;
      await attempt(DONE);
      await store.remove({ ids: ["a"] }, ["completed"], by(NOW + 30, "bob"));

      const told = (await eventsOf(store)).map(({ at, event, job, attempt, cause, actor }) =>
        [at - NOW, event, job, attempt, cause, actor] as const
      );
      assertEquals(told, [
        [0, "enqueued", "a", null, null, "tester"],
        [1, "claimed", "a", 1, null, "w1-3"],
        [2, "snoozed", "a", 1, "Put off by exit code 75", "w2"],
        [3, "claimed", "a", 1, null, "w1-3"],
        [4, "interrupted", "a", 1, "The worker was told to stop", "w2"],
        [5, "claimed", "a", 1, null, "w1-3"],
        [6, "failed", "a", 1, "Exit code 1", "w2"],
        [7, "claimed", "a", 2, null, "w1-3"],
        [8, "dead", "a", 2, "Its worker died", "w2"],
        [20, "retried", "a", null, null, "anna"],
        [21, "claimed", "a", 1, null, "w1-3"],
        [22, "completed", "a", 1, null, "w2"],
        [30, "deleted", "a", null, null, "bob"],
      ]);
    },
  );

  rule(
    "a job that runs tells first that it is to be cancelled, and then that it was",
    async (connect) => {
      const store = await connect();
      await store.enqueue([newJob({ id: "a" })], by(NOW));
      const claimed = await claimJob(store, "a");
      await store.cancel({ ids: ["a"] }, { force: false }, by(NOW + 1, "anna"));
      await end(store, claimed, FAILED, NOW + 2);
      assertEquals(lines(await eventsOf(store)), [
        "a enqueued by tester",
        "a claimed by worker-1",
        "a cancelling by anna",
        "a cancelled by worker: Cancelled",
      ]);
    },
  );

  rule(
    "what one job's end does to others is told in its order, and whose end it was",
    async (connect) => {
      const store = await connect();
      const after = (id: string, anyEnd = false) => ({ after: [{ id, anyEnd }] });
      await store.enqueue([
        newJob({ id: "a", maxRetries: 1 }),
        newJob({ id: "b", ...after("a") }),
        newJob({ id: "c", ...after("b") }),
        newJob({ id: "d", ...after("a", true) }),
      ], by(NOW));
      const { seq } = (await eventsOf(store)).at(-1)!;
      await end(store, await claimJob(store, "a"), FAILED, NOW);
      const [claimed, dead, ...followed] = lines(await store.events(seq, ALL));
      assertEquals([claimed, dead], ["a claimed by worker-1", "a dead by worker: Exit code 1"]);
      assertEquals(followed.sort(), [
        'b cancelled by worker: Job "a" is dead',
        'c cancelled by worker: Job "b" is cancelled',
        'd unblocked by worker: Job "a" is dead',
      ]);
    },
  );

  rule("jobs of a batch are told in the order of the batch", async (connect) => {
    const store = await connect();
    const ids = Array.from({ length: 1500 }, (_, i) => `job-${(i * 7) % 1500}`);
    await store.enqueue(ids.map((id) => newJob({ id })), by(NOW, "anna"));
    const events = await eventsOf(store);
    assertEquals(events.map(({ job }) => job), ids);
    assertEquals(new Set(events.map(({ event, actor }) => `${event} ${actor}`)).size, 1);
  });

  rule("a job that replaces another one is told after the end of that one", async (connect) => {
    const store = await connect();
    const job = (id: string) => newJob({ id, key: "k", ifExists: "replace" });
    await store.enqueue([job("a")], by(NOW));
    await store.enqueue([job("b")], by(NOW));
    assertEquals(lines(await eventsOf(store)), [
      "a enqueued by tester",
      'a cancelled by tester: Replaced by job "b"',
      "b enqueued by tester",
    ]);
  });

  rule("a job is enqueued before it is replaced, also in one batch", async (connect) => {
    const store = await connect();
    const job = (id: string) => newJob({ id, key: "k", ifExists: "replace" });
    await store.enqueue([job("a"), job("b")], by(NOW));
    assertEquals(lines(await eventsOf(store, "a")), [
      "a enqueued by tester",
      'a cancelled by tester: Replaced by job "b"',
    ]);
  });

  rule("what changes nothing is not told", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a", key: "k" })], by(NOW));
    const claimed = await claimJob(store, "a");
    await end(store, claimed, DONE, NOW);
    const before = await eventsOf(store);
    await end(store, claimed, FAILED, NOW);
    await claim(store, { now: NOW, idle: 5 });
    await store.enqueue([newJob({ id: "b", key: "k" })], by(NOW));
    await store.enqueue([newJob({ id: "c", key: "k", ifExists: "skip" })], by(NOW));
    await store.enqueue([], by(NOW));
    await assertRejects(() => store.enqueue([newJob(), newJob({ id: "a" })], by(NOW)));
    await assertRejects(() => store.cancel({ ids: ["b", "a"] }, { force: true }, by(NOW)));
    await assertRejects(() => store.retry({ ids: ["b"] }, ["dead"], by(NOW)));
    await assertRejects(() => store.remove({ ids: ["nobody"] }, ["dead"], by(NOW)));
    await store.retry({ filter: {} }, ["dead"], by(NOW));
    await store.prune(NOW, 100);
    await store.changeSetting("max_retries", 5);
    const after = (await eventsOf(store)).slice(before.length);
    assertEquals(lines(after), ["b enqueued by tester"]);
  });

  rule(
    "events() gives those after a number, the oldest first, no more than were asked for",
    async (connect) => {
      const [store, other] = [await connect(), await connect()];
      await store.enqueue(Array.from({ length: 7 }, (_, i) => newJob({ id: `job-${i}` })), by(NOW));
      const read: (string | null)[][] = [];
      for (let seq = 0;;) {
        const page = await other.events(seq, 3);
        if (page.length === 0) break;
        read.push(page.map(({ job }) => job));
        seq = page.at(-1)!.seq;
      }
      assertEquals(read, [["job-0", "job-1", "job-2"], ["job-3", "job-4", "job-5"], ["job-6"]]);
      assertEquals(await other.events(ALL, 3), []);
    },
  );

  rule("the numbers of events go on where they were, whatever was deleted", async (connect) => {
    const store = await connect();
    const seqs = new Set<number>();
    for (let round = 0; round < 3; round++) {
      await store.enqueue([newJob({ id: `job-${round}` }), newJob()], by(NOW + round));
      for (const { seq } of (await eventsOf(store)).slice(round === 0 ? 0 : 1)) {
        assertEquals(seqs.has(seq), false, `event ${seq}`);
        seqs.add(seq);
      }
      await store.prune(NOW + ALL, 100);
    }
    assertEquals(seqs.size, 6);
  });

  rule(
    "events of several connections are told in one order, each of them once",
    async (connect) => {
      const stores = await Promise.all(Array.from({ length: 3 }, connect));
      const work = async (store: Store, worker: string) => {
        await store.enqueue(Array.from({ length: 10 }, () => newJob()), by(NOW, worker));
        for (let i = 0; i < 10; i++) {
          const held: Claim[] = await claim(store, { now: NOW, worker });
          for (const each of held) await end(store, each, DONE, NOW);
        }
      };
      await Promise.all(stores.map((store, i) => work(store, `w${i}`)));
      const perJob = Map.groupBy(await eventsOf(stores[0]!), ({ job }) => job);
      assertEquals(perJob.size, 30);
      for (const events of perJob.values()) {
        assertEquals(events.map(({ event }) => event), ["enqueued", "claimed", "completed"]);
      }
    },
  );
}

// --- Words of the rules

const SNOOZE: Outcome = { kind: "exited", code: 75 };

function lines(events: Awaited<ReturnType<typeof eventsOf>>): string[] {
  return events.map(({ job, event, actor, cause }) =>
    `${job} ${event} by ${actor}${cause === null ? "" : `: ${cause}`}`
  );
}
