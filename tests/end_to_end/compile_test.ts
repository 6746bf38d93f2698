import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { tempFolder } from "../helpers/store.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

/** The words of the task that makes the binary, but for where it goes. */
function compileWords(output: string): string[] {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}/deno.json`));
  const [, ...words] = tasks.compile.split("||")[0].trim().split(" ");
  return words.map((word: string) => word === "dist/queuectl" ? output : word);
}

Deno.test("a binary would have the thread, the migrations and every command in it", async () => {
  using folder = tempFolder();
  // Any program does as the base binary: what is embedded is listed all the same.
  const compile = new Deno.Command(Deno.execPath(), {
    args: compileWords(folder.file("queuectl")),
    cwd: ROOT,
    env: { DENORT_BIN: "/bin/true", NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await compile.output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assertEquals(code, 0, said);
  for (const file of ["thread.ts", "shell.ts", "migrations", "supervisor.ts", "cli"]) {
    assertStringIncludes(said, file);
  }
});
