import { assert, assertEquals, assertMatch } from "@std/assert";
import { program } from "../../src/cli/program.ts";
import { commandsBelow, InProcess } from "../helpers/in_process.ts";
import { tempFolder } from "../helpers/store.ts";

function inFolder() {
  const folder = tempFolder();
  const db = folder.file("queue.db");
  const cli = new InProcess({ folder: folder.file("."), db });
  return { cli, db, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

Deno.test("the list of commands is the same whether they are loaded or not", async () => {
  using here = inFolder();
  const loaded = await program(here.cli.app());
  assertEquals((await program(here.cli.app(), { loaded: [] })).getHelp(), loaded.getHelp());
  assertMatch(loaded.getHelp(), /^ +enqueue \[words\.\.\.\] +Add a job/m);
  assert(!/^ +complete /m.test(loaded.getHelp()), "it is for shells");
  for (const args of [[], ["help"], ["--help"], ["-h"], ["--json", "help"], ["--db", "x"]]) {
    const { code, out, err } = await here.cli.run(args);
    assertEquals([code, out, err], [0, `${loaded.getHelp()}\n`, ""], args.join(" "));
  }
});

Deno.test("help shows of every command at every level what --help shows", async () => {
  using here = inFolder();
  let shown = 0;
  for (const [path, command] of commandsBelow(await program(here.cli.app()))) {
    const words = path.split(" ");
    const help = await here.cli.run(["help", ...words]);
    assertEquals(help, await here.cli.run([...words, "--help"]), path);
    assertEquals(help, { code: 0, out: `${command.getHelp()}\n`, err: "" });
    shown++;
  }
  assert(shown > 30, `${shown} commands`);
});

Deno.test("a command does its work whatever stands before it", async () => {
  using here = inFolder();
  assertEquals((await here.cli.run(["enqueue", "--id", "job", "true"])).code, 0);
  const before = [
    ...[[], ["--json"], ["--no-color", "--json"], ["--db", here.db], [`--db=${here.db}`]],
    ...[["--db=", here.db], ["--json", "--db=", here.db]],
  ];
  for (const options of before) {
    const { code, out, err } = await here.cli.run([...options, "list"]);
    const about = `${options.join(" ")}: ${err}`;
    assertEquals(code, 0, about);
    assertMatch(out, /\bjob\b/, about);
  }
});

Deno.test("a command that nobody knows is answered with the nearest one", async () => {
  using here = inFolder();
  for (const args of [["lsit"], ["--db", "x", "lsit"], ["--db=", "x", "lsit"]]) {
    const { code, out, err } = await here.cli.run(args);
    assertEquals([code, out], [2, ""], args.join(" "));
    assertEquals(err, 'Unknown command "lsit". Did you mean command "list"?\n');
  }
});
