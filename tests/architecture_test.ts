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
  /**
   * `static`: loaded with the file; `type`: never; `dynamic`: when it is asked for, though looked up
   * with the file; `url`: known to nobody before it is asked for, as with `lazily`.
   */
  how: "static" | "type" | "dynamic" | "url";
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
  const found: Import[] = [
    ...text.matchAll(/^(import|export)\s(type\s)?[^;"]*from "([^"]+)"/gm).map((
      [, , type, target],
    ): Import => ({ target: target!, how: type ? "type" : "static" })),
    ...text.matchAll(/^import "([^"]+)"/gm).map(([, target]): Import => ({
      target: target!,
      how: "static",
    })),
    ...text.matchAll(/(?<!typeof )\bimport\("([^"]+)"\)/g).map(([, target]): Import => ({
      target: target!,
      how: "dynamic",
    })),
    ...text.matchAll(/(?:new URL|\blazily<[^;]*>)\(\s*"(\.[^"]+)"/g).map(([, target]): Import => ({
      target: target!,
      how: "url",
    })),
  ];
  return found.map(({ target, how }) => ({
    target: target.startsWith(".") ? join(path, "..", target) : target,
    how,
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

/** The one package from npm. What it takes to find it is spent by those who have schedules. */
const CRON_LIBRARY = "npm:croner@11.0.1";

Deno.test("only three packages are imported, croner by cron.ts, and of Node what Deno lacks", () => {
  const card = ["@cliffy/command", "@db/sqlite", "@std/path"];
  const others = SOURCES.flatMap(({ path, imports }) =>
    imports.filter((each) => isPackage(each) && !card.includes(each.target))
      .map(({ target }) => ({ path, target }))
  );
  assertEquals(others, [
    { path: "src/cli/job_exit_code.ts", target: "node:os" },
    { path: "src/cron.ts", target: CRON_LIBRARY },
  ]);
});

Deno.test("cron.ts is loaded by schedule.ts alone, by a URL that nobody looks up before", () => {
  const users = SOURCES.flatMap(({ path, imports }) =>
    imports.filter(({ target }) => target === "src/cron.ts").map(({ how }) => ({ path, how }))
  );
  assertEquals(users, [{ path: "src/schedule.ts", how: "url" }]);
  // However else it might be named, such as in a template or in a list of files.
  const naming = SOURCES.filter(({ text }) => /\bcron\.ts["'`]/.test(text));
  assertEquals(naming.map(({ path }) => path), ["src/schedule.ts"]);
});

/** What the runtime reads for a file: whatever is imported, at once or some day, by a name that it can see. */
function readFor(start: string): Set<string> {
  const read = new Set([start]);
  for (const path of read) {
    for (const { target, how } of SOURCES.find((source) => source.path === path)?.imports ?? []) {
      if (how === "static" || how === "dynamic") read.add(target);
    }
  }
  return read;
}

Deno.test("a start reads no command and no store before it knows what is wanted", () => {
  const early = [...readFor("main.ts")].filter((path) =>
    /^src\/(store|worker|cli\/commands)\//.test(path)
  );
  assertEquals(early, []);
});

Deno.test("enqueue reads nothing of workers, people's hints, migrations, cron and node:os", () => {
  const read = readFor("src/cli/commands/enqueue.ts");
  assert(read.has("src/store/open.ts"));
  const others = ["node:os", "src/store/migrations.ts", "src/cli/enqueue_hint.ts", CRON_LIBRARY];
  others.push("src/cli/format/enqueued.ts", "src/cli/live_workers.ts");
  const sources = SOURCES.map(({ path }) => path);
  assertEquals(others.filter((path) => path.startsWith("src/") && !sources.includes(path)), []);
  const isOther = (path: string) => others.includes(path) || path.startsWith("src/worker/");
  assertEquals([...read].filter(isOther), []);
});

Deno.test("enqueue names every file that it reads before another one does", () => {
  const before = readFor("main.ts");
  const path = "src/cli/commands/enqueue.ts";
  const { text } = SOURCES.find((source) => source.path === path)!;
  const isBare = /^import "[^"]+";$/gm;
  const bare = importsOf(path, text.match(isBare)!.join("\n"));
  const used = importsOf(path, text.replaceAll(isBare, ""))
    .filter(({ how }) => how === "static");
  const targets = (imports: Import[]) => imports.map(({ target }) => target);
  const reached = new Set(used.flatMap(({ target }) => [...readFor(target)]));
  const needed = [...reached].filter((each) => !before.has(each) && !targets(used).includes(each));
  assertEquals(targets(bare).toSorted(), needed.toSorted());
});

Deno.test("what is loaded lazily is of the type of that file", () => {
  const call = /\blazily<([^;]*)>\(\s*"([^"]+)"/g;
  const calls = SOURCES.flatMap(({ text }) => [...text.matchAll(call)]);
  const other = calls.filter(([, type, path]) => type !== `typeof import("${path}")`);
  assertEquals(other.map(([, type, path]) => [type, path]), [["Cron", "./cron.ts"]]);
  assertEquals(calls.length, 3);
});

Deno.test("no import names what may have to be fetched, but for the cron library in its version", () => {
  const fetched = SOURCES.flatMap(({ path, text }) =>
    [...text.matchAll(/["'`]((?:https?|npm|jsr):[^"'`\s]+)/g)].map(([, target]) => ({
      path,
      target,
    }))
  );
  assertEquals(fetched, [{ path: "src/cron.ts", target: CRON_LIBRARY }]);
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
  const names = ["job.ts", "backoff.ts", "duration.ts", "errors.ts", "settings.ts", "instant.ts"];
  names.push("job_json.ts", "job_request.ts", "request_values.ts", "schedule.ts", "cron.ts");
  for (const name of names) {
    const text = Deno.readTextFileSync(join(SRC, name));
    assert(!/\bDeno\.|Date\.now|Math\.random/.test(text), name);
  }
});
