/**
 * The part of `jsr:@std/path` that we use, for POSIX paths. It is not taken from `node:path`:
 * loading that costs several milliseconds at start-up.
 */

/** Joins the parts with slashes and tidies the result; a trailing slash stays. */
export function join(path: string | URL, ...paths: string[]): string {
  const joined = [asPath(path), ...paths].filter((part) => part !== "").join("/");
  const tidied = tidy(joined) || ".";
  return joined.endsWith("/") && tidied !== "/" ? tidied + "/" : tidied;
}

/** Returns the absolute path of the last part, seen from those before it and the directory. */
export function resolve(...paths: string[]): string {
  const from = paths.findLastIndex(isAbsolute);
  const parts = from < 0 ? [Deno.cwd(), ...paths] : paths.slice(from);
  return tidy(parts.join("/"));
}

/** Says whether the path begins at the root. */
export function isAbsolute(path: string): boolean {
  return path.startsWith("/");
}

/** Returns the path without its last part, "." if there was no other. */
export function dirname(path: string | URL): string {
  const trimmed = withoutTrailingSlashes(asPath(path));
  const at = trimmed.lastIndexOf("/");
  return at < 0 ? "." : withoutTrailingSlashes(trimmed.slice(0, at)) || "/";
}

/** Returns the last part of the path, less the suffix if it ends with that and is longer. */
export function basename(path: string | URL, suffix = ""): string {
  const trimmed = withoutTrailingSlashes(asPath(path));
  const name = trimmed === "/" ? trimmed : trimmed.slice(trimmed.lastIndexOf("/") + 1);
  const cut = suffix !== "" && name !== suffix && name.endsWith(suffix);
  return cut ? name.slice(0, -suffix.length) : name;
}

/** Returns the path that a `file:` URL names; a percent sign that escapes nothing stays. */
export function fromFileUrl(url: string | URL): string {
  const { protocol, pathname } = new URL(url);
  if (protocol !== "file:") throw new TypeError(`URL must be a file URL: received "${protocol}"`);
  return decodeURIComponent(pathname.replace(/%(?![0-9A-Fa-f]{2})/g, "%25"));
}

function asPath(path: string | URL): string {
  return path instanceof URL ? fromFileUrl(path) : path;
}

function withoutTrailingSlashes(path: string): string {
  let end = path.length;
  while (end > 1 && path[end - 1] === "/") end--;
  return path.slice(0, end);
}

// Takes out empty parts, "." and what ".." undoes. Nothing is above the root.
function tidy(path: string): string {
  const root = isAbsolute(path) ? "/" : "";
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (!root) parts.push(part);
  }
  return root + parts.join("/");
}
