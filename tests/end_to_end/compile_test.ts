import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { tempFolder } from "../helpers/store.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

/** The words of the task that makes the binary, but for where it goes. */
function compileWords(output: string): string[] {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}/deno.json`));
  const [, ...words] = tasks.compile.split("||")[0].trim().split(" ");
  return words.map((word: string) => word === "dist/queuectl" ? output : word);
}

function* filesIn(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* filesIn(`${folder}/${name}`);
    else yield `${folder}/${name}`;
  }
}

Deno.test("a binary would have the thread, the migrations and every command in it", async () => {
  using folder = tempFolder();
  const output = folder.file("queuectl");
  // Any program does as the base binary: what is embedded is put behind it all the same.
  const compile = new Deno.Command(Deno.execPath(), {
    args: compileWords(output),
    cwd: ROOT,
    env: { DENORT_BIN: "/bin/true", NO_COLOR: "1" },
  });
  const { code, stderr } = await compile.output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  const binary = new TextDecoder("latin1").decode(Deno.readFileSync(output));
  const missing = filesIn(`${ROOT}src`).filter((file) => {
    const text = new TextDecoder("latin1").decode(Deno.readFileSync(file));
    const hasCode = file.endsWith(".sql") || /^export (async )?(function|class|const)/m.test(text);
    return hasCode && !binary.includes(text);
  });
  assertEquals([...missing], []);
  assert(!binary.includes("a binary would have the thread"), "tests have no place in it");
});
