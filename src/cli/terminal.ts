/** Where results and messages go. */
export interface Terminal {
  /** Writes a result to stdout. */
  out(data: string | Uint8Array): void;
  /** Writes a message to stderr. */
  err(data: string | Uint8Array): void;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  /** The width of the terminal in characters; Infinity where there is none. */
  columns(): number;
}

export const realTerminal: Terminal = {
  out: (data) => writeAll(Deno.stdout, data),
  err: (data) => writeAll(Deno.stderr, data),
  outIsTerminal: Deno.stdout.isTerminal(),
  errIsTerminal: Deno.stderr.isTerminal(),
  columns() {
    try {
      return Deno.consoleSize().columns || Infinity;
    } catch {
      return Infinity;
    }
  },
};

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
