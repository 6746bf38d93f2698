import { failPoint } from "../fail_point.ts";
import type { Stream } from "../store/store.ts";
import { LONGEST_TIMER_MS } from "../system.ts";
import type { OutputBuffer } from "./output_buffer.ts";
import { groupLives, signalGroup, signalProcess } from "./processes.ts";
import type { End, Run, Shell } from "./protocol.ts";

/** How long the output of processes that a job left behind is still read. */
const LEFTOVER_OUTPUT_MS = 1000;
/** The same where the command was told to end. */
const LAST_WORDS_MS = 100;

const READ_BYTES = 65_536;
const SPARE_BUFFERS = 32;

/** How often a group that was told to end is looked at. */
const GROUP_CHECK_MS = 30;

/** A command that runs in a session of its own. */
export interface RunningCommand {
  pid: number;
  /** Resolves when the shell has exited, its output was read and its group is gone. Never rejects. */
  ended: Promise<End>;
  /** Ends the command: TERM to its group, after `graceMs` KILL. A later call can only shorten the grace. */
  stop(graceMs: number): void;
}

/** Starts `sh -c COMMAND`, which may leave `stdin` unread. Throws if it cannot be started. */
export function startCommand(
  run: Run,
  shell: Shell,
  output: OutputBuffer,
  onOutput: () => void,
  stdin?: ReadableStream<Uint8Array>,
): RunningCommand {
  failPoint("before-spawn");
  const child = spawn(run, shell, stdin ? "piped" : "null");
  failPoint("after-spawn");
  stdin?.pipeTo(child.stdin).catch(() => {});
  const shutdown = new GroupShutdown(child.pid);
  let stopped: "timed_out" | "interrupted" | undefined;
  const end = (why: NonNullable<typeof stopped>, graceMs: number) => {
    stopped ??= why;
    shutdown.begin(graceMs);
  };
  const cancelTimeout = after(run.timeoutMs, () => end("timed_out", run.killGraceMs));

  const readers = (["stdout", "stderr"] as const).map((stream) => ({
    stream,
    reader: child[stream].getReader({ mode: "byob" }),
  }));
  let open = readers.length;
  const read = Promise.all(readers.map(async ({ stream, reader }) => {
    await copy(reader, stream, output, onOutput);
    open--;
  }));

  const ended = (async (): Promise<End> => {
    const status = await child.status;
    cancelTimeout();
    const end = stopped ? stopEnd(stopped, run) : exitEnd(status);
    await shutdown.finished;
    if (open > 0) await settledWithin(read, stopped ? LAST_WORDS_MS : LEFTOVER_OUTPUT_MS);
    signalGroup(child.pid, "SIGKILL");
    // A process that left the group may hold the pipes open for ever.
    if (open > 0) await Promise.all(readers.map(({ reader }) => reader.cancel().catch(() => {})));
    return end;
  })();
  return { pid: child.pid, ended, stop: (graceMs) => end("interrupted", graceMs) };
}

function spawn(
  { command, cwd, env }: Run,
  { sh, setsid }: Shell,
  stdin: "null" | "piped",
): Deno.ChildProcess {
  const piped = { cwd, env, stdin, stdout: "piped", stderr: "piped" } as const;
  // Without the mark a shell would take such a command for options of its own.
  const args = /^[-+]/.test(command) ? ["-c", "--", command] : ["-c", command];
  return setsid === null
    ? new Deno.Command(sh, { ...piped, args, detached: true }).spawn()
    : new Deno.Command(setsid, { ...piped, args: [sh, ...args] }).spawn();
}

function exitEnd({ code, signal }: Deno.CommandStatus): End {
  return signal ? { kind: "signalled", signal } : { kind: "exited", code };
}

function stopEnd(stopped: "timed_out" | "interrupted", { timeoutMs }: Run): End {
  return stopped === "timed_out"
    ? { kind: "timed_out", timeoutMs: timeoutMs! }
    : { kind: "interrupted" };
}

// Buffers that no read uses at the moment: a new one for each stream costs more than what most commands print.
const spareBuffers: ArrayBuffer[] = [];

async function copy(
  reader: ReadableStreamBYOBReader,
  stream: Stream,
  output: OutputBuffer,
  onOutput: () => void,
) {
  try {
    let buffer = spareBuffers.pop() ?? new ArrayBuffer(READ_BYTES);
    while (true) {
      // A read takes the buffer away and gives it back under another name.
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (!value) return; // cancelled, and the buffer is gone
      buffer = value.buffer as ArrayBuffer;
      if (done) break;
      output.push(stream, value);
      onOutput();
    }
    if (spareBuffers.length < SPARE_BUFFERS) spareBuffers.push(buffer);
  } catch {
    // Cancelled below, or the pipe broke: what was read is what there is.
  }
}

/** Ends a process group: TERM, and KILL when the grace is over. */
class GroupShutdown {
  readonly #pid: number;
  #killAt = Infinity;
  /** Resolves when a shutdown that was begun has ended the group; at once if none was begun. */
  finished: Promise<void> = Promise.resolve();

  constructor(pid: number) {
    this.#pid = pid;
  }

  begin(graceMs: number) {
    const begun = this.#killAt < Infinity;
    this.#killAt = Math.min(this.#killAt, performance.now() + graceMs);
    if (!begun) this.finished = this.#run();
  }

  async #run() {
    // For a moment after its start the command is not yet the leader of a group of its own.
    if (!signalGroup(this.#pid, "SIGTERM")) signalProcess(this.#pid, "SIGTERM");
    while (groupLives(this.#pid) && performance.now() < this.#killAt) {
      await new Promise((resolve) => setTimeout(resolve, GROUP_CHECK_MS));
    }
    signalGroup(this.#pid, "SIGKILL");
  }
}

type Timer = ReturnType<typeof setTimeout>;

/** Calls `action` after `ms`, however long that is; returns what calls it off. */
function after(ms: number | null, action: () => void): () => void {
  if (ms === null) return () => {};
  const dueAt = performance.now() + ms;
  let timer: Timer;
  const wait = () => {
    const restMs = dueAt - performance.now();
    timer = restMs > LONGEST_TIMER_MS
      ? setTimeout(wait, LONGEST_TIMER_MS)
      : setTimeout(action, Math.max(0, restMs));
  };
  wait();
  return () => clearTimeout(timer);
}

async function settledWithin(promise: Promise<unknown>, ms: number) {
  let timer: Timer | undefined;
  const late = new Promise((resolve) => timer = setTimeout(resolve, ms));
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

/** Looks for the programs that start commands. */
export function findShell(path = Deno.env.get("PATH") ?? ""): Shell {
  const find = (name: string) =>
    path.split(":").map((folder) => `${folder}/${name}`).find((file) => isFile(file));
  return { sh: find("sh") ?? "sh", setsid: find("setsid") ?? null };
}

function isFile(path: string): boolean {
  try {
    return path.startsWith("/") && Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
