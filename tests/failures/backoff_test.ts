import { assert } from "@std/assert";
import { backoffMs } from "../../src/backoff.ts";
import { settle } from "../../src/job.ts";
import { SETTINGS } from "../../src/settings.ts";
import { between, seeded } from "../helpers/random.ts";
import { newJob } from "../helpers/store.ts";

const ATTEMPTS = 1000;
const NOW = Date.UTC(2030, 0, 1);

Deno.test("failure 28: for any base that can be set, delays go one way only, within the cap", () => {
  const random = seeded(28);
  const bases = Array.from({ length: 500 }, () => {
    const text = (random() * 10 ** between(random, -6, 3)).toFixed(between(random, 0, 6));
    const base = SETTINGS.backoff_base.read(text);
    assert(base !== undefined, text);
    return base;
  });
  for (const backoffBase of [0, 1, 1000, ...bases]) {
    const backoffMaxMs = between(random, 0, 365 * 86_400_000);
    const backoffJitter = random();
    const delays = Array.from({ length: ATTEMPTS }, (_, i) => {
      const settings = { backoffBase, backoffMaxMs, backoffJitter };
      const most = backoffMs(settings, i + 1, 1);
      const what = `base ${backoffBase}, attempt ${i + 1}, jitter ${backoffJitter}: ${most}`;
      assert(Number.isSafeInteger(most) && most <= 2 * backoffMaxMs, what);
      const least = backoffMs(settings, i + 1, 0);
      assert(Number.isSafeInteger(least) && least >= 0 && least <= backoffMaxMs, what);
      return least;
    });
    const grows = backoffBase >= 1;
    for (const [i, ms] of delays.slice(1).entries()) {
      const goesOn = grows ? ms >= delays[i]! : ms <= delays[i]!;
      assert(goesOn, `base ${backoffBase}, attempt ${i + 2}: ${ms} after ${delays[i]}`);
    }
  }
});

Deno.test("failure 28: a job that fails for the 999th time is due at an instant that can be stored", () => {
  for (const backoffBase of [0, 0.001, 1, 2, 1000]) {
    const rules = newJob({ maxRetries: ATTEMPTS, backoffBase, backoffMaxMs: 365 * 86_400_000 });
    for (const attempts of [1, 2, 100, ATTEMPTS - 1]) {
      const job = { ...rules, attempts, snoozes: 0, runAt: NOW };
      const end = settle(job, { kind: "exited", code: 1 }, { now: NOW, random: 1 });
      assert(end.state === "failed");
      assert(Number.isSafeInteger(end.runAt) && end.runAt >= NOW, `${end.runAt}`);
    }
  }
});
