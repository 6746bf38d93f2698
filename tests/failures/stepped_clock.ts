// Loaded before the program: the wall clock of this process, its threads included, is ahead of the real
// one by what a file says, in milliseconds, at the moment of each look. The monotonic clock and the timers
// are left alone.
const file = Deno.env.get("TEST_CLOCK")!;
const realNow = Date.now;

Date.now = () => realNow() + Number(Deno.readTextFileSync(file));

if (globalThis.Worker) {
  globalThis.Worker = class extends Worker {
    constructor(script: string | URL, options?: WorkerOptions) {
      const scripts = [import.meta.url, String(script)].map((url) =>
        `import ${JSON.stringify(url)};`
      );
      super(`data:text/javascript,${encodeURIComponent(scripts.join("\n"))}`, options);
    }
  };
}
