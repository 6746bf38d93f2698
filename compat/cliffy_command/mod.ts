/**
 * The part of `@cliffy/command` that this project uses, for machines that cannot fetch it.
 * Whatever runs on this package must run unchanged on the real one.
 * @module
 */
export { Command } from "./command.ts";
export { ValidationError } from "./errors.ts";
export type { Argument, Option } from "./definition.ts";
