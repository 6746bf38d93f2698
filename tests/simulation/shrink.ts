import type { Plan, Step } from "./plan.ts";

/** More attempts than this would keep people waiting. */
const MOST_ATTEMPTS = 400;

/** The plan with as few of its steps as will do for `fails`: first without halves, then without single ones. */
export async function shrink(plan: Plan, fails: (plan: Plan) => Promise<boolean>): Promise<Plan> {
  let { steps } = plan;
  let attempts = 0;
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size > 1 ? size >> 1 : 0) {
    for (let again = true; again;) {
      again = false;
      for (let from = steps.length - size; from > -size; from -= size) {
        if (attempts++ >= MOST_ATTEMPTS) return { ...plan, steps };
        const fewer = without(steps, Math.max(0, from), from + size);
        if (!await fails({ ...plan, steps: fewer })) continue;
        steps = fewer;
        // What others needed may have become needless.
        again = size === 1;
      }
    }
  }
  return { ...plan, steps };
}

function without(steps: readonly Step[], from: number, to: number): Step[] {
  return [...steps.slice(0, from), ...steps.slice(to)];
}
