// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const NAMED: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e" };

/** `text` with whatever could act on a terminal, or hide in it, shown as an escape. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (c) => {
    const code = c.charCodeAt(0);
    return NAMED[c] ??
      (code < 256
        ? `\\x${code.toString(16).padStart(2, "0")}`
        : `\\u${code.toString(16).padStart(4, "0")}`);
  });
}

/** A line of JSON. Unlike JSON itself it leaves no character as it is that a terminal could obey. */
export function jsonLine(value: unknown): string {
  const escaped = (c: string) => `\\u00${c.charCodeAt(0).toString(16)}`;
  return `${JSON.stringify(value).replace(/[\x7f-\x9f]/g, escaped)}\n`;
}

/** How many columns `text` takes on a terminal. */
export function textWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  // Not outside: making them takes longer than most starts have need of.
  const wide =
    /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;
  const combining = /\p{M}/u;
  let width = 0;
  for (const char of text) width += combining.test(char) ? 0 : wide.test(char) ? 2 : 1;
  return width;
}

/** `text` cut to `width` columns, with an ellipsis where something is missing. */
export function cut(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  let shown = "";
  let rest = width - 1;
  for (const char of text) {
    rest -= textWidth(char);
    if (rest < 0) break;
    shown += char;
  }
  return `${shown}…`;
}

const COLORS = {
  dim: "2",
  bold: "1",
  red: "31",
  green: "32",
  yellow: "33",
  blue: "34",
  magenta: "35",
  cyan: "36",
} as const;
export type Color = keyof typeof COLORS;

/** Paints text, or leaves it as it is where there is no colour. */
export type Paint = (text: string, color: Color) => string;

export function painter(colored: boolean): Paint {
  return colored ? (text, color) => `\x1b[${COLORS[color]}m${text}\x1b[0m` : (text) => text;
}

/** The colour of a job's state, the same everywhere. */
export function stateColor(state: string): Color {
  switch (state) {
    case "completed":
      return "green";
    case "processing":
      return "cyan";
    case "failed":
      return "yellow";
    case "dead":
      return "red";
    case "cancelled":
      return "magenta";
    case "blocked":
      return "dim";
    default:
      return "blue";
  }
}
