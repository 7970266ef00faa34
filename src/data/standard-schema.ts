import { ConfigError } from '../kernel/config-error.js'
import { when } from '../lib/when.js'
import type { Checker, Judgement, Part, Shape } from './checker.js'
import { OPEN, shapeOf } from './schema-shape.js'
import { flawsOf } from './standard-flaws.js'

/** A schema of zod, valibot, ArkType or whatever else follows https://standardschema.dev, version 1. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
  }
}

/** What a Standard Schema answers. */
export type StandardResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly StandardIssue[] }

/** One thing a Standard Schema found wrong. */
export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

export function isStandardSchema(schema: unknown): schema is StandardSchema {
  return (
    (typeof schema === 'object' || typeof schema === 'function') && schema !== null && '~standard' in schema
  )
}

/**
 * A Standard Schema keeps its own rule for unknown members and converts text itself; its output is what is used.
 *
 * @throws ConfigError if it is of another version
 */
export function standardSchemaChecker(part: Part, schema: StandardSchema, maxErrors: number): Checker {
  const standard = schema['~standard']
  const { version, vendor } = standard as { version: unknown; vendor: string }
  if (version !== 1)
    throw new ConfigError(`validate.${part} is a Standard Schema of an unknown version`, 'invalid-schema')

  const judgement = (result: StandardResult<unknown>): Judgement => {
    // Whoever names issues has found the value invalid, also without saying what is wrong with it, and with a value beside.
    const { issues } = result
    if (issues !== undefined) return { valid: false, flaws: flawsOf(schema, issues, maxErrors) }
    if ('value' in result) return { valid: true, value: result.value }
    throw new TypeError(`The schema of validate.${part} answered neither a value nor issues`)
  }

  return {
    kind: vendor,
    shape: part === 'body' ? OPEN : shapeFrom(standard as Describable),
    judge: (value) => when(standard.validate(value), judgement),
  }
}

/** Standard JSON Schema, which zod has: the schema can say what it takes. */
interface Describable {
  readonly jsonSchema?: { readonly input: (options: object) => Record<string, unknown> }
}

function shapeFrom({ jsonSchema }: Describable): Shape {
  try {
    const described = jsonSchema?.input({
      target: 'draft-2020-12',
      libraryOptions: { unrepresentable: 'any' },
    })
    return described === undefined ? OPEN : shapeOf(described)
  } catch {
    // Not every schema can be put into JSON Schema; then it cannot say.
    return OPEN
  }
}
