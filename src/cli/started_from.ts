import { dirname, fromFileUrl } from "@std/path";
import type { App } from "./app.ts";

/**
 * The folder of the person's shell, and whether `deno task` is between: that changes to the folder of the
 * project and leaves the person's in INIT_CWD; npm sets that too, so it counts only where the project's
 * folder is the current one.
 */
export function startedFrom(
  mainModule: string,
  initCwd: string | undefined,
): Pick<App, "folder" | "isTask"> {
  const current = Deno.cwd();
  const here = { folder: current, isTask: false };
  if (!initCwd || !mainModule.startsWith("file:")) return here;
  return dirname(fromFileUrl(mainModule)) === current ? { folder: initCwd, isTask: true } : here;
}
