import { Ajv2020, type ErrorObject, type Options, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { membersOf } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { forThisTurn } from '../lib/for-this-turn.js'
import { once } from '../lib/once.js'
import type { Checker, Judgement, Part } from './checker.js'
import { compileMetaSchema } from './meta-schema.js'
import { patternWithin } from './pattern-within.js'
import { flawOf } from './schema-flaws.js'
import { shapeOf } from './schema-shape.js'
import { allDifferent } from './unique-items.js'

/** A JSON Schema of draft 2020-12, as an object. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** What becomes of members that the schema does not know. */
export type Unknown = 'reject' | 'strip' | 'ignore'

export interface JsonSchemaOptions {
  readonly unknown: Unknown
  readonly maxErrors: number
}

/**
 * All errors of an input are only looked for in small ones: a large one can have an error at every value, and collecting
 * those costs far more than the input did. 256 values are more than most requests have.
 */
const SMALL = 256

const DIALECT = 'https://json-schema.org/draft/2020-12/schema'
const STRIP = 'secure-api-strip'
const ROOT = 'secure-api-root'

/**
 * Compiles a JSON Schema with ajv in strict mode. Recursive schemas are safe, because the depth of what they judge is
 * limited before.
 *
 * @throws ConfigError naming the part, if the schema does not compile
 */
export function jsonSchemaChecker(
  part: Part,
  schema: JsonSchema,
  { unknown, maxErrors }: JsonSchemaOptions,
): Checker {
  assertSchema(part, schema)
  const quick = compile(part, schema, unknown, 'quick')
  let thorough: Compiled | undefined
  const warm = () => (thorough ??= compile(part, schema, unknown, 'thorough'))

  return {
    kind: 'json-schema',
    shape: shapeOf(schema),
    judge(value, values): Judgement {
      if (value === undefined) return { valid: false, flaws: [{ pointer: '#', detail: 'is required' }] }
      const first = quick(value)
      if (first === null) return { valid: true, value }
      const errors = values <= SMALL && maxErrors > 1 ? (warm()(value) ?? first) : first
      return { valid: false, flaws: errors.slice(0, maxErrors).map(flawOf) }
    },
    warm,
  }
}

/** Judges a value and, if it is valid, takes away what is to be stripped. `null`: no errors. */
type Compiled = (value: unknown) => readonly ErrorObject[] | null

/** `quick` stops at the first error; `thorough` finds them all. */
const MAKERS = {
  quick: () => newCompiler({ allErrors: false }),
  thorough: () => {
    const compiler = newCompiler({ allErrors: true })
    patternWithin(compiler.ajv)
    return compiler
  },
}
/** Making one takes half as long as compiling a schema with it, and it keeps whatever it compiled. */
const shared = { quick: forThisTurn(MAKERS.quick), thorough: forThisTurn(MAKERS.thorough) }

function compile(part: Part, schema: JsonSchema, unknown: Unknown, how: keyof typeof MAKERS): Compiled {
  const { ajv, complaints, strangers } = (hasNames(schema) ? MAKERS : shared)[how]()
  complaints.length = 0
  let validate: ValidateFunction
  try {
    validate = validator(ajv, schema, unknown)
  } catch (error) {
    throw broken(part, error instanceof Error ? error.message : String(error))
  }
  // Its promise would pass for a verdict.
  if ('$async' in validate) throw broken(part, '"$async" is not supported')
  // The one complaint that is about our own addition: a root without a type.
  const complaint = complaints.find((text) => !text.includes('keyword "unevaluatedProperties" at "#"'))
  if (complaint !== undefined) throw broken(part, complaint)

  return (value) => {
    strangers.length = 0
    if (!validate(value)) return validate.errors ?? []
    for (const { owner, name } of strangers) Reflect.deleteProperty(owner, name)
    return null
  }
}

/** Schemas that name themselves, or a part of themselves, could meet others of the same name. */
function hasNames(schema: JsonSchema): boolean {
  return /"\$(?:id|dynamicAnchor)"/.test(JSON.stringify(schema))
}

interface Compiler {
  readonly ajv: Ajv2020
  /** What it said about the schema that it compiled last. */
  readonly complaints: string[]
  /** What is to be taken from the value that it judged last. */
  readonly strangers: Stranger[]
}

/** A member that the schema does not know. */
interface Stranger {
  readonly owner: object
  readonly name: string
}

function newCompiler(options: Options): Compiler {
  const complaints: string[] = []
  const strangers: Stranger[] = []
  const note = (text: unknown) => void complaints.push(String(text))
  const ajv = new Ajv2020({
    ...options,
    strictSchema: true,
    strictNumbers: true,
    // Finds schemas that say what an object has, and let anything pass that is none.
    strictTypes: 'log',
    strictTuples: false,
    allowUnionTypes: true,
    // Members must be the input's own: every object inherits a `constructor`.
    ownProperties: true,
    useDefaults: true,
    // Schemas are checked by one instance for all, because preparing that takes long.
    meta: false,
    validateSchema: false,
    // Under no name, they would all be taken for the last one.
    addUsedSchema: false,
    logger: { log: note, warn: note, error: note },
    // Halves what a schema costs at start, for some nanoseconds a request.
    code: { optimize: false },
  })
  formats.default(ajv)
  // The pattern of ajv-formats takes quadratic time.
  ajv.addFormat('url', (text: string) => /^(?:https?|ftp):\/\/\S+$/i.test(text) && URL.canParse(text))
  ajv.removeKeyword('uniqueItems')
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    compile: (wanted: boolean) => (items: unknown[]) => !wanted || allDifferent(items),
  })
  ajv.addKeyword({
    keyword: STRIP,
    compile: () => (_value, at) => {
      if (at !== undefined) strangers.push({ owner: at.parentData, name: String(at.parentDataProperty) })
      return true
    },
  })
  return { ajv, complaints, strangers }
}

/**
 * A validator of the schema with its root closed, unless the root says itself what else may come. Closed from outside, so
 * that references to the root from within it still mean the schema as it was written. Under a name of its own, because
 * references to a root without a name would find the last one; as a copy, because a schema that is known is not looked at
 * again.
 */
function validator(ajv: Ajv2020, schema: JsonSchema, unknown: Unknown): ValidateFunction {
  const name = `${ROOT}-${Object.keys(ajv.schemas).length}`
  ajv.addSchema({ ...schema }, name)
  const stated = schema.additionalProperties !== undefined || schema.unevaluatedProperties !== undefined
  if (unknown === 'ignore' || stated) return ajv.getSchema(name) as ValidateFunction
  return ajv.compile({ $ref: name, unevaluatedProperties: unknown === 'reject' ? false : { [STRIP]: true } })
}

const metaSchema = once(compileMetaSchema)

function assertSchema(part: Part, schema: JsonSchema): void {
  assertJson(`validate.${part}`, schema)
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
    if (seen.has(value) || JSON_SCALARS.has(typeof value) || value === null) continue
    seen.add(value)
    const members = Array.isArray(value) ? Object.entries(value) : membersOf(at, value, 'of JSON')
    for (const [key, inner] of members) {
      if (key === '__proto__')
        throw new ConfigError(`${at} has a member "__proto__"; drop it`, 'invalid-schema')
      left.push([`${at}.${key}`, inner])
    }
  }
}

const JSON_SCALARS = new Set(['string', 'number', 'boolean'])

function broken(part: Part, why: string): ConfigError {
  return new ConfigError(`validate.${part} is no JSON Schema that can be used: ${why}`, 'invalid-schema')
}
