import { assertEquals } from "@std/assert";
import { Pool, type RunnerEvents } from "../../src/worker/pool.ts";
import { eventually } from "../helpers/eventually.ts";
import { tempFolder } from "../helpers/store.ts";

Deno.test("a pool runs what waits in its order, and forgets what is withdrawn, but not what came after", async () => {
  using folder = tempFolder();
  const seen: string[] = [];
  const events: RunnerEvents = {
    started() {},
    output() {},
    ended: (executor, end) => seen.push(`${executor} ${end.kind}`),
    withdrawn: (executor, count) => seen.push(`${executor} withdrawn ${count}`),
  };
  const pool = new Pool(events, { threads: 1 });
  const run = (name: string, command = "true") =>
    pool.run(1, {
      ...{ command: `echo ${name} >> ran; ${command}`, cwd: folder.path, env: {} },
      ...{ timeoutMs: null, killGraceMs: 0, outputLimit: 1024 },
    }, 60_000);
  run("first", "until [ -e go ]; do sleep 0.01; done");
  run("second");
  run("third");
  pool.withdraw(1);
  run("fourth");
  run("fifth");
  await eventually(() => seen.length === 1);
  Deno.writeTextFileSync(folder.file("go"), "");
  await eventually(() => seen.length === 4);
  pool.close();
  assertEquals(seen, ["1 withdrawn 2", "1 exited", "1 exited", "1 exited"]);
  assertEquals(Deno.readTextFileSync(folder.file("ran")), "first\nfourth\nfifth\n");
});

Deno.test("a pool does not begin a command for which it is too late", async () => {
  using folder = tempFolder();
  const ends: unknown[] = [];
  const events: RunnerEvents = {
    started() {},
    output() {},
    ended: (_, end, { ran }) => ends.push([end.kind, ran]),
    withdrawn() {},
  };
  const pool = new Pool(events, { threads: 1 });
  const run = {
    ...{ command: "echo ran > ran", cwd: folder.path, env: {} },
    ...{ timeoutMs: null, killGraceMs: 0, outputLimit: 1024 },
  };
  pool.run(1, run, -1);
  await eventually(() => ends.length === 1);
  pool.close();
  assertEquals(ends, [["interrupted", null]]);
  assertEquals([...Deno.readDirSync(folder.path)], []);
});
