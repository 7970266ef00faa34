import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { Recurring } from '../../src/lib/recurring.js'

const digest = (text: string) => createHash('sha256').update(text).digest('binary')

test('tells the second time, and every one after it', () => {
  const seen = new Recurring(100)
  expect([1, 2, 3].map(() => seen.again(digest('a')))).toEqual([false, true, true])
  expect(seen.again(digest('b'))).toBe(false)
})

test('some that share a place do not push out each other in turn', () => {
  const seen = new Recurring(0)
  const turns = 'a b c d a b c d'.split(' ').map((text) => seen.again(`\0\0\0\0${text.repeat(4)}`))
  expect(turns).toEqual([false, false, false, false, true, true, true, true])
})

test('what came long ago is forgotten', () => {
  const seen = new Recurring(16)
  seen.again(digest('a'))
  for (let n = 0; n < 1_000; n++) seen.again(digest(`n${n}`))
  expect(seen.again(digest('a'))).toBe(false)
})

test('tells nearly all that recur among as many as are expected, and nothing else', () =>
  fc.assert(
    fc.property(fc.nat(), (salt) => {
      const seen = new Recurring(1_000)
      const all = Array.from({ length: 1_000 }, (_, n) => digest(`${salt} ${n}`))
      expect(all.filter((one) => seen.again(one))).toEqual([])
      expect(all.filter((one) => seen.again(one)).length).toBeGreaterThan(950)
    }),
    { numRuns: 20 },
  ))
