import { assertEquals } from "@std/assert";
import { executorId, type Outcome, settle, type Settlement, workerOf } from "../src/job.ts";

const NOW = 1_000_000;
const RUN_AT = 900_000;
const JITTER = { backoffBase: 2, backoffMaxMs: 300_000, backoffJitter: 0.5 };

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
    const settlement = settle(
      { ...JITTER, attempts: 2, maxRetries: 3, runAt: RUN_AT },
      end,
      WORLD,
    );
    assertEquals(settlement, { ...facts, state: "failed", attempts: 2, runAt: NOW + delayMs });
  });

  // More attempts than allowed: the limit cannot change, but nothing may run for ever if it does.
  for (const [attempts, maxRetries] of [[3, 3], [1, 1], [1, 0], [4, 3]] as const) {
    Deno.test(`${name} makes the job dead at attempt ${attempts} of ${maxRetries}`, () => {
      const settlement = settle({ ...JITTER, attempts, maxRetries, runAt: RUN_AT }, end, WORLD);
      assertEquals(settlement, { ...facts, state: "dead", attempts, runAt: RUN_AT });
    });
  }
}

for (const [attempts, maxRetries] of [[1, 3], [3, 3], [1, 0]] as const) {
  const job = { ...JITTER, attempts, maxRetries, runAt: RUN_AT };

  Deno.test(`exit code 0 completes the job at attempt ${attempts} of ${maxRetries}`, () => {
    assertEquals(settle(job, { kind: "exited", code: 0 }, WORLD), {
      state: "completed",
      attempts,
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
      const job = { ...JITTER, attempts, maxRetries, runAt: 0 };
      ({ state, attempts } = settle(job, { kind: "exited", code: 1 }, WORLD));
    }
    return attempts;
  });
  assertEquals(executions, [1, 1, 2, 3, 10]);
});

Deno.test("an executor's id leads back to its worker process, whatever that is called", () => {
  for (const worker of ["k3v9", "a-b-c", "-", "1-2"]) {
    assertEquals(workerOf(executorId(worker, 12)), worker);
  }
  assertEquals(executorId("k3v9", 12), "k3v9-12");
});
