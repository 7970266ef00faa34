import fc from 'fast-check'
import { isDeepStrictEqual } from 'node:util'
import { allDifferent } from '../../src/data/unique-items.js'

test('says what comparing each item with each would say', () => {
  const item = fc.jsonValue({ maxDepth: 2 })
  fc.assert(
    fc.property(fc.array(item, { maxLength: 8 }), fc.boolean(), (some, twice) => {
      const parsed = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown
      const items = [...some, ...(twice ? some.slice(0, 1) : [])].map(parsed)
      const pairs = items.flatMap((a, i) => items.slice(i + 1).map((b) => [a, b]))
      expect(allDifferent(items)).toBe(!pairs.some(([a, b]) => isDeepStrictEqual(a, b)))
    }),
    { numRuns: 500 },
  )
})

test('does not depend on the order of members', () => {
  expect(
    allDifferent([
      { a: { x: 1, y: 2 }, b: 1 },
      { b: 1, a: { y: 2, x: 1 } },
    ]),
  ).toBe(false)
})
