import fc from 'fast-check'
import { ClientTable } from '../../src/kernel/client-table.js'
import { SipHash } from '../../src/lib/sip-hash.js'

const SPAN = 1_000

/** A table whose counters are `[expiry, units]`, with windows that open at the first hit. */
function countingTable(maxClients: number) {
  const table = new ClientTable(2, SPAN, maxClients)
  const hash = new SipHash()
  return {
    table,
    /** Counts one unit. @returns the units counted so far, and whether the counter is shared */
    hit(key: string, now: number) {
      hash.update(key)
      table.locate(hash, now)
      const { words, at, shared } = table
      if (words[at]! <= now) {
        words[at] = now + SPAN
        words[at + 1] = 0
      }
      return { units: ++words[at + 1]!, shared }
    },
  }
}

test('keeps every one of 100,000 clients apart while buckets grow and split', () => {
  const { table, hit } = countingTable(1_000_000)
  for (const units of [1, 2, 3]) {
    for (let i = 0; i < 100_000; i++) {
      const counted = hit(`client ${i}`, 0)
      if (counted.units !== units || counted.shared) throw new Error(`client ${i}: ${counted.units}`)
    }
  }
  expect(table.clients).toBe(100_000)
})

test('takes at most 80 bytes per client at a million of them', () => {
  const table = new ClientTable(3, SPAN, 1_000_000)
  const hash = new SipHash()
  for (let i = 0; i < 1_000_000; i++) {
    hash.update(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
    table.locate(hash, 0)
    table.words[table.at] = SPAN
  }
  expect(table.clients).toBe(1_000_000)
  expect(table.bytes / table.clients).toBeLessThanOrEqual(80)
})

test('never moves more than 4,096 slots at a time, so that no hit stops the process', () => {
  const sizes: number[] = []
  const original = Float64Array
  globalThis.Float64Array = new Proxy(original, {
    construct(target, args: [number]) {
      sizes.push(args[0])
      return new target(...args)
    },
  })
  try {
    const { hit } = countingTable(100_000)
    for (let i = 0; i < 100_000; i++) hit(String(i), 0)
  } finally {
    globalThis.Float64Array = original
  }
  expect(sizes.length).toBeGreaterThan(50)
  expect(Math.max(...sizes)).toBe(4096 * 3)
})

test('stays small for few clients, and shrinks again after a flood', () => {
  const { table, hit } = countingTable(1_000_000)
  hit('one', 0)
  expect(table.bytes).toBeLessThan(2_000)

  for (let i = 0; i < 50_000; i++) hit(`flood ${i}`, 0)
  const flooded = table.bytes
  for (let i = 0; i < 50_000; i++) hit(`later ${i % 100} ${i}`, SPAN + i)
  expect(table.bytes).toBeLessThan(flooded / 4)
})

describe('at the cap', () => {
  test('10,000 new clients reset nobody, and share counters', () => {
    const { table, hit } = countingTable(1_000)
    for (let i = 0; i < 1_000; i++) for (let unit = 0; unit <= i % 5; unit++) hit(`live ${i}`, 0)

    const strangers = Array.from({ length: 10_000 }, (_, i) => hit(`new ${i}`, 1))

    expect(strangers.every(({ shared }) => shared)).toBe(true)
    // 10,000 of them in 1,024 counters.
    expect(Math.max(...strangers.map(({ units }) => units))).toBeGreaterThanOrEqual(10)
    expect(table.clients).toBe(1_000)
    for (let i = 0; i < 1_000; i++) expect(hit(`live ${i}`, 2)).toEqual({ units: (i % 5) + 2, shared: false })
  })

  test('a new client gets a counter of its own as soon as an old one has expired', () => {
    const { hit } = countingTable(40)
    for (let i = 0; i < 40; i++) hit(`live ${i}`, i)
    expect(hit('new', 39).shared).toBe(true)
    expect(hit('new', SPAN)).toEqual({ units: 1, shared: false })
    expect(hit('another', SPAN).shared).toBe(true)
  })

  test('counters are not kept for longer because the clock was set back', () => {
    const { hit } = countingTable(40)
    for (let i = 0; i < 40; i++) hit(`live ${i}`, 1_000_000)
    expect(hit('new', 0).shared).toBe(true)
    expect(hit('new', SPAN).shared).toBe(false)
  })
})

test('forgets no live counter, whatever comes and goes (model)', () => {
  const keys = fc.integer({ min: 0, max: 120 }).map(String)
  const step = fc.tuple(keys, fc.integer({ min: 0, max: 120 }))
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 600, minLength: 300 }),
      fc.integer({ min: 1, max: 50 }),
      (steps, maxClients) => {
        const { table, hit } = countingTable(maxClients)
        const model = new Map<string, { units: number; ends: number }>()
        let now = 0
        for (const [key, wait] of steps) {
          now += wait
          for (const [known, { ends }] of model) if (ends <= now) model.delete(known)

          const counted = hit(key, now)
          const expected = model.get(key) ?? { units: 0, ends: now + SPAN }
          if (counted.shared) {
            expect(model.has(key)).toBe(false)
            expect(model.size).toBe(maxClients)
            continue
          }
          expected.units++
          model.set(key, expected)
          expect(counted.units).toBe(expected.units)
          expect(table.clients).toBeLessThanOrEqual(maxClients)
        }
      },
    ),
    { numRuns: 60, endOnFailure: true },
  )
})
