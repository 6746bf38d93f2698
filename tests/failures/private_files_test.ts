import { assert, assertEquals } from "@std/assert";
import { type Child, Cli, commandLine, forShell, lives, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";
import { AS_NOBODY } from "./nobody.ts";

/** The command line of a person whose new files anybody may read and write. */
class CarelessCli extends Cli {
  override spawn(args: readonly string[], options = {}): Child {
    const queuectl = forShell(commandLine(...args));
    return this.spawnProgram("sh", ["-c", `umask 000; exec ${queuectl}`], options);
  }

  override look(...args: string[]): Promise<string> {
    return this.ok(...args);
  }
}

/** A store in a folder that is open to everybody, in use, with whatever the tool puts beside it. */
async function careless(): Promise<CarelessCli> {
  const cli = new CarelessCli();
  Deno.mkdirSync(cli.path("store"));
  for (const folder of [cli.folder, cli.path("store")]) Deno.chmodSync(folder, 0o777);
  await cli.ok("enqueue", "--id", "secret", "echo secret; until [ -e go ]; do sleep 0.05; done");
  const pid = Number(await cli.ok("worker", "start", "--detach", "--verbose"));
  const { started_at } = await cli.show("secret");
  if (!started_at) await waitUntil(async () => (await cli.show("secret")).started_at, "the job");
  await waitUntil(async () => /secret/.test(await cli.ok("logs", "secret")), "its output");
  await cli.ok("backup", cli.path("store/copy.db"));
  assert(lives(pid));
  return cli;
}

const FILES = [
  ...["copy.db", "queue.db", "queue.db-news", "queue.db-shm", "queue.db-wake", "queue.db-wal"],
  "queue.db.worker.log",
];

function filesOf(cli: Cli): string[] {
  return [...Deno.readDirSync(cli.path("store"))].map(({ name }) => name).sort();
}

async function finish(cli: Cli) {
  cli.write("go");
  await cli.ok("worker", "stop");
  await assertSound(cli, ["secret"]);
}

Deno.test("failure 37: every file that is made is its owner's alone, whatever the umask", async () => {
  await using cli = await careless();
  const follower = cli.spawn(["logs", "-f", "secret"]);
  await waitUntil(() => follower.stdout !== "", "the follower to read");
  assertEquals(filesOf(cli), FILES);
  for (const name of filesOf(cli)) {
    assertEquals(Deno.statSync(cli.path(`store/${name}`)).mode! & 0o777, 0o600, name);
  }
  await finish(cli);
  assertEquals((await follower.result).code, 0);
  for (const name of filesOf(cli)) {
    assertEquals(Deno.statSync(cli.path(`store/${name}`)).mode! & 0o777, 0o600, name);
  }
});

Deno.test("failure 37: the folder that is made for a store is its owner's alone, whatever the umask", async () => {
  await using cli = new CarelessCli();
  await cli.ok("enqueue", "--id", "job", "true");
  assertEquals(Deno.statSync(cli.path("store")).mode! & 0o777, 0o700);
  assertEquals(await cli.drain(), 0);
  await assertSound(cli, ["job"]);
});

const canBeNobody = Deno.build.os === "linux" && Deno.uid() === 0;
if (!canBeNobody) console.warn("Reading as another user is left out: only root can become one");

Deno.test({
  name: "failure 37: another user can read neither the store nor what is beside it",
  ignore: !canBeNobody,
  async fn() {
    await using cli = await careless();
    for (const name of FILES) {
      const file = cli.path(`store/${name}`);
      const { code, stdout } = await cli.spawnProgram("setpriv", [...AS_NOBODY, "cat", file])
        .result;
      assertEquals([code, stdout], [1, ""], name);
    }
    cli.write("open", "everybody's");
    const readable = await cli.spawnProgram("setpriv", [...AS_NOBODY, "cat", cli.path("open")])
      .result;
    assertEquals(readable.stdout, "everybody's", "nobody could read anything");
    await finish(cli);
  },
});
