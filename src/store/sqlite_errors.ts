import { operationFailed, quote, UserError } from "../errors.ts";

// What SQLite says (both bindings pass its words on), and what that means to a person.
const MEANINGS: [RegExp, string][] = [
  [/database is locked|database table is locked/, "another process has kept it busy for too long"],
  [/disk is full/, "the disk is full"],
  [/readonly database/, "it is read-only"],
  [/malformed|database corrupt|disk image/, "it is damaged; restore it from a backup"],
  [/not a database/, "it is not a database"],
  [/disk I\/O error/, "reading or writing it failed (disk I/O error)"],
  [/unable to open/, "it cannot be opened"],
];

/** `error` as a UserError where SQLite said something that a person can act on; else as it was. */
export function explained(
  error: unknown,
  { doing, path }: { doing: string; path: string },
): unknown {
  if (!(error instanceof Error) || error instanceof UserError) return error;
  const meaning = MEANINGS.find(([said]) => said.test(error.message))?.[1];
  return meaning
    ? operationFailed(`Cannot ${doing} the store ${quote(path)}: ${meaning}`, error)
    : error;
}

/** Whether trying again later can help: the store is busy, its disk full, or no file can be opened. */
export function mayPass(error: unknown): boolean {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error &&
    /database is locked|disk is full|Too many open files/.test(cause.message);
}
