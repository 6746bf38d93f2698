import type { IfExists, JobState, NewJob } from "../../src/job.ts";
import type { SettingName, Settings } from "../../src/settings.ts";
import { newJob } from "../helpers/store.ts";
import { Dice } from "./dice.ts";
import type { PassingError } from "./store_door.ts";
import type { WorkerOptions } from "./worker_process.ts";

/**
 * Something that happens to a simulated world, or that somebody does in it. `worker`, `job` and `host`
 * are numbers that choose among those there are at that moment, so that a step keeps its sense when
 * others are left out.
 */
export type Action =
  // Faults
  | { do: "kill"; worker: number }
  | { do: "kill in a call"; worker: number; calls: number; statements: number }
  | { do: "stop"; worker: number; ms: number }
  | { do: "step clock"; host: number; ms: number }
  | { do: "sleep"; host: number; ms: number }
  | { do: "reboot"; host: number }
  | {
    do: "fail a call";
    worker: number;
    calls: number;
    statements: number;
    error: PassingError;
  }
  | { do: "fail calls"; worker: number | null; ms: number; share: number; error: PassingError }
  | { do: "slow calls"; worker: number | null; ms: number; share: number; slowMs: number }
  | { do: "lose a thread"; worker: number; executor: number }
  // People
  | { do: "start"; name: string; host: number; options: WorkerOptions }
  | { do: "enqueue"; jobs: PlannedJob[]; fault: PersonFault }
  | { do: "cancel"; job: number; force: boolean; fault: PersonFault }
  | { do: "cancel all"; state: JobState; force: boolean; fault: PersonFault }
  | { do: "retry"; job: number; fault: PersonFault }
  | { do: "retry all"; state: JobState; fault: PersonFault }
  | { do: "delete"; job: number; fault: PersonFault }
  | { do: "prune"; state: JobState; olderMs: number; fault: PersonFault }
  | { do: "pause"; queue: string; fault: PersonFault }
  | { do: "resume"; queue: string; fault: PersonFault }
  | { do: "limit"; queue: string; maxRunning: number | null; fault: PersonFault }
  | { do: "set"; setting: ChangedSetting; fault: PersonFault }
  | { do: "request stop"; force: boolean; fault: PersonFault }
  | { do: "terminate"; worker: number; times: number };

/** What goes wrong with the one call that a person makes. */
export type PersonFault = { statements: number; what: "kill" | PassingError } | null;

export interface PlannedJob {
  /** Of the new job; `runAt` counts from now. */
  spec: NewJob;
  /** It kills the worker process that runs it. */
  isPoison: boolean;
  /** Its command takes a few milliseconds, but for a few that turn out to be longer. */
  isShort: boolean;
}

export type ChangedSetting = {
  [Name in SettingName]: { name: Name; value: Settings[Name] };
}[SettingName];

export interface Step {
  /** Milliseconds of virtual time. */
  at: number;
  action: Action;
}

/** A whole run, before it is run. */
export interface Plan {
  seed: number;
  hosts: { wallAheadMs: number }[];
  /** How long a call to the store takes at most, where nothing is wrong with it. */
  latencyMs: number;
  /** When faults end and everything has to come to rest. */
  quietAt: number;
  /** Whether the second machine is switched off then. */
  isSecondHostLost: boolean;
  steps: Step[];
}

const QUEUES = ["default", "mail", "slow"];

/** The plan of a seed. Each one has its own mixture of faults, so that rare ones also come in numbers. */
export function planOf(seed: number): Plan {
  const dice = new Dice(seed, "plan");
  const hasSecondHost = dice.chance(0.25);
  // Where another machine is awake, each second costs time.
  const planner = new Planner(dice, { longSleepMs: hasSecondHost ? 8000 : 600_000 });
  const quietAt = dice.whole(800, 4000);
  const steps = planner.beginning();
  for (let left = dice.whole(5, 18); left > 0; left--) {
    // Some at once, most of them spread out.
    const at = dice.chance(0.2) ? steps.at(-1)!.at : dice.share() * quietAt;
    steps.push({ at, action: planner.action() });
  }
  const skew = () => dice.whole(-2000, 2000);
  return {
    seed,
    hosts: [{ wallAheadMs: 0 }, ...(hasSecondHost ? [{ wallAheadMs: skew() }] : [])],
    latencyMs: dice.pick([1, 10, 100]),
    quietAt,
    isSecondHostLost: dice.chance(0.4),
    steps: steps.sort((a, b) => a.at - b.at),
  };
}

class Planner {
  readonly #dice: Dice;
  readonly #kinds: (readonly [weight: number, make: () => Action])[];
  readonly #longSleepMs: number;
  #jobs = 0;
  #workers = 0;

  constructor(dice: Dice, { longSleepMs }: { longSleepMs: number }) {
    this.#dice = dice;
    this.#longSleepMs = longSleepMs;
    const mixed = Object.values(this.#faults()).concat(Object.values(this.#acts()))
      .map(([weight, make]) => [dice.chance(0.4) ? 0 : weight * dice.share(), make] as const);
    this.#kinds = [[8, () => this.#enqueue()], [7, () => this.#start()], ...mixed];
  }

  beginning(): Step[] {
    const dice = this.#dice;
    const actions: Action[] = [];
    const set = (setting: ChangedSetting) => actions.push({ do: "set", setting, fault: null });
    set({ name: "lease", value: dice.pick([1000, 2000, 3000]) });
    set({ name: "durability", value: dice.chance(0.2) ? "full" : "normal" });
    if (dice.chance(0.7)) set(this.#setting());
    for (let left = dice.whole(1, 3); left > 0; left--) actions.push(this.#start());
    for (let left = dice.whole(1, 2); left > 0; left--) actions.push(this.#enqueue());
    return actions.map((action) => ({ at: 0, action }));
  }

  action(): Action {
    return this.#dice.weighted(this.#kinds)();
  }

  #faults(): Record<string, [weight: number, make: () => Action]> {
    const dice = this.#dice;
    const worker = () => dice.whole(0, 99);
    const host = worker;
    const everybody = () => dice.chance(0.4) ? null : worker();
    const statements = () => dice.whole(0, dice.pick([1, 8, 30]));
    const calls = () => dice.whole(0, 12);
    const ms = () => dice.share() * dice.pick([100, 1000, 3000, 6000]);
    const error = () => dice.pick(["locked", "full"] as const);
    return {
      kill: [10, () => ({ do: "kill", worker: worker() })],
      killInACall: [12, () => ({
        do: "kill in a call",
        worker: worker(),
        calls: calls(),
        statements: dice.chance(0.3) ? Infinity : statements(),
      })],
      stop: [10, () => ({ do: "stop", worker: worker(), ms: ms() })],
      clock: [4, () => ({
        do: "step clock",
        host: host(),
        ms: dice.pick([-3_600_000, -2000, 2000, 3_600_000]),
      })],
      sleep: [
        3,
        () => ({ do: "sleep", host: host(), ms: dice.pick([500, 5000, this.#longSleepMs]) }),
      ],
      reboot: [2, () => ({ do: "reboot", host: host() })],
      failACall: [8, () => ({
        do: "fail a call",
        worker: worker(),
        calls: calls(),
        statements: statements(),
        error: error(),
      })],
      failCalls: [5, () => ({
        do: "fail calls",
        worker: everybody(),
        ms: ms(),
        share: dice.pick([0.2, 0.7, 1]),
        error: error(),
      })],
      slowCalls: [4, () => ({
        do: "slow calls",
        worker: everybody(),
        ms: ms(),
        share: dice.pick([0.2, 1]),
        slowMs: dice.pick([50, 500, 3000]),
      })],
      loseAThread: [3, () => ({ do: "lose a thread", worker: worker(), executor: worker() })],
    };
  }

  #acts(): Record<string, [weight: number, make: () => Action]> {
    const dice = this.#dice;
    const queue = () => dice.pick(QUEUES);
    const job = () => dice.whole(0, 99);
    const force = () => dice.chance(0.4);
    const fault = () => this.#personFault();
    const state = (...states: JobState[]) => dice.pick(states);
    const finals = ["dead", "cancelled"] as const;
    return {
      cancel: [8, () => ({ do: "cancel", job: job(), force: force(), fault: fault() })],
      cancelAll: [1, () => ({
        do: "cancel all",
        state: state("pending", "processing", "failed", "blocked"),
        force: force(),
        fault: fault(),
      })],
      retry: [6, () => ({ do: "retry", job: job(), fault: fault() })],
      retryAll: [3, () => ({
        do: "retry all",
        state: state("failed", ...finals),
        fault: fault(),
      })],
      delete: [4, () => ({ do: "delete", job: job(), fault: fault() })],
      prune: [2, () => ({
        do: "prune",
        state: state("completed", ...finals),
        olderMs: dice.pick([0, 1000]),
        fault: fault(),
      })],
      pause: [4, () => ({ do: "pause", queue: queue(), fault: fault() })],
      resume: [4, () => ({ do: "resume", queue: queue(), fault: fault() })],
      limit: [4, () => ({
        do: "limit",
        queue: queue(),
        maxRunning: dice.pick([1, 1, 2, 3, null]),
        fault: fault(),
      })],
      set: [5, () => ({ do: "set", setting: this.#setting(), fault: fault() })],
      requestStop: [2, () => ({ do: "request stop", force: force(), fault: fault() })],
      terminate: [4, () => ({ do: "terminate", worker: job(), times: dice.whole(1, 2) })],
    };
  }

  #personFault(): PersonFault {
    const dice = this.#dice;
    if (!dice.chance(0.15)) return null;
    return {
      statements: dice.chance(0.3) ? Infinity : dice.whole(0, 12),
      what: dice.pick(["kill", "locked", "full"]),
    };
  }

  #setting(): ChangedSetting {
    const dice = this.#dice;
    return dice.pick<() => ChangedSetting>([
      () => ({ name: "lease", value: dice.pick([1000, 3000]) }),
      () => ({ name: "poll_interval", value: dice.pick([200, 1000]) }),
      () => ({ name: "retention", value: dice.pick([null, 1000, 5000]) }),
      () => ({ name: "kill_grace", value: dice.pick([0, 100, 1000]) }),
      () => ({ name: "shutdown_grace", value: dice.pick([0, 300, 2000]) }),
      () => ({ name: "durability", value: dice.pick(["full", "normal"]) }),
    ])();
  }

  #start(): Action {
    const dice = this.#dice;
    const options: WorkerOptions = { count: dice.whole(1, 3) };
    if (dice.chance(0.2)) {
      const queues = dice.chance(0.5) ? ["mail", "default"] : [dice.pick(QUEUES)];
      options.scope = { queues, only: null };
    }
    if (dice.chance(0.1)) options.limit = dice.whole(1, 3);
    if (dice.chance(0.1)) options.drain = true;
    if (dice.chance(0.2)) options.pollMs = dice.pick([100, 500]);
    return { do: "start", name: `w${++this.#workers}`, host: dice.whole(0, 99), options };
  }

  #enqueue(): Action {
    const dice = this.#dice;
    const jobs = dice.chance(0.06)
      ? Array.from({ length: dice.whole(10, 30) }, () => this.#shortJob())
      : Array.from({ length: dice.whole(1, 3) }, () => this.#job());
    return { do: "enqueue", jobs, fault: this.#personFault() };
  }

  #job(): PlannedJob {
    const dice = this.#dice;
    const id = jobId(++this.#jobs);
    const spec = newJob({
      id,
      command: id,
      queue: dice.pick(QUEUES),
      priority: dice.chance(0.3) ? dice.whole(-2, 2) : 0,
      maxRetries: dice.whole(0, 4),
      backoffBase: dice.pick([0, 0.3, 1, 1.5]),
      backoffMaxMs: dice.pick([300, 2000]),
      backoffJitter: dice.pick([0, 1]),
      timeoutMs: dice.chance(0.4) ? dice.whole(50, 2000) : null,
      okCodes: dice.chance(0.3) ? [3] : [],
      fatalCodes: dice.chance(0.5) ? [42] : [],
      snoozeMs: dice.chance(0.5) ? dice.whole(0, 800) : null,
      key: dice.chance(0.15) ? dice.pick(["one", "two"]) : null,
      ifExists: dice.pick<IfExists>(["error", "skip", "replace"]),
      runAt: dice.chance(0.2) ? dice.whole(0, 3000) : null,
      after: this.#jobs > 1 && dice.chance(0.3) ? this.#prerequisites() : [],
    });
    return { spec, isPoison: dice.chance(0.04), isShort: false };
  }

  /** One of many that are claimed ahead. */
  #shortJob(): PlannedJob {
    const id = jobId(++this.#jobs);
    const spec = newJob({ id, command: id, queue: QUEUES[0], backoffBase: 0 });
    return { spec, isPoison: false, isShort: true };
  }

  #prerequisites() {
    const dice = this.#dice;
    return Array.from({ length: dice.whole(1, 2) }, () => ({
      id: jobId(dice.whole(1, this.#jobs - 1)),
      anyEnd: dice.chance(0.3),
    }));
  }
}

// All of one length, so that none is taken for the beginning of another one.
function jobId(n: number): string {
  return `job${String(n).padStart(3, "0")}`;
}

/** An action in one line, without what is as usual. */
export function actionText({ do: name, ...about }: Action): string {
  const said = "jobs" in about ? { ...about, jobs: about.jobs.map(jobText) } : about;
  const values = Object.entries(said).filter(([, value]) => value !== null)
    .map(([key, value]) => `${key} ${JSON.stringify(value)}`);
  return [name, ...values].join(", ");
}

function jobText({ spec, isPoison, isShort }: PlannedJob) {
  const usual: Record<string, unknown> = { ...newJob(), command: spec.command };
  const own = Object.entries(spec).filter(([key, value]) =>
    JSON.stringify(value) !== JSON.stringify(usual[key])
  );
  return {
    ...Object.fromEntries(own),
    ...(isPoison ? { isPoison } : {}),
    ...(isShort ? { isShort } : {}),
  };
}
