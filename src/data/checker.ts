/** The parts of a request that a schema can describe, in the order in which they are looked at. */
export const PARTS = ['params', 'query', 'headers', 'cookies', 'body'] as const

export type Part = (typeof PARTS)[number]

/** One thing that is wrong, where, and with what; never with the value itself. */
export interface Flaw {
  /** A JSON Pointer as a URI fragment, into the part. */
  readonly pointer: string
  readonly detail: string
}

/** Of a value whose schema finds it wrong and does not say why. */
export const UNSAID: Flaw = { pointer: '#', detail: 'is not valid' }

/** What a schema made of a value. */
export type Judgement =
  | { readonly valid: true; readonly value: unknown }
  | { readonly valid: false; readonly flaws: readonly Flaw[] }

/** A schema, compiled. */
export interface Checker {
  /** Which library judges: `json-schema`, or the vendor of a Standard Schema. */
  readonly kind: string
  /** What the schema says about the top level of a part that arrives as text, as far as it can be read. */
  readonly shape: Shape
  /**
   * @param values how many values `value` consists of
   * @param undefined as `value` stands for a part that was not sent
   */
  judge(value: unknown, values: number): Judgement | Promise<Judgement>
  /** Prepares what is only needed once something is invalid. */
  warm?(): void
}

/** The members a schema names, with the JSON types each may have. */
export interface Shape {
  /** `undefined`: other members than those in `types` may be meant too. */
  readonly names: ReadonlySet<string> | undefined
  readonly types: ReadonlyMap<string, ValueTypes>
}

/** An empty set: the schema does not say. */
export interface ValueTypes {
  readonly own: ReadonlySet<string>
  /** Types of the elements, if it may be an array. */
  readonly items: ReadonlySet<string>
}
