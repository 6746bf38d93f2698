import type { Statement } from "@db/sqlite";
import { UserError } from "../../src/errors.ts";
import { newId } from "../../src/ids.ts";
import { isFinal, JOB_STATES } from "../../src/job.ts";
import { SQLITE_MIGRATIONS } from "../../src/store/migrations.ts";
import { SqliteStore } from "../../src/store/sqlite.ts";
import { mayPass } from "../../src/store/sqlite_errors.ts";
import type { NewWorker, Store, TurnResult } from "../../src/store/store.ts";
import type { WorkerEvent } from "../../src/worker/events.ts";
import type { Run } from "../../src/worker/protocol.ts";
import { silentFile } from "../helpers/store.ts";
import type { ExecutionRecord } from "./command_runner.ts";
import { Dice } from "./dice.ts";
import { FaultyDatabase } from "./faulty_database.ts";
import { behaviourOf, Command, Host, type Living } from "./host.ts";
import {
  historyIsWhole,
  START_INVARIANTS,
  waitsForTheClock,
  WRITE_INVARIANTS,
} from "./invariants.ts";
import { Ledger, type Write } from "./ledger.ts";
import { type Action, actionText, type Plan, type PlannedJob } from "./plan.ts";
import { type Call, type Caller, openDoor, type Trouble } from "./store_door.ts";
import { EVERYBODY, VirtualTime } from "./virtual_time.ts";
import { type Surroundings, type WorkerOptions, WorkerProcess } from "./worker_process.ts";

/** How long it may take, in virtual time, until everything has come to rest. */
const REST_WITHIN_MS = 120_000;
/** Dead worker processes are forgotten by then. */
const REST_AT_LEAST_MS = 1200;
/** More of them cost more time than they find. */
const MOST_WORKERS = 3;
const STOP_WITHIN_MS = 20_000;

/** Calls that have nothing to do with jobs. */
const ABOUT_WORKERS: readonly Call["method"][] = ["renew", "register", "deregister"];

/** An invariant that did not hold, and what was found. */
export interface Broken {
  invariant: string;
  finding: string;
}

/** What has come of a run. */
export interface Outcome {
  /** The first one. */
  broken: Broken | null;
  /** One line for each thing that happened, if it was to be kept. */
  trace: string[];
  /** Counts of what happened, to see that a simulation reaches what it should. */
  seen: Record<string, number>;
}

/** Runs a plan from the beginning to the end, or until an invariant is broken. */
export async function simulate(plan: Plan, { trace = false } = {}): Promise<Outcome> {
  const { getRandomValues } = crypto;
  const dice = new Dice(plan.seed, "ids");
  crypto.getRandomValues = <T extends ArrayBufferView | null>(array: T): T => {
    const bytes = array as unknown as Uint8Array;
    for (let i = 0; i < bytes.length; i++) bytes[i] = dice.whole(0, 255);
    return array;
  };
  try {
    newId(3072); // uses up what was drawn before
    return await new Simulation(plan, trace).run();
  } finally {
    crypto.getRandomValues = getRandomValues;
  }
}

class Simulation implements Surroundings {
  readonly time = new VirtualTime();
  readonly troubles: Trouble[] = [];
  writes = 0;
  isMuted = false;
  readonly store: SqliteStore;
  readonly database: FaultyDatabase;
  readonly #plan: Plan;
  readonly #dice: Dice;
  readonly #hosts: Host[];
  readonly #ledger: Ledger;
  readonly #workers: WorkerProcess[] = [];
  readonly #planned: ReadonlyMap<string, PlannedJob>;
  readonly #outcome: Outcome = { broken: null, trace: [], seen: {} };
  readonly #isTraced: boolean;
  #acts = 0;
  #quietSince: number | null = null;
  #isStopping = false;
  #isOver = false;

  constructor(plan: Plan, isTraced: boolean) {
    const memory = cleanMemory(() => this.#ring());
    this.store = memory.store;
    this.database = memory.database;
    this.#ledger = new Ledger(memory.database);
    this.#plan = plan;
    this.#dice = new Dice(plan.seed, "world");
    this.#isTraced = isTraced;
    this.#hosts = plan.hosts.map((clock, i) => new Host(`host${i + 1}`, this.time, clock));
    const jobs = plan.steps.flatMap(({ action }) => action.do === "enqueue" ? action.jobs : []);
    this.#planned = new Map(jobs.map((job) => [job.spec.id, job]));
  }

  async run(): Promise<Outcome> {
    for (const { at, action } of this.#plan.steps) {
      this.time.after(at, EVERYBODY, () => this.#act(action));
    }
    this.time.after(this.#plan.quietAt, EVERYBODY, () => this.#beQuiet());
    await this.time.run(() => this.#isOver || this.#outcome.broken !== null);
    return this.#outcome;
  }

  // --- What happens

  #act(action: Action) {
    this.#note("world", () => actionText(action));
    const at = <T>(all: readonly T[], i: number): T | undefined => all[i % all.length];
    const living = this.#workers.filter(({ isDead }) => !isDead);
    const worker = "worker" in action && action.worker !== null
      ? at(living, action.worker)
      : undefined;
    switch (action.do) {
      case "kill":
        return worker?.kill();
      case "kill in a call":
        return void worker?.faults.push({ ...action, what: "kill" });
      case "stop":
        return worker?.stopFor(action.ms);
      case "step clock":
        return at(this.#hosts, action.host)!.stepClock(action.ms);
      case "sleep":
        return this.#sleep(at(this.#hosts, action.host)!, action.ms);
      case "reboot":
        return at(this.#hosts, action.host)!.boot();
      case "fail a call":
        return void worker?.faults.push({ ...action, what: action.error });
      case "fail calls":
      case "slow calls": {
        const { worker: number, ms, share } = action;
        const what = "error" in action ? { error: action.error } : { slowMs: action.slowMs };
        const troubles = number === null ? this.troubles : worker?.troubles;
        return void troubles?.push({ until: this.time.now + ms, share, what });
      }
      case "lose a thread": {
        for (const token of worker?.runner.lose(action.executor) ?? []) {
          this.#ledger.claims.get(token)!.isThreadLost = true;
        }
        return;
      }
      case "start":
        if (living.length >= MOST_WORKERS) return;
        return this.#startOn(at(this.#hosts, action.host)!, action);
      case "terminate":
        return worker?.terminate(action.times);
      default:
        this.time.after(0, this.#hosts[0]!, () => this.#actAsPerson(action));
    }
  }

  #startOn(host: Host, { name, options }: { name: string; options: WorkerOptions }) {
    this.time.after(0, host, () => this.#start(name, host, options));
  }

  async #actAsPerson(action: Extract<Action, { fault: unknown }>) {
    const { time } = this;
    const host = this.#hosts[0]!;
    const { fault } = action;
    const person = {
      name: "person",
      host,
      time,
      isDead: false,
      isStopped: false,
      dice: new Dice(this.#plan.seed, "person", ++this.#acts),
      faults: fault ? [{ calls: 0, ...fault }] : [],
      troubles: [],
      latencyMs: 0,
      kill: () => person.isDead = true,
      hinder() {},
    };
    const store = openDoor(this, person);
    try {
      await this.#do(action, store, host.wallNow());
    } catch (error) {
      if (!(error instanceof UserError)) this.#break("peopleSeeOnlyUserErrors", String(error));
    }
  }

  async #do(action: Extract<Action, { fault: unknown }>, store: Store, now: number) {
    const by = { now, actor: "person" };
    const ids = [...this.#ledger.jobs.keys()];
    const job = "job" in action ? { ids: [ids[action.job % ids.length] ?? "none"] } : { ids: [] };
    switch (action.do) {
      case "enqueue": {
        const specs = action.jobs.map(({ spec }) => ({
          ...spec,
          runAt: spec.runAt === null ? null : now + spec.runAt,
        }));
        return await store.enqueue(specs, by);
      }
      case "cancel":
        return await store.cancel(job, action, by);
      case "cancel all":
        return await store.cancel({ filter: { state: action.state } }, action, by);
      case "retry":
        return await store.retry(job, ["failed", "dead", "cancelled"], by);
      case "retry all":
        return await store.retry({ filter: {} }, [action.state], by);
      case "delete":
        return await store.remove(job, JOB_STATES.filter((each) => each !== "processing"), by);
      case "prune": {
        const filter = { state: action.state, finishedBefore: now - action.olderMs };
        return await store.remove({ filter, limit: 500 }, [action.state], by);
      }
      case "pause":
        return await store.changeQueue(action.queue, { paused: { reason: null } }, by);
      case "resume":
        return await store.changeQueue(action.queue, { paused: null }, by);
      case "limit":
        return await store.changeQueue(action.queue, { maxRunning: action.maxRunning }, by);
      case "set":
        return await store.changeSetting(action.setting.name, action.setting.value);
      case "request stop":
        return await store.requestStop(action.force ? "force" : "graceful");
    }
  }

  #start(name: string, host: Host, options: WorkerOptions) {
    const dice = new Dice(this.#plan.seed, "worker", name);
    const { latencyMs } = this.#plan;
    this.#workers.push(new WorkerProcess(name, host, dice, latencyMs, this, options));
  }

  #sleep(host: Host, ms: number) {
    host.sleep(ms);
    for (const worker of this.#workers) {
      if (worker.host === host) worker.hinder(host.wakesAt - this.time.now);
    }
  }

  #ring() {
    if (this.isMuted) return;
    for (const worker of this.#workers) if (this.#dice.chance(0.9)) worker.hear();
  }

  // --- What the worker processes do

  onWrite(call: Call) {
    const { by, method, args, error, result } = call;
    if (by instanceof WorkerProcess && error === undefined) {
      if (method === "renew" && result === true) by.hasRenewed(args[1] as number);
      if (method === "turn" && (result as TurnResult).known) by.hasRenewed(by.leaseMs);
      if (method === "register") by.hasRenewed((args[0] as NewWorker).leaseMs);
    }
    if (ABOUT_WORKERS.includes(method)) {
      // Most calls are of this kind; if one changed a job, the next call would be found guilty.
      return this.#note(by.name, () => `${method}: ${error ?? result ?? "done"}`);
    }
    const write = this.#ledger.learn(call);
    this.#note(by.name, () => describe(write));
    for (const { outcome } of write.settled) this.#count(String(outcome));
    if (error !== undefined) this.#count(error instanceof UserError ? "refused" : "failed");
    for (const [name, invariant] of Object.entries(WRITE_INVARIANTS)) {
      const finding = invariant(write);
      if (finding !== undefined) return this.#break(name, finding);
    }
    const broken = error instanceof Error && TRIGGERS.find(({ name }) => name === error.message);
    if (broken) this.#break(broken.name, `${by.name} has changed what was settled`);
  }

  onRead(by: Caller, method: string, error: unknown) {
    if (error !== undefined) this.#note(by.name, () => `${method}: ${error}`);
  }

  begin(process: WorkerProcess, { env }: Run, on: { print: () => void; end: () => void }) {
    const token = env.QUEUECTL_ATTEMPT_ID!;
    const job = env.QUEUECTL_JOB_ID!;
    const { claims = [] } = this.#ledger.jobs.get(job) ?? {};
    const dice = new Dice(this.#plan.seed, "execution", job, claims.length);
    const { isPoison, isShort } = this.#planned.get(job)!;
    const isQuiet = this.#quietSince !== null;
    const behaviour = behaviourOf(dice, {
      isPoison: isPoison && !isQuiet,
      isShort,
      mayHang: !isQuiet,
    });
    if (dice.chance(0.03)) return { command: null };
    const command = new Command(process.host, this.time, token, job, behaviour, {
      print: on.print,
      end: () => {
        this.#note(process.host.name, () => `${job} ends, ${JSON.stringify(command.end)}`);
        on.end();
      },
    });
    const { killsItsWorkerAfter } = behaviour;
    if (killsItsWorkerAfter !== null) {
      this.time.after(killsItsWorkerAfter, command, () => process.kill());
    }
    return { command };
  }

  began(token: string, execution: ExecutionRecord) {
    this.#count("executions");
    const claim = this.#ledger.claims.get(token);
    this.#note(execution.process.host.name, () => `${claim?.job.spec.id} begins`);
    claim?.executions.push(execution);
    const start = { ledger: this.#ledger, token, execution };
    for (const [name, invariant] of Object.entries(START_INVARIANTS)) {
      const finding = invariant(start);
      if (finding !== undefined) return this.#break(name, finding);
    }
  }

  report(by: WorkerProcess, event: WorkerEvent) {
    this.#note(by.name, () => JSON.stringify(event));
  }

  ended(by: WorkerProcess, error: unknown) {
    this.#note(by.name, () => error === undefined ? "exits" : `fails: ${error}`);
    this.#count(by.fate!);
    if (error !== undefined && !mayPass(error)) {
      return this.#break("supervisorsDoNotFail", error instanceof Error ? error.stack! : "");
    }
    for (const { claims, spec: { id } } of this.#ledger.jobs.values()) {
      for (const claim of claims) {
        if (claim.by !== by) continue;
        const isRunning = claim.executions.some(({ command }) => command && !command.isEnded);
        if (isRunning) return this.#break("exitsLeaveNothing", `${by.name} has left ${id} running`);
        if (error === undefined && this.#ledger.rows.get(id)?.token === claim.token) {
          return this.#break("exitsLeaveNothing", `${by.name} has left ${id} processing`);
        }
      }
    }
  }

  killsInnocent(by: WorkerProcess, victim: Living) {
    this.#break("onlyItsOwnIsKilled", `${by.name} has killed process ${victim.id.pid}`);
  }

  // --- In the end

  /** Faults end: from now on everything has to come to rest. */
  #beQuiet() {
    const asleepMs = Math.max(...this.#hosts.map(({ wakesAt }) => wakesAt)) - this.time.now;
    if (asleepMs > 0) {
      this.time.after(asleepMs + 1, EVERYBODY, () => this.#beQuiet());
      return;
    }
    this.#note("world", () => "quiet");
    this.#quietSince = this.time.now;
    this.troubles.length = 0;
    for (const worker of this.#workers) {
      worker.faults.length = worker.troubles.length = 0;
      worker.goOn();
    }
    const [first, second] = this.#hosts as [Host, Host?];
    const isLost = second !== undefined && this.#plan.isSecondHostLost;
    if (isLost) second.boot();
    for (const host of isLost ? [first] : this.#hosts) {
      for (const command of host.commands()) {
        const code = this.#dice.pick([0, 0, 1]);
        if (command.behaviour.ms === Infinity) command.endAfter(500, { kind: "exited", code });
      }
      this.#startOn(host, { name: `last-${host.name}`, options: { count: 2 } });
    }
    for (const queue of this.#ledger.queues().keys()) {
      this.#act({ do: "resume", queue, fault: null });
    }
    this.#lookForRest();
  }

  #lookForRest() {
    const now = this.time.now;
    const quietMs = now - this.#quietSince!;
    const living = this.#workers.filter(({ isDead }) => !isDead);
    if (this.#isStopping) {
      if (living.length === 0) return void this.#finish();
      if (quietMs > STOP_WITHIN_MS) {
        return this.#break("everyWorkerStops", `${living[0]!.name} has not stopped`);
      }
    } else if (quietMs > REST_AT_LEAST_MS) {
      const restless = this.#restless(living);
      if (restless && quietMs > REST_WITHIN_MS) {
        return this.#break(restless.invariant, restless.finding);
      }
      if (!restless) {
        for (const worker of living) worker.terminate(1);
        this.#isStopping = true;
        this.#quietSince = now;
      }
    }
    this.time.after(100, EVERYBODY, () => this.#lookForRest());
  }

  /** Something of which more is to come, and the invariant that is broken if nothing comes. */
  #restless(living: readonly WorkerProcess[]): Broken | undefined {
    const wallNow = Math.max(...living.map(({ host }) => host.wallNow()));
    for (const row of this.#ledger.rows.values()) {
      // What is blocked waits for one of the others.
      const rests = isFinal(row.state) || row.state === "blocked" || waitsForTheClock(row, wallNow);
      if (!rests) {
        return { invariant: "everyJobComesToRest", finding: `${row.id} is still ${row.state}` };
      }
    }
    const known = this.#ledger.workers();
    const unknown = living.find(({ name }) => !known.has(name));
    if (unknown) {
      const finding = `${unknown.name} lives, but is not known`;
      return { invariant: "livingWorkersAreKnown", finding };
    }
    const dead = this.#workers.find(({ isDead, name }) => isDead && known.has(name));
    if (dead) return { invariant: "theDeadAreForgotten", finding: `${dead.name} is still known` };
  }

  async #finish() {
    this.#isOver = true;
    const { damage, contradictions } = await this.store.examine();
    for (const finding of damage) this.#break("integrity", finding);
    for (const finding of contradictions) this.#break("integrity", finding);
    const rows = [...this.#ledger.rows.values()].map(({ id, seq }) => ({
      id,
      seqs: this.database.prepareSafely("select seq from attempts where job = ? order by seq")
        .values<[number]>(seq).map(([seq]) => seq),
    }));
    const finding = historyIsWhole(this.#ledger, rows);
    if (finding !== undefined) this.#break("historyIsWhole", finding);
    for (const worker of this.#ledger.workers()) {
      this.#break("theDeadAreForgotten", `${worker} is still known`);
    }
    // What was taken back from another machine may still run there.
    if (this.#hosts.length > 1) return;
    const [command] = this.#hosts[0]!.commands();
    if (command) this.#break("nothingRunsOn", `${command.job} runs on`);
  }

  #break(invariant: string, finding: string) {
    this.#note("world", () => `BROKEN ${invariant}: ${finding}`);
    this.#outcome.broken ??= { invariant, finding };
  }

  #count(what: string) {
    this.#outcome.seen[what] = (this.#outcome.seen[what] ?? 0) + 1;
  }

  #note(who: string, what: () => string) {
    if (!this.#isTraced) return;
    this.#outcome.trace.push(`${this.time.now.toFixed(3).padStart(11)} ${who.padEnd(7)} ${what()}`);
  }
}

function describe({ method, changes, error }: Write): string {
  const moves = changes.map(({ id, before, after }) =>
    `${id} ${before?.state ?? "new"} → ${after ? `${after.state} (${after.attempts})` : "gone"}`
  );
  const failed = error === undefined ? [] : [String(error)];
  return [method, ...moves, ...failed].join(", ");
}

/** Invariants that the database itself looks after. */
const TRIGGERS = [
  { name: "settledAttemptsStay", when: "before update on attempts when old.outcome is not null" },
  {
    name: "outputEndsWithTheAttempt",
    when: `before insert on output
      when not exists (select 1 from attempts where seq = new.attempt and outcome is null)`,
  },
];

interface Memory {
  database: FaultyDatabase;
  store: SqliteStore;
  clean: Statement[];
  ring: () => void;
}

let memory: Memory | undefined;

/** The store in memory, made once and empty each time; making it takes as long as half a simulation. */
function cleanMemory(ring: () => void): Memory {
  memory ??= makeMemory();
  memory.ring = ring;
  memory.database.failNoMore();
  for (const statement of memory.clean) statement.run();
  return memory;
}

function makeMemory(): Memory {
  const database = new FaultyDatabase(":memory:", { int64: true });
  for (const migration of SQLITE_MIGRATIONS) database.exec(migration);
  for (const { name, when } of TRIGGERS) {
    database.exec(`create temp trigger ${name} ${when} begin select raise(abort, '${name}'); end`);
  }
  const tables = database.prepareSafely("select name from sqlite_master where type = 'table'")
    .values<[string]>().map(([name]) => name);
  // The counters come last: what deletes jobs changes them.
  const clean = tables.toSorted((a) => a === "job_counts" ? 1 : -1)
    .map((name) => database.prepareSafely(`delete from ${name}`));
  const ring = () => memory?.ring();
  const store = new SqliteStore(database, { ...silentFile("memory"), wake: { ring } });
  return { database, store, clean, ring: () => {} };
}
