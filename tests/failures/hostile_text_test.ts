import { assert, assertEquals, assertMatch } from "@std/assert";
import { Cli, hasTerminals, jsonLines } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

/** What could end a statement of SQL, or be run by a shell. */
const INJECTION =
  "'); drop table jobs; --\" or 1=1 $(touch pwned) `touch pwned` ; touch pwned # %s";
/** What could act on a terminal. */
const ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b31m\u202e\u200b\r\b\t\x7f";
const HOSTILE = `${INJECTION} \\ ${ESCAPES}\nlast {} *`;

/** What may reach a terminal, besides text: line breaks, tabs and our own colours. */
// deno-lint-ignore no-control-regex -- that is the point
const OUR_OWN = /\r?\n|\t|\x1b\[\d{0,2}(;\d{1,3})*m/g;
// deno-lint-ignore no-control-regex -- that is the point
const HARMFUL = /[\x00-\x1f\x7f-\x9f\u200b\u202e]/;

// deno-lint-ignore no-control-regex -- that is the point
const HARMFUL_IN_JSON = /[\x00-\x09\x0b-\x1f\x7f-\x9f]/;

/** Two jobs, one that has died, with hostile text wherever there can be any. */
async function hostileCli(): Promise<Cli> {
  const cli = new Cli();
  const folder = cli.path(`a folder ${ESCAPES}`);
  Deno.mkdirSync(folder);
  const said = { key: HOSTILE, env: { HOSTILE }, cwd: folder, max_retries: 1 };
  await cli.enqueue(
    { id: "dead", command: `echo "${ESCAPES}"; exit 1 # ${INJECTION} ${ESCAPES}`, ...said },
    { id: "waits", command: `: ${ESCAPES}`, after: ["dead"], ...said, key: `${HOSTILE}2` },
  );
  await cli.ok("queue", "pause", "other", "--reason", HOSTILE);
  const words = ["--cron", "@daily", "--key", `${HOSTILE}3`, "--", "echo", HOSTILE];
  await cli.ok("schedule", "add", "daily", ...words);
  await cli.ok("config", "set", "hook_dead", `: ${HOSTILE}`);
  return cli;
}

Deno.test("failure 36: hostile text in words and the environment of a job reaches its command as it is", async () => {
  await using cli = new Cli();
  const env = ["--env", `HOSTILE=${HOSTILE}`];
  await cli.ok("enqueue", "--id", "words", "--", "printf", "%s", HOSTILE);
  await cli.ok("enqueue", "--id", "env", ...env, 'printf %s "$HOSTILE"');
  await cli.ok("enqueue", "--id", "name", ...env, "--key", HOSTILE, "printf %s $QUEUECTL_JOB_ID");
  assertEquals(await cli.drain(), 0);
  for (const [id, printed] of [["words", HOSTILE], ["env", HOSTILE], ["name", "name"]] as const) {
    assertEquals((await cli.run(["logs", id])).stdout, printed);
  }
  const list = await cli.json("list");
  assertEquals(list.find(({ id }: { id: string }) => id === "name").key, HOSTILE);
  assertEquals([...Deno.readDirSync(cli.folder)].map(({ name }) => name), ["store"]);
  await assertSound(cli, ["words", "env", "name"]);
});

Deno.test("failure 36: hostile text where a job, a queue, a tag or a schedule is named is neither SQL nor a pattern", async () => {
  await using cli = new Cli();
  await cli.enqueue({ id: "job", command: "true", tags: ["t"], delay: "1h" });
  const before = await cli.listing();
  const always = "x' or '1'='1";
  for (const text of [always, "%", "j_b", "') or 1=1 --", HOSTILE]) {
    const commands = [["show"], ["logs"], ["cancel"], ["retry"], ["delete", "--yes"], ["wait"]];
    await Promise.all(commands.map(async (command) => {
      const { code, stdout, stderr } = await cli.run([...command, text]);
      assertEquals([code === 0, stdout], [false, ""], `${command} ${text}`);
      assertMatch(stderr, /^[^\n]+\n$/);
      assert(!HARMFUL.test(stderr.replace(OUR_OWN, "")), stderr);
    }));
  }
  for (const text of [always, "%", "') or 1=1 --"]) {
    for (const filter of ["--queue", "--tag", "--search"]) {
      assertEquals(await cli.json("list", filter, text), [], `${filter} ${text}`);
    }
    for (const command of ["cancel", "delete"]) {
      for (const filter of ["--queue", "--tag"]) {
        await cli.run([command, filter, text, "--yes"]);
      }
    }
    for (const words of [["queue", "pause"], ["schedule", "remove"], ["dlq", "purge", "--yes"]]) {
      assertEquals((await cli.run([...words, text])).code === 0, false);
    }
  }
  for (const option of ["--id", "--tag", "--queue"]) {
    const { code, stderr } = await cli.run(["enqueue", option, HOSTILE, "true"]);
    assertEquals(code, 2);
    assert(!HARMFUL.test(stderr.replace(OUR_OWN, "")), stderr);
  }
  assertEquals(await cli.listing(), before);
  await assertSound(cli, ["job"]);
});

Deno.test({
  name: "failure 36: no escape sequence of a job reaches the terminal of who looks or works",
  ignore: !hasTerminals,
  async fn() {
    await using cli = await hostileCli();
    const looks = [
      ["worker", "start", "--drain", "--verbose"],
      ...[["list"], ["show", "dead"], ["show", "waits"], ["status"], ["dlq", "list"], ["events"]],
      ...[["queue", "list"], ["schedule", "list"], ["config", "get"]],
      ...[["doctor"], ["wait", "dead"], ["retry", HOSTILE], ["show", HOSTILE]],
      ["enqueue", "--key", `${HOSTILE}2`, `: ${HOSTILE}`],
      ["complete", "--", "show", ""],
    ];
    let printed = "";
    for (const look of looks) {
      const { stdout } = await cli.spawnOnTerminal(look, "").result;
      const rest = stdout.replace(OUR_OWN, "");
      assert(!HARMFUL.test(rest), `${look.join(" ")}: ${JSON.stringify(rest)}`);
      printed += stdout;
    }
    assert(printed.includes("\\e]0;owned\\x07\\e[2J"), "it is shown in a way that is harmless");
    assert(printed.includes("\x1b["), "these were no terminals");
    assertEquals((await cli.show("dead")).state, "dead");
    await assertSound(cli);
  },
});

Deno.test("failure 36: no escape sequence is left as it is in JSON, which may end up on a terminal too", async () => {
  await using cli = await hostileCli();
  const worker = await cli.run(["worker", "start", "--drain", "--verbose", "--json"]);
  const printed = [worker.stdout];
  for (const look of [["list"], ["show", "dead"], ["events"], ["queue", "list"]]) {
    printed.push((await cli.run([...look, "--json"])).stdout);
  }
  for (const text of printed) {
    assert(!HARMFUL_IN_JSON.test(text), JSON.stringify(text));
    for (const { key } of jsonLines(text).flat()) if (key) assert(key.startsWith(HOSTILE));
  }
});
