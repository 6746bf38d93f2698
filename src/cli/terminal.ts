import type { Stream } from "../store/store.ts";

/** Where results and messages go. */
export interface Terminal {
  /** Writes a result to stdout. */
  out(data: string | Uint8Array): void;
  /** Writes a message to stderr. */
  err(data: string | Uint8Array): void;
  /** Writes to either, and lets everything else go on while nobody reads. */
  write(stream: Stream, data: string | Uint8Array): Promise<void>;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  /** Asks a person for a line. Undefined where there is nobody to ask. */
  ask(question: string): string | undefined;
  /** The width of the terminal in characters; Infinity where there is none. */
  columns(): number;
}

export const realTerminal: Terminal = {
  out: (data) => writeAll(Deno.stdout, data),
  err: (data) => writeAll(Deno.stderr, data),
  async write(stream, data) {
    const writer = Deno[stream];
    for (let rest = bytesOf(data); rest.length > 0;) {
      rest = rest.subarray(await writer.write(rest.subarray(0, WRITTEN_AT_ONCE)));
    }
  },
  outIsTerminal: Deno.stdout.isTerminal(),
  errIsTerminal: Deno.stderr.isTerminal(),
  ask(question) {
    if (!Deno.stdin.isTerminal() || !Deno.stderr.isTerminal()) return undefined;
    writeAll(Deno.stderr, question);
    const line = new Uint8Array(256);
    const read = Deno.stdin.readSync(line);
    return new TextDecoder().decode(line.subarray(0, read ?? 0)).trim();
  },
  columns() {
    try {
      return Deno.consoleSize().columns || Infinity;
    } catch {
      return Infinity;
    }
  },
};

/**
 * The same printer, silent from its first failure on: a closed terminal or pipe must not decide what
 * happens to jobs.
 */
export function untilItFails<A extends unknown[]>(print: (...args: A) => void | Promise<void>) {
  let isHeard = true;
  return async (...args: A): Promise<void> => {
    if (!isHeard) return;
    try {
      await print(...args);
    } catch {
      isHeard = false;
    }
  };
}

const WRITTEN_AT_ONCE = 65_536;

const encoder = new TextEncoder();

function bytesOf(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? encoder.encode(data) : data;
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, data: string | Uint8Array) {
  let rest = bytesOf(data);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(stream.writeSync(rest));
    } catch (error) {
      // A pipe that another program made non-blocking, and that is full for the moment.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
    }
  }
}
