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
    }, { from: 0, by: Infinity });
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

Deno.test("an end that is kept back, because the executor has its next command, is told soon all the same", async () => {
  using folder = tempFolder();
  const ended: number[] = [];
  const events: RunnerEvents = {
    started() {},
    output() {},
    ended: (executor) => ended.push(executor),
    withdrawn() {},
  };
  const pool = new Pool(events, { threads: 1 });
  const run = (executor: number, command: string) =>
    pool.run(executor, {
      ...{ command, cwd: folder.path, env: {}, timeoutMs: null, killGraceMs: 0, outputLimit: 1024 },
    }, { from: 0, by: Infinity });
  const until = (file: string) => `until [ -e ${file} ]; do sleep 0.01; done`;
  for (const command of ["true", until("go"), "true", "true"]) run(1, command);
  for (const command of [until("second"), until("go")]) run(2, command);
  run(3, "true");
  await eventually(() => ended.length === 2); // of 1, which has more to do, and of 3, which has not
  Deno.writeTextFileSync(folder.file("second"), "");
  await eventually(() => ended.length === 3); // with nothing behind the next one, after a report
  Deno.writeTextFileSync(folder.file("go"), "");
  await eventually(() => ended.length === 7);
  pool.close();
  assertEquals(ended.toSorted(), [1, 1, 1, 1, 2, 2, 3]);
});

const [PAST, FUTURE] = [Date.now() - 60_000, Date.now() + 60_000];
const WRONG_TIMES = {
  "for which it is too late": { from: PAST, by: PAST },
  "that a clock which was set back calls one of the future": { from: FUTURE, by: FUTURE },
};

for (const [what, begin] of Object.entries(WRONG_TIMES)) {
  Deno.test(`a pool does not begin a command ${what}`, async () => {
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
    pool.run(1, run, begin);
    await eventually(() => ends.length === 1);
    pool.close();
    assertEquals(ends, [["interrupted", null]]);
    assertEquals([...Deno.readDirSync(folder.path)], []);
  });
}
