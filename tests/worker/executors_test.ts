import { assertEquals } from "@std/assert";
import { Executors } from "../../src/worker/executors.ts";

const item = (name: string, executor = 1) => ({ name, executor, startedAt: 0 });
type Item = ReturnType<typeof item>;
const names = (items: readonly Item[]) => items.map(({ name }) => name);

const DEPTHS = {
  0: 16,
  6: 16,
  7: 14,
  25: 4,
  50: 2,
  51: 1,
  100: 1,
  101: 0,
  Infinity: 0,
};

for (const [took, depth] of Object.entries(DEPTHS)) {
  Deno.test(`an executor whose last command took ${took} ms is given ${depth} ahead`, () => {
    const executors = new Executors<Item>({ count: 2 });
    executors.give(item("a"));
    executors.end(1, { tookMs: Number(took), now: 0 });
    assertEquals(executors.ahead(0), Array(depth).fill(1));
  });
}

Deno.test("what waits already counts, and an executor that has run nothing is given nothing ahead", () => {
  const executors = new Executors<Item>({ count: 2 });
  assertEquals([executors.idle, executors.ahead(0)], [[1, 2], []]);
  executors.give(item("a"));
  executors.end(1, { tookMs: 30, now: 10 });
  executors.give(item("b"));
  executors.give(item("c"));
  assertEquals(executors.ahead(10), [1, 1]);
  executors.end(1, { tookMs: 1000, now: 20 });
  assertEquals(executors.ahead(20), []);
});

Deno.test("behind a command that runs for long already nothing is put", () => {
  const executors = new Executors<Item>({ count: 1 });
  executors.give(item("a"));
  executors.end(1, { tookMs: 5, now: 0 });
  executors.give({ ...item("b"), startedAt: 0 });
  assertEquals(executors.ahead(49).length, 16);
  assertEquals(executors.ahead(50), []);
});

Deno.test("a command may take twice as long as the one before it with others behind it, from 50 to 100 ms", () => {
  const executors = new Executors<Item>({ count: 1 });
  const patience = [executors.patienceMs(1)];
  for (const tookMs of [1, 30, 60, 1000]) {
    executors.give(item("a"));
    executors.end(1, { tookMs, now: 0 });
    patience.push(executors.patienceMs(1));
  }
  assertEquals(patience, [50, 50, 60, 100, 100]);
});

Deno.test("an executor is overloaded when more than half a second of work waits", () => {
  for (const [tookMs, expected] of [[50, false], [51, true], [Infinity, true]] as const) {
    const executors = new Executors<Item>({ count: 1 });
    for (let i = 0; i < 12; i++) executors.give(item(String(i)));
    executors.end(1, { tookMs, now: 0 });
    assertEquals([tookMs, executors.isOverloaded(1)], [tookMs, expected]);
  }
});

Deno.test("what waits begins in its order, each at the end of the one before", () => {
  const executors = new Executors<Item>({ count: 1 });
  for (const name of ["a", "b", "c"]) executors.give(item(name));
  assertEquals([names(executors.running), names(executors.inHand)], [["a"], ["a", "b", "c"]]);
  const next = executors.end(1, { tookMs: 5, now: 7 });
  assertEquals([next?.name, next?.startedAt, executors.idle], ["b", 7, []]);
  executors.end(1, { tookMs: 5, now: 8 });
  assertEquals(executors.end(1, { tookMs: 5, now: 9 }), undefined);
  assertEquals(executors.idle, [1]);
});

Deno.test("what is taken back was given first: more may have been given meanwhile", () => {
  const executors = new Executors<Item>({ count: 1 });
  for (const name of ["runs", "b", "c"]) executors.give(item(name));
  assertEquals([executors.clear(1), executors.clear(1)], [true, false]);
  // The thread has been told to forget two, and is given another one before it answers.
  executors.give(item("d"));
  assertEquals(names(executors.takeBack(1, 2)), ["b", "c"]);
  assertEquals(names(executors.inHand), ["runs", "d"]);
  assertEquals(names(executors.takeBack(1, 0)), []);
});

Deno.test("while something is taken back from an executor it is given nothing ahead", () => {
  const executors = new Executors<Item>({ count: 1 });
  executors.give(item("a"));
  executors.end(1, { tookMs: 5, now: 0 });
  executors.give(item("b"));
  assertEquals(executors.clear(1), false);
  executors.give(item("c"));
  executors.clear(1);
  assertEquals(executors.ahead(0), []);
  executors.takeBack(1, 1);
  assertEquals(executors.ahead(0).length, 16);
});

Deno.test("no executor is given more than its limit, what it runs and what waits included", () => {
  const executors = new Executors<Item>({ count: 1, limit: 4 });
  executors.give(item("a"));
  executors.end(1, { tookMs: 5, now: 0 });
  assertEquals(executors.ahead(0), [1, 1]); // beside the one that it gets as an idle one
  for (const name of ["b", "c", "d"]) executors.give(item(name));
  for (let i = 0; i < 3; i++) executors.end(1, { tookMs: 5, now: 0 });
  assertEquals([executors.idle, executors.ahead(0)], [[], []]);
});
