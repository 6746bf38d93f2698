import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { UserError } from "../../src/errors.ts";
import { newId } from "../../src/ids.ts";
import type { JobState, Outcome } from "../../src/job.ts";
import type { Store } from "../../src/store/store.ts";
import { by, claim, end, ended, newJob, stale, takeTurn, turnOf } from "../helpers/store.ts";
import {
  bury,
  claimJob,
  type Connect,
  DONE,
  eventsOf,
  everythingOf,
  FAILED,
  type FreshStore,
  INTERRUPTED,
  LOST,
  NOW,
  rulesFor,
  statesOf,
} from "./rules.ts";

/** How jobs are ended for good, whatever they are doing. */
export function cancelConformance(name: string, freshStore: () => Promise<FreshStore>) {
  const rule = rulesFor(name, freshStore);

  // --- What waits

  for (const state of ["pending", "failed", "blocked"] as const) {
    rule(`a job that is ${state} is cancelled at once and never claimed`, async (connect) => {
      const store = await inState(connect, state);
      const { attempts, exitCode } = await store.find("job");
      assertEquals(await cancel(store, ["job"], { now: NOW + 5 }), {
        ...{ cancelled: ["job"], ending: [] },
      });
      const job = await store.find("job");
      assertEquals(
        [job.state, job.lastError, job.finishedAt, job.updatedAt, job.attempts, job.exitCode],
        ["cancelled", "Cancelled", NOW + 5, NOW + 5, attempts, exitCode],
      );
      assertEquals(await store.cancelRequests(), []);
      await runOthers(store);
      assertEquals((await store.find("job")).state, "cancelled");
      const { event, at, actor } = (await eventsOf(store, "job")).at(-1)!;
      assertEquals([event, at, actor], ["cancelled", NOW + 5, "tester"]);
    });
  }

  rule("a job that is not due yet is cancelled as well", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "job", runAt: NOW + 60 })], by(NOW));
    assertEquals((await cancel(store, ["job"])).cancelled, ["job"]);
    assertEquals(await claim(store, { now: NOW + 60 }), []);
    assertEquals((await store.outlook({ queues: null, only: null }, NOW)).nextDueAt, null);
  });

  // --- What runs

  rule("a job that runs is only marked, and its worker is asked to end it", async (connect) => {
    const [store, other] = [await connect(), await connect()];
    await store.enqueue(["a", "b"].map((id) => newJob({ id })), by(NOW));
    const { lease } = await claimJob(store, "a");
    await claimJob(store, "b");
    assertEquals(await store.cancelRequests(), []);
    assertEquals(await cancel(other, ["a"]), { cancelled: [], ending: ["a"] });
    assertEquals((await store.find("a")).state, "processing");
    assertEquals(await store.cancelRequests(), [{ token: lease.token, force: false }]);
    assertEquals((await store.leases()).length, 2);
  });

  const races: { outcome: Outcome; state: JobState }[] = [
    { outcome: FAILED, state: "cancelled" },
    { outcome: LOST, state: "cancelled" },
    { outcome: INTERRUPTED, state: "cancelled" },
    { outcome: { kind: "signalled", signal: "SIGTERM" }, state: "cancelled" },
    { outcome: { kind: "timed_out", timeoutMs: 5 }, state: "cancelled" },
    { outcome: { kind: "not_started", error: "no folder" }, state: "cancelled" },
    { outcome: { kind: "exited", code: 75 }, state: "cancelled" },
    { outcome: DONE, state: "completed" },
  ];
  for (const { outcome, state } of races) {
    const how = outcome.kind === "exited" ? `exited with ${outcome.code}` : outcome.kind;
    rule(
      `a job that was to be cancelled and ${how} is ${state}, and never runs again`,
      async (connect) => {
        const store = await connect();
        await store.enqueue([newJob({ id: "job", snoozeMs: 0, backoffBase: 0 })], by(NOW));
        const claimed = await claimJob(store, "job");
        await cancel(store, ["job"]);
        const end = ended(claimed, outcome, NOW + 5);
        const expected = state === "cancelled" ? end.ifCancelled : end.settlement;
        const result = await store.turn(turnOf({ settled: [end] }), NOW + 5);
        assertEquals(result, {
          ...{ refused: [], claimed: [], known: true },
          cancelled: state === "cancelled" ? [claimed.lease] : [],
        });
        const job = await store.find("job");
        assertEquals(
          [job.state, job.attempts, job.finishedAt, job.exitCode, job.signal, job.lastError],
          [state, 1, NOW + 5, expected.exitCode, expected.signal, expected.error],
        );
        const [attempt] = await store.attempts("job");
        assertEquals([attempt!.outcome, attempt!.finishedAt], [state, NOW + 5]);
        assertEquals((await eventsOf(store, "job")).map(({ event }) => event), [
          ...["enqueued", "claimed", "cancelling", state],
        ]);
        assertEquals(await store.cancelRequests(), []);
        assertEquals(await claim(store, { now: NOW + 1_000_000 }), []);
      },
    );
  }

  rule("a result that came before the wish to cancel stands", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "job" })], by(NOW));
    const claimed = await claimJob(store, "job");
    assertEquals((await end(store, claimed, FAILED, NOW)).cancelled, []);
    assertEquals((await store.find("job")).state, "failed");
    assertEquals(await cancel(store, ["job"]), { cancelled: ["job"], ending: [] });
    const [attempt] = await store.attempts("job");
    assertEquals(attempt!.outcome, "failed");
  });

  rule("without the job's token nobody settles a job that is to be cancelled", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "job" })], by(NOW));
    const claimed = await claimJob(store, "job");
    await cancel(store, ["job"]);
    const before = await everythingOf(store);
    const lease = stale(claimed.lease);
    const { refused, cancelled } = await end(store, { ...claimed, lease }, FAILED, NOW);
    assertEquals([refused, cancelled], [[lease], []]);
    assertEquals(await everythingOf(store), before);
  });

  rule(
    "a job that was settled as cancelled cancels what waits for it in the same turn",
    async (connect) => {
      const store = await connect();
      const after = (anyEnd: boolean) => [{ id: "job", anyEnd }];
      await store.enqueue([
        newJob({ id: "job" }),
        newJob({ id: "strict", after: after(false) }),
        newJob({ id: "any", after: after(true) }),
      ], by(NOW));
      const claimed = await claimJob(store, "job");
      await cancel(store, ["job"]);
      const idle = [{ executor: 1, token: newId(20) }];
      const settled = [ended(claimed, FAILED, NOW)];
      const turn = await takeTurn(store, { settled, idle }, NOW);
      assertEquals(turn.claimed.map(({ job }) => job.id), ["any"]);
      assertEquals((await store.find("strict")).state, "cancelled");
    },
  );

  rule("a new start forgets the wish to cancel", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "job" })], by(NOW));
    const claimed = await claimJob(store, "job");
    await cancel(store, ["job"], { force: true });
    await end(store, claimed, FAILED, NOW);
    await store.retry({ ids: ["job"] }, ["cancelled"], by(NOW));
    const again = await claimJob(store, "job");
    assertEquals(await store.cancelRequests(), []);
    assertEquals((await end(store, again, FAILED, NOW)).cancelled, []);
    assertEquals((await store.find("job")).state, "failed");
  });

  // --- Twice

  rule("a wish to cancel can be made stronger, and is never weakened", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "job" })], by(NOW));
    const { lease: { token } } = await claimJob(store, "job");
    const asked: boolean[] = [];
    for (const force of [false, false, true, false, true]) {
      assertEquals(await cancel(store, ["job"], { force }), { cancelled: [], ending: ["job"] });
      const requests = await store.cancelRequests();
      assertEquals(requests.map((each) => each.token), [token]);
      asked.push(requests[0]!.force);
    }
    assertEquals(asked, [false, false, true, true, true]);
  });

  rule("only a wish that changes something is an event", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "job" })], by(NOW));
    await claimJob(store, "job");
    const seen: number[] = [];
    for (const force of [false, false, true, false, true]) {
      await cancel(store, ["job"], { force });
      const events = await eventsOf(store, "job");
      seen.push(events.filter(({ event }) => event === "cancelling").length);
    }
    assertEquals(seen, [1, 1, 2, 2, 2]);
  });

  rule("an id that is given twice is cancelled once", async (connect) => {
    const store = await inState(connect, "pending");
    assertEquals(await cancel(store, ["job", "job"]), { cancelled: ["job"], ending: [] });
  });

  for (const state of ["completed", "dead", "cancelled"] as const) {
    rule(
      `to cancel a job that is ${state} already is refused, and changes nothing else`,
      async (connect) => {
        const store = await inState(connect, state);
        await store.enqueue([newJob({ id: "open" }), newJob({ id: "runs" })], by(NOW));
        await claimJob(store, "runs");
        const before = await everythingOf(store);
        const act = () => cancel(store, ["open", "runs", "job"], { force: true });
        const error = await assertRejects(act, UserError);
        assertEquals(error.exitCode, 1);
        assertStringIncludes(error.message, `"job": it is ${state}`);
        assertEquals(await everythingOf(store), before);
      },
    );
  }

  rule(
    "to cancel a job that is not there is refused, and changes nothing else",
    async (connect) => {
      const store = await inState(connect, "pending");
      const before = await everythingOf(store);
      await assertRejects(() => cancel(store, ["job", "nobody"]), UserError, 'No job "nobody"');
      await assertRejects(() => cancel(store, ["jo"]), UserError, 'No job "jo"');
      assertEquals(await everythingOf(store), before);
    },
  );

  // --- By filter

  rule(
    "by a filter, all jobs that have not ended are cancelled and the others left alone",
    async (connect) => {
      const store = await connect();
      await bury(store, ["dead"]);
      await store.enqueue(
        [
          newJob({ id: "q1", queue: "q" }),
          newJob({ id: "q2", queue: "q" }),
          newJob({ id: "q3", queue: "q", after: [{ id: "q2", anyEnd: false }] }),
          newJob({ id: "tagged", tags: ["x", "nightly"] }),
          newJob({ id: "other", command: "./other" }),
        ],
        by(NOW),
      );
      await claimJob(store, "q2");
      const force = false;
      assertEquals(await store.cancel({ filter: { queue: "q" } }, { force }, by(NOW)), {
        ...{ cancelled: ["q1", "q3"], ending: ["q2"] },
      });
      assertEquals(
        (await store.cancel({ filter: { tag: "nightly" } }, { force }, by(NOW))).cancelled,
        [
          "tagged",
        ],
      );
      assertEquals(await store.cancel({ filter: { state: "dead" } }, { force }, by(NOW)), {
        ...{ cancelled: [], ending: [] },
      });
      assertEquals(await statesOf(store), {
        ...{ dead: "dead", q1: "cancelled", q2: "processing", q3: "cancelled" },
        ...{ tagged: "cancelled", other: "pending" },
      });
      assertEquals(await store.cancel({ filter: {} }, { force }, by(NOW)), {
        ...{ cancelled: ["other"], ending: ["q2"] },
      });
    },
  );

  rule(
    "of jobs that wait for each other each is cancelled once, in whatever order",
    async (connect) => {
      const store = await connect();
      for (const order of [["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"]]) {
        await store.enqueue([
          newJob({ id: "a" }),
          newJob({ id: "b", after: [{ id: "a", anyEnd: false }] }),
          newJob({ id: "c", after: [{ id: "b", anyEnd: true }] }),
        ], by(NOW));
        const { seq } = (await eventsOf(store)).at(-1)!;
        assertEquals((await cancel(store, order)).cancelled, order);
        const events = await store.events(seq, 100);
        const cancelled = events.filter(({ event }) => event === "cancelled").map(({ job }) => job);
        assertEquals(cancelled.sort(), ["a", "b", "c"]);
        assertEquals(await store.remove({ filter: {} }, ["cancelled"], by(NOW)), ["a", "b", "c"]);
      }
    },
  );
}

// --- Words of the rules

function cancel(store: Store, ids: readonly string[], { force = false, now = NOW } = {}) {
  return store.cancel({ ids }, { force }, by(now));
}

/** A store with the job `job` in this state. */
async function inState(connect: Connect, state: JobState): Promise<Store> {
  const store = await connect();
  const after = state === "blocked" ? [{ id: "parent", anyEnd: true }] : [];
  const jobs = [newJob({ id: "parent" }), newJob({ id: "job", after, fatalCodes: [99] })];
  await store.enqueue(jobs, by(NOW));
  const attempts: Partial<Record<JobState, Outcome>> = {
    ...{ completed: DONE, failed: FAILED, dead: { kind: "exited", code: 99 } },
  };
  const outcome = attempts[state];
  if (outcome) await end(store, await claimJob(store, "job"), outcome, NOW);
  if (state === "cancelled") await cancel(store, ["job"]);
  assertEquals((await store.find("job")).state, state);
  return store;
}

/** Runs everything that can be claimed, from now to long after. */
async function runOthers(store: Store) {
  for (const now of [NOW + 5, NOW + 1_000_000]) {
    for (const claimed of await claim(store, { now, idle: 9 })) {
      await end(store, claimed, DONE, now);
    }
  }
}
