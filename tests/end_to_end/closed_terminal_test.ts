import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Cli, lives, waitUntil } from "../helpers/cli.ts";

const MAIN = fromFileUrl(new URL("../../main.ts", import.meta.url));

Deno.test("a worker whose events nobody reads any more goes on with its jobs", async () => {
  await using cli = new Cli();
  for (const id of ["first", "second", "third"]) {
    await cli.ok("enqueue", "--id", id, "sleep 0.2; echo $PPID >> parents");
  }
  const worker = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", MAIN, "--db", cli.db, "worker"]
      .concat("start", "--drain"),
    stdout: "null",
    stderr: "piped",
    stdin: "null",
  }).spawn();
  await worker.stderr.cancel();
  assertEquals((await worker.status).code, 0);
  const jobs = await cli.json("list");
  const ends = jobs.map(({ state, attempts }: { state: string; attempts: number }) =>
    `${state} ${attempts}`
  );
  assertEquals(ends, ["completed 1", "completed 1", "completed 1"]);
});

Deno.test("a closed terminal stops a worker like SIGTERM: its job ends, no other begins", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "running", "echo $$ > pid; sleep 1; echo done > done");
  await cli.ok("enqueue", "--id", "waiting", "true");
  const worker = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", MAIN, "--db", cli.db, "worker"],
    stdout: "null",
    stderr: "piped",
    stdin: "null",
  }).spawn();
  await waitUntil(() => cli.lines("pid").length > 0, "the job to run");
  await worker.stderr.cancel();
  worker.kill("SIGHUP");
  assertEquals((await worker.status).code, 0);
  assertEquals(cli.lines("done"), ["done"]);
  assert(!lives(cli.lines("pid")[0]!));
  assertEquals((await cli.show("running")).state, "completed");
  assertEquals((await cli.show("waiting")).attempts, 0);
});
