import { assert, assertEquals, assertMatch } from "@std/assert";
import type { AnyCommand } from "../../src/cli/app.ts";
import { program } from "../../src/cli/program.ts";
import { Cli } from "../helpers/cli.ts";
import { commandsBelow, InProcess } from "../helpers/in_process.ts";

const BAD_REQUEST = 2;
const HUGE = "9".repeat(30);

const NO_NUMBERS = ["", " ", "x", "NaN", "Infinity", "1e99", "1,5", "-0x1", "٣", HUGE];
const NO_NAMES = ["", " ", "a b", "-a", "a/b", "ä", "a\nb", "\x1b[31m", "'--", "x".repeat(65)];

/** What no option accepts whose value has this name in the help. */
const BAD_VALUES: Record<string, string[]> = {
  n: NO_NUMBERS,
  seq: NO_NUMBERS,
  seconds: NO_NUMBERS,
  duration: [...NO_NUMBERS, "-1", "1 h", "1w", `${HUGE}d`],
  time: ["", " ", "soon", "2026-02-30", "2026-01-01T25:00Z", "-1", HUGE],
  codes: ["", "x", "256", "-1", "1.5", "1,,2", HUGE],
  state: ["", "frozen", "pending,frozen", "PENDING "],
  name: NO_NAMES,
  names: NO_NAMES,
  tag: NO_NAMES,
  id: NO_NAMES,
  what: ["", "sometimes"],
  policy: ["", "sometimes"],
  zone: ["", "Europe/Atlantis"],
  expression: ["", "* * * *", "61 * * * *", "0 0 30 2 *", "@sometimes"],
  assignment: ["", "=value", "SURELY_NOT_SET"],
  command: ["", " \n"],
  folder: ["", " "],
};

/** These look for what has a name, and for a name that nothing can have they find nothing. */
const LOOKING = ["list", "cancel", "retry", "delete", "prune"];

/** Values of which any text will do, be it empty. */
const ANYTHING = ["text", "path"];

/** Words with which a command would do something, were it not for what is wrong. */
const WORDS: Record<string, string[]> = {
  "enqueue": ["true"],
  "run": ["true"],
  "worker": ["--drain"],
  "worker start": ["--drain"],
  "show": ["job"],
  "logs": ["job"],
  "wait": ["job"],
  "cancel": ["--yes"],
  "retry": [],
  "delete": ["--yes"],
  "prune": ["--yes"],
  "dlq retry": ["--all"],
  "dlq purge": ["--all", "--yes"],
  "queue pause": ["q"],
  "queue resume": ["default"],
  "queue limit": ["q", "1"],
  "schedule add": ["s", "true", "--cron", "@daily"],
  "schedule remove": ["s"],
  "schedule pause": ["s"],
  "schedule resume": ["s"],
  "config set": ["max_retries", "5"],
  "config unset": ["max_retries"],
  "backup": ["copy.db"],
  "completions": ["bash"],
};

/** Where one option would get in the way of another one that is tried. */
function wordsFor(path: string, option?: string): string[] {
  const words = WORDS[path] ?? [];
  if (option === "--cron") return words.filter((word) => word !== "--cron" && word !== "@daily");
  return option === "--command" ? words.filter((word) => word !== "true") : words;
}

/** Asserts that a request is refused in one harmless sentence. */
async function assertRefuses(inProcess: InProcess, args: string[]) {
  const { code, out, err } = await inProcess.run(args);
  const about = JSON.stringify(args);
  assertEquals(code, BAD_REQUEST, `exit code of ${about}: ${err}`);
  assertEquals(out, "", `stdout of ${about}`);
  assertMatch(err, /^[^\n]{1,500}\n$/, `stderr of ${about}`);
  // deno-lint-ignore no-control-regex -- that is the point
  assert(!/[\x00-\x09\x0b-\x1f\x7f]/.test(err), `control characters on stderr of ${about}`);
  assert(!/Unexpected failure/.test(err), `${about}: ${err}`);
}

/** Refuses what `requests` makes of each command, and asserts that the store has not changed. */
async function refusesAll(
  requests: (path: string, command: AnyCommand) => string[][],
): Promise<number> {
  await using cli = new Cli();
  await cli.enqueue({ id: "job", command: "true", delay: "1h", tags: ["t"] });
  const contents = async () => [
    ...[await cli.listing(), await cli.ok("config", "get"), await cli.ok("events", "--json")],
    ...[await cli.ok("queue", "list"), await cli.ok("schedule", "list")],
    ...[...Deno.readDirSync(cli.folder)].map(({ name }) => name),
  ];
  const before = await contents();
  const inProcess = new InProcess({ folder: cli.folder, db: cli.db });
  const root = await program(inProcess.app());
  let tried = 0;
  for (const [path, command] of commandsBelow(root)) {
    for (const request of requests(path, command)) {
      await assertRefuses(inProcess, [...path.split(" "), ...request]);
      tried++;
    }
  }
  assertEquals(await contents(), before);
  return tried;
}

Deno.test("failure 35: every command refuses an option that it does not know, and changes nothing", async () => {
  const tried = await refusesAll((path) => [
    [...wordsFor(path), "--surely-unknown"],
    ["--surely-unknown=1", ...wordsFor(path)],
    [...wordsFor(path), "-Z"],
  ]);
  assert(tried > 100, `${tried} requests`);
});

Deno.test("failure 35: every option refuses what it cannot mean, and an empty or huge value, and changes nothing", async () => {
  const tried = await refusesAll((path, command) =>
    command.getOptions().flatMap(({ flags, args }) => {
      const [value] = args;
      const flag = flags.find((each) => each.startsWith("--"))!;
      if (value === undefined || ANYTHING.includes(value.name)) return [];
      const bad = BAD_VALUES[value.name];
      assert(bad, `say what ${flag} <${value.name}> of ${path} does not accept`);
      const looksFor = LOOKING.includes(path) && bad === NO_NAMES;
      return (looksFor ? [""] : bad).map((text) => [...wordsFor(path, flag), `${flag}=${text}`]);
    })
  );
  assert(tried > 500, `${tried} requests`);
});

Deno.test("failure 35: every option that takes a value refuses to be without one", async () => {
  const tried = await refusesAll((path, command) =>
    command.getOptions().filter(({ args }) => args.length > 0)
      .map(({ flags }) => [...wordsFor(path, flags.at(-1)), flags.at(-1)!])
  );
  assert(tried > 50, `${tried} requests`);
});
