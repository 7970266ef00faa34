import { integer, knownKeys, membersOf, oneOf, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { PARTS, type Checker, type Part } from './checker.js'
import { jsonSchemaChecker, type JsonSchema } from './json-schema.js'
import { isStandardSchema, standardSchemaChecker, type StandardSchema } from './standard-schema.js'

/** A JSON Schema of draft 2020-12, or any Standard Schema (zod, valibot, ArkType, ...). */
export type Schema = JsonSchema | StandardSchema

/** What a request must look like, part by part, and how strictly. */
export interface ValidateOptions {
  /** Schema of the path parameters, as text: where Express has routed, those of the handler; in `routes`, those of the rule. Default: not judged. */
  params?: Schema
  /** Schema of the query, as text. A name that comes twice is 400 `duplicate-parameter` unless the schema says array. Default: not judged. */
  query?: Schema
  /** Schema of header fields, by lower-case name. Fields it does not name are neither refused nor in the result. Default: not judged. */
  headers?: Schema
  /** Schema of cookies. Cookies it does not name are neither refused nor in the result. Default: not judged. */
  cookies?: Schema
  /**
   * Schema of the JSON body. A body of another type is 415 `unsupported-media-type`; no body at all is 422
   * `invalid-input`, unless a Standard Schema takes `undefined`. Values are never converted. Default: not judged.
   */
  body?: Schema
  /**
   * What becomes of members of body, query and params that a JSON Schema does not know: `'reject'` is 422
   * `invalid-input`, `'strip'` takes them away. It means the root (`unevaluatedProperties: false`), and only if the
   * schema does not say `additionalProperties` or `unevaluatedProperties` there. Default `'reject'`.
   */
  unknown?: 'reject' | 'strip'
  /**
   * How many errors one refusal names at most. Default 20. A JSON Schema names more than the first one only for inputs
   * of up to 256 values, because collecting errors costs far more than finding one.
   */
  maxErrors?: number
  /** How long an asynchronous Standard Schema may take, in milliseconds. Default 5 000. Longer: 500 `broken`. */
  timeoutMs?: number
  /**
   * Query parameters that are lists, for Standard Schemas that cannot say so themselves: the schema always gets an array.
   * zod can say so; valibot cannot. Default `[]`.
   */
  queryLists?: readonly string[]
}

/** What each part is once it is validated: the output of its Standard Schema, `unknown` for a JSON Schema. */
export type InferInput<O extends ValidateOptions> = {
  readonly [P in Part as O[P] extends Schema ? P : never]: O[P] extends StandardSchema<infer Output>
    ? Output
    : unknown
}

/** `ValidateOptions`, compiled. */
export interface Validation {
  readonly checkers: readonly (readonly [Part, Checker])[]
  readonly maxErrors: number
  readonly timeoutMs: number
  readonly queryLists: ReadonlySet<string>
  readonly unknown: 'reject' | 'strip'
}

const OPTIONS = [...PARTS, 'unknown', 'maxErrors', 'timeoutMs', 'queryLists'] as const

/** @throws ConfigError for unknown options and for schemas that do not compile */
export function compileValidation(options: ValidateOptions): Validation {
  knownKeys('validate', options, OPTIONS, PARTS)
  const { unknown = 'reject', maxErrors = 20, timeoutMs = 5_000, queryLists = [] } = options
  oneOf('validate.unknown', unknown, ['reject', 'strip'])
  integer('validate.maxErrors', maxErrors, { max: 1_000 })
  integer('validate.timeoutMs', timeoutMs, { max: 2_147_483_647 })
  if (!Array.isArray(queryLists) || !queryLists.every((name) => typeof name === 'string'))
    throw new ConfigError(`validate.queryLists must list names of query parameters, got ${show(queryLists)}`)

  return {
    checkers: PARTS.flatMap((part) => {
      const schema = options[part]
      return schema === undefined ? [] : [[part, checkerOf(part, schema, unknown, maxErrors)] as const]
    }),
    maxErrors,
    timeoutMs,
    queryLists: new Set(queryLists),
    unknown,
  }
}

/** Whether `options` says anything about requests, and not only how other schemas are to be taken. */
export function hasSchema(options: ValidateOptions): boolean {
  return PARTS.some((part) => options[part] !== undefined)
}

function checkerOf(part: Part, schema: unknown, unknown: 'reject' | 'strip', maxErrors: number): Checker {
  if (isStandardSchema(schema)) return standardSchemaChecker(part, schema, maxErrors)
  membersOf(`validate.${part}`, schema, 'that is a JSON Schema, or a Standard Schema')
  const named = part === 'headers' || part === 'cookies'
  const checker = jsonSchemaChecker(part, schema as JsonSchema, {
    unknown: named ? 'ignore' : unknown,
    maxErrors,
  })
  if (part === 'headers') assertLowerCase(checker)
  return checker
}

/** Node gives header names in lower case: another spelling would describe a field that never comes. */
function assertLowerCase({ shape }: Checker): void {
  for (const name of shape.types.keys()) {
    if (name === name.toLowerCase()) continue
    throw new ConfigError(`validate.headers names "${name}"; write it in lower case`, 'invalid-schema')
  }
}
