import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Hook, Hooks } from "../../src/worker/hooks.ts";
import { identify } from "../../src/worker/processes.ts";
import { findShell } from "../../src/worker/shell.ts";
import { eventually } from "../helpers/eventually.ts";
import { tempFolder } from "../helpers/store.ts";

/** Hooks that run in a folder of their own, with the warnings that they give. */
function hooksIn(said: { timeoutMs?: number; shell?: ReturnType<typeof findShell> } = {}) {
  const folder = tempFolder();
  const warnings: string[] = [];
  const hooks = new Hooks({
    shell: findShell(),
    report(event) {
      assertEquals(event.event, "warning");
      if (event.event === "warning") warnings.push(event.message);
    },
    ...said,
  });
  return {
    hooks,
    warnings,
    /** Runs a command that finds the folder in $DIR. */
    run(command: string, { env, ...hook }: Partial<Hook> = {}) {
      const named = { name: "hook_completed", command, input: "", ...hook };
      hooks.run({ ...named, env: { DIR: folder.path, ...env } });
    },
    files: () => [...Deno.readDirSync(folder.path)].map(({ name }) => name).sort(),
    /** What is in a file; nothing if it is not there. */
    read(name: string) {
      return this.files().includes(name) ? Deno.readTextFileSync(folder.file(name)) : "";
    },
    write: (name: string) => Deno.writeTextFileSync(folder.file(name), ""),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

const WAIT_FOR_GO = 'while [ ! -e "$DIR/go" ]; do sleep 0.01; done';

Deno.test("failure 36: a hook gets its variables and its input as they are, and none of it is executed", async () => {
  using place = hooksIn();
  const nasty = 'it\'s "so"\n$(touch "$DIR/x") `touch x`; touch $DIR/x & \\ ü €';
  place.run('printf %s "$SAID" > "$DIR/env"; cat > "$DIR/stdin"', {
    env: { SAID: nasty },
    input: nasty,
  });
  await place.hooks.finished();
  assertEquals(place.read("env"), nasty);
  assertEquals(place.read("stdin"), nasty);
  assertEquals(place.files(), ["env", "stdin"]);
  assertEquals(place.warnings, []);
});

Deno.test("a hook runs in the root folder, and may print what it likes to stdout", async () => {
  using place = hooksIn();
  place.run('pwd > "$DIR/pwd"; head -c 300000 /dev/zero; echo fine >&2');
  await place.hooks.finished();
  assertEquals(place.read("pwd"), "/\n");
  assertEquals(place.warnings, []);
});

Deno.test("a hook that fails is reported with its job, how it ended and its last words", async () => {
  const cases: [string, Partial<Hook>, string][] = [
    [
      "echo first >&2; echo out; printf 'no \\033[1m\"way\"\\n\\n' >&2; exit 3",
      { env: { QUEUECTL_JOB_ID: "job-1" } },
      'The hook_completed of job job-1 failed: exit code 3, "no \\u001b[1m\\"way\\""',
    ],
    ["exit 4", { name: "hook_idle" }, "The hook_idle failed: exit code 4"],
    ["kill -KILL $$", {}, "The hook_completed failed: ended by SIGKILL"],
    [
      "printf '10%%\\r90%%\\rbroken' >&2; exit 5",
      {},
      'The hook_completed failed: exit code 5, "broken"',
    ],
  ];
  for (const [command, hook, warning] of cases) {
    using place = hooksIn();
    place.run(command, hook);
    await place.hooks.finished();
    assertEquals(place.warnings, [warning]);
  }
});

Deno.test("of a flood on stderr the end of the last line is reported, in short", async () => {
  using place = hooksIn();
  place.run("head -c 1000000 /dev/zero | tr '\\0' 'ü' >&2; echo ' the end' >&2; exit 1");
  await place.hooks.finished();
  const [warning] = place.warnings;
  assert(warning!.endsWith(' the end"'), warning);
  assert(warning!.length < 300, warning);
});

Deno.test("a megabyte of input comes whole, and may as well be left unread", async () => {
  using place = hooksIn();
  const input = "0123456789abcde\n".repeat(65_536);
  place.run('cat > "$DIR/stdin"', { input });
  place.run("exit 6", { input });
  place.run("exec <&-; sleep 0.1", { input });
  place.run('read -r line; echo "$line" > "$DIR/line"', { input });
  await place.hooks.finished();
  assert(place.read("stdin") === input);
  assertEquals(place.read("line"), "0123456789abcde\n");
  assertEquals(place.warnings, ["The hook_completed failed: exit code 6"]);
});

Deno.test("a hook that takes too long is ended with all that it has started", async () => {
  using place = hooksIn({ timeoutMs: 500 });
  place.run(
    'trap \'\' TERM; sleep 60 & echo $! > "$DIR/child"; echo $$ > "$DIR/self"; ' +
      "echo waiting >&2; while :; do sleep 0.05; done",
    { input: "never read".repeat(100_000) },
  );
  await place.hooks.finished();
  assertEquals(place.warnings, ['The hook_completed failed: timed out after 0.5 s, "waiting"']);
  for (const name of ["self", "child"]) {
    const pid = Number(place.read(name));
    assert(pid > 0);
    await eventually(() => identify(pid) === null);
  }
});

Deno.test("a process in the background does not hold a hook, nor live on", async () => {
  using place = hooksIn();
  place.run('sleep 60 & echo $! > "$DIR/child"');
  await place.hooks.finished();
  const child = Number(place.read("child"));
  assert(child > 0);
  await eventually(() => identify(child) === null);
  assertEquals(place.warnings, []);
});

Deno.test("four hooks run at once, and never more", async () => {
  using place = hooksIn();
  const count = (what: string) => `$(ls "$DIR" | grep -c ${what})`;
  const command = `touch "$DIR/began.$$" "$DIR/runs.$$"
    while [ ${count("began")} -lt 4 ]; do sleep 0.01; done
    sleep 0.05; echo ${count("runs")} >> "$DIR/counts"; rm "$DIR/runs.$$"`;
  for (let i = 0; i < 12; i++) place.run(command);
  await place.hooks.finished();
  const counts = place.read("counts").trim().split("\n").map(Number);
  assertEquals(counts.length, 12);
  assertEquals(counts.filter((count) => count > 4), []);
});

Deno.test("hooks that wait run in the order in which they came", async () => {
  using place = hooksIn();
  for (let i = 0; i < 3; i++) place.run(WAIT_FOR_GO);
  for (let i = 1; i <= 6; i++) place.run(`sleep 0.0${7 - i}; echo ${i} >> "$DIR/order"`);
  place.run('touch "$DIR/go"');
  await place.hooks.finished();
  assertEquals(place.read("order"), "1\n2\n3\n4\n5\n6\n");
});

Deno.test("a flood of hooks is bounded, with one warning, until it has been worked off", async () => {
  using place = hooksIn();
  for (let i = 0; i < 4; i++) place.run(WAIT_FOR_GO);
  for (let i = 0; i < 1000; i++) place.run('echo kept >> "$DIR/ran"');
  assertEquals(place.warnings, []);
  const warning = "Cannot keep up with the hooks: 1000 wait, the newest are dropped";
  for (let i = 0; i < 50; i++) place.run('echo dropped >> "$DIR/ran"');
  assertEquals(place.warnings, [warning]);
  place.write("go");
  await place.hooks.finished();
  assertEquals(place.read("ran"), "kept\n".repeat(1000));

  for (let i = 0; i < 1010; i++) place.run("sleep 60");
  place.hooks.end();
  await place.hooks.finished();
  assertEquals(place.warnings, [warning, warning]);
});

Deno.test("the end kills what runs, drops what waits and takes nothing more, in silence", async () => {
  using place = hooksIn();
  const stubborn = "trap '' TERM; sleep 60 & echo $! > \"$DIR/$NAME\"; wait; sleep 60";
  const names = ["a", "b", "c", "d", "e"];
  for (const name of names) place.run(stubborn, { env: { NAME: name } });
  const started = () => names.slice(0, 4).map((name) => parseInt(place.read(name)));
  await eventually(() => started().every((pid) => pid > 0));
  place.hooks.end();
  place.run('touch "$DIR/late"');
  for (const pid of started()) await eventually(() => identify(pid) === null);
  await place.hooks.finished();
  assertEquals(place.files(), ["a", "b", "c", "d"]);
  assertEquals(place.warnings, []);
});

Deno.test("a shell that cannot be started is reported, for each hook", async () => {
  using place = hooksIn({ shell: { sh: "/no/such/shell", setsid: null } });
  for (let i = 0; i < 6; i++) place.run("true", { env: { QUEUECTL_JOB_ID: `job-${i}` } });
  await place.hooks.finished();
  assertEquals(place.warnings.length, 6);
  place.warnings.forEach((warning, i) => {
    const start = `The hook_completed of job job-${i} failed: it could not be started: `;
    assertStringIncludes(warning, start);
    assertStringIncludes(warning, "/no/such/shell");
  });
});

Deno.test("a hook that cannot be started does not hold those that wait", async () => {
  using place = hooksIn();
  for (let i = 0; i < 4; i++) place.run(WAIT_FOR_GO);
  for (let i = 0; i < 6; i++) place.run("true", { env: { BAD: "\0" } });
  place.run('touch "$DIR/next"');
  place.write("go");
  await place.hooks.finished();
  assertEquals(place.files(), ["go", "next"]);
  assertEquals(place.warnings.length, 6);
});

Deno.test("hooks are finished when there were none", async () => {
  using place = hooksIn();
  await place.hooks.finished();
  place.hooks.end();
  await place.hooks.finished();
});
