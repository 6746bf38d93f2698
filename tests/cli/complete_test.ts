import { assertEquals } from "@std/assert";
import { Command } from "@cliffy/command";
import {
  ARGUMENTS,
  type Candidate,
  complete,
  type Names,
  unquoted,
} from "../../src/cli/complete.ts";
import { program } from "../../src/cli/program.ts";
import { JOB_STATES } from "../../src/job.ts";
import { SETTING_NAMES } from "../../src/settings.ts";
import { commandsBelow, InProcess } from "../helpers/in_process.ts";

const TREE = new Command()
  .name("queuectl")
  .globalOption("--db <path:string>", "The store.")
  .globalOption("--json", "Print JSON.")
  .command("list", "List jobs.")
  .option("-s, --state <state:string>", "Only in this state.")
  .option("--queue <name:string>", "Only of this queue.")
  .option("--search <text:string>", "Only with this text.")
  .command("status", "Count jobs.")
  .command("show <id:string>", "Show a job.")
  .command("cancel [ids...:string]", "Cancel jobs.")
  .command("retry [ids...:string]", "Run jobs again.")
  .command("complete", "For shells.").hidden()
  .command("enqueue [words...:string]", "Add a job.")
  .option("--after <id:string>", "Run after this job.")
  .option("--if-exists <what:string>", "What to do.")
  .command("help [command...:string]", "Show help.")
  .command("completions <shell:string>", "For shells.")
  .command(
    "config",
    new Command().description("The settings.")
      .command("get [key:string]", "Show settings.")
      .command("set [key:string] [value:string]", "Change a setting.").reset(),
  )
  .command(
    "dlq",
    new Command().description("Dead jobs.").command("retry [ids...:string]", "Retry.").reset(),
  )
  .command(
    "queue",
    new Command().description("Queues.").command("limit <name:string> <n:string>", "Limit.")
      .reset(),
  )
  .command(
    "schedule",
    new Command().description("Schedules.")
      .command("add <name:string> [words...:string]", "Add one.")
      .command("remove <name:string>", "Remove one.").reset(),
  )
  .reset();

const JOBS = { waits: "pending", runs: "processing", done: "completed", died: "dead" };

/** One store in which every job, queue and schedule has the store's name in front. */
function namesIn(db = "own"): Names {
  const words = (names: string[]) => Promise.resolve(names.map((name) => ({ word: db + name })));
  return {
    jobs: (states) =>
      words(
        Object.entries(JOBS).filter(([, state]) => states?.some((each) => each === state) ?? true)
          .map(([id]) => `-${id}`),
      ),
    queues: () => words(["-default", "-mail"]),
    schedules: () => words(["-nightly"]),
  };
}

/** What is offered at the end of a command line of words that a space separates. */
async function offered(line: string): Promise<string[]> {
  return (await candidates(line)).map(({ word }) => word);
}

function candidates(line: string): Promise<Candidate[]> {
  return complete(TREE, line.split(" "), namesIn);
}

const ALL_JOBS = ["own-waits", "own-runs", "own-done", "own-died"];

Deno.test("complete() offers commands and subcommands with what they do, but no hidden ones", async () => {
  assertEquals(await candidates("sho"), [{ word: "show", help: "Show a job." }]);
  assertEquals(await offered("comp"), ["completions"]);
  assertEquals(await offered("config "), ["get", "set"]);
  assertEquals(await offered("--json config s"), ["set"]);
  assertEquals((await offered("")).includes("list"), true);
});

Deno.test("complete() offers the options of the command, its own before those of every command", async () => {
  assertEquals(await offered("list -"), [
    ...["-s", "--state", "--queue", "--search"],
    ...["--db", "--json"],
  ]);
  assertEquals(await offered("list --s"), ["--state", "--search"]);
  assertEquals(await offered("--d"), ["--db"]);
  assertEquals(await candidates("list --sta"), [{ word: "--state", help: "Only in this state." }]);
});

Deno.test("complete() offers options where no other word can stand", async () => {
  assertEquals(await offered("status "), ["--db", "--json"]);
  assertEquals(await offered("show own-runs "), ["--db", "--json"]);
});

Deno.test("complete() offers the values of an option, also behind =", async () => {
  assertEquals(await offered("list --state "), [...JOB_STATES]);
  assertEquals(await offered("list -s comp"), ["completed"]);
  assertEquals(await offered("list --state=p"), ["--state=pending", "--state=processing"]);
  assertEquals(await offered("list --queue own-m"), ["own-mail"]);
  assertEquals(await offered("list --state dead --queue=own-d"), ["--queue=own-default"]);
  assertEquals(await offered("enqueue --if-exists s"), ["skip"]);
  assertEquals(await offered("enqueue --after own-w"), ["own-waits"]);
});

Deno.test("complete() offers nothing for a value that can be any text", async () => {
  assertEquals(await offered("list --search "), []);
  assertEquals(await offered("list --search=s"), []);
  assertEquals(await offered("list --search -"), []);
  assertEquals(await offered("list --json=t"), []);
  assertEquals(await offered("schedule add "), []);
  assertEquals(await offered("queue limit own-mail "), []);
  assertEquals(await offered("config set timeout "), []);
});

Deno.test("complete() offers those jobs that the command can do something with", async () => {
  assertEquals(await offered("show "), ALL_JOBS);
  assertEquals(await offered("show own-d"), ["own-done", "own-died"]);
  assertEquals(await offered("cancel "), ["own-waits", "own-runs"]);
  assertEquals(await offered("cancel own-waits own-"), ["own-waits", "own-runs"]);
  assertEquals(await offered("retry "), ["own-died"]);
  assertEquals(await offered("dlq retry own-died "), ["own-died"]);
});

Deno.test("complete() offers queues, schedules, shells and the commands that help is about", async () => {
  assertEquals(await offered("queue limit "), ["own-default", "own-mail"]);
  assertEquals(await offered("schedule remove "), ["own-nightly"]);
  assertEquals(await offered("completions "), ["bash", "zsh", "fish"]);
  assertEquals(await offered("help sh"), ["show"]);
  assertEquals(await offered("help config "), ["get", "set"]);
  assertEquals(await offered("help nothing "), []);
});

Deno.test("complete() offers settings, spelt with - if the word is", async () => {
  assertEquals(await offered("config get "), SETTING_NAMES);
  assertEquals(await offered("config set max_"), ["max_retries"]);
  assertEquals(await offered("config set max-"), ["max-retries"]);
});

Deno.test("complete() leaves the names of files to the shell", async () => {
  const files = [{ word: "<files>" }];
  assertEquals(await candidates("--db "), files);
  assertEquals(await candidates("--db=/tm"), files);
  assertEquals(await candidates("enqueue @jo"), files);
  assertEquals(await candidates("enqueue -- convert -"), files);
  assertEquals(await candidates("schedule add nightly ./ba"), files);
});

Deno.test("complete() looks into the store that the words name", async () => {
  assertEquals(await offered("--db other show other-r"), ["other-runs"]);
  assertEquals(await offered("show --db=other other-r"), ["other-runs"]);
  assertEquals(await offered("enqueue --db other --after other-r"), ["other-runs"]);
  assertEquals(await offered("enqueue -- --db other"), ["<files>"]);
});

Deno.test("complete() takes words behind -- for arguments", async () => {
  assertEquals(await offered("show -- own-r"), ["own-runs"]);
  assertEquals(await offered("show -- -"), []);
  assertEquals(await offered("enqueue - "), ["<files>"]);
});

Deno.test("complete() offers commands where no words are given at all", async () => {
  assertEquals(await complete(TREE, [], namesIn), await complete(TREE, [""], namesIn));
});

Deno.test("unquoted() does what the shell will do with a word, finished or not", () => {
  const env = (name: string) => ({ HOME: "/home/me", TMP: "/tmp/a b" })[name];
  const words: Record<string, string> = {
    plain: "plain",
    "'two words'": "two words",
    '"two words"': "two words",
    "two\\ words": "two words",
    "'it'\\''s": "it's",
    '"it\'s \\"so\\""': 'it\'s "so"',
    '"unfinished': "unfinished",
    "'unfinished": "unfinished",
    "$TMP/x.db": "/tmp/a b/x.db",
    '"${TMP}/x.db"': "/tmp/a b/x.db",
    "'$TMP'": "$TMP",
    "\\$TMP": "$TMP",
    "$NOTHING": "",
    "~/x.db": "/home/me/x.db",
    "a~": "a~",
    "--db=$TMP": "--db=/tmp/a b",
    "": "",
  };
  const read = Object.fromEntries(Object.keys(words).map((word) => [word, unquoted(word, env)]));
  assertEquals(read, words);
});

Deno.test("every command that takes arguments says what they are", async () => {
  const root = await program(new InProcess({ folder: "/", db: "" }).app());
  const silent = [...commandsBelow(root)]
    .filter(([, command]) => command.getArguments().length > 0)
    .map(([path]) => path)
    .filter((path) => !Object.hasOwn(ARGUMENTS, path));
  assertEquals(silent, [], "name them in ARGUMENTS of src/cli/complete.ts");
});
