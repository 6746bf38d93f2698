import { assertEquals } from "@std/assert";
import type { AnyCommand, App } from "../../src/cli/app.ts";
import { runProgram } from "../../src/cli/program.ts";
import { realSystem } from "../../src/system.ts";

/** The command line within this process, which is quick enough for a thousand requests. */
export class InProcess {
  readonly #where: { folder: string; db: string };

  constructor(where: { folder: string; db: string }) {
    this.#where = where;
  }

  /** Without a terminal; what is written to its stdout and stderr is added to `print`. */
  app(print = { out: "", err: "" }): App {
    const add = (to: "out" | "err") => (data: string | Uint8Array) => {
      print[to] += typeof data === "string" ? data : new TextDecoder().decode(data);
    };
    return {
      terminal: {
        out: add("out"),
        err: add("err"),
        write: (_, data) => Promise.resolve(add("out")(data)),
        outIsTerminal: false,
        errIsTerminal: false,
        ask: () => undefined,
        columns: () => Infinity,
      },
      system: realSystem,
      folder: this.#where.folder,
      env: (name) => name === "QUEUECTL_DB" ? this.#where.db : undefined,
      isTask: false,
      exitCode: 0,
    };
  }

  /** Carries out a command line that must succeed, and returns what it printed on stdout. */
  async ok(args: readonly string[]): Promise<string> {
    const print = { out: "", err: "" };
    const code = await runProgram(args, this.app(print));
    assertEquals(code, 0, `queuectl ${args.join(" ")}: ${print.out}${print.err}`);
    return print.out;
  }

  /** Carries out a command line. Helps, which are printed by the console, come first in `out`. */
  async run(args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
    const print = { out: "", err: "" };
    const { log } = console;
    console.log = (text) => print.out += `${text}\n`;
    try {
      const code = await runProgram(args, this.app(print));
      return { code, ...print };
    } finally {
      console.log = log;
    }
  }
}

/** Every command that people are told of, by the words that it is called with. */
export function* commandsBelow(
  command: AnyCommand,
  path: string[] = [],
): Generator<[string, AnyCommand]> {
  for (const child of command.getCommands()) {
    const words = [...path, child.getName()];
    yield [words.join(" "), child];
    yield* commandsBelow(child, words);
  }
}
