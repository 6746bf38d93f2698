import type { OutputChunk, Stream } from "../store/store.ts";
import type { Printed } from "./protocol.ts";

/**
 * Reads are gathered up to this size, so that a job which prints byte by byte does not fill the
 * store with rows.
 */
const CHUNK_BYTES = 65_536;

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

  /** Takes what has come since the last time, with the stretch that no longer fits the limit. */
  take(): Printed {
    const to = this.#tailStart();
    const discard = to > this.#keptFrom ? { from: this.#headLimit, to } : null;
    this.#keptFrom = to;
    const chunks = this.#chunks;
    this.#chunks = [];
    return { chunks, discard };
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
