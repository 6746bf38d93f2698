import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { InProcess } from "./in_process.ts";

/** The path of main.ts. */
export const MAIN = fromFileUrl(new URL("../../main.ts", import.meta.url));

/** What runs for longer than this is killed, so that a test fails instead of waiting for ever. */
const LONGEST_RUN_MS = 90_000;

/** Commands that only look, which tests do more often than anything else. */
const LOOK = /^(show|list|status|doctor|(dlq|queue|schedule|worker) list|config get)( |$)/;

/** How a command ended. `stdout` and `stderr` are text; `out` and `err` are the same as bytes. */
export interface Result {
  code: number;
  stdout: string;
  stderr: string;
  out: Uint8Array;
  err: Uint8Array;
}

type Input = string | Uint8Array<ArrayBuffer> | AsyncIterable<string>;

export interface RunOptions {
  stdin?: Input;
  cwd?: string;
  /** Added to the environment; undefined takes a variable away. */
  env?: Record<string, string | undefined>;
}

/** A job as `show --json` prints it. */
export interface ShownJob {
  id: string;
  command: string;
  state: string;
  attempts: number;
  max_retries: number;
  backoff_base: number;
  timeout_ms: number | null;
  cwd: string;
  run_at: string;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  exit_code: number | null;
  signal: string | null;
  last_error: string | null;
  worker_id: string | null;
  attempts_history: ShownAttempt[];
  waits_for: string | null;
}

export interface ShownAttempt {
  attempt: number;
  outcome: string | null;
  worker_id: string;
  started_at: string;
  finished_at: string | null;
  exit_code: number | null;
  signal: string | null;
  error: string | null;
}

/** An event as `worker start --json` prints it. */
export interface ShownEvent extends Record<string, unknown> {
  at: string;
  event: string;
  job?: string;
  attempt?: number;
}

/** An event of the history as `events --json` prints it. */
export interface PastEvent {
  seq: number;
  at: string;
  event: string;
  job: string | null;
  attempt: number | null;
  cause: string | null;
  actor: string;
}

/** The words of a command, for whatever starts it in a way of its own: the first one is the program. */
export function commandLine(...args: string[]): [string, ...string[]] {
  return [Deno.execPath(), "run", "-A", "--no-prompt", MAIN, ...args];
}

/** Words as a shell takes them, each of them quoted. */
export function forShell(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
}

/** Whether a program is there and succeeds, which decides whether tests that need it can run. */
export async function succeeds(program: string, args: string[]): Promise<boolean> {
  try {
    const quiet = { stdout: "null", stderr: "null" } as const;
    return (await new Deno.Command(program, { args, ...quiet }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The command line on a store and in a folder of its own. Disposing of it ends what it started. */
export class Cli implements AsyncDisposable {
  readonly folder = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "queuectl-test-" }));
  readonly db = join(this.folder, "store", "queue.db");
  readonly #children: Child[] = [];
  readonly #inProcess = new InProcess(this);

  /** Runs a command to its end. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return await this.spawn(args, options).result;
  }

  /** Runs a command that must succeed, and returns its stdout without the last line break. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(args);
    assertEquals(code, 0, `queuectl ${args.join(" ")}: ${stderr}`);
    return stdout.replace(/\n$/, "");
  }

  /** The same with `--json`; a command that only looks is not worth a process of its own. */
  // deno-lint-ignore no-explicit-any -- every caller knows what it asked for
  async json(...args: string[]): Promise<any> {
    const isLook = LOOK.test(args.join(" "));
    return JSON.parse(await (isLook ? this.look(...args, "--json") : this.ok(...args, "--json")));
  }

  /** Carries out a command within this process, which takes a tenth of the time of one of its own. */
  async look(...args: string[]): Promise<string> {
    return await this.#inProcess.ok(args);
  }

  async show(id: string): Promise<ShownJob> {
    return await this.json("show", id);
  }

  /** Enqueues jobs as JSON describes them, all of them at once. */
  async enqueue(...jobs: ({ command: string } & Record<string, unknown>)[]): Promise<void> {
    const { code, stderr } = await this.run(["enqueue", "@-"], { stdin: JSON.stringify(jobs) });
    assertEquals(code, 0, stderr);
  }

  /** The events of the history, or those of one job. */
  async history(job?: string): Promise<PastEvent[]> {
    return jsonLines(await this.look("events", "--json"))
      .filter((event: PastEvent) => job === undefined || event.job === job);
  }

  /** Every job in the store, as text that can be compared. */
  async listing(): Promise<string> {
    return await this.look("list", "--json", "--limit", "0");
  }

  /** Runs everything that is there to its end, and returns the exit code. */
  async drain(...args: string[]): Promise<number> {
    return (await this.run(["worker", "start", "--drain", ...args])).code;
  }

  /** Starts a worker process that reports JSON events, and waits until it has started. */
  async startWorker(...args: string[]): Promise<Child> {
    const worker = this.spawn(["worker", "start", "--json", ...args]);
    await worker.event("started");
    return worker;
  }

  /** Starts a command in a session of its own. */
  spawn(args: readonly string[], options: RunOptions = {}): Child {
    const [program, ...words] = commandLine(...args);
    return this.spawnProgram(program, words, options);
  }

  /** Starts a command on a terminal of its own; `keys` are typed there. Both its streams are `stdout`. */
  spawnOnTerminal(args: readonly string[], keys: Input, options: RunOptions = {}): Child {
    const command = `stty cols 80; exec ${forShell(commandLine(...args))}`;
    const script = ["-q", "-e", "-c", command, "/dev/null"];
    return this.spawnProgram("script", script, { ...options, stdin: keys });
  }

  /** Runs a command on a terminal, and types a line there once it has asked a question. */
  async answer(args: readonly string[], line: string): Promise<Result> {
    const asked = Promise.withResolvers<void>();
    async function* keys() {
      await asked.promise;
      yield `${line}\n`;
    }
    const terminal = this.spawnOnTerminal(args, keys());
    await waitUntil(() => terminal.ended || /\? \S*$/.test(terminal.stdout.trim()), "the question");
    asked.resolve();
    return await terminal.result;
  }

  /** Starts any program with the environment that the command line gets. */
  spawnProgram(program: string, args: readonly string[], options: RunOptions = {}): Child {
    const command = new Deno.Command(program, {
      args: [...args],
      cwd: options.cwd ?? this.folder,
      clearEnv: true,
      env: environment({ QUEUECTL_DB: this.db, ...options.env }),
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    });
    const child = new Child(command.spawn(), options.stdin ?? "");
    this.#children.push(child);
    return child;
  }

  /** The path of a file in the folder where jobs run. */
  path(name: string): string {
    return join(this.folder, name);
  }

  /** Writes a file into the folder where jobs run, whole or not at all: jobs wait for some, and read them. */
  write(name: string, text = "") {
    Deno.writeTextFileSync(this.path(`${name}.part`), text);
    Deno.renameSync(this.path(`${name}.part`), this.path(name));
  }

  /** The lines of a file in the folder where jobs run; none if it does not exist. */
  lines(name: string): string[] {
    try {
      return Deno.readTextFileSync(this.path(name)).split("\n").filter((line) => line !== "");
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  /** Resolves with the lines of a file once there are `count` of them. */
  async linesOnce(name: string, count: number): Promise<string[]> {
    await waitUntil(() => this.lines(name).length >= count, `${count} lines in ${name}`);
    return this.lines(name);
  }

  async [Symbol.asyncDispose]() {
    for (const child of this.#children) if (!child.ended) kill(-child.pid, "SIGKILL");
    for (const child of this.#children) await child.result;
    // Jobs have sessions of their own; what belongs to this store is known by its environment.
    for (const pid of processesWith(`QUEUECTL_DB=${this.db}`)) kill(pid, "SIGKILL");
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** A command that runs beside the test. */
export class Child {
  readonly #process: Deno.ChildProcess;
  readonly #printed: Record<"stdout" | "stderr", Uint8Array[]> = { stdout: [], stderr: [] };
  readonly result: Promise<Result>;
  ended = false;

  constructor(process: Deno.ChildProcess, stdin: Input) {
    this.#process = process;
    const feeding = feed(process.stdin, stdin);
    const reading = (["stdout", "stderr"] as const).map(async (stream) => {
      for await (const bytes of process[stream]) this.#printed[stream].push(bytes);
    });
    const tooLong = setTimeout(() => kill(-process.pid, "SIGKILL"), LONGEST_RUN_MS);
    this.result = Promise.all([process.status, feeding, ...reading]).then(([{ code }]) => {
      clearTimeout(tooLong);
      this.ended = true;
      const [out, err] = [joined(this.#printed.stdout), joined(this.#printed.stderr)];
      return { code, stdout: this.stdout, stderr: this.stderr, out, err };
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  get stdout(): string {
    return new TextDecoder().decode(joined(this.#printed.stdout));
  }

  get stderr(): string {
    return new TextDecoder().decode(joined(this.#printed.stderr));
  }

  /** The events of a worker process so far. */
  get events(): ShownEvent[] {
    return jsonLines(this.stdout.slice(0, this.stdout.lastIndexOf("\n") + 1));
  }

  /** Resolves with the first event of that name (and job, and attempt) once it has been reported. */
  async event(event: string, job?: string, attempt?: number): Promise<ShownEvent> {
    const find = () =>
      this.events.find((each) =>
        each.event === event && (job === undefined || each.job === job) &&
        (attempt === undefined || each.attempt === attempt)
      );
    const what = `the event ${event} ${job ?? ""} ${attempt ?? ""}`;
    await waitUntil(() => find() !== undefined || this.ended, what);
    const found = find();
    if (found) return found;
    throw new Error(`Ended without ${what}: ${this.stdout}${this.stderr}`);
  }

  /** Sends a signal to this process alone. */
  signal(signal: Deno.Signal) {
    Deno.kill(this.pid, signal);
  }
}

/** Whether there is a program that gives a command a terminal, as util-linux's does. */
export const hasTerminals = Deno.build.os === "linux" && isOnPath("script");
if (!hasTerminals) console.warn("Tests on a terminal are left out: they need script of util-linux");

function isOnPath(program: string): boolean {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  return folders.some((folder) => {
    try {
      return Deno.statSync(join(folder, program)).isFile;
    } catch {
      return false;
    }
  });
}

/** Resolves when the condition holds; throws when it still does not after `timeoutMs`. */
export async function waitUntil(
  condition: () => unknown | Promise<unknown>,
  what: string,
  { timeoutMs = 20_000, everyMs = 20 } = {},
): Promise<void> {
  const until = performance.now() + timeoutMs;
  while (!await condition()) {
    if (performance.now() > until) throw new Error(`Waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** Whether a process lives; a zombie does not. */
export function lives(pid: number | string): boolean {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    return false;
  }
}

/** What a command printed as JSON lines. */
// deno-lint-ignore no-explicit-any -- every caller knows what it asked for
export function jsonLines(text: string): any[] {
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** Milliseconds from one instant of JSON to another. */
export function between(from: string | null | undefined, to: string | null | undefined): number {
  return Date.parse(to!) - Date.parse(from!);
}

/** This process's environment without what would change how the command line behaves, and with `added`. */
function environment(added: Record<string, string | undefined>): Record<string, string> {
  const matters = (name: string) =>
    name.startsWith("QUEUECTL") || name === "NO_COLOR" || name === "INIT_CWD";
  const plain = Object.entries(Deno.env.toObject()).filter(([name]) => !matters(name));
  const all = { ...Object.fromEntries(plain), ...added };
  return Object.fromEntries(
    Object.entries(all).filter((entry) => entry[1] !== undefined),
  ) as Record<
    string,
    string
  >;
}

async function feed(stdin: WritableStream<Uint8Array<ArrayBuffer>>, input: Input) {
  const pieces = typeof input === "string" || input instanceof Uint8Array ? [input] : input;
  try {
    const writer = stdin.getWriter();
    for await (const piece of pieces) {
      await writer.write(typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
    }
    await writer.close();
  } catch (error) {
    // The command ended without reading its input.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function processesWith(variable: string): number[] {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const environment = Deno.readTextFileSync(`/proc/${name}/environ`);
      if (environment.split("\0").includes(variable)) found.push(Number(name));
    } catch {
      // It has ended, or belongs to somebody else.
    }
  }
  return found;
}

function kill(pid: number, signal: Deno.Signal) {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
