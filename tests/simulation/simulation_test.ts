import { assert, assertEquals } from "@std/assert";
import { hashOf } from "./dice.ts";
import { type Plan, planOf } from "./plan.ts";
import { shrink } from "./shrink.ts";
import { simulate } from "./simulation.ts";

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
