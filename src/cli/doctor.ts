import { dirname } from "@std/path";
import { UserError } from "../errors.ts";
import { SCHEMA_VERSION } from "../store/open.ts";
import type { Examination, HeldLease, Store, Worker } from "../store/store.ts";
import type { System } from "../system.ts";
import { DeathWatch } from "../worker/death.ts";
import { attemptsOfProcesses, realProcesses } from "../worker/processes.ts";

/** One thing that was looked at. */
export interface Finding {
  level: "ok" | "warning" | "failure";
  check: string;
  found: string;
  /** What to do about it. */
  advice?: string;
}

const MIB = 2 ** 20;
/** A log is cut to 16 MiB when it has been written back; this much means that it is not. */
const LARGE_LOG_BYTES = 256 * MIB;
const LITTLE_SPACE_BYTES = 100 * MIB;
/** No two clocks agree to the millisecond. */
const CLOCK_TOLERANCE_MS = 5000;

/** Looks at everything, the store, its workers and the machine; it changes nothing. */
export async function examine(
  system: System,
  { store, path }: { store: Store; path: string },
): Promise<Finding[]> {
  if (!sizeOf(path)) {
    return [ok("store", `there is none at ${path} yet; it is made when it is needed`)];
  }
  const examination = await examineStore(store);
  if (!("engine" in examination)) return [examination];
  const workers = await store.workers();
  const leases = await store.leases();
  return [
    ok("engine", `${examination.engine}, Deno ${Deno.version.deno}, ${packageInUse()}`),
    schema(examination),
    integrity(examination),
    consistency(examination),
    permissions(path),
    log(path),
    space(path),
    clock(examination, workers, system.now()),
    deadWorkers(workers, system.monotonic()),
    await orphans(store, leases),
  ];
}

async function examineStore(store: Store): Promise<Examination | Finding> {
  try {
    return await store.examine();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return failure("integrity", error.message, "restore the last backup");
  }
}

const ok = (check: string, found: string): Finding => ({ level: "ok", check, found });
const warning = (check: string, found: string, advice: string): Finding => (
  { level: "warning", check, found, advice }
);
const failure = (check: string, found: string, advice: string): Finding => (
  { level: "failure", check, found, advice }
);

/** Which implementation of the SQLite package was loaded. */
function packageInUse(): string {
  return import.meta.resolve("@db/sqlite").startsWith("file:")
    ? "the runtime's own binding"
    : "@db/sqlite";
}

function schema({ schema }: Examination): Finding {
  return ok("schema", `version ${schema} of ${SCHEMA_VERSION}`);
}

function integrity({ damage }: Examination): Finding {
  if (damage.length === 0) return ok("integrity", "the file is whole");
  const advice = "stop the workers, keep the file, and restore the last backup";
  return failure("integrity", damage.slice(0, 3).join("; "), advice);
}

function consistency({ contradictions }: Examination): Finding {
  if (contradictions.length === 0) {
    return ok("consistency", "counters and history agree with the jobs");
  }
  return failure("consistency", contradictions.join("; "), "report it: this should not happen");
}

function permissions(path: string): Finding {
  const open = [path, dirname(path)].filter((each) =>
    ((Deno.statSync(each).mode ?? 0) & 0o077) !== 0
  );
  const [file] = open;
  if (file === undefined) return ok("permissions", "only you can read the jobs and their output");
  if (file !== path) {
    return ok("permissions", "only you can read the store; its folder is open to others");
  }
  return warning("permissions", "others can read the store", `chmod 600 ${path}*`);
}

function log(path: string): Finding {
  const bytes = sizeOf(`${path}-wal`) ?? 0;
  const found = `${(bytes / MIB).toFixed(1)} MiB of changes not written back yet`;
  if (bytes < LARGE_LOG_BYTES) return ok("log", found);
  return warning("log", found, "a program keeps reading the store: look for it with fuser or lsof");
}

function space(path: string): Finding {
  const bytes = freeBytes(dirname(path));
  if (bytes === null) return ok("disk", "how much is free is not known: there is no df here");
  const found = `${Math.floor(bytes / MIB)} MiB free`;
  if (bytes >= LITTLE_SPACE_BYTES) return ok("disk", found);
  return warning("disk", found, "make room: nothing can be enqueued or settled on a full disk");
}

// The runtime has only Node's module for it, and loading that takes longer than all the rest.
function freeBytes(folder: string): number | null {
  try {
    const { stdout } = new Deno.Command("df", { args: ["-Pk", folder], stderr: "null" })
      .outputSync();
    const columns = /\s\d+\s+\d+\s+(\d+)\s+(?:\d+%|-)\s/.exec(new TextDecoder().decode(stdout));
    return columns && Number(columns[1]) * 1024;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function clock({ newestAt }: Examination, workers: readonly Worker[], now: number): Finding {
  const latest = Math.max(newestAt ?? 0, ...workers.map(({ heartbeatAt }) => heartbeatAt));
  const ahead = latest - now;
  if (ahead <= CLOCK_TOLERANCE_MS) return ok("clock", "nothing in the store is from the future");
  const seconds = Math.round(ahead / 1000);
  return warning(
    "clock",
    `something in the store is ${seconds} s from the future`,
    "look at the clocks; jobs for later come by the clock of the worker",
  );
}

function deadWorkers(workers: readonly Worker[], now: number): Finding {
  const dead = new DeathWatch(realProcesses, Deno.hostname()).look(workers, now);
  if (dead.size === 0) return ok("workers", `${workers.length} running`);
  const found = `${dead.size} of ${workers.length} died: ${[...dead.keys()].join(" ")}`;
  return warning("workers", found, "start a worker: it takes back what they were doing");
}

/** Processes of attempts of this store's jobs that nobody holds any more. */
async function orphans(store: Store, leases: readonly HeldLease[]): Promise<Finding> {
  const held = new Set(leases.map(({ lease }) => lease.token));
  const strays: number[] = [];
  for (const { pid, attempt, job } of attemptsOfProcesses()) {
    if (!held.has(attempt) && await store.get(job)) strays.push(pid);
  }
  if (strays.length === 0) return ok("orphans", "no job has left a process behind");
  const found = `processes of attempts that have ended: ${strays.join(" ")}`;
  return warning("orphans", found, "end them, unless another store has a job with the same id");
}

function sizeOf(path: string): number | undefined {
  try {
    return Deno.statSync(path).size;
  } catch {
    return undefined;
  }
}
