import { deepFreeze } from '../../src/lib/deep-freeze.js'

test('freezes every level, and returns what it was given', () => {
  const value = { a: [{ b: { c: [1] } }], n: null, t: 'x' }
  expect(deepFreeze(value)).toBe(value)
  for (const one of [value, value.a, value.a[0], value.a[0]!.b, value.a[0]!.b.c])
    expect(Object.isFrozen(one)).toBe(true)
})

test('survives depth, breadth and cycles', () => {
  let deep: unknown = {}
  for (let level = 0; level < 100_000; level++) deep = { deep }
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  deepFreeze([deep, cycle, Array.from({ length: 200_000 }, () => ({}))])
  expect(Object.isFrozen(cycle)).toBe(true)
})

test.each([1, 'a', null, undefined, true])('leaves %j alone', (value) => {
  expect(deepFreeze(value)).toBe(value)
})
