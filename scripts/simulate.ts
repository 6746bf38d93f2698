/**
 * Runs worker processes, people and faults in simulated worlds and looks for broken promises; see
 * tests/simulation.
 */
import { Command, ValidationError } from "@cliffy/command";
import process from "node:process";
import { explainFailure, headline } from "../tests/simulation/failure.ts";
import { planOf } from "../tests/simulation/plan.ts";
import { simulate } from "../tests/simulation/simulation.ts";

const { options: { seed, from, runs, brief } } = await new Command()
  .name("deno task simulate")
  .description("Runs simulated worlds until a promise is broken in one of them.")
  .option("--from <seed:integer>", "The first seed.", { default: 0 })
  .option("--runs <runs:integer>", "How many seeds.", { default: 2000 })
  .option("--brief", "Does not explain a failure.")
  .option("--seed <seed:integer>", "Only this one, with everything that happens.")
  .action(({ from, runs, seed = 0 }) => {
    if ([from, runs, seed].every((number) => number >= 0 && number < 1e9)) return;
    throw new ValidationError("Expected seeds and runs from 0 to 999999999");
  })
  .parse();

/** Runs one seed and prints everything that happened. */
async function replay(seed: number): Promise<boolean> {
  const { broken, trace } = await simulate(planOf(seed), { trace: true });
  console.log(trace.join("\n"));
  console.log(broken ? headline(seed, broken) : `Seed ${seed} breaks nothing`);
  return broken === null;
}

/** Runs seeds until one of them breaks an invariant. */
async function search(from: number, runs: number): Promise<boolean> {
  const seen: Record<string, number> = {};
  for (let seed = from; seed < from + runs; seed++) {
    const outcome = await simulate(planOf(seed));
    if (outcome.broken) {
      clearProgress();
      console.log(
        brief ? headline(seed, outcome.broken) : await explainFailure(planOf(seed), outcome.broken),
      );
      return false;
    }
    for (const [what, count] of Object.entries(outcome.seen)) {
      seen[what] = (seen[what] ?? 0) + count;
    }
    if (seed % 20 === 0) showProgress(`${seed - from} of ${runs}`);
  }
  clearProgress();
  const seconds = (process.cpuUsage().user / 1e6).toFixed(1);
  console.log(`${runs} runs from seed ${from}: nothing broken, ${seconds} s of processor time`);
  const counts = Object.entries(seen).sort(([, a], [, b]) => b - a);
  console.log(counts.map(([what, count]) => `${count} ${what}`).join(", "));
  return true;
}

function showProgress(text: string) {
  if (Deno.stdout.isTerminal()) Deno.stdout.writeSync(new TextEncoder().encode(`\r${text}`));
}

function clearProgress() {
  showProgress("\x1b[K");
}

const isWell = seed === undefined ? await search(from, runs) : await replay(seed);
Deno.exit(isWell ? 0 : 1);
