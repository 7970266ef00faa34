import { ConfigError } from '../../src/kernel/config-error.js'
import { memory, MemoryCounters, type MemoryOptions } from '../../src/kernel/memory.js'
import type { Policy } from '../../src/kernel/ports.js'

const policy: Policy = { scope: 'test', name: 'test', limit: 2, windowMs: 1_000, algorithm: 'fixed' }
const hit = (counters: MemoryCounters, key: string, now = 0) =>
  counters.hit([{ policy, key, cost: 1 }], now)[0]!

test.each<[MemoryOptions | null, string]>([
  [{ maxClients: 0 }, 'memory.maxClients must be an integer from 1 to 100000000, got 0'],
  [{ maxClients: 1.5 }, 'memory.maxClients must be an integer from 1 to 100000000, got 1.5'],
  [{ maxRecords: 0 }, 'memory.maxRecords must be an integer from 1 to 10000000, got 0'],
  [{ maxclients: 5 } as MemoryOptions, 'memory has no option "maxclients". Did you mean "maxClients"?'],
  [null, 'memory must be an object of options, got null'],
])('refuses %p', (options, message) => {
  expect(() => memory(options as MemoryOptions)).toThrow(new ConfigError(message))
})

test('marks who shares a counter because the table is full, and nobody else', () => {
  const counters = new MemoryCounters(1)
  expect(hit(counters, 'first')).not.toHaveProperty('overflow')
  expect(hit(counters, 'second').overflow).toBe(true)
  expect(hit(counters, 'first')).toEqual({ allowed: true, left: 0, refillMs: 1_000, retryMs: 0 })
})

test('limits those who share a counter together', () => {
  const counters = new MemoryCounters(1)
  hit(counters, 'first')
  const results = Array.from({ length: 5_000 }, (_, i) => hit(counters, `new ${i}`))
  // 1,024 counters of two units each.
  expect(results.filter(({ allowed }) => allowed).length).toBeLessThanOrEqual(2_048)
})

test('bounds each limit by itself, so that a flood of addresses leaves principals alone', () => {
  const counters = new MemoryCounters(10)
  for (let i = 0; i < 100; i++) hit(counters, `address ${i}`)
  const other = { ...policy, name: 'quota' }
  expect(counters.hit([{ policy: other, key: 'principal', cost: 1 }], 0)[0]).not.toHaveProperty('overflow')
})

test('counts by whole milliseconds of a clock with fractions', () => {
  const counters = new MemoryCounters()
  hit(counters, 'a', 0.7)
  hit(counters, 'a', 0.9)
  expect(hit(counters, 'a', 1.2)).toEqual({ allowed: false, left: 0, refillMs: 999, retryMs: 999 })
})
