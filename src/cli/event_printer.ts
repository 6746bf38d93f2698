import type { WorkerEvent } from "../worker/events.ts";

/** So much text waits for a reader; what comes on top of it is left out. */
const LONGEST_BACKLOG = 16 * 2 ** 20;

/**
 * Prints the events of a worker process without ever holding it up: neither a reader that has stopped
 * reading, as a terminal after Ctrl-S, nor one that is gone must decide what happens to jobs.
 */
export class EventPrinter {
  readonly #write: (text: string) => Promise<void>;
  readonly #format: (event: WorkerEvent) => string;
  #waiting: string[] = [];
  #backlog = 0;
  #leftOut = 0;
  #isWriting = false;
  #isHeard = true;

  constructor(write: (text: string) => Promise<void>, format: (event: WorkerEvent) => string) {
    this.#write = write;
    this.#format = format;
  }

  print(event: WorkerEvent) {
    if (!this.#isHeard) return;
    if (this.#backlog >= LONGEST_BACKLOG) {
      this.#leftOut++;
      return;
    }
    const text = this.#format(event);
    if (text === "") return;
    this.#waiting.push(text);
    this.#backlog += text.length;
    if (!this.#isWriting) this.#writeAll();
  }

  // Nobody awaits it: the process does not end before it has ended.
  async #writeAll() {
    this.#isWriting = true;
    try {
      while (this.#waiting.length > 0) {
        const text = this.#waiting.join("");
        this.#waiting = [];
        await this.#write(text);
        this.#backlog -= text.length;
        this.#tellWhatIsMissing();
      }
    } catch {
      this.#isHeard = false;
    }
    this.#isWriting = false;
  }

  #tellWhatIsMissing() {
    if (this.#leftOut === 0) return;
    const message = `${this.#leftOut} events are not shown: they came faster than they were read`;
    this.#leftOut = 0;
    this.print({ event: "warning", message });
  }
}
