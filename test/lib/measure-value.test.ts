import fc from 'fast-check'
import { measureText } from '../../src/lib/measure-text.js'
import { measureValue } from '../../src/lib/measure-value.js'

const limits = { maxDepth: 64, maxKeys: 1_000, maxArrayItems: 1_000 }

test('finds the same cost in a value as the scanner finds in its text', () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'grapheme', maxDepth: 6 }), (value) => {
      const text = JSON.stringify(value)
      fc.pre(!text.includes('proto'))
      expect(measureValue(JSON.parse(text), limits)).toEqual(measureText(text, limits))
    }),
  )
})

test.each([
  ['{"a":{"__proto__":1}}', 'proto-key'],
  ['{"constructor":{"prototype":1}}', 'constructor-prototype'],
  ['[{"\\udc00":1}]', 'lone-surrogate'],
  ['{"a":["\\ud800"]}', 'lone-surrogate'],
  ['"\\ud800"', 'lone-surrogate'],
  ['[1,-1e400]', 'number-out-of-range'],
])('refuses %s', (text, fault) => {
  expect(measureValue(JSON.parse(text), limits)).toBe(fault)
})

test('ends on depth, on cycles and on values that are shared many times', () => {
  let deep: unknown = 1
  for (let i = 0; i < 100_000; i++) deep = [deep]
  expect(measureValue(deep, limits)).toBe('too-deep')

  const cycle: unknown[] = []
  cycle.push(cycle)
  expect(measureValue(cycle, limits)).toBe('too-deep')

  let shared: unknown = {}
  for (let i = 0; i < 60; i++) shared = { a: shared, b: shared }
  expect(measureValue(shared, limits)).toBe('too-many-keys')
})

test('looks at no byte of a Buffer', () => {
  expect(measureValue(Buffer.alloc(5_000), limits)).toEqual({ depth: 0, keys: 0, items: 0 })
})

test('counts each kind of member exactly', () => {
  expect(measureValue([1, 2], { ...limits, maxArrayItems: 1 })).toBe('too-many-items')
  expect(measureValue({ a: 1, b: 2 }, { ...limits, maxKeys: 1 })).toBe('too-many-keys')
  expect(measureValue([[[]]], { ...limits, maxDepth: 2 })).toBe('too-deep')
})
