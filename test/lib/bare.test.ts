import { BareRecord } from '../../src/lib/bare.js'
import { inherited } from '../support/inherits.js'

test('a bare record inherits nothing, and nobody can change that', () => {
  const record = new BareRecord<number>()
  expect(inherited(record)).toEqual([])
  expect(Object.isFrozen(Object.getPrototypeOf(record))).toBe(true)
})

test('a name of a bare record is just a name', () => {
  const record = new BareRecord<number>()
  record['__proto__'] = 1
  record['constructor'] = 2
  expect(Object.entries(record)).toEqual([
    ['__proto__', 1],
    ['constructor', 2],
  ])
  expect('toString' in record).toBe(false)
})
