import jobs from "./migrations/sqlite/0001_jobs.sql" with { type: "text" };
import control from "./migrations/sqlite/0002_control.sql" with { type: "text" };

/**
 * The schema's versions in order; number n brings a store from version n - 1 to n. Never edited
 * after a release.
 */
export const SQLITE_MIGRATIONS: readonly string[] = [jobs, control];
