/** An instant as JSON and scripts get it: ISO 8601 in UTC with milliseconds; null stays null. */
export function isoTime(ms: number): string;
export function isoTime(ms: number | null): string | null;
export function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

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
