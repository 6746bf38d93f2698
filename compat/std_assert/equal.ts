/** Says whether two values are alike all the way down; NaN equals NaN, and 0 equals -0. */
export function equal(a: unknown, b: unknown): boolean {
  return alike(a, b, new Map());
}

// `seen` holds the pairs being compared, so that a cycle ends.
function alike(a: unknown, b: unknown, seen: Map<object, object>): boolean {
  if (a === b || Object.is(a, b)) return true;
  if (!isObject(a) || !isObject(b) || kind(a) !== kind(b)) return false;
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime());
  if (a instanceof RegExp || a instanceof URL || a instanceof Error) return String(a) === String(b);
  if (a instanceof Uint8Array) return sameBytes(a, b as Uint8Array);
  if (seen.get(a) === b) return true;
  seen.set(a, b);
  if (a instanceof Set) return sameMembers([...a], [...b as Set<unknown>], seen);
  if (a instanceof Map) return sameMembers([...a], [...b as Map<unknown, unknown>], seen);
  return sameProperties(a, b, seen);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

// An object without a prototype counts as a plain one: rows of a store are often of that kind.
function kind(value: object): unknown {
  return Object.getPrototypeOf(value) === null ? Object : value.constructor;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

// The order of a Set or Map does not count; each member may be used up once only.
function sameMembers(a: unknown[], b: unknown[], seen: Map<object, object>): boolean {
  if (a.length !== b.length) return false;
  const left = [...b];
  return a.every((member) => {
    const at = left.findIndex((other) => alike(member, other, new Map(seen)));
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
}

function sameProperties(a: object, b: object, seen: Map<object, object>): boolean {
  if (Array.isArray(a) && a.length !== (b as unknown[]).length) return false;
  const keys = properties(a);
  return keys.length === properties(b).length &&
    keys.every((key) =>
      Object.hasOwn(b, key) && alike(Reflect.get(a, key), Reflect.get(b, key), seen)
    );
}

function properties(value: object): PropertyKey[] {
  return Reflect.ownKeys(value).filter((key) =>
    Object.prototype.propertyIsEnumerable.call(value, key)
  );
}
