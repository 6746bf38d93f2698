import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Command, ValidationError } from "@cliffy/command";
import { HelpCommand } from "@cliffy/command/help";

interface Call {
  name: string;
  options: Record<string, unknown>;
  args: unknown[];
}

/** A command line with nested commands, whose actions note their calls. */
function sampleApp() {
  const calls: Call[] = [];
  // deno-lint-ignore no-explicit-any -- the commands have different types of options
  const note = (name: string) => (options: any, ...args: unknown[]) => {
    calls.push({ name, options: { ...options }, args });
  };
  const start = new Command<{ db?: string }>()
    .description("Start workers.\nThey run until they are stopped.")
    .option("-c, --count <n:integer>", "How many.", { default: 1 })
    .action(note("start"));
  const worker = new Command<{ db?: string }>()
    .description("Run jobs.")
    .option("-c, --count <n:integer>", "How many.")
    .action(note("worker"))
    .command("start", start)
    .reset();
  const app = new Command()
    .name("app")
    .version("1.2.3")
    .description("Sample.")
    .throwErrors()
    .noExit()
    .globalOption("--db <path:string>", "The database.")
    .globalOption("-q, --quiet", "Print less.", { hidden: true })
    .command("worker", worker)
    .command("enqueue <kind:string> [words...:string]", "Add a job.")
    .alias("add")
    .option("-p, --priority <n:integer>", "First come the higher.", { default: 0 })
    .option("-t, --tag <tag:string>", "A tag.", { collect: true })
    .option("--no-retry", "Give up at the first failure.")
    .option("--dry-run", "Change nothing.")
    .action(note("enqueue"))
    .command("secret", "Not listed.")
    .hidden()
    .action(note("secret"))
    .command("idle", "Does nothing.")
    .command("help", new HelpCommand())
    .reset();
  return { app, calls };
}

async function run(...words: string[]): Promise<Call | undefined> {
  const { app, calls } = sampleApp();
  await app.parse(words);
  assert(calls.length <= 1);
  return calls[0];
}

async function mistake(...words: string[]): Promise<ValidationError> {
  const { app, calls } = sampleApp();
  const error = await assertRejects(() => app.parse(words), ValidationError);
  assertEquals(calls, []);
  assertEquals(error.exitCode, 2);
  return error;
}

async function message(...words: string[]): Promise<string> {
  return (await mistake(...words)).message;
}

/** Returns what is printed while `work` runs. */
async function printed(work: () => Promise<unknown>): Promise<string> {
  const lines: string[] = [];
  const log = console.log;
  console.log = (...values: unknown[]) => void lines.push(values.join(" "));
  try {
    await work();
  } finally {
    console.log = log;
  }
  return lines.join("\n");
}

Deno.test("global options work in front of and behind commands at every level", async () => {
  const expected = { name: "start", options: { db: "x", count: 1 }, args: [] };
  assertEquals(await run("--db", "x", "worker", "start"), expected);
  assertEquals(await run("worker", "--db", "x", "start"), expected);
  assertEquals(await run("worker", "start", "--db", "x"), expected);
  assertEquals((await run("-q", "--db=x", "worker", "start"))?.options.quiet, true);
});

Deno.test("a parent command has an action and options of its own", async () => {
  assertEquals(await run("worker", "-c", "3"), {
    name: "worker",
    options: { count: 3 },
    args: [],
  });
  assertEquals(await run("--db", "x", "worker", "-c", "3"), {
    name: "worker",
    options: { db: "x", count: 3 },
    args: [],
  });
  assertEquals(await message("worker", "-c", "3", "start"), "Too many arguments: start");
});

Deno.test("flags take values as the next word, after an equals sign or at once", async () => {
  for (const words of [["-c", "3"], ["-c3"], ["-c=3"], ["--count", "3"], ["--count=3"]]) {
    assertEquals((await run("worker", ...words))?.options, { count: 3 });
  }
});

Deno.test("a required value may begin with a dash", async () => {
  assertEquals((await run("enqueue", "mail", "--priority", "-5"))?.options.priority, -5);
  assertEquals((await run("enqueue", "mail", "--tag", "--odd"))?.options.tag, ["--odd"]);
});

Deno.test("arguments are split into required, optional and variadic ones", async () => {
  assertEquals((await run("enqueue", "mail"))?.args, ["mail"]);
  assertEquals((await run("add", "mail", "to", "-", "me"))?.args, ["mail", "to", "-", "me"]);
  assertEquals(await message("enqueue"), "Missing argument(s): kind");
  const pair = () => new Command().throwErrors().arguments("<a:string> <b:string> [c:string]");
  await assertRejects(() => pair().parse(["x"]), ValidationError, "Missing argument: b");
  await assertRejects(
    () => pair().parse(["x", "y", "z", "v", "w"]),
    ValidationError,
    "Too many arguments: v w",
  );
});

Deno.test("options have defaults, collect values and can be negated", async () => {
  assertEquals((await run("enqueue", "mail"))?.options, { priority: 0, retry: true });
  assertEquals(
    (await run("enqueue", "-t", "a", "mail", "--tag=b", "--no-retry", "--dry-run"))?.options,
    { priority: 0, retry: false, tag: ["a", "b"], dryRun: true },
  );
});

Deno.test("short flags can be joined", async () => {
  const { options } = await new Command().throwErrors()
    .option("-a, --all", "All.")
    .option("-b, --both", "Both.")
    .option("-c, --count <n:integer>", "How many.")
    .parse(["-abc", "7"]);
  assertEquals(options, { all: true, both: true, count: 7 });
});

Deno.test("an optional value that is left out is true or the default", async () => {
  const limited = () =>
    new Command().throwErrors()
      .option("--limit [n:number]", "At most.", { default: 10 })
      .option("--color [when:string]", "When.");
  assertEquals((await limited().parse(["--limit", "--color"])).options, { limit: 10, color: true });
  assertEquals((await limited().parse(["--limit", "-3"])).options, { limit: -3 });
  assertEquals((await limited().parse(["--color", "never"])).options, {
    limit: 10,
    color: "never",
  });
});

Deno.test("words after two dashes are literal", async () => {
  const { app } = sampleApp();
  let literal: string[] = [];
  app.command("exec").action(function () {
    literal = this.getLiteralArgs();
  });
  const result = await app.reset().parse(["--db", "x", "exec", "--", "ls", "-l"]);
  assertEquals(literal, ["ls", "-l"]);
  assertEquals(result.literal, ["ls", "-l"]);
});

Deno.test("unknown words are answered with the nearest known one", async () => {
  assertEquals(
    await message("worker", "--cuont", "1"),
    'Unknown option "--cuont". Did you mean option "--count"?',
  );
  assertEquals(
    await message("enqeue"),
    'Unknown command "enqeue". Did you mean command "enqueue"?',
  );
  assertEquals(
    await message("worker", "strat"),
    'Unknown command "strat". Did you mean command "start"?',
  );
});

Deno.test("mistakes are validation errors that say what is wrong", async () => {
  assertEquals(await message("worker", "-c"), 'Missing value for option "--count".');
  assertEquals(await message("enqueue", "x", "-p="), 'Missing value for option "--priority".');
  assertEquals(
    await message("worker", "-c", "x"),
    'Option "--count" must be of type "integer", but got "x".',
  );
  assertEquals(
    await message("worker", "-c", "1", "--count", "2"),
    'Option "--count" can only occur once, but was found several times.',
  );
  assertEquals(
    await message("--db", "x", "worker", "--db", "y"),
    'Option "--db" can only occur once, but was found several times.',
  );
  assertEquals(
    await message("enqueue", "x", "--dry-run=yes"),
    'Option "--dry-run" doesn\'t take a value, but got "yes".',
  );
  assertEquals(
    await message("idle", "x"),
    'No arguments allowed for command "app idle".',
  );
});

Deno.test("a validation error knows the command", async () => {
  assertEquals((await mistake("worker", "start", "x")).cmd?.getPath(), "app worker start");
});

Deno.test("arguments and options are converted to their types", async () => {
  const typed = () =>
    new Command().throwErrors()
      .option("--rate <r:number>", "Rate.")
      .option("--on <b:boolean>", "On.")
      .arguments("<n:integer> [f:number]");
  const { options, args } = await typed().parse(["--rate", "0.5", "--on", "false", "7", "1e3"]);
  assertEquals(options, { rate: 0.5, on: false });
  assertEquals([...args], [7, 1000]);
  for (const words of [["1.5"], ["1", "x"], ["1", "--on", "toString"], ["1", "--rate", "NaN"]]) {
    await assertRejects(() => typed().parse(words), ValidationError, "must be of type");
  }
});

Deno.test("options can be required, conflict with others and depend on them", async () => {
  const linked = () =>
    new Command().throwErrors()
      .option("--id <id:string>", "Id.", { required: true })
      .option("--all", "All.", { conflicts: ["id"] })
      .option("--force", "Force.", { depends: ["all"] });
  const fails = (words: string[], text: string) =>
    assertRejects(() => linked().parse(words), ValidationError, text);
  await fails([], 'Missing required option "--id".');
  await fails(["--id", "x", "--all"], 'Option "--all" conflicts with option "--id".');
  await fails(["--id", "x", "--force"], 'Option "--force" depends on option "--all".');
  assertEquals((await linked().parse(["--all", "--force"])).options as unknown, {
    all: true,
    force: true,
  });
});

Deno.test("help is printed for every command and runs no action", async () => {
  const { app, calls } = sampleApp();
  const root = await printed(() => app.parse(["--help"]));
  for (const text of ["app", "Sample.", "--db", "worker", "enqueue", "--version"]) {
    assertStringIncludes(root, text);
  }
  assert(!root.includes("secret"));
  assert(!root.includes("--quiet"));
  for (const words of [["worker", "start", "-h"], ["--db", "x", "worker", "start", "--help"]]) {
    const help = await printed(() => sampleApp().app.parse(words));
    for (const text of ["start", "Start workers.", "--count", "--db", "They run"]) {
      assertStringIncludes(help, text);
    }
  }
  assertStringIncludes(await printed(() => sampleApp().app.parse(["enqueue", "-h"])), "kind");
  assertEquals(calls, []);
});

Deno.test("help cannot be combined with other options", async () => {
  assertEquals(
    await message("worker", "-c", "1", "--help"),
    'Option "--help" cannot be combined with other options.',
  );
});

Deno.test("the version is printed by the main command only", async () => {
  assertEquals(await printed(() => sampleApp().app.parse(["-V"])), "1.2.3");
  assertStringIncludes(await printed(() => sampleApp().app.parse(["--version"])), "1.2.3");
  assertStringIncludes(await message("worker", "-V"), 'Unknown option "-V".');
});

Deno.test("the help command shows the help of one command", async () => {
  assertStringIncludes(await printed(() => sampleApp().app.parse(["help"])), "Sample.");
  assertStringIncludes(await printed(() => sampleApp().app.parse(["help", "worker"])), "Run jobs.");
  assertEquals(
    await message("help", "enqeue"),
    'Unknown command "enqeue". Did you mean command "enqueue"?',
  );
  assertEquals(await message("help", "worker", "start"), "Too many arguments: start");
});

Deno.test("a command without an action does nothing", async () => {
  assertEquals(await printed(() => sampleApp().app.parse(["idle"])), "");
});

Deno.test("errors of an action are passed on", async () => {
  const failing = () =>
    new Command().throwErrors().action(() => {
      throw new TypeError("broken");
    });
  await assertRejects(() => failing().parse([]), TypeError, "broken");
  const refusing = new Command().throwErrors().action(() => {
    throw new ValidationError("no", { exitCode: 3 });
  });
  const error = await assertRejects(() => refusing.parse([]), ValidationError, "no");
  assertEquals(error.exitCode, 3);
});

Deno.test("a command can be inspected", () => {
  const { app } = sampleApp();
  assertEquals(app.getName(), "app");
  assertEquals(app.getDescription(), "Sample.");
  const names = app.getCommands().map((cmd) => cmd.getName());
  assertEquals(names, ["worker", "enqueue", "idle", "help"]);
  assertEquals(app.getCommand("secret"), undefined);
  assertEquals(app.getCommand("secret", true)?.getPath(), "app secret");
  const enqueue = app.getCommand("add");
  assertEquals(enqueue?.getPath(), "app enqueue");
  assertEquals(
    enqueue?.getArguments().map(({ name, optional, variadic }) => [name, optional, variadic]),
    [
      ["kind", false, false],
      ["words", true, true],
    ],
  );
  const start = app.getCommand("worker")?.getCommand("start");
  assertEquals(start?.getOptions().map((option) => option.name), ["db", "count"]);
  assertEquals(start?.getOptions(true).map((option) => option.name), ["db", "quiet", "count"]);
});

Deno.test("usage and examples are part of the help", () => {
  const help = new Command().name("app").usage("[anything]").example("Run it", "app now")
    .option("--limit <n:integer>", "At most.", { default: 5 })
    .getHelp({ colors: false });
  for (const text of ["app [anything]", "Run it", "app now", "--limit <n>", "5"]) {
    assertStringIncludes(help.replace(/ +/g, " "), text);
  }
});

Deno.test("mistakes end the process with help and a message unless they are thrown", async () => {
  const script = `
    import { Command } from "@cliffy/command";
    await new Command().name("app").option("--limit <n:integer>", "At most.").parse(Deno.args);
    console.log("not reached with help");
  `;
  const source = script.replace("@cliffy/command", import.meta.resolve("@cliffy/command"));
  const exec = (...words: string[]) =>
    new Deno.Command(Deno.execPath(), {
      args: ["eval", source, "--", ...words],
      env: { NO_COLOR: "1" },
    }).output();
  const wrong = await exec("--limt", "1");
  assertEquals(wrong.code, 2);
  const text = new TextDecoder().decode(wrong.stderr);
  assertStringIncludes(text, 'error: Unknown option "--limt". Did you mean option "--limit"?');
  const help = await exec("--help");
  assertEquals(help.code, 0);
  assert(!new TextDecoder().decode(help.stdout).includes("not reached"));
});

Deno.test("types of options and arguments follow from the definitions", async () => {
  await new Command<{ db?: string }>().noExit()
    .globalOption("--dry-run", "Change nothing.")
    .option("-c, --count <n:integer>", "How many.")
    .option("--poll-ms <n:number>", "Pause.", { default: 100 })
    .option("--tag <t:string>", "Tag.", { collect: true })
    .option("--id <id:string>", "Id.", { required: true })
    .option("--when [w:string]", "When.")
    .option("--no-color", "Plain.")
    .arguments("<id:string> <n:integer> [words...:string]")
    .action((options, id, n, ...words) => {
      const db: string | undefined = options.db;
      const dryRun: boolean | undefined = options.dryRun;
      const count: number | undefined = options.count;
      const pollMs: number = options.pollMs;
      const tag: string[] | undefined = options.tag;
      const required: string = options.id;
      const when: string | true | undefined = options.when;
      const color: boolean = options.color;
      const args: [string, number, ...string[]] = [id, n, ...words];
      // @ts-expect-error -- without a default it may be undefined
      const certain: number = options.count;
      // @ts-expect-error -- there is no such option
      options.limit;
      assertEquals([db, dryRun, count, certain, pollMs], [undefined, true, 2, 2, 100]);
      assertEquals([tag, required, when, color], [["a"], "i", true, false]);
      assertEquals(args, ["x", 1, "y"]);
    })
    .parse(["--dry-run", "-c2", "--tag=a", "--id=i", "x", "1", "y", "--when", "--no-color"]);
});

Deno.test("a subcommand's needs are checked against the parent's global options", () => {
  const child = new Command<{ db?: string }>().action(({ db }) => db);
  // deno-lint-ignore no-explicit-any -- any command at all
  const anyCommand: Command<any> = child;
  assertEquals(anyCommand.getCommands(), []);
  new Command().globalOption("--db <path:string>", "Database.").command("child", child);
  const wrong = new Command<{ db: number }>();
  // @ts-expect-error -- the global option is a string
  new Command().globalOption("--db <path:string>", "Database.").command("child", wrong);
});

Deno.test("a chain sees the global options of the command that it adds to", async () => {
  let seen: [string | undefined, number, boolean | undefined] | undefined;
  await new Command().noExit()
    .globalOption("--db <path:string>", "Database.")
    .command("one", "One.")
    .option("--only", "Only here.")
    .command("two <n:integer>", "Two.")
    .option("--force", "Force.")
    .action(({ db, force }, n) => {
      seen = [db, n, force];
    })
    .parse(["two", "4", "--force", "--db", "x"]);
  assertEquals(seen, ["x", 4, true]);
});

Deno.test("the types of a subcommand's globals are those of the parent's options", () => {
  const parent = () => new Command().globalOption("--db <p:string>", "x", { default: "jobs.db" });
  parent().command("child", new Command<{ db: string }>());
  parent().command("child", new Command());
  // @ts-expect-error -- with a default it is always there
  parent().command("child", new Command<{ db?: string }>());
  // @ts-expect-error -- a flag without a value is true or missing
  new Command().globalOption("--json", "x").command("child", new Command<{ json?: boolean }>());
});
