/** The names and types of a set of options. */
export type Values = Record<string, unknown>;

/** Joins two sets of options. `void` is the empty set. */
export type Merge<Left, Right> = Left extends void ? Right
  : Right extends void ? Left
  : Left & Right;

/** `any` where `T` is `any`, so that `Command<any>` means any command at all. */
// deno-lint-ignore no-explicit-any -- only `any` is compatible in both directions
export type AnyIf<T, Otherwise> = 0 extends 1 & T ? any : Otherwise;

interface ValueTypes {
  string: string;
  number: number;
  integer: number;
  boolean: boolean;
}

/** `n:integer` is a number; without a type it is a string. */
type Value<Definition extends string> = Definition extends `${string}:${infer Type}`
  ? Type extends keyof ValueTypes ? ValueTypes[Type] : unknown
  : string;

/** The parameters for `<id:string> [words...:string]`. */
export type Arguments<Definition extends string> = Definition extends `${infer First} ${infer Rest}`
  ? [...OneArgument<First>, ...Arguments<Rest>]
  : OneArgument<Definition>;

type OneArgument<Definition extends string> = Definition extends `<${infer Inner}>`
  ? Inner extends `${string}...${string}` ? [Value<Inner>, ...Value<Inner>[]] : [Value<Inner>]
  : Definition extends `[${infer Inner}]`
    ? Inner extends `${string}...${string}` ? Value<Inner>[] : [Value<Inner>?]
  : [];

/** The parameters for `start <id:string>`. */
export type CommandArguments<Definition extends string> = Definition extends
  `${string} ${infer Rest}` ? Arguments<Rest> : [];

/** `Known` with the option that `Flags` describe. */
export type WithOption<
  Known,
  Flags extends string,
  Required,
  Collect,
  Default,
> = LongName<Flags> extends `no-${infer Name}` ? WithNegation<Known, CamelCase<Name>>
  : Merge<
    Known,
    OneOption<
      CamelCase<LongName<Flags>>,
      Collected<OptionValue<Flags> | NonNullable<Default>, Collect>,
      Required extends true ? true : Default extends undefined ? false : true
    >
  >;

type WithNegation<Known, Key extends string> = Key extends keyof Known
  ? Omit<Known, Key> & { [K in Key]?: Known[K] | false }
  : Merge<Known, { [K in Key]: boolean }>;

type OneOption<Key extends string, Type, IsSure> = IsSure extends true ? { [K in Key]: Type }
  : { [K in Key]?: Type };

type Collected<Type, Collect> = Collect extends true ? Type[] : Type;

type OptionValue<Flags extends string> = Flags extends `${string}<${infer Inner}>` ? Value<Inner>
  : Flags extends `${string}[${infer Inner}]` ? Value<Inner> | true
  : true;

type LongName<Flags extends string> = Flags extends `${string}--${infer Rest}` ? FirstWord<Rest>
  : never;

type FirstWord<Text extends string> = Text extends `${infer Word} ${string}` ? FirstWord<Word>
  : Text extends `${infer Word},${string}` ? FirstWord<Word>
  : Text extends `${infer Word}=${string}` ? Word
  : Text;

type CamelCase<Name extends string> = Name extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name;
