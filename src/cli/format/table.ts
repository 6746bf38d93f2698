import { type Color, cut, type Paint, textWidth } from "./text.ts";

export interface Cell {
  text: string;
  color?: Color;
}

export interface Column {
  title: string;
  align?: "right";
  /** May be cut where the table is wider than the terminal; of several the widest first. */
  flexible?: true;
}

const GAP = "  ";
const NARROWEST = 10;

/** Lays out a table under its titles, at most `width` columns wide; `line` draws a rule under the titles. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { width, paint, line }: { width: number; paint: Paint; line: boolean },
): string {
  const widths = columns.map(({ title }, i) =>
    Math.max(textWidth(title), ...rows.map((row) => textWidth(row[i]!.text)))
  );
  fit(columns, widths, width);
  const layOut = (cells: readonly Cell[]) =>
    cells.map(({ text, color }, i) => {
      const shown = columns[i]!.flexible ? cut(text, widths[i]!) : text;
      const padding = " ".repeat(Math.max(0, widths[i]! - textWidth(shown)));
      const painted = color ? paint(shown, color) : shown;
      if (columns[i]!.align === "right") return padding + painted;
      return i === cells.length - 1 ? painted : painted + padding;
    }).join(GAP) + "\n";

  const titles = layOut(columns.map(({ title }) => ({ text: title, color: "bold" })));
  const rule = line ? paint(widths.map((w) => "─".repeat(w)).join(GAP), "dim") + "\n" : "";
  return titles + rule + rows.map(layOut).join("");
}

function fit(columns: readonly Column[], widths: number[], width: number) {
  const flexible = [...columns.keys()].filter((i) => columns[i]!.flexible);
  for (const i of flexible) widths[i] = Math.min(widths[i]!, width);
  const total = widths.reduce((sum, w) => sum + w, 0) + GAP.length * (columns.length - 1);
  for (let over = total - width; over > 0; over--) {
    const able = flexible.filter((i) => widths[i]! > NARROWEST);
    const [widest] = able.sort((a, b) => widths[b]! - widths[a]!);
    if (widest === undefined) return;
    widths[widest]!--;
  }
}
