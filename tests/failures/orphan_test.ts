import { assert, assertEquals } from "@std/assert";
import { Cli, lives } from "../helpers/cli.ts";
import { assertSound } from "../helpers/sound.ts";

Deno.test("failure 5: the process of a worker killed before it wrote the process id down is found by its mark, and dead before the job runs again", async () => {
  await using cli = new Cli();
  const job = `
    if [ "$QUEUECTL_ATTEMPT" = 1 ]; then
      sleep 1000 &
      echo "$$ $!" >> first
      wait
    fi
    for pid in $(cat first); do
      if kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$pid/status"; then
        echo "$pid" >> overlaps
      fi
    done`;
  await cli.ok("enqueue", "--id", "job", job);
  const env = { QUEUECTL_FAIL_AT: "after-spawn" };
  assertEquals((await cli.run(["worker", "start"], { env })).code, 137);
  const [line] = await cli.linesOnce("first", 1);
  const orphans = line!.split(" ");
  assertEquals(orphans.filter(lives), orphans, "there is nothing to be found");

  assertEquals(await cli.drain(), 0);
  assertEquals(cli.lines("overlaps"), []);
  assertEquals(orphans.filter(lives), []);
  const { attempts_history } = await cli.show("job");
  assertEquals(attempts_history.map(({ outcome }) => outcome), ["lost", "completed"]);
  await assertSound(cli, ["job"]);
});

Deno.test("failure 6: jobs beside a poisonous one complete, though it kills their worker process again and again", async () => {
  await using cli = new Cli();
  const beside = Array.from({ length: 6 }, (_, i) => `beside-${i}`);
  await cli.enqueue(
    { id: "poison", command: 'kill -9 "$PPID"; sleep 1000', max_retries: 3, priority: 1 },
    ...beside.map((id) => ({ id, command: "sleep 0.1", max_retries: 10 })),
  );
  let crashes = 0;
  while (await cli.drain("--count", "2") === 137) {
    crashes++;
    assert(crashes <= 3, "it may not run more often than max_retries says");
  }
  assertEquals(crashes, 3);
  const poison = await cli.show("poison");
  assertEquals([poison.state, poison.attempts], ["dead", 3]);
  assertEquals(poison.last_error, "Its worker died");
  for (const id of beside) assertEquals((await cli.show(id)).state, "completed");
  await assertSound(cli);
});
