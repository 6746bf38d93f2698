import type { Store } from "../store/store.ts";
import { sleep } from "../system.ts";
import type { App } from "./app.ts";
import { Changes } from "./changes.ts";

/** Relative times grow old, so the page is drawn this often even if nothing changes. */
const REDRAW_MS = 1000;
/** However fast the store changes, a person reads no faster. */
const FASTEST_MS = 100;

/**
 * Shows a page again whenever the store changes, until Ctrl-C; in place on a terminal, else below
 * the last one.
 */
export async function watchPage(
  { system, terminal }: App,
  { store, path }: { store: Store; path: string },
  page: () => Promise<string>,
  { redraw }: { redraw: boolean },
): Promise<void> {
  const inPlace = redraw && terminal.outIsTerminal;
  using changes = new Changes(store, system, path);
  let stopped = false;
  const stop = () => {
    stopped = true;
    changes.wake();
  };
  Deno.addSignalListener("SIGINT", stop);
  Deno.addSignalListener("SIGTERM", stop);
  if (inPlace) terminal.out("\x1b[?1049h\x1b[?25l");
  try {
    let last = "";
    while (!stopped) {
      const text = await page();
      if (inPlace) terminal.out(`\x1b[H${text.replaceAll("\n", "\x1b[K\n")}\x1b[J`);
      else if (text !== last) terminal.out(text);
      last = text;
      await sleep(system, FASTEST_MS);
      if (!stopped) await changes.next(REDRAW_MS - FASTEST_MS);
    }
  } finally {
    if (inPlace) terminal.out("\x1b[?25h\x1b[?1049l");
    Deno.removeSignalListener("SIGINT", stop);
    Deno.removeSignalListener("SIGTERM", stop);
  }
}
