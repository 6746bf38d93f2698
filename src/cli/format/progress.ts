import type { Terminal } from "../terminal.ts";

/** From so many on, a person would otherwise wonder whether anything happens. */
const WORTH_SHOWING = 5000;

/** A line on a terminal's stderr that says how far a long operation has come. */
export class Progress implements Disposable {
  readonly #terminal: Terminal;
  readonly #doing: string;
  readonly #total: number;
  #shown = false;

  constructor(terminal: Terminal, doing: string, total: number) {
    this.#terminal = terminal;
    this.#doing = doing;
    this.#total = total;
  }

  show(done: number) {
    if (!this.#terminal.errIsTerminal || this.#total < WORTH_SHOWING) return;
    const filled = Math.round(done / this.#total * 30);
    const bar = "█".repeat(filled) + "░".repeat(30 - filled);
    this.#terminal.err(`\r${this.#doing} ${bar} ${done} of ${this.#total}`);
    this.#shown = true;
  }

  clear() {
    if (this.#shown) this.#terminal.err("\r\x1b[K");
    this.#shown = false;
  }

  [Symbol.dispose]() {
    this.clear();
  }
}
