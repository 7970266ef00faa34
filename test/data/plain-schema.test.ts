import fc from 'fast-check'
import { jsonSchemaChecker, type JsonSchema } from '../../src/data/json-schema.js'
import { isPlainSchema } from '../../src/data/plain-schema.js'
import { compileSchema } from '../../src/data/schema-compiler.js'
import { compileMetaSchema } from '../../src/data/meta-schema.js'

const name = { type: 'string', pattern: '^[a-z]{1,20}$' }

test.each<[string, JsonSchema]>([
  [
    'members and items',
    { type: 'object', properties: { a: { type: 'array', items: name } }, required: ['a'] },
  ],
  [
    'what members may be',
    { type: 'object', properties: { a: {}, b: true, c: { enum: [1, 'x'] }, d: { const: null } } },
  ],
  ['members by default', { type: 'object', properties: { a: { type: 'integer', default: 1 } } }],
  ['limits', { type: 'number', minimum: 0, exclusiveMaximum: 1, multipleOf: 0.5 }],
  ['several types', { type: ['string', 'null'], format: 'email', maxLength: 254 }],
  ['words for people', { type: 'boolean', title: 'a', description: 'b', examples: [true], deprecated: true }],
  ['maps', { type: 'object', additionalProperties: name, maxProperties: 3 }],
  ['its dialect', { type: 'null', $schema: 'https://json-schema.org/draft/2020-12/schema' }],
])('a plain schema has %s', (_what, schema) => {
  expect(isPlainSchema(schema)).toBe(true)
})

test.each<[string, JsonSchema]>([
  ['has no type', { properties: { a: name } }],
  ['has no type further in', { type: 'object', properties: { a: { properties: { b: name } } } }],
  ['has a type nobody knows', { type: 'text' }],
  ['has a type inherited by every object', { type: 'constructor' }],
  ['has one type twice', { type: ['null', 'null'] }],
  ['has no types at all', { type: [] }],
  ['says something about another type', { type: 'string', minimum: 1 }],
  ['has a keyword nobody knows', { type: 'string', maxLenght: 1 }],
  ['has a keyword inherited by every object', { type: 'string', toString: 1 }],
  ['has a reference', { type: 'object', properties: { a: { $ref: '#' } } }],
  ['has a name', { type: 'object', $id: 'https://example.com/a' }],
  ['has a combinator', { type: 'object', allOf: [{ type: 'object' }] }],
  ['closes itself', { type: 'object', unevaluatedProperties: false }],
  ['has a default where none is used', { type: 'array', default: [] }],
  ['has a default in its items', { type: 'array', items: { type: 'string', default: 'a' } }],
  ['has a pattern that is none', { type: 'string', pattern: '(' }],
  ['has a pattern that is none in Unicode mode', { type: 'string', pattern: '\\Z' }],
  ['has a format nobody knows', { type: 'string', format: 'mail' }],
  ['has a limit that is none', { type: 'string', maxLength: -1 }],
  ['has a limit that is no number', { type: 'number', minimum: NaN }],
  ['requires a member twice', { type: 'object', required: ['a', 'a'] }],
  ['allows nothing', { type: 'string', enum: [] }],
  ['has members that are a list', { type: 'object', properties: [name] }],
  ['is asynchronous', { type: 'object', $async: true }],
  ['is of another dialect', { type: 'null', $schema: 'http://json-schema.org/draft-07/schema#' }],
])('a schema that %s is not plain', (_what, schema) => {
  expect(isPlainSchema(schema)).toBe(false)
})

test('nor is one that lies deeper than anybody reads, or within itself', () => {
  let deep: JsonSchema = name
  for (let i = 0; i < 100_000; i++) deep = { type: 'array', items: deep }
  const endless: Record<string, unknown> = { type: 'array' }
  endless['items'] = endless
  expect(isPlainSchema(deep)).toBe(false)
  expect(isPlainSchema(endless)).toBe(false)
})

/** Values that some keyword may have, and others may not. */
const odd = fc.constantFrom<unknown>(
  ...['string', 'array', 'date', 'email', 'int32', '^a$', '[', '\\Z', '', null, true, false, -1, 0, 1, 1.5],
  ...[[], ['a'], ['a', 'a'], ['string', 'null'], {}, { a: 1 }, [1, 'a']],
)
/** Mostly what the keyword is for. */
const mostly = (...values: unknown[]): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...values) }, { weight: 1, arbitrary: odd })

const TYPES = ['null', 'boolean', 'number', 'integer', 'string', 'array', 'object', ['string', 'null']]
const OF_ANY = {
  enum: mostly([1], ['a', {}]),
  const: mostly('a', 1, {}),
  default: odd,
  title: mostly('a'),
  $ref: mostly('#', '#/properties/a'),
  nullable: fc.boolean(),
}
const KEYWORDS: Record<string, Record<string, fc.Arbitrary<unknown>>> = {
  number: { minimum: mostly(0, -1.5), multipleOf: mostly(1, 0.5) },
  string: {
    minLength: mostly(0, 3),
    pattern: mostly('^a+$', '\\p{L}'),
    format: mostly('date', 'email', 'url', 'uuid', 'byte'),
  },
  array: { maxItems: mostly(0, 3), uniqueItems: fc.boolean() },
  object: { required: mostly(['a'], ['a', 'c']), minProperties: mostly(0, 1) },
}
const NAMES = fc.constantFrom('a', 'b', 'constructor', 'toString')

function schemasOf(levels: number): fc.Arbitrary<JsonSchema> {
  const inner: fc.Arbitrary<unknown> =
    levels === 0
      ? fc.constantFrom<unknown>(true, false, {}, { type: 'string' })
      : fc.oneof({ weight: 12, arbitrary: schemasOf(levels - 1) }, { weight: 1, arbitrary: odd })
  const members = fc.dictionary(NAMES, inner, { maxKeys: 3, noNullPrototype: true })
  const nested: Record<string, Record<string, fc.Arbitrary<unknown>>> = {
    object: { properties: members, additionalProperties: inner },
    array: { items: inner },
  }
  return fc.constantFrom(undefined, ...TYPES, ...TYPES, 'object', 'object').chain((type) => {
    const about = typeof type === 'string' ? type.replace('integer', 'number') : 'string'
    const own = Object.entries({ ...KEYWORDS[about], ...nested[about] })
    const others = Object.entries({ ...OF_ANY, ...KEYWORDS['string'], anyOf: fc.tuple(inner) })
    const one = (all: [string, fc.Arbitrary<unknown>][]) =>
      fc.oneof(...all.map(([key, value]) => fc.tuple(fc.constant(key), value)))
    const pairs = fc.tuple(
      own.length === 0 ? fc.constant([]) : fc.array(one(own), { maxLength: 3 }),
      fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.tuple(one(others)) }),
    )
    return pairs.map(([ours, theirs]) => ({
      ...(type !== undefined && { type }),
      ...Object.fromEntries([...ours, ...theirs]),
    }))
  })
}
const schemas = schemasOf(2)

test('every plain schema is a schema, and compiles without a word from ajv', () => {
  const isSchema = compileMetaSchema()
  let plain = 0
  fc.assert(
    fc.property(schemas, (schema) => {
      if (!isPlainSchema(schema)) return
      plain++
      expect(isSchema(schema)).toBe(true)
      for (const unknown of ['reject', 'strip', 'ignore'] as const) {
        // As any other schema would be, and as a plain one is.
        compileSchema(schema, false, unknown, 'first')
        compileSchema(schema, true, unknown, 'all')
      }
    }),
    { numRuns: 600 },
  )
  expect(plain).toBeGreaterThan(100)
})

test('a plain schema judges as it would if it were compiled like any other', () => {
  const inputs = fc.anything({
    maxDepth: 3,
    key: fc.constantFrom('a', 'b', 'c', 'constructor'),
    values: [odd],
  })
  let valid = 0
  fc.assert(
    fc.property(schemas, fc.array(inputs, { minLength: 5, maxLength: 5 }), (schema, given) => {
      if (!isPlainSchema(schema)) return
      for (const unknown of ['reject', 'strip', 'ignore'] as const) {
        const judges = [
          compileSchema(schema, false, unknown, 'first'),
          compileSchema(schema, true, unknown, 'first'),
          compileSchema(schema, true, unknown, 'all'),
        ]
        for (const input of given) {
          const outcomes = judges.map((judge) => {
            const value = structuredClone(input)
            return judge(value) === null ? value : 'refused'
          })
          if (outcomes[0] !== 'refused') valid++
          expect(outcomes[1]).toEqual(outcomes[0])
          expect(outcomes[2]).toEqual(outcomes[0])
        }
      }
    }),
    { numRuns: 300 },
  )
  expect(valid).toBeGreaterThan(100)
})

test('what becomes of the object later on changes nothing', () => {
  const schema = { type: 'object', properties: { a: { type: 'integer' } } }
  const { judge } = jsonSchemaChecker('body', schema, { unknown: 'reject', maxErrors: 20 })
  schema.properties.a.type = 'nonsense'
  expect(judge({ a: 1 }, 2)).toEqual({ valid: true, value: { a: 1 } })
  expect(judge({ a: 'x' }, 2)).toMatchObject({ valid: false })
})
