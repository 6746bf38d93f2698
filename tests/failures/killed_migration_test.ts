import { Database } from "@db/sqlite";
import { assert, assertEquals } from "@std/assert";
import { SQLITE_MIGRATIONS } from "../../src/store/migrations.ts";
import { SCHEMA_VERSION } from "../../src/store/open.ts";
import { type Child, Cli, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";
import { holdLock } from "./lock.ts";

const KILLED = 137;
const JOBS = 500;
const IDS = Array.from({ length: JOBS }, (_, i) => `job-${i + 1}`);

/** Makes the store that the program of an earlier schema would have left, with jobs that wait. */
function makeStore(cli: Cli, version: number) {
  Deno.mkdirSync(cli.path("store"), { mode: 0o700 });
  const db = new Database(cli.db, { int64: true });
  db.exec("pragma auto_vacuum = incremental; pragma journal_mode = wal");
  for (const sql of SQLITE_MIGRATIONS.slice(0, version)) db.exec(sql);
  db.exec(`
    with recursive n(i) as (select 1 union all select i + 1 from n where i < ${JOBS})
    insert into jobs (id, command, state, queue, priority, max_retries, backoff_base,
      backoff_max_ms, backoff_jitter, cwd, env, tags, run_at, created_at, updated_at, ready)
    select 'job-' || i, 'true', 'pending', 'default', 0, 3, 2, 300000, 0, '/', '{}', '[]', i, i,
      i, 1 from n;
    insert into job_counts values ('default', 'pending', ${JOBS});
    pragma application_id = ${0x7163746c};
    pragma user_version = ${version}`);
  db.close();
}

function versionOf(cli: Cli): number {
  const db = new Database(cli.db, { int64: true, create: false });
  try {
    return db.prepare("pragma user_version").value<[number]>()![0];
  } finally {
    db.close();
  }
}

for (let version = 1; version < SCHEMA_VERSION; version++) {
  for (let step = 1; step <= SCHEMA_VERSION - version; step++) {
    Deno.test(`failure 23: a migration from schema ${version} that is killed in step ${step} has changed nothing, and the next command does it`, async () => {
      await using cli = new Cli();
      makeStore(cli, version);
      const env = { QUEUECTL_FAIL_AT: `inside-migrate:${step}` };
      const killed = await cli.run(["enqueue", "--id", "never", "true"], { env });
      assertEquals(killed.code, KILLED, killed.stderr);
      assertEquals(versionOf(cli), version);

      await cli.ok("enqueue", "--id", "new", "true");
      assertEquals(versionOf(cli), SCHEMA_VERSION);
      await assertSound(cli, [...IDS, "new"]);
    });
  }

  Deno.test(`failure 23: processes that migrate from schema ${version} at once all go on with the same store`, async () => {
    await using cli = new Cli();
    makeStore(cli, version);
    const together: Child[] = [];
    {
      // They all get as far as the migration and then wait for the lock.
      using _lock = holdLock(cli.db);
      for (const id of ["a", "b", "c"]) together.push(cli.spawn(["enqueue", "--id", id, "true"]));
      together.push(cli.spawn(["list", "--json"]));
      await waitUntil(() => together.every((each) => hasOpen(each, cli.db)), "all to be there");
    }
    for (const { result } of together) {
      const { code, stderr } = await result;
      assertEquals(code, 0, stderr);
    }
    assertEquals(versionOf(cli), SCHEMA_VERSION);
    await assertSound(cli, [...IDS, "a", "b", "c"]);
  });

  Deno.test(`failure 23: the jobs of a store of schema ${version} run`, async () => {
    await using cli = new Cli();
    makeStore(cli, version);
    assertEquals(await cli.drain("--count", "4"), 0);
    const { completed } = (await cli.json("status")).jobs;
    assertEquals(completed, JOBS);
    await assertSound(cli, IDS);
  });
}

function hasOpen(child: Child, path: string): boolean {
  assert(!child.ended, child.stderr);
  const folder = `/proc/${child.pid}/fd`;
  return [...Deno.readDirSync(folder)].some(({ name }) => {
    try {
      return Deno.readLinkSync(`${folder}/${name}`) === path;
    } catch {
      return false; // it was closed just now
    }
  });
}
