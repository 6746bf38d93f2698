import { runProgram } from "./src/cli/program.ts";
import { startedFrom } from "./src/cli/started_from.ts";
import { realTerminal } from "./src/cli/terminal.ts";
import { realSystem } from "./src/system.ts";

const PERMISSIONS = ["read", "write", "run", "env", "sys", "ffi", "net", "import"] as const;

// With less, /proc cannot be read, and the runtime takes the URI of a store for the name of a file.
if (PERMISSIONS.every((name) => Deno.permissions.querySync({ name }).state === "granted")) {
  const code = await runProgram(Deno.args, {
    terminal: realTerminal,
    system: realSystem,
    ...startedFrom(Deno.mainModule, Deno.env.get("INIT_CWD")),
    env: (name) => Deno.env.get(name),
    exitCode: 0,
  });
  Deno.exit(code); // a thread that hangs would keep the process alive
} else {
  realTerminal.err("Cannot work with some permissions only: run it with deno run -A\n");
  Deno.exit(1);
}
