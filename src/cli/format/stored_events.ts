import { isoTime } from "../../job_json.ts";
import type { StoredEvent } from "../../store/store.ts";
import { type Paint, printable, stateColor } from "./text.ts";

/** An event of the history as `--json` shows it. */
export function storedEventJson({ at, ...event }: StoredEvent) {
  const { seq, ...rest } = event;
  return { seq, at: isoTime(at), ...rest };
}

/** An event of the history as a line for people. */
export function storedEventLine(event: StoredEvent, paint: Paint): string {
  const { seq, at, job, attempt, cause, actor } = event;
  const name = paint(event.event.padEnd(16), stateColor(event.event));
  const about = [job, attempt === null ? null : `attempt ${attempt}`, cause && printable(cause)];
  const text = about.filter((part) => part !== null).join(" ");
  const by = paint(`by ${printable(actor)}`, "dim");
  return `${paint(`${seq} ${isoTime(at)}`, "dim")} ${name} ${text} ${by}\n`;
}
