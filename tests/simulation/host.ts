import type { ProcessId } from "../../src/store/store.ts";
import type { Dice } from "./dice.ts";
import type { Occurrence, Owner, VirtualTime } from "./virtual_time.ts";

const WALL_START = Date.UTC(2030, 0, 1);
/** Processes know when they were started, in ticks of 10 ms since the boot. */
const TICK_MS = 10;

/** Something with a process id. */
export interface Living extends Owner {
  readonly id: ProcessId;
  kill(): void;
}

/** A machine with its clocks and its processes. */
export class Host implements Owner {
  readonly isDead = false;
  readonly isStopped = false;
  readonly host = this;
  /** While it sleeps: until when. */
  wakesAt = 0;
  readonly #time: VirtualTime;
  readonly #living = new Map<number, Living>();
  #boots = 0;
  #bootedAt = 0;
  #nextPid = 0;
  #sleptMs = 0;
  #wallAheadMs: number;

  constructor(readonly name: string, time: VirtualTime, { wallAheadMs }: { wallAheadMs: number }) {
    this.#time = time;
    this.#wallAheadMs = wallAheadMs;
    this.boot();
  }

  /** Everything ends, and process ids begin anew. */
  boot() {
    for (const living of [...this.#living.values()]) living.kill();
    this.#living.clear();
    this.#boots++;
    this.#bootedAt = this.#time.now;
    this.#nextPid = 100;
  }

  get machineId(): string {
    return `${this.name}-boot-${this.#boots} pid:[1]`;
  }

  /** By its wall clock, epoch milliseconds. */
  wallNow(): number {
    return Math.floor(WALL_START + this.#time.now + this.#wallAheadMs);
  }

  /** By the clock that nobody sets; it stands still while the machine sleeps. */
  monotonic(): number {
    return this.#time.now - this.#sleptMs;
  }

  stepClock(ms: number) {
    this.#wallAheadMs += ms;
  }

  sleep(ms: number) {
    this.#sleptMs += ms;
    this.wakesAt = Math.max(this.wakesAt, this.#time.now) + ms;
    this.#time.postpone(this, ms);
  }

  newProcessId(): ProcessId {
    const ticks = Math.floor((this.#time.now - this.#bootedAt) / TICK_MS);
    return { pid: this.#nextPid++, startedAt: String(ticks) };
  }

  add(living: Living) {
    this.#living.set(living.id.pid, living);
  }

  remove({ id: { pid } }: Living) {
    this.#living.delete(pid);
  }

  find(pid: number): Living | undefined {
    return this.#living.get(pid);
  }

  isAlive({ pid, startedAt }: ProcessId): boolean {
    return this.find(pid)?.id.startedAt === startedAt;
  }

  /** The living commands of an attempt. */
  commandsOf(token: string): Command[] {
    return this.commands().filter((command) => command.token === token);
  }

  commands(): Command[] {
    return [...this.#living.values()].filter((each): each is Command => each instanceof Command);
  }
}

/** What a command does if nobody ends it. */
export interface Behaviour {
  /** How long it runs; Infinity if it has to be ended. */
  ms: number;
  end: CommandEnd;
  /** How long it takes to end after TERM; Infinity if it takes no notice. */
  termMs: number;
  /** How long it is still there after KILL. */
  killMs: number;
  /** When it prints, after its start. */
  prints: number[];
  /** When it kills the worker process that runs it. */
  killsItsWorkerAfter: number | null;
}

export type CommandEnd = { kind: "exited"; code: number } | { kind: "signalled"; signal: string };

/** A command that runs, as the operating system sees it. */
export class Command implements Living {
  readonly isStopped = false;
  readonly id: ProcessId;
  end: CommandEnd | null = null;
  isEnded = false;
  printed = 0;
  #ending: Occurrence | undefined;
  readonly #time: VirtualTime;

  constructor(
    readonly host: Host,
    time: VirtualTime,
    readonly token: string,
    readonly job: string,
    readonly behaviour: Behaviour,
    readonly on: { print: () => void; end: () => void },
  ) {
    this.#time = time;
    this.id = host.newProcessId();
    host.add(this);
    for (const ms of behaviour.prints) time.after(ms, this, () => this.#print());
    if (behaviour.ms < Infinity) this.endAfter(behaviour.ms, behaviour.end);
  }

  get isDead(): boolean {
    return this.isEnded;
  }

  /** It ends by itself after `ms`, unless it is ended before. */
  endAfter(ms: number, end: CommandEnd) {
    if (this.#ending) {
      if (this.#ending.at <= this.#time.now + ms) return;
      this.#time.callOff(this.#ending);
    }
    this.#ending = this.#time.after(ms, this, () => this.#finish(end));
  }

  terminate() {
    const { termMs } = this.behaviour;
    if (termMs < Infinity) this.endAfter(termMs, { kind: "signalled", signal: "SIGTERM" });
  }

  /** SIGKILL; it takes a moment to be gone. */
  killSoon() {
    this.endAfter(this.behaviour.killMs, { kind: "signalled", signal: "SIGKILL" });
  }

  /** It is gone at once, without anybody being told. */
  kill() {
    if (this.isEnded) return;
    this.end = { kind: "signalled", signal: "SIGKILL" };
    this.isEnded = true;
    this.host.remove(this);
  }

  #print() {
    this.printed++;
    this.on.print();
  }

  #finish(end: CommandEnd) {
    this.end = end;
    this.isEnded = true;
    this.host.remove(this);
    this.on.end();
  }
}

/** What a command of a job does, the same in every run with the same seed. */
export function behaviourOf(
  dice: Dice,
  { isPoison, isShort, mayHang }: { isPoison: boolean; isShort: boolean; mayHang: boolean },
): Behaviour {
  const roughMs = isShort && !dice.chance(0.05)
    ? 6
    : dice.weighted([[5, 30], [5, 400], [4, 2000], [2, 6000], [1, Infinity]]);
  const ms = (mayHang ? roughMs : Math.min(roughMs, 1000)) * (0.05 + dice.share());
  const exited = (code: number) => ({ kind: "exited", code }) as const;
  const prints = Array.from({ length: dice.whole(0, 3) }, () => Math.min(ms, 3000) * dice.share());
  return {
    ms,
    end: dice.weighted<CommandEnd>([
      [12, exited(0)],
      [4, exited(1)],
      [2, exited(3)],
      [2, exited(42)],
      [2, exited(75)],
      [1, { kind: "signalled", signal: "SIGSEGV" }],
    ]),
    termMs: dice.weighted([[3, 5], [2, 200], [1, Infinity]]) * (0.1 + dice.share()),
    killMs: dice.weighted([[6, 5], [2, 60], [1, 400]]) * dice.share(),
    prints,
    killsItsWorkerAfter: isPoison ? Math.min(ms, 500) * dice.share() : null,
  };
}
