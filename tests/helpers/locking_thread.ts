/// <reference lib="webworker" />
// Holds the write lock of a database: says so once it has it, and lets go after `ms`.
import { Database } from "@db/sqlite";

self.onmessage = ({ data: { path, ms } }: MessageEvent<{ path: string; ms: number }>) => {
  const db = new Database(path, { int64: true, create: false });
  db.exec("begin immediate");
  self.postMessage("locked");
  setTimeout(() => {
    db.exec("rollback");
    db.close();
    self.postMessage("released");
  }, ms);
};
