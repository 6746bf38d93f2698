import { isFinal, type Job } from "../job.ts";
import type { AttemptRecord, Store } from "../store/store.ts";
import type { Changes } from "./changes.ts";
import { outputPieces, type Piece } from "./job_output.ts";

/** Where nothing wakes it, the store is looked at this often for more. */
const LOOK_MS = 500;

/** Prints a piece of the output of the attempt with this number. */
export type PrintPiece = (piece: Piece, attempt: number) => void | Promise<void>;

/** How far the output of a job has been printed. */
export class Reading {
  readonly #store: Store;
  readonly #print: PrintPiece;
  attempt: AttemptRecord | undefined;
  next = 0;

  constructor(store: Store, print: PrintPiece, attempt?: AttemptRecord) {
    this.#store = store;
    this.#print = print;
    this.attempt = attempt;
  }

  /** Prints what has come of its attempt since the last time. */
  async printMore() {
    if (!this.attempt) return;
    for await (const piece of outputPieces(this.#store, this.attempt.seq, this.next)) {
      await this.#print(piece, this.attempt.attempt);
      if (!piece.gap) this.next = piece.start + piece.bytes.length;
    }
  }
}

/** A job at its end, with all its attempts. */
export interface EndedJob {
  job: Job;
  attempts: AttemptRecord[];
}

/**
 * Prints what a job prints until it has ended for good: of the attempt that is being read and of
 * the later ones, or with `pinned` of that one only; undefined if it is deleted meanwhile. `onLook`
 * is called each time it has been looked at.
 */
export async function followJob(
  { store, changes }: { store: Store; changes: Changes },
  id: string,
  reading: Reading,
  { pinned = false, onLook }: { pinned?: boolean; onLook?: (job: Job) => Promise<void> } = {},
): Promise<EndedJob | undefined> {
  while (true) {
    // Looked at before the output is read, so that what came before the end is not missed.
    const job = await store.get(id);
    if (!job) return undefined;
    const attempts = await store.attempts(id);
    await reading.printMore();
    const later = attempts.find(({ seq }) => seq > (reading.attempt?.seq ?? 0));
    if (later && !pinned) {
      [reading.attempt, reading.next] = [later, 0];
      continue;
    }
    if (isFinal(job.state)) return { job, attempts };
    await onLook?.(job);
    await changes.next(LOOK_MS);
  }
}
