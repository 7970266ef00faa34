import { shapeOf } from '../../src/data/schema-shape.js'

const own = (schema: Record<string, unknown>) =>
  Object.fromEntries(
    [...shapeOf(schema).types].map(([name, { own, items }]) => [name, [[...own], [...items]]]),
  )

test('finds types through references, combinators and conditions', () => {
  const schema = {
    $ref: '#/$defs/base',
    allOf: [{ properties: { b: { type: ['string', 'null'] } } }],
    anyOf: [
      { properties: { c: { enum: [1, 'x', null] } } },
      { oneOf: [{ properties: { d: { const: true } } }] },
    ],
    then: { properties: { e: { type: 'array', items: { $ref: '#/$defs/n~1m' } } } },
    else: { properties: { e: { type: 'string' } } },
    dependentSchemas: { a: { properties: { f: { anyOf: [{ type: 'integer' }, { type: 'array' }] } } } },
    $defs: { base: { properties: { a: { type: 'integer' } } }, 'n/m': { type: 'number' } },
  }
  expect(own(schema)).toEqual({
    a: [['integer'], []],
    b: [['string', 'null'], []],
    c: [['number', 'string', 'null'], []],
    d: [['boolean'], []],
    e: [expect.arrayContaining(['array', 'string']), ['number']],
    f: [expect.arrayContaining(['integer', 'array']), []],
  })
})

test('ends on schemas that refer to themselves', () => {
  const schema = {
    properties: { a: { $ref: '#/properties/a', anyOf: [{ $ref: '#/properties/a' }, { type: 'integer' }] } },
    allOf: [{ $ref: '#' }],
  }
  expect(own(schema)).toEqual({ a: [['integer'], []] })
})

test('knows all names unless the schema lets others in or cannot be read', () => {
  const a = { properties: { a: {} } }
  expect(shapeOf(a).names).toEqual(new Set(['a']))
  expect(shapeOf({ ...a, additionalProperties: false }).names).toEqual(new Set(['a']))
  for (const open of [
    { patternProperties: { x: {} } },
    { additionalProperties: true },
    { additionalProperties: {} },
    { unevaluatedProperties: {} },
    { $ref: 'https://example.com/other' },
    { $ref: '#anchor' },
    { $dynamicRef: '#a' },
    { $ref: '#/$defs/missing' },
    { allOf: [{ patternProperties: { x: {} } }] },
  ]) {
    expect(shapeOf({ ...a, ...open }).names).toBeUndefined()
  }
})
