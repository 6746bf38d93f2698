import { parseDuration } from "./duration.ts";

export const INSTANT_RULE =
  'a time such as 2026-12-24T18:00:00Z, "2026-12-24 18:00" (local), +10m or epoch seconds (9 to 11 digits)';

const CIVIL =
  /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)?)?$/;

// Later years have more than four digits, which this could not read back.
const LATEST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/**
 * Epoch milliseconds of a date and time with `Z`, an offset or (local) neither, of a date (local
 * midnight), of `+10m` from `now`, or of epoch seconds; undefined if it is none of these or no such
 * day or hour exists. A local time that a change of clocks skips is as much later, one that comes
 * twice is the first.
 */
export function parseInstant(text: string, now: number): number | undefined {
  const instant = relative(text, now) ?? epoch(text) ?? civil(text);
  return instant !== undefined && instant <= LATEST ? instant : undefined;
}

function relative(text: string, now: number): number | undefined {
  const waitMs = text.startsWith("+") ? parseDuration(text.slice(1)) : undefined;
  return waitMs === undefined ? undefined : now + waitMs;
}

/** Fewer digits are no instant that anybody means, more are milliseconds. */
function epoch(text: string): number | undefined {
  return /^[1-9]\d{8,10}(\.\d+)?$/.test(text) ? Math.round(Number(text) * 1000) : undefined;
}

function civil(text: string): number | undefined {
  const match = text.match(CIVIL);
  if (!match) return undefined;
  const [, date, minute = "00:00", second = ":00", zone = ""] = match;
  const time = `${date}T${minute}${second}`;
  // Date makes March 2 of February 30.
  const utc = new Date(`${time}Z`);
  const exists = !isNaN(utc.getTime()) && utc.toISOString().slice(0, 19) === time.slice(0, 19);
  return exists ? Date.parse(`${time}${zone.toUpperCase()}`) : undefined;
}
