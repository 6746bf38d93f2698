import { sleep } from "../system.ts";
import { operationFailed, quote } from "../errors.ts";
import { openStore } from "../store/open.ts";
import type { App, GlobalOptions } from "./app.ts";
import type { StartOptions } from "./start_worker.ts";
import { jsonLine } from "./format/text.ts";

/** How long a worker process may take to appear in the store. */
const APPEAR_MS = 10_000;

/** Starts the same worker process in the background, with its events in a log file beside the store. */
export async function detachWorker(
  app: App,
  options: GlobalOptions & StartOptions,
  path: string,
): Promise<void> {
  using store = await openStore(path);
  const log = `${path}.worker.log`;
  // The shell opens the log and then becomes the worker, which so keeps this process id.
  const child = new Deno.Command("sh", {
    args: [
      "-c",
      'umask 077; unset INIT_CWD; log=$1; shift; exec "$@" </dev/null >>"$log" 2>&1',
      "sh",
      log,
    ]
      .concat(selfCommand(), startArguments(options, path)),
    cwd: app.folder,
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn();
  child.unref();
  let exited = false;
  child.status.then(() => exited = true);
  const until = app.system.monotonic() + APPEAR_MS;
  while (!(await store.workers()).some(({ process }) => process.pid === child.pid)) {
    if (exited || app.system.monotonic() > until) {
      throw operationFailed(`Cannot start a worker in the background: see ${quote(log)}`);
    }
    await sleep(app.system, 20);
  }
  if (options.json) app.terminal.out(jsonLine({ pid: child.pid, log }));
  else {
    app.terminal.out(`${child.pid}\n`);
    app.terminal.err(`A worker runs in the background; its log is ${log}\n`);
  }
}

/** How this very program is called. */
function selfCommand(): string[] {
  return Deno.build.standalone
    ? [Deno.execPath()]
    : [Deno.execPath(), "run", "-A", "--no-prompt", "--v8-flags=--no-lazy", Deno.mainModule];
}

function startArguments(
  { json, color, count, limit, sleep, poll, queue, drain, quiet, verbose }:
    & GlobalOptions
    & StartOptions,
  path: string,
): string[] {
  const valued = { count, limit, sleep, poll, queue: queue?.join(",") };
  const plain = { json, drain, quiet, verbose, "no-color": !color };
  return [
    ...["worker", "start", "--db", path],
    ...Object.entries(valued).flatMap(([name, value]) => value ? [`--${name}`, value] : []),
    ...Object.entries(plain).flatMap(([name, set]) => set ? [`--${name}`] : []),
  ];
}
