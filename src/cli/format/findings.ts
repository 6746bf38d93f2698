import type { Finding } from "../doctor.ts";
import { type Color, type Paint, printable } from "./text.ts";

const COLORS: Record<Finding["level"], Color> = { ok: "green", warning: "yellow", failure: "red" };

/** What `doctor` has found in one place, and what to do about it. */
export function findingLine({ level, check, found, advice }: Finding, paint: Paint): string {
  const todo = advice === undefined ? "" : paint(`\n        → ${printable(advice)}`, "dim");
  return `${paint(level.padEnd(7), COLORS[level])} ${check}: ${printable(found)}${todo}\n`;
}
