import type { Child, Cli } from "../helpers/cli.ts";

/** Stops a worker process, but not while it holds the lock of the store: then everybody would stand still. */
export async function standStill(cli: Cli, worker: Child) {
  while (true) {
    worker.signal("SIGSTOP");
    const { code } = await cli.run(["config", "set", "poll_interval", "1"]);
    if (code === 0) return;
    worker.signal("SIGCONT");
  }
}
