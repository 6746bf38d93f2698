import { operationFailed, quote } from "../errors.ts";
import { type App, type GlobalOptions, storePath, storeToRead } from "./app.ts";
import { Changes } from "./changes.ts";
import { durationOption } from "./options.ts";
import { jsonLine } from "./format/text.ts";

/** Workers that die without a word are noticed this often. */
const LOOK_MS = 200;

/** Asks every worker process of the store to stop, and waits until they have. */
export async function stopWorkers(
  app: App,
  options: GlobalOptions,
  { force, timeout }: { force?: boolean; timeout?: string },
): Promise<void> {
  const { liveWorkers } = await import("./live_workers.ts");
  const timeoutMs = timeout === undefined ? Infinity : durationOption("--timeout", timeout);
  const { system, terminal } = app;
  const until = system.monotonic() + timeoutMs;
  using store = await storeToRead(app, options);
  const asked = new Set((await liveWorkers(store, system)).map(({ id }) => id));
  if (asked.size > 0) await store.requestStop(force ? "force" : "graceful");

  using changes = asked.size > 0 ? new Changes(store, system, storePath(app, options)) : null;
  for (let left = asked.size; left > 0;) {
    const restMs = until - system.monotonic();
    if (restMs <= 0) {
      throw operationFailed(
        `Cannot wait longer than ${quote(timeout!)}: ${left} of ${asked.size} workers still run`,
      );
    }
    await changes!.next(Math.min(LOOK_MS, restMs));
    left = (await liveWorkers(store, system)).filter(({ id }) => asked.has(id)).length;
  }
  if (options.json) return terminal.out(jsonLine({ stopped: [...asked] }));
  const { size } = asked;
  terminal.out(
    size === 0 ? "No worker is running\n" : `Stopped ${size} of ${size} worker processes\n`,
  );
}
