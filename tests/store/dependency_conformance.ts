import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { UserError } from "../../src/errors.ts";
import type { JobState, NewJob, Outcome } from "../../src/job.ts";
import type { Store } from "../../src/store/store.ts";
import { by, claim, end, ended, newJob, takeTurn } from "../helpers/store.ts";
import {
  claimJob,
  DONE,
  eventsOf,
  everythingOf,
  FAILED,
  type FreshStore,
  INTERRUPTED,
  jobIds,
  NOW,
  rulesFor,
  statesOf,
} from "./rules.ts";

/** What runs after other jobs, and what becomes of it when they do not complete. */
export function dependencyConformance(name: string, freshStore: () => Promise<FreshStore>) {
  const rule = rulesFor(name, freshStore);

  rule(
    "a job that is to run after another one is blocked until that one has completed",
    async (connect) => {
      const store = await connect();
      await store.enqueue([job("a")], by(NOW));
      assertEquals(await store.enqueue([job("b", "a")], by(NOW)), [
        { id: "b", state: "blocked", added: true },
      ]);
      assertEquals(await store.blockers(["a", "b"]), [{ job: "b", needs: "a", state: "pending" }]);
      assertEquals(jobIds(await claim(store, { now: NOW, idle: 9 })), ["a"]);
      assertEquals((await store.blockers(["b"]))[0]!.state, "processing");
      const [held] = await store.leases();
      await end(store, held!, DONE, NOW + 5);
      const { state, updatedAt } = await store.find("b");
      assertEquals([state, updatedAt], ["pending", NOW + 5]);
      assertEquals(await store.blockers(["b"]), []);
      assertEquals(jobIds(await claim(store, { now: NOW + 5 })), ["b"]);
    },
  );

  rule("a job that was released can be claimed in the turn that released it", async (connect) => {
    const store = await connect();
    await store.enqueue([job("a"), job("b", "a")], by(NOW));
    const settled = [ended(await claimJob(store, "a"), DONE, NOW)];
    const idle = [{ executor: 1, token: "t" }];
    assertEquals(jobIds((await takeTurn(store, { settled, idle }, NOW)).claimed), ["b"]);
  });

  rule("a job that was released still waits for its time", async (connect) => {
    const store = await connect();
    const runAt = NOW + 60;
    await store.enqueue([job("a"), newJob({ ...job("b", "a"), runAt })], by(NOW));
    await run(store, "a");
    assertEquals((await store.find("b")).state, "pending");
    assertEquals(await claim(store, { now: runAt - 1 }), []);
    assertEquals(jobIds(await claim(store, { now: runAt })), ["b"]);
  });

  rule("an attempt that is repeated releases nobody", async (connect) => {
    const store = await connect();
    await store.enqueue([job("a"), job("b", "a"), job("c", "any:a")], by(NOW));
    for (const outcome of [FAILED, INTERRUPTED, FAILED]) {
      await run(store, "a", outcome);
      assertEquals([await stateOf(store, "b"), await stateOf(store, "c")], ["blocked", "blocked"]);
      await store.retry({ filter: {} }, ["failed"], by(NOW));
    }
  });

  rule(
    "a diamond comes together again only when both of its sides have completed",
    async (connect) => {
      const store = await connect();
      await store.enqueue(
        [job("top"), job("left", "top"), job("right", "top"), job("bottom", "left", "right")],
        by(NOW),
      );
      await run(store, "top");
      assertEquals(await statesOf(store), {
        ...{ top: "completed", left: "pending", right: "pending", bottom: "blocked" },
      });
      await run(store, "right");
      assertEquals(await store.blockers(["bottom"]), [
        { job: "bottom", needs: "left", state: "pending" },
      ]);
      await run(store, "left");
      assertEquals(await stateOf(store, "bottom"), "pending");
    },
  );

  rule(
    "one half of a diamond that dies cancels the bottom, and leaves the other half alone",
    async (connect) => {
      const store = await connect();
      await store.enqueue(
        [job("top"), job("left", "top"), job("right", "top"), job("bottom", "left", "right")],
        by(NOW),
      );
      await run(store, "top");
      await run(store, "left", FATAL);
      assertEquals(await statesOf(store), {
        ...{ top: "completed", left: "dead", right: "pending", bottom: "cancelled" },
      });
      await run(store, "right");
      assertEquals(await stateOf(store, "bottom"), "cancelled");
    },
  );

  rule("a chain of 1,000 jobs runs one after the other", async (connect) => {
    const store = await connect();
    const chain = chainOf(1000);
    assertEquals(
      (await store.enqueue(chain, by(NOW))).map(({ state }) => state).join(),
      ["pending", ...Array.from({ length: 999 }, () => "blocked")].join(),
    );
    for (const { id } of chain.slice(0, 20)) {
      const claimed = await claim(store, { now: NOW, idle: 9 });
      assertEquals(jobIds(claimed), [id]);
      await end(store, claimed[0]!, DONE, NOW);
    }
    const { completed, pending, blocked } = await store.counts();
    assertEquals([completed, pending, blocked], [20, 1, 979]);
  });

  rule("a chain of 1,000 jobs may be given in any order", async (connect) => {
    const store = await connect();
    await store.enqueue(chainOf(1000).reverse(), by(NOW));
    assertEquals((await store.counts()).blocked, 999);
    assertEquals(jobIds(await claim(store, { now: NOW, idle: 9 })), ["link-0"]);
  });

  rule("the first of 1,000 jobs in a chain cancels all of them when it dies", async (connect) => {
    const store = await connect();
    await store.enqueue(chainOf(1000), by(NOW));
    await run(store, "link-0", FATAL);
    const { dead, cancelled } = await store.counts();
    assertEquals([dead, cancelled], [1, 999]);
    const { lastError, finishedAt } = await store.find("link-500");
    assertEquals([lastError, finishedAt], ['Job "link-499" is cancelled', NOW]);
    assertEquals((await store.find("link-1")).lastError, 'Job "link-0" is dead');
  });

  for (const [how, act] of Object.entries(BAD_ENDS)) {
    rule(`what waits for a job that is ${how} is cancelled, all the way down`, async (connect) => {
      const store = await connect();
      await store.enqueue(
        [job("a"), job("b", "a"), job("c", "b"), job("d", "c", "other"), job("other")],
        by(NOW),
      );
      await act(store, "a");
      const { b, c, d, other } = await statesOf(store);
      assertEquals([b, c, d, other], ["cancelled", "cancelled", "cancelled", "pending"]);
      assertEquals((await store.find("b")).lastError, `Job "a" is ${how}`);
    });

    rule(`what may run after any end runs after a job is ${how}`, async (connect) => {
      const store = await connect();
      await store.enqueue([job("a"), job("b", "any:a"), job("c", "b")], by(NOW));
      await act(store, "a");
      assertEquals([await stateOf(store, "b"), await stateOf(store, "c")], ["pending", "blocked"]);
      await run(store, "b");
      assertEquals(await stateOf(store, "c"), "pending");
    });
  }

  rule(
    "what may run after any end is released by a job that was cancelled for another one",
    async (connect) => {
      const store = await connect();
      await store.enqueue([job("a"), job("b", "a"), job("c", "any:b")], by(NOW));
      await run(store, "a", FATAL);
      assertEquals(await statesOf(store), { a: "dead", b: "cancelled", c: "pending" });
    },
  );

  rule("one may need a job to complete and another one only to end", async (connect) => {
    const store = await connect();
    await store.enqueue([job("strict"), job("any"), job("c", "strict", "any:any")], by(NOW));
    await run(store, "any", FATAL);
    assertEquals(await store.blockers(["c"]), [{ job: "c", needs: "strict", state: "pending" }]);
    // It has ended once: that it gets a new start takes nothing back.
    await store.retry({ ids: ["any"] }, ["dead"], by(NOW));
    await run(store, "strict");
    assertEquals(await stateOf(store, "c"), "pending");
  });

  rule(
    "the new start of a job brings nothing back that was cancelled because of it",
    async (connect) => {
      const store = await connect();
      await store.enqueue([job("a"), job("b", "a"), job("c", "any:a")], by(NOW));
      await run(store, "a", FATAL);
      await store.retry({ ids: ["a"] }, ["dead"], by(NOW));
      assertEquals(await statesOf(store), { a: "pending", b: "cancelled", c: "pending" });
      await run(store, "c");
      await run(store, "a");
      assertEquals(await statesOf(store), { a: "completed", b: "cancelled", c: "completed" });
    },
  );

  rule("a job that gets a new start waits for nothing any more", async (connect) => {
    const store = await connect();
    await store.enqueue([job("a"), job("b", "a")], by(NOW));
    await run(store, "a", FATAL);
    assertEquals(await store.blockers(["b"]), []);
    await store.retry({ ids: ["b"] }, ["cancelled"], by(NOW));
    assertEquals(await store.blockers(["b"]), []);
    assertEquals(jobIds(await claim(store, { now: NOW, idle: 9 })), ["b"]);
    await store.retry({ ids: ["a"] }, ["dead"], by(NOW));
    await run(store, "a", FATAL);
    assertEquals(await stateOf(store, "b"), "processing");
  });

  rule("of a job that is needed twice the stricter need counts", async (connect) => {
    const store = await connect();
    await store.enqueue([job("abcdef")], by(NOW));
    for (const [id, ...needs] of [["b", "abcdef", "any:abcdef"], ["c", "any:abcd", "abcdef"]]) {
      await store.enqueue([job(id!, ...needs)], by(NOW));
      assertEquals((await store.blockers([id!])).length, 1);
    }
    await run(store, "abcdef", FATAL);
    assertEquals(await statesOf(store), { abcdef: "dead", b: "cancelled", c: "cancelled" });
  });

  // --- What has ended already

  rule("what runs after a job that has completed already can run at once", async (connect) => {
    const store = await connect();
    await store.enqueue([job("a"), job("open")], by(NOW));
    await run(store, "a");
    const after = [job("b", "a"), job("c", "a", "any:a"), job("d", "a", "open"), job("e", "b")];
    assertEquals(
      (await store.enqueue(after, by(NOW))).map(({ state }) => state),
      ["pending", "pending", "blocked", "blocked"],
    );
    assertEquals(await store.blockers(["d"]), [{ job: "d", needs: "open", state: "pending" }]);
  });

  for (const end of ["dead", "cancelled"] as const) {
    rule(
      `what runs after a job that is ${end} already is cancelled, but not after any end`,
      async (connect) => {
        const store = await connect();
        await store.enqueue([job("a")], by(NOW));
        await BAD_ENDS[end]!(store, "a");
        const after = [job("b", "a"), job("c", "b"), job("d", "any:a"), job("e", "any:b")];
        assertEquals(
          (await store.enqueue(after, by(NOW + 5))).map(({ id, state }) => `${id} ${state}`),
          ["b cancelled", "c cancelled", "d pending", "e pending"],
        );
        const { lastError, finishedAt } = await store.find("b");
        assertEquals([lastError, finishedAt], [`Job "a" is ${end}`, NOW + 5]);
      },
    );
  }

  rule("a job that was pruned had ended, and holds nobody up", async (connect) => {
    const store = await connect();
    await store.enqueue([job("a"), job("open"), job("b", "a", "open")], by(NOW));
    await run(store, "a");
    await store.prune(NOW + 1, 100);
    assertEquals(await store.get("a"), undefined);
    assertEquals(await stateOf(store, "b"), "blocked");
    await run(store, "open");
    assertEquals(await stateOf(store, "b"), "pending");
  });

  // --- What cannot be

  rule("a prerequisite can be named by a prefix that only one job has", async (connect) => {
    const store = await connect();
    await store.enqueue([job("abcd-1"), job("abcd-2"), job("abcd")], by(NOW));
    await store.enqueue([job("b", "abcd-2"), job("c", "abcd")], by(NOW));
    assertEquals((await store.blockers(["b", "c"])).map(({ needs }) => needs), ["abcd-2", "abcd"]);
    await store.enqueue([job("unique-1"), job("e", "uniq")], by(NOW));
    assertEquals((await store.blockers(["e"])).map(({ needs }) => needs), ["unique-1"]);
  });

  const impossible: Record<string, { jobs: NewJob[]; said: string[] }> = {
    "an unknown job": { jobs: [job("x"), job("y", "x", "nobody")], said: ['"y"', '"nobody"'] },
    "a prefix that is too short": { jobs: [job("y", "abc")], said: ['"y"', '"abc"'] },
    "an ambiguous prefix": { jobs: [job("y", "abcd")], said: ['"y"', '"abcd"'] },
    "itself": { jobs: [job("x"), job("y", "y")], said: ['"y"', "after itself"] },
    "itself by a prefix": { jobs: [job("itself-1", "itse")], said: ['"itself-1"', "no such job"] },
    "itself by a detour": {
      jobs: [
        job("u", "v"),
        job("v", "abcd-1"),
        job("x", "y"),
        job("y", "z", "any:v"),
        job("z", "x"),
      ],
      said: ["after itself"],
    },
  };
  for (const [what, { jobs, said }] of Object.entries(impossible)) {
    rule(`a job that is to run after ${what} is refused with its batch`, async (connect) => {
      const store = await connect();
      await store.enqueue([job("abcd-1"), job("abcd-2")], by(NOW));
      const before = await everythingOf(store);
      const error = await assertRejects(() => store.enqueue(jobs, by(NOW)), UserError);
      assertEquals(error.exitCode, what === "an ambiguous prefix" ? 2 : 1);
      for (const part of said) assertStringIncludes(error.message, part);
      assertEquals(await everythingOf(store), before);
    });
  }

  rule("the error about a detour names a job of it", async (connect) => {
    const store = await connect();
    const jobs = [
      job("in-1", "in-2"),
      job("in-2", "in-3"),
      job("in-3", "in-1"),
      job("out", "in-1"),
    ];
    const error = await assertRejects(() => store.enqueue(jobs, by(NOW)), UserError);
    assert(/"in-[123]"/.test(error.message), error.message);
    const others = [job("out", "in-1"), ...jobs.slice(0, 3)];
    const again = await assertRejects(() => store.enqueue(others, by(NOW)), UserError);
    assert(/"in-[123]"/.test(again.message), again.message);
  });

  rule("a detour among 1,000 jobs is found, also where much leads to it", async (connect) => {
    const store = await connect();
    const ladder = chainOf(1000).map((each, i): NewJob => ({
      ...each,
      after: [...each.after, ...i > 1 ? [{ id: `link-${i - 2}`, anyEnd: true }] : []],
    }));
    const closed = [
      { ...ladder[0]!, after: [{ id: "link-999", anyEnd: false }] },
      ...ladder.slice(1),
    ];
    await assertRejects(() => store.enqueue(closed, by(NOW)), UserError, "after itself");
    await store.enqueue(ladder, by(NOW));
    assertEquals((await store.counts()).blocked, 999);
  });

  // --- Others at the same time

  rule(
    "a job that ends while others are made to wait for it holds none of them up",
    async (connect) => {
      const stores = await Promise.all([connect(), connect(), connect()]);
      const [store, other, third] = stores as [Store, Store, Store];
      await store.enqueue([job("a")], by(NOW));
      const claimed = await claimJob(store, "a");
      await Promise.all([
        other.enqueue([job("b", "a")], by(NOW)),
        end(store, claimed, DONE, NOW),
        third.enqueue([job("c", "a")], by(NOW)),
      ]);
      assertEquals(await statesOf(store), { a: "completed", b: "pending", c: "pending" });
    },
  );

  rule("a released job is released once, and its history says by whom", async (connect) => {
    const store = await connect();
    await store.enqueue([job("a"), job("b"), job("c", "a", "b")], by(NOW));
    await run(store, "b");
    await run(store, "a");
    const events = (await eventsOf(store, "c")).map(({ event, cause, actor }) => ({
      ...{ event, cause, actor },
    }));
    assertEquals(events, [
      { event: "enqueued", cause: null, actor: "tester" },
      { event: "unblocked", cause: 'Job "a" is completed', actor: "worker" },
    ]);
  });
}

// --- Words of the rules

const FATAL: Outcome = { kind: "exited", code: 99 };

/** A job that dies of exit code 99, to run after those jobs; after any end of those with `any:`. */
function job(id: string, ...after: string[]): NewJob {
  return newJob({
    id,
    fatalCodes: [99],
    backoffBase: 0,
    after: after.map((need) => ({
      id: need.replace(/^any:/, ""),
      anyEnd: need.startsWith("any:"),
    })),
  });
}

function chainOf(length: number): NewJob[] {
  return Array.from(
    { length },
    (_, i) => i === 0 ? job("link-0") : job(`link-${i}`, `link-${i - 1}`),
  );
}

async function run(store: Store, id: string, outcome: Outcome = DONE) {
  await end(store, await claimJob(store, id), outcome, NOW);
}

async function stateOf(store: Store, id: string): Promise<JobState> {
  return (await store.find(id)).state;
}

/** How a job can come to an end that is none. */
const BAD_ENDS: Record<string, (store: Store, id: string) => Promise<unknown>> = {
  dead: (store, id) => run(store, id, FATAL),
  cancelled: (store, id) => store.cancel({ ids: [id] }, { force: false }, by(NOW)),
  deleted: (store, id) => store.remove({ ids: [id] }, ["pending"], by(NOW)),
};
