import { Database } from "@db/sqlite";
import { assert, assertEquals } from "@std/assert";
import { Cli, waitUntil } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

/** What the log is cut to as soon as all of it has been written back. */
const LOG_LIMIT_BYTES = 16 << 20;

/** Each prints four megabytes of its own. */
const PRINTING = "head -c 4000000 /dev/urandom";

Deno.test("failure 25: the log that grows under an open reader goes back to its limit afterwards", async () => {
  await using cli = new Cli();
  await cli.ok("enqueue", "--id", "first", "true");
  const logSize = () => Deno.statSync(`${cli.db}-wal`).size;
  const worker = await cli.startWorker("--count", "2");
  await worker.event("completed", "first");

  const reader = new Database(cli.db, { int64: true, create: false, readonly: true });
  reader.exec("begin");
  const count = () => reader.prepare("select count(*) from jobs").value<[number]>()![0];
  assertEquals(count(), 1);
  const jobs = Array.from({ length: 200 }, (_, i) => ({
    id: `job-${i}`,
    command: i % 20 === 0 ? PRINTING : "true",
  }));
  await cli.enqueue(...jobs);
  await waitUntil(
    async () => (await cli.json("status")).jobs.completed === jobs.length + 1,
    "all jobs to be completed",
    { timeoutMs: 60_000 },
  );
  const grown = logSize();
  assert(grown > 1.5 * LOG_LIMIT_BYTES, `the log has grown to ${grown} bytes only`);
  assertEquals(count(), 1, "the reader has not kept its moment");
  reader.exec("rollback");
  reader.close();

  // Whoever writes next writes the log back, and the one after that begins it anew.
  for (let i = 0; i < 20 && logSize() > LOG_LIMIT_BYTES; i++) {
    const id = `after-${i}`;
    await cli.ok("enqueue", "--id", id, "true");
    await worker.event("completed", id);
  }
  assert(logSize() <= LOG_LIMIT_BYTES, `the log still has ${logSize()} bytes`);
  worker.signal("SIGTERM");
  assertEquals((await worker.result).code, 0);
  await assertSound(cli);
});
