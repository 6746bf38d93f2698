import { operationFailed, quote } from "../errors.ts";
import type { Job } from "../job.ts";
import type { AttemptRecord, Store, Stream } from "../store/store.ts";
import { type App, type GlobalOptions, storeToRead } from "./app.ts";
import { changed } from "./changed.ts";
import { jobExitCode } from "./job_exit_code.ts";
import { outputPieces, type Piece, pieceJson, tail } from "./job_output.ts";

export interface LogOptions {
  follow: boolean;
  /** The number of an attempt; the last one if undefined. */
  attempt: number | undefined;
  stream: Stream | undefined;
  /** Only so many lines from the end. */
  lines: number | undefined;
}

/** Where nothing wakes it, the store is looked at this often for more. */
const LOOK_MS = 500;

/** Prints the output of a job, and follows it if asked to; then the exit code is the job's own. */
export async function showLogs(
  app: App,
  options: GlobalOptions,
  id: string,
  { follow, attempt, stream, lines }: LogOptions,
): Promise<void> {
  using store = await storeToRead(app, options);
  const job = await store.find(id);
  const print = (piece: Piece, attempt: number) => {
    if (stream !== undefined && piece.stream !== stream) return;
    if (options.json) app.terminal.out(JSON.stringify(pieceJson(piece, attempt)) + "\n");
    else if (piece.stream === "stdout") app.terminal.out(piece.bytes);
    else app.terminal.err(piece.bytes);
  };

  let current = await chooseAttempt(store, job, attempt);
  let next = 0;
  if (current && lines !== undefined) {
    const pieces = ofStream(outputPieces(store, current.seq), stream, (end) => next = end);
    for (const piece of await tail(pieces, lines)) print(piece, current.attempt);
  }
  const printRest = async () => {
    if (!current || (lines !== undefined && !follow)) return;
    for await (const piece of outputPieces(store, current.seq, next)) {
      print(piece, current.attempt);
      if (!piece.gap) next = piece.start + piece.bytes.length;
    }
  };
  if (!follow) {
    await printRest();
    if (!current && !options.json) app.terminal.err(`Job ${quote(job.id)} has not run yet\n`);
    return;
  }

  while (true) {
    const changes = store.changes();
    // Looked at before the output is read, so that what came before the end is not missed.
    const seen = await store.find(job.id);
    const attempts = await store.attempts(job.id);
    await printRest();
    const later = attempts.find(({ seq }) => seq > (current?.seq ?? 0));
    if (later && attempt === undefined) {
      [current, next] = [later, 0];
      continue;
    }
    if (isOver(seen)) {
      app.exitCode = jobExitCode(attempts.at(-1));
      return;
    }
    await changed(store, app.system, changes, LOOK_MS);
  }
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

function isOver({ state }: Job): boolean {
  return state === "completed" || state === "dead" || state === "cancelled";
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
