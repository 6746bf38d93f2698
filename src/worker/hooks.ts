import { quote } from "../errors.ts";
import type { WorkerEvent } from "./events.ts";
import { OutputBuffer } from "./output_buffer.ts";
import type { End, Shell } from "./protocol.ts";
import { type RunningCommand, startCommand } from "./shell.ts";

export const HOOK_TIMEOUT_MS = 30_000;
/** From TERM to KILL for a hook that has had its time. */
const KILL_GRACE_MS = 1000;
const MAX_RUNNING = 4;
const MAX_WAITING = 1000;
/** How much of the end of its stderr is kept, to find the last line in. */
const STDERR_TAIL = 4096;

/** A command that a person has set to be told of something. */
export interface Hook {
  name: string;
  command: string;
  /** Variables added to the environment. */
  env: Record<string, string>;
  /** What it gets on standard input. */
  input: string;
}

interface HooksOptions {
  shell: Shell;
  /** Is told of each hook that fails. */
  report: (event: WorkerEvent) => void;
  timeoutMs?: number;
}

/** Runs hooks, a few at a time and in order; whatever becomes of them, the caller is not disturbed. */
export class Hooks {
  readonly #shell: Shell;
  readonly #report: (event: WorkerEvent) => void;
  readonly #timeoutMs: number;
  readonly #running = new Set<RunningCommand>();
  #waiting: Hook[] = [];
  #isDropping = false;
  #hasEnded = false;

  constructor({ shell, report, timeoutMs = HOOK_TIMEOUT_MS }: HooksOptions) {
    this.#shell = shell;
    this.#report = report;
    this.#timeoutMs = timeoutMs;
  }

  /** Runs the hook as soon as it is its turn. */
  run(hook: Hook): void {
    if (this.#hasEnded) return;
    if (this.#waiting.length === MAX_WAITING) return this.#drop();
    this.#waiting.push(hook);
    this.#startWaiting();
  }

  /** Resolves when none runs or waits. */
  async finished(): Promise<void> {
    while (this.#running.size > 0) {
      await Promise.all([...this.#running].map(({ ended }) => ended));
    }
  }

  /** Kills what runs, with all that it has started, and drops what waits or may still come. */
  end(): void {
    this.#hasEnded = true;
    this.#waiting = [];
    for (const command of this.#running) command.stop(0);
  }

  #drop() {
    if (this.#isDropping) return;
    this.#isDropping = true;
    this.#warn(`Cannot keep up with the hooks: ${MAX_WAITING} wait, the newest are dropped`);
  }

  #startWaiting() {
    while (this.#waiting.length > 0 && this.#running.size < MAX_RUNNING) {
      this.#start(this.#waiting.shift()!);
    }
    if (this.#waiting.length === 0) this.#isDropping = false;
  }

  #start(hook: Hook) {
    const stderr = new StderrTail();
    let command: RunningCommand;
    try {
      command = startCommand(
        {
          command: hook.command,
          cwd: "/",
          env: hook.env,
          timeoutMs: this.#timeoutMs,
          killGraceMs: KILL_GRACE_MS,
          outputLimit: STDERR_TAIL,
        },
        this.#shell,
        stderr.output,
        () => stderr.gather(),
        new Blob([hook.input]).stream(),
      );
    } catch (error) {
      const end: End = { kind: "not_started", error: (error as Error).message };
      return this.#reportEnd(hook, end, "");
    }
    this.#running.add(command);
    command.ended.then((end) => {
      this.#running.delete(command);
      this.#reportEnd(hook, end, stderr.lastLine());
      this.#startWaiting();
    });
  }

  #reportEnd({ name, env }: Hook, end: End, lastLine: string) {
    const failure = failureOf(end);
    if (failure === null) return;
    const job = env.QUEUECTL_JOB_ID;
    const whose = job === undefined ? name : `${name} of job ${job}`;
    const said = lastLine === "" ? "" : `, ${quote(lastLine)}`;
    this.#warn(`The ${whose} failed: ${failure}${said}`);
  }

  #warn(message: string) {
    this.#report({ event: "warning", message });
  }
}

/** What a command prints to stderr, as far as its end; what it prints to stdout is of no interest. */
class StderrTail {
  readonly output = new OutputBuffer(STDERR_TAIL);
  readonly #decoder = new TextDecoder();
  #text = "";

  gather() {
    for (const { stream, bytes } of this.output.take().chunks) {
      if (stream !== "stderr") continue;
      const text = this.#text + this.#decoder.decode(bytes, { stream: true });
      this.#text = text.slice(-STDERR_TAIL);
    }
  }

  /** The last line that is not blank, or nothing. */
  lastLine(): string {
    return this.#text.trimEnd().split(/[\r\n]/).at(-1)!.trim();
  }
}

function failureOf(end: End): string | null {
  switch (end.kind) {
    case "exited":
      return end.code === 0 ? null : `exit code ${end.code}`;
    case "signalled":
      return `ended by ${end.signal}`;
    case "timed_out":
      return `timed out after ${end.timeoutMs / 1000} s`;
    case "not_started":
      return `it could not be started: ${end.error}`;
    case "interrupted":
      return null; // as the caller wished
  }
}
