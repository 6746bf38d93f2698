// The command line as it is, with two things that are not as ever: the threads of its pool may
// throw or hang, and its clock is ten times as fast, because a thread is given 20 s to answer.
const TIMES = 10;
const THREAD = new URL("./misbehaving_thread.ts", import.meta.url);

globalThis.Worker = class extends Worker {
  constructor(_: string | URL, options?: WorkerOptions) {
    super(THREAD, options);
  }
};
const realNow = performance.now.bind(performance);
performance.now = () => realNow() * TIMES;
const realTimeout = globalThis.setTimeout;
Object.assign(globalThis, {
  setTimeout: (act: () => void, ms = 0) => realTimeout(act, ms / TIMES),
});

await import("../../main.ts");
