import { membersOf } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { later } from '../lib/later.js'
import { once } from '../lib/once.js'
import type { Checker, Judgement, Part } from './checker.js'
import { compileMetaSchema, DIALECT } from './meta-schema.js'
import { isPlainSchema } from './plain-schema.js'
import {
  compileSchema,
  type CompiledSchema,
  type Errors,
  type JsonSchema,
  type Unknown,
} from './schema-compiler.js'
import { flawOf } from './schema-flaws.js'
import { OPEN, shapeOf } from './schema-shape.js'

export type { JsonSchema } from './schema-compiler.js'

export interface JsonSchemaOptions {
  readonly unknown: Unknown
  readonly maxErrors: number
}

/**
 * All errors of an input are only looked for in small ones: a large one can have an error at every value, and collecting
 * those costs far more than the input did. 256 values are more than most requests have.
 */
const SMALL = 256

/**
 * Judges by a JSON Schema, compiled with ajv in strict mode. What can be wrong with the schema is found at once; the code
 * for a plain one is generated in the turns after start, or when it is needed. Recursive schemas are safe, because the depth
 * of what they judge is limited before.
 *
 * @throws ConfigError naming the part, if the schema does not compile
 */
export function jsonSchemaChecker(
  part: Part,
  given: JsonSchema,
  { unknown, maxErrors }: JsonSchemaOptions,
): Checker {
  assertJson(`validate.${part}`, given)
  // What becomes of the caller's object later on is not checked.
  const schema = structuredClone(given)
  const plain = isPlainSchema(schema)
  if (!plain) assertSchema(part, schema)
  const compiled = (how: Errors): CompiledSchema => {
    try {
      return compileSchema(schema, plain, unknown, how)
    } catch (error) {
      throw broken(part, error instanceof Error ? error.message : String(error))
    }
  }
  const first = once(() => compiled('first'))
  const ofSmall = maxErrors > 1 ? once(() => compiled('all')) : first
  if (!plain) ofSmall()
  // Before other code can change what all objects inherit, and before a request has to wait for it.
  later(ofSmall)
  later(first)

  return {
    kind: 'json-schema',
    shape: part === 'body' ? OPEN : shapeOf(schema),
    judge(value, values): Judgement {
      if (value === undefined) return { valid: false, flaws: [{ pointer: '#', detail: 'is required' }] }
      const errors = (values <= SMALL ? ofSmall : first)()(value)
      if (errors === null) return { valid: true, value }
      return { valid: false, flaws: errors.slice(0, maxErrors).map(flawOf) }
    },
    warm() {
      ofSmall()
      first()
    },
  }
}

const metaSchema = once(compileMetaSchema)

function assertSchema(part: Part, schema: JsonSchema): void {
  if (schema.$schema !== undefined && schema.$schema !== DIALECT)
    throw broken(part, `its dialect must be ${DIALECT}`)
  const isSchema = metaSchema()
  if (isSchema(schema)) return
  const [error] = isSchema.errors ?? []
  throw broken(part, `"${error?.instancePath ?? ''}" ${error?.message ?? 'is wrong'}`)
}

/** What is no JSON would be left out without a word: a Map of properties, or a `required` that is `undefined`. */
function assertJson(option: string, schema: unknown): void {
  const seen = new Set<unknown>()
  const left: [at: string, value: unknown][] = [[option, schema]]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [at, value] = next
    if (seen.has(value)) continue
    seen.add(value)
    const members = Array.isArray(value) ? Object.entries(value) : membersOf(at, value, 'of JSON')
    for (const [key, inner] of members) {
      if (key === '__proto__')
        throw new ConfigError(`${at} has a member "__proto__"; drop it`, 'invalid-schema')
      if (inner !== null && !JSON_SCALARS.has(typeof inner)) left.push([`${at}.${key}`, inner])
    }
  }
}

const JSON_SCALARS = new Set(['string', 'number', 'boolean'])

function broken(part: Part, why: string): ConfigError {
  return new ConfigError(`validate.${part} is no JSON Schema that can be used: ${why}`, 'invalid-schema')
}
