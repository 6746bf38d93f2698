import { assert, assertEquals } from "@std/assert";
import { EventPrinter } from "../../src/cli/event_printer.ts";
import type { WorkerEvent } from "../../src/worker/events.ts";

const saying = (message: string): WorkerEvent => ({ event: "warning", message });
const format = (event: WorkerEvent) => event.event === "warning" ? `${event.message}\n` : "";

Deno.test("events that come while a reader does not read are printed in their order afterwards", async () => {
  const reader = new Reader();
  const printer = new EventPrinter(reader.write, format);
  for (const message of ["one", "two", "three"]) printer.print(saying(message));
  assertEquals(reader.text, "");
  await reader.readAll();
  assertEquals(reader.text, "one\ntwo\nthree\n");
  printer.print(saying("four"));
  await reader.readAll();
  assertEquals(reader.text, "one\ntwo\nthree\nfour\n");
});

Deno.test("what nobody reads takes a bounded amount of memory, and the reader is told what is missing", async () => {
  const reader = new Reader();
  const printer = new EventPrinter(reader.write, format);
  const megabyte = "x".repeat(2 ** 20);
  for (let i = 0; i < 100; i++) printer.print(saying(megabyte));
  await reader.readAll();
  assert(reader.text.length < 40 * megabyte.length, `${reader.text.length} characters were kept`);
  const shown = reader.text.split("\n").filter((line) => line === megabyte).length;
  assertEquals(
    reader.text.slice((megabyte.length + 1) * shown),
    `Events that came faster than they were read are not shown: ${100 - shown}\n`,
  );
});

Deno.test("a reader that is gone is not written to again", async () => {
  let writes = 0;
  const printer = new EventPrinter(() => {
    writes++;
    return Promise.reject(new Deno.errors.BrokenPipe());
  }, format);
  printer.print(saying("one"));
  await Promise.resolve();
  printer.print(saying("two"));
  await Promise.resolve();
  assertEquals(writes, 1);
});

/** Takes what is written only when it is told to. */
class Reader {
  text = "";
  readonly #unread: { text: string; taken: () => void }[] = [];

  readonly write = (text: string): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#unread.push({ text, taken: resolve });
    return promise;
  };

  async readAll() {
    for (let next = this.#unread.shift(); next; next = this.#unread.shift()) {
      this.text += next.text;
      next.taken();
      await new Promise((resolve) => setTimeout(resolve, 0)); // what is written next has come by then
    }
  }
}
