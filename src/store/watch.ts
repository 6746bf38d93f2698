import { basename, dirname } from "@std/path";

/**
 * Calls `onChange` soon after any process has written to the store at `path`. It is a hint: where the
 * system has no more watches to give, it never comes, so whoever needs to know must look now and then too.
 */
export function watchStore(path: string, onChange: () => void): Disposable {
  let watcher: Deno.FsWatcher;
  try {
    watcher = Deno.watchFs(dirname(path), { recursive: false });
  } catch {
    return { [Symbol.dispose]() {} };
  }
  const name = basename(path);
  (async () => {
    for await (const { kind, paths } of watcher) {
      if (kind !== "access" && paths.some((path) => basename(path).startsWith(name))) onChange();
    }
  })();
  return { [Symbol.dispose]: () => watcher.close() };
}
