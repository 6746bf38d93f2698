// Loaded before the program: the wall clock of this process is ahead of the real one by what a file says,
// in milliseconds, at the moment of each look. The monotonic clock and the timers are left alone.
const file = Deno.env.get("TEST_CLOCK")!;
const realNow = Date.now;

Date.now = () => realNow() + Number(Deno.readTextFileSync(file));
