import type { Statement } from "@db/sqlite";
import type { Job } from "../job.ts";

/** Prepares a statement, once. */
export type Sql = (text: string) => Statement;

// Columns under the names of the fields they become.
export const JOB_COLUMNS =
  `jobs.id, command, state, queue, priority, attempts, max_retries as maxRetries,
  backoff_base as backoffBase, backoff_max_ms as backoffMaxMs, backoff_jitter as backoffJitter,
  timeout_ms as timeoutMs, ok_codes as okCodes, fatal_codes as fatalCodes, snooze_ms as snoozeMs,
  snoozes, cwd, env, tags, key, schedule, run_at as runAt, created_at as createdAt,
  updated_at as updatedAt, jobs.started_at as startedAt, jobs.finished_at as finishedAt,
  jobs.exit_code as exitCode, jobs.signal, last_error as lastError, jobs.worker_id as workerId`;

type InJson = "env" | "tags" | "okCodes" | "fatalCodes";

export type JobRow = Omit<Job, InJson> & Record<InJson, string>;

export function toJob(row: JobRow): Job {
  return {
    ...row,
    env: JSON.parse(row.env),
    tags: JSON.parse(row.tags),
    okCodes: JSON.parse(row.okCodes),
    fatalCodes: JSON.parse(row.fatalCodes),
  };
}

/** The first column of the first row. */
export function number<T extends number | null = number>(
  sql: Sql,
  text: string,
  ...values: (string | number)[]
): T {
  return sql(text).values<[T]>(...values)[0]![0];
}
