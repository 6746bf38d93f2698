import { operationFailed, quote } from "../errors.ts";
import type { Job } from "../job.ts";
import type { AttemptRecord, Store, Stream } from "../store/store.ts";
import { type App, type GlobalOptions, storePath, storeToRead } from "./app.ts";
import { Changes } from "./changes.ts";
import { followJob, type PrintPiece, Reading } from "./follow_job.ts";
import { jobExitCode, NEVER_RAN_TO_ITS_END } from "./job_exit_code.ts";
import { outputPieces, type Piece, pieceJson, tail } from "./job_output.ts";
import { jsonLine } from "./format/text.ts";

export interface LogOptions {
  follow: boolean;
  /** The number of an attempt; the last one if undefined. */
  attempt: number | undefined;
  stream: Stream | undefined;
  /** Only so many lines from the end. */
  lines: number | undefined;
}

/** Prints the output of a job, and follows it if asked to; then the exit code is the job's own. */
export async function showLogs(
  app: App,
  options: GlobalOptions,
  id: string,
  { follow, attempt, stream, lines }: LogOptions,
): Promise<void> {
  using store = await storeToRead(app, options);
  const job = await store.find(id);
  const print = piecePrinter(app, options, stream);
  const reading = new Reading(store, print, await chooseAttempt(store, job, attempt));
  if (reading.attempt && lines !== undefined) {
    const all = outputPieces(store, reading.attempt.seq);
    const pieces = ofStream(all, stream, (end) => reading.next = end);
    for (const piece of await tail(pieces, lines)) await print(piece, reading.attempt.attempt);
  }
  if (follow) {
    using changes = new Changes(store, app.system, storePath(app, options));
    const pinned = attempt !== undefined;
    const ended = await followJob({ store, changes }, job.id, reading, { pinned });
    app.exitCode = ended ? jobExitCode(ended.job, ended.attempts.at(-1)) : NEVER_RAN_TO_ITS_END;
    return;
  }
  if (lines === undefined) await reading.printMore();
  if (!reading.attempt && !options.json) {
    app.terminal.err(`Job ${quote(job.id)} has not run yet\n`);
  }
}

/** Prints pieces of output where they belong: each stream on its own, or as JSON lines. */
export function piecePrinter(
  { terminal }: App,
  { json }: GlobalOptions,
  only?: Stream,
): PrintPiece {
  return (piece, attempt) => {
    if (only !== undefined && piece.stream !== only) return;
    if (!json) return terminal.write(piece.stream, piece.bytes);
    return terminal.write("stdout", jsonLine(pieceJson(piece, attempt)));
  };
}

async function* ofStream(
  pieces: AsyncIterable<Piece>,
  stream: Stream | undefined,
  onEnd: (end: number) => void,
) {
  for await (const piece of pieces) {
    if (!piece.gap) onEnd(piece.start + piece.bytes.length);
    if (!stream || piece.stream === stream) yield piece;
  }
}

async function chooseAttempt(
  store: Store,
  job: Job,
  wanted: number | undefined,
): Promise<AttemptRecord | undefined> {
  const attempts = await store.attempts(job.id);
  if (wanted === undefined) return attempts.at(-1);
  const chosen = attempts.findLast(({ attempt }) => attempt === wanted);
  if (chosen) return chosen;
  throw operationFailed(
    `No attempt "${wanted}" of job ${quote(job.id)}: it has had ${job.attempts}`,
  );
}
