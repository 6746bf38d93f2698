import { assertEquals } from "@std/assert";
import { Pool, type RunnerEvents } from "../../src/worker/pool.ts";
import type { BeginTime } from "../../src/worker/protocol.ts";
import { eventually } from "../helpers/eventually.ts";
import { tempFolder } from "../helpers/store.ts";

const ANY_TIME: BeginTime = { from: 0, by: Infinity };

/** A pool of one thread whose commands run in `folder`, and how to give it one. */
function poolIn(
  folder: string,
  events: Pick<RunnerEvents, "ended"> & Partial<RunnerEvents>,
  { outputLimit = 1024 } = {},
) {
  const ignored = { started() {}, output() {}, withdrawn() {} };
  const pool = new Pool({ ...ignored, ...events }, { threads: 1 });
  const rest = { cwd: folder, env: {}, timeoutMs: null, killGraceMs: 0, outputLimit };
  const run = (executor: number, command: string, begin = ANY_TIME) =>
    pool.run(executor, { command, ...rest }, begin);
  return { pool, run };
}

Deno.test("a pool runs what waits in its order, and forgets what is withdrawn, but not what came after", async () => {
  using folder = tempFolder();
  const seen: string[] = [];
  const { pool, run } = poolIn(folder.path, {
    ended: (executor, end) => seen.push(`${executor} ${end.kind}`),
    withdrawn: (executor, count) => seen.push(`${executor} withdrawn ${count}`),
  });
  run(1, "echo first >> ran; until [ -e go ]; do sleep 0.01; done");
  for (const name of ["second", "third"]) run(1, `echo ${name} >> ran`);
  pool.withdraw(1);
  for (const name of ["fourth", "fifth"]) run(1, `echo ${name} >> ran`);
  await eventually(() => seen.length === 1);
  Deno.writeTextFileSync(folder.file("go"), "");
  await eventually(() => seen.length === 4);
  pool.close();
  assertEquals(seen, ["1 withdrawn 2", "1 exited", "1 exited", "1 exited"]);
  assertEquals(Deno.readTextFileSync(folder.file("ran")), "first\nfourth\nfifth\n");
});

Deno.test("all that a command has printed comes before its end, in several batches, and none of it later", async () => {
  using folder = tempFolder();
  const seen: string[] = [];
  const { pool, run } = poolIn(folder.path, {
    output: (_, { chunks }) => seen.push(...chunks.map(({ bytes }) => `${bytes.length}`)),
    ended: (_, end, { printed }) => {
      seen.push(...printed?.chunks.map(({ bytes }) => `${bytes.length}`) ?? [], end.kind);
    },
  }, { outputLimit: 10_000_000 });
  run(1, "head -c 3000000 /dev/zero");
  run(1, "printf abc");
  await eventually(() => seen.filter((each) => each === "exited").length === 2);
  pool.close();
  const first = seen.slice(0, seen.indexOf("exited"));
  assertEquals(first.reduce((sum, bytes) => sum + Number(bytes), 0), 3_000_000);
  assertEquals(seen.slice(first.length), ["exited", "3", "exited"]);
});

Deno.test("an end that is kept back, because the executor has its next command, is told soon all the same", async () => {
  using folder = tempFolder();
  const ended: number[] = [];
  const { pool, run } = poolIn(folder.path, { ended: (executor) => ended.push(executor) });
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

Deno.test("the process id of a command that runs on is told, also if another one has begun just before it", async () => {
  using folder = tempFolder();
  const started: number[] = [];
  let ended = 0;
  const { pool, run } = poolIn(folder.path, {
    started: (executor) => started.push(executor),
    ended: () => ended++,
  });
  const untilGo = "until [ -e go ]; do sleep 0.01; done";
  run(1, `touch begun; ${untilGo}`);
  await eventually(() => [...Deno.readDirSync(folder.path)].length > 0);
  run(2, untilGo);
  await eventually(() => started.length === 2);
  Deno.writeTextFileSync(folder.file("go"), "");
  await eventually(() => ended === 2);
  pool.close();
  assertEquals(started, [1, 2]);
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
    const { pool, run } = poolIn(folder.path, {
      ended: (_, end, { ran }) => ends.push([end.kind, ran]),
    });
    run(1, "echo ran > ran", begin);
    await eventually(() => ends.length === 1);
    pool.close();
    assertEquals(ends, [["interrupted", null]]);
    assertEquals([...Deno.readDirSync(folder.path)], []);
  });
}
