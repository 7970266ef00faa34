import fc from 'fast-check'
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

describe('a pattern beside a maxLength', () => {
  const schema = (more: object) => ({
    type: 'object',
    properties: { first: { type: 'integer' }, text: { type: 'string', pattern: '^(a+)+$', ...more } },
  })
  const flaws = (more: object, value: object) => {
    const judgement = checker(schema(more)).judge(value, 3)
    return judgement.valid ? [] : judgement.flaws.map(({ pointer, detail }) => `${pointer} ${detail}`)
  }

  test('reads no text that is too long, whatever else is wrong', () => {
    const texts: string[] = []
    const test = RegExp.prototype.test
    const spy = jest.spyOn(RegExp.prototype, 'test').mockImplementation(function (this: RegExp, text) {
      texts.push(text)
      return test.call(this, text)
    })
    const long = `${'a'.repeat(22)}!`
    expect(flaws({ maxLength: 10 }, { text: long })).toEqual(['#/text must NOT have more than 10 characters'])
    expect(flaws({ maxLength: 10 }, { first: 'x', text: long })).toEqual([
      '#/first must be integer',
      '#/text must NOT have more than 10 characters',
    ])
    spy.mockRestore()
    expect(texts.length).toBeGreaterThan(0)
    expect(texts).not.toContain(long)
  })

  test.each<[string, object, string]>([
    ['a text that may be as long as it is', { maxLength: 4 }, 'aab!'],
    ['a text of characters of two units', { maxLength: 4 }, '\u{1f600}\u{1f600}\u{1f600}\u{1f600}'],
    ['any text if nothing is said', {}, 'aab!'],
  ])('reads %s', (_what, more, text) => {
    for (const first of [1, 'x'])
      expect(flaws(more, { first, text })).toContain('#/text must match pattern "^(a+)+$"')
  })
})

test('whether all errors are looked for or one makes no difference to the verdict', () => {
  const objects = fc.constantFrom<object>(
    { type: 'object', properties: { a: { type: 'integer' } } },
    { type: 'object', properties: { b: { const: 1 } }, required: ['b'] },
    { type: 'object', additionalProperties: { type: 'integer' } },
    { type: 'object', unevaluatedProperties: false },
    { type: 'object', dependentSchemas: { a: { type: 'object', properties: { c: { type: 'string' } } } } },
    { $ref: '#/$defs/known' },
  )
  const combined = fc.oneof(
    fc.record({ anyOf: fc.tuple(objects, objects) }),
    fc.record({ oneOf: fc.tuple(objects, objects) }),
    fc.record({ allOf: fc.tuple(objects, objects) }),
    fc.record({ if: objects, then: objects, else: objects }),
    fc.record({ not: objects }),
  )
  const roots = fc.tuple(objects, combined, combined).map(([own, ...more]) => ({
    ...Object.assign({ type: 'object' }, own, ...more),
    $defs: { known: { type: 'object', properties: { b: { type: 'integer' }, c: true } } },
  }))
  const values = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom(1, 'x'), {
    noNullPrototype: true,
  })
  const verdicts = { true: 0, false: 0 }
  fc.assert(
    fc.property(roots, fc.array(values, { minLength: 8, maxLength: 8 }), (root, inputs) => {
      for (const unknown of ['reject', 'strip'] as const) {
        const { judge } = checker(root, unknown)
        for (const input of inputs) {
          const [small, large] = [{ ...input }, { ...input }]
          const verdict = judge(small, 5).valid
          verdicts[`${verdict}`]++
          expect(judge(large, 1_000).valid).toBe(verdict)
          if (verdict) expect(large).toEqual(small)
        }
      }
    }),
    { numRuns: 100 },
  )
  expect(Math.min(verdicts.true, verdicts.false)).toBeGreaterThan(100)
})
