import { Database } from "@db/sqlite";
import type { Sql } from "./sqlite_rows.ts";
import type { Examination } from "./store.ts";

/** Looks through the whole store for damage. */
export function examine(sql: Sql): Examination {
  const [[version]] = sql("select sqlite_version()").values<[string]>() as [[string]];
  const [[schema]] = sql("pragma user_version").values<[number]>() as [[number]];
  const integrity = sql("pragma integrity_check").values<[string]>().map(([line]) => line);
  return {
    engine: `SQLite ${version}`,
    schema,
    damage: integrity.filter((line) => line !== "ok"),
    contradictions: [
      ...wrongCounters(sql),
      ...found(sql, "attempts without a job", "attempts where job not in (select seq from jobs)"),
      ...found(
        sql,
        "output without an attempt",
        "output where attempt not in (select seq from attempts)",
      ),
      ...found(
        sql,
        "blocked jobs that wait for nothing",
        `jobs where state = 'blocked'
          and not exists (select 1 from dependencies where job = jobs.seq and met = 0)`,
      ),
    ],
    newestAt: sql("select max(updated_at) from jobs").values<[number | null]>()[0]![0],
  };
}

function found(sql: Sql, what: string, from: string): string[] {
  const [[count]] = sql(`select count(*) from ${from}`).values<[number]>() as [[number]];
  return count === 0 ? [] : [`${count} ${what}`];
}

function wrongCounters(sql: Sql): string[] {
  const rows = sql(`
    select queue, state, sum(counted) as counted, sum(there) as there from (
      select queue, state, jobs as counted, 0 as there from job_counts
      union all select queue, state, 0, count(*) from jobs group by queue, state)
    group by queue, state having sum(counted) <> sum(there)`)
    .values<[string, string, number, number]>();
  return rows.map(([queue, state, counted, there]) =>
    `${there} ${state} jobs in queue ${queue}, counted as ${counted}`
  );
}

/**
 * Takes the workers out of a copy and puts what they were running back, as if it had been interrupted:
 * they work for the original, and recovering in the copy would kill what they run.
 */
export function letGo(path: string) {
  const db = new Database(path, { int64: true, create: false });
  try {
    db.transaction(() => {
      db.exec("delete from workers");
      db.exec(`
        update attempts set outcome = 'interrupted', finished_at = started_at,
          error = 'The store was copied while it ran'
        where outcome is null`);
      db.exec(`
        update jobs set state = 'pending', attempts = attempts - 1, lease_token = null,
          cancel = null, ready = 1
        where state = 'processing'`);
    }).immediate();
  } finally {
    db.close();
  }
}
