import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { Cli } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

const MEBIBYTE = 1 << 20;
const ROOM = 4 * MEBIBYTE;

/** A small disk, where a test may have one. */
interface SmallDisk extends Disposable {
  /** Leaves no room for anything. */
  fill(): void;
  /** Gives the room back. */
  clear(): void;
}

function run(program: string, ...args: string[]): Deno.CommandOutput {
  return new Deno.Command(program, { args, stdin: "null" }).outputSync();
}

/** Mounts a small disk at `path`, a new folder. */
function mountSmallDisk(path: string): SmallDisk {
  Deno.mkdirSync(path, { recursive: true });
  const { success, stderr } = run("mount", "-t", "tmpfs", "-o", `size=${ROOM}`, "tmpfs", path);
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const ballast = join(path, "ballast");
  return {
    fill() {
      using file = Deno.openSync(ballast, { create: true, append: true });
      const bytes = new Uint8Array(4096);
      try {
        while (true) file.writeSync(bytes);
      } catch (error) {
        if (!/os error 28/.test(String(error))) throw error;
      }
    },
    clear: () => Deno.removeSync(ballast),
    // Lazily: a process of a test that failed may still hold it.
    [Symbol.dispose]: () => void run("umount", "-l", path),
  };
}

function whyNoDisks(): string | null {
  if (Deno.build.os !== "linux") return "they need tmpfs";
  const folder = Deno.makeTempDirSync();
  try {
    mountSmallDisk(folder)[Symbol.dispose]();
    return null;
  } catch (error) {
    return `a tmpfs cannot be mounted here: ${(error as Error).message.trim()}`;
  } finally {
    Deno.removeSync(folder);
  }
}

const reason = whyNoDisks();
if (reason !== null) console.warn(`Tests with a full disk are left out: ${reason}`);

function test(name: string, fn: () => Promise<void>) {
  Deno.test({ name, ignore: reason !== null, fn });
}

const MANY = Array.from({ length: 300 }, (_, i) => ({ id: `job-${i}`, command: `echo ${i}` }));
const WAITING = "echo $$ >> began; until [ -e go ]; do sleep 0.05; done";

test("failure 20: on a full disk enqueue fails whole, and works when there is room again", async () => {
  await using cli = new Cli();
  using disk = mountSmallDisk(cli.path("store"));
  await cli.ok("enqueue", "--id", "before", "true");
  disk.fill();
  const input = { stdin: JSON.stringify(MANY) };
  const { code, stdout, stderr } = await cli.run(["enqueue", "@-"], input);
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /^Cannot \w+( in)? the store ".*": [^:]*\bdisk\b[^:]*\n$/);
  disk.clear();
  await assertSound(cli, ["before"]);
  assertEquals((await cli.run(["enqueue", "@-"], input)).code, 0);
  await assertSound(cli, ["before", ...MANY.map(({ id }) => id)]);
});

test("failure 20: on a full disk beside a worker enqueue fails whole as well", async () => {
  await using cli = new Cli();
  using disk = mountSmallDisk(cli.path("store"));
  await cli.ok("enqueue", "--id", "before", WAITING);
  const worker = await cli.startWorker();
  await cli.linesOnce("began", 1);
  disk.fill();
  const { code, stdout, stderr } = await cli.run(["enqueue", "@-"], {
    stdin: JSON.stringify(MANY),
  });
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /: the disk is full\n$/);
  assertEquals((await cli.json("list")).length, 1);
  disk.clear();
  cli.write("go");
  await worker.event("completed", "before", 1);
  worker.signal("SIGTERM");
  assertEquals((await worker.result).code, 0, worker.stderr);
  await assertSound(cli, ["before"]);
});

test("failure 20: on a full disk no store is made, and nothing of it is left", async () => {
  await using cli = new Cli();
  using disk = mountSmallDisk(cli.path("store"));
  disk.fill();
  const { code, stderr } = await cli.run(["enqueue", "true"]);
  assertEquals(code, 1);
  assertMatch(stderr, /^Cannot open the store ".*": (the disk is full|no space left on device)\n$/);
  assertEquals([...Deno.readDirSync(cli.path("store"))].map(({ name }) => name), ["ballast"]);
  disk.clear();
  await cli.ok("enqueue", "--id", "first", "true");
  await assertSound(cli, ["first"]);
});

test("failure 20: results and output of running jobs are kept on a full disk and written when there is room", async () => {
  await using cli = new Cli();
  using disk = mountSmallDisk(cli.path("store"));
  const text = "x".repeat(200);
  await cli.enqueue(
    ...[1, 2].map((i) => ({ id: `good-${i}`, command: `${WAITING}; yes ${text} | head -n 2000` })),
    { id: "bad", command: `${WAITING}; echo oops >&2; exit 3`, max_retries: 1 },
  );
  const worker = await cli.startWorker("--count", "3");
  const pids = await cli.linesOnce("began", 3);
  disk.fill();
  cli.write("go");
  const warning = await worker.event("warning");
  assertMatch(String(warning.message), /the disk is full/);
  assertEquals((await cli.json("list", "--state", "processing")).length, 3);
  disk.clear();
  await worker.event("completed", "good-1", 1);
  await worker.event("completed", "good-2", 1);
  await worker.event("dead", "bad", 1);
  worker.signal("SIGTERM");
  assertEquals((await worker.result).code, 0, worker.stderr);
  assertEquals(cli.lines("began"), pids, "nothing ran twice");
  for (const id of ["good-1", "good-2"]) {
    const printed = (await cli.ok("logs", id)).split("\n");
    assertEquals(printed.length, 2000);
    assert(printed.every((line) => line === text));
  }
  assertEquals((await cli.show("bad")).exit_code, 3);
  await assertSound(cli, ["good-1", "good-2", "bad"]);
});

test("failure 20: doctor warns of a disk that is nearly full", async () => {
  await using cli = new Cli();
  using _disk = mountSmallDisk(cli.path("store"));
  await cli.ok("enqueue", "true");
  const { code, stdout } = await cli.run(["doctor"]);
  assertEquals(code, 0);
  assertMatch(stdout, /^warning disk: [0-3] MiB free\n/m);
});
