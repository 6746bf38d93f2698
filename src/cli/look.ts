import { type App, colored, type GlobalOptions } from "./app.ts";
import { type Paint, painter } from "./format/text.ts";

/** How a page for people is to look, at this moment and in this place. */
export interface Look {
  now: number;
  width: number;
  paint: Paint;
  /** Whether to draw lines. */
  line: boolean;
}

export function look(app: App, options: GlobalOptions): Look {
  return {
    now: app.system.now(),
    width: app.terminal.outIsTerminal ? app.terminal.columns() : Infinity,
    paint: painter(colored(app, options)),
    line: app.terminal.outIsTerminal,
  };
}
