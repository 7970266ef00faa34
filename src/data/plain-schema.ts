import { isObject } from '../lib/is-object.js'
import { DIALECT } from './meta-schema.js'

/** Whether a value may stand behind a keyword, that many schemas below the root. */
type Test = (value: unknown, depth: number) => boolean
type Tests = ReadonlyMap<string, Test>

const MAX_DEPTH = 32

const text: Test = (value) => typeof value === 'string'
const flag: Test = (value) => typeof value === 'boolean'
const number: Test = (value) => Number.isFinite(value)
const count: Test = (value) => Number.isSafeInteger(value) && (value as number) >= 0
const anything: Test = () => true
const schema: Test = (value, depth) => typeof value === 'boolean' || isPlainAt(value, depth + 1, ANY)
const member: Test = (value, depth) => typeof value === 'boolean' || isPlainAt(value, depth + 1, MEMBER)

const members: Test = (value, depth) =>
  isObject(value) && Object.values(value).every((one) => member(one, depth))
const names: Test = (value) =>
  Array.isArray(value) &&
  value.every((name) => typeof name === 'string') &&
  new Set(value).size === value.length

const FORMATS: ReadonlySet<unknown> = new Set(
  'date time date-time duration uri uri-reference url email hostname ipv4 ipv6 uuid json-pointer byte'.split(
    ' ',
  ),
)

const OF_NUMBERS = tests({
  minimum: number,
  maximum: number,
  exclusiveMinimum: number,
  exclusiveMaximum: number,
  multipleOf: (value) => Number.isFinite(value) && (value as number) > 0,
})

/** Keywords by the type that they are about. */
const BY_TYPE: ReadonlyMap<unknown, Tests> = new Map([
  ['null', tests({})],
  ['boolean', tests({})],
  ['number', OF_NUMBERS],
  ['integer', OF_NUMBERS],
  [
    'string',
    tests({
      minLength: count,
      maxLength: count,
      pattern: isExpression,
      format: (value) => FORMATS.has(value),
    }),
  ],
  ['array', tests({ items: schema, minItems: count, maxItems: count, uniqueItems: flag })],
  [
    'object',
    tests({
      properties: members,
      required: names,
      additionalProperties: schema,
      minProperties: count,
      maxProperties: count,
    }),
  ],
])

/** Keywords of all types. */
const ANY = tests({
  type: anything,
  title: text,
  description: text,
  $comment: text,
  deprecated: flag,
  readOnly: flag,
  writeOnly: flag,
  examples: Array.isArray,
  const: anything,
  enum: (value) => Array.isArray(value) && value.length > 0,
})
/** Only of members: strict mode refuses a default that would be ignored. */
const MEMBER: Tests = new Map([...ANY, ['default', anything]])
const ROOT: Tests = new Map([...ANY, ['$schema', (value: unknown) => value === DIALECT]])

function tests(byKeyword: Readonly<Record<string, Test>>): Tests {
  return new Map(Object.entries(byKeyword))
}

/**
 * Whether a schema is so plain that it compiles for certain: typed members, items, limits, patterns and the like. The
 * code for it can wait until a request needs it. What is not recognised, such as references, combinators and all
 * mistakes, is for ajv to judge at start.
 */
export function isPlainSchema(given: object): boolean {
  return 'type' in given && isPlainAt(given, 0, ROOT)
}

function isPlainAt(given: unknown, depth: number, general: Tests): boolean {
  if (depth > MAX_DEPTH || !isObject(given)) return false
  const { type } = given
  const types: unknown[] = type === undefined ? [] : Array.isArray(type) ? type : [type]
  if (new Set(types).size < types.length || (types.length === 0 && type !== undefined)) return false

  const tables = [general]
  for (const name of types) {
    const table = BY_TYPE.get(name)
    if (table === undefined) return false
    tables.push(table)
  }
  return Object.entries(given).every(([keyword, value]) =>
    tables.some((table) => table.get(keyword)?.(value, depth) === true),
  )
}

/** As ajv will read it. */
function isExpression(value: unknown): boolean {
  try {
    return typeof value === 'string' && new RegExp(value, 'u') instanceof RegExp
  } catch {
    return false
  }
}
