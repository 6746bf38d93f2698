import { assertEquals } from "@std/assert";
import {
  cancelled,
  executorId,
  MAX_SNOOZES,
  type Outcome,
  settle,
  type Settleable,
  type Settlement,
  workerOf,
} from "../src/job.ts";

const NOW = 1_000_000;
const RUN_AT = 900_000;
const SNOOZE_MS = 60_000;

/** A job whose second of three attempts is running, but for what is said. */
function running(said: Partial<Settleable> = {}): Settleable {
  return {
    attempts: 2,
    maxRetries: 3,
    backoffBase: 2,
    backoffMaxMs: 300_000,
    backoffJitter: 0.5,
    okCodes: [],
    fatalCodes: [],
    snoozeMs: null,
    snoozes: 0,
    runAt: RUN_AT,
    ...said,
  };
}

/** The facts of an attempt's end that do not depend on how many attempts are left. */
type Facts = Pick<Settlement, "outcome" | "exitCode" | "signal" | "error">;

const FAILURES: { end: Outcome; facts: Facts; delayMs: number }[] = [
  {
    end: { kind: "exited", code: 3 },
    facts: { outcome: "failed", exitCode: 3, signal: null, error: "Exit code 3" },
    delayMs: 5000,
  },
  {
    end: { kind: "exited", code: 255 },
    facts: { outcome: "failed", exitCode: 255, signal: null, error: "Exit code 255" },
    delayMs: 5000,
  },
  {
    end: { kind: "signalled", signal: "SIGSEGV" },
    facts: { outcome: "failed", exitCode: null, signal: "SIGSEGV", error: "Ended by SIGSEGV" },
    delayMs: 5000,
  },
  {
    end: { kind: "timed_out", timeoutMs: 1500 },
    facts: { outcome: "timed_out", exitCode: null, signal: null, error: "Timed out after 1.5 s" },
    delayMs: 5000,
  },
  {
    end: { kind: "not_started", error: "No such folder" },
    facts: { outcome: "failed", exitCode: null, signal: null, error: "No such folder" },
    delayMs: 5000,
  },
  {
    end: { kind: "lost", reason: "Its worker died" },
    facts: { outcome: "lost", exitCode: null, signal: null, error: "Its worker died" },
    delayMs: 0,
  },
];

// With base 2 the delay after attempt 2 is 4 s; half the jitter adds a quarter.
const WORLD = { now: NOW, random: 0.5 };

for (const { end, facts, delayMs } of FAILURES) {
  const name = `an attempt that ends as ${JSON.stringify(end)}`;

  Deno.test(`${name} makes the job failed, due in ${delayMs} ms, while attempts are left`, () => {
    const settlement = settle(running({ snoozes: 4 }), end, WORLD);
    const runAt = NOW + delayMs;
    assertEquals(settlement, { ...facts, state: "failed", attempts: 2, snoozes: 4, runAt });
  });

  // More attempts than allowed: the limit cannot change, but nothing may run for ever if it does.
  for (const [attempts, maxRetries] of [[3, 3], [1, 1], [1, 0], [4, 3]] as const) {
    Deno.test(`${name} makes the job dead at attempt ${attempts} of ${maxRetries}`, () => {
      const settlement = settle(running({ attempts, maxRetries, snoozes: 4 }), end, WORLD);
      assertEquals(settlement, { ...facts, state: "dead", attempts, snoozes: 4, runAt: RUN_AT });
    });
  }
}

for (const [attempts, maxRetries] of [[1, 3], [3, 3], [1, 0]] as const) {
  const job = running({ attempts, maxRetries, snoozes: 4 });

  Deno.test(`exit code 0 completes the job at attempt ${attempts} of ${maxRetries}`, () => {
    assertEquals(settle(job, { kind: "exited", code: 0 }, WORLD), {
      state: "completed",
      attempts,
      snoozes: 4,
      runAt: RUN_AT,
      outcome: "completed",
      exitCode: 0,
      signal: null,
      error: null,
    });
  });

  Deno.test(`an interrupted attempt ${attempts} of ${maxRetries} is not counted and can run at once`, () => {
    assertEquals(settle(job, { kind: "interrupted" }, WORLD), {
      state: "pending",
      attempts: attempts - 1,
      snoozes: 4,
      runAt: RUN_AT,
      outcome: "interrupted",
      exitCode: null,
      signal: null,
      error: "The worker was told to stop",
    });
  });
}

Deno.test("a job that always fails runs max_retries times, 0 counting as 1", () => {
  const executions = [0, 1, 2, 3, 10].map((maxRetries) => {
    let attempts = 0;
    let state = "pending";
    while (state !== "dead") {
      attempts++;
      const job = running({ attempts, maxRetries });
      ({ state, attempts } = settle(job, { kind: "exited", code: 1 }, WORLD));
    }
    return attempts;
  });
  assertEquals(executions, [1, 1, 2, 3, 10]);
});

// --- Exit codes that mean something of their own

Deno.test("an ok code completes the job, at its last attempt too, and keeps the code", () => {
  for (const code of [3, 75, 255]) {
    for (const attempts of [1, 3]) {
      const job = running({ attempts, okCodes: [3, 75, 255], snoozeMs: SNOOZE_MS });
      assertEquals(settle(job, { kind: "exited", code }, WORLD), {
        state: "completed",
        attempts,
        snoozes: 0,
        runAt: RUN_AT,
        outcome: "completed",
        exitCode: code,
        signal: null,
        error: null,
      });
    }
  }
});

Deno.test("a fatal code makes the job dead at once, whatever attempts are left", () => {
  for (const code of [1, 75, 200]) {
    const fatalCodes = [1, 75, 200];
    const job = running({ attempts: 1, maxRetries: 10, fatalCodes, snoozeMs: SNOOZE_MS });
    assertEquals(settle(job, { kind: "exited", code }, WORLD), {
      state: "dead",
      attempts: 1,
      snoozes: 0,
      runAt: RUN_AT,
      outcome: "failed",
      exitCode: code,
      signal: null,
      error: `Exit code ${code}`,
    });
  }
});

Deno.test("a code that is neither ok nor fatal is a failure like any other", () => {
  const job = running({ okCodes: [3], fatalCodes: [4], snoozeMs: SNOOZE_MS });
  for (const code of [1, 2, 34, 74, 76, 255]) {
    const end = { kind: "exited", code } as const;
    assertEquals(settle(job, end, WORLD), settle(running(), end, WORLD), `code ${code}`);
  }
});

Deno.test("exit code 0 completes the job even if it is called fatal", () => {
  const job = running({ fatalCodes: [0] });
  assertEquals(settle(job, { kind: "exited", code: 0 }, WORLD).state, "completed");
});

Deno.test("ok and fatal codes say nothing of attempts that did not end with a code", () => {
  const codes = { okCodes: [1, 15, 124, 137, 143], fatalCodes: [2, 9], snoozeMs: SNOOZE_MS };
  for (const { end } of FAILURES.filter(({ end }) => end.kind !== "exited")) {
    assertEquals(settle(running(codes), end, WORLD), settle(running(), end, WORLD), end.kind);
  }
});

// --- Snoozing

const TEMPFAIL = { kind: "exited", code: 75 } as const;

for (const [attempts, maxRetries] of [[1, 3], [3, 3], [1, 1], [1, 0]] as const) {
  Deno.test(`exit code 75 puts the job off without costing attempt ${attempts} of ${maxRetries}`, () => {
    const job = running({ attempts, maxRetries, snoozeMs: SNOOZE_MS, snoozes: 4 });
    assertEquals(settle(job, TEMPFAIL, WORLD), {
      state: "pending",
      attempts: attempts - 1,
      snoozes: 5,
      runAt: NOW + SNOOZE_MS, // without the jitter of a retry
      outcome: "interrupted",
      exitCode: 75,
      signal: null,
      error: "Put off by exit code 75",
    });
  });
}

Deno.test("exit code 75 is a failure like any other where no snooze is set", () => {
  assertEquals(settle(running(), TEMPFAIL, WORLD), {
    state: "failed",
    attempts: 2,
    snoozes: 0,
    runAt: NOW + 5000,
    outcome: "failed",
    exitCode: 75,
    signal: null,
    error: "Exit code 75",
  });
});

Deno.test("a job may be put off so many times and no more", () => {
  const before = running({ snoozeMs: SNOOZE_MS, snoozes: MAX_SNOOZES - 1 });
  assertEquals(settle(before, TEMPFAIL, WORLD).snoozes, MAX_SNOOZES);
  assertEquals(settle(before, TEMPFAIL, WORLD).state, "pending");

  const after = running({ snoozeMs: SNOOZE_MS, snoozes: MAX_SNOOZES });
  const { state, attempts, snoozes, outcome, error } = settle(after, TEMPFAIL, WORLD);
  assertEquals(
    { state, attempts, snoozes, outcome, error },
    {
      state: "failed",
      attempts: 2,
      snoozes: MAX_SNOOZES,
      outcome: "failed",
      error: "Exit code 75",
    },
  );
  const last = running({ ...after, attempts: 3 });
  assertEquals(settle(last, TEMPFAIL, WORLD).state, "dead");
});

Deno.test("a job that only ever asks to be put off dies after its snoozes and its attempts", () => {
  let job = running({ attempts: 0, maxRetries: 3, snoozeMs: SNOOZE_MS });
  let executions = 0;
  let state = "pending";
  while (state !== "dead" && executions < 1000) {
    executions++;
    const settlement = settle({ ...job, attempts: job.attempts + 1 }, TEMPFAIL, WORLD);
    state = settlement.state;
    job = { ...job, attempts: settlement.attempts, snoozes: settlement.snoozes };
  }
  assertEquals(executions, MAX_SNOOZES + 3);
});

// --- Cancelling

Deno.test("what completed although it was to be cancelled has completed", () => {
  for (const code of [0, 3]) {
    const completed = settle(running({ okCodes: [3] }), { kind: "exited", code }, WORLD);
    assertEquals(completed.state, "completed");
    assertEquals(cancelled(completed, 2), completed);
  }
});

Deno.test("every other end of an attempt becomes cancelled, its facts kept and its attempt counted", () => {
  const ends: Outcome[] = [...FAILURES.map(({ end }) => end), TEMPFAIL, { kind: "interrupted" }];
  for (const end of ends) {
    for (const attempts of [1, 3]) { // failed, and dead
      const job = running({ attempts, snoozeMs: SNOOZE_MS });
      const settlement = settle(job, end, WORLD);
      const { state, outcome, error, exitCode, signal, ...rest } = cancelled(settlement, attempts);
      assertEquals(
        { state, outcome, error, attempts: rest.attempts },
        { state: "cancelled", outcome: "cancelled", error: "Cancelled", attempts },
        JSON.stringify(end),
      );
      assertEquals([exitCode, signal], [settlement.exitCode, settlement.signal]);
    }
  }
});

Deno.test("a fatal code does not keep a job from being cancelled", () => {
  const dead = settle(running({ fatalCodes: [7] }), { kind: "exited", code: 7 }, WORLD);
  assertEquals(dead.state, "dead");
  assertEquals(cancelled(dead, 2).state, "cancelled");
});

Deno.test("an executor's id leads back to its worker process, whatever that is called", () => {
  for (const worker of ["k3v9", "a-b-c", "-", "1-2"]) {
    assertEquals(workerOf(executorId(worker, 12)), worker);
  }
  assertEquals(executorId("k3v9", 12), "k3v9-12");
});
