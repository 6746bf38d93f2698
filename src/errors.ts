/** The exit codes of a command that did not do what it was asked to do. */
export const OPERATION_FAILED = 1;
export const BAD_REQUEST = 2;

/**
 * A mistake or a state of the world that a person can understand and act on. It is shown as one line,
 * without a stack, and ends the command with `exitCode`. Any other error that escapes is a bug.
 */
export class UserError extends Error {
  override name = "UserError";

  constructor(message: string, readonly exitCode: number, options?: ErrorOptions) {
    super(message, options);
  }
}

/** A job of a batch that cannot be added, for which none of them is. */
export class RefusedJob extends UserError {
  constructor(message: string, exitCode: number, readonly job: string) {
    super(message, exitCode);
  }
}

/** The request was right, but it could not be carried out. */
export function operationFailed(message: string, cause?: unknown): UserError {
  return new UserError(message, OPERATION_FAILED, { cause });
}

/** The request itself was wrong; nothing was tried. */
export function badRequest(message: string, cause?: unknown): UserError {
  return new UserError(message, BAD_REQUEST, { cause });
}

/** `text` as a JSON string, shortened in the middle, so that an error stays one readable line. */
export function quote(text: string): string {
  const short = text.length <= 80 ? text : `${text.slice(0, 50)}…${text.slice(-20)}`;
  return JSON.stringify(short).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
