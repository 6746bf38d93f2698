import { assert, assertEquals } from "@std/assert";
import type { OutputChunk, Stream } from "../../src/store/store.ts";
import { OutputBuffer } from "../../src/worker/output_buffer.ts";
import type { Printed } from "../../src/worker/protocol.ts";
import { between, seeded } from "../helpers/random.ts";

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The chunks as text, each with its place. */
function shown(chunks: readonly OutputChunk[]): [number, Stream, string][] {
  return chunks.map(({ start, stream, bytes }) => [start, stream, new TextDecoder().decode(bytes)]);
}

/** Does what the store promises to do with a batch. */
function store(kept: OutputChunk[], { chunks, discard }: Printed): OutputChunk[] {
  const all = [...kept, ...chunks.map((chunk) => ({ ...chunk, bytes: chunk.bytes.slice() }))];
  if (!discard) return all;
  const { from, to } = discard;
  return all.flatMap((chunk) => {
    const end = chunk.start + chunk.bytes.length;
    if (chunk.start < from || chunk.start >= to) return [chunk];
    if (end <= to) return [];
    return [{ ...chunk, start: to, bytes: chunk.bytes.subarray(to - chunk.start) }];
  });
}

Deno.test("a new buffer is empty, and is again once its output was taken", () => {
  const buffer = new OutputBuffer(1000);
  assert(buffer.isEmpty);
  buffer.push("stdout", new Uint8Array());
  assert(buffer.isEmpty);
  buffer.push("stdout", bytesOf("a"));
  assert(!buffer.isEmpty);
  buffer.take();
  assert(buffer.isEmpty);
  assertEquals(buffer.take(), { chunks: [], discard: null });
});

Deno.test("what is printed in small pieces is gathered, but not across the streams", () => {
  const buffer = new OutputBuffer(1000);
  for (const letter of "abc") buffer.push("stdout", bytesOf(letter));
  for (const letter of "de") buffer.push("stderr", bytesOf(letter));
  buffer.push("stdout", bytesOf("f"));
  const { chunks, discard } = buffer.take();
  assertEquals(shown(chunks), [[0, "stdout", "abc"], [3, "stderr", "de"], [5, "stdout", "f"]]);
  assertEquals(discard, null);
});

Deno.test("places go on counting after output was taken", () => {
  const buffer = new OutputBuffer(1000);
  buffer.push("stdout", bytesOf("abc"));
  buffer.take();
  buffer.push("stdout", bytesOf("def"));
  assertEquals(shown(buffer.take().chunks), [[3, "stdout", "def"]]);
});

Deno.test("bytes are copied, so that whoever read them may use the memory again", () => {
  const buffer = new OutputBuffer(1000);
  const bytes = bytesOf("abc");
  buffer.push("stdout", bytes);
  buffer.push("stdout", bytes);
  bytes.fill(0);
  assertEquals(shown(buffer.take().chunks), [[0, "stdout", "abcabc"]]);
});

Deno.test("what was taken does not change when more is printed", () => {
  const buffer = new OutputBuffer(1000);
  buffer.push("stdout", bytesOf("abc"));
  const { chunks } = buffer.take();
  buffer.push("stdout", bytesOf("xyz"));
  assertEquals(shown(chunks), [[0, "stdout", "abc"]]);
});

Deno.test("a chunk that was gathered is no larger than 64 KiB", () => {
  const buffer = new OutputBuffer(10_000_000);
  for (let i = 0; i < 300; i++) buffer.push("stdout", new Uint8Array(1000).fill(i));
  const { chunks } = buffer.take();
  assertEquals(chunks.reduce((sum, { bytes }) => sum + bytes.length, 0), 300_000);
  for (const { bytes } of chunks) assert(bytes.length <= 65_536, String(bytes.length));
  assert(chunks.length <= 6, "small pieces make no more chunks than they must");
});

Deno.test("up to the limit everything is kept, and a byte more costs the first of the rest", () => {
  const buffer = new OutputBuffer(8);
  buffer.push("stdout", bytesOf("abcdefgh"));
  assertEquals(buffer.take().discard, null);
  buffer.push("stdout", bytesOf("i"));
  assertEquals(buffer.take().discard, { from: 2, to: 3 });
});

Deno.test("of more than the limit, the first quarter and the last three are kept", () => {
  const buffer = new OutputBuffer(8);
  let kept: OutputChunk[] = [];
  for (const letter of "abcdefghijklmnop") buffer.push("stdout", bytesOf(letter));
  kept = store(kept, buffer.take());
  assertEquals(shown(kept), [[0, "stdout", "ab"], [10, "stdout", "klmnop"]]);
});

Deno.test("one push of more than the limit is cut at both ends as well", () => {
  const buffer = new OutputBuffer(8);
  buffer.push("stderr", bytesOf("abcdefghijklmnop"));
  const kept = store([], buffer.take());
  assertEquals(shown(kept), [[0, "stderr", "ab"], [10, "stderr", "klmnop"]]);
});

Deno.test("a discard is said once, and again only when more has to go", () => {
  const buffer = new OutputBuffer(8);
  buffer.push("stdout", bytesOf("abcdefghij"));
  assertEquals(buffer.take().discard, { from: 2, to: 4 });
  assertEquals(buffer.take().discard, null);
  buffer.push("stdout", bytesOf("k"));
  assertEquals(buffer.take().discard, { from: 2, to: 5 });
});

Deno.test("much output is taken in batches of up to 1 MiB, where a chunk counts for a KiB more than it holds", () => {
  for (const bytes of [65_536, 1]) {
    const buffer = new OutputBuffer(100_000_000);
    // The streams take turns, so that nothing is gathered.
    for (let i = 0; i < 3000; i++) {
      buffer.push(i % 2 ? "stdout" : "stderr", new Uint8Array(i < 100 ? bytes : 1));
    }
    const batches: OutputChunk[][] = [];
    while (!buffer.isEmpty) batches.push(buffer.take().chunks);
    assertEquals(batches.flat().length, 3000);
    for (const batch of batches.slice(0, -1)) {
      const cost = batch.reduce((sum, { bytes }) => sum + bytes.length + 1024, 0);
      assert(cost <= 2 ** 20 && cost > 0.9 * 2 ** 20, `${cost}, ${batch.length} chunks`);
    }
  }
});

Deno.test("a batch has at least one chunk", () => {
  const buffer = new OutputBuffer(1000);
  buffer.push("stdout", bytesOf("abc"));
  assertEquals(shown(buffer.take(1).chunks), [[0, "stdout", "abc"]]);
});

Deno.test("what waits to be taken is cut where the limit begins, also when it is taken later", () => {
  const buffer = new OutputBuffer(8);
  buffer.push("stdout", bytesOf("ab"));
  buffer.push("stderr", bytesOf("cdefgh"));
  buffer.push("stdout", bytesOf("ijk"));
  const first = buffer.take(1);
  assertEquals([shown(first.chunks), first.discard], [[[0, "stdout", "ab"]], { from: 2, to: 5 }]);
  buffer.push("stdout", bytesOf("l"));
  const second = buffer.take();
  assertEquals(shown(second.chunks), [[6, "stderr", "gh"], [8, "stdout", "ijkl"]]);
  assertEquals(second.discard, { from: 2, to: 6 });
});

Deno.test("output that nobody takes is held in memory bounded by the limit", () => {
  const limit = 1_000_000;
  const buffer = new OutputBuffer(limit);
  for (let i = 0; i < 2000; i++) buffer.push(i % 3 ? "stdout" : "stderr", new Uint8Array(8192));
  const held = buffer.take(Infinity).chunks.reduce(
    (sum, { bytes }) => sum + bytes.buffer.byteLength,
    0,
  );
  // A chunk's memory grows by doubling, and one chunk may lie across the limit.
  assert(held <= 2 * limit + 65_536, String(held));
});

Deno.test("whatever is printed and taken, the first quarter and the last three stay", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = seeded(seed);
    const limit = between(random, 4, 400);
    const buffer = new OutputBuffer(limit);
    const all: { stream: Stream; byte: number }[] = [];
    let kept: OutputChunk[] = [];
    for (let i = between(random, 1, 60); i > 0; i--) {
      const stream = random() < 0.5 ? "stdout" : "stderr";
      const bytes = new Uint8Array(between(random, 0, random() < 0.1 ? 1000 : 30))
        .map(() => between(random, 0, 255));
      for (const byte of bytes) all.push({ stream, byte });
      buffer.push(stream, bytes);
      if (random() < 0.3) kept = store(kept, buffer.take(between(random, 1, 5000)));
    }
    while (!buffer.isEmpty) kept = store(kept, buffer.take(between(random, 1, 5000)));

    const head = Math.floor(limit / 4);
    const tailStart = Math.max(head, all.length - (limit - head));
    const expected = all.map((each, place) => ({ place, ...each }))
      .filter(({ place }) => place < head || place >= tailStart);
    const actual = kept.flatMap(({ start, stream, bytes }) =>
      [...bytes].map((byte, i) => ({ place: start + i, stream, byte }))
    );
    assertEquals(actual, expected, `seed ${seed}`);
  }
});
