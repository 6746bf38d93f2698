import { assertEquals } from "@std/assert";
import { lastLines, outputPieces, type Piece, pieceJson, tail } from "../../src/cli/job_output.ts";
import { openStoreIfAny } from "../../src/store/open.ts";
import type { OutputChunk, Store, Stream } from "../../src/store/store.ts";
import { between, seeded } from "../helpers/random.ts";
import { by, claimOne, newJob, tempFolder, turnOf } from "../helpers/store.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A chunk that came right behind `before`, or at `start`. */
function chunk(text: string, start: number, stream: Stream = "stdout"): OutputChunk {
  return { start, stream, bytes: encoder.encode(text) };
}

/** The texts as chunks, one behind the other. */
function chunksOf(...texts: string[]): OutputChunk[] {
  let start = 0;
  return texts.map((text) => {
    const next = chunk(text, start);
    start += next.bytes.length;
    return next;
  });
}

async function* piecesOf(chunks: Piece[]): AsyncGenerator<Piece> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

function textOf(pieces: Piece[]): string {
  return pieces.map(({ bytes }) => decoder.decode(bytes)).join("");
}

/** A store in memory with one attempt that printed `chunks`. */
async function storeWith(chunks: OutputChunk[]): Promise<{ store: Store; attempt: number }> {
  using folder = tempFolder();
  const store = await openStoreIfAny(folder.file("none.db"));
  await store.enqueue([newJob()], by(0));
  const { lease } = await claimOne(store);
  await store.turn(turnOf({ output: [{ lease, chunks, discard: null }] }), 0);
  return { store, attempt: lease.attempt };
}

Deno.test("output comes in the order it was printed, each piece with its stream", async () => {
  const chunks = [chunk("a\n", 0), chunk("b\n", 2, "stderr"), chunk("c", 4)];
  const { store, attempt } = await storeWith(chunks);
  using _ = store;
  assertEquals(await Array.fromAsync(outputPieces(store, attempt)), chunks);
  assertEquals(await Array.fromAsync(outputPieces(store, attempt, 2)), chunks.slice(1));
  assertEquals(await Array.fromAsync(outputPieces(store, attempt, 5)), []);
});

Deno.test("output of more than one page of the store comes whole", async () => {
  const texts = Array.from({ length: 500 }, (_, i) => `line ${i}\n`);
  const { store, attempt } = await storeWith(chunksOf(...texts));
  using _ = store;
  assertEquals(textOf(await Array.fromAsync(outputPieces(store, attempt))), texts.join(""));
});

Deno.test("where output was not kept, a line says how many bytes are missing", async () => {
  const { store, attempt } = await storeWith([chunk("head", 0), chunk("tail", 1004, "stderr")]);
  using _ = store;
  const pieces = await Array.fromAsync(outputPieces(store, attempt));
  const line = "\n[queuectl: 1000 bytes are missing here; see output_limit]\n";
  assertEquals(textOf(pieces), `head${line}tail`);
  assertEquals(pieces.map(({ gap, stream, start }) => ({ gap, stream, start })), [
    { gap: undefined, stream: "stdout", start: 0 },
    { gap: true, stream: "stderr", start: 4 },
    { gap: undefined, stream: "stderr", start: 1004 },
  ]);
});

Deno.test("output whose beginning was not kept begins with the line about it", async () => {
  const { store, attempt } = await storeWith([chunk("tail", 7)]);
  using _ = store;
  const [first] = await Array.fromAsync(outputPieces(store, attempt));
  assertEquals(first?.gap, true);
});

Deno.test("the last lines are found however the output lies in chunks", async () => {
  const cases: [string[], number, string][] = [
    [["a\nb\nc\n"], 1, "c\n"],
    [["a\nb\nc\n"], 2, "b\nc\n"],
    [["a\nb\nc\n"], 3, "a\nb\nc\n"],
    [["a\nb\nc\n"], 99, "a\nb\nc\n"],
    [["a\nb\nc"], 1, "c"],
    [["a\nb\nc"], 2, "b\nc"],
    [["a\n", "b\n", "c\n"], 2, "b\nc\n"],
    [["a\nb", "b\nc", "c\n"], 2, "bb\ncc\n"],
    [["a\nb", "b", "b", "b\n"], 1, "bbbb\n"],
    [["a\n", "\n", "\n"], 2, "\n\n"],
    [["a", "\n", "b", "\n"], 1, "b\n"],
    [["no line break"], 1, "no line break"],
    [["a\nb\n"], 0, ""],
    [["a\nb"], 0, ""],
    [[], 5, ""],
  ];
  for (const [texts, lines, expected] of cases) {
    const pieces = await tail(piecesOf(chunksOf(...texts)), lines);
    assertEquals(textOf(pieces), expected, `the last ${lines} of ${JSON.stringify(texts)}`);
  }
});

Deno.test("the last n lines are the same for any way to cut the output into chunks", async () => {
  const random = seeded(7);
  for (let round = 0; round < 300; round++) {
    const text = Array.from({ length: between(random, 0, 40) }, () => random() < 0.3 ? "\n" : "x")
      .join("");
    const chunks: string[] = [];
    for (let at = 0; at < text.length;) {
      const length = between(random, 1, 6);
      chunks.push(text.slice(at, at + length));
      at += length;
    }
    const lines = between(random, 0, 12);
    const all = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
    const expected = lines === 0 ? "" : all.slice(-lines).join("");
    const pieces = await tail(piecesOf(chunksOf(...chunks)), lines);
    assertEquals(textOf(pieces), expected, `the last ${lines} of ${JSON.stringify(chunks)}`);
  }
});

Deno.test("the first of the last pieces starts where its bytes do, so that a reader can go on behind it", async () => {
  const [piece] = await tail(piecesOf([chunk("a\nb\nc\n", 100)]), 1);
  assertEquals(piece, { start: 104, stream: "stdout", bytes: encoder.encode("c\n") });
});

Deno.test("the last lines for a terminal can do nothing to it, and end with a line break", async () => {
  const printed = "first\nsecond\n\x1b[31mred\x07\r\nno break";
  const { store, attempt } = await storeWith(chunksOf(printed));
  using _ = store;
  assertEquals(await lastLines(store, attempt, 2), "\\e[31mred\\x07\\r\nno break\n");
  assertEquals(await lastLines(store, attempt, 1), "no break\n");
});

Deno.test("a character that lies across two chunks is shown whole in the last lines", async () => {
  const bytes = encoder.encode("grün\n");
  const { store, attempt } = await storeWith([
    { start: 0, stream: "stdout", bytes: bytes.subarray(0, 3) },
    { start: 3, stream: "stdout", bytes: bytes.subarray(3) },
  ]);
  using _ = store;
  assertEquals(await lastLines(store, attempt, 1), "grün\n");
});

Deno.test("an attempt that printed nothing has no last lines", async () => {
  const { store, attempt } = await storeWith([]);
  using _ = store;
  assertEquals(await lastLines(store, attempt, 5), "");
});

Deno.test("a piece is JSON with text, or base 64 where it is no UTF-8, or what is missing", () => {
  const cases: [Piece, Record<string, unknown>][] = [
    [chunk("grün\0\n", 5), { attempt: 2, stream: "stdout", start: 5, text: "grün\0\n" }],
    [
      { start: 0, stream: "stderr", bytes: new Uint8Array([0xff, 0xfe, 0x41]) },
      { attempt: 2, stream: "stderr", start: 0, base64: "//5B" },
    ],
    [
      { ...chunk("\n[9 bytes are missing]\n", 3), gap: true },
      { attempt: 2, stream: "stdout", start: 3, missing: "[9 bytes are missing]" },
    ],
  ];
  for (const [piece, json] of cases) assertEquals(pieceJson(piece, 2), json);
});
