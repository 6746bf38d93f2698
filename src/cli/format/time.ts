/** A length of time as people say it: `12 ms`, `0.4 s`, `38 s`, `5 min`, `3 h`, `2 d`. */
export function span(ms: number): string {
  if (ms > 0 && ms < 100) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${(ms / 1000).toFixed(1).replace(/\.0$/, "")} s`;
  if (ms < 99_500) return `${Math.round(ms / 1000)} s`;
  if (ms < 99.5 * 60_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 47.5 * 3_600_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

/** An instant as people say it, seen from `now`: `5 s ago`, `in 2 min`, `now`. */
export function relativeTime(ms: number, now: number): string {
  const distance = Math.round((ms - now) / 1000) * 1000;
  if (distance === 0) return "now";
  return distance < 0 ? `${span(-distance)} ago` : `in ${span(distance)}`;
}

/**
 * An instant by the local clock, seen from `now`: `14:00`, with seconds if there are any, or with
 * its date on another day.
 */
export function clockTime(ms: number, now: number): string {
  return shortened(localTime(ms), localTime(now));
}

/** The same by the clock of an IANA time zone. */
export function zonedTime(ms: number, now: number, timeZone: string): string {
  // The Swedes write dates as ISO 8601 does.
  const format = new Intl.DateTimeFormat("sv-SE", {
    timeZone,
    dateStyle: "short",
    timeStyle: "medium",
  });
  return shortened(format.format(ms), format.format(now));
}

// Not with Intl, which takes longer to load than most commands to run.
function localTime(ms: number): string {
  const at = new Date(ms);
  const two = (n: number) => String(n).padStart(2, "0");
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join("-");
  return `${date} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":")}`;
}

/** `2026-12-24 18:00:00` without what goes without saying at `now`. */
function shortened(time: string, now: string): string {
  const short = time.replace(/:00$/, "");
  const [date, clock] = short.split(" ");
  return now.startsWith(date!) ? clock! : short;
}
