import type { ProcessId } from "../store/store.ts";

/** The variable that marks every process of an attempt, wherever it may have gone. */
export const ATTEMPT_MARK = "QUEUECTL_ATTEMPT_ID";
/** The variable that says of which job. */
const JOB_NAME = "QUEUECTL_JOB_ID";

/** The processes of this machine, as far as recovery needs to know them. */
export interface Processes {
  machineId(): string;
  identify(pid: number): ProcessId | null;
  isAlive(process: ProcessId): boolean;
  killLeftovers(attempts: readonly AttemptProcesses[]): ReadonlySet<string>;
}

/** Where the processes of an attempt are found. */
export interface AttemptProcesses {
  /** The lease token of the attempt, which each of them carries as a mark. */
  token: string;
  /** What is on record of their first. */
  leader: ProcessId | null;
}

/** The signals that we send, by their numbers; 0 only asks whether there is somebody to send one to. */
const SIGNALS = { SIGTERM: 15, SIGKILL: 9, none: 0 } as const;
type Signal = keyof typeof SIGNALS;

/** Sends a signal to every process of a group. False if there is none, or none of ours. */
export function signalGroup(leader: number, signal: Signal): boolean {
  return signalProcess(-leader, signal);
}

/** Sends a signal to a process. False if there is none, or if it is not ours to signal. */
export function signalProcess(pid: number, signal: Signal): boolean {
  return systemKill(pid, SIGNALS[signal]) === 0;
}

let libc: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;
const SYMBOLS = { kill: { parameters: ["i32", "i32"], result: "i32" } } as const;

// Each job's end asks for a group that is mostly gone. Deno.kill answers with an error, and making that
// took longer than everything else about an end: 65 to 200 us of the thread that starts the commands.
function systemKill(pid: number, signal: number): number {
  libc ??= Deno.dlopen(Deno.build.os === "darwin" ? "libSystem.B.dylib" : "libc.so.6", SYMBOLS);
  return libc.symbols.kill(pid, signal);
}

/** Whether a group has a living process left. */
export function groupLives(leader: number): boolean {
  // This finds zombies too, which wait for a parent that may never look.
  if (!signalGroup(leader, "none")) return false;
  if (Deno.build.os !== "linux" || identify(leader)) return true;
  return processIds().some((pid) => {
    const stat = readStat(pid);
    return stat !== null && stat.group === leader && !stat.isDead;
  });
}

/**
 * The running system that process ids belong to: one boot of one machine, and in it one namespace of
 * process ids. Two processes with the same answer can look each other up.
 */
export function machineId(): string {
  const boot = readText("/proc/sys/kernel/random/boot_id")?.trim();
  if (!boot) return Deno.hostname();
  return `${boot} ${Deno.readLinkSync("/proc/self/ns/pid")}`;
}

/** Identifies a living process; null if there is none. A zombie is not living. */
export function identify(pid: number): ProcessId | null {
  const stat = readStat(pid);
  return !stat || stat.isDead ? null : { pid, startedAt: stat.startedAt };
}

function readStat(pid: number): { isDead: boolean; group: number; startedAt: string } | null {
  const stat = Deno.build.os === "linux" ? readText(`/proc/${pid}/stat`) : askPs(pid);
  if (!stat) return null;
  // The name, in brackets, may itself hold brackets and spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).trimEnd().split(" ");
  return { isDead: /^[ZX]/.test(fields[0]!), group: Number(fields[2]), startedAt: fields[19]! };
}

// Where there is no /proc: the start time to the second, in the shape of a stat line.
function askPs(pid: number): string | null {
  const ps = new Deno.Command("ps", { args: ["-o", "state=,lstart=", "-p", String(pid)] });
  const [state, ...started] = new TextDecoder().decode(ps.outputSync().stdout).trim().split(/\s+/);
  return state ? `) ${state} ${"- ".repeat(18)}${started.join("_")}` : null;
}

/** Whether that very process still lives. */
export function isAlive({ pid, startedAt }: ProcessId): boolean {
  return identify(pid)?.startedAt === startedAt;
}

/**
 * All living processes that carry the mark of an attempt, and of which attempt of which job. Those of
 * other users cannot be seen.
 */
export function attemptsOfProcesses(): { pid: number; attempt: string; job: string }[] {
  if (Deno.build.os !== "linux") return [];
  return processIds().flatMap((pid) => {
    const environment = readText(`/proc/${pid}/environ`)?.split("\0");
    const valueOf = (name: string) =>
      environment?.find((variable) => variable.startsWith(`${name}=`))?.slice(name.length + 1);
    const attempt = valueOf(ATTEMPT_MARK);
    return attempt && identify(pid) ? [{ pid, attempt, job: valueOf(JOB_NAME) ?? "" }] : [];
  });
}

function processIds(): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => pid > 0);
}

/**
 * Kills whatever these attempts left running on this machine: their groups, where the recorded process
 * still leads its own, and everything that carries their marks. Returns the tokens of those of which
 * something lives on. The machine's processes are looked through once for all of them.
 */
export function killLeftovers(attempts: readonly AttemptProcesses[]): Set<string> {
  for (const { leader } of attempts) {
    if (leader && isAlive(leader)) signalGroup(leader.pid, "SIGKILL");
  }
  const tokens = new Set(attempts.map(({ token }) => token));
  const marked = attemptsOfProcesses().filter(({ attempt }) => tokens.has(attempt));
  for (const { pid } of marked) signalProcess(pid, "SIGKILL");
  const led = attempts.filter(({ leader }) => leader && isAlive(leader));
  return new Set([...marked.map(({ attempt }) => attempt), ...led.map(({ token }) => token)]);
}

export const realProcesses: Processes = { machineId, identify, isAlive, killLeftovers };

function readText(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return null; // gone, or not ours to read
  }
}
