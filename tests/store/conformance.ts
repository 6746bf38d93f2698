import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { UserError } from "../../src/errors.ts";
import { newId } from "../../src/ids.ts";
import { JOB_STATES, type JobState, type NewJob, type Outcome, settle } from "../../src/job.ts";
import { settingsFrom } from "../../src/settings.ts";
import {
  type JobCounts,
  type JobFilter,
  type OutputChunk,
  WHOLE_STORE,
} from "../../src/store/store.ts";
import {
  by,
  claim,
  claimOne,
  end,
  ended,
  newJob,
  newWorker,
  stale,
  takeTurn,
  turnOf,
} from "../helpers/store.ts";
import {
  ALL,
  chunk,
  DONE,
  everythingOf,
  FAILED,
  type FreshStore,
  idsOf,
  jobIds,
  LOST,
  NOW,
  rulesFor,
  running,
  SECOND,
} from "./rules.ts";

/** The promises of the Store interface, as tests of whatever `freshStore` makes. */
export function storeConformance(name: string, freshStore: () => Promise<FreshStore>) {
  const rule = rulesFor(name, freshStore);

  // --- enqueue

  rule(
    "enqueue() stores what it is told of a job, and natural zeros for the rest",
    async (connect) => {
      const store = await connect();
      const said = {
        id: "job-1",
        command: "echo 'größe' \x1b\n\t\"x\"",
        queue: "reports",
        priority: -7,
        maxRetries: 7,
        backoffBase: 1.5,
        backoffMaxMs: 60_000,
        backoffJitter: 0.25,
        timeoutMs: 1234,
        okCodes: [3, 4],
        fatalCodes: [5],
        snoozeMs: 90_000,
        cwd: "/srv/with space/ü",
        env: { A: "1", "b c": "x=y\nz", EMPTY: "" },
        tags: ["nightly", "ü"],
        key: "the 'key'",
        schedule: "every-night",
      };
      const job: NewJob = { ...said, runAt: null, ifExists: "error", after: [] };
      const added = [{ id: "job-1", state: "pending" as const, added: true }];
      assertEquals(await store.enqueue([job], by(NOW)), added);
      assertEquals(await (await connect()).find("job-1"), {
        ...said,
        state: "pending",
        attempts: 0,
        snoozes: 0,
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
      await store.enqueue([newJob({ id: "taken" })], by(NOW));
      for (const batch of [["new1", "taken", "new2"], ["taken"], ["twice", "twice"]]) {
        const error = await assertRejects(
          () => store.enqueue(batch.map((id) => newJob({ id })), by(NOW)),
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
    await one.enqueue([newJob({ id: "same" })], by(NOW));
    await assertRejects(
      () => other.enqueue([newJob({ id: "same" })], by(NOW)),
      UserError,
      '"same"',
    );
  });

  rule("enqueue() tells how far it has come, and takes many jobs and none", async (connect) => {
    const store = await connect();
    const said: number[] = [];
    const jobs = Array.from({ length: 2500 }, () => newJob());
    await store.enqueue(jobs, by(NOW), (done) => said.push(done));
    await store.enqueue([], by(NOW));
    assertEquals(said, [...said].sort((a, b) => a - b));
    assert(said.length > 0 && said.every((done) => done > 0 && done <= 2500), String(said));
    assertEquals((await store.counts()).pending, 2500);
  });

  rule("batches of several connections at once are all kept", async (connect) => {
    const stores = await Promise.all([connect(), connect(), connect()]);
    await Promise.all(
      stores.flatMap((store) => [1, 2, 3].map(() => store.enqueue([newJob(), newJob()], by(NOW)))),
    );
    assertEquals((await stores[0]!.counts()).pending, 18);
  });

  // --- find

  rule(
    "find() takes an id, or a prefix of 4 characters or more that only one has",
    async (connect) => {
      const store = await connect();
      const ids = ["abcd1", "abcd2", "abc", "Abcd", "nightly:db", "nightly", "x_y.z-1", "zzzzzz"];
      await store.enqueue(ids.map((id) => newJob({ id })), by(NOW));
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
      await store.enqueue([newJob({ id: "abcdef" })], by(NOW));
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
      await store.enqueue([newJob({ id: "abcd1" }), newJob({ id: "abcd2" })], by(NOW));
      const error = await assertRejects(() => store.find("abcd"), UserError);
      assertEquals(error.exitCode, 2);
      for (const part of ['"abcd"', '"abcd1"', '"abcd2"']) {
        assertStringIncludes(
          error.message,
          part,
        );
      }
      await store.enqueue([newJob({ id: "abcd3" })], by(NOW));
      assertEquals((await assertRejects(() => store.find("abcd"), UserError)).exitCode, 2);
    },
  );

  rule("get() gives the job with exactly this id, and none for a part of one", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "abcd-1" })], by(NOW));
    assertEquals(await store.get("abcd-1"), await store.find("abcd-1"));
    for (const asked of ["abcd", "abcd-", "abcd-11", "ABCD-1", ""]) {
      assertEquals(await store.get(asked), undefined);
    }
  });

  // --- list

  rule(
    "list() gives the newest jobs, the newest last, and counts the older ones",
    async (connect) => {
      const store = await connect();
      const ids = Array.from({ length: 10 }, (_, i) => `job-${9 - i}`);
      for (const id of ids) {
        await store.enqueue(
          [newJob({ id })],
          by(NOW - Number(id.slice(4)) * SECOND),
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

  rule("list() and count() take only what matches all of a filter", async (connect) => {
    const store = await connect();
    const job = (id: string, said: Partial<NewJob> = {}) =>
      newJob({ id, command: `./${id.toUpperCase()} --now 100%_`, ...said });
    await store.enqueue([
      job("backup-a", { tags: ["nightly", 'a"b'] }),
      job("backup-b", { queue: "other" }),
      job("report", { tags: ["night", "nightly"], queue: "other" }),
      job("clean"),
      job("done", { priority: 1 }),
    ], by(NOW));
    await end(store, await claimOne(store, NOW), DONE, NOW + 5);
    await claim(store, { now: NOW, idle: 2 });
    const all = ["backup-a", "backup-b", "report", "clean", "done"];
    const cases: [JobFilter, string[]][] = [
      [{}, all],
      [{ state: "processing" }, ["backup-a", "backup-b"]],
      [{ state: "pending" }, ["report", "clean"]],
      [{ state: "dead" }, []],
      [{ queue: "default" }, ["backup-a", "clean", "done"]],
      [{ queue: "other" }, ["backup-b", "report"]],
      [{ queue: "Other" }, []],
      [{ queue: "other", state: "pending" }, ["report"]],
      [{ tag: "nightly" }, ["backup-a", "report"]],
      [{ tag: "night" }, ["report"]],
      [{ tag: 'a"b' }, ["backup-a"]],
      [{ tag: "nightly", queue: "other", state: "pending" }, ["report"]],
      [{ tag: "Nightly" }, []],
      [{ search: "BACKUP" }, ["backup-a", "backup-b"]],
      [{ search: "port" }, ["report"]],
      [{ search: "./clean" }, ["clean"]],
      [{ search: "100%_" }, all],
      [{ search: "%" }, all],
      [{ search: "nothing" }, []],
      [{ search: "e", state: "pending" }, ["report", "clean"]],
      [{ finishedBefore: NOW + 6 }, ["done"]],
      [{ finishedBefore: NOW + 5 }, []],
      [{ finishedBefore: NOW + 6, state: "dead" }, []],
    ];
    for (const [filter, ids] of cases) {
      const what = JSON.stringify(filter);
      const found = await store.list(filter, ALL);
      assertEquals([found.jobs.map(({ id }) => id), found.older], [ids, 0], what);
      assertEquals(await store.count(filter), ids.length, what);
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
    await store.enqueue(["a", "b", "c"].map((id) => newJob({ id })), by(NOW));
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
    await store.enqueue([newJob({ id: "a" }), newJob({ id: "b", maxRetries: 1 })], by(NOW));
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
    await store.retry({ ids: ["b"] }, ["dead"], by(NOW + 2000));
    await expectCounts({ completed: 1, pending: 1 });
    await end(store, await claimOne(store, NOW + 2000), FAILED, NOW + 2000);
    await expectCounts({ completed: 1, dead: 1 });
    await store.remove({ filter: {} }, ["dead"], by());
    await expectCounts({ completed: 1 });
    await store.prune(NOW + 3000, 10);
    await expectCounts({});
  });

  // --- Claims

  rule("a claim marks the job as processing and begins an attempt", async (connect) => {
    const store = await connect();
    const said = {
      ...{ id: "a", command: "./a", queue: "q", cwd: "/a", env: { A: "1" }, timeoutMs: 5 },
      ...{ maxRetries: 9, backoffBase: 3, backoffMaxMs: 6, backoffJitter: 0.5 },
      ...{ okCodes: [1], fatalCodes: [2, 3], snoozeMs: 4 },
    };
    await store.enqueue([newJob({ ...said, key: "k", tags: ["t"], priority: 8 })], by(NOW));
    const idle = [{ executor: 3, token: "token-1" }];
    const { claimed, refused } = await takeTurn(store, { worker: "w", idle }, NOW + 5);
    assertEquals(refused, []);
    const { lease } = claimed[0]!;
    assertEquals(lease.token, "token-1");
    const job = { ...said, attempts: 1, snoozes: 0, runAt: NOW };
    assertEquals(claimed, [{ lease, executor: 3, job }]);
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
    for (const id of ids) await store.enqueue([newJob({ id })], by(NOW));
    assertEquals(jobIds(await claim(store, { now: NOW, idle: 3 })), ["c", "a", "d"]);
    assertEquals(jobIds(await claim(store, { now: NOW, idle: 3 })), ["b"]);
  });

  rule("a claim takes the job that was due first, before the order of arrival", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "late" })], by(NOW + 20));
    await store.enqueue([newJob({ id: "early" })], by(NOW + 10));
    await store.enqueue([newJob({ id: "early2" })], by(NOW + 10));
    const claimed = await claim(store, { now: NOW + 50, idle: 9 });
    assertEquals(jobIds(claimed), ["early", "early2", "late"]);
  });

  rule("a retry takes its place by the time it is due", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "retried", backoffBase: 1 })], by(NOW));
    await end(store, await claimOne(store, NOW), FAILED, NOW);
    await store.enqueue([newJob({ id: "before" })], by(NOW + 999));
    await store.enqueue([newJob({ id: "behind" })], by(NOW + 1001));
    assertEquals(jobIds(await claim(store, { now: NOW + 2000, idle: 9 })), [
      "before",
      "retried",
      "behind",
    ]);
  });

  rule("a job that is not due is not claimed, and is once it is due", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a" })], by(NOW));
    await end(store, await claimOne(store, NOW), FAILED, NOW);
    assertEquals((await store.find("a")).runAt, NOW + 2000);
    assertEquals(await claim(store, { now: NOW + 1999 }), []);
    assertEquals(jobIds(await claim(store, { now: NOW + 2000 })), ["a"]);
  });

  rule("a job that became claimable and was not claimed stays claimable", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a" }), newJob({ id: "b" })], by(NOW));
    for (const each of await claim(store, { now: NOW, idle: 2 })) {
      await end(store, each, FAILED, NOW);
    }
    assertEquals((await claim(store, { now: NOW + 2000 })).length, 1);
    // Also where the clock was set back meanwhile.
    assertEquals((await claim(store, { now: NOW })).length, 1);
  });

  rule("a lost attempt makes the job claimable in the same turn", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a" })], by(NOW));
    const settled = [ended(await claimOne(store, NOW), LOST, NOW)];
    const idle = [{ executor: 1, token: newId() }];
    const { claimed } = await takeTurn(store, { settled, idle }, NOW);
    assertEquals(claimed.map(({ job: { id, attempts } }) => [id, attempts]), [["a", 2]]);
  });

  rule(
    "a claim takes at most one job for each idle executor, and none without any",
    async (connect) => {
      const store = await connect();
      await store.enqueue(Array.from({ length: 10 }, () => newJob()), by(NOW));
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
    await stores[0]!.enqueue(ids.map((id) => newJob({ id })), by(NOW));
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
      await store.enqueue([newJob({ id: "a" })], by(NOW));
      const claimed = await claimOne(store, NOW + 1);
      const now = NOW + 77;
      const nothing = { refused: [], cancelled: [], claimed: [], known: true };
      assertEquals(await end(store, claimed, outcome, now), nothing);
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
    await store.enqueue([newJob({ id: "a" })], by(NOW));
    const claimed = await claimOne(store, NOW);
    await end(store, claimed, DONE, NOW);
    const before = await everythingOf(store);
    assertEquals((await end(store, claimed, FAILED, NOW + 5)).refused, [claimed.lease]);
    assertEquals(await everythingOf(store), before);
  });

  rule("without the job's token nothing about an attempt can be written", async (connect) => {
    const [owner, other] = [await connect(), await connect()];
    await owner.enqueue([newJob({ id: "a" })], by(NOW));
    const claimed = await claimOne(owner, NOW);
    const kept = [chunk(0, "kept")];
    await owner.turn(
      turnOf({ output: [{ lease: claimed.lease, chunks: kept, discard: null }] }),
      NOW,
    );
    const before = await everythingOf(owner);

    const lease = stale(claimed.lease);
    const turn = turnOf({
      settled: [ended({ ...claimed, lease }, DONE, NOW)],
      started: [{ lease, process: { pid: 1, startedAt: "x" } }],
      output: [{ lease, chunks: [chunk(4, "foreign")], discard: { from: 0, to: 2 } }],
    });
    const refused = { refused: [lease], cancelled: [], claimed: [], known: true };
    assertEquals(await other.turn(turn, NOW + 5), refused);
    assertEquals(await everythingOf(owner), before);
  });

  rule("whoever lost a lease cannot touch the attempt of the next owner", async (connect) => {
    const [first, second] = [await connect(), await connect()];
    await first.enqueue([newJob({ id: "a" })], by(NOW));
    const old = await claimOne(first, NOW);
    await end(second, old, LOST, NOW);
    const taken = await claimOne(second, NOW);
    const before = await everythingOf(second);

    const { lease } = old;
    const settled = [ended(old, DONE, NOW)];
    const output = [{ lease, chunks: [chunk(0, "late")], discard: null }];
    const started = [{ lease, process: { pid: 1, startedAt: "x" } }];
    const { refused } = await first.turn(turnOf({ settled, output, started }), NOW);
    assertEquals(refused, [lease]);
    assertEquals(await everythingOf(second), before);
    assertEquals((await end(second, taken, DONE, NOW)).refused, []);
  });

  rule(
    "of several settlements in one turn only those that came too late are refused",
    async (connect) => {
      const store = await connect();
      await store.enqueue(["a", "b", "c"].map((id) => newJob({ id })), by(NOW));
      const claims = await claim(store, { now: NOW, idle: 3 });
      await end(store, claims[1]!, DONE, NOW);
      const settled = claims.map((each) => ended(each, FAILED, NOW));
      const { refused } = await store.turn(turnOf({ settled }), NOW);
      assertEquals(refused, [claims[1]!.lease]);
      const { failed, completed } = await store.counts();
      assertEquals([failed, completed], [2, 1]);
    },
  );

  rule("output that comes in the turn that settles its attempt is kept", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob({ id: "a" })], by(NOW));
    const claimed = await claimOne(store, NOW);
    const { lease } = claimed;
    const output = [{ lease, chunks: [chunk(0, "last words")], discard: null }];
    await store.turn(turnOf({ settled: [ended(claimed, DONE, NOW)], output }), NOW);
    assertEquals(await store.output(lease.attempt, 0), [chunk(0, "last words")]);
  });

  rule(
    "attempts() gives a job's attempts in the order they were made, also with equal numbers",
    async (connect) => {
      const store = await connect();
      await store.enqueue([newJob({ id: "a", backoffBase: 0 }), newJob({ id: "b" })], by(NOW));
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
    await store.enqueue([newJob(), newJob()], by(NOW));
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
        await store.enqueue([newJob()], by(NOW));
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

  // --- Settings

  rule(
    "settings() begin at their initial values and show what was set, to every connection",
    async (connect) => {
      const [store, other] = [await connect(), await connect()];
      const initial = settingsFrom(new Map());
      assertEquals(await store.settings(), initial);
      const changed = {
        ...{ max_retries: 7, backoff_base: 1e-7, timeout: 1500, retention: null, snooze: 90_000 },
        ...{ ok_codes: [3, 4], fatal_codes: [5], hook_dead: "echo 'größe' | mail \"x\"" },
        durability: "normal" as const,
      };
      const names = Object.keys(changed) as (keyof typeof changed)[];
      for (const name of names) await store.changeSetting(name, changed[name]);
      assertEquals(await other.settings(), { ...initial, ...changed });
      await other.changeSetting("max_retries", 8);
      assertEquals((await store.settings()).max_retries, 8);
      for (const name of names) await store.changeSetting(name, undefined);
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
    const alive = (now: number) => ({ startedAt: now, heartbeatAt: now, stop: null });
    const known = (await other.workers()).map(({ beat: _, ...worker }) => worker);
    assertEquals(known, [{ ...first, ...alive(NOW) }, { ...later, ...alive(NOW + 5) }]);
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
      const [others, before] = (await store.workers()).map(({ beat }) => beat);
      assertEquals(await store.renew("w", 30_000, NOW + 10), true);
      // The clock may stand still or go back: it is the beat that counts.
      assertEquals(await store.renew("w", 30_000, NOW + 10), true);
      const beats = (await store.workers()).map(({ id, beat, heartbeatAt, startedAt }) => ({
        ...{ id, beat, heartbeatAt, startedAt },
      }));
      assertEquals(beats, [
        { id: "other", beat: others, heartbeatAt: NOW, startedAt: NOW },
        { id: "w", beat: before! + 2, heartbeatAt: NOW + 10, startedAt: NOW },
      ]);
      assertEquals(await store.renew("w", 60_000, NOW), true);
      assertEquals((await store.workers()).map(({ leaseMs }) => leaseMs), [30_000, 60_000]);
      assertEquals(await store.renew("nobody", 30_000, NOW), false);
      await store.deregister("w");
      assertEquals(await store.renew("w", 30_000, NOW), false);
    },
  );

  rule(
    "each turn is a sign of life, and only known worker processes may claim",
    async (connect) => {
      const store = await connect();
      await store.enqueue([newJob({ id: "job" })], by(NOW));
      const claiming = turnOf({ worker: "w", idle: [{ executor: 1, token: "token" }] });
      const unknown = await store.turn(claiming, NOW);
      assertEquals([unknown.known, unknown.claimed], [false, []]);
      assertEquals((await store.find("job")).state, "pending");

      await store.register(newWorker({ id: "w" }), NOW);
      const turns = [{ turn: claiming, claimed: 1 }, { turn: turnOf({ worker: "w" }), claimed: 0 }];
      for (const { turn, claimed } of turns) {
        const [before] = await store.workers();
        const at = before!.heartbeatAt + 10;
        const result = await store.turn(turn, at);
        assertEquals([result.known, result.claimed.length], [true, claimed]);
        // Somebody who took it for dead before that.
        await store.deregister("w", before!.beat);
        const [alive] = await store.workers();
        assert(alive, "forgotten although it had given a sign of life");
        assertEquals(alive.heartbeatAt, at);
      }
      await store.deregister("w", (await store.workers())[0]!.beat);
      assertEquals(await store.workers(), []);
      assertEquals((await store.turn(turnOf({ worker: "w" }), NOW)).known, false);
    },
  );

  rule(
    "register() brings back a worker that was taken for dead, and leaves a known one as it is",
    async (connect) => {
      const store = await connect();
      const worker = newWorker({ id: "w" });
      const beat = async () => (await store.workers())[0]!.beat;
      await store.register(worker, NOW);
      const first = await beat();
      await store.deregister("w");
      await store.register(worker, NOW + 5);
      const again = await beat();
      assert(again !== first, "it looks as if it had never come back");
      await store.renew("w", 30_000, NOW + 6);
      await store.requestStop("graceful");
      await store.register(worker, NOW + 7);
      const [known] = await store.workers();
      assertEquals([known!.beat, known!.stop, known!.startedAt], [again + 1, "graceful", NOW + 5]);
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
      await store.enqueue(["a", "b", "c"].map((id) => newJob({ id })), by(NOW));
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
      await store.enqueue([newJob({ id: "a" })], by(NOW));
      const first = await claimOne(store, NOW);
      const process = { pid: 77, startedAt: "1" };
      await store.turn(turnOf({ started: [{ lease: first.lease, process }] }), NOW);
      await end(store, first, LOST, NOW);
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
      assertEquals(await store.outlook(WHOLE_STORE, NOW), nothing);
      await store.enqueue([newJob({ maxRetries: 2 }), newJob({ backoffBase: 5 })], by(NOW));
      assertEquals(await store.outlook(WHOLE_STORE, NOW), {
        ...nothing,
        claimable: true,
        unfinished: 2,
      });
      const [a, b] = await claim(store, { now: NOW, idle: 2 });
      assertEquals(await store.outlook(WHOLE_STORE, NOW), { ...nothing, unfinished: 2 });
      await end(store, b!, FAILED, NOW);
      await end(store, a!, FAILED, NOW);
      assertEquals(await store.outlook(WHOLE_STORE, NOW + 1999), {
        claimable: false,
        nextDueAt: NOW + 2000,
        unfinished: 2,
      });
      assertEquals((await store.outlook(WHOLE_STORE, NOW + 2000)).claimable, true);
      const again = await claimOne(store, NOW + 2000);
      assertEquals(await store.outlook(WHOLE_STORE, NOW + 2000), {
        claimable: false,
        nextDueAt: NOW + 5000,
        unfinished: 2,
      });
      await end(store, again, FAILED, NOW + 2000); // dead
      assertEquals((await store.outlook(WHOLE_STORE, NOW + 2000)).unfinished, 1);
      await end(store, await claimOne(store, NOW + 5000), DONE, NOW + 5000);
      assertEquals(await store.outlook(WHOLE_STORE, NOW + 9000), nothing);
    },
  );

  // --- The store itself

  rule("changes() changes when another connection has written, and only then", async (connect) => {
    const [store, other] = [await connect(), await connect()];
    const before = store.changes();
    assertEquals(store.changes(), before);
    await store.enqueue([newJob()], by(NOW)); // its own
    await other.counts();
    await other.list({}, 5);
    assertEquals(store.changes(), before);
    await other.enqueue([newJob()], by(NOW));
    const after = store.changes();
    assertNotEquals(after, before);
    assertEquals(store.changes(), after);
  });

  rule("verify() has nothing against a store that is still there", async (connect) => {
    const store = await connect();
    await store.enqueue([newJob()], by(NOW));
    store.verify();
  });

  rule("what one connection has written is there for the next one", async (connect) => {
    {
      using store = await connect();
      await store.enqueue([newJob({ id: "a" })], by(NOW));
    }
    assertEquals((await (await connect()).find("a")).id, "a");
  });
}
