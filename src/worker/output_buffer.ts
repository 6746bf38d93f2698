import type { OutputChunk, Stream } from "../store/store.ts";
import type { Printed } from "./protocol.ts";

/**
 * Reads are gathered up to this size, so that a job which prints byte by byte does not fill the
 * store with rows.
 */
const CHUNK_BYTES = 65_536;
/** Whoever stores output is not to be busy with it for long, so this is the most at a time. */
const BATCH_BYTES = 2 ** 20;
/** A chunk costs the store about as much as so many bytes, whatever is in it. */
const BYTES_FOR_A_CHUNK = 1024;

/** The first of `items` that make a batch, at least one; `chunksOf` says what there is in one. */
export function firstBatch<T>(
  items: readonly T[],
  chunksOf: (item: T) => readonly OutputChunk[],
  most = BATCH_BYTES,
): T[] {
  let room = most;
  const next = items.findIndex((item) => {
    for (const { bytes } of chunksOf(item)) room -= bytes.length + BYTES_FOR_A_CHUNK;
    return room < 0;
  });
  return next < 0 ? [...items] : items.slice(0, Math.max(1, next));
}

/**
 * Collects what an attempt prints until it can be stored, in memory bounded by the limit. Of more than
 * `limit` bytes the first quarter and the last three quarters are kept.
 */
export class OutputBuffer {
  readonly #headLimit: number;
  readonly #tailLimit: number;
  #chunks: OutputChunk[] = [];
  #printed = 0;
  #keptFrom: number;

  constructor(limit: number) {
    this.#headLimit = Math.floor(limit / 4);
    this.#tailLimit = limit - this.#headLimit;
    this.#keptFrom = this.#headLimit;
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  /** Adds bytes; they are copied, because a small read may pin a large buffer. */
  push(stream: Stream, bytes: Uint8Array) {
    // A chunk lies wholly in the head or wholly in the tail, so that the tail can be cut by chunks.
    const headRoom = Math.max(0, this.#headLimit - this.#printed);
    this.#append(stream, bytes.subarray(0, headRoom));
    this.#append(stream, bytes.subarray(headRoom));
    this.#forgetOldTail();
  }

  /**
   * Takes the first of what is there, as far as it makes a batch of `most` bytes, with the stretch
   * that no longer fits the limit: of what was taken before, nothing in it is to be kept.
   */
  take(most?: number): Printed {
    const to = this.#tailStart();
    const discard = to > this.#keptFrom ? { from: this.#headLimit, to } : null;
    this.#keptFrom = to;
    this.#cutTail(to);
    const chunks = firstBatch(this.#chunks, (chunk) => [chunk], most);
    this.#chunks.splice(0, chunks.length);
    return { chunks, discard };
  }

  #cutTail(to: number) {
    const first = this.#chunks.find(({ start }) => start >= this.#headLimit);
    if (!first || first.start >= to) return;
    first.bytes = first.bytes.slice(to - first.start);
    first.start = to;
  }

  #tailStart(): number {
    return Math.max(this.#headLimit, this.#printed - this.#tailLimit);
  }

  #append(stream: Stream, bytes: Uint8Array) {
    if (bytes.length === 0) return;
    const last = this.#chunks.at(-1);
    const start = this.#printed;
    this.#printed += bytes.length;
    if (last?.stream === stream && start !== this.#headLimit && extend(last, bytes)) return;
    this.#chunks.push({ start, stream, bytes: bytes.slice() });
  }

  #forgetOldTail() {
    const tailStart = this.#tailStart();
    if (tailStart === this.#headLimit) return;
    const gone = ({ start, bytes }: OutputChunk) =>
      start >= this.#headLimit && start + bytes.length <= tailStart;
    const first = this.#chunks.findIndex(gone);
    if (first < 0) return;
    let end = first;
    while (end < this.#chunks.length && gone(this.#chunks[end]!)) end++;
    this.#chunks.splice(first, end - first);
  }
}

/** Appends in place while there is room; the buffer behind a chunk grows by doubling. */
function extend(chunk: OutputChunk, bytes: Uint8Array): boolean {
  const length = chunk.bytes.length + bytes.length;
  if (length > CHUNK_BYTES) return false;
  if (length > chunk.bytes.buffer.byteLength) {
    const grown = new Uint8Array(Math.min(CHUNK_BYTES, 2 * length));
    grown.set(chunk.bytes);
    chunk.bytes = grown.subarray(0, chunk.bytes.length);
  }
  const extended = new Uint8Array(chunk.bytes.buffer, 0, length);
  extended.set(bytes, chunk.bytes.length);
  chunk.bytes = extended;
  return true;
}
