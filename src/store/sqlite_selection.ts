import { operationFailed, quote } from "../errors.ts";
import type { JobState } from "../job.ts";
import { number, type Sql } from "./sqlite_rows.ts";
import type { JobFilter, JobSelection } from "./store.ts";

/** The ids that are this one, or begin with it; enough of them to see whether there are several. */
export function matchingIds(sql: Sql, idOrPrefix: string): string[] {
  const exact = sql("select id from jobs where id = ?").values<[string]>(idOrPrefix);
  if (exact.length > 0 || idOrPrefix.length < 4) return exact.map(([id]) => id);
  // "{" follows "z", the last character that an id can have.
  return sql("select id from jobs where id >= ? and id < ? || '{' order by id limit 3")
    .values<[string]>(idOrPrefix, idOrPrefix).map(([id]) => id);
}

/** A filter as the condition of a statement, and the values for it. */
export function condition(filter: JobFilter): { where: string; values: (string | number)[] } {
  const wheres: string[] = [];
  const values: (string | number)[] = [];
  const restrict = (where: string, value: string | number | undefined) => {
    if (value === undefined) return;
    wheres.push(where);
    values.push(value);
  };
  restrict("state = ?", filter.state);
  restrict("queue = ?", filter.queue);
  restrict("exists (select 1 from json_each(tags) where value = ?)", filter.tag);
  restrict("instr(lower(id || char(10) || command), lower(?)) > 0", filter.search);
  restrict("finished_at < ?", filter.finishedBefore);
  return { where: wheres.length > 0 ? `where ${wheres.join(" and ")}` : "", values };
}

/** Counts without reading the jobs where the counters know the answer. */
export function countMatching(sql: Sql, filter: JobFilter): number {
  const { where, values } = condition(filter);
  const { state: _, queue: __, ...rest } = filter;
  const counted = Object.values(rest).every((value) => value === undefined);
  const counting = counted ? "coalesce(sum(jobs), 0) from job_counts" : "count(*) from jobs";
  return number(sql, `select ${counting} ${where}`, ...values);
}

export interface Selected {
  seq: number;
  id: string;
  state: JobState;
}

/**
 * The selected jobs. Of those that a filter finds, the ones in other states than `states` are left out;
 * one that was named and is in another state throws an error that begins with `doing`, as does an unknown one.
 */
export function select(
  sql: Sql,
  which: JobSelection,
  { states, doing }: { states: readonly JobState[]; doing: string },
): Selected[] {
  const columns = "select seq, id, state from jobs";
  if ("filter" in which) {
    const { where, values } = condition(which.filter);
    const { limit = Number.MAX_SAFE_INTEGER } = which;
    const inStates = `state in (${states.map((state) => `'${state}'`).join()})`;
    const all = where === "" ? `where ${inStates}` : `${where} and ${inStates}`;
    return sql(`${columns} ${all} order by seq limit ?`).all(...values, limit) as Selected[];
  }
  return [...new Set(which.ids)].map((id) => {
    const found = sql(`${columns} where id = ?`).get(id) as Selected | undefined;
    if (!found) throw operationFailed(`No job ${quote(id)}`);
    if (states.includes(found.state)) return found;
    throw operationFailed(
      `Cannot ${doing} job ${quote(id)}: it is ${found.state}, not ${states.join(" or ")}`,
    );
  });
}
