// A file beside the store that is touched when there may be work, for idle workers to be woken by.
//
// It is not the store itself that is watched: Deno opens a file that it reports on, and closing any
// descriptor of a database drops the locks that SQLite holds in the process. Another process would
// then take itself for the last user of the store and delete its log under everybody's feet.

/** Wakes whoever listens. It is a hint: where it cannot be given, they look by themselves in time. */
export function ringBell(storePath: string) {
  const now = new Date();
  try {
    Deno.utimeSync(bellPath(storePath), now, now);
  } catch {
    // Nobody has listened yet.
  }
}

/** Calls `onRing` soon after somebody rang, until it is disposed of. */
export function listenForBell(storePath: string, onRing: () => void): Disposable {
  let watcher: Deno.FsWatcher;
  try {
    const path = bellPath(storePath);
    Deno.openSync(path, { create: true, append: true, mode: 0o600 }).close();
    watcher = Deno.watchFs(path);
  } catch {
    return { [Symbol.dispose]() {} }; // the system has no more watches to give
  }
  (async () => {
    for await (const { kind } of watcher) if (kind !== "access") onRing();
  })();
  return { [Symbol.dispose]: () => watcher.close() };
}

function bellPath(storePath: string): string {
  return `${storePath}-wake`;
}
