import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { OutputBuffer } from "../../src/worker/output_buffer.ts";
import { identify, signalProcess } from "../../src/worker/processes.ts";
import type { End, Run } from "../../src/worker/protocol.ts";
import { findShell, startCommand } from "../../src/worker/shell.ts";
import { eventually } from "../helpers/eventually.ts";
import { tempFolder } from "../helpers/store.ts";

const FOUND = findShell();

/** Both ways to start a command; the second is that of systems without setsid. */
const SHELLS = FOUND.setsid === null ? [FOUND] : [FOUND, { ...FOUND, setsid: null }];

function runOf(command: string, said: Partial<Run> = {}): Run {
  return {
    ...{ command, cwd: "/", env: {}, timeoutMs: null, killGraceMs: 5000, outputLimit: 10_485_760 },
    ...said,
  };
}

interface Started {
  pid: number;
  ended: Promise<End>;
  stop(graceMs: number): void;
  /** What it has printed up to now, in both streams or one. */
  text(stream?: "stdout" | "stderr"): string;
  bytes(): Uint8Array;
}

/** Starts a command with all that it prints collected. */
function start(command: string, said: Partial<Run> = {}, shell = FOUND): Started {
  const run = runOf(command, said);
  const buffer = new OutputBuffer(run.outputLimit);
  const chunks: ReturnType<OutputBuffer["take"]>["chunks"] = [];
  const running = startCommand(run, shell, buffer, () => chunks.push(...buffer.take().chunks));
  const collect = (stream?: string) => {
    const parts = chunks.filter((chunk) => !stream || chunk.stream === stream);
    const all = new Uint8Array(parts.reduce((sum, { bytes }) => sum + bytes.length, 0));
    let at = 0;
    for (const { bytes } of parts) {
      all.set(bytes, at);
      at += bytes.length;
    }
    return all;
  };
  return {
    ...running,
    text: (stream) => new TextDecoder().decode(collect(stream)),
    bytes: () => collect(),
  };
}

/** How long `act` takes, in milliseconds. */
async function timed(act: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await act();
  return performance.now() - begun;
}

for (const shell of SHELLS) {
  const how = shell.setsid === null ? "without setsid" : "with setsid";

  Deno.test(`a command ends with its exit code, or the signal that ended it (${how})`, async () => {
    const cases: [string, End][] = [
      ["true", { kind: "exited", code: 0 }],
      ["exit 3", { kind: "exited", code: 3 }],
      ["exit 255", { kind: "exited", code: 255 }],
      ["no-such-program-anywhere", { kind: "exited", code: 127 }],
      ["/", { kind: "exited", code: 126 }],
      ["if", { kind: "exited", code: 2 }],
      ["kill -TERM $$", { kind: "signalled", signal: "SIGTERM" }],
      ["kill -KILL $$", { kind: "signalled", signal: "SIGKILL" }],
      ["sh -c 'kill -INT $$'; exit $?", { kind: "exited", code: 130 }],
    ];
    const ends = await Promise.all(cases.map(([command]) => start(command, {}, shell).ended));
    assertEquals(ends, cases.map(([, end]) => end));
  });

  Deno.test({
    name: `a command leads a session and a group of its own (${how})`,
    ignore: Deno.build.os !== "linux",
    async fn() {
      const fields = "read -r pid name state parent group session rest";
      const command = start(`${fields} < /proc/$$/stat; echo $pid $group $session`, {}, shell);
      await command.ended;
      assertEquals(command.text(), `${command.pid} ${command.pid} ${command.pid}\n`);
    },
  });

  Deno.test(`a timeout ends the whole group at TERM (${how})`, async () => {
    const command = start("sleep 60 & echo $!; sleep 60", { timeoutMs: 500 }, shell);
    assertEquals(await command.ended, { kind: "timed_out", timeoutMs: 500 });
    const child = Number(command.text());
    assert(child > 0);
    await eventually(() => identify(child) === null);
  });

  Deno.test(`what ignores TERM is killed when the grace is over, with its children (${how})`, async () => {
    const command = start(
      "trap '' TERM; sh -c 'echo $$; while :; do sleep 0.05; done'",
      { timeoutMs: 600, killGraceMs: 150 },
      shell,
    );
    const tookMs = await timed(() => command.ended);
    assertEquals(await command.ended, { kind: "timed_out", timeoutMs: 600 });
    assert(tookMs >= 745, `it had its time and its grace, but only ${tookMs} ms`);
    const child = Number(command.text());
    assert(child > 0);
    await eventually(() => identify(child) === null);
  });

  Deno.test(`stopping a command is an interruption, whatever it exits with (${how})`, async () => {
    const command = start("trap 'exit 0' TERM; echo up; while :; do sleep 0.02; done", {}, shell);
    await eventually(() => command.text() === "up\n");
    command.stop(10_000);
    assertEquals(await command.ended, { kind: "interrupted" });
  });
}

Deno.test("a command that does as TERM says is not waited for any longer", async () => {
  const command = start("trap 'exit 7' TERM; echo up; while :; do sleep 0.02; done", {
    timeoutMs: 300,
    killGraceMs: 60_000,
  });
  assert(await timed(() => command.ended) < 30_000);
  assertEquals((await command.ended).kind, "timed_out");
});

Deno.test("a command that ends before its timeout has not timed out", async () => {
  assertEquals(await start("exit 4", { timeoutMs: 60_000 }).ended, { kind: "exited", code: 4 });
});

Deno.test("a timeout beyond what a timer can hold does not fire at once", async () => {
  const command = start("sleep 0.1; exit 4", { timeoutMs: 365 * 86_400_000 });
  assertEquals(await command.ended, { kind: "exited", code: 4 });
});

Deno.test("a second stop can only shorten the grace", async () => {
  const command = start("trap '' TERM; echo up; while :; do sleep 0.02; done");
  await eventually(() => command.text() === "up\n");
  command.stop(600_000);
  command.stop(10);
  command.stop(600_000);
  assertEquals(await command.ended, { kind: "interrupted" });
});

Deno.test("a command that is stopped the moment it starts ends as well", async () => {
  for (let i = 0; i < 10; i++) {
    const command = start("sleep 60");
    command.stop(10_000);
    assertEquals(await command.ended, { kind: "interrupted" });
    assertEquals(identify(command.pid), null);
  }
});

Deno.test("stopping a command that has ended changes nothing", async () => {
  const command = start("exit 3");
  await command.ended;
  command.stop(0);
  assertEquals(await command.ended, { kind: "exited", code: 3 });
});

Deno.test("both streams come byte for byte, each under its name", async () => {
  const command = start("printf 'out\\000\\377\\n'; printf 'err\\200' >&2");
  await command.ended;
  assertEquals(
    command.text("stdout"),
    new TextDecoder().decode(new Uint8Array([111, 117, 116, 0, 255, 10])),
  );
  assertEquals(command.bytes().length, 10);
  assertEquals(
    command.bytes().filter((byte) => byte === 0 || byte >= 0x80).sort(),
    new Uint8Array([0, 128, 255]),
  );
});

Deno.test("failure 16: a megabyte of any bytes comes whole and in order", async () => {
  using folder = tempFolder();
  const bytes = new Uint8Array(1_000_003).map((_, i) => (i * 31 + (i >> 8)) & 255);
  Deno.writeFileSync(folder.file("data"), bytes);
  const command = start("cat data", { cwd: folder.path });
  await command.ended;
  assertEquals(command.bytes(), bytes);
});

Deno.test("the last words of a command are not missed", async () => {
  for (let i = 0; i < 20; i++) {
    const command = start("echo last words");
    await command.ended;
    assertEquals(command.text(), "last words\n");
  }
});

Deno.test("a process in the background does not hold the command, nor live on", async () => {
  const command = start("sleep 60 & echo $!");
  const tookMs = await timed(() => command.ended);
  assertEquals(await command.ended, { kind: "exited", code: 0 });
  assert(tookMs < 20_000, String(tookMs));
  const child = Number(command.text());
  await eventually(() => identify(child) === null);
});

Deno.test("a process in the background that prints nowhere does not hold it at all, nor live on", async () => {
  const command = start("sleep 60 >/dev/null 2>&1 & echo $!; exit 5");
  assertEquals(await command.ended, { kind: "exited", code: 5 });
  const child = Number(command.text());
  await eventually(() => identify(child) === null);
});

Deno.test("what a process in the background prints soon after is still read", async () => {
  const command = start("(sleep 0.05; echo late) & echo early");
  assertEquals(await command.ended, { kind: "exited", code: 0 });
  assertEquals(command.text(), "early\nlate\n");
});

Deno.test({
  name: "failure 15: a process that left the session does not hold the command, and loses its pipe",
  ignore: FOUND.setsid === null,
  async fn() {
    const strayed = "echo $$; while sleep 0.02; do echo more || exit; done";
    const command = start(`setsid sh -c '${strayed}' & sleep 0.2`);
    assertEquals(await command.ended, { kind: "exited", code: 0 });
    const pid = parseInt(command.text());
    await eventually(() => identify(pid) === null).finally(() => signalProcess(pid, "SIGKILL"));
  },
});

Deno.test("standard input is empty", async () => {
  const command = start("wc -c; cat; read -r line; echo $?");
  await command.ended;
  assertEquals(command.text().trim().split(/\s+/), ["0", "1"]);
});

Deno.test("a command runs in its folder, with the environment of the worker and its own", async () => {
  using folder = tempFolder();
  Deno.mkdirSync(folder.file("a b'c"));
  const cwd = Deno.realPathSync(folder.file("a b'c"));
  const command = start('pwd; printf "%s\\n" "$MINE" "${PATH:+inherited}"', {
    cwd,
    env: { MINE: "x  y='z'\nü" },
  });
  await command.ended;
  assertEquals(command.text(), `${cwd}\nx  y='z'\nü\ninherited\n`);
});

Deno.test("a command may hold whatever a shell understands", async () => {
  const command = start(
    "for i in 1 2 3; do echo \"$i 'x' $(echo y)\"; done | tail -n 1 && echo 'ü' # end",
  );
  assertEquals(await command.ended, { kind: "exited", code: 0 });
  assertEquals(command.text(), "3 'x' y\nü\n");
});

Deno.test("a folder that is gone is an error that names it", () => {
  for (const shell of SHELLS) {
    const buffer = new OutputBuffer(1024);
    const error = assertThrows(
      () => startCommand(runOf("true", { cwd: "/no/such/folder" }), shell, buffer, () => {}),
      Error,
    );
    assertStringIncludes(error.message, "/no/such/folder");
  }
});

Deno.test("the programs that start commands are looked for in the path, and may be missing", () => {
  using folder = tempFolder();
  assertEquals(findShell(""), { sh: "sh", setsid: null });
  assertEquals(findShell(`relative:${folder.path}:/no/such`), { sh: "sh", setsid: null });
  Deno.writeTextFileSync(folder.file("sh"), "");
  Deno.mkdirSync(folder.file("setsid"));
  assertEquals(findShell(`/no/such:${folder.path}`), { sh: folder.file("sh"), setsid: null });
});
