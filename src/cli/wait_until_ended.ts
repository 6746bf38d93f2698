import { newId } from "../ids.ts";
import type { Store } from "../store/store.ts";
import { realProcesses } from "../worker/processes.ts";
import { Recovery } from "../worker/recovery.ts";
import type { App } from "./app.ts";
import { Changes } from "./changes.ts";
import { liveWorkers } from "./live_workers.ts";

/** A worker that lives ends a job within a second; one that died is noticed soon after. */
const PATIENCE_MS = 10_000;
const LOOK_MS = 200;

/**
 * Waits until jobs that are being cancelled no longer run; after a while only says that they still do.
 * Where no worker is left that could end them, it is done here.
 */
export async function waitUntilEnded(
  { system, terminal }: App,
  { store, path }: { store: Store; path: string },
  ids: readonly string[],
): Promise<void> {
  using changes = new Changes(store, system, path);
  const world = { store, system, processes: realProcesses, report() {} };
  const recovery = new Recovery(world, { id: newId(8), host: Deno.hostname() });
  const until = system.monotonic() + PATIENCE_MS;
  let left = ids;
  while (true) {
    const leases = await store.leases();
    const running = new Set(leases.map(({ job }) => job.id));
    left = left.filter((id) => running.has(id));
    if (left.length === 0) return;
    if (system.monotonic() >= until) {
      const jobs = left.join(" ");
      return terminal.err(`Asked, but not ended yet: ${jobs}; its worker does not answer\n`);
    }
    const alone = (await liveWorkers(store, system)).length === 0;
    const mine = leases.filter(({ job }) => left.includes(job.id));
    if (!alone || !await recovery.recover(mine, new Set())) await changes.next(LOOK_MS);
  }
}
