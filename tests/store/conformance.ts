import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { UserError } from "../../src/errors.ts";
import { newId } from "../../src/ids.ts";
import {
  JOB_STATES,
  type JobState,
  type NewJob,
  type Outcome,
  settle,
  type Settlement,
} from "../../src/job.ts";
import { settingsFrom } from "../../src/settings.ts";
import type { Claim, JobCounts, OutputChunk, Store } from "../../src/store/store.ts";
import { between, seeded } from "../helpers/random.ts";
import { claim, claimOne, end, newJob, newWorker, stale, turnOf } from "../helpers/store.ts";

/** One store that is empty at first. Disposing of it closes its connections and removes it. */
export interface FreshStore extends AsyncDisposable {
  /** Opens another connection to it, as another process would. */
  connect(): Promise<Store>;
}

const NOW = Date.UTC(2030, 0, 1);
const SECOND = 1000;
const ALL = 1_000_000;

const DONE: Outcome = { kind: "exited", code: 0 };
const FAILED: Outcome = { kind: "exited", code: 1 };

/** The promises of the Store interface, as tests of whatever `freshStore` makes. */
export function storeConformance(name: string, freshStore: () => Promise<FreshStore>) {
  const rule = (promise: string, check: (connect: () => Promise<Store>) => Promise<void>) =>
    Deno.test(`${name}: ${promise}`, async () => {
      await using fresh = await freshStore();
      await check(() => fresh.connect());
    });

  // --- enqueue

  rule(
    "enqueue() stores what it is told of a job, and natural zeros for the rest",
    async (connect) => {
      const store = await connect();
      const job: NewJob = {
        id: "job-1",
        command: "echo 'größe' \x1b\n\t\"x\"",
        maxRetries: 7,
        backoffBase: 1.5,
        backoffMaxMs: 60_000,
        backoffJitter: 0.25,
        timeoutMs: 1234,
        cwd: "/srv/with space/ü",
        env: { A: "1", "b c": "x=y\nz", EMPTY: "" },
      };
      await store.enqueue([job], NOW);
      assertEquals(await (await connect()).find("job-1"), {
        ...job,
        state: "pending",
        queue: "default",
        priority: 0,
        attempts: 0,
        tags: [],
        runAt: NOW,
        createdAt: NOW,
        updatedAt: NOW,
        startedAt: null,
        finishedAt: null,
        exitCode: null,
        signal: null,
        lastError: null,
        workerId: null,
      });
    },
  );

  rule(
    "enqueue() adds all jobs or none, and names the id that was there already",
    async (connect) => {
      const store = await connect();
      await store.enqueue([newJob({ id: "taken" })], NOW);
      for (const batch of [["new1", "taken", "new2"], ["taken"], ["twice", "twice"]]) {
        const error = await assertRejects(
          () => store.enqueue(batch.map((id) => newJob({ id })), NOW),
          UserError,
          batch.includes("taken") ? '"taken"' : '"twice"',
        );
        assertEquals(error.exitCode, 1);
      }
      assertEquals(await idsOf(store), ["taken"]);
      assertEquals((await store.counts()).pending, 1);
    },
  );

  rule("enqueue() refuses an id that another connection has used", async (connect) => {
    const [one, other] = [await connect(), await connect()];
    await one.enqueue([newJob({ id: "same" })], NOW);
    await assertRejects(() => other.enqueue([newJob({ id: "same" })], NOW), UserError, '"same"');
  });

  rule("enqueue() tells how far it has come, and takes many jobs and none", async (connect) => {
    const store = await connect();
    const said: number[] = [];
    const jobs = Array.from({ length: 2500 }, () => newJob());
    await store.enqueue(jobs, NOW, (done) => said.push(done));
    await store.enqueue([], NOW);
    assertEquals(said, [...said].sort((a, b) => a - b));
    assert(said.length > 0 && said.every((done) => done > 0 && done <= 2500), String(said));
    assertEquals((await store.counts()).pending, 2500);
  });

  rule("batches of several connections at once are all kept", async (connect) => {
    const stores = await Promise.all([connect(), connect(), connect()]);
    await Promise.all(
      stores.flatMap((store) => [1, 2, 3].map(() => store.enqueue([newJob(), newJob()], NOW))),
    );
    assertEquals((await stores[0]!.counts()).pending, 18);
  });

  // --- find

  rule(
    "find() takes an id, or a prefix of 4 characters or more that only one has",
    async (connect) => {
      const store = await connect();
      const ids = ["abcd1", "abcd2", "abc", "Abcd", "nightly:db", "nightly", "x_y.z-1", "zzzzzz"];
      await store.enqueue(ids.map((id) => newJob({ id })), NOW);
      const cases: [string, string][] = [
        ["abcd1", "abcd1"],
        ["abc", "abc"],
        ["Abcd", "Abcd"],
        ["nightly", "nightly"],
        ["nightly:", "nightly:db"],
        ["x_y.", "x_y.z-1"],
        ["zzzz", "zzzzzz"],
      ];
      for (const [asked, id] of cases) assertEquals((await store.find(asked)).id, id);
    },
  );

  rule(
    "find() fails for an id that nobody has, also for a prefix that is too short",
    async (connect) => {
      const store = await connect();
      await store.enqueue([newJob({ id: "abcdef" })], NOW);
      for (const asked of ["abcx", "abc", "a", "", "ABCD", "abcdefg", "bcde", "ab%d", "abc_"]) {
        const error = await assertRejects(() => store.find(asked), UserError);
        assertEquals([error.exitCode, error.message], [1, `No job "${asked}"`]);
      }
    },
  );

  rule(
    "find() calls a prefix that several have ambiguous, and names some of them",
    async (connect) => {
      const store = await connect();
      await store.enqueue([newJob({ id: "abcd1" }), newJob({ id: "abcd2" })], NOW);
      const error = await assertRejects(() => store.find("abcd"), UserError);
      assertEquals(error.exitCode, 2);
      for (const part of ['"abcd"', '"abcd1"', '"abcd2"']) {
        assertStringIncludes(
          error.message,
          part,
        );
      }
      await store.enqueue([newJob({ id: "abcd3" })], NOW);
      assertEquals((await assertRejects(() => store.find("abcd"), UserError)).exitCode, 2);
    },
  );

  // --- list

  rule(
    "list() gives the newest jobs, the newest last, and counts the older ones",
    async (connect) => {
      const store = await connect();
      const ids = Array.from({ length: 10 }, (_, i) => `job-${9 - i}`);
      for (const id of ids) {
        await store.enqueue(
          [newJob({ id })],
          NOW - Number(id.slice(4)) * SECOND,
        );
      }
      const cases: [limit: number, ids: string[], older: number][] = [
        [3, ids.slice(7), 7],
        [1, ids.slice(9), 9],
        [9, ids.slice(1), 1],
        [10, ids, 0],
        [11, ids, 0],
        [Number.MAX_SAFE_INTEGER, ids, 0],
      ];
      for (const [limit, expected, older] of cases) {
        const page = await store.list({}, limit);
        assertEquals(
          [page.jobs.map(({ id }) => id), page.older],
          [expected, older],
          `limit ${limit}`,
        );
      }
    },
  );

  rule("list() shows only what matches all of a filter, and counts only that", async (connect) => {
    const store = await connect();
    await store.enqueue(
      ["backup-a", "backup-b", "report", "clean"].map((id) =>
        newJob({ id, command: `./${id.toUpperCase()} --now 100%_` })
      ),
      NOW,
    );
    await claim(store, { now: NOW, idle: 2 });
    const cases: [Parameters<Store["list"]>[0], string[]][] = [
      [{}, ["backup-a", "backup-b", "report", "clean"]],
      [{ state: "processing" }, ["backup-a", "backup-b"]],
      [{ state: "pending" }, ["report", "clean"]],
      [{ state: "dead" }, []],
      [{ queue: "default" }, ["backup-a", "backup-b", "report", "clean"]],
      [{ queue: "other" }, []],
      [{ queue: "default", state: "pending" }, ["report", "clean"]],
      [{ tag: "nightly" }, []],
      [{ search: "BACKUP" }, ["backup-a", "backup-b"]],
      [{ search: "port" }, ["report"]],
      [{ search: "./clean" }, ["clean"]],
      [{ search: "100%_" }, ["backup-a", "backup-b", "report", "clean"]],
      [{ search: "%" }, ["backup-a", "backup-b", "report", "clean"]],
      [{ search: "nothing" }, []],
      [{ search: "e", state: "pending" }, ["report", "clean"]],
    ];
    for (const [filter, ids] of cases) {
      const what = JSON.stringify(filter);
      const all = await store.list(filter, ALL);
      assertEquals([all.jobs.map(({ id }) => id), all.older], [ids, 0], what);
      const page = await store.list(filter, 1);
      assertEquals(
        [page.jobs.map(({ id }) => id), page.older],
        [ids.slice(-1), Math.max(0, ids.length - 1)],
        what,
      );
    }
  });

  rule("list() keeps the order of arrival whatever becomes of the jobs", async (connect) => {
    const store = await connect();
    await store.enqueue(["a", "b", "c"].map((id) => newJob({ id })), NOW);
    const [first] = await claim(store, { now: NOW });
    await end(store, first!, DONE, NOW + 5000);
    assertEquals(await idsOf(store), ["a", "b", "c"]);
  });

  // --- counts

  rule("counts() follows every transition", async (connect) => {
    const store = await connect();
    const observer = await connect();
    const expectCounts = async (expected: Partial<JobCounts>) => {
      const none = Object.fromEntries(JOB_STATES.map((state) => [state, 0]));
      assertEquals(await observer.counts(), { ...none, ...expected } as JobCounts);
    };
    await expectCounts({});
    await store.enqueue([newJob({ id: "a" }), newJob({ id: "b", maxRetries: 1 })], NOW);
    await expectCounts({ pending: 2 });
    const [a, b] = await claim(store, { now: NOW, idle: 2 });
    await expectCounts({ processing: 2 });
    await end(store, a!, FAILED, NOW);
    await expectCounts({ processing: 1, failed: 1 });
    await end(store, b!, FAILED, NOW);
    await expectCounts({ failed: 1, dead: 1 });
    const again = await claimOne(store, NOW + 2000);
    await expectCounts({ processing: 1, dead: 1 });
    await end(store, again, { kind: "interrupted" }, NOW + 2000);
    await expectCounts({ pending: 1, dead: 1 });
    await end(store, await claimOne(store, NOW + 2000), DONE, NOW + 2000);
    await expectCounts({ completed: 1, dead: 1 });
    await store.retryDead(["b"], NOW + 2000);
    await expectCounts({ completed: 1, pending: 1 });
    await end(store, await claimOne(store, NOW + 2000), FAILED, NOW + 2000);
    await expectCounts({ completed: 1, dead: 1 });
    await store.purgeDead("all");
    await expectCounts({ completed: 1 });
    await store.prune(NOW + 3000, 10);
    await expectCounts({});
  });

  rule("counts() always equals a real count, whatever happens", async (connect) => {
    const stores = [await connect(), await connect()];
    for (const seed of [1, 2, 3]) await doRandomThings(stores, seed);
  });

  // --- Claims

  rule("a claim marks the job as processing and begins an attempt", async (connect) => {
    const store = await connect();
    const job = newJob({ id: "a", timeoutMs: 5, env: { A: "1" }, backoffJitter: 0.5 });
    await store.enqueue([job], NOW);
    const idle = [{ executor: 3, token: "token-1" }];
    const { claimed, refused } = await store.turn(turnOf({ worker: "w", idle }), NOW + 5);
    assertEquals(refused, []);
    const { lease } = claimed[0]!;
    assertEquals(lease.token, "token-1");
    assertEquals(claimed, [{ lease, executor: 3, job: { ...job, attempts: 1, runAt: NOW } }]);
    const found = await store.find("a");
    assertEquals(
      [found.state, found.attempts, found.startedAt, found.updatedAt, found.workerId],
      ["processing", 1, NOW + 5, NOW + 5, "w-3"],
    );
    assertEquals(await store.attempts("a"), [{
      seq: lease.attempt,
      attempt: 1,
      outcome: null,
      workerId: "w-3",
      startedAt: NOW + 5,
      finishedAt: null,
      exitCode: null,
      signal: null,
      error: null,
    }]);
  });

  rule("a claim takes jobs in the order in which they came", async (connect) => {
    const store = await connect();
    const ids = ["c", "a", "d", "b"];
    for (const id of ids) await store.enqueue([newJob({ id })], NOW);
    assertEquals(jobIds(await claim(store, { now: NOW, idle: 3 })), ["c", "a", "d"]);
    assertEquals(jobIds(await claim(store, { now: NOW, idle: 3 })), ["b"]);
  });

  rule("a claim takes the job that was due first, before the order of arrival", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "late" })], NOW + 20);
    await store.enqueue([newJob({ id: "early" })], NOW + 10);
    await store.enqueue([newJob({ id: "early2" })], NOW + 10);
    const claimed = await claim(store, { now: NOW + 50, idle: 9 });
    assertEquals(jobIds(claimed), ["early", "early2", "late"]);
  });

  rule("a retry takes its place by the time it is due", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "retried", backoffBase: 1 })], NOW);
    await end(store, await claimOne(store, NOW), FAILED, NOW);
    await store.enqueue([newJob({ id: "before" })], NOW + 999);
    await store.enqueue([newJob({ id: "behind" })], NOW + 1001);
    assertEquals(jobIds(await claim(store, { now: NOW + 2000, idle: 9 })), [
      "before",
      "retried",
      "behind",
    ]);
  });

  rule("a job that is not due is not claimed, and is once it is due", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a" })], NOW);
    await end(store, await claimOne(store, NOW), FAILED, NOW);
    assertEquals((await store.find("a")).runAt, NOW + 2000);
    assertEquals(await claim(store, { now: NOW + 1999 }), []);
    assertEquals(jobIds(await claim(store, { now: NOW + 2000 })), ["a"]);
  });

  rule("a job that became claimable and was not claimed stays claimable", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a" }), newJob({ id: "b" })], NOW);
    for (const each of await claim(store, { now: NOW, idle: 2 })) {
      await end(store, each, FAILED, NOW);
    }
    assertEquals((await claim(store, { now: NOW + 2000 })).length, 1);
    // Also where the clock was set back meanwhile.
    assertEquals((await claim(store, { now: NOW })).length, 1);
  });

  rule("a lost attempt makes the job claimable in the same turn", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a" })], NOW);
    const { lease, job } = await claimOne(store, NOW);
    const settlement = settle(job, { kind: "lost", reason: "x" }, { now: NOW, random: 0 });
    const idle = [{ executor: 1, token: newId() }];
    const { claimed } = await store.turn(turnOf({ settled: [{ lease, settlement }], idle }), NOW);
    assertEquals(claimed.map(({ job: { id, attempts } }) => [id, attempts]), [["a", 2]]);
  });

  rule(
    "a claim takes at most one job for each idle executor, and none without any",
    async (connect) => {
      const store = await connect();
      await store.enqueue(Array.from({ length: 10 }, () => newJob()), NOW);
      assertEquals(await claim(store, { now: NOW, idle: 0 }), []);
      const claimed = await claim(store, { now: NOW, idle: 4 });
      assertEquals(claimed.map(({ executor }) => executor), [1, 2, 3, 4]);
      assertEquals(new Set(jobIds(claimed)).size, 4);
      assertEquals((await claim(store, { now: NOW, idle: 99 })).length, 6);
      assertEquals(await claim(store, { now: NOW, idle: 1 }), []);
    },
  );

  rule("connections that claim at the same time never get the same job", async (connect) => {
    const stores = await Promise.all(Array.from({ length: 4 }, connect));
    const ids = Array.from({ length: 100 }, (_, i) => `job-${i}`);
    await stores[0]!.enqueue(ids.map((id) => newJob({ id })), NOW);
    const claimed = await Promise.all(
      Array.from({ length: 10 }, () => stores.map((store) => claim(store, { now: NOW, idle: 3 })))
        .flat(),
    );
    assertEquals(jobIds(claimed.flat()).sort(), ids.sort());
  });

  // --- Settling

  const ends: { outcome: Outcome; state: JobState; finished: boolean }[] = [
    { outcome: DONE, state: "completed", finished: true },
    { outcome: FAILED, state: "failed", finished: false },
    { outcome: { kind: "signalled", signal: "SIGKILL" }, state: "failed", finished: false },
    { outcome: { kind: "timed_out", timeoutMs: 5 }, state: "failed", finished: false },
    { outcome: { kind: "not_started", error: "no folder" }, state: "failed", finished: false },
    { outcome: { kind: "lost", reason: "died" }, state: "failed", finished: false },
    { outcome: { kind: "interrupted" }, state: "pending", finished: false },
  ];
  for (const { outcome, state, finished } of ends) {
    rule(`a settlement is written down as it stands: ${outcome.kind} ${state}`, async (connect) => {
      const store = await connect();
      await store.enqueue([newJob({ id: "a" })], NOW);
      const claimed = await claimOne(store, NOW + 1);
      const now = NOW + 77;
      assertEquals(await end(store, claimed, outcome, now), { refused: [], claimed: [] });
      const settlement = settle(claimed.job, outcome, { now, random: 0 });
      assertEquals(settlement.state, state);
      const { attempts, runAt, exitCode, signal, error } = settlement;
      const job = await store.find("a");
      assertEquals(
        [job.state, job.attempts, job.runAt, job.updatedAt, job.finishedAt],
        [state, attempts, runAt, now, finished ? now : null],
      );
      assertEquals([job.exitCode, job.signal, job.lastError], [exitCode, signal, error]);
      const [attempt] = await store.attempts("a");
      assertEquals(attempt, {
        ...{ seq: claimed.lease.attempt, attempt: 1, workerId: "worker-1", startedAt: NOW + 1 },
        ...{ outcome: settlement.outcome, finishedAt: now, exitCode, signal, error },
      });
    });
  }

  rule("a settlement is refused the second time and changes nothing", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a" })], NOW);
    const claimed = await claimOne(store, NOW);
    await end(store, claimed, DONE, NOW);
    const before = await everythingOf(store);
    assertEquals((await end(store, claimed, FAILED, NOW + 5)).refused, [claimed.lease]);
    assertEquals(await everythingOf(store), before);
  });

  rule("without the job's token nothing about an attempt can be written", async (connect) => {
    const [owner, other] = [await connect(), await connect()];
    await owner.enqueue([newJob({ id: "a" })], NOW);
    const claimed = await claimOne(owner, NOW);
    const kept = [chunk(0, "kept")];
    await owner.turn(
      turnOf({ output: [{ lease: claimed.lease, chunks: kept, discard: null }] }),
      NOW,
    );
    const before = await everythingOf(owner);

    const lease = stale(claimed.lease);
    const settlement = settle(claimed.job, DONE, { now: NOW, random: 0 });
    const turn = turnOf({
      settled: [{ lease, settlement }],
      started: [{ lease, process: { pid: 1, startedAt: "x" } }],
      output: [{ lease, chunks: [chunk(4, "foreign")], discard: { from: 0, to: 2 } }],
    });
    assertEquals(await other.turn(turn, NOW + 5), { refused: [lease], claimed: [] });
    assertEquals(await everythingOf(owner), before);
  });

  rule("whoever lost a lease cannot touch the attempt of the next owner", async (connect) => {
    const [first, second] = [await connect(), await connect()];
    await first.enqueue([newJob({ id: "a" })], NOW);
    const old = await claimOne(first, NOW);
    await end(second, old, { kind: "lost", reason: "Its worker died" }, NOW);
    const taken = await claimOne(second, NOW);
    const before = await everythingOf(second);

    const { lease, job } = old;
    const settlement = settle(job, DONE, { now: NOW, random: 0 });
    const output = [{ lease, chunks: [chunk(0, "late")], discard: null }];
    const started = [{ lease, process: { pid: 1, startedAt: "x" } }];
    const { refused } = await first.turn(
      turnOf({ settled: [{ lease, settlement }], output, started }),
      NOW,
    );
    assertEquals(refused, [lease]);
    assertEquals(await everythingOf(second), before);
    assertEquals((await end(second, taken, DONE, NOW)).refused, []);
  });

  rule(
    "of several settlements in one turn only those that came too late are refused",
    async (connect) => {
      const store = await connect();
      await store.enqueue(["a", "b", "c"].map((id) => newJob({ id })), NOW);
      const claims = await claim(store, { now: NOW, idle: 3 });
      await end(store, claims[1]!, DONE, NOW);
      const settled = claims.map(({ lease, job }) => ({
        lease,
        settlement: settle(job, FAILED, { now: NOW, random: 0 }),
      }));
      const { refused } = await store.turn(turnOf({ settled }), NOW);
      assertEquals(refused, [claims[1]!.lease]);
      const { failed, completed } = await store.counts();
      assertEquals([failed, completed], [2, 1]);
    },
  );

  rule("output that comes in the turn that settles its attempt is kept", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a" })], NOW);
    const { lease, job } = await claimOne(store, NOW);
    const settlement = settle(job, DONE, { now: NOW, random: 0 });
    const output = [{ lease, chunks: [chunk(0, "last words")], discard: null }];
    await store.turn(turnOf({ settled: [{ lease, settlement }], output }), NOW);
    assertEquals(await store.output(lease.attempt, 0), [chunk(0, "last words")]);
  });

  rule(
    "attempts() gives a job's attempts in the order they were made, also with equal numbers",
    async (connect) => {
      const store = await connect();
      await store.enqueue([newJob({ id: "a", backoffBase: 0 }), newJob({ id: "b" })], NOW);
      for (const outcome of [FAILED, { kind: "interrupted" }, DONE] as Outcome[]) {
        await end(store, await claimOne(store, NOW), outcome, NOW);
      }
      const attempts = await store.attempts("a");
      assertEquals(
        attempts.map(({ attempt, outcome }) => [attempt, outcome]),
        [[1, "failed"], [2, "interrupted"], [2, "completed"]],
      );
      assertEquals(
        attempts.map(({ seq }) => seq),
        attempts.map(({ seq }) => seq).sort((a, b) => a - b),
      );
      assertEquals(await store.attempts("b"), []);
      assertEquals(await store.attempts("nobody"), []);
    },
  );

  // --- Output

  rule("output() gives the bytes in the order they came, each with its stream", async (connect) => {
    const { store, lease } = await running(connect);
    const every = new Uint8Array(256).map((_, i) => i);
    const chunks: OutputChunk[] = [
      { start: 0, stream: "stdout", bytes: every },
      { start: 256, stream: "stderr", bytes: new Uint8Array([0, 0xff, 0]) },
      { start: 259, stream: "stdout", bytes: new Uint8Array(100_000).fill(0xc3) },
    ];
    // A turn may bring several batches of one attempt, and later turns bring more.
    await store.turn(
      turnOf({ output: [{ lease, chunks: chunks.slice(0, 1), discard: null }] }),
      NOW,
    );
    await store.turn(turnOf({ output: [{ lease, chunks: chunks.slice(1), discard: null }] }), NOW);
    assertEquals(await store.output(lease.attempt, 0), chunks);
    assertEquals(await store.output(lease.attempt, 256), chunks.slice(1));
    assertEquals(await store.output(lease.attempt, 257), chunks.slice(2));
  });

  rule("output() comes in pages, and empty after the last one", async (connect) => {
    const { store, lease } = await running(connect);
    const chunks = Array.from(
      { length: 300 },
      (_, i) => chunk(i * 3, "abc", i % 2 ? "stderr" : "stdout"),
    );
    await store.turn(turnOf({ output: [{ lease, chunks, discard: null }] }), NOW);
    const read: OutputChunk[] = [];
    let pages = 0;
    for (let from = 0;; pages++) {
      const page = await store.output(lease.attempt, from);
      if (page.length === 0) break;
      read.push(...page);
      from = page.at(-1)!.start + 3;
    }
    assertEquals(read, chunks);
    assert(pages > 1);
    assertEquals(await store.output(lease.attempt, 900), []);
  });

  rule("output() tells the attempts of one job and of others apart", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob(), newJob()], NOW);
    const claims = await claim(store, { now: NOW, idle: 2 });
    const output = claims.map(({ lease, job }) => ({
      lease,
      chunks: [chunk(0, job.id)],
      discard: null,
    }));
    await store.turn(turnOf({ output }), NOW);
    for (const { lease, job } of claims) {
      assertEquals(await store.output(lease.attempt, 0), [chunk(0, job.id)]);
    }
    assertEquals(await store.output(999_999, 0), []);
  });

  rule(
    "discarding output deletes whole chunks and cuts those that lie across its end",
    async (connect) => {
      const texts = ["head", "aaaa", "bbbb", "cccc", "dddd"];
      const cases: [from: number, to: number, left: [number, string][]][] = [
        [4, 4, [[0, "head"], [4, "aaaa"], [8, "bbbb"], [12, "cccc"], [16, "dddd"]]],
        [4, 8, [[0, "head"], [8, "bbbb"], [12, "cccc"], [16, "dddd"]]],
        [4, 9, [[0, "head"], [9, "bbb"], [12, "cccc"], [16, "dddd"]]],
        [4, 15, [[0, "head"], [15, "c"], [16, "dddd"]]],
        [4, 16, [[0, "head"], [16, "dddd"]]],
        [4, 20, [[0, "head"]]],
        [4, 99, [[0, "head"]]],
        [0, 2, [[2, "ad"], [4, "aaaa"], [8, "bbbb"], [12, "cccc"], [16, "dddd"]]],
      ];
      const store = await connect();
      for (const [from, to, left] of cases) {
        await store.enqueue([newJob()], NOW);
        const { lease } = await claimOne(store, NOW);
        const chunks = texts.map((text, i) => chunk(i * 4, text));
        await store.turn(turnOf({ output: [{ lease, chunks, discard: { from, to } }] }), NOW);
        assertEquals(
          await store.output(lease.attempt, 0),
          left.map(([start, text]) => chunk(start, text)),
          `from ${from} to ${to}`,
        );
      }
    },
  );

  rule("output that is discarded bit by bit leaves the same as at once", async (connect) => {
    const { store, lease } = await running(connect);
    const write = (chunks: OutputChunk[], discard: { from: number; to: number } | null) =>
      store.turn(turnOf({ output: [{ lease, chunks, discard }] }), NOW);
    await write([chunk(0, "head"), chunk(4, "abcdefgh")], null);
    await write([], { from: 4, to: 6 });
    await write([], { from: 4, to: 7 });
    await write([chunk(12, "ijkl")], { from: 4, to: 13 });
    assertEquals(await store.output(lease.attempt, 0), [chunk(0, "head"), chunk(13, "jkl")]);
  });

  // --- The dead letter queue

  rule("retryDead() gives dead jobs a new start and keeps their history", async (connect) => {
    const store = await connect();
    await bury(store, ["a", "b", "c"]);
    assertEquals(await store.retryDead(["c", "a"], NOW + 50), ["c", "a"]);
    const job = await store.find("a");
    assertEquals(
      [job.state, job.attempts, job.runAt, job.updatedAt, job.finishedAt],
      ["pending", 0, NOW + 50, NOW + 50, null],
    );
    assertEquals((await store.find("b")).state, "dead");
    assertEquals((await store.attempts("a")).length, 1);
    assertEquals(jobIds(await claim(store, { now: NOW + 50, idle: 9 })), ["a", "c"]);
  });

  rule(
    "retryDead() and purgeDead() take all dead jobs, and none where there is none",
    async (connect) => {
      const store = await connect();
      assertEquals(await store.retryDead("all", NOW), []);
      assertEquals(await store.purgeDead("all"), []);
      await bury(store, ["a", "b"]);
      await store.enqueue([newJob({ id: "alive" })], NOW);
      assertEquals(await store.retryDead("all", NOW), ["a", "b"]);
      assertEquals((await store.counts()).pending, 3);
    },
  );

  rule(
    "retryDead() and purgeDead() change nothing if one job is not dead or not there",
    async (connect) => {
      const store = await connect();
      await bury(store, ["a", "b"]);
      await store.enqueue([newJob({ id: "alive" })], NOW);
      const before = await everythingOf(store);
      const cases: [string[], string][] = [
        [["a", "alive", "b"], '"alive": it is pending'],
        [["a", "nobody"], 'No job "nobody"'],
      ];
      for (const [ids, said] of cases) {
        const acts = [() => store.retryDead(ids, NOW + 9), () => store.purgeDead(ids)];
        for (const act of acts) {
          assertEquals((await assertRejects(act, UserError, said)).exitCode, 1);
        }
      }
      assertEquals(await everythingOf(store), before);
    },
  );

  rule("an id that is given twice is retried or purged once", async (connect) => {
    const store = await connect();
    await bury(store, ["a", "b"]);
    assertEquals(await store.retryDead(["a", "a"], NOW), ["a"]);
    assertEquals(await store.purgeDead(["b", "b"]), ["b"]);
  });

  rule("purgeDead() deletes dead jobs with their attempts and output", async (connect) => {
    const store = await connect();
    await bury(store, ["a", "b"]);
    const [attempt] = await store.attempts("a");
    const [kept] = await store.attempts("b");
    assertEquals((await store.output(attempt!.seq, 0)).length, 1);
    assertEquals(await store.purgeDead(["a"]), ["a"]);
    await assertRejects(() => store.find("a"), UserError, "No job");
    assertEquals(await store.attempts("a"), []);
    assertEquals(await store.output(attempt!.seq, 0), []);
    assertEquals((await store.output(kept!.seq, 0)).length, 1);
  });

  rule("a job that takes the id of a purged one has nothing of its history", async (connect) => {
    const store = await connect();
    await bury(store, ["a"]);
    await store.purgeDead("all");
    await store.enqueue([newJob({ id: "a" })], NOW);
    assertEquals(await store.attempts("a"), []);
    const { lease, job } = await claimOne(store, NOW);
    assertEquals(job.attempts, 1);
    assertEquals(await store.output(lease.attempt, 0), []);
  });

  // --- prune

  rule(
    "prune() deletes only jobs that were completed or cancelled before, with their history",
    async (connect) => {
      const store = await connect();
      await store.enqueue(
        ["done", "cancelled", "young", "failed", "runs"].map((id) => newJob({ id })),
        NOW,
      );
      const [done, cancelled, young, failed] = await claim(store, { now: NOW, idle: 5 });
      const output = [{ lease: done!.lease, chunks: [chunk(0, "x")], discard: null }];
      await store.turn(turnOf({ output }), NOW);
      await end(store, done!, DONE, NOW + 10);
      const settlement: Settlement = {
        ...settle(cancelled!.job, DONE, { now: NOW, random: 0 }),
        ...{ state: "cancelled", outcome: "cancelled" },
      };
      await store.turn(turnOf({ settled: [{ lease: cancelled!.lease, settlement }] }), NOW + 10);
      await end(store, young!, DONE, NOW + 20);
      await end(store, failed!, FAILED, NOW + 10);
      await bury(store, ["dead"]);
      await store.enqueue([newJob({ id: "waits" })], NOW);

      assertEquals(await store.prune(NOW + 10, 100), 0);
      assertEquals(await store.prune(NOW + 11, 100), 2);
      assertEquals(await idsOf(store), ["young", "failed", "runs", "dead", "waits"]);
      assertEquals(await store.output(done!.lease.attempt, 0), []);
      assertEquals(await store.attempts("done"), []);
      assertEquals(await store.prune(NOW + ALL, 100), 1);
      assertEquals(await idsOf(store), ["failed", "runs", "dead", "waits"]);
    },
  );

  rule("prune() deletes no more than it may at once", async (connect) => {
    const store = await connect();
    await store.enqueue(Array.from({ length: 5 }, () => newJob()), NOW);
    for (const each of await claim(store, { now: NOW, idle: 5 })) await end(store, each, DONE, NOW);
    const pruned: number[] = [];
    for (let i = 0; i < 4; i++) pruned.push(await store.prune(NOW + 1, 2));
    assertEquals(pruned, [2, 2, 1, 0]);
  });

  // --- Settings

  rule(
    "settings() begin at their initial values and show what was set, to every connection",
    async (connect) => {
      const [store, other] = [await connect(), await connect()];
      const initial = settingsFrom(new Map());
      assertEquals(await store.settings(), initial);
      await store.changeSetting("max_retries", 7);
      await store.changeSetting("backoff_base", 1e-7);
      await store.changeSetting("timeout", 1500);
      await store.changeSetting("retention", null);
      await store.changeSetting("durability", "normal");
      const changed = {
        ...{ max_retries: 7, backoff_base: 1e-7, timeout: 1500, retention: null },
        durability: "normal" as const,
      };
      assertEquals(await other.settings(), { ...initial, ...changed });
      await other.changeSetting("max_retries", 8);
      assertEquals((await store.settings()).max_retries, 8);
      for (
        const name of ["max_retries", "backoff_base", "timeout", "retention", "durability"] as const
      ) {
        await store.changeSetting(name, undefined);
      }
      await store.changeSetting("lease", undefined);
      assertEquals(await other.settings(), initial);
    },
  );

  // --- Worker processes

  rule("a worker process is known from register() to deregister()", async (connect) => {
    const [store, other] = [await connect(), await connect()];
    const later = newWorker({ id: "a-later", host: "there", count: 8, leaseMs: 5000 });
    const first = newWorker({ id: "first", process: { pid: 12, startedAt: "Mon Jan  1" } });
    await store.register(later, NOW + 5);
    await store.register(first, NOW);
    const alive = (now: number) => ({ startedAt: now, heartbeatAt: now, beat: 0, stop: null });
    assertEquals(await other.workers(), [{ ...first, ...alive(NOW) }, {
      ...later,
      ...alive(NOW + 5),
    }]);
    await store.deregister("first");
    await store.deregister("nobody");
    assertEquals((await other.workers()).map(({ id }) => id), ["a-later"]);
  });

  rule(
    "renew() is a sign of life that changes the beat, and false for an unknown worker",
    async (connect) => {
      const store = await connect();
      await store.register(newWorker({ id: "w" }), NOW);
      await store.register(newWorker({ id: "other" }), NOW);
      assertEquals(await store.renew("w", 30_000, NOW + 10), true);
      // The clock may stand still or go back: it is the beat that counts.
      assertEquals(await store.renew("w", 30_000, NOW + 10), true);
      const beats = (await store.workers()).map(({ id, beat, heartbeatAt, startedAt }) => ({
        ...{ id, beat, heartbeatAt, startedAt },
      }));
      assertEquals(beats, [
        { id: "other", beat: 0, heartbeatAt: NOW, startedAt: NOW },
        { id: "w", beat: 2, heartbeatAt: NOW + 10, startedAt: NOW },
      ]);
      assertEquals(await store.renew("w", 60_000, NOW), true);
      assertEquals((await store.workers()).map(({ leaseMs }) => leaseMs), [30_000, 60_000]);
      assertEquals(await store.renew("nobody", 30_000, NOW), false);
      await store.deregister("w");
      assertEquals(await store.renew("w", 30_000, NOW), false);
    },
  );

  rule(
    "register() brings back a worker that was taken for dead, and leaves a known one as it is",
    async (connect) => {
      const store = await connect();
      const worker = newWorker({ id: "w" });
      await store.register(worker, NOW);
      await store.deregister("w");
      await store.register(worker, NOW + 5);
      await store.renew("w", 30_000, NOW + 6);
      await store.requestStop("graceful");
      await store.register(worker, NOW + 7);
      const [known] = await store.workers();
      assertEquals([known!.beat, known!.stop, known!.startedAt], [1, "graceful", NOW + 5]);
      assertEquals(await store.renew("w", 30_000, NOW), true);
    },
  );

  rule("requestStop() reaches every worker process and is never weakened", async (connect) => {
    const store = await connect();
    const stops = async () => (await store.workers()).map(({ stop }) => stop);
    await store.requestStop("force");
    await store.register(newWorker({ id: "a" }), NOW);
    await store.register(newWorker({ id: "b" }), NOW);
    assertEquals(await stops(), [null, null]);
    await store.requestStop("graceful");
    assertEquals(await stops(), ["graceful", "graceful"]);
    await store.requestStop("force");
    await store.requestStop("graceful");
    await store.register(newWorker({ id: "c" }), NOW);
    assertEquals(await stops(), ["force", "force", null]);
  });

  // --- Leases

  rule(
    "leases() are every job that is being worked on, with its process once that is known",
    async (connect) => {
      const [store, other] = [await connect(), await connect()];
      await store.enqueue(["a", "b", "c"].map((id) => newJob({ id })), NOW);
      assertEquals(await store.leases(), []);
      const [a, b] = await claim(store, { now: NOW, idle: 2 });
      const process = { pid: 77, startedAt: "123456" };
      await store.turn(turnOf({ started: [{ lease: a!.lease, process }] }), NOW);
      const leases = async () =>
        (await other.leases()).sort((x, y) => x.job.id < y.job.id ? -1 : 1);
      assertEquals(await leases(), [
        { lease: a!.lease, job: await store.find("a"), process },
        { lease: b!.lease, job: await store.find("b"), process: null },
      ]);
      await end(store, b!, DONE, NOW);
      assertEquals((await leases()).map(({ job }) => job.id), ["a"]);
    },
  );

  rule(
    "leases() name the running attempt of a job that has had others, without their process",
    async (connect) => {
      const store = await connect();
      await store.enqueue([newJob({ id: "a" })], NOW);
      const first = await claimOne(store, NOW);
      const process = { pid: 77, startedAt: "1" };
      await store.turn(turnOf({ started: [{ lease: first.lease, process }] }), NOW);
      await end(store, first, { kind: "lost", reason: "x" }, NOW);
      const second = await claimOne(store, NOW);
      assertNotEquals(second.lease.attempt, first.lease.attempt);
      assertEquals((await store.leases()).map(({ lease, process }) => ({ lease, process })), [
        { lease: second.lease, process: null },
      ]);
    },
  );

  // --- Outlook

  rule(
    "outlook() tells what can be claimed, what is due next, and what is unfinished",
    async (connect) => {
      const store = await connect();
      const nothing = { claimable: false, nextDueAt: null, unfinished: 0 };
      assertEquals(await store.outlook(NOW), nothing);
      await store.enqueue([newJob({ maxRetries: 2 }), newJob({ backoffBase: 5 })], NOW);
      assertEquals(await store.outlook(NOW), { ...nothing, claimable: true, unfinished: 2 });
      const [a, b] = await claim(store, { now: NOW, idle: 2 });
      assertEquals(await store.outlook(NOW), { ...nothing, unfinished: 2 });
      await end(store, b!, FAILED, NOW);
      await end(store, a!, FAILED, NOW);
      assertEquals(await store.outlook(NOW + 1999), {
        claimable: false,
        nextDueAt: NOW + 2000,
        unfinished: 2,
      });
      assertEquals((await store.outlook(NOW + 2000)).claimable, true);
      const again = await claimOne(store, NOW + 2000);
      assertEquals(await store.outlook(NOW + 2000), {
        claimable: false,
        nextDueAt: NOW + 5000,
        unfinished: 2,
      });
      await end(store, again, FAILED, NOW + 2000); // dead
      assertEquals((await store.outlook(NOW + 2000)).unfinished, 1);
      await end(store, await claimOne(store, NOW + 5000), DONE, NOW + 5000);
      assertEquals(await store.outlook(NOW + 9000), nothing);
    },
  );

  // --- The store itself

  rule("changes() changes when another connection has written, and only then", async (connect) => {
    const [store, other] = [await connect(), await connect()];
    const before = store.changes();
    assertEquals(store.changes(), before);
    await store.enqueue([newJob()], NOW); // its own
    await other.counts();
    await other.list({}, 5);
    assertEquals(store.changes(), before);
    await other.enqueue([newJob()], NOW);
    const after = store.changes();
    assertNotEquals(after, before);
    assertEquals(store.changes(), after);
  });

  rule("verify() has nothing against a store that is still there", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob()], NOW);
    store.verify();
  });

  rule("what one connection has written is there for the next one", async (connect) => {
    {
      using store = await connect();
      await store.enqueue([newJob({ id: "a" })], NOW);
    }
    assertEquals((await (await connect()).find("a")).id, "a");
  });
}

// --- Words of the rules

function chunk(start: number, text: string, stream: OutputChunk["stream"] = "stdout"): OutputChunk {
  return { start, stream, bytes: new TextEncoder().encode(text) };
}

function jobIds(claims: readonly Claim[]): string[] {
  return claims.map(({ job }) => job.id);
}

async function idsOf(store: Store): Promise<string[]> {
  return (await store.list({}, ALL)).jobs.map(({ id }) => id);
}

/** A store with one job that is being worked on. */
async function running(connect: () => Promise<Store>) {
  const store = await connect();
  await store.enqueue([newJob()], NOW);
  return { store, lease: (await claimOne(store, NOW)).lease };
}

/** Adds jobs and lets them die, each with one attempt that printed something. */
async function bury(store: Store, ids: string[]) {
  for (const id of ids) {
    await store.enqueue([newJob({ id, maxRetries: 1 })], 0); // due before all others
    const claimed = await claimOne(store, NOW);
    const output = [{ lease: claimed.lease, chunks: [chunk(0, id)], discard: null }];
    await store.turn(turnOf({ output }), NOW);
    await end(store, claimed, FAILED, NOW);
  }
}

/** All that a store tells of its jobs, so that one can see whether anything has changed. */
async function everythingOf(store: Store) {
  const { jobs } = await store.list({}, ALL);
  const histories = await Promise.all(jobs.map(async ({ id }) => {
    const attempts = await store.attempts(id);
    const output = await Promise.all(attempts.map(({ seq }) => store.output(seq, 0)));
    return { id, attempts, output };
  }));
  return { jobs, histories, counts: await store.counts(), leases: await store.leases() };
}

const OUTCOMES: Outcome[] = [
  DONE,
  FAILED,
  { kind: "lost", reason: "x" },
  { kind: "interrupted" },
  { kind: "timed_out", timeoutMs: 1 },
];

/** Carries out 150 operations at random on any of the connections, counting the jobs after each. */
async function doRandomThings(stores: Store[], seed: number) {
  const random = seeded(seed);
  const one = <T>(list: readonly T[]): T => list[between(random, 0, list.length - 1)]!;
  const held: Claim[] = [];
  let now = NOW;
  const operations: ((store: Store) => Promise<unknown>)[] = [
    (store) => store.enqueue(Array.from({ length: between(random, 1, 4) }, newRandomJob), now),
    (store) => store.enqueue([newJob({ id: `twice-${seed}` })], now).catch(() => {}),
    async (store) => held.push(...await claim(store, { now, idle: between(random, 1, 4) })),
    async (store) => held.push(...await claim(store, { now, idle: between(random, 1, 4) })),
    async (store) => {
      const claimed = held.splice(between(random, 0, held.length), 1)[0];
      if (claimed) await end(store, claimed, one(OUTCOMES), now);
    },
    async (store) => {
      const claimed = held[between(random, 0, held.length)];
      if (claimed) await end(store, { ...claimed, lease: stale(claimed.lease) }, DONE, now);
    },
    (store) => store.retryDead("all", now),
    (store) => store.purgeDead("all"),
    (store) => store.purgeDead(["nobody"]).catch(() => {}),
    (store) => store.prune(now - 2000, between(random, 1, 5)),
  ];
  function newRandomJob() {
    return newJob({ maxRetries: between(random, 0, 3), backoffBase: between(random, 0, 2) });
  }
  for (let i = 0; i < 150; i++) {
    now += between(random, 0, 1500);
    await one(operations)(one(stores));
    const observer = one(stores);
    const { jobs } = await observer.list({}, ALL);
    const counted = await observer.counts();
    const real = Object.fromEntries(
      JOB_STATES.map((state) => [state, jobs.filter((job) => job.state === state).length]),
    );
    assertEquals(counted, real as JobCounts, `seed ${seed}, operation ${i}`);
    const unfinished = counted.pending + counted.processing + counted.failed;
    assertEquals((await observer.outlook(now)).unfinished, unfinished);
  }
}
