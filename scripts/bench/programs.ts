import { fromFileUrl, join } from "@std/path";
import config from "../../deno.json" with { type: "json" };

const MAIN = fromFileUrl(new URL("../../main.ts", import.meta.url));

export interface Folder extends Disposable {
  path: string;
  file(name: string): string;
}

export function temporaryFolder(): Folder {
  const path = Deno.makeTempDirSync({ prefix: "queuectl-bench-" });
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}

// As people start it.
const [, ...START] = config.tasks.queuectl.split(" ").map((word) =>
  word === "main.ts" ? MAIN : word
);

/** The words of a command line of the tool on a store. */
export function queuectl(store: string, ...args: string[]): string[] {
  return [Deno.execPath(), ...START, "--db", store, ...args];
}

/** Starts a program whose output nobody reads. */
export function start(
  [program, ...args]: string[],
  { env, stdin = "null" }: { env?: Record<string, string>; stdin?: "null" | "piped" } = {},
): Deno.ChildProcess {
  return new Deno.Command(program!, { args, env, stdin, stdout: "null", stderr: "null" }).spawn();
}

/** Runs a program to its end. Throws if it fails. */
export async function run(
  words: string[],
  { env, input }: { env?: Record<string, string>; input?: string } = {},
): Promise<void> {
  const child = start(words, { env, stdin: input === undefined ? "null" : "piped" });
  if (input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  }
  const { code } = await child.status;
  if (code !== 0) throw new Error(`${words.join(" ")} ended with exit code ${code}`);
}

/** Runs a program to its end and returns what it printed. Throws if it fails. */
export async function output([program, ...args]: string[]): Promise<string> {
  const command = new Deno.Command(program!, { args, stdin: "null", stderr: "inherit" });
  const { code, stdout } = await command.output();
  if (code !== 0) throw new Error(`${program} ended with exit code ${code}`);
  return new TextDecoder().decode(stdout);
}

/** Whether a program can be found. */
export function isInstalled(program: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((folder) => {
    try {
      return Deno.statSync(join(folder, program)).isFile;
    } catch {
      return false;
    }
  });
}
