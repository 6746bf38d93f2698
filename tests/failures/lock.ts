import { Database } from "@db/sqlite";

/** Holds the write lock of the store at `path`, as another program would, until it is disposed of. */
export function holdLock(path: string): Disposable {
  const db = new Database(path, { int64: true, create: false });
  db.exec("pragma busy_timeout = 5000"); // somebody may be writing at this moment
  db.exec("begin immediate");
  return {
    [Symbol.dispose]() {
      db.exec("rollback");
      db.close();
    },
  };
}
