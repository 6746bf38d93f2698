import { Command } from "@cliffy/command";
import { resolve } from "@std/path";
import { badRequest } from "../../errors.ts";
import { type App, type GlobalOptions, storeToRead } from "../app.ts";
import { jsonLine } from "../format/text.ts";

export function backupCommand(app: App) {
  return new Command<GlobalOptions>()
    .arguments("<file:string>")
    .example("To go on with the copy", "queuectl --db backup.db status")
    .action(async (options, file) => {
      if (file.trim() === "" || file.includes("\0")) {
        throw badRequest("Cannot copy the store to nothing: expected the path of a file");
      }
      const path = resolve(app.folder, file);
      using store = await storeToRead(app, options);
      await store.backup(path);
      const { size } = Deno.statSync(path);
      if (options.json) app.terminal.out(jsonLine({ file: path, bytes: size }));
      else app.terminal.out(`${path}\n`);
    });
}
