/**
 * The limit: the same commands with the same isolation and their output read, but no queue, and all
 * started from one thread.
 * `bare_loop.ts COMMAND COUNT CONCURRENCY [detached]` prints how many a second have been executed; with
 * `detached` they are isolated by the runtime's own means.
 */
import { findShell } from "../../src/worker/shell.ts";
import { perSecond } from "./line.ts";

const [command, count, concurrency, how] = Deno.args as [string, string, string, string?];
const { sh, ...found } = findShell();
const setsid = how === "detached" ? null : found.setsid;
let left = Number(count);

console.log(
  await perSecond(left, async () => {
    await Promise.all(Array.from({ length: Number(concurrency) }, executeWhatIsLeft));
  }),
);

async function executeWhatIsLeft() {
  const words = ["-c", command];
  while (left-- > 0) {
    const child = new Deno.Command(setsid ?? sh, {
      args: setsid ? [sh, ...words] : words,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: setsid === null,
    }).spawn();
    await Promise.all([child.status, readAll(child.stdout), readAll(child.stderr)]);
  }
}

async function readAll(stream: ReadableStream<Uint8Array>) {
  const reader = stream.getReader();
  while (!(await reader.read()).done);
}
