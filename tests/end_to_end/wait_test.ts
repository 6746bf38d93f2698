import { assert, assertEquals, assertMatch } from "@std/assert";
import { Cli, waitUntil } from "../helpers/cli.ts";

const UNTIL_GO = "until [ -e go ]; do sleep 0.02; done";
const ONE_AFTER_ANOTHER = 4;

/** Whether a process watches for changes of any file. */
function watches(pid: number): boolean {
  const folder = `/proc/${pid}/fdinfo`;
  try {
    return [...Deno.readDirSync(folder)].some(({ name }) =>
      /^inotify wd/m.test(Deno.readTextFileSync(`${folder}/${name}`))
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false; // one was closed just now
    throw error;
  }
}

Deno.test("wait returns the highest exit code of several jobs, and says how each one ended", async () => {
  await using cli = new Cli();
  await cli.enqueue(
    { id: "seven", command: `${UNTIL_GO}; exit 7`, max_retries: 1 },
    { id: "fine", command: "true" },
    { id: "three", command: "exit 3", max_retries: 1 },
  );
  const wait = cli.spawn(["wait", "three", "seven", "fine"]);
  const worker = await cli.startWorker("--count", "3");
  await worker.event("completed", "fine");
  await waitUntil(() => wait.stdout === "three dead\n", "the end of the first one");
  assertEquals(wait.ended, false);
  cli.write("go");
  const { code, stdout, stderr } = await wait.result;
  assertEquals([code, stdout, stderr], [7, "three dead\nseven dead\nfine completed\n", ""]);
  assertEquals((await cli.run(["wait", "fine"])).code, 0);
});

Deno.test("wait returns 124 for a job that timed out, 143 for one ended by TERM, 125 for one cancelled before it ran", async () => {
  await using cli = new Cli();
  await cli.ok("config", "set", "max_retries", "1");
  await cli.enqueue(
    { id: "slow", command: "sleep 1000", timeout: "100ms" },
    { id: "killed", command: "kill -TERM $$" },
    { id: "unwanted", command: "true" },
  );
  await cli.ok("cancel", "unwanted");
  await cli.drain();
  const codes = ["slow", "killed", "unwanted"].map(async (id) =>
    (await cli.run(["wait", id])).code
  );
  assertEquals(await Promise.all(codes), [124, 143, 125]);
});

Deno.test("wait --all waits for every job that has not ended, and does not count those that have", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "before", command: "exit 9", max_retries: 1 });
  await cli.drain();
  await cli.enqueue(
    { id: "running", command: `echo x > started; ${UNTIL_GO}; exit 3`, max_retries: 1 },
    { id: "next", command: "true" },
    { id: "blocked", command: "true", after: "next" },
  );
  await cli.startWorker();
  await cli.linesOnce("started", 1);
  const wait = cli.spawn(["wait", "--all"]);
  await waitUntil(() => watches(wait.pid), "it to know the jobs and to wait");
  cli.write("go");
  const { code, stdout } = await wait.result;
  assertEquals([code, stdout.trim().split("\n").sort()], [
    3,
    ["blocked completed", "next completed", "running dead"],
  ]);
});

Deno.test("wait --all where nothing is unfinished returns 0 at once, and makes no store", async () => {
  await using cli = new Cli();
  const { code, stdout } = await cli.run(["wait", "--all"]);
  assertEquals([code, stdout], [0, ""]);
  assertEquals([...Deno.readDirSync(cli.folder)], []);
});

Deno.test("wait --timeout gives up with 124, says which job it was, and leaves it alone", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "first", command: "true" }, { id: "second", command: "true" });
  const before = await cli.listing();
  const { code, stdout, stderr } = await cli.run(["wait", "first", "second", "--timeout", "300ms"]);
  assertEquals([code, stdout], [124, ""]);
  assertMatch(stderr, /^[^\n]*300ms[^\n]*first[^\n]*pending\n$/);
  assertEquals(await cli.listing(), before);
});

Deno.test("wait --timeout that is long enough changes nothing about the exit code", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "job", command: "exit 5", max_retries: 1 });
  await cli.startWorker();
  assertEquals((await cli.run(["wait", "job", "--timeout", "1m"])).code, 5);
});

Deno.test("wait refuses an unknown job with 1 and a wrong request with 2, without waiting for the others", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "pending", command: "true" });
  const code = async (...args: string[]) => (await cli.run(["wait", ...args])).code;
  assertEquals(await code("pending", "nosuchjob"), 1);
  for (
    const args of [[], ["--all", "pending"], ["pending", "--timeout", "soon"], ["pending", "--foo"]]
  ) {
    assertEquals(await code(...args), 2, args.join(" "));
  }
});

Deno.test("wait takes unique prefixes, and the same job twice", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "job-one", command: "exit 3", max_retries: 1 }, {
    id: "job-two",
    command: "true",
  });
  await cli.drain();
  const { code, stdout } = await cli.run(["wait", "job-o", "job-one"]);
  assertEquals([code, stdout], [3, "job-one dead\n"]);
  assertEquals((await cli.run(["wait", "job-"])).code, 2, "ambiguous");
});

Deno.test("wait does not take a failed attempt for the end of the job", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "job", command: "[ -e fixed ]", max_retries: 1000, backoff_base: 1 });
  const worker = await cli.startWorker();
  const wait = cli.spawn(["wait", "job"]);
  await worker.event("failed", "job", 2);
  assertEquals(wait.ended, false);
  cli.write("fixed");
  assertEquals((await wait.result).code, 0);
});

Deno.test("wait returns 125 for a job that is deleted meanwhile, and for one that is cancelled", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "done", command: "true" });
  await cli.drain();
  for (const verb of ["delete", "cancel"]) {
    await cli.enqueue({ id: "job", command: "true" });
    const wait = cli.spawn(["wait", "done", "job"]);
    await waitUntil(() => wait.stdout === "done completed\n", "it to wait for the other one");
    await cli.ok(verb, "job");
    assertEquals((await wait.result).code, 125, verb);
  }
});

Deno.test("wait returns soon after each end", async () => {
  await using cli = new Cli();
  const worker = await cli.startWorker("--poll", "1h");
  for (let i = 0; i < ONE_AFTER_ANOTHER; i++) {
    const wait = cli.spawn([
      "wait",
      await cli.ok("enqueue", `until [ -e go${i} ]; do sleep 0.02; done`),
    ]);
    // Long enough for it to have looked in vain.
    const { at } = await worker.event("claimed");
    await waitUntil(() => Date.now() - Date.parse(at) > 400, "a moment to pass");
    assertEquals(wait.ended, false);
    cli.write(`go${i}`);
    const before = performance.now();
    assertEquals((await wait.result).code, 0);
    const took = performance.now() - before;
    assert(took < 2000, `took ${took} ms`);
  }
});

Deno.test("wait --json prints the jobs as they ended", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "a", command: "true" }, { id: "b", command: "exit 2", max_retries: 1 });
  await cli.drain();
  const { code, stdout } = await cli.run(["wait", "a", "b", "--json"]);
  assertEquals([code, JSON.parse(stdout)], [2, await cli.json("list")]);
});

Deno.test("Ctrl-C ends a wait and leaves the job alone", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "done", command: "true" });
  await cli.drain();
  await cli.enqueue({ id: "job", command: "true" });
  const wait = cli.spawn(["wait", "done", "job"]);
  await waitUntil(() => wait.stdout !== "", "it to wait for the other one");
  wait.signal("SIGINT");
  assertEquals((await wait.result).code, 130);
  assertEquals((await cli.show("job")).state, "pending");
});
