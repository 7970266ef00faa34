import { joined } from '../../src/lib/joined.js'

test('joins two lists, and leaves them as they are', () => {
  const some = [1, 2]
  const more = [3]
  expect(joined(some, more)).toEqual([1, 2, 3])
  expect([some, more]).toEqual([[1, 2], [3]])
})

test('copies nothing where there is nothing to be joined', () => {
  const more = [3]
  expect(joined([], more)).toBe(more)
})
