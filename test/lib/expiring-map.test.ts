import fc from 'fast-check'
import { ExpiringMap } from '../../src/lib/expiring-map.js'

test('holds as many as its limit, and says when there is no room', () => {
  const map = new ExpiringMap<number>(2)
  expect([map.set('a', 1, 10, 0), map.set('b', 2, 10, 0), map.set('c', 3, 10, 0)]).toEqual([
    true,
    true,
    false,
  ])
  expect(map.set('a', 4, 20, 0)).toBe(true)
  expect([map.get('a', 0), map.get('b', 0), map.get('c', 0)]).toEqual([4, 2, undefined])
})

test('makes room by what has expired, however many that are', () => {
  const map = new ExpiringMap<number>(1_000)
  for (let i = 0; i < 1_000; i++) map.set(`old ${i}`, i, 10, 0)
  // Each new one has eight old ones looked at, so a full map is never far from having room.
  for (let i = 0; i < 1_000; i++) expect(map.set(`new ${i}`, i, 20, 10)).toBe(true)
  expect(map.size).toBe(1_000)
  expect([...map.values(10)].length).toBe(1_000)
})

test('finds those that have expired behind any number that have not', () => {
  const map = new ExpiringMap<number>(100)
  for (let i = 0; i < 99; i++) map.set(`lasting ${i}`, i, Infinity, 0)
  map.set('short', 0, 10, 0)
  let attempts = 1
  while (!map.set('new', 1, 20, 10)) attempts++
  expect(attempts).toBeLessThanOrEqual(26)
  expect([...map.values(10)].length).toBe(100)
})

test('deletes once, and not what is over', () => {
  const map = new ExpiringMap<number>(10)
  map.set('a', 1, 10, 0)
  map.set('b', 1, 10, 0)
  expect([map.delete('a', 9), map.delete('a', 9), map.delete('b', 10)]).toEqual([true, false, false])
  expect(map.size).toBe(0)
})

const step = fc.oneof(
  fc.record({ do: fc.constant('set' as const), key: fc.nat(8), ttl: fc.nat(20) }),
  fc.record({ do: fc.constant('delete' as const), key: fc.nat(8), ttl: fc.constant(0) }),
  fc.record({ do: fc.constant('wait' as const), key: fc.constant(0), ttl: fc.nat(10) }),
)

test('agrees with a map that never forgets, within its bound', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const map = new ExpiringMap<number>(5)
      const model = new Map<string, { value: number; expiresAt: number }>()
      let now = 0
      for (const [i, { do: what, key, ttl }] of steps.entries()) {
        const name = `k${key}`
        if (what === 'wait') now += ttl
        if (what === 'set' && map.set(name, i, now + ttl, now))
          model.set(name, { value: i, expiresAt: now + ttl })
        if (what === 'delete')
          expect(map.delete(name, now)).toBe(lives(model, name, now) && model.delete(name))
        expect(map.size).toBeLessThanOrEqual(5)
        for (const [known, { value }] of model) {
          expect(map.get(known, now)).toBe(lives(model, known, now) ? value : undefined)
        }
      }
    }),
  )
})

function lives(model: ReadonlyMap<string, { expiresAt: number }>, name: string, now: number): boolean {
  return (model.get(name)?.expiresAt ?? -1) > now
}
