import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { compileMetaSchema } from '../../src/data/meta-schema.js'

const published = new Ajv2020({ logger: false })
const whole = compileMetaSchema()

/** Every keyword of the dialect, so that each meets values that it may have and values that it may not have. */
const KEYWORDS = Object.values(published.schemas).flatMap((env) =>
  Object.keys((env?.schema as { properties?: object }).properties ?? {}),
)
const { schemaLike } = fc.letrec<{ schemaLike: unknown; value: unknown }>((tie) => ({
  schemaLike: fc.oneof(
    { maxDepth: 3 },
    fc.boolean(),
    fc.dictionary(fc.constantFrom(...KEYWORDS), tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
  value: fc.oneof(
    { maxDepth: 3 },
    tie('schemaLike'),
    fc.constantFrom('string', 'object', '#', '#/a', 'https://example.com/a', '', -1, 0, 1, 1.5, null),
    fc.array(fc.oneof(tie('schemaLike'), fc.constantFrom('string', 'object', 'a', 1)), { maxLength: 2 }),
    fc.dictionary(fc.constantFrom('a', 'b'), tie('schemaLike'), { maxKeys: 2, noNullPrototype: true }),
  ),
}))

test('judges every keyword as the published one does', () => {
  expect(KEYWORDS.length).toBeGreaterThan(50)
  for (const keyword of KEYWORDS) {
    const faults = [-1, 0, 'no', '#', '1', [], [1], ['a', 'a'], {}, { a: 1 }, { a: [] }, null, true, 1.5].map(
      (value) => ({ [keyword]: value }),
    )
    expect(faults.map((schema) => whole(schema))).toEqual(
      faults.map((schema) => published.validate('https://json-schema.org/draft/2020-12/schema', schema)),
    )
  }
})

test('judges as the meta-schema does that was published', () => {
  fc.assert(
    fc.property(schemaLike, (schema) => {
      expect(whole(schema)).toBe(published.validate('https://json-schema.org/draft/2020-12/schema', schema))
    }),
    { numRuns: 2_000 },
  )
})
