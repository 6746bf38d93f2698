import { assert, assertEquals } from "@std/assert";
import { type Child, Cli, type PastEvent, waitUntil } from "../helpers/cli.ts";
import { between, seeded } from "../helpers/random.ts";
import { assertSound } from "../helpers/sound.ts";

const JOBS = 5000;
const WORKERS = 8;
const KILLS = 100;
const KILL_EVERY_JOBS = Math.floor(JOBS / (KILLS + 10));

/** Jobs that were claimed ahead, and waited for one that took long. */
const GIVEN_BACK = "It was given back before it began";

/**
 * One in five takes a while. Notes each execution, and each that begins while another one of the same job
 * still lives.
 */
const JOB = `
mark=running/$QUEUECTL_JOB_ID
if [ -s $mark ] && grep -qsa "QUEUECTL_JOB_ID=$QUEUECTL_JOB_ID" "/proc/$(cat $mark)/environ"; then
  echo $QUEUECTL_JOB_ID >>overlaps
fi
echo $$ >$mark
case $QUEUECTL_JOB_ID in *0 | *5) sleep 0.1 ;; esac
: >$mark
echo $QUEUECTL_JOB_ID >>ran`;

Deno.test("failure 9: after a hundred random kills of eight worker processes over 5,000 jobs nothing is lost, stuck or run twice at once", async () => {
  await using cli = new Cli();
  Deno.mkdirSync(cli.path("running"));
  cli.write("job.sh", JOB);
  const ids = Array.from({ length: JOBS }, (_, i) => `job-${i}`);
  const jobs = ids.map((id) => ({ id, command: ". ./job.sh", max_retries: 1000, backoff_base: 0 }));
  await cli.enqueue(...jobs);

  const random = seeded(9);
  const workers: Child[] = [];
  for (let i = 0; i < WORKERS; i++) workers.push(await cli.startWorker());
  for (let kills = 1; kills <= KILLS; kills++) {
    await waitUntil(() => cli.lines("ran").length >= kills * KILL_EVERY_JOBS, "some more jobs");
    const [victim] = workers.splice(between(random, 0, WORKERS - 1), 1);
    victim!.signal("SIGKILL");
    await victim!.result;
    workers.push(await cli.startWorker());
  }
  assertEquals(await cli.drain(), 0);

  assertEquals(cli.lines("overlaps"), []);
  const states = await cli.json("status");
  assertEquals([states.jobs.completed, states.jobs.processing], [JOBS, 0]);
  const executions = Map.groupBy(cli.lines("ran"), (id) => id);
  assertEquals(executions.size, JOBS);
  const history = await cli.history();
  const claims = Map.groupBy(history.filter(({ event }) => event === "claimed"), ({ job }) => job!);
  const lost = history.filter(({ cause }: PastEvent) =>
    /^Its worker (died|is gone)$/.test(cause ?? "")
  );
  const givenBack = history.filter(({ cause }: PastEvent) => cause === GIVEN_BACK);
  for (const [id, { length }] of executions) {
    assert(length <= claims.get(id)!.length, `${id} ran ${length} times`);
  }
  const claimed = history.filter(({ event }) => event === "claimed");
  assertEquals(claimed.length, JOBS + lost.length + givenBack.length);
  assert(lost.length > KILLS / 4, `only ${lost.length} kills hit a running job`);
  await assertSound(cli, ids);
});
