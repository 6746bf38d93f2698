/**
 * Puts classic bugs of job queues back, one at a time, into a copy of the sources, to see that the
 * simulation finds each of them.
 *
 * One of them it cannot find: a claim without BEGIN IMMEDIATE. All simulated processes share one
 * connection, so no transaction ever meets another one. For that there are real threads with real
 * connections in tests/store/sqlite_test.ts and real processes in scripts/concurrency_test.sh.
 */
import { assertEquals } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import { tempFolder } from "../helpers/store.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const COPIED = ["deno.json", "compat", "src", "tests/helpers", "tests/simulation", "scripts"];
const RUNS = 2000;

interface Bug {
  /** What the sources with the bug do. */
  name: string;
  file: string;
  replace: [text: string, by: string][];
  /** The invariants that notice; which one is first depends on the seed. */
  breaks: string[];
}

const BUGS: Bug[] = [
  {
    name: "an attempt is settled by the id of its job alone",
    file: "src/store/sqlite_turn.ts",
    replace: [
      ["where seq = ? and lease_token = ? and state", "where seq = ? and ? is not null and state"],
    ],
    breaks: ["settledAttemptsStay", "oneOpenAttemptForEachProcessingJob", "outcomesAreTrue"],
  },
  {
    name: "a recovery settles what has ended in the meantime",
    file: "src/store/sqlite_turn.ts",
    replace: [[
      "where seq = ? and lease_token = ? and state = 'processing'",
      "where seq = ? and ifnull(lease_token, '') in ('', ?)",
    ]],
    breaks: ["onlyAllowedMoves", "settledAttemptsStay"],
  },
  {
    name: "output and process ids are written without a look at the lease",
    file: "src/store/sqlite_turn.ts",
    replace: [["jobs.seq = ? and lease_token = ?)", "jobs.seq = ? and ? is not null)"]],
    breaks: ["outputEndsWithTheAttempt", "settledAttemptsStay"],
  },
  {
    name: "a worker that was taken for dead goes on without registering again",
    file: "src/worker/supervisor.ts",
    replace: [["else await this.#register(); // it was taken for dead", ""]],
    breaks: ["livingWorkersAreKnown", "lostOnlyForACause", "executionsAreOverWhenSettled"],
  },
  {
    name: "renewing says that it went well, although the worker is not known",
    file: "src/store/sqlite.ts",
    replace: [[".run(leaseMs, now, worker) > 0", ".run(leaseMs, now, worker) >= 0"]],
    breaks: ["livingWorkersAreKnown", "lostOnlyForACause", "executionsAreOverWhenSettled"],
  },
  {
    name: "a failed attempt is counted twice",
    file: "src/job.ts",
    replace: [['state: "failed", runAt', 'attempts: attempts + 1, state: "failed", runAt']],
    breaks: ["attemptsAreCountedOnce"],
  },
  {
    name: "an interrupted attempt is counted",
    file: "src/job.ts",
    replace: [["attempts: attempts - 1", "attempts"]],
    breaks: ["attemptsAreCountedOnce"],
  },
  {
    name: "a retried job keeps its count of attempts",
    file: "src/store/sqlite_control.ts",
    replace: [["state = 'pending', attempts = 0,", "state = 'pending',"]],
    breaks: ["attemptsAreCountedOnce"],
  },
  {
    name: "leases are judged by the clock on the wall",
    file: "src/worker/recovery.ts",
    replace: [[
      "this.#deaths.look(others, system.monotonic())",
      `new Map(
        others.filter(({ heartbeatAt, leaseMs }) => system.now() - heartbeatAt > leaseMs)
          .map(({ id }) => [id, "Its worker stopped renewing the lease"]),
      )`,
    ]],
    breaks: ["lostOnlyForACause"],
  },
  {
    name: "a job is taken back before what is left of it was killed",
    file: "src/worker/recovery.ts",
    replace: [[
      "const living = await this.#killWhatLives(left);",
      "const living: readonly Left[] = [];",
    ]],
    breaks: ["executionsAreOverWhenSettled"],
  },
  {
    name: "of the commands that wait the wrong one is taken for the next",
    file: "src/worker/executors.ts",
    replace: [["this.#waitingOf(executor).shift()", "this.#waitingOf(executor).pop()"]],
    breaks: ["executionsAreOverWhenSettled", "outcomesAreTrue"],
  },
  {
    name: "what was claimed ahead is forgotten when it is taken back",
    file: "src/worker/attempts.ts",
    replace: [[
      "for (const each of withdrawn) this.#putAway",
      "for (const each of withdrawn.slice(1)) this.#putAway",
    ]],
    breaks: ["lostOnlyForACause"],
  },
  {
    name: "a failed job does not wait before its next attempt",
    file: "src/job.ts",
    replace: [["runAt: now + delayMs", "runAt: now"]],
    breaks: ["retriesWaitTheirTime"],
  },
  {
    name: "a worker process does not wait for its jobs when it is told to stop",
    file: "src/worker/supervisor.ts",
    replace: [["if (!this.#attempts.isEmpty || !this", "if (!this"]],
    breaks: ["exitsLeaveNothing"],
  },
  {
    name: "what is printed while output is being stored gets lost",
    file: "src/worker/attempts.ts",
    replace: [["this.#output.filter((each) => !output.includes(each))", "output && []"]],
    breaks: ["historyIsWhole"],
  },
  {
    name: "what ends while other ends are being settled is forgotten",
    file: "src/worker/attempts.ts",
    replace: [["this.#ended.filter(({ running }) => !done.has(running))", "done && []"]],
    breaks: ["everyJobComesToRest", "lostOnlyForACause"],
  },
  {
    name: "a transaction that fails is not rolled back",
    file: "src/store/sqlite.ts",
    replace: [[
      "db.transaction((write: () => unknown) => write()).immediate",
      "(write: () => unknown) => write()",
    ]],
    breaks: ["failedCallsChangeNothing", "countersEqualCounts"],
  },
  {
    name: "a cancel is forgotten when the attempt fails",
    file: "src/store/sqlite_turn.ts",
    replace: [["settleAttempt(sql, ended, ifCancelled,", "settleAttempt(sql, ended, settlement,"]],
    breaks: ["cancelledJobsEnd"],
  },
  {
    name: "a claim looks past the limit of the queue",
    file: "src/store/sqlite_claim.ts",
    replace: [["max_running - coalesce(running.jobs, 0) as slots", "null as slots"]],
    breaks: ["queueLimitsHold"],
  },
  {
    name: "a claim looks past the pause of the queue",
    file: "src/store/sqlite_claim.ts",
    replace: [["where paused_at is null and", "where"]],
    breaks: ["pausedQueuesStartNothing"],
  },
  {
    name: "jobs become claimable before they are due",
    file: "src/store/sqlite_claim.ts",
    replace: [["where ready = 0 and run_at <= ? order by run_at", "where ready = 0 and ? > 0"]],
    breaks: ["nothingIsClaimableEarly"],
  },
  {
    name: "a dead prerequisite releases those that wait for it",
    file: "src/store/sqlite_ends.ts",
    replace: [[
      'if (end === "completed" || anyEnd)',
      'if (end === "completed" || end === "dead" || anyEnd)',
    ]],
    // The second where it needs another one, which has not ended.
    breaks: ["prerequisitesComeFirst", "blockedJobsWaitForSomething"],
  },
  {
    name: "pruning takes dead jobs as well",
    file: "src/store/sqlite_control.ts",
    replace: [
      [" indexed by jobs_expiring", ""],
      ["where (state = 'completed' or state = 'cancelled') and", "where"],
    ],
    breaks: ["everyAcceptedJobIsThere"],
  },
  {
    name: "the counters are not kept when a job moves on",
    file: "src/store/migrations/sqlite/0002_control.sql",
    replace: [[
      "when new.state <> old.state or new.queue <> old.queue",
      "when new.queue <> old.queue",
    ]],
    breaks: ["countersEqualCounts"],
  },
];

for (const bug of BUGS) {
  Deno.test(`simulation: it is found when ${bug.name}`, async () => {
    using folder = tempFolder();
    for (const path of COPIED) copy(join(ROOT, path), folder.file(path));
    plant(bug, folder.file(bug.file));
    const { code, text } = await simulateIn(folder.path);
    assertEquals({ code, text }, { code: 1, text });
    const [, seed, invariant] = text.match(/^Seed (\d+) breaks (\w+)/) ?? [];
    assertEquals(bug.breaks.includes(invariant!) ? "found" : text, "found");
    console.log(`  by seed ${seed}: ${invariant}`);
  });
}

function plant({ replace }: Bug, path: string) {
  let text = Deno.readTextFileSync(path);
  for (const [from, to] of replace) {
    if (!text.includes(from)) throw new Error(`Cannot plant a bug: no ${from} in ${path}`);
    text = text.replace(from, () => to);
  }
  Deno.writeTextFileSync(path, text);
}

async function simulateIn(cwd: string): Promise<{ code: number; text: string }> {
  const script = ["scripts/simulate.ts", "--brief", "--runs", String(RUNS)];
  const args = ["run", "-A", "--no-prompt", "--no-check", ...script];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd }).output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

function copy(from: string, to: string) {
  if (Deno.statSync(from).isFile) {
    Deno.mkdirSync(dirname(to), { recursive: true });
    return Deno.copyFileSync(from, to);
  }
  for (const { name } of Deno.readDirSync(from)) copy(join(from, name), join(to, name));
}
