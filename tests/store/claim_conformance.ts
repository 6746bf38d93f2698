import { assertEquals } from "@std/assert";
import { newId } from "../../src/ids.ts";
import type { NewJob } from "../../src/job.ts";
import { type Claim, type Scope, type Store, WHOLE_STORE } from "../../src/store/store.ts";
import { between, seeded } from "../helpers/random.ts";
import { by, claim, claimOne, end, ended, newJob, takeTurn } from "../helpers/store.ts";
import {
  claimJob,
  DONE,
  FAILED,
  type FreshStore,
  idsOf,
  jobIds,
  LOST,
  MINUTE,
  NOW,
  rulesFor,
  SECOND,
} from "./rules.ts";

const HALF_HOUR = 30 * MINUTE;

/** Which jobs a claim takes, and in which order. */
export function claimConformance(name: string, freshStore: () => Promise<FreshStore>) {
  const rule = rulesFor(name, freshStore);

  // --- In a queue

  rule("a claim takes the highest priority first, below zero as well", async (connect) => {
    const store = await connect();
    const priorities = [0, -1, 1_000_000, 5, -1_000_000, 1, 5];
    await store.enqueue(
      priorities.map((priority, i) => newJob({ id: `${priority}/${i}`, priority })),
      by(NOW),
    );
    assertEquals(
      jobIds(await claim(store, { now: NOW, idle: 9 })),
      ["1000000/2", "5/3", "5/6", "1/5", "0/0", "-1/1", "-1000000/4"],
    );
  });

  rule("jobs of one priority go by the time they are due, then as they came", async (connect) => {
    const store = await connect();
    const due = [30, 10, 20, 10, 0];
    for (const [i, seconds] of due.entries()) {
      const job = newJob({ id: `${seconds}/${i}`, runAt: NOW + seconds * SECOND });
      await store.enqueue([job], by(NOW));
    }
    assertEquals(
      jobIds(await claim(store, { now: NOW + MINUTE, idle: 9 })),
      ["0/4", "10/1", "10/3", "20/2", "30/0"],
    );
  });

  rule(
    "who is about to be idle gets what is left over, up to the first job that cannot spare an attempt",
    async (connect) => {
      for (const kind of ["once", "tried"]) {
        const store = await connect();
        const maxRetries = kind === "once" ? 1 : 3;
        await store.enqueue(
          [`${kind}1`, `${kind}2`, `${kind}3`, kind, `${kind}5`].map((id) =>
            newJob({ id, queue: kind, backoffBase: 0, maxRetries: id === kind ? maxRetries : 3 })
          ),
          by(NOW),
        );
        if (kind === "tried") await end(store, await claimJob(store, kind), FAILED, NOW);
        const slots = executors(6);
        const scope = { queues: [kind], only: null };
        const turn = { idle: slots.slice(0, 1), ahead: slots.slice(1), scope };
        const { claimed } = await takeTurn(store, turn, NOW);
        const taken = claimed.map(({ job, executor, lease }) => [job.id, executor, lease.token]);
        const first = slots.slice(0, 3).map(({ executor, token }) => [executor, token]);
        assertEquals(taken, first.map((slot, i) => [`${kind}${i + 1}`, ...slot]));
        // Nothing has overtaken it.
        const [next] = (await takeTurn(store, { idle: slots.slice(0, 1), scope }, NOW)).claimed;
        assertEquals(next?.job.id, kind);
      }
    },
  );

  rule(
    "the order of claims is the same whether one asks for one job or for many",
    async (connect) => {
      const random = seeded(7);
      const jobs = Array.from({ length: 40 }, (_, i): NewJob =>
        newJob({
          id: `job-${i}`,
          priority: between(random, -1, 1),
          runAt: NOW + between(random, 0, 50) * SECOND,
        }));
      const now = NOW + MINUTE;
      const store = await connect();
      await store.enqueue(jobs, by(NOW));
      const order: string[] = [];
      while (order.length < jobs.length) {
        order.push(...jobIds(await claim(store, { now, idle: between(random, 1, 4) })));
      }
      const expected = jobs.toSorted((a, b) => b.priority - a.priority || a.runAt! - b.runAt!);
      assertEquals(order, expected.map(({ id }) => id));
    },
  );

  rule("jobs due within half an hour of each other go strictly by priority", async (connect) => {
    const store = await connect();
    for (let minute = 0; minute < 60; minute += 7) {
      const older = NOW + minute * MINUTE;
      await store.enqueue([newJob({ id: `low-${minute}` })], by(older));
      await store.enqueue([newJob({ id: `high-${minute}`, priority: 1 })], by(older + HALF_HOUR));
      const claimed = await claim(store, { now: older + HALF_HOUR, idle: 2 });
      assertEquals(jobIds(claimed), [`high-${minute}`, `low-${minute}`]);
    }
  });

  rule("an hour of waiting is worth one step of priority", async (connect) => {
    const store = await connect();
    for (let minute = 0; minute < 60; minute += 7) {
      for (const steps of [1, 3]) {
        const start = NOW + minute * MINUTE;
        const waited = start + steps * 2 * HALF_HOUR;
        const names = [`old-${minute}-${steps}`, `new-${minute}-${steps}`];
        await store.enqueue([newJob({ id: names[0] })], by(start));
        await store.enqueue([newJob({ id: names[1], priority: steps })], by(waited));
        assertEquals(jobIds(await claim(store, { now: waited, idle: 2 })), names);
      }
    }
  });

  rule(
    "a job that has waited long goes before one that is newer by far and of higher priority",
    async (connect) => {
      const store = await connect();
      await store.enqueue([newJob({ id: "waits" })], by(NOW));
      for (let hour = 0;; hour++) {
        const now = NOW + hour * 2 * HALF_HOUR;
        await store.enqueue([newJob({ id: `hour-${hour}`, priority: 2 })], by(now));
        const [claimed] = jobIds(await claim(store, { now }));
        if (claimed === "waits") return assertEquals(hour, 2);
        assertEquals(claimed, `hour-${hour}`);
      }
    },
  );

  rule("it is from the moment it is due that a job waits", async (connect) => {
    const store = await connect();
    const later = NOW + 10 * HALF_HOUR;
    await store.enqueue([newJob({ id: "put-off", runAt: later })], by(NOW));
    await store.enqueue([newJob({ id: "high", priority: 1 })], by(later));
    assertEquals(jobIds(await claim(store, { now: later, idle: 2 })), ["high", "put-off"]);
  });

  rule(
    "nobody gets ahead of the others by a time that had passed when the job came",
    async (connect) => {
      const store = await connect();
      await store.enqueue([newJob({ id: "high", priority: 1 })], by(NOW));
      await store.enqueue([newJob({ id: "backdated", runAt: 0 })], by(NOW));
      assertEquals(jobIds(await claim(store, { now: NOW, idle: 2 })), ["high", "backdated"]);
    },
  );

  rule("a retry keeps its priority", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "retried", priority: 1, backoffBase: 1 })], by(NOW));
    await end(store, await claimOne(store, NOW), FAILED, NOW);
    await store.enqueue([newJob({ id: "other" })], by(NOW));
    assertEquals(jobIds(await claim(store, { now: NOW + SECOND, idle: 2 })), ["retried", "other"]);
  });

  // --- Not before

  rule("a job is not claimed before the time that it was given", async (connect) => {
    const store = await connect();
    const runAt = NOW + 5000;
    assertEquals(
      await store.enqueue([newJob({ id: "a", runAt })], by(NOW)),
      [{ id: "a", state: "pending", added: true }],
    );
    assertEquals((await store.find("a")).runAt, runAt);
    assertEquals(await store.outlook(WHOLE_STORE, NOW), {
      ...{ claimable: false, nextDueAt: runAt, unfinished: 1 },
    });
    assertEquals(await claim(store, { now: runAt - 1 }), []);
    assertEquals(jobIds(await claim(store, { now: runAt })), ["a"]);
  });

  rule("many more jobs may come due at once than a turn can deal with", async (connect) => {
    const store = await connect();
    const jobs = Array.from({ length: 12_000 }, () => newJob({ runAt: NOW + 1 }));
    await store.enqueue(jobs, by(NOW));
    const claimed = new Set<string>();
    while (claimed.size < jobs.length) {
      const batch = await claim(store, { now: NOW + 1, idle: 1000 });
      for (const id of jobIds(batch)) claimed.add(id);
      if (batch.length === 0) break;
    }
    assertEquals(claimed.size, jobs.length);
  });

  // --- Across queues

  rule("of several queues the one with the highest priority goes first", async (connect) => {
    const store = await connect();
    await add(store, [["a", 0], ["b", 2], ["c", 1], ["a", 2], ["b", 0]]);
    assertEquals(
      jobIds(await claim(store, { now: NOW, idle: 5 })),
      ["a2-3", "b2-1", "c1-2", "a0-0", "b0-4"],
    );
  });

  rule("queues take turns within a claim, however many jobs one of them has", async (connect) => {
    const store = await connect();
    await add(store, [["a", 0], ["a", 0], ["a", 0], ["a", 0], ["b", 0], ["b", 0], ["c", 0]]);
    const claimed = await claim(store, { now: NOW, idle: 7 });
    assertEquals(claimed.map(({ job }) => job.queue).join(""), "abcabaa");
  });

  rule("queues take turns from claim to claim, whoever claims", async (connect) => {
    const stores = [await connect(), await connect()];
    await add(stores[0]!, ["a", "a", "a", "b", "b", "c", "c", "c"].map((queue) => [queue, 0]));
    let order = "";
    while (order.length < 8) {
      const [claimed] = await claimIn(stores[order.length % 2]!);
      order += claimed!.job.queue;
    }
    assertEquals(order, "abcabcac");
  });

  rule(
    "jobs of higher priority in another queue do not change whose turn it is",
    async (connect) => {
      const store = await connect();
      await add(store, ["a", "a", "a", "b", "b", "b"].map((queue) => [queue, 0]));
      let order = "";
      while (order.length < 8) {
        if (order.length % 2 === 0) {
          await store.enqueue(
            [newJob({ queue: "c", priority: 1 })],
            by(NOW),
          );
        }
        order += (await claimIn(store))[0]!.job.queue;
      }
      assertEquals(order, "cacbcacb");
    },
  );

  rule(
    "a job that has waited long takes no younger ones of its priority along",
    async (connect) => {
      const store = await connect();
      const HOURS = 3_600_000;
      await store.enqueue([newJob({ id: "old", queue: "d" })], by(NOW - 5 * HOURS));
      await store.enqueue(["a", "b"].map((queue) => newJob({ id: queue, queue })), by(NOW));
      await store.enqueue([newJob({ id: "urgent", queue: "e", priority: 3 })], by(NOW));
      assertEquals(jobIds(await claim(store, { now: NOW, idle: 4 })), ["old", "urgent", "a", "b"]);
    },
  );

  rule(
    "queues whose jobs came due in different half hours take turns all the same",
    async (connect) => {
      const store = await connect();
      const flood = Array.from({ length: 5 }, () => newJob({ queue: "flood" }));
      await store.enqueue(flood, by(NOW - 1));
      await store.enqueue([newJob({ queue: "other" })], by(NOW));
      const claimed = await claim(store, { now: NOW, idle: 3 });
      assertEquals(claimed.map(({ job }) => job.queue), ["flood", "other", "flood"]);
    },
  );

  // --- Scopes

  rule("a scope takes only from its queues, and empties the first ones first", async (connect) => {
    const store = await connect();
    await add(store, [["a", 9], ["b", 0], ["c", 5], ["a", 0], ["b", 7], ["d", 9]]);
    const scope: Scope = { queues: ["b", "nothing-in-it", "a"], only: null };
    assertEquals(jobIds(await claimIn(store, { scope, idle: 3 })), ["b7-4", "b0-1", "a9-0"]);
    assertEquals(jobIds(await claimIn(store, { scope, idle: 9 })), ["a0-3"]);
    assertEquals(await claimIn(store, { scope, idle: 9 }), []);
    assertEquals((await store.counts()).pending, 2);
  });

  rule("a scope keeps the order of its queues, whichever was served last", async (connect) => {
    const store = await connect();
    for (let i = 0; i < 4; i++) {
      await store.remove({ filter: {} }, ["pending", "failed"], by());
      await add(store, [["a", 0], ["b", 0], ["c", 0]]);
      const scope: Scope = { queues: ["b", "a", "c"], only: null };
      const claimed = await claimIn(store, { scope, idle: 3 });
      assertEquals(claimed.map(({ job }) => job.queue), ["b", "a", "c"]);
      for (const each of claimed) await end(store, each, FAILED, NOW);
    }
  });

  rule("a queue that a scope names twice is served as if it were named once", async (connect) => {
    const store = await connect();
    await add(store, [["a", 0], ["a", 0]]);
    const claimed = await claimIn(store, { scope: { queues: ["a", "a"], only: null }, idle: 4 });
    assertEquals(jobIds(claimed), ["a0-0", "a0-1"]);
  });

  rule("a scope of no queues takes nothing", async (connect) => {
    const store = await connect();
    await add(store, [["a", 0]]);
    const scope: Scope = { queues: [], only: null };
    assertEquals(await claimIn(store, { scope }), []);
    assertEquals(await store.outlook(scope, NOW), NOTHING);
  });

  rule("a scope of one job takes that one only, before all others", async (connect) => {
    const store = await connect();
    await add(store, [["a", 9], ["b", 0], ["b", 1]]);
    const scope: Scope = { queues: null, only: "b0-1" };
    assertEquals((await store.outlook(scope, NOW)).unfinished, 1);
    const [claimed, ...others] = await claimIn(store, { scope, idle: 3 });
    assertEquals([claimed!.job.id, others], ["b0-1", []]);
    assertEquals(await claimIn(store, { scope }), []);
    await end(store, claimed!, DONE, NOW);
    assertEquals(await store.outlook(scope, NOW), NOTHING);
    assertEquals(await store.outlook({ queues: null, only: "nobody" }, NOW), NOTHING);
  });

  rule("the only job of a scope has to be due as any other", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a", runAt: NOW + 9 })], by(NOW));
    const scope: Scope = { queues: null, only: "a" };
    assertEquals(await claimIn(store, { scope }), []);
    assertEquals(await store.outlook(scope, NOW), {
      ...{ claimable: false, nextDueAt: NOW + 9, unfinished: 1 },
    });
    assertEquals(jobIds(await claimIn(store, { scope, now: NOW + 9 })), ["a"]);
  });

  rule(
    "outlook() counts what is unfinished in its queues, but not what is blocked",
    async (connect) => {
      const store = await connect();
      await add(store, [["a", 0], ["b", 0], ["b", 0], ["c", 0]]);
      await store.enqueue(
        [newJob({ queue: "a", after: [{ id: "a0-0", anyEnd: false }] })],
        by(NOW),
      );
      await claimJob(store, "b0-1");
      const unfinished = async (...queues: string[]) =>
        (await store.outlook({ queues, only: null }, NOW)).unfinished;
      assertEquals(
        [await unfinished("a"), await unfinished("b", "c"), await unfinished("none")],
        [1, 3, 0],
      );
      assertEquals((await store.outlook(WHOLE_STORE, NOW)).unfinished, 4);
      const [id] = (await idsOf(store)).slice(-1);
      assertEquals((await store.outlook({ queues: null, only: id! }, NOW)).unfinished, 1);
    },
  );

  rule("outlook() sees only what can be claimed within its scope", async (connect) => {
    const store = await connect();
    await add(store, [["a", 0]]);
    const claimable = async (scope: Scope) => (await store.outlook(scope, NOW)).claimable;
    assertEquals(await claimable({ queues: ["b", "a"], only: null }), true);
    assertEquals(await claimable({ queues: ["b"], only: null }), false);
    assertEquals(await claimable({ queues: null, only: "a0-0" }), true);
    assertEquals(await claimable({ queues: null, only: "other" }), false);
  });

  // --- Paused queues

  rule("a paused queue is left alone until it is resumed, by every connection", async (connect) => {
    const [store, other] = [await connect(), await connect()];
    await add(store, [["a", 5], ["b", 0]]);
    await other.changeQueue("a", { paused: { reason: null } }, by(NOW));
    assertEquals(jobIds(await claim(store, { now: NOW, idle: 2 })), ["b0-1"]);
    for (const scope of [WHOLE_STORE, { queues: ["a"], only: null }]) {
      assertEquals(await store.outlook(scope, NOW), {
        ...{ claimable: false, nextDueAt: null, unfinished: scope.queues ? 0 : 1 },
      });
      assertEquals(await claimIn(store, { scope, idle: 2 }), []);
    }
    assertEquals(await claimIn(store, { scope: { queues: null, only: "a5-0" } }), []);
    await other.changeQueue("a", { paused: null }, by(NOW));
    assertEquals((await store.outlook(WHOLE_STORE, NOW)).claimable, true);
    assertEquals(jobIds(await claim(store, { now: NOW, idle: 2 })), ["a5-0"]);
  });

  rule("what comes due in a paused queue is claimed once it is resumed", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a", queue: "q", runAt: NOW + 1 })], by(NOW));
    await store.changeQueue("q", { paused: { reason: "deploy" } }, by(NOW));
    assertEquals(await claim(store, { now: NOW + 1 }), []);
    await store.changeQueue("q", { paused: null }, by(NOW));
    assertEquals(jobIds(await claim(store, { now: NOW + 1 })), ["a"]);
  });

  rule(
    "a job that runs in a queue when it is paused runs on, and its retry waits",
    async (connect) => {
      const store = await connect();
      await add(store, [["q", 0]]);
      const claimed = await claimOne(store, NOW);
      await store.changeQueue("q", { paused: { reason: null } }, by(NOW));
      assertEquals((await end(store, claimed, FAILED, NOW)).refused, []);
      assertEquals(await claim(store, { now: NOW + MINUTE }), []);
      assertEquals((await store.find("q0-0")).state, "failed");
    },
  );

  // --- Limits

  rule("a limit holds in one claim, and leaves the other queues alone", async (connect) => {
    const store = await connect();
    await store.changeQueue("a", { maxRunning: 2 }, by(NOW));
    await add(store, ["a", "a", "a", "a", "b", "b", "b"].map((queue) => [queue, 0]));
    const claimed = await claim(store, { now: NOW, idle: 9 });
    assertEquals(claimed.map(({ job }) => job.queue).join(""), "ababb");
    for (
      const scope of [WHOLE_STORE, { queues: ["a"], only: null }, { queues: null, only: "a0-3" }]
    ) {
      assertEquals(await claimIn(store, { scope, idle: 9 }), []);
      assertEquals((await store.outlook(scope, NOW)).claimable, false);
    }
  });

  rule("a limit holds over several connections whose turns interleave", async (connect) => {
    const stores = [await connect(), await connect(), await connect()];
    await stores[0]!.changeQueue("q", { maxRunning: 3 }, by(NOW));
    const ids = Array.from({ length: 60 }, (_, i) => `job-${i}`);
    await stores[0]!.enqueue(ids.map((id) => newJob({ id, queue: "q" })), by(NOW));
    const done: string[] = [];
    let most = 0;
    const work = async (store: Store, idle: number) => {
      let held: Claim[] = [];
      for (let turns = 0; turns < 200; turns++) {
        const settled = held.map((each) => ended(each, DONE, NOW));
        const { claimed } = await takeTurn(store, { settled, idle: executors(idle) }, NOW);
        done.push(...jobIds(held));
        held = claimed;
        most = Math.max(most, (await store.counts()).processing);
        // The others have their turns while this one holds its jobs.
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    };
    await Promise.all(stores.map((store, i) => work(store, i + 1)));
    assertEquals(most, 3);
    assertEquals(done.sort(), ids.sort());
  });

  rule("each end makes room for one more, in the turn that settles it", async (connect) => {
    const [store, other] = [await connect(), await connect()];
    await store.changeQueue("q", { maxRunning: 2 }, by(NOW));
    await add(store, Array.from({ length: 6 }, () => ["q", 0]));
    const [first, second] = await claim(store, { now: NOW, idle: 3 });
    assertEquals(await claim(other, { now: NOW, idle: 3 }), []);
    const settled = [ended(first!, DONE, NOW)];
    const { claimed } = await takeTurn(store, { settled, idle: executors(3) }, NOW);
    assertEquals(claimed.length, 1);
    await end(store, second!, LOST, NOW);
    assertEquals((await claim(other, { now: NOW, idle: 3 })).length, 1);
    assertEquals(await claim(store, { now: NOW, idle: 3 }), []);
  });

  rule("a limit below what runs already stops nothing and lets nothing in", async (connect) => {
    const store = await connect();
    await add(store, Array.from({ length: 5 }, () => ["q", 0]));
    const held = await claim(store, { now: NOW, idle: 3 });
    await store.changeQueue("q", { maxRunning: 1 }, by(NOW));
    for (const each of held) {
      assertEquals(await claim(store, { now: NOW, idle: 9 }), []);
      assertEquals((await end(store, each, DONE, NOW)).refused, []);
    }
    assertEquals((await claim(store, { now: NOW, idle: 9 })).length, 1);
    await store.changeQueue("q", { maxRunning: null }, by(NOW));
    assertEquals((await claim(store, { now: NOW, idle: 9 })).length, 1);
  });
}

// --- Words of the rules

const NOTHING = { claimable: false, nextDueAt: null, unfinished: 0 };

/** Adds jobs with ids such as `q0-3`: queue, priority, and place in the list. */
async function add(store: Store, jobs: readonly (readonly [queue: string, priority: number])[]) {
  await store.enqueue(
    jobs.map(([queue, priority], i) => newJob({ id: `${queue}${priority}-${i}`, queue, priority })),
    by(NOW),
  );
}

function executors(idle: number) {
  return Array.from({ length: idle }, (_, i) => ({ executor: i + 1, token: newId(20) }));
}

async function claimIn(
  store: Store,
  { scope = WHOLE_STORE, idle = 1, now = NOW }: {
    scope?: Scope;
    idle?: number;
    now?: number;
  } = {},
): Promise<Claim[]> {
  return (await takeTurn(store, { idle: executors(idle), scope }, now)).claimed;
}
