import { parseArgs } from "node:util";

/**
 * The options that a script was called with; those of `numbers` are numbers. Prints `usage` and ends the
 * script where it is asked for, or where something cannot be read.
 */
export function readOptions<Flag extends string, Number extends string, Text extends string>(
  usage: string,
  { flags = [], numbers = [], texts = [] }: {
    flags?: readonly Flag[];
    numbers?: readonly Number[];
    texts?: readonly Text[];
  },
): { [name in Flag]?: boolean } & { [name in Number]?: number } & { [name in Text]?: string } {
  const declared = [
    ...["help", ...flags].map((name) => [name, { type: "boolean" }] as const),
    ...[...numbers, ...texts].map((name) => [name, { type: "string" }] as const),
  ];
  let values: Record<string, unknown>;
  try {
    ({ values } = parseArgs({ args: Deno.args, options: Object.fromEntries(declared) }));
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`);
    Deno.exit(2);
  }
  if (values.help) {
    console.log(usage);
    Deno.exit(0);
  }
  const read = numbers.flatMap((name) => {
    const text = values[name];
    if (text === undefined) return [];
    if (/^\d{1,9}(\.\d+)?$/.test(String(text))) return [[name, Number(text)]];
    console.error(`Cannot read --${name} ${JSON.stringify(text)}: expected a number\n${usage}`);
    Deno.exit(2);
  });
  return { ...values, ...Object.fromEntries(read) };
}
