import type { Store } from "../store/store.ts";
import { sleep, type System } from "../system.ts";

/** Asking for the number of changes costs a few microseconds. */
const LOOK_MS = 40;

/** Resolves when another process has written to the store since `seen`, or after `ms` at the latest. */
export async function changed(store: Store, system: System, seen: number, ms: number) {
  const until = system.monotonic() + ms;
  while (store.changes() === seen && system.monotonic() < until) {
    await sleep(system, Math.min(LOOK_MS, until - system.monotonic()));
  }
}
