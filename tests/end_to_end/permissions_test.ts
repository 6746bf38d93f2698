import { assertEquals } from "@std/assert";
import { Cli, MAIN } from "../helpers/cli.ts";

for (
  const flags of [[], ["--allow-read", "--allow-write", "--allow-run", "--allow-env"], [
    "-A",
    "--deny-net",
  ]]
) {
  Deno.test(`with the permissions [${flags.join(" ")}] it says that it needs all, and does nothing`, async () => {
    await using cli = new Cli();
    const words = ["run", "--no-prompt", ...flags, MAIN, "enqueue", "true"];
    const { code, stdout, stderr } = await cli.spawnProgram(Deno.execPath(), words).result;
    const sentence = "Cannot work with some permissions only: run it with deno run -A\n";
    assertEquals([code, stdout, stderr], [1, "", sentence]);
    assertEquals([...Deno.readDirSync(cli.folder)], []);
  });
}
