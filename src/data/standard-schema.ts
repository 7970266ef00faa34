import { ConfigError } from '../kernel/config-error.js'
import { pointerFragment, pointerStep } from '../lib/json-pointer.js'
import { when } from '../lib/when.js'
import type { Checker, Flaw, Judgement, Part, Shape } from './checker.js'
import { OPEN, shapeOf } from './schema-shape.js'

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

  const judgement = (result: StandardResult<unknown>): Judgement =>
    result.issues === undefined
      ? { valid: true, value: result.value }
      : { valid: false, flaws: flawsOf(vendor, result.issues, maxErrors) }

  return {
    kind: vendor,
    shape: shapeFrom(standard as Describable),
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

/** What zod and valibot add to their issues. */
interface VendorIssue extends StandardIssue {
  readonly code?: unknown
  readonly keys?: unknown
  readonly kind?: unknown
  readonly type?: unknown
  readonly expected?: unknown
}

function flawsOf(vendor: string, issues: readonly VendorIssue[], max: number): Flaw[] {
  const flaws: Flaw[] = []
  for (const issue of issues) {
    if (flaws.length >= max) break
    const steps = (issue.path ?? []).map((step) =>
      pointerStep(String(typeof step === 'object' ? step.key : step)),
    )
    const pointer = steps.join('')
    if (issue.code === 'unrecognized_keys' && Array.isArray(issue.keys)) {
      const names = (issue.keys as unknown[]).slice(0, max - flaws.length)
      for (const name of names) flaws.push(unknownMember(pointer + pointerStep(String(name))))
    } else {
      flaws.push({ pointer: pointerFragment(pointer), detail: detailOf(vendor, issue) })
    }
  }
  return flaws
}

function unknownMember(pointer: string): Flaw {
  return { pointer: pointerFragment(pointer), detail: 'is not a known member' }
}

const MAX_DETAIL = 200

/**
 * Messages of valibot and ArkType quote the value, which may be a password; only those of zod are made from the schema
 * alone. Of valibot's issues the parts that come from the schema are used.
 */
function detailOf(vendor: string, { message, kind, type, expected }: VendorIssue): string {
  if (vendor === 'zod') return message.slice(0, MAX_DETAIL)
  if (vendor !== 'valibot') return 'is not valid'
  if (expected === 'never') return 'is not a known member'
  if (typeof expected === 'string') return `must be ${expected}`.slice(0, MAX_DETAIL)
  return kind === 'validation' && typeof type === 'string' ? `does not pass "${type}"` : 'is not valid'
}
