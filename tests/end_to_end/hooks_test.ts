import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  type Child,
  Cli,
  forShell,
  jsonLines,
  lives,
  type ShownEvent,
  waitUntil,
} from "../helpers/cli.ts";

/** What a hook is told in variables, a line each, and on standard input. */
function noteTo(cli: Cli, name: string): string {
  const file = cli.path(name);
  return `{ env | grep ^QUEUECTL_ | grep -v ^QUEUECTL_DB= | sort; cat; echo; } > "${file}.tmp"; ` +
    `cat "${file}.tmp" >> "${file}"; echo $QUEUECTL_HOOK >> "${cli.path("hooks")}"`;
}

function warnings(worker: Child): string[] {
  return worker.events.filter(({ event }) => event === "warning")
    .map((event: ShownEvent) => String(event.message));
}

Deno.test("hook_completed and hook_dead get the job as JSON on standard input, and variables", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "hook_completed", noteTo(cli, "completed"));
  await cli.ok("config", "set", "hook_dead", noteTo(cli, "dead"));
  await cli.enqueue(
    { id: "good", command: "exit 3", ok_codes: [3], queue: "mail", tags: ["x"] },
    { id: "bad", command: "exit 4", max_retries: 2, backoff_base: 0 },
  );
  assertEquals(await cli.drain(), 1);
  const [good, bad] = await cli.json("list");
  const json = ["completed", "dead"].map((name) => cli.lines(name).at(-1)!);
  assertEquals(json.map((line) => JSON.parse(line)), [good, bad]);
  assertEquals(cli.lines("completed").slice(0, -1), [
    ...["QUEUECTL_ATTEMPT=1", "QUEUECTL_EXIT_CODE=3", "QUEUECTL_HOOK=completed"],
    ...["QUEUECTL_JOB_ID=good", "QUEUECTL_QUEUE=mail", "QUEUECTL_STATE=completed"],
  ]);
  assertEquals(cli.lines("dead").slice(0, -1), [
    ...["QUEUECTL_ATTEMPT=2", "QUEUECTL_EXIT_CODE=4", "QUEUECTL_HOOK=dead"],
    ...["QUEUECTL_JOB_ID=bad", "QUEUECTL_QUEUE=default", "QUEUECTL_STATE=dead"],
  ]);
  assertEquals(cli.lines("hooks").sort(), ["completed", "dead"], "none for the first failure");
});

Deno.test("hook_dead is told of a job whose last worker died, and hook_completed not of a cancelled one", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "hook_completed", noteTo(cli, "completed"));
  await cli.ok("config", "set", "hook_dead", noteTo(cli, "dead"));
  const poison = 'kill -9 "$PPID"; sleep 1000';
  await cli.enqueue(
    { id: "poison", command: poison, max_retries: 1 },
    { id: "endless", command: "echo x > started; exec sleep 1000" },
  );
  await cli.run(["worker", "start"]); // until its job kills it
  const worker = await cli.startWorker();
  await cli.linesOnce("started", 1);
  await cli.ok("cancel", "endless");
  await worker.event("cancelled", "endless");
  worker.signal("SIGTERM");
  assertEquals((await worker.result).code, 0);
  const told = JSON.parse(cli.lines("dead").at(-1)!);
  assertEquals([told.id, told.state, told.last_error], ["poison", "dead", "Its worker died"]);
  assertEquals(cli.lines("hooks"), ["dead"]);
});

Deno.test("hook_idle runs once when nothing is left to run, and again when there was something again", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "hook_idle", noteTo(cli, "idle"));
  await cli.enqueue(
    { id: "a", command: "sleep 0.1" },
    { id: "b", command: "false", max_retries: 2, backoff_base: 0.3 },
    { id: "c", command: "true" },
  );
  const worker = await cli.startWorker("--count", "2", "--poll", "50ms");
  await worker.event("dead", "b");
  await cli.linesOnce("hooks", 1);
  await cli.ok("enqueue", "--id", "later", "true");
  await cli.linesOnce("hooks", 2);
  worker.signal("SIGTERM");
  assertEquals((await worker.result).code, 0);
  assertEquals(cli.lines("hooks"), ["idle", "idle"]);
  assertEquals(cli.lines("idle"), ["QUEUECTL_HOOK=idle", "QUEUECTL_HOOK=idle"], "and no input");
});

Deno.test("a hook is a shell command, but nothing of a job becomes one", async () => {
  await using cli = new Cli();
  const file = cli.path("hooks");
  const hook =
    `id=$(sed 's/.*"id":"\\([^"]*\\)".*/\\1/'); echo "$id" "$QUEUECTL_JOB_ID" >> "${file}"`;
  await cli.ok("config", "set", "hook_completed", hook);
  const pwn = `touch ${cli.path("pwned")}`;
  const harmful = [`$(${pwn})`, `\`${pwn}\``, `'; ${pwn}; '`, `"; ${pwn}; "`, `\n${pwn}\n`];
  const jobs = harmful.map((text, i) => ({
    id: `a:b.c-${i}`,
    // The job itself only prints it.
    command: `echo ${forShell([text])} # ${text.replaceAll("\n", " ")}`,
    env: { HOSTILE: text },
    tags: [`x${i}`],
  }));
  await cli.enqueue(...jobs);
  assertEquals(await cli.drain(), 0);
  assertEquals(cli.lines("hooks").sort(), jobs.map(({ id }) => `${id} ${id}`));
  const made = [...Deno.readDirSync(cli.folder)].map(({ name }) => name).sort();
  assertEquals(made, ["hooks", "store"]);
});

Deno.test("a hook that fails is reported with its job and what it said, and changes nothing about the job", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "hook_completed", "echo first >&2; echo 'no network' >&2; exit 3");
  await cli.ok("config", "set", "hook_dead", "kill -9 $$");
  await cli.ok("config", "set", "hook_idle", "/no/such/program");
  await cli.enqueue({ id: "good", command: "true" }, {
    id: "bad",
    command: "false",
    max_retries: 1,
  });
  const worker = await cli.startWorker("--drain");
  assertEquals((await worker.result).code, 1, "because of the dead job");
  const said = warnings(worker).sort();
  assertEquals(said.length, 3, said.join("\n"));
  assertMatch(said[0]!, /hook_completed .*good.* exit code 3, "no network"/);
  assertMatch(said[1]!, /hook_dead .*bad.* SIGKILL/);
  assertMatch(said[2]!, /hook_idle .* exit code 127/);
  const [good, bad] = await cli.json("list");
  assertEquals([good.state, good.attempts, good.exit_code], ["completed", 1, 0]);
  assertEquals([bad.state, bad.attempts, bad.exit_code], ["dead", 1, 1]);
  await cli.ok("enqueue", "--id", "another", "true");
  assertEquals(await cli.drain(), 0, "a hook that fails is no job that died");
});

Deno.test("a warning about a hook is a line for people, also with --quiet", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "hook_completed", "printf '\\033[31mred\\n' >&2; false");
  await cli.ok("enqueue", "--id", "job", "true");
  const { code, stdout, stderr } = await cli.run(["worker", "start", "--drain", "--quiet"]);
  assertEquals([code, stdout, stderr.trimEnd().split("\n").length], [0, "", 1]);
  assertStringIncludes(stderr, "hook_completed of job job failed");
  assert(!stderr.includes("\x1b"), stderr);
});

Deno.test("hooks that hang hold up no job, and a second signal ends them with the worker", async () => {
  await using cli = new Cli();
  const hook = `echo $$ >> "${cli.path("pids")}"; trap '' TERM; while :; do sleep 0.05; done`;
  await cli.ok("config", "set", "hook_completed", hook);
  const ids = Array.from({ length: 8 }, (_, i) => `job${i}`);
  await cli.enqueue(...ids.map((id) => ({ id, command: "true" })));
  const worker = await cli.startWorker();
  for (const id of ids) await worker.event("completed", id);
  const pids = await cli.linesOnce("pids", 1);
  assertEquals(pids.filter(lives), pids);
  await cli.ok("enqueue", "--id", "late", "true");
  await worker.event("completed", "late");

  worker.signal("SIGTERM");
  const { at } = await worker.event("stopping");
  await waitUntil(() => Date.now() - Date.parse(at) > 400, "the moment to pass");
  assertEquals(worker.ended, false);
  worker.signal("SIGTERM");
  const before = performance.now();
  assertEquals((await worker.result).code, 0);
  const took = performance.now() - before;
  assert(took < 2500, `took ${took} ms`);
  assertEquals(cli.lines("pids").filter(lives), []);
  assertEquals((await cli.json("status")).jobs.completed, 9);
});

Deno.test("worker start --drain waits for the hooks of its last jobs", async () => {
  await using cli = new Cli();
  const slow = `sleep 0.3; echo "$QUEUECTL_JOB_ID" >> "${cli.path("told")}"`;
  await cli.ok("config", "set", "hook_completed", slow);
  const ids = Array.from({ length: 6 }, (_, i) => `job${i}`);
  await cli.enqueue(...ids.map((id) => ({ id, command: "true" })));
  assertEquals(await cli.drain("--count", "3"), 0);
  assertEquals(cli.lines("told").sort(), ids);
});

Deno.test("run tells the hooks as well", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "hook_dead", noteTo(cli, "dead"));
  const { code } = await cli.run(["run", "--id", "job", "--max-retries", "1", "exit 5"]);
  assertEquals(code, 5);
  assertEquals(jsonLines(cli.lines("dead").at(-1)!)[0].id, "job");
});

Deno.test("a running worker obeys a hook that is set or unset", async () => {
  await using cli = new Cli();
  const worker = await cli.startWorker();
  const completed = async (id: string) => {
    await cli.ok("enqueue", "--id", id, "true");
    await worker.event("completed", id);
  };
  await completed("before");
  await cli.ok("config", "set", "hook_completed", noteTo(cli, "completed"));
  let count = 0;
  const isTold = async () => {
    await completed(`set${count++}`);
    return cli.lines("hooks").length > 0;
  };
  await waitUntil(isTold, "a job that is told", { timeoutMs: 3000, everyMs: 100 });
  assert(!Deno.readTextFileSync(cli.path("completed")).includes("before"));
  await cli.ok("config", "unset", "hook_completed");
  const toldOf = () => cli.lines("hooks").length;
  const isQuiet = async () => {
    const before = toldOf();
    await completed(`unset${count++}`);
    await completed(`unset${count++}`);
    return toldOf() === before;
  };
  await waitUntil(isQuiet, "a job that is not told", { timeoutMs: 3000, everyMs: 100 });
});
