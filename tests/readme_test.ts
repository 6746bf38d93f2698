import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { upToDate } from "../scripts/readme.ts";

const README = fromFileUrl(new URL("../README.md", import.meta.url));

Deno.test("the README's tables of commands and settings are those of the declarations", async () => {
  const readme = Deno.readTextFileSync(README);
  assertEquals(await upToDate(readme), readme, "run deno task readme");
});
