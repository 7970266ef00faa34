import fc from 'fast-check'
import { Generations } from '../../src/lib/generations.js'

test('holds what was put in', () => {
  const map = new Generations<string, number>(10)
  map.set('a', 1)
  map.set('a', 2)
  expect(map.get('a')).toBe(2)
  expect(map.get('b')).toBeUndefined()
  expect(map.size).toBe(1)
})

test('forgets what is not used, and keeps what is', () => {
  const map = new Generations<string, number>(10)
  map.set('used', 1)
  map.set('unused', 1)
  for (let n = 0; n < 50; n++) {
    map.set(`n${n}`, n)
    map.get('used')
  }
  expect(map.get('used')).toBe(1)
  expect(map.get('unused')).toBeUndefined()
})

test('holds nothing with a limit of 0 or 1', () => {
  for (const limit of [0, 1]) {
    const map = new Generations<string, number>(limit)
    map.set('a', 1)
    expect(map.get('a')).toBeUndefined()
    expect(map.size).toBe(0)
  }
})

test('drops an entry from either generation, and everything at once', () => {
  const map = new Generations<string, number>(4)
  for (const key of ['a', 'b', 'c']) map.set(key, 1)
  map.delete('a')
  map.delete('c')
  expect(map.get('a')).toBeUndefined()
  expect(map.get('c')).toBeUndefined()
  expect(map.get('b')).toBe(1)
  map.clear()
  expect(map.size).toBe(0)
})

test('never holds more than its limit, and never a value that was replaced', () =>
  fc.assert(
    fc.property(
      fc.nat(12),
      fc.array(fc.tuple(fc.constantFrom('get', 'set'), fc.nat(20)), { maxLength: 200 }),
      (limit, steps) => {
        const map = new Generations<number, number>(limit)
        const last = new Map<number, number>()
        steps.forEach(([what, key], step) => {
          if (what === 'set') {
            map.set(key, step)
            last.set(key, step)
          } else {
            const found = map.get(key)
            if (found !== undefined) expect(found).toBe(last.get(key))
          }
          expect(map.size).toBeLessThanOrEqual(limit)
        })
      },
    ),
  ))
