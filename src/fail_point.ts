/** The places at which a test can have the process killed. */
export type FailPoint =
  | "inside-enqueue"
  | "after-enqueue"
  | "inside-claim"
  | "after-claim"
  | "before-spawn"
  | "after-spawn"
  | "after-exit"
  | "inside-settle"
  | "after-settle"
  | "inside-tick"
  | "inside-migrate";

let wanted: { name: string | undefined; nth: number } | undefined;
let passed = 0;

/**
 * Kills this process, as `kill -9` would, if QUEUECTL_FAIL_AT is the name of this place, or `name:n`
 * and it is passed for the n-th time: so that a crash between two lines is a test and not luck.
 */
export function failPoint(name: FailPoint) {
  wanted ??= readWanted();
  if (name === wanted.name && ++passed === wanted.nth) Deno.kill(Deno.pid, "SIGKILL");
}

function readWanted() {
  const [name, nth = "1"] = Deno.env.get("QUEUECTL_FAIL_AT")?.split(":") ?? [];
  return { name, nth: Number(nth) };
}
