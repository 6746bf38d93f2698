/** Ctrl-C under `deno task` reaches the process twice within this time: from the terminal and passed on. */
const SAME_SIGNAL_MS = 200;

/** Whoever started this process, before that could have died. */
const PARENT = Deno.ppid;

/** How often it is asked whether `deno task` still lives. */
const LOOK_MS = 500;

/**
 * Calls `stop` at each SIGINT, SIGTERM and SIGHUP until it is disposed of; `withTask` also once the
 * parent, which is `deno task` then, has died and can pass no signal on any more.
 */
export function onStopSignals(stop: () => void, { withTask = false } = {}): Disposable {
  let last = -Infinity;
  const listener = () => {
    const now = performance.now();
    if (now - last > SAME_SIGNAL_MS) stop();
    last = now;
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, listener);
  const looking = withTask
    ? setInterval(() => {
      if (Deno.ppid === PARENT) return;
      clearInterval(looking);
      // On a terminal the kernel has sent SIGHUP already.
      if (last === -Infinity) listener();
    }, LOOK_MS)
    : undefined;
  return {
    [Symbol.dispose]() {
      clearInterval(looking);
      for (const signal of signals) Deno.removeSignalListener(signal, listener);
    },
  };
}
