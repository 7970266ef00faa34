import type { Judgement } from '../../src/data/checker.js'
import { jsonSchemaChecker, type JsonSchema } from '../../src/data/json-schema.js'

function checker(schema: JsonSchema, unknown: 'reject' | 'strip' = 'strip') {
  const { judge, warm } = jsonSchemaChecker('body', schema, { unknown, maxErrors: 20 })
  return { judge: (value: unknown, values: number) => judge(value, values) as Judgement, warm }
}

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

describe('schemas that are compiled in one go know nothing of one another', () => {
  const judged = (schema: JsonSchema, value: unknown) => checker(schema, 'reject').judge(value, 3).valid
  const defines = (type: string, more: object = {}) => ({
    type: 'object',
    properties: { x: { $ref: '#/$defs/t' } },
    $defs: { t: { type } },
    ...more,
  })
  const recursive = (name: string, more: object = {}) => ({
    type: 'object',
    properties: { [name]: { $ref: '#' } },
    ...more,
  })

  test.each([
    ['closed by us', {}],
    ['closed by themselves', { additionalProperties: false }],
    ['named alike', { $id: 'https://example.com/schema' }],
    ['with a part named alike', { $dynamicAnchor: 'here' }],
  ])('%s', (_kind, more) => {
    const texts = checker(defines('string', more), 'reject')
    const numbers = checker(defines('integer', more), 'reject')
    const lefts = checker(recursive('left', more), 'reject')
    const rights = checker(recursive('right', more), 'reject')
    expect(texts.judge({ x: 'a' }, 2).valid).toBe(true)
    expect(texts.judge({ x: 1 }, 2).valid).toBe(false)
    expect(numbers.judge({ x: 1 }, 2).valid).toBe(true)
    expect(numbers.judge({ x: 'a' }, 2).valid).toBe(false)
    expect(lefts.judge({ left: { left: {} } }, 3).valid).toBe(true)
    expect(rights.judge({ right: { right: {} } }, 3).valid).toBe(true)
    expect(lefts.judge({ left: { left: 1 } }, 3).valid).toBe(false)
    expect(rights.judge({ left: {} }, 2).valid).toBe(false)
  })

  test('one that does not compile leaves the next alone', () => {
    expect(() => checker({ type: 'object', properties: { a: { $ref: '#/$defs/nowhere' } } })).toThrow(
      'nowhere',
    )
    expect(() => checker({ type: 'object', stranger: 1 })).toThrow('stranger')
    expect(judged({ type: 'object', properties: { a: {} } }, { a: 1 })).toBe(true)
    expect(judged({ type: 'object', properties: { a: {} } }, { b: 1 })).toBe(false)
  })

  test('one that is refused is refused again', () => {
    // Says what an object has, and lets anything pass that is none.
    const schema = {
      type: 'object',
      properties: { a: { $ref: '#/$defs/a' } },
      $defs: { a: { properties: { b: {} } } },
    }
    for (let i = 0; i < 2; i++) expect(() => checker(schema)).toThrow('strictTypes')
  })

  test('the same schema may be strict in one place and not in another', () => {
    const schema = { type: 'object', properties: { a: { type: 'integer' } } }
    const [strict, lax] = [checker(schema, 'reject'), checker(schema, 'strip')]
    const value = { a: 1, b: 2 }
    expect(strict.judge(value, 3).valid).toBe(false)
    expect(lax.judge(value, 3)).toEqual({ valid: true, value: { a: 1 } })
  })
})
