import type { WorkerEvent } from "../worker/events.ts";

/** So much text waits for a reader, half of it what jobs print; what comes on top of it is left out. */
const LONGEST_BACKLOG = 32 * 2 ** 20;

/**
 * Prints the events of a worker process without ever holding it up: neither a reader that has stopped
 * reading, as a terminal after Ctrl-S, nor one that is gone must decide what happens to jobs.
 */
export class EventPrinter implements AsyncDisposable {
  readonly #write: (text: string) => Promise<void>;
  readonly #format: (event: WorkerEvent) => string;
  #waiting: string[] = [];
  #backlog = 0;
  #leftOut = 0;
  #writing: Promise<void> | undefined;
  #isHeard = true;

  constructor(write: (text: string) => Promise<void>, format: (event: WorkerEvent) => string) {
    this.#write = write;
    this.#format = format;
  }

  print(event: WorkerEvent) {
    if (!this.#isHeard) return;
    const most = event.event === "output" ? LONGEST_BACKLOG / 2 : LONGEST_BACKLOG;
    if (this.#backlog >= most) {
      this.#leftOut++;
      return;
    }
    const text = this.#format(event);
    if (text === "") return;
    this.#waiting.push(text);
    this.#backlog += text.length;
    this.#writing ??= this.#writeAll();
  }

  /** Waits until everything is written, or cannot be. */
  async [Symbol.asyncDispose]() {
    await this.#writing;
  }

  async #writeAll() {
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
      this.#waiting = [];
    }
    this.#writing = undefined;
  }

  #tellWhatIsMissing() {
    if (this.#leftOut === 0 || this.#backlog >= LONGEST_BACKLOG) return;
    const message = `Events that came faster than they were read are not shown: ${this.#leftOut}`;
    this.#leftOut = 0;
    this.print({ event: "warning", message });
  }
}
