import { assertEquals } from "@std/assert";
import { explainFailure } from "./failure.ts";
import { planOf } from "./plan.ts";
import { simulate } from "./simulation.ts";

const RUNS = 1000;
const RUNS_A_TEST = 500;

/** What has to come about in so many runs, so that they try something. */
const OFTEN = {
  ...{ completed: 2500, failed: 1500, timed_out: 250, lost: 500, interrupted: 150 },
  ...{ cancelled: 50, exited: 1500, crashed: 10, refused: 500 },
};

/**
 * Adds the tests of the thousand seeds from `first` on. Two files have a thousand each, because the tests of
 * one file run one after another.
 */
export function testSeeds(first: number) {
  const seen: Record<string, number> = {};

  for (let from = first; from < first + RUNS; from += RUNS_A_TEST) {
    const to = from + RUNS_A_TEST - 1;
    Deno.test(`simulation: seeds ${from} to ${to} break no invariant`, async () => {
      for (let seed = from; seed <= to; seed++) {
        const outcome = await simulate(planOf(seed));
        for (const [what, count] of Object.entries(outcome.seen)) {
          seen[what] = (seen[what] ?? 0) + count;
        }
        if (outcome.broken) throw new Error(await explainFailure(planOf(seed), outcome.broken));
      }
    });
  }

  const last = first + RUNS - 1;
  Deno.test(`simulation: in seeds ${first} to ${last} every end of an attempt and of a worker process has come about often`, () => {
    const rare = Object.entries(OFTEN).filter(([what, count]) => (seen[what] ?? 0) < count)
      .map(([what]) => `${seen[what]} ${what}`);
    assertEquals(rare, []);
  });
}
