import { Ajv2020, type ErrorObject, type Options, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { forNow } from '../lib/for-now.js'
import { patternWithin } from './pattern-within.js'
import { allDifferent } from './unique-items.js'

/** A JSON Schema of draft 2020-12, as an object. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** What becomes of members that the schema does not know. */
export type Unknown = 'reject' | 'strip' | 'ignore'

/** Which errors are looked for. */
export type Errors = 'first' | 'all'

/** Judges a value and, if it is valid, takes away what is to be stripped. `null`: no errors. */
export type CompiledSchema = (value: unknown) => readonly ErrorObject[] | null

const STRIP = 'secure-api-strip'
const ROOT = 'secure-api-root'

const MAKERS = {
  first: () => newCompiler({ allErrors: false }),
  all: () => {
    const compiler = newCompiler({ allErrors: true })
    patternWithin(compiler.ajv)
    return compiler
  },
}
/** Making one takes half as long as compiling a schema with it, and it keeps whatever it compiled. */
const shared = { first: forNow(MAKERS.first), all: forNow(MAKERS.all) }

/**
 * @param plain it has neither references nor combinators
 * @throws Error if ajv has anything to say against the schema
 */
export function compileSchema(
  schema: JsonSchema,
  plain: boolean,
  unknown: Unknown,
  errors: Errors,
): CompiledSchema {
  const { ajv, complaints, strangers } = (plain || !hasNames(schema) ? shared : MAKERS)[errors]()
  complaints.length = 0
  const validate = plain ? ajv.compile(closed(schema, unknown)) : validator(ajv, schema, unknown)
  // Its promise would pass for a verdict.
  if ('$async' in validate) throw new Error('"$async" is not supported')
  // The one complaint that is about our own addition: a root without a type.
  const complaint = complaints.find((text) => !text.includes('keyword "unevaluatedProperties" at "#"'))
  if (complaint !== undefined) throw new Error(complaint)

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

/** What unknown members of the root are. */
const STRANGERS = { reject: false, strip: { [STRIP]: true } } as const

/** A plain schema with its root closed, unless it says itself what else may come. A copy in any case: ajv remembers objects. */
function closed(schema: JsonSchema, unknown: Unknown): JsonSchema {
  if (unknown === 'ignore' || schema.additionalProperties !== undefined) return { ...schema }
  const isObject = [schema.type].flat().includes('object')
  return isObject ? { ...schema, additionalProperties: STRANGERS[unknown] } : { ...schema }
}

/**
 * A validator of any schema with its root closed, unless the root says itself what else may come. Closed from outside, so
 * that references to the root from within it still mean the schema as it was written. Under a name of its own, because
 * references to a root without a name would find the last one; as a copy, because a schema that is known is not looked at
 * again.
 */
function validator(ajv: Ajv2020, schema: JsonSchema, unknown: Unknown): ValidateFunction {
  const name = `${ROOT}-${Object.keys(ajv.schemas).length}`
  ajv.addSchema({ ...schema }, name)
  const stated = schema.additionalProperties !== undefined || schema.unevaluatedProperties !== undefined
  if (unknown === 'ignore' || stated) return ajv.getSchema(name) as ValidateFunction
  return ajv.compile({ $ref: name, unevaluatedProperties: STRANGERS[unknown] })
}
