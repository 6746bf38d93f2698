import { assert, assertEquals } from "@std/assert";
import { hashOf } from "./dice.ts";
import { explainFailure } from "./failure.ts";
import { type Plan, planOf } from "./plan.ts";
import { shrink } from "./shrink.ts";
import { simulate } from "./simulation.ts";

const RUNS = 2000;
const RUNS_A_TEST = 500;

const seen: Record<string, number> = {};

for (let from = 0; from < RUNS; from += RUNS_A_TEST) {
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

Deno.test("simulation: every end of an attempt and of a worker process has come about often", () => {
  const often = {
    ...{ completed: 5000, failed: 3000, timed_out: 500, lost: 1000, interrupted: 300 },
    ...{ cancelled: 100, exited: 3000, crashed: 20, refused: 1000 },
  };
  const rare = Object.entries(often).filter(([what, count]) => (seen[what] ?? 0) < count)
    .map(([what]) => `${seen[what]} ${what}`);
  assertEquals(rare, []);
});

Deno.test("simulation: the same seed makes the same things happen", async () => {
  const hash = async (seed: number) => {
    const { trace } = await simulate(planOf(seed), { trace: true });
    assert(trace.length > 20);
    return hashOf(trace.join("\n"));
  };
  for (let seed = 0; seed < 20; seed++) assertEquals(await hash(seed), await hash(seed));
  assert(await hash(1) !== await hash(2));
});

Deno.test("simulation: random ids are random again afterwards", async () => {
  const { getRandomValues } = crypto;
  await simulate(planOf(1));
  assertEquals(crypto.getRandomValues, getRandomValues);
});

Deno.test("simulation: a plan is shrunk to the steps that it takes to fail", async () => {
  const plan = planOf(7);
  const wanted = [plan.steps[1]!, plan.steps.at(-2)!];
  const fails = ({ steps }: Plan) => Promise.resolve(wanted.every((step) => steps.includes(step)));
  assertEquals((await shrink(plan, fails)).steps, wanted);
});
