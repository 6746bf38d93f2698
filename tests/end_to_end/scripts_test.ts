import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname, fromFileUrl } from "@std/path";
import { Cli } from "../helpers/cli.ts";

/** Runs a script with the deno that runs this test. */
async function runScript(name: string, ...args: string[]) {
  await using cli = new Cli();
  const script = fromFileUrl(new URL(`../../scripts/${name}`, import.meta.url));
  const env = { PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}` };
  return await cli.spawnProgram("sh", [script, ...args], { env }).result;
}

Deno.test("scripts/e2e_test.sh passes", async () => {
  const { code, stdout, stderr } = await runScript("e2e_test.sh");
  assertEquals(stdout.match(/^not ok.*/gm), null, stdout + stderr);
  assertMatch(stdout, /\n\d\d passed, 0 failed\n$/);
  assertEquals(code, 0);
});

Deno.test("scripts/e2e_test.sh fails where queuectl does not do what it should", async () => {
  await using cli = new Cli();
  const script = fromFileUrl(new URL("../../scripts/e2e_test.sh", import.meta.url));
  const { code, stdout } = await cli.spawnProgram("sh", [script], { env: { QUEUECTL: "true" } })
    .result;
  assertEquals(code, 1);
  assertMatch(stdout, /\n\d+ passed, [1-9]\d* failed\n$/);
});

Deno.test("failure 30: scripts/concurrency_test.sh passes: several worker processes run each job once", async () => {
  const { code, stdout, stderr } = await runScript("concurrency_test.sh", "400", "4", "2");
  assertEquals(code, 0, stdout + stderr);
  assertStringIncludes(stdout, "400 lines, 400 of them distinct, 400 jobs completed");
});

Deno.test("scripts/demo.sh shows a job that dies and then succeeds", async () => {
  const { code, stdout, stderr } = await runScript("demo.sh");
  assertEquals(code, 0, stderr);
  for (const part of ["$ queuectl dlq retry report", "report  dead", "report     completed"]) {
    assertStringIncludes(stdout, part);
  }
  assertMatch(stdout, /deno task queuectl enqueue/);
});

for (
  const [script, ...args] of [
    ["bench.ts", "--no-such"],
    ["bench.ts", "--rounds", "two"],
    ["simulate.ts", "--seed", "1.5"],
    ["simulate.ts", "--runs=-5"],
    ["simulate.ts", "--from", "1000000000"],
    ["soak.ts", "--minutes", "0"],
    ["soak.ts", "10"],
  ] as const
) {
  Deno.test(`scripts/${script} ${args.join(" ")} measures nothing and says why`, async () => {
    await using cli = new Cli();
    const path = fromFileUrl(new URL(`../../scripts/${script}`, import.meta.url));
    const words = ["run", "-A", "--no-prompt", path, ...args];
    const { code, stdout, stderr } = await cli.spawnProgram(Deno.execPath(), words).result;
    assertEquals(code, 2);
    assertMatch(stderr, /^ {2}error: .+/);
    assertMatch(stdout, /--help/);
  });
}
