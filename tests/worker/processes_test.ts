import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { newId } from "../../src/ids.ts";
import {
  ATTEMPT_MARK,
  attemptsOfProcesses,
  groupLives,
  identify,
  isAlive,
  killLeftovers,
  machineId,
  signalGroup,
  signalProcess,
} from "../../src/worker/processes.ts";
import { eventually } from "../helpers/eventually.ts";

const isLinux = Deno.build.os === "linux";

interface Shell extends AsyncDisposable {
  pid: number;
  status: Promise<Deno.CommandStatus>;
  /** The numbers that it has printed, one a line, once there are `count` of them. */
  numbers(count: number): Promise<number[]>;
}

/** A shell that leads a group of its own; the group is killed at the end of the block. */
function shell(command: string, env: Record<string, string> = {}): Shell {
  const child = new Deno.Command("sh", {
    args: ["-c", command],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
    detached: true,
  }).spawn();
  return {
    pid: child.pid,
    status: child.status,
    async numbers(count) {
      let text = "";
      for await (const piece of child.stdout.values({ preventCancel: true })) {
        text += new TextDecoder().decode(piece);
        if (text.split("\n").length > count) break;
      }
      return text.split("\n").slice(0, count).map(Number);
    },
    async [Symbol.asyncDispose]() {
      signalGroup(child.pid, "SIGKILL");
      await child.status;
      await child.stdout.cancel().catch(() => {});
    },
  };
}

Deno.test("a living process is identified by its id and its start, the same each time", async () => {
  await using sleeper = shell("sleep 60");
  const process = identify(sleeper.pid)!;
  assertEquals(process.pid, sleeper.pid);
  assertMatch(process.startedAt, /^\S+$/);
  assertEquals(identify(sleeper.pid), process);
  assert(isAlive(process));
});

Deno.test("two processes differ, and this one is alive", async () => {
  await using sleeper = shell("sleep 60");
  assertNotEquals(identify(sleeper.pid), identify(Deno.pid));
  assert(isAlive(identify(Deno.pid)!));
});

Deno.test("a process that has ended is not identified and not alive", async () => {
  await using sleeper = shell("sleep 60");
  const process = identify(sleeper.pid)!;
  assert(signalProcess(sleeper.pid, "SIGKILL"));
  await sleeper.status;
  assertEquals(identify(sleeper.pid), null);
  assertEquals(isAlive(process), false);
});

Deno.test("another process under the same id is not taken for the one that was", () => {
  const process = identify(Deno.pid)!;
  assertEquals(isAlive({ ...process, startedAt: `${process.startedAt}1` }), false);
});

Deno.test({
  name: "a zombie is not alive",
  ignore: !isLinux,
  async fn() {
    // The outer shell becomes a program that never waits for its child, which ends only then.
    const child = `until [ "$(cat /proc/$PPID/comm)" = sleep ]; do :; done`;
    await using parent = shell(`sh -c '${child}' & echo $!; exec sleep 60`);
    const [pid] = await parent.numbers(1);
    await eventually(() => Deno.readTextFileSync(`/proc/${pid}/stat`).includes(") Z "));
    assertEquals(identify(pid!), null);
  },
});

Deno.test({
  name: "a process with brackets and blanks in its name is identified like any other",
  ignore: !isLinux,
  async fn() {
    const folder = Deno.makeTempDirSync({ prefix: "queuectl-test-" });
    try {
      const sleep = (await new Deno.Command("sh", { args: ["-c", "command -v sleep"] }).output())
        .stdout;
      const program = `${folder}/a) Z (b`;
      Deno.copyFileSync(new TextDecoder().decode(sleep).trim(), program);
      await using named = shell(`exec '${program}' 60`);
      await eventually(() =>
        Deno.readTextFileSync(`/proc/${named.pid}/stat`).includes("(a) Z (b)")
      );
      const process = identify(named.pid);
      assert(process && isAlive(process));
      assertMatch(process.startedAt, /^\d+$/);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
});

Deno.test("the machine has one name, and on Linux it holds the boot and the namespace", () => {
  assertEquals(machineId(), machineId());
  if (isLinux) assertMatch(machineId(), /^[0-9a-f-]{36} pid:\[\d+\]$/);
});

Deno.test("a signal to a process or a group that is gone is false, not an error", async () => {
  await using sleeper = shell("exit 0");
  await sleeper.status;
  assertEquals(signalProcess(sleeper.pid, "SIGTERM"), false);
  assertEquals(signalGroup(sleeper.pid, "SIGTERM"), false);
  assertEquals(groupLives(sleeper.pid), false);
});

Deno.test("a group lives as long as one process of it does, and a signal reaches them all", async () => {
  await using leader = shell("sleep 60 >/dev/null 2>&1 & echo $!");
  const [child] = await leader.numbers(1);
  await leader.status;
  assert(groupLives(leader.pid));
  assert(identify(child!));
  assert(signalGroup(leader.pid, "SIGKILL"));
  await eventually(() => identify(child!) === null);
});

function markedBy(token: string): number[] {
  return attemptsOfProcesses().filter(({ attempt }) => attempt === token).map(({ pid }) => pid);
}

Deno.test({
  name: "the processes of an attempt are found by its mark, also in other sessions",
  ignore: !isLinux,
  async fn() {
    const mark = newId(20);
    await using leader = shell(
      "setsid sh -c 'echo $$; sleep 60' & wait",
      { [ATTEMPT_MARK]: mark },
    );
    const [grandchild] = await leader.numbers(1);
    await eventually(() => markedBy(mark).length >= 3); // with its sleep
    const marked = markedBy(mark);
    assert(marked.includes(leader.pid) && marked.includes(grandchild!));
    assertEquals(markedBy(newId(20)), []);
    assertEquals(markedBy(mark.slice(0, -1)), []);
    killLeftovers([{ token: mark, leader: null }]);
  },
});

Deno.test({
  name: "killing what an attempt left ends its group and whatever carries its mark",
  ignore: !isLinux,
  async fn() {
    const mark = newId(20);
    await using leader = shell(
      "env -i sleep 60 & echo $!; setsid sh -c 'echo $$; sleep 60' & wait",
      { [ATTEMPT_MARK]: mark },
    );
    const children = await leader.numbers(2);
    const attempt = { token: mark, leader: identify(leader.pid)! };
    await eventually(() => killLeftovers([attempt]).size === 0);
    assertEquals((await leader.status).signal, "SIGKILL");
    await eventually(() => children.every((pid) => identify(pid) === null));
    assertEquals([...killLeftovers([attempt])], [], "there is nothing left to be killed");
  },
});

Deno.test({
  name: "of several attempts those are told of which something lives",
  ignore: !isLinux,
  async fn() {
    const [marked, gone, led] = [newId(20), newId(20), newId(20)] as const;
    await using first = shell("sleep 60", { [ATTEMPT_MARK]: marked });
    await using second = shell("sleep 60");
    const attempts = [
      { token: gone, leader: null },
      { token: led, leader: identify(second.pid) },
      { token: marked, leader: null },
    ];
    await eventually(() => markedBy(marked).length > 0);
    const living = killLeftovers(attempts);
    assert(living.has(marked) && !living.has(gone));
    assertEquals((await first.status).signal, "SIGKILL");
    assertEquals((await second.status).signal, "SIGKILL");
    await eventually(() => killLeftovers(attempts).size === 0);
  },
});

Deno.test("failure 8: a process that has taken over the id of an attempt's is left alone", async () => {
  await using bystander = shell("sleep 60");
  const { pid, startedAt } = identify(bystander.pid)!;
  const leader = { pid, startedAt: `${startedAt}0` };
  assertEquals([...killLeftovers([{ token: newId(20), leader }])], []);
  assert(isAlive({ pid, startedAt }));
});
