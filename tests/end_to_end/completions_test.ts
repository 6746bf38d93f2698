import { assert, assertEquals, assertMatch } from "@std/assert";
import { Cli, commandLine, forShell } from "../helpers/cli.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

const missing = new Set<Shell>();
for (const shell of SHELLS) {
  const { success } = await new Deno.Command("sh", {
    args: ["-c", `command -v ${shell}`],
    stdout: "null",
  }).output();
  if (success) continue;
  missing.add(shell);
  console.log(`The test of completions in ${shell} is left out: there is no ${shell} here`);
}

/** A command line with two jobs, and the command `queuectl` on the path of the shells it starts. */
async function cliForShells() {
  const cli = new Cli();
  const bin = cli.path("bin");
  Deno.mkdirSync(bin);
  const script = `#!/bin/sh\nexec ${forShell(commandLine())} "$@"\n`;
  Deno.writeTextFileSync(`${bin}/queuectl`, script, { mode: 0o755 });
  await cli.ok("enqueue", "--id", "job1", "echo 'one: \\1'");
  await cli.ok("enqueue", "--id", "ns:two", "true");
  const env = {
    PATH: `${bin}:${Deno.env.get("PATH")}`,
    TERM: "dumb",
    XDG_CONFIG_HOME: cli.path("config"),
    XDG_DATA_HOME: cli.path("data"),
  };
  const lines = async (shell: Shell, script: string, ...args: string[]) => {
    const flags = shell === "bash" ? ["--norc", "--noprofile"] : shell === "zsh" ? ["-f"] : [];
    const words = [...flags, "-c", script, ...(shell === "bash" ? ["bash"] : []), ...args];
    const { code, stdout, stderr } = await cli.spawnProgram(shell, words, { env }).result;
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    return stdout.split("\n").slice(0, -1);
  };
  return { cli, lines };
}

Deno.test("completions prints a script for a shell, and refuses shells that it does not know", async () => {
  await using cli = new Cli();
  for (const shell of SHELLS) assertMatch(await cli.ok("completions", shell), /queuectl complete/);
  const unknown = await cli.run(["completions", "ksh"]);
  assertEquals([unknown.code, unknown.stdout], [2, ""]);
  assertMatch(unknown.stderr, /"ksh": expected bash, zsh, fish/);
  assertEquals((await cli.run(["completions"])).code, 2);
});

Deno.test("complete prints a candidate a line, with a tab and what it means behind it", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "job1", "printf 'a\tb\n'");
  assertEquals(await cli.ok("complete", "--", "show", ""), "job1\tpending: printf 'a\\tb\\n'");
  assertEquals(await cli.ok("complete", "--", "list", "--state", "p"), "pending\nprocessing");
  assertEquals(await cli.ok("complete", "--", "list", "--queue", ""), "default");
  const db = await cli.ok("complete", "--", "show", "--d");
  assertEquals(db, "--db\tThe store; else $QUEUECTL_DB or ~/.queuectl/queue.db.");
  const [word, help] = (await cli.ok("complete", "--", "config", "set", "durab")).split("\t");
  assertEquals(word, "durability");
  assertMatch(help!, /^full: jobs survive .{40}…$/);
});

Deno.test("complete looks into the store that the words name, and makes none", async () => {
  await using cli = new Cli();
  await cli.ok("--db", "other.db", "enqueue", "--id", "elsewhere", "true");
  const found = "elsewhere\tpending: true";
  assertEquals(await cli.ok("complete", "--", "--db", "other.db", "show", "else"), found);
  const quoted = ["complete", "--", "show", "--db=$STORES/'other.db'", "else"];
  const { stdout } = await cli.run(quoted, { env: { STORES: cli.folder } });
  assertEquals(stdout, `${found}\n`);
  assertEquals(await cli.ok("--db", "other.db", "complete", "--", "show", "else"), found);
  assertEquals(await cli.ok("complete", "--", "show", "else"), "");
  assertEquals(await cli.ok("complete", "--", "--db", "no.db", "show", ""), "");
  const made = [...Deno.readDirSync(cli.folder)].map(({ name }) => name);
  assertEquals(made.filter((name) => name === "no.db" || name === "store"), []);
});

Deno.test("complete says nothing where it fails, and exits 0", async () => {
  await using cli = new Cli();
  cli.write("damaged.db", "no database");
  cli.write("empty.db");
  for (const db of ["damaged.db", "empty.db", "/dev/null/x.db", ".", "", "\u0001"]) {
    const { code, stdout, stderr } = await cli.run(["complete", "--", "--db", db, "show", ""]);
    assertEquals({ code, stdout, stderr }, { code: 0, stdout: "", stderr: "" }, db);
  }
  for (const words of [["no", "such", "command"], ["--wrong", "sho"], ["--", "--"], []]) {
    assertEquals((await cli.run(["complete", "--", ...words])).code, 0, words.join(" "));
  }
});

Deno.test("complete is not shown to people", async () => {
  await using cli = new Cli();
  const help = await cli.ok("--help");
  assert(help.includes("completions") && !/^\s+complete\s/m.test(help));
});

Deno.test({
  name: "bash completes commands, values, job ids with colons, and the names of files",
  ignore: missing.has("bash"),
  async fn() {
    const { cli, lines } = await cliForShells();
    await using _ = cli;
    const script = `
      source <(queuectl completions bash)
      complete -p queuectl
      compopt() { asked+=" $*"; }
      for line; do
        IFS='|' read -ra COMP_WORDS <<< "queuectl|$line"
        [[ $line != *'|' ]] || COMP_WORDS+=('')
        COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)) COMPREPLY=(stale) asked=
        _queuectl
        [[ $asked != *' default'* ]] || COMPREPLY+=("(files)")
        echo "$line \${COMPREPLY[*]}"
      done`;
    // As bash splits them: at "=" and ":" too.
    const offered = {
      "sho": "show",
      "show|": "ns:two job1",
      "show|ns|:": "two",
      "show|ns|:|t": "two",
      'show|"jo': "job1",
      "list|--state|=|p": "pending processing",
      "list|--state|=": "pending processing completed failed dead cancelled blocked",
      "show|nothing": "",
      "enqueue|ma": "(files)",
      "list|--db|=|ma": "(files)",
      "list|>|sho": "(files)",
    };
    const printed = await lines("bash", script, ...Object.keys(offered));
    assertEquals(printed, [
      "complete -F _queuectl queuectl",
      ...Object.entries(offered).map(([line, words]) => `${line} ${words}`),
    ]);
  },
});

Deno.test({
  name: "fish completes commands, values, job ids, and the names of files",
  ignore: missing.has("fish"),
  async fn() {
    const { cli, lines } = await cliForShells();
    await using _ = cli;
    cli.write("batch.json");
    const script = `
      queuectl completions fish | source
      for line in $argv
        set -l words (complete -C $line | string replace -r '\\t.*' '')
        echo "$line: $words"
      end`;
    const offered = {
      "queuectl sho": "show",
      "queuectl show ": "ns:two job1",
      "queuectl show ns:": "ns:two",
      "queuectl list --state=p": "--state=pending --state=processing",
      "queuectl list -s d": "dead",
      "queuectl config set max-": "max-retries",
      "queuectl show nothing": "",
      "queuectl enqueue bat": "batch.json",
      "queuectl enqueue @bat": "@batch.json",
      "queuectl --db=bat": "--db=batch.json",
    };
    const printed = await lines("fish", script, ...Object.keys(offered));
    assertEquals(printed, Object.entries(offered).map(([line, words]) => `${line}: ${words}`));
  },
});

Deno.test({
  name: "zsh completes commands, values, job ids, and the names of files, on a terminal",
  ignore: missing.has("zsh"),
  async fn() {
    const { cli, lines } = await cliForShells();
    await using _ = cli;
    cli.write("batch.json");
    // Ctrl-T prints what stands on the command line, so that it can be told from what is echoed.
    const script = `
      zmodload zsh/zpty
      zpty shell zsh -f
      zpty -w shell 'PS1=; bindkey -e; autoload -U compinit; compinit -u -D'
      zpty -w shell 'source <(queuectl completions zsh)'
      zpty -w shell 'show-line() { print -r "LINE:$BUFFER:END" }; zle -N show-line; bindkey "^T" show-line'
      zpty -w shell 'print "rea""dy"'
      zpty -r shell printed '*ready*'
      for line; do
        zpty -n -w shell $'\\C-u'"$line"$'\\t\\C-t'
        zpty -r shell printed '*LINE:*:END*'
        print -r -- "\${\${printed##*LINE:}%%:END*}"
      done`;
    const completed = {
      "queuectl sho": "queuectl show ",
      "queuectl show j": "queuectl show job1 ",
      "queuectl show ns:": "queuectl show ns:two ",
      "queuectl list --state=proc": "queuectl list --state=processing ",
      "queuectl list -s d": "queuectl list -s dead ",
      "queuectl config set max-": "queuectl config set max-retries ",
      "queuectl show nothing": "queuectl show nothing",
      "queuectl enqueue bat": "queuectl enqueue batch.json ",
      "queuectl enqueue @bat": "queuectl enqueue @batch.json ",
      "queuectl --db=bat": "queuectl --db=batch.json ",
    };
    const printed = await lines("zsh", script, "zsh", ...Object.keys(completed));
    assertEquals(printed, Object.values(completed));
  },
});
