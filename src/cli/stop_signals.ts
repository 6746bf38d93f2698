/** Ctrl-C under `deno task` reaches the process twice within this time: from the terminal and passed on. */
const SAME_SIGNAL_MS = 200;

/** Calls `stop` at each SIGINT, SIGTERM and SIGHUP until it is disposed of. */
export function onStopSignals(stop: () => void): Disposable {
  let last = -Infinity;
  const listener = () => {
    const now = performance.now();
    if (now - last > SAME_SIGNAL_MS) stop();
    last = now;
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, listener);
  return {
    [Symbol.dispose]() {
      for (const signal of signals) Deno.removeSignalListener(signal, listener);
    },
  };
}
