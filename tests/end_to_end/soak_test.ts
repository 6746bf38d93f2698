import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";

const SOAK = fromFileUrl(new URL("../../scripts/soak.ts", import.meta.url));

Deno.test("failure 34: at full speed with pruning on, memory, descriptors, zombies, log and file stay flat", async () => {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", SOAK, "--minutes", "0.3"],
    stderr: "inherit",
  }).output();
  const report = new TextDecoder().decode(stdout);
  assertEquals(code, 0, report);
  assertStringIncludes(report, "nothing has grown");
});
