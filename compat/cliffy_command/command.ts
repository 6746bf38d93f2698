import type { Argument, Option } from "./definition.ts";
import { addOption, parseArguments, parseOption, splitDefinition } from "./definition.ts";
import { newContext } from "./flags.ts";
import { type HelpOptions, helpText } from "./help_text.ts";
import { addDefaultOptions, inheritedOptions, newState, run } from "./run.ts";
import type {
  ActionHandler,
  AnyCommand,
  Base,
  CommandResult,
  Needs,
  Reach,
  State,
  Subcommand,
  TypedSettings,
} from "./state.ts";
import type { AnyIf, Arguments, CommandArguments, Merge, Values, WithOption } from "./types.ts";

/**
 * A command of a command line. Methods that describe it can be chained; after `command()` they
 * describe the new subcommand, until the next `command()` or `reset()`.
 * The first type parameter says which global options the parents of this command define.
 */
export class Command<
  Inherited extends Values | void = void,
  Options extends Values | void = AnyIf<Inherited, void>,
  Args extends unknown[] = AnyIf<Inherited, []>,
  Globals extends Values | void = AnyIf<Inherited, void>,
  Root = AnyIf<Inherited, undefined>,
> {
  /** For the compiler only. */
  declare readonly needs: Needs<Inherited, Root>;

  /** For the other modules of this package only. */
  readonly state: State = newState();
  #described: State = this.state;

  /** Adds a subcommand, which the following calls of the chain describe further. */
  command(
    name: string,
    cmd: Subcommand<Reach<Inherited, Globals, Root>>,
  ): Command<Reach<Inherited, Globals, Root>, void, [], void, Base<Root, this>>;
  /** Adds a new subcommand, such as `start <id:string>`, for the following calls to describe. */
  command<D extends string>(
    definition: D,
    description?: string,
  ): Command<Reach<Inherited, Globals, Root>, void, CommandArguments<D>, void, Base<Root, this>>;
  command(definition: string, child: unknown = ""): AnyCommand {
    const { names: [name, ...aliases], values } = splitDefinition(definition);
    if (!name) throw new Error("Missing command name.");
    if (this.getCommand(name, true)) throw new Error(`Duplicate command name "${name}".`);
    const cmd: AnyCommand = child instanceof Command ? child.reset() : new Command();
    Object.assign(cmd.state, { name, parent: this, aliases: [...cmd.state.aliases, ...aliases] });
    if (typeof child === "string") cmd.description(child);
    if (values) cmd.arguments(values);
    this.state.commands.push(cmd);
    this.#described = cmd.state;
    return this;
  }

  /** Lets the following calls of the chain describe this command again. */
  reset(): Base<Root, this> {
    this.#described = this.state;
    return this as Base<Root, this>;
  }

  #describe(what: Partial<State>): this {
    Object.assign(this.#described, what);
    return this;
  }

  name(name: string): this {
    return this.#describe({ name });
  }

  version(version: string): this {
    return this.#describe({ version });
  }

  description(description: string): this {
    return this.#describe({ description });
  }

  /** Replaces what follows the name of the command in the usage line of the help. */
  usage(usage: string): this {
    return this.#describe({ usage });
  }

  alias(alias: string): this {
    return this.#describe({ aliases: [...this.#described.aliases, alias] });
  }

  /** Leaves the command out of helps and suggestions. */
  hidden(): this {
    return this.#describe({ hidden: true });
  }

  example(name: string, description: string): this {
    return this.#describe({ examples: [...this.#described.examples, { name, description }] });
  }

  /** Makes `parse` reject with the user's mistakes instead of printing them and exiting. */
  throwErrors(): this {
    return this.#describe({ throws: true });
  }

  /** Does what `throwErrors` does, and does not exit after help and version either. */
  noExit(): this {
    return this.#describe({ throws: true, noExit: true });
  }

  arguments<D extends string>(
    definition: D,
  ): Command<Inherited, Options, Arguments<D>, Globals, Root> {
    return this.#describe({ arguments: parseArguments(definition) }) as AnyCommand;
  }

  option<F extends string, R = undefined, C = undefined, const D = undefined>(
    flags: F,
    description: string,
    settings?: TypedSettings<R, C, D>,
  ): Command<Inherited, WithOption<Options, F, R, C, D>, Args, Globals, Root> {
    const options = addOption(this.#described.options, parseOption(flags, description, settings));
    return this.#describe({ options }) as AnyCommand;
  }

  /** Adds an option that all commands below this one take too. */
  globalOption<F extends string, R = undefined, C = undefined, const D = undefined>(
    flags: F,
    description: string,
    settings?: TypedSettings<R, C, D>,
  ): Command<Inherited, Options, Args, WithOption<Globals, F, R, C, D>, Root> {
    const option = { ...parseOption(flags, description, settings), global: true };
    return this.#describe({ options: addOption(this.#described.options, option) }) as AnyCommand;
  }

  action(handler: ActionHandler<Merge<Inherited, Merge<Globals, Options>>, Args>): this {
    return this.#describe({ action: handler as State["action"] });
  }

  /** Runs the command that the words name. Resolves when its action has finished. */
  parse(words: string[] = Deno.args): Promise<
    Root extends AnyCommand ? CommandResult
      : CommandResult<Merge<Inherited, Merge<Globals, Options>>, Args>
  > {
    this.state.isMain = true;
    // deno-lint-ignore no-explicit-any -- the words decide whose types these are
    return run(this, newContext(words)) as Promise<any>;
  }

  getName(): string {
    return this.state.name;
  }

  /** Returns the names from the main command down to this one. */
  getPath(): string {
    const { parent, isMain, name } = this.state;
    return parent && !isMain ? `${parent.getPath()} ${name}` : name;
  }

  getDescription(): string {
    return this.state.description;
  }

  getArguments(): Argument[] {
    return this.state.arguments;
  }

  /** Returns the options that this command takes, inherited ones first. */
  getOptions(hidden = false): Option[] {
    const options = [...inheritedOptions(this), ...this.state.options];
    return options.filter((option) => hidden || !option.hidden);
  }

  getCommands(hidden = false): AnyCommand[] {
    return this.state.commands.filter((cmd) => hidden || !cmd.state.hidden);
  }

  /** Finds a subcommand by its name or alias. */
  getCommand(name: string, hidden = false): AnyCommand | undefined {
    return this.getCommands(hidden).find(({ state }) =>
      state.name === name || state.aliases.includes(name)
    );
  }

  /** Returns the words after `--` in the last run. */
  getLiteralArgs(): string[] {
    return this.state.literal;
  }

  getHelp(options: HelpOptions = {}): string {
    addDefaultOptions(this);
    return helpText(this, options);
  }

  showHelp(options?: HelpOptions): void {
    console.log(this.getHelp(options));
  }
}
