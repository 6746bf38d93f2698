import type { NewJob } from "../job.ts";
import type { Queue, Store } from "../store/store.ts";
import type { App } from "./app.ts";
import { hint, pausedHint } from "./format/enqueued.ts";
import { liveWorkers } from "./live_workers.ts";

/** What to say after an enqueue: to a person all that matters, to a script only that nothing will run. */
export async function enqueueHint(
  app: App,
  store: Store,
  { added, queues }: { added: readonly NewJob[]; queues: readonly Queue[] },
): Promise<string> {
  if (!app.terminal.errIsTerminal) return pausedHint(added, queues);
  const workers = await liveWorkers(store, app.system);
  return hint(added, await store.counts(), { workers, queues });
}
