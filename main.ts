import { personsFolder } from "./src/cli/app.ts";
import { runProgram } from "./src/cli/program.ts";
import { realTerminal } from "./src/cli/terminal.ts";
import { realSystem } from "./src/system.ts";

Deno.exitCode = await runProgram(Deno.args, {
  terminal: realTerminal,
  system: realSystem,
  folder: personsFolder(Deno.mainModule, Deno.env.get("INIT_CWD")),
  env: (name) => Deno.env.get(name),
  exitCode: 0,
});
