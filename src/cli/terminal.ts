/** Where results and messages go. */
export interface Terminal {
  /** Writes a result to stdout. */
  out(data: string | Uint8Array): void;
  /** Writes a message to stderr. */
  err(data: string | Uint8Array): void;
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
export function untilItFails<A extends unknown[]>(print: (...args: A) => void) {
  let isHeard = true;
  return (...args: A) => {
    if (!isHeard) return;
    try {
      print(...args);
    } catch {
      isHeard = false;
    }
  };
}

const encoder = new TextEncoder();

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, data: string | Uint8Array) {
  let rest = typeof data === "string" ? encoder.encode(data) : data;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(stream.writeSync(rest));
    } catch (error) {
      // A pipe that another program made non-blocking, and that is full for the moment.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
    }
  }
}
