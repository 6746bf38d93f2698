import { failPoint } from "../fail_point.ts";
import { Database } from "@db/sqlite";
import { dirname } from "@std/path";
import { operationFailed, quote, UserError } from "../errors.ts";
import { newId } from "../ids.ts";
import { lazily } from "../lazily.ts";
import { Bell } from "./bell.ts";
import { SqliteStore } from "./sqlite.ts";
import { explained } from "./sqlite_errors.ts";

/** The newest schema that this program knows. */
export const SCHEMA_VERSION = 2;

/** "qctl" in ASCII: tells our databases from those of other programs. */
const APPLICATION_ID = 0x7163746c;

export interface OpenOptions {
  /** How long to wait for other processes that write, in milliseconds. */
  busyMs?: number;
}

/** Opens the store at `path`, or makes it, with its folders. Throws a UserError if it cannot be used. */
export async function openStore(path: string, options: OpenOptions = {}): Promise<SqliteStore> {
  if (!fileInfo(path)) await createStore(path);
  return await openExisting(path, options);
}

/** Opens the store at `path` for looking at it. Where there is none, that is an empty one, and none is made. */
export async function openStoreIfAny(
  path: string,
  options: OpenOptions = {},
): Promise<SqliteStore> {
  if (fileInfo(path)) return await openExisting(path, options);
  const db = new Database(":memory:", { int64: true });
  migrate(db, await loadMigrations());
  return new SqliteStore(db, {
    path,
    verify() {},
    syncLog: () => Promise.resolve(),
    copyTo() {
      throw operationFailed(`Cannot copy the store ${quote(path)}: there is none yet`);
    },
    wake: SILENT,
    news: SILENT,
  });
}

const SILENT = { ring() {} };

async function openExisting(path: string, { busyMs = 5000 }: OpenOptions): Promise<SqliteStore> {
  const opened = fileInfo(path);
  if (!opened) throw cannotOpen(path, "its link leads nowhere, or it was deleted just now");
  if (!opened.isFile) throw cannotOpen(path, "it is not a file");
  if (opened.size === 0) {
    throw cannotOpen(
      path,
      "the file is empty, so it is no store; remove it to have a new one made",
    );
  }
  let db: Database | undefined;
  try {
    db = new Database(path, { int64: true, create: false });
    await prepare(db, path, busyMs);
    const logPath = `${Deno.realPathSync(path)}-wal`; // beside what a link leads to
    return new SqliteStore(db, {
      path,
      verify: () => verifySame(path, opened),
      async syncLog() {
        try {
          // SQLite has no lock on this file that closing it could end. What has left it is in the
          // database by then: a checkpoint waits for the disk.
          using log = await Deno.open(logPath);
          await log.syncData();
        } catch (error) {
          verifySame(path, opened);
          throw explainedFileError(error, path, "write");
        }
      },
      copyTo(copy, write) {
        if (linkInWhole(copy, write, "write")) return;
        throw operationFailed(`Cannot write ${quote(copy)}: there is something with this name`);
      },
      wake: new Bell(path, "wake"),
      news: new Bell(path, "news"),
    });
  } catch (error) {
    db?.close();
    throw explained(error, { doing: "open", path });
  }
}

async function prepare(db: Database, path: string, busyMs: number) {
  db.exec(`pragma busy_timeout = ${busyMs}`);
  const applicationId = pragma(db, "application_id");
  if (applicationId !== APPLICATION_ID) {
    throw cannotOpen(path, "it is the database of another program");
  }
  const version = pragma(db, "user_version");
  if (version > SCHEMA_VERSION) {
    throw cannotOpen(
      path,
      `a newer queuectl made it (schema ${version}, this one knows ${SCHEMA_VERSION})`,
    );
  }
  if (version < SCHEMA_VERSION) migrate(db, await loadMigrations());
  db.exec("pragma journal_size_limit = 16777216");
  db.exec("pragma synchronous = normal"); // the store asks for more, write by write
}

function pragma(db: Database, name: string): number {
  return db.prepare(`pragma ${name}`).values<[number]>()[0]![0];
}

const migrations = lazily<typeof import("./migrations.ts")>("./migrations.ts", import.meta.url);

async function loadMigrations(): Promise<readonly string[]> {
  return (await migrations()).SQLITE_MIGRATIONS;
}

/** Brings the schema up to date. Of several processes one does it, the others find it done. */
function migrate(db: Database, migrations: readonly string[]) {
  db.transaction(() => {
    const version = pragma(db, "user_version");
    for (const sql of migrations.slice(version)) {
      db.exec(sql);
      failPoint("inside-migrate");
    }
    db.exec(`pragma application_id = ${APPLICATION_ID}`);
    db.exec(`pragma user_version = ${migrations.length}`);
  }).immediate();
}

async function createStore(path: string) {
  refuseOrphanedLog(path);
  try {
    Deno.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw explainedFileError(error, path);
  }
  const migrations = await loadMigrations();
  // If it is there by now, somebody else made it.
  linkInWhole(path, (draft) => {
    const db = new Database(draft, { int64: true, create: false });
    try {
      db.exec("pragma auto_vacuum = incremental");
      migrate(db, migrations);
    } finally {
      db.close();
    }
  });
}

/**
 * Makes a store beside its place and links it in whole, so that nobody ever meets half a store.
 * False if there is something at its place by then.
 */
function linkInWhole(
  path: string,
  write: (draft: string) => void,
  verb = "open",
): boolean {
  const draft = `${path}.new-${newId(8)}`;
  try {
    Deno.openSync(draft, { createNew: true, write: true, mode: 0o600 }).close();
    write(draft);
    const db = new Database(draft, { int64: true, create: false });
    try {
      db.exec("pragma journal_mode = wal");
    } finally {
      db.close();
    }
    syncFile(draft);
    Deno.linkSync(draft, path);
    syncFile(dirname(path)); // the name must survive a power cut as well as the contents
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw explainedFileError(error, path, verb);
  } finally {
    for (const suffix of ["", "-wal", "-shm"]) removeIfThere(draft + suffix);
  }
}

function syncFile(path: string) {
  using opened = Deno.openSync(path);
  opened.syncSync();
}

/** The log of a store that was deleted would be played back into the new one. */
function refuseOrphanedLog(path: string) {
  const log = `${path}-wal`;
  if (!fileInfo(log)?.size || fileInfo(path)) return;
  throw cannotOpen(path, `it was deleted, but not its log; remove ${quote(log)} as well`);
}

function removeIfThere(path: string) {
  try {
    Deno.removeSync(path);
  } catch (error) {
    // Whatever kept the draft from being made has been reported, or will be by the next use.
    if (!(error instanceof Deno.errors.NotFound)) return;
  }
}

function fileInfo(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw explainedFileError(error, path);
  }
}

function verifySame(path: string, opened: Deno.FileInfo) {
  const found = fileInfo(path);
  if (!found) throw operationFailed(`The store ${quote(path)} was deleted while it was in use`);
  if (found.ino !== opened.ino || found.dev !== opened.dev) {
    throw operationFailed(
      `The store ${quote(path)} was replaced by another file while it was in use`,
    );
  }
}

function explainedFileError(error: unknown, path: string, verb = "open"): unknown {
  if (error instanceof UserError || !(error instanceof Error)) return error;
  const said = error.message.match(/^[^(:]*(?= \(os error \d+\))/)?.[0];
  return said
    ? operationFailed(`Cannot ${verb} the store ${quote(path)}: ${said.toLowerCase()}`, error)
    : explained(error, { doing: verb, path });
}

function cannotOpen(path: string, reason: string, cause?: unknown): UserError {
  return operationFailed(`Cannot open the store ${quote(path)}: ${reason}`, cause);
}
