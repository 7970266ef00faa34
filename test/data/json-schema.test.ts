import { jsonSchemaChecker, type JsonSchema } from '../../src/data/json-schema.js'

const checker = (schema: JsonSchema, unknown: 'reject' | 'strip' = 'strip') =>
  jsonSchemaChecker('body', schema, { unknown, maxErrors: 20 })

test('what is stripped from one input is not looked for in another', () => {
  const { judge } = checker({ type: 'object', properties: { a: { type: 'integer' } } })
  const first = { a: 1, stranger: 1 }
  const second = { a: 'x', stranger: 1 }
  expect(judge(first, 3)).toMatchObject({ valid: true })
  expect(first).toEqual({ a: 1 })
  first.stranger = 2
  expect(judge(second, 3)).toMatchObject({ valid: false })
  expect(judge({ a: 1, stranger: 1 }, 3)).toMatchObject({ valid: true })
  expect(first).toEqual({ a: 1, stranger: 2 })
  expect(second).toEqual({ a: 'x', stranger: 1 })
})

test.each([NaN, Infinity, -Infinity])('%p is no number', (value) => {
  expect(checker({ type: 'number' }).judge(value, 1)).toMatchObject({ valid: false })
})

test('what other code put on Object.prototype is no member of an input', () => {
  const { judge, warm } = checker({ type: 'object', properties: { a: {} }, required: ['a'] }, 'reject')
  warm?.()
  Object.defineProperty(Object.prototype, 'a', {
    value: 1,
    writable: true,
    enumerable: true,
    configurable: true,
  })
  try {
    expect(judge({}, 1)).toMatchObject({ valid: false })
  } finally {
    Reflect.deleteProperty(Object.prototype, 'a')
  }
})
