import { assert, assertEquals } from "@std/assert";
import { Database } from "@db/sqlite";
import { identify } from "../../src/worker/processes.ts";
import { Cli, lives } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

/** A store whose worker was killed in mid-job, with nothing of the job left; and a bystander. */
async function storeOfTheDead(cli: Cli): Promise<{ bystander: number }> {
  await cli.ok(
    "enqueue",
    "--id",
    "job",
    'echo $$ >> pids; [ "$(wc -l < pids)" = 2 ] || sleep 1000',
  );
  const worker = await cli.startWorker();
  const [pid] = await cli.linesOnce("pids", 1);
  await recorded(cli);
  worker.signal("SIGKILL");
  await worker.result;
  Deno.kill(-Number(pid), "SIGKILL");
  const bystander = cli.spawnProgram("sleep", ["1000"]);
  return { bystander: bystander.pid };
}

async function recorded(cli: Cli) {
  const found = () =>
    withDatabase(cli, (db) => db.prepare("select 1 from attempts where pid is not null").get());
  const until = performance.now() + 20_000;
  while (!found()) {
    assert(performance.now() < until, "the process id was never written down");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function withDatabase<T>(cli: Cli, act: (db: Database) => T): T {
  const db = new Database(cli.db, { int64: true, create: false });
  try {
    return act(db);
  } finally {
    db.close();
  }
}

/** Writes into the store that the worker and its job had the id and the start of this process. */
function takeOver(cli: Cli, process: { pid: number; startedAt: string }) {
  withDatabase(cli, (db) => {
    for (const table of ["workers", "attempts"]) {
      db.prepare(`update ${table} set pid = ?, process_started_at = ?`)
        .run(process.pid, process.startedAt);
    }
  });
}

async function assertRecoveredAtOnce(cli: Cli, bystander: number) {
  // The lease is 30 s: whoever waited for its end would be far too late.
  const begun = performance.now();
  assertEquals(await cli.drain(), 0);
  const took = performance.now() - begun;
  assert(took < 10_000, `took ${took} ms`);
  const job = await cli.show("job");
  assertEquals(job.attempts_history.map(({ outcome }) => outcome), ["lost", "completed"]);
  assert(lives(bystander), "a process that has nothing to do with the job was killed");
  await assertSound(cli, ["job"]);
}

Deno.test("failure 8: after a reboot the job of a worker from before runs again at once, and the process that has its ids now lives on", async () => {
  await using cli = new Cli();
  const { bystander } = await storeOfTheDead(cli);
  // The clock of the boot begins anew, so that even the start may be the same.
  takeOver(cli, identify(bystander)!);
  withDatabase(cli, (db) => {
    const [boot, namespace] = (db.prepare("select machine from workers").get() as {
      machine: string;
    }).machine.split(" ");
    const other = boot!.replaceAll(/[0-9a-f]/g, (digit) => digit === "0" ? "1" : "0");
    db.prepare("update workers set machine = ?").run(`${other} ${namespace}`);
  });
  await assertRecoveredAtOnce(cli, bystander);
});

Deno.test("failure 8: a process that has got the ids of a dead worker and of its job in the same boot is neither taken for them nor killed", async () => {
  await using cli = new Cli();
  const { bystander } = await storeOfTheDead(cli);
  takeOver(cli, { pid: bystander, startedAt: "1" });
  await assertRecoveredAtOnce(cli, bystander);
});
