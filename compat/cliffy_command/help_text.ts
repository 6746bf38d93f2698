import type { Option } from "./definition.ts";
import type { AnyCommand } from "./state.ts";

export interface HelpOptions {
  /** Show whole descriptions of options, not only their first lines. */
  long?: boolean;
  /** Defaults to whether the standard output is a terminal that wants colours. */
  colors?: boolean;
}

const WIDTH = 80;
const LEFT_MAX = 32;

type Row = [left: string, right: string];

/** Returns the help of a command for a terminal of 80 columns. */
export function helpText(cmd: AnyCommand, options: HelpOptions): string {
  const colors = options.colors ?? (Deno.stdout.isTerminal() && !Deno.noColor);
  const paint = (code: number, text: string) => colors ? `\x1b[${code}m${text}\x1b[0m` : text;
  const section = (title: string, lines: string[]) =>
    lines.length > 0 ? `\n${paint(1, `${title}:`)}\n\n${lines.join("\n")}\n` : "";
  const rows = (list: Row[]) => table(list, (text) => paint(36, text));

  const description = dedent(cmd.getDescription()).split("\n");
  const version = cmd.state.version ?? "";
  return [
    `\n${paint(1, "Usage:")}   ${cmd.getPath()} ${untyped(usage(cmd))}`.trimEnd() + "\n",
    version ? `${paint(1, "Version:")} ${version}\n` : "",
    section("Description", description.some(Boolean) ? indented(description, 2) : []),
    section("Options", rows(cmd.getOptions().map((option) => optionRow(option, options)))),
    section("Commands", rows(cmd.getCommands().map(commandRow))),
    section(
      "Examples",
      cmd.state.examples.flatMap(({ name, description }) => [
        `  ${name}`,
        ...indented(dedent(description).split("\n"), 4),
      ]),
    ),
  ].join("");
}

function optionRow(option: Option, { long }: HelpOptions): Row {
  const hints = [
    option.required ? "required" : "",
    option.default === undefined ? "" : `default: ${Deno.inspect(option.default)}`,
    option.depends?.length ? `depends on: ${flagList(option.depends)}` : "",
    option.conflicts?.length ? `conflicts with: ${flagList(option.conflicts)}` : "",
  ].filter(Boolean).join(", ");
  const text = long ? dedent(option.description) : firstLine(option.description);
  const left = `${option.flags.join(", ")} ${untyped(option.typeDefinition ?? "")}`;
  return [left.trimEnd(), hints ? `${text} (${hints})` : text];
}

function commandRow(cmd: AnyCommand): Row {
  const names = [cmd.getName(), ...cmd.state.aliases].join(", ");
  const args = cmd.getArguments().map((argument) => untyped(argument.raw)).join(" ");
  return [`${names} ${args}`.trimEnd(), firstLine(cmd.getDescription())];
}

function usage(cmd: AnyCommand): string {
  const required = cmd.getOptions().filter((option) => option.required);
  return cmd.state.usage ?? [
    ...cmd.getArguments().map((argument) => argument.raw),
    ...required.map(({ name, typeDefinition }) => `--${name} ${typeDefinition}`.trim()),
  ].join(" ");
}

function flagList(names: string[]): string {
  return names.map((name) => `--${name}`).join(", ");
}

/** Lines of two columns. A left side that is too long has a line of its own. */
function table(rows: Row[], paint: (text: string) => string): string[] {
  const lengths = rows.map(([left]) => left.length).filter((length) => length <= LEFT_MAX);
  const width = Math.max(0, ...lengths);
  return rows.flatMap(([left, right]) => {
    const texts = right.split("\n").flatMap((line) => wrap(line, WIDTH - width - 4));
    if (left.length > width) texts.unshift("");
    return texts.map((text, index) => {
      const name = index === 0 ? left : "";
      const padding = " ".repeat(Math.max(0, width - name.length));
      return `  ${name && paint(name)}${padding}  ${text}`.trimEnd();
    });
  });
}

function indented(lines: string[], indent: number): string[] {
  return lines.flatMap((line) =>
    wrap(line, WIDTH - indent).map((part) => (" ".repeat(indent) + part).trimEnd())
  );
}

/** Breaks a line between words. The parts keep the indentation of the line. */
function wrap(line: string, width: number): string[] {
  const margin = /^ */.exec(line)?.[0] ?? "";
  const lines: string[] = [];
  let current = margin;
  for (const word of line.trim().split(/ +/)) {
    const longer = current.trim() ? `${current} ${word}` : current + word;
    if (longer.length > width && current.trim()) {
      lines.push(current);
      current = margin + word;
    } else current = longer;
  }
  return [...lines, current];
}

/** `<id:string>` without its type. */
function untyped(definition: string): string {
  return definition.replace(/([<[][^:>\]]+):\w+(?=[>\]])/g, "$1");
}

function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0]?.trim() ?? "";
}

/** Removes the indentation of the first line from all lines, and empty lines at both ends. */
function dedent(text: string): string {
  const lines = text.replace(/^\s*\n/, "").trimEnd().split("\n");
  const indent = /^ */.exec(lines[0] ?? "")?.[0].length ?? 0;
  return lines.map((line) => line.slice(Math.min(indent, line.search(/\S|$/)))).join("\n");
}
