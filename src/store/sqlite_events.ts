import type { Sql } from "./sqlite_rows.ts";
import type { By, StoredEvent } from "./store.ts";

interface NewEvent {
  event: string;
  job?: string;
  attempt?: number;
  cause?: string | null;
}

/** Adds to the history of what has happened, in the transaction that makes it happen. */
export function record(sql: Sql, { event, job, attempt, cause }: NewEvent, { now, actor }: By) {
  sql("insert into events (at, event, job, attempt, cause, actor) values (?, ?, ?, ?, ?, ?)")
    .run(now, event, job ?? null, attempt ?? null, cause ?? null, actor);
}

export function readEvents(sql: Sql, after: number, limit: number): StoredEvent[] {
  return sql(`
    select seq, at, event, job, attempt, cause, actor from events
    where seq > ? order by seq limit ?`).all(after, limit) as StoredEvent[];
}

// Only as many as are looked at, from the oldest on, so that it costs nothing where none is old. The
// newest one stays, because the next one takes its number from it.
export function pruneEvents(sql: Sql, before: number, limit: number): number {
  return sql(`
    delete from events where seq in (
      select seq from (select seq, at from events order by seq limit ?)
      where at < ? and seq < (select max(seq) from events))`).run(limit, before);
}
