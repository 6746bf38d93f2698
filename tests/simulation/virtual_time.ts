import process from "node:process";

/** Somebody to whom things happen: a machine, a process, a person. */
export interface Owner {
  /** Nothing happens to the dead any more. */
  readonly isDead: boolean;
  /** What would happen to somebody who stands still happens when it goes on. */
  readonly isStopped: boolean;
  /** Nor does anything happen while its machine sleeps. */
  readonly host: { readonly wakesAt: number };
}

/** To whom those things happen that nothing can hold back. */
export const EVERYBODY: Owner = { isDead: false, isStopped: false, host: { wakesAt: 0 } };

/** Something that is going to happen. */
export interface Occurrence {
  at: number;
  readonly owner: Owner;
  action: (() => void) | null;
}

/** Time that passes only from one occurrence to the next. */
export class VirtualTime {
  #now = 0;
  // The next one is the last one; of several at one moment the first to be planned comes first.
  #queue: Occurrence[] = [];
  #held = new Map<Owner, Occurrence[]>();

  /** Milliseconds since the beginning; not a whole number. */
  get now(): number {
    return this.#now;
  }

  after(ms: number, owner: Owner, action: () => void): Occurrence {
    return this.at(this.#now + ms, owner, action);
  }

  at(moment: number, owner: Owner, action: () => void): Occurrence {
    const occurrence = { at: Math.max(moment, owner.host.wakesAt), owner, action };
    this.#insert(occurrence);
    return occurrence;
  }

  callOff(occurrence: Occurrence) {
    occurrence.action = null;
  }

  /** Lets happen what was held back while its owner stood still. */
  release(owner: Owner) {
    for (const occurrence of this.#held.get(owner) ?? []) {
      occurrence.at = Math.max(this.#now, owner.host.wakesAt);
      this.#insert(occurrence);
    }
    this.#held.delete(owner);
  }

  /** A machine sleeps: what would happen to anybody on it happens so much later. */
  postpone(host: Owner["host"], ms: number) {
    const isThere = ({ owner }: Occurrence) => owner.host === host;
    const later = this.#queue.filter(isThere);
    this.#queue = this.#queue.filter((each) => !isThere(each));
    for (const occurrence of later.reverse()) {
      occurrence.at += ms;
      this.#insert(occurrence);
    }
  }

  /** Lets everything happen, one after the other, until it is over or nothing is left. */
  async run(isOver: () => boolean) {
    while (!isOver()) {
      const next = this.#queue.pop();
      if (!next) return;
      if (next.action === null || next.owner.isDead) continue;
      if (next.owner.isStopped) {
        const held = this.#held.get(next.owner) ?? [];
        this.#held.set(next.owner, [...held, next]);
        continue;
      }
      this.#now = next.at;
      next.action();
      await everybodyWaits();
    }
  }

  #insert(occurrence: Occurrence) {
    let low = 0;
    for (let high = this.#queue.length; low < high;) {
      const middle = (low + high) >>> 1;
      if (this.#queue[middle]!.at > occurrence.at) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, occurrence);
  }
}

// A tick comes when no promise is left that could go on. In Deno 2.9 it costs 3 µs, an immediate 7, a
// message to oneself 9 and a timer of 0 ms 1000 and more.
function everybodyWaits(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
