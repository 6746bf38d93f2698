import { assert, assertEquals } from "@std/assert";
import type { Cli, ShownJob } from "./cli.ts";

/**
 * What holds after every failure: the store is whole, its counters and history agree with its jobs, and
 * no job has more attempts than it may. With `ids`, exactly these jobs are there.
 */
export async function assertSound(cli: Cli, ids?: readonly string[]) {
  await cli.look("doctor");
  const jobs: ShownJob[] = await cli.json("list", "--limit", "0");
  for (const { id, attempts, max_retries } of jobs) {
    assert(
      attempts <= Math.max(1, max_retries),
      `${id} has had ${attempts} of ${max_retries} attempts`,
    );
  }
  if (ids) assertEquals(jobs.map(({ id }) => id).sort(), [...ids].sort());
}
