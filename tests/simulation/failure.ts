import { actionText, type Plan } from "./plan.ts";
import { shrink } from "./shrink.ts";
import { type Broken, simulate } from "./simulation.ts";

const TRACE_LINES = 60;

/** What a person needs to know of a run that broke an invariant, with a shorter one that breaks it as well. */
export async function explainFailure(plan: Plan, { invariant, finding }: Broken): Promise<string> {
  const short = await shrink(
    plan,
    async (fewer) => (await simulate(fewer)).broken?.invariant === invariant,
  );
  const { trace, broken } = await simulate(short, { trace: true });
  return [
    headline(plan.seed, { invariant, finding }),
    `With ${short.steps.length} of its ${plan.steps.length} steps: ${broken?.finding}`,
    ...short.steps.map(({ at, action }) => `${at.toFixed(3).padStart(11)} ${actionText(action)}`),
    "What happened last:",
    ...trace.slice(-TRACE_LINES),
    `All of it: deno task simulate --seed ${plan.seed}`,
  ].join("\n");
}

export function headline(seed: number, { invariant, finding }: Broken): string {
  return `Seed ${seed} breaks ${invariant}: ${finding}`;
}
