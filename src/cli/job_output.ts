import type { Store, Stream } from "../store/store.ts";
import { cut, printable } from "./format/text.ts";

/** A piece of an attempt's output to be shown; a gap is the line that stands for what was not kept. */
export interface Piece {
  stream: Stream;
  start: number;
  bytes: Uint8Array;
  gap?: true;
}

/** The output of an attempt from place `from` on, in the order it came, with a line for each gap. */
export async function* outputPieces(
  store: Store,
  attempt: number,
  from = 0,
): AsyncGenerator<Piece> {
  let next = from;
  while (true) {
    const page = await store.output(attempt, next);
    if (page.length === 0) return;
    for (const { start, stream, bytes } of page) {
      if (start > next) yield gapPiece(next, start, stream);
      yield { stream, start, bytes };
      next = start + bytes.length;
    }
  }
}

function gapPiece(from: number, to: number, stream: Stream): Piece {
  const line = `\n[queuectl: ${to - from} bytes are missing here; see output_limit]\n`;
  return { stream, start: from, bytes: new TextEncoder().encode(line), gap: true };
}

/** The pieces that hold the last `lines` lines of `pieces`, the first one cut to begin with a line. */
export async function tail(pieces: AsyncIterable<Piece>, lines: number): Promise<Piece[]> {
  const kept: { piece: Piece; breaks: number }[] = [];
  let breaks = 0;
  for await (const piece of pieces) {
    const own = countBreaks(piece.bytes);
    kept.push({ piece, breaks: own });
    breaks += own;
    // One break more than lines are asked for, because the last line may end with one.
    while (breaks - kept[0]!.breaks > lines) breaks -= kept.shift()!.breaks;
  }
  const rest = kept.map(({ piece }) => piece);
  const endsOpen = rest.length > 0 && rest.at(-1)!.bytes.at(-1) !== NEWLINE;
  return cutBreaks(rest, breaks - lines + (endsOpen ? 1 : 0));
}

const NEWLINE = 10;

function countBreaks(bytes: Uint8Array): number {
  let breaks = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) breaks++;
  return breaks;
}

/** `pieces` without everything up to their `surplus`-th line break. */
function cutBreaks(pieces: Piece[], surplus: number): Piece[] {
  while (surplus > 0 && pieces.length > 0) {
    const [{ bytes, ...first }, ...others] = pieces as [Piece, ...Piece[]];
    let at = -1;
    do {
      at = bytes.indexOf(NEWLINE, at + 1);
      if (at >= 0) surplus--;
    } while (at >= 0 && surplus > 0);
    if (at >= 0) {
      const start = first.start + at + 1;
      return [{ ...first, start, bytes: bytes.subarray(at + 1) }, ...others];
    }
    pieces = others;
  }
  return pieces;
}

/** A job may print megabytes without a line break. */
const LONGEST_LINE = 2000;

/** The last lines of an attempt's output as text that a terminal can be shown. */
export async function lastLines(store: Store, attempt: number, lines: number): Promise<string> {
  const pieces = await tail(outputPieces(store, attempt), lines);
  // A character may lie across two chunks.
  const decoder = new TextDecoder();
  const text = pieces.map(({ bytes }) => decoder.decode(bytes, { stream: true })).join("") +
    decoder.decode();
  if (text === "") return "";
  return text.replace(/\n$/, "").split("\n")
    .map((line) => `${cut(printable(line.slice(0, LONGEST_LINE)), LONGEST_LINE)}\n`).join("");
}

/** A piece as `--json` shows it: text where it is valid UTF-8, else base 64. */
export function pieceJson(piece: Piece, attempt: number): Record<string, unknown> {
  const { stream, start, bytes, gap } = piece;
  const about = { attempt, stream, start };
  if (gap) return { ...about, missing: new TextDecoder().decode(bytes).trim() };
  try {
    return { ...about, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    return { ...about, base64: bytes.toBase64() };
  }
}
