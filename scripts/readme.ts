/**
 * Writes those parts of the README that follow from declarations: the commands with their options and
 * the settings. A test fails where the README is behind. `deno task readme`.
 */
import { fromFileUrl } from "@std/path";
import type { AnyCommand } from "../src/cli/app.ts";
import { program } from "../src/cli/program.ts";
import { table } from "../src/cli/format/table.ts";
import { painter } from "../src/cli/format/text.ts";
import { realTerminal } from "../src/cli/terminal.ts";
import { FIELDS } from "../src/job_request.ts";
import { SETTING_NAMES, SETTINGS, writeSetting } from "../src/settings.ts";
import { realSystem } from "../src/system.ts";

const README = fromFileUrl(new URL("../README.md", import.meta.url));

/** The README's text with its generated parts as they should be now. */
export async function upToDate(readme: string): Promise<string> {
  const parts = { commands: await commandsPart(), settings: settingsPart() };
  return Object.entries(parts).reduce((text, [name, part]) => {
    const [begin, end] = [`<!-- ${name}: generated -->`, `<!-- ${name}: end -->`];
    const [from, to] = [text.indexOf(begin), text.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`The README has no part "${name}"`);
    return `${text.slice(0, from)}${begin}\n\n${part}\n${text.slice(to)}`;
  }, readme);
}

async function commandsPart(): Promise<string> {
  const root: AnyCommand = await program({
    terminal: realTerminal,
    system: realSystem,
    folder: "/",
    isTask: false,
    env: () => undefined,
    exitCode: 0,
  });
  const rows: [string, string][] = [];
  const describe = (command: AnyCommand, path: string) => {
    const words = command.getArguments().map(({ name, optional, variadic }) => {
      const shown = variadic ? `${name}...` : name;
      return optional ? `[${shown}]` : `<${shown}>`;
    });
    const children = command.getCommands();
    if (path !== "") rows.push([[path, ...words].join(" "), command.getDescription()]);
    const inherited = new Set(children.flatMap(optionsOf).map(({ name }) => name));
    const options = optionsOf(command);
    // Said once, at enqueue.
    const repeats = path !== "enqueue" && options.some(({ name }) => name === "max-retries");
    for (const { flags, typeDefinition = "", description, name } of options) {
      if (inherited.has(name) || path === "") continue;
      if (repeats && FIELDS.some((field) => field.flags.includes(flags.at(-1)!))) continue;
      const value = typeDefinition.replace(/:\w+/, "");
      rows.push([`  ${[flags.join(", "), value].join(" ").trim()}`, description]);
    }
    if (repeats) rows.push(["  …", `And the options of enqueue${butFor(options)}.`]);
    for (const child of children) describe(child, `${path} ${child.getName()}`.trim());
  };
  describe(root, "");
  return fenced([["COMMAND", "WHAT IT DOES"], ...rows]);
}

/** Those options of a job that are not among `options`, in words. */
function butFor(options: readonly { name: string }[]): string {
  const taken = new Set(options.map(({ name }) => name));
  const left = FIELDS.map(({ flags }) => /--([a-z-]+)/.exec(flags)![1]!)
    .filter((name) => !taken.has(name));
  return left.length === 0 ? "" : `, but for ${left.map((name) => `--${name}`).join(", ")}`;
}

function optionsOf(command: AnyCommand) {
  return command.getOptions().filter(({ global, name }) => !global && name !== "help");
}

function settingsPart(): string {
  const rows = SETTING_NAMES.map((name) => {
    const { help, aliases, initial } = SETTINGS[name];
    const alias = aliases.length > 0 ? ` (also ${aliases.join(", ")})` : "";
    return [name, writeSetting(name, initial), help + alias];
  });
  return fenced([["KEY", "INITIALLY", "MEANING"], ...rows]);
}

// In a fence, so that the formatter of Markdown leaves it alone.
function fenced([titles, ...rows]: string[][]): string {
  const columns = titles!.map((title) => ({ title }));
  const cells = rows.map((row) => row.map((text) => ({ text })));
  const look = { width: Infinity, paint: painter(false), line: false };
  return `\`\`\`\n${table(columns, cells, look)}\`\`\`\n`;
}

if (import.meta.main) {
  const readme = Deno.readTextFileSync(README);
  Deno.writeTextFileSync(README, await upToDate(readme));
}
