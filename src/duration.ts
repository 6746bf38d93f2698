const UNITS_MS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

export const DURATION_RULE = "a duration such as 90, 500ms, 90s, 15m, 1h30m or 2d";

/** Milliseconds of `90` (seconds), `500ms`, `1.5s`, `1h30m`, `2d`; undefined if it is none of these. */
export function parseDuration(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * UNITS_MS[unit!]!;
  }
  return Math.round(totalMs);
}

/** `ms` in the units that parseDuration reads, exactly: `1h30m`, `2d`, `1s500ms`, `0s`. */
export function formatDuration(ms: number): string {
  let rest = ms;
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms"]) {
    const amount = Math.floor(rest / UNITS_MS[unit]!);
    if (amount > 0) text += `${amount}${unit}`;
    rest -= amount * UNITS_MS[unit]!;
  }
  return text || "0s";
}
