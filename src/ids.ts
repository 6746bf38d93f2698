/** Crockford's base 32: no i, l, o, u, so that an id can be read aloud and spells nothing. */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

// Random bytes are drawn many at a time: for 100,000 jobs it is 100,000 fewer calls.
const random = new Uint8Array(3072);
let used = random.length;

/** A random id of `length` characters, 5 bits each. 12 characters never meet again in practice. */
export function newId(length = 12): string {
  if (used + length > random.length) {
    crypto.getRandomValues(random);
    used = 0;
  }
  let id = "";
  for (const end = used + length; used < end; used++) id += ALPHABET[random[used]! & 31];
  return id;
}

/**
 * What a name that a person chooses may be, of a job, a queue, a tag or a schedule: safe in a
 * shell, a URL, a file name and a terminal.
 */
export const NAME_RULE = '1 to 64 letters, digits, ".", "_", ":" or "-", not beginning with "-"';

export function isName(text: string): boolean {
  return /^[A-Za-z0-9._:][A-Za-z0-9._:-]{0,63}$/.test(text);
}
