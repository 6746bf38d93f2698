import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";

const ROOT = fromFileUrl(new URL("../", import.meta.url));
const SRC = join(ROOT, "src");

interface Source {
  /** The path from the project's folder, such as `src/store/open.ts`. */
  path: string;
  text: string;
  imports: Import[];
}

interface Import {
  /** A package, or a path from the project's folder. */
  target: string;
  /** Loaded only once something asks for it, or not at all. */
  lazy: boolean;
}

const SOURCES: Source[] = ["main.ts", ...pathsIn("src")].map((path) => {
  const text = Deno.readTextFileSync(join(ROOT, path));
  return { path, text, imports: importsOf(path, text) };
});

function pathsIn(folder: string): string[] {
  return [...Deno.readDirSync(join(ROOT, folder))].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? pathsIn(path) : name.endsWith(".ts") ? [path] : [];
  }).sort();
}

function importsOf(path: string, text: string): Import[] {
  const found = [
    ...text.matchAll(/^(import|export)\s(type\s)?[^;"]*from "([^"]+)"/gm).map((match) => ({
      target: match[3]!,
      lazy: match[2] !== undefined,
    })),
    ...text.matchAll(/\bimport\("([^"]+)"\)/g).map(([, target]) => ({
      target: target!,
      lazy: true,
    })),
    ...text.matchAll(/new URL\("(\.[^"]+)"/g).map(([, target]) => ({
      target: target!,
      lazy: true,
    })),
  ];
  return found.map(({ target, lazy }) => ({
    target: target.startsWith(".") ? join(path, "..", target) : target,
    lazy,
  }));
}

/** 0 for what stands on nothing, and the higher the further up. */
function layerOf(path: string): number {
  if (path === "main.ts") return 4;
  const folder = path.match(/^src\/(\w+)\//)?.[1];
  return folder === undefined ? 0 : ["", "store", "worker", "cli"].indexOf(folder);
}

function isPackage({ target }: Import): boolean {
  return !target.startsWith("src/");
}

Deno.test("the sources are found, with what they import", () => {
  const main = SOURCES.find(({ path }) => path === "main.ts")!;
  assert(main.imports.some(({ target }) => target === "src/cli/program.ts"));
  const pool = SOURCES.find(({ path }) => path === "src/worker/pool.ts")!;
  assert(pool.imports.some(({ target }) => target === "src/worker/thread.ts"));
  assert(SOURCES.length > 40);
});

Deno.test("imports point down: main, cli, worker, store, and what stands on nothing", () => {
  const upward = SOURCES.flatMap(({ path, imports }) =>
    imports.filter((each) => !isPackage(each) && layerOf(each.target) > layerOf(path))
      .map(({ target }) => `${path} imports ${target}`)
  );
  assertEquals(upward, []);
});

Deno.test("every source lies in a layer, and every import leads to a file", () => {
  const paths = SOURCES.map(({ path }) => path);
  assertEquals(paths.filter((path) => layerOf(path) < 0), []);
  const targets = SOURCES.flatMap(({ imports }) => imports)
    .filter((each) => !isPackage(each)).map(({ target }) => target);
  assertEquals(targets.filter((target) => !target.endsWith(".sql") && !paths.includes(target)), []);
});

Deno.test("only three packages are imported, and node:os by one file", () => {
  const card = ["@cliffy/command", "@db/sqlite", "@std/path"];
  const others = SOURCES.flatMap(({ path, imports }) =>
    imports.filter((each) => isPackage(each) && !card.includes(each.target))
      .map(({ target }) => ({ path, target }))
  );
  assertEquals(others.map(({ target }) => target), ["node:os"]);
});

Deno.test("what a start does not need is loaded later: node:os, the migrations, the workers", () => {
  const loaded = new Set(["main.ts"]);
  for (const path of loaded) {
    for (const { target, lazy } of SOURCES.find((source) => source.path === path)?.imports ?? []) {
      if (!lazy) loaded.add(target);
    }
  }
  assert(loaded.has("src/store/open.ts"));
  const late = ["node:os", "src/store/migrations.ts", "src/worker/supervisor.ts"];
  assertEquals(late.filter((target) => loaded.has(target)), []);
});

Deno.test("no import names what may have to be fetched", () => {
  const fetched = SOURCES.filter(({ text }) => /["'](https?|npm|jsr):[^"'\s]/.test(text));
  assertEquals(fetched.map(({ path }) => path), []);
});

Deno.test("nothing but main.ts ends the process", () => {
  const ending = SOURCES.filter(({ path, text }) =>
    path !== "main.ts" && /Deno\.exit(Code)?\b/.test(text)
  );
  assertEquals(ending.map(({ path }) => path), []);
});

Deno.test("no source is longer than 450 lines", () => {
  const long = SOURCES.filter(({ text }) => text.split("\n").length > 451);
  assertEquals(long.map(({ path }) => path), []);
});

Deno.test("the rules of jobs stand on nothing of the outside world", () => {
  for (const name of ["job.ts", "backoff.ts", "duration.ts", "errors.ts", "settings.ts"]) {
    const text = Deno.readTextFileSync(join(SRC, name));
    assert(!/\bDeno\.|Date\.now|Math\.random/.test(text), name);
  }
});
