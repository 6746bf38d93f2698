// Files beside the store that are touched when something has happened, for those who wait to be woken by.
//
// It is not the store itself that is watched: Deno opens a file that it reports on, and closing any
// descriptor of a database drops the locks that SQLite holds in the process. Another process would
// then take itself for the last user of the store and delete its log under everybody's feet.

/** `wake`: there may be work. `news`: something was written that people may be waiting for. */
export type BellName = "wake" | "news";

/** An error costs more than a ring: after one the bell is silent for this long. */
const SILENT_MS = 1000;

/** A bell to be rung. It is a hint: where it cannot be given, those who wait look by themselves in time. */
export class Bell {
  readonly #storePath: string;
  readonly #path: string;
  #silentUntil = 0;

  constructor(storePath: string, name: BellName) {
    this.#storePath = storePath;
    this.#path = bellPath(storePath, name);
  }

  ring() {
    const now = Date.now();
    if (now < this.#silentUntil) return;
    try {
      this.#touch(new Date(now));
    } catch {
      this.#silentUntil = now + SILENT_MS;
    }
  }

  #touch(time: Date) {
    try {
      Deno.utimeSync(this.#path, time, time);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      // Nobody has listened yet. It is made here too, so that whoever listens next is heard at once.
      makeBell(this.#storePath, this.#path);
    }
  }
}

/** Calls `onRing` soon after somebody rang, until it is disposed of. */
export function listenForBell(
  storePath: string,
  name: BellName,
  onRing: () => void,
): Disposable {
  let watcher: Deno.FsWatcher;
  try {
    const path = bellPath(storePath, name);
    makeBell(storePath, path);
    watcher = Deno.watchFs(path);
  } catch {
    // It must not be written there, or the system has no more watches to give.
    return { [Symbol.dispose]() {} };
  }
  (async () => {
    for await (const { kind } of watcher) if (kind !== "access") onRing();
  })();
  return { [Symbol.dispose]: () => watcher.close() };
}

/** Makes the file that is touched, for the owner of the store. Beside a store that is not there, it throws. */
function makeBell(storePath: string, path: string) {
  const { uid, gid } = Deno.statSync(storePath);
  Deno.openSync(path, { create: true, append: true, mode: 0o600 }).close();
  if (Deno.uid() === 0) Deno.chownSync(path, uid, gid);
}

function bellPath(storePath: string, name: BellName): string {
  return `${storePath}-${name}`;
}
