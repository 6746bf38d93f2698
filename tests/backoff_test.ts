import { assert, assertEquals } from "@std/assert";
import { backoffMs } from "../src/backoff.ts";

const plain = { backoffBase: 2, backoffMaxMs: 300_000, backoffJitter: 0 };
const BASES = [0, 0.5, 1, 1.001, 1.5, 2, 3, 10, 999.999, 1000];
const CAPS_MS = [0, 1, 1500, 300_000, 365 * 86_400_000];

Deno.test("the delay after attempt n is base ** n seconds, up to the cap", () => {
  const cases: [base: number, attempt: number, ms: number][] = [
    [2, 1, 2000],
    [2, 2, 4000],
    [2, 3, 8000],
    [2, 8, 256_000],
    [2, 9, 300_000],
    [1, 1, 1000],
    [1, 1000, 1000],
    [1.5, 2, 2250],
    [0.5, 1, 500],
    [0.5, 3, 125],
    [0, 1, 0],
    [1000, 1, 300_000],
  ];
  for (const [backoffBase, attempt, ms] of cases) {
    assertEquals(
      backoffMs({ ...plain, backoffBase }, attempt, 0.9),
      ms,
      `${backoffBase} ** ${attempt}`,
    );
  }
});

Deno.test("failure 28: every delay is a whole number of milliseconds from 0 to the cap", () => {
  for (const backoffBase of BASES) {
    for (const backoffMaxMs of CAPS_MS) {
      for (let attempt = 1; attempt <= 1000; attempt++) {
        const ms = backoffMs({ backoffBase, backoffMaxMs, backoffJitter: 0 }, attempt, 0);
        const what = `${backoffBase} ** ${attempt}, at most ${backoffMaxMs}: ${ms}`;
        assert(Number.isSafeInteger(ms) && ms >= 0 && ms <= backoffMaxMs, what);
      }
    }
  }
});

Deno.test("failure 28: with a base of 1 or more no delay is shorter than the one before it", () => {
  for (const backoffBase of BASES.filter((base) => base >= 1)) {
    for (const backoffMaxMs of CAPS_MS) {
      let before = 0;
      for (let attempt = 1; attempt <= 1000; attempt++) {
        const ms = backoffMs({ backoffBase, backoffMaxMs, backoffJitter: 0 }, attempt, 0);
        assert(ms >= before, `${backoffBase} ** ${attempt}: ${ms} after ${before}`);
        before = ms;
      }
    }
  }
});

Deno.test("jitter adds up to its share of the capped delay, and takes nothing away", () => {
  const cases: [jitter: number, random: number, attempt: number, ms: number][] = [
    [0, 0.999, 1, 2000],
    [0.1, 0, 1, 2000],
    [0.1, 0.5, 1, 2100],
    [1, 0.5, 1, 3000],
    [1, 0.999999, 1, 4000],
    [0.5, 1, 100, 450_000],
    [1, 0.5, 1000, 450_000],
  ];
  for (const [backoffJitter, random, attempt, ms] of cases) {
    const what = `jitter ${backoffJitter}, random ${random}`;
    assertEquals(backoffMs({ ...plain, backoffJitter }, attempt, random), ms, what);
  }
});
