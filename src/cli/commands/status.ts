import { Command } from "@cliffy/command";
import { type App, type GlobalOptions, storePath, storeToRead } from "../app.ts";
import { look } from "../look.ts";
import { jsonLine } from "../format/text.ts";

export function statusCommand(app: App) {
  return new Command<GlobalOptions>()
    .option("--watch", "Redraw it whenever something changes, until Ctrl-C.")
    .action(async (options) => {
      using store = await storeToRead(app, options);
      const { readStatus } = await import("../read_status.ts");
      const { statusJson, statusPage } = await import("../format/status.ts");
      const page = async () => {
        const status = await readStatus(store, app.system);
        return options.json ? jsonLine(statusJson(status)) : statusPage(status, look(app, options));
      };
      if (!options.watch) return app.terminal.out(await page());
      const { watchPage } = await import("../watch_page.ts");
      const path = storePath(app, options);
      await watchPage(app, { store, path }, page, { redraw: !options.json });
    });
}
