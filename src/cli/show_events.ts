import type { Store } from "../store/store.ts";
import type { App } from "./app.ts";
import { Changes } from "./changes.ts";
import { storedEventJson, storedEventLine } from "./format/stored_events.ts";
import type { Paint } from "./format/text.ts";
import { onStopSignals } from "./stop_signals.ts";
import { jsonLine } from "./format/text.ts";

const PAGE = 1000;
const LOOK_MS = 500;

/** Prints the events after number `since`, and with `follow` those to come, until Ctrl-C. */
export async function showEvents(
  { system, terminal }: App,
  { store, path }: { store: Store; path: string },
  { since, follow, json, paint }: { since: number; follow: boolean; json: boolean; paint: Paint },
): Promise<void> {
  let last = since;
  const printNew = async () => {
    while (true) {
      const events = await store.events(last, PAGE);
      const lines = events.map((event) =>
        json ? jsonLine(storedEventJson(event)) : storedEventLine(event, paint)
      );
      terminal.out(lines.join(""));
      last = events.at(-1)?.seq ?? last;
      if (events.length < PAGE) return;
    }
  };
  if (!follow) return await printNew();

  using changes = new Changes(store, system, path);
  let stopped = false;
  using _signals = onStopSignals(() => {
    stopped = true;
    changes.wake();
  });
  while (!stopped) {
    await printNew();
    await changes.next(LOOK_MS);
  }
}
