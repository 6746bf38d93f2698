import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { UserError } from "../../src/errors.ts";
import { JOB_STATES, type JobState } from "../../src/job.ts";
import type { JobFilter, Store } from "../../src/store/store.ts";
import { by, claim, claimOne, end, newJob, turnOf } from "../helpers/store.ts";
import {
  ALL,
  bury,
  chunk,
  claimJob,
  type Connect,
  DONE,
  eventsOf,
  everythingOf,
  FAILED,
  type FreshStore,
  idsOf,
  jobIds,
  NOW,
  rulesFor,
  statesOf,
} from "./rules.ts";

/** How jobs get a new start, and how they are deleted. */
export function controlConformance(name: string, freshStore: () => Promise<FreshStore>) {
  const rule = rulesFor(name, freshStore);

  // --- retry

  rule("retry() gives jobs a new start and keeps their history", async (connect) => {
    const store = await connect();
    await bury(store, ["a", "b", "c"]);
    const retried = await store.retry({ ids: ["c", "a"] }, ["dead"], by(NOW + 50, "anna"));
    assertEquals(retried, ["c", "a"]);
    const job = await store.find("a");
    assertEquals(
      [job.state, job.attempts, job.runAt, job.updatedAt, job.finishedAt],
      ["pending", 0, NOW + 50, NOW + 50, null],
    );
    assertEquals((await store.find("b")).state, "dead");
    assertEquals((await store.attempts("a")).length, 1);
    const { event, at, actor } = (await eventsOf(store, "a")).at(-1)!;
    assertEquals([event, at, actor], ["retried", NOW + 50, "anna"]);
    assertEquals(jobIds(await claim(store, { now: NOW + 50, idle: 9 })), ["a", "c"]);
  });

  for (const state of RETRYABLE) {
    rule(
      `a job that is ${state} is retried at once, with all its attempts before it`,
      async (connect) => {
        const store = await oneOfEach(connect);
        assertEquals(await store.retry({ ids: [state] }, RETRYABLE, by(NOW + 1)), [state]);
        assertEquals((await store.find(state)).finishedAt, null);
        const { job } = await claimJob(store, state, NOW + 1);
        assertEquals([job.attempts, job.snoozes], [1, 0]);
      },
    );
  }

  for (const state of JOB_STATES.filter((each) => !RETRYABLE.includes(each))) {
    rule(
      `a job that is ${state} is not retried, and neither are those named with it`,
      async (connect) => {
        const store = await oneOfEach(connect);
        const before = await everythingOf(store);
        const act = () => store.retry({ ids: ["dead", state, "failed"] }, RETRYABLE, by(NOW + 1));
        const error = await assertRejects(act, UserError);
        assertEquals(error.exitCode, 1);
        assertStringIncludes(error.message, `"${state}": it is ${state}`);
        assertEquals(await everythingOf(store), before);
      },
    );
  }

  rule(
    "by a filter, retry() takes only jobs in the given states, and maybe none",
    async (connect) => {
      const store = await oneOfEach(connect);
      const retry = (filter: JobFilter, states: readonly JobState[]) =>
        store.retry({ filter }, states, by(NOW + 1));
      assertEquals(await retry({ queue: "nothing" }, RETRYABLE), []);
      assertEquals(await retry({ state: "completed" }, RETRYABLE), []);
      assertEquals(await retry({ state: "failed" }, RETRYABLE), ["failed"]);
      assertEquals(await retry({}, ["dead"]), ["dead"]);
      assertEquals(await retry({ tag: "cancelled" }, RETRYABLE), ["cancelled"]);
      assertEquals(await retry({}, RETRYABLE), []);
      assertEquals((await store.counts()).pending, 4);
    },
  );

  rule("a snoozed job begins its snoozes anew when it gets a new start", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a", snoozeMs: 0, maxRetries: 1 })], by(NOW));
    await end(store, await claimOne(store, NOW), { kind: "exited", code: 75 }, NOW);
    assertEquals((await store.find("a")).snoozes, 1);
    await end(store, await claimOne(store, NOW), FAILED, NOW);
    await store.retry({ ids: ["a"] }, ["dead"], by(NOW));
    assertEquals((await store.find("a")).snoozes, 0);
  });

  // --- remove

  rule("remove() deletes jobs with their attempts and output", async (connect) => {
    const store = await connect();
    await bury(store, ["a", "b"]);
    const [attempt] = await store.attempts("a");
    const [kept] = await store.attempts("b");
    assertEquals((await store.output(attempt!.seq, 0)).length, 1);
    assertEquals(await store.remove({ ids: ["a"] }, ["dead"], by(NOW + 5, "anna")), ["a"]);
    await assertRejects(() => store.find("a"), UserError, "No job");
    assertEquals(await store.get("a"), undefined);
    assertEquals(await store.attempts("a"), []);
    assertEquals(await store.output(attempt!.seq, 0), []);
    assertEquals((await store.output(kept!.seq, 0)).length, 1);
    const { event, job, at, actor } = (await eventsOf(store)).at(-1)!;
    assertEquals([event, job, at, actor], ["deleted", "a", NOW + 5, "anna"]);
  });

  for (const state of JOB_STATES.filter((each) => each !== "processing")) {
    rule(`a job that is ${state} can be deleted, and is not claimed any more`, async (connect) => {
      const store = await oneOfEach(connect);
      assertEquals(await store.remove({ ids: [state] }, JOB_STATES, by(NOW)), [state]);
      assertEquals((await idsOf(store)).includes(state), false);
      assertEquals((await store.counts())[state], 0);
      assertEquals(jobIds(await claim(store, { now: NOW + ALL, idle: 9 })).includes(state), false);
    });
  }

  rule("a job that runs is not deleted, and neither are those named with it", async (connect) => {
    const store = await oneOfEach(connect);
    const before = await everythingOf(store);
    const act = () => store.remove({ ids: ["dead", "processing"] }, JOB_STATES, by(NOW));
    const error = await assertRejects(act, UserError);
    assertEquals(error.exitCode, 1);
    assertStringIncludes(error.message, '"processing": it is processing');
    assertEquals(await everythingOf(store), before);
  });

  rule("by a filter, jobs that run are not deleted", async (connect) => {
    const store = await oneOfEach(connect);
    await store.remove({ filter: {} }, JOB_STATES, by(NOW));
    assertEquals(await statesOf(store), { processing: "processing" });
    assertEquals(await store.remove({ filter: { state: "processing" } }, JOB_STATES, by(NOW)), []);
  });

  rule(
    "by a filter, remove() takes the oldest that match, no more than it may at once",
    async (connect) => {
      const store = await connect();
      const ids = ["a", "b", "c", "d", "e"];
      await bury(store, ids);
      const filter: JobFilter = { state: "dead", finishedBefore: NOW + 1 };
      const removed: string[][] = [];
      for (let i = 0; i < 4; i++) {
        removed.push(await store.remove({ filter, limit: 2 }, ["dead"], by(NOW)));
      }
      assertEquals(removed, [["a", "b"], ["c", "d"], ["e"], []]);
    },
  );

  rule("what may be done at once does not count what is in other states", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "open" })], by(NOW));
    await bury(store, ["a", "b"]);
    assertEquals(await store.remove({ filter: {}, limit: 1 }, ["dead"], by(NOW)), ["a"]);
    assertEquals(await store.retry({ filter: {}, limit: 1 }, ["dead"], by(NOW)), ["b"]);
  });

  rule(
    "jobs that wait for a deleted one are cancelled, also if they are deleted with it",
    async (connect) => {
      const store = await connect();
      const after = [{ id: "parent", anyEnd: false }];
      const jobs = [{ id: "parent" }, { id: "child", after }, { id: "other", after }];
      for (const order of [["parent", "child"], ["child", "parent"]]) {
        await store.enqueue(jobs.map((said) => newJob(said)), by(NOW));
        assertEquals(await store.remove({ ids: order }, JOB_STATES, by(NOW)), order);
        assertEquals(await statesOf(store), { other: "cancelled" });
        assertEquals((await store.find("other")).lastError, 'Job "parent" is deleted');
        await store.remove({ filter: {} }, JOB_STATES, by(NOW));
      }
    },
  );

  rule("a job that takes the id of a deleted one has nothing of its history", async (connect) => {
    const store = await connect();
    await bury(store, ["a"]);
    await store.enqueue([newJob({ id: "child", after: [{ id: "a", anyEnd: false }] })], by(NOW));
    await store.remove({ filter: {} }, ["dead", "cancelled"], by(NOW));
    await store.enqueue([newJob({ id: "a" }), newJob({ id: "child" })], by(NOW));
    assertEquals(await store.attempts("a"), []);
    assertEquals(await store.blockers(["a", "child"]), []);
    const { lease, job } = await claimOne(store, NOW);
    assertEquals([job.id, job.attempts], ["a", 1]);
    assertEquals(await store.output(lease.attempt, 0), []);
  });

  // --- Both

  const both = {
    "retry()": (store: Store, ids: string[]) => store.retry({ ids }, ["dead"], by(NOW)),
    "remove()": (store: Store, ids: string[]) => store.remove({ ids }, ["dead"], by(NOW)),
  };
  for (const [method, act] of Object.entries(both)) {
    rule(
      `${method} changes nothing if one job is in none of the states or not there`,
      async (connect) => {
        const store = await connect();
        await bury(store, ["a", "b"]);
        await store.enqueue([newJob({ id: "alive" })], by(NOW));
        const before = await everythingOf(store);
        const cases: [string[], string][] = [
          [["a", "alive", "b"], '"alive": it is pending'],
          [["a", "nobody"], 'No job "nobody"'],
        ];
        for (const [ids, said] of cases) {
          const error = await assertRejects(() => act(store, ids), UserError, said);
          assertEquals(error.exitCode, 1);
        }
        assertEquals(await everythingOf(store), before);
      },
    );

    rule(`${method} takes a job that is named twice once`, async (connect) => {
      const store = await connect();
      await bury(store, ["a", "b"]);
      assertEquals(await act(store, ["b", "a", "b"]), ["b", "a"]);
    });
  }

  // --- prune

  rule(
    "prune() deletes only jobs that were completed or cancelled before, with their history",
    async (connect) => {
      const store = await connect();
      await store.enqueue(
        ["done", "cancelled", "young", "failed", "runs"].map((id) => newJob({ id })),
        by(NOW),
      );
      const [done, cancelled, young, failed] = await claim(store, { now: NOW, idle: 5 });
      const output = [{ lease: done!.lease, chunks: [chunk(0, "x")], discard: null }];
      await store.turn(turnOf({ output }), NOW);
      await end(store, done!, DONE, NOW + 10);
      await store.cancel({ ids: ["cancelled"] }, { force: false }, by(NOW));
      await end(store, cancelled!, FAILED, NOW + 10);
      await end(store, young!, DONE, NOW + 20);
      await end(store, failed!, FAILED, NOW + 10);
      await bury(store, ["dead"]);
      await store.enqueue([newJob({ id: "waits" })], by(NOW));

      await store.prune(NOW + 10, 100);
      assertEquals((await idsOf(store)).length, 7);
      await store.prune(NOW + 11, 100);
      assertEquals(await idsOf(store), ["young", "failed", "runs", "dead", "waits"]);
      assertEquals(await store.output(done!.lease.attempt, 0), []);
      assertEquals(await store.attempts("done"), []);
      await store.prune(NOW + ALL, 100);
      assertEquals(await idsOf(store), ["failed", "runs", "dead", "waits"]);
    },
  );

  rule(
    "prune() deletes no more than it may at once, and says whether there is more",
    async (connect) => {
      const store = await connect();
      await complete(store, 5);
      const left: number[] = [];
      for (let i = 0; i < 3; i++) {
        assertEquals(await store.prune(NOW + 1, 2), true);
        left.push((await idsOf(store)).length);
      }
      assertEquals(left, [3, 1, 0]);
      while (await store.prune(NOW + 1, 2));
      assertEquals((await eventsOf(store)).length, 1);
      assertEquals(await store.prune(NOW + 1, 2), false);
    },
  );

  rule("prune() deletes the oldest events in steps, and never the newest one", async (connect) => {
    const store = await connect();
    await store.enqueue(Array.from({ length: 5 }, () => newJob()), by(NOW));
    await store.enqueue(Array.from({ length: 3 }, () => newJob()), by(NOW + 10));
    const all = await eventsOf(store);
    const seqs = async () => (await eventsOf(store)).map(({ seq }) => seq);
    const last = (count: number) => all.slice(-count).map(({ seq }) => seq);
    assertEquals(await store.prune(NOW, 4), false);
    assertEquals(await seqs(), last(8));
    assertEquals(await store.prune(NOW + 1, 4), true);
    assertEquals(await seqs(), last(4));
    assertEquals(await store.prune(NOW + 1, 4), false);
    assertEquals(await seqs(), last(3));
    assertEquals(await store.prune(NOW + 11, 4), false);
    assertEquals(await seqs(), last(1));
    await store.enqueue([newJob()], by(NOW + 20));
    assertEquals((await seqs()).length, 2);
    assertEquals((await seqs())[1]! > last(1)[0]!, true, "no number is used twice");
  });

  rule(
    "prune() gets on with the jobs where the clock was set back after the oldest event",
    async (connect) => {
      const store = await connect();
      await store.enqueue([newJob({ id: "young", runAt: NOW + 100 })], by(NOW + 100));
      await complete(store, 3);
      const more: boolean[] = [];
      for (let i = 0; i < 4; i++) more.push(await store.prune(NOW + 1, 1));
      assertEquals(more, [true, true, true, false]);
      assertEquals(await idsOf(store), ["young"]);
    },
  );
}

// --- Words of the rules

const RETRYABLE: readonly JobState[] = ["failed", "dead", "cancelled"];

/** A store with one job in each state, which has the state as its id and as its tag. */
async function oneOfEach(connect: Connect): Promise<Store> {
  const store = await connect();
  const after = [{ id: "processing", anyEnd: true }];
  const jobs = JOB_STATES.map((id) =>
    newJob({ id, tags: [id], fatalCodes: [99], after: id === "blocked" ? after : [] })
  );
  await store.enqueue(jobs, by(NOW));
  await end(store, await claimJob(store, "completed"), DONE, NOW);
  await end(store, await claimJob(store, "failed"), FAILED, NOW);
  await end(store, await claimJob(store, "dead"), { kind: "exited", code: 99 }, NOW);
  await store.cancel({ ids: ["cancelled"] }, { force: false }, by(NOW));
  await claimJob(store, "processing");
  assertEquals(
    await statesOf(store),
    Object.fromEntries(JOB_STATES.map((state) => [state, state])),
  );
  return store;
}

async function complete(store: Store, jobs: number, now = NOW) {
  await store.enqueue(Array.from({ length: jobs }, () => newJob()), by(now));
  for (const each of await claim(store, { now, idle: jobs })) await end(store, each, DONE, now);
}
