import { Command } from "@cliffy/command";
import { type App, type GlobalOptions, storePath, storeToRead } from "../app.ts";
import { look } from "../look.ts";
import { jsonLine } from "../format/text.ts";

export function doctorCommand(app: App) {
  return new Command<GlobalOptions>()
    .action(async (options) => {
      const path = storePath(app, options);
      using store = await storeToRead(app, options);
      const { examine } = await import("../doctor.ts");
      const { findingLine } = await import("../format/findings.ts");
      const findings = await examine(app.system, { store, path });
      const { paint } = look(app, options);
      if (options.json) app.terminal.out(jsonLine(findings));
      else app.terminal.out(findings.map((finding) => findingLine(finding, paint)).join(""));
      if (findings.some(({ level }) => level === "failure")) app.exitCode = 1;
    });
}
