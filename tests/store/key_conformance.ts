import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { UserError } from "../../src/errors.ts";
import type { Enqueued, Store } from "../../src/store/store.ts";
import { by, end, newJob } from "../helpers/store.ts";
import {
  claimJob,
  type Connect,
  DONE,
  eventsOf,
  everythingOf,
  FAILED,
  type FreshStore,
  idsOf,
  INTERRUPTED,
  NOW,
  rulesFor,
  statesOf,
} from "./rules.ts";

/** Of all jobs with the same key only one is unfinished. */
export function keyConformance(name: string, freshStore: () => Promise<FreshStore>) {
  const rule = rulesFor(name, freshStore);

  for (const state of UNFINISHED) {
    rule(
      `a key is taken while its job is ${state}, and the error says by whom`,
      async (connect) => {
        const store = await withKey(connect, state);
        const before = await everythingOf(store);
        const error = await assertRejects(
          () => store.enqueue([newJob(), newJob({ id: "new", key: "k" })], by(NOW)),
          UserError,
        );
        assertEquals(error.exitCode, 1);
        for (const part of ['"new"', '"k"', '"old"', state]) {
          assertStringIncludes(error.message, part);
        }
        assertEquals(await everythingOf(store), before);
      },
    );

    rule(
      `with skip the job that has the key stands in for the new one: ${state}`,
      async (connect) => {
        const store = await withKey(connect, state);
        const before = await everythingOf(store);
        const stored = await enqueue(store, { id: "new", ifExists: "skip" });
        assertEquals(stored, { id: "old", state, added: false });
        assertEquals(await everythingOf(store), before);
      },
    );
  }

  for (const state of ["blocked", "pending", "failed"] as const) {
    rule(`with replace the job that has the key is cancelled: ${state}`, async (connect) => {
      const store = await withKey(connect, state);
      const stored = await enqueue(store, { id: "new", ifExists: "replace" }, NOW + 5);
      assertEquals(stored, { id: "new", state: "pending", added: true });
      const old = await store.find("old");
      assertEquals(
        [old.state, old.lastError, old.finishedAt, old.updatedAt],
        ["cancelled", 'Replaced by job "new"', NOW + 5, NOW + 5],
      );
      const last = (await eventsOf(store, "old")).at(-1)!;
      assertEquals(
        [last.event, last.cause, last.at],
        ["cancelled", 'Replaced by job "new"', NOW + 5],
      );
    });
  }

  for (const state of ["processing"] as const) {
    rule(
      `a job that has started is not replaced, and the error says so: ${state}`,
      async (connect) => {
        const store = await withKey(connect, state);
        const before = await everythingOf(store);
        const error = await assertRejects(
          () => enqueue(store, { id: "new", ifExists: "replace" }),
          UserError,
        );
        assertEquals(error.exitCode, 1);
        for (const part of ['"new"', '"k"', '"old"', "runs"]) {
          assertStringIncludes(error.message, part);
        }
        assertEquals(await everythingOf(store), before);
      },
    );
  }

  rule("replacing a job cancels what waits for it", async (connect) => {
    const store = await withKey(connect, "pending");
    await store.enqueue([newJob({ id: "child", after: [{ id: "old", anyEnd: false }] })], by(NOW));
    await enqueue(store, { id: "new", ifExists: "replace" });
    assertEquals((await store.find("child")).state, "cancelled");
  });

  for (const ifExists of ["error", "skip", "replace"] as const) {
    rule(`a key is free again once its job has ended: ${ifExists}`, async (connect) => {
      const store = await withKey(connect, "processing");
      const [held] = await store.leases();
      await end(store, held!, DONE, NOW);
      assertEquals(await enqueue(store, { id: "dies", maxRetries: 1, ifExists }), {
        ...{ id: "dies", state: "pending", added: true },
      });
      await end(store, await claimJob(store, "dies"), FAILED, NOW);
      await enqueue(store, { id: "cancelled", ifExists });
      await store.cancel({ ids: ["cancelled"] }, { force: false }, by(NOW));
      assertEquals((await enqueue(store, { id: "last", ifExists })).added, true);
      assertEquals(await statesOf(store), {
        ...{ old: "completed", dies: "dead", cancelled: "cancelled", last: "pending" },
      });
    });
  }

  rule("an interrupted or failed attempt leaves the key with its job", async (connect) => {
    const store = await withKey(connect, "processing");
    for (const outcome of [INTERRUPTED, FAILED]) {
      const [held] = await store.leases();
      const claimed = held ?? await claimJob(store, "old");
      await end(store, claimed, outcome, NOW);
      assertEquals((await enqueue(store, { ifExists: "skip" })).id, "old");
    }
  });

  rule(
    "keys are told apart to the letter, and jobs without any are never in the way",
    async (connect) => {
      const store = await connect();
      for (const key of ["k", "K", "k ", "'k'", "größe", null, null]) {
        await store.enqueue([newJob({ key })], by(NOW));
      }
      assertEquals((await idsOf(store)).length, 7);
    },
  );

  rule(
    "a key that comes twice in one batch is dealt with as if they came one by one",
    async (connect) => {
      const twice = (ifExists: "error" | "skip" | "replace") =>
        ["one", "two"].map((id) => newJob({ id, key: "k", ifExists }));
      for (const ifExists of ["error", "skip", "replace"] as const) {
        const store = await connect();
        const act = () => store.enqueue(twice(ifExists), by(NOW));
        switch (ifExists) {
          case "error":
            await assertRejects(act, UserError, '"two"');
            assertEquals(await statesOf(store), {});
            break;
          case "skip":
            assertEquals(await act(), [
              { id: "one", state: "pending", added: true },
              { id: "one", state: "pending", added: false },
            ]);
            await store.remove({ ids: ["one"] }, ["pending"], by(NOW));
            break;
          case "replace":
            await act();
            assertEquals(await statesOf(store), { one: "cancelled", two: "pending" });
        }
      }
    },
  );

  rule("enqueue() tells the state that a job is in when all have been added", async (connect) => {
    const store = await connect();
    const jobs = ["one", "two"].map((id) => newJob({ id, key: "k", ifExists: "replace" }));
    assertEquals(await store.enqueue(jobs, by(NOW)), [
      { id: "one", state: "cancelled", added: true },
      { id: "two", state: "pending", added: true },
    ]);
  });

  rule(
    "of several connections that add a job with one key at once, one adds it",
    async (connect) => {
      const stores = await Promise.all(Array.from({ length: 4 }, connect));
      const stored = await Promise.all(stores.map((store) => enqueue(store, { ifExists: "skip" })));
      assertEquals(stored.filter(({ added }) => added).length, 1);
      assertEquals(new Set(stored.map(({ id }) => id)).size, 1);
      assertEquals((await stores[0]!.counts()).pending, 1);
    },
  );

  rule(
    "a job whose key was taken meanwhile cannot be retried by its id, and the error says why",
    async (connect) => {
      const store = await connect();
      await enqueue(store, { id: "old" });
      await store.cancel({ ids: ["old"] }, { force: false }, by(NOW));
      await enqueue(store, { id: "new" });
      await store.enqueue([newJob({ id: "other", maxRetries: 1 })], by(NOW));
      await end(store, await claimJob(store, "other"), FAILED, NOW);
      const before = await everythingOf(store);
      const error = await assertRejects(
        () => store.retry({ ids: ["other", "old"] }, RETRYABLE, by(NOW)),
        UserError,
      );
      assertEquals(error.exitCode, 1);
      for (const part of ['"old"', '"new"']) assertStringIncludes(error.message, part);
      assertEquals(await everythingOf(store), before);
    },
  );

  rule(
    "of the jobs that a filter finds, those whose key is taken are not retried",
    async (connect) => {
      const store = await connect();
      for (const id of ["first", "second"]) {
        await enqueue(store, { id });
        await store.cancel({ ids: [id] }, { force: false }, by(NOW));
      }
      await store.enqueue([newJob({ id: "other" })], by(NOW));
      await store.cancel({ ids: ["other"] }, { force: false }, by(NOW));
      const retried = await store.retry({ filter: {} }, RETRYABLE, by(NOW));
      assertEquals(retried.filter((id) => id !== "other").length, 1);
      assertEquals((await store.counts()).pending, 2);
    },
  );
}

// --- Words of the rules

const UNFINISHED = ["blocked", "pending", "processing", "failed"] as const;
const RETRYABLE = ["failed", "dead", "cancelled"] as const;

async function enqueue(store: Store, said: Parameters<typeof newJob>[0], now = NOW) {
  const [stored] = await store.enqueue([newJob({ key: "k", ...said })], by(now));
  return stored as Enqueued;
}

/** A store with the job `old` that has the key `k` and is in this state. */
async function withKey(connect: Connect, state: (typeof UNFINISHED)[number]): Promise<Store> {
  const store = await connect();
  if (state === "blocked") {
    await store.enqueue([newJob({ id: "parent" })], by(NOW));
    await enqueue(store, { id: "old", after: [{ id: "parent", anyEnd: false }] });
  } else await enqueue(store, { id: "old" });
  if (state === "processing" || state === "failed") {
    const claimed = await claimJob(store, "old");
    if (state === "failed") await end(store, claimed, FAILED, NOW);
  }
  assertEquals((await store.find("old")).state, state);
  return store;
}
