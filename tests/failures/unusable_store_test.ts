import { Database } from "@db/sqlite";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { SCHEMA_VERSION } from "../../src/store/open.ts";
import { Cli, commandLine, type Result } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";
import { AS_NOBODY } from "./nobody.ts";

/** Commands that look, that write and that work. */
const COMMANDS = [["list"], ["enqueue", "true"], ["worker", "start", "--drain"], ["doctor"]];

/** Everything in a folder, with what is in the files. */
function contents(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    if (isDirectory) {
      for (const [inner, text] of Object.entries(contents(path))) found[`${name}/${inner}`] = text;
    }
    found[name] = isDirectory ? "" : Deno.readFileSync(path).toString();
  }
  return found;
}

/** What comes after "Cannot … the store …: " in the one line that a refused command printed. */
function reasonOf({ code, stdout, stderr }: Result, db: string): string {
  assertEquals([code, stdout], [1, ""], stderr);
  const said = stderr.match(/^Cannot [a-z ]+ the store "([^"]*)": ([^\n]+)\n$/);
  assert(said, stderr);
  assertEquals(said[1], db);
  return said[2]!;
}

function edit(path: string, sql: string) {
  const db = new Database(path, { int64: true });
  db.exec(sql);
  db.close();
}

/** Writes garbage over the pages of a store from `from` on. */
function spoil(path: string, from: number) {
  const bytes = Deno.readFileSync(path);
  bytes.fill(0xaa, from);
  Deno.writeFileSync(path, bytes);
}

interface Unusable {
  what: string;
  /** Puts it at `path`, where a sound store with jobs is already. */
  make(path: string): void;
  says: RegExp;
}

const UNUSABLE: Unusable[] = [
  {
    what: "an empty file",
    make: (path) => Deno.truncateSync(path),
    says: /^the file is empty, .*remove it to have a new one made$/,
  },
  {
    what: "a folder",
    make(path) {
      Deno.removeSync(path);
      Deno.mkdirSync(path);
    },
    says: /^it is not a file$/,
  },
  {
    what: "something that is no database",
    make: (path) => Deno.writeTextFileSync(path, "these are my notes\n".repeat(500)),
    says: /^it is not a database$/,
  },
  {
    what: "another program's database",
    make(path) {
      Deno.removeSync(path);
      edit(path, "create table jobs (id)");
    },
    says: /^it is the database of another program$/,
  },
  {
    what: "a store of a newer schema",
    make: (path) => edit(path, `pragma user_version = ${SCHEMA_VERSION + 1}`),
    says: /^a newer queuectl made it \(schema \d+, this one knows \d+\)$/,
  },
  {
    what: "a store with corrupt pages",
    make: (path) => spoil(path, 4096),
    says: /^it is damaged; restore it from a backup$/,
  },
];

for (const { what, make, says } of UNUSABLE) {
  Deno.test(`failure 21: ${what} is refused in words of its own, and nothing takes its place`, async () => {
    await using cli = new Cli();
    await cli.enqueue(...Array.from({ length: 200 }, () => ({ command: "true" })));
    make(cli.db);
    const before = contents(cli.folder);
    for (const command of COMMANDS) {
      const result = await cli.run(command);
      // That a store is damaged is what the doctor is there to find.
      if (command[0] === "doctor" && result.stdout !== "") {
        assertEquals(result.code, 1);
        assertMatch(result.stdout, /integrity.*it is damaged/);
      } else assertMatch(reasonOf(result, cli.db), says);
      const after = contents(cli.folder);
      for (const log of ["-wal", "-shm"]) delete after[`store/queue.db${log}`];
      assertEquals(after, before, command.join(" "));
    }
  });
}

Deno.test("failure 21: one corrupt page among many is found by the doctor, and no new store is made", async () => {
  await using cli = new Cli();
  await cli.enqueue(...Array.from({ length: 2000 }, (_, i) => ({ command: `echo ${i}` })));
  const bytes = Deno.readFileSync(cli.db);
  const last = bytes.length - 4096;
  bytes.fill(0xaa, last);
  Deno.writeFileSync(cli.db, bytes);
  const { code, stdout } = await cli.run(["doctor"]);
  assertEquals(code, 1);
  assertMatch(stdout, /integrity/);
  assertEquals(Deno.readFileSync(cli.db), bytes);
});

// --- What one user may not do to the files of another

/** Runs a command as a user to whom nothing belongs, and to whom permissions so apply. */
async function runAsNobody(cli: Cli, args: string[], db: string): Promise<Result> {
  const env = { QUEUECTL_DB: db, HOME: cli.path("home"), DENO_DIR: cli.path("home") };
  return await cli.spawnProgram("setpriv", [...AS_NOBODY, ...commandLine(...args)], { env }).result;
}

/** A folder of everybody's, in which this user can become nobody. */
function cliForNobody(): Cli {
  const cli = new Cli();
  Deno.chmodSync(cli.folder, 0o777);
  Deno.mkdirSync(cli.path("home"));
  Deno.chmodSync(cli.path("home"), 0o777);
  return cli;
}

async function whyNotNobody(): Promise<string | null> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "only root can become somebody else";
  await using cli = cliForNobody();
  try {
    const { code, stderr } = await runAsNobody(cli, ["enqueue", "true"], cli.path("own.db"));
    return code === 0 ? null : stderr.trim();
  } catch (error) {
    return (error as Error).message;
  }
}

const reason = await whyNotNobody();
if (reason !== null) console.warn(`Tests as another user are left out: ${reason}`);

function testAsNobody(name: string, fn: () => Promise<void>) {
  Deno.test({ name, ignore: reason !== null, fn });
}

testAsNobody(
  "failure 21: a read-only store refuses what would write to it, and stays as it is",
  async () => {
    await using cli = cliForNobody();
    await cli.ok("enqueue", "--id", "job", "true");
    Deno.chmodSync(cli.db, 0o444);
    Deno.chmodSync(cli.path("store"), 0o777);
    const before = Deno.readFileSync(cli.db);
    for (
      const command of [["enqueue", "true"], ["worker", "start", "--drain"], ["cancel", "job"]]
    ) {
      const said = reasonOf(await runAsNobody(cli, command, cli.db), cli.db);
      assertMatch(said, /^it is read-only$/, command.join(" "));
    }
    assertEquals(Deno.readFileSync(cli.db), before);
    await assertSound(cli, ["job"]);
  },
);

testAsNobody(
  "failure 21: a store in a read-only folder is refused, and stays as it is",
  async () => {
    await using cli = cliForNobody();
    await cli.ok("enqueue", "--id", "job", "true");
    Deno.chmodSync(cli.db, 0o666);
    Deno.chmodSync(cli.path("store"), 0o555);
    const before = contents(cli.path("store"));
    for (const command of [["enqueue", "true"], ["worker", "start", "--drain"]]) {
      const said = reasonOf(await runAsNobody(cli, command, cli.db), cli.db);
      assertMatch(said, /^(it is read-only|it cannot be opened)$/, command.join(" "));
    }
    assertEquals(contents(cli.path("store")), before);
    await assertSound(cli, ["job"]);
  },
);

testAsNobody("failure 21: a store that must not be read is refused by that name", async () => {
  await using cli = cliForNobody();
  await cli.ok("enqueue", "--id", "job", "true");
  Deno.chmodSync(cli.path("store"), 0o777);
  for (const command of COMMANDS) {
    const said = reasonOf(await runAsNobody(cli, command, cli.db), cli.db);
    assertMatch(said, /^it cannot be opened$/, command.join(" "));
  }
  await assertSound(cli, ["job"]);
});

testAsNobody(
  "failure 21: in a read-only folder no store can be made, nor a folder for one",
  async () => {
    await using cli = cliForNobody();
    Deno.mkdirSync(cli.path("store"));
    Deno.chmodSync(cli.path("store"), 0o555);
    for (const db of [cli.db, cli.path("store/deeper/queue.db")]) {
      for (const command of [["enqueue", "true"], ["worker", "start", "--drain"]]) {
        const said = reasonOf(await runAsNobody(cli, command, db), db);
        assertMatch(said, /^permission denied$/, command.join(" "));
      }
    }
    assertEquals([...Deno.readDirSync(cli.path("store"))], []);
  },
);
