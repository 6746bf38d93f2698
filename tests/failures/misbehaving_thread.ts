/// <reference lib="webworker" />
// A thread of the pool as it is, but for two commands: at one it throws, at the other it hangs,
// as soon as a file `ready` is in the folder of the command.
import "../../src/worker/thread.ts";
import type { Order, Run } from "../../src/worker/protocol.ts";

const obey = self.onmessage!;

self.onmessage = (event: MessageEvent<Order[]>) => {
  obey.call(self, event);
  for (const order of event.data) if (order.type === "run") misbehave(order.run);
};

function misbehave({ command, cwd }: Run) {
  const [, how] = /# the thread (throws|hangs)$/.exec(command) ?? [];
  if (!how) return;
  const waiting = setInterval(() => {
    if (![...Deno.readDirSync(cwd)].some(({ name }) => name === "ready")) return;
    clearInterval(waiting);
    if (how === "throws") throw new Error("out of order");
    for (;;);
  }, 20);
}
