import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";

/** How many kinds of failure there are that the tool must survive; the README's table names them. */
const FAILURES = 37;

const NUMBERS = Array.from({ length: FAILURES }, (_, i) => i + 1);

Deno.test("the README says of every failure what happens then", () => {
  const readme = Deno.readTextFileSync(new URL("../README.md", import.meta.url));
  const rows = readme.matchAll(/^\| (\d+) +\| [^|]+ \| [^|]+ \|$/gm);
  assertEquals(Array.from(rows, ([, number]) => Number(number)), NUMBERS);
});

Deno.test("every failure from 1 to 37 has a test that is named after it", () => {
  const named = new Set<number>();
  for (const source of sources(new URL("./", import.meta.url))) {
    for (const [, number] of source.matchAll(/["`]failure (\d+): /g)) named.add(Number(number));
  }
  assertEquals([...named].sort((a, b) => a - b), NUMBERS);
});

function* sources(folder: URL): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const url = new URL(isDirectory ? `${name}/` : name, folder);
    if (isDirectory) yield* sources(url);
    else if (name.endsWith(".ts")) yield Deno.readTextFileSync(fromFileUrl(url));
  }
}
