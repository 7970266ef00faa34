import fc from 'fast-check'
import { algorithms } from '../../src/kernel/algorithms.js'
import type { Algorithm, HitResult, Policy } from '../../src/kernel/ports.js'

/** One caller's counter. */
function counter(policy: Policy) {
  const words = new Float64Array(5)
  const { take } = algorithms[policy.algorithm]
  return (cost: number, now: number) => take(words, 1, policy, cost, now)
}

interface Admitted {
  at: number
  units: number
}

/** The same three ways to count, written from their definition: with a list of everything that was admitted, in exact fractions. */
const reference: Record<Algorithm, (policy: Policy) => (cost: number, now: number) => boolean> = {
  fixed: ({ limit, windowMs }) => {
    let opened = -Infinity
    let used = 0
    return (cost, now) => {
      if (now - opened >= windowMs) {
        opened = now
        used = 0
      }
      if (used + cost > limit) return false
      used += cost
      return true
    }
  },

  sliding: ({ limit, windowMs }) => {
    const admitted: Admitted[] = []
    let opened = -Infinity
    const unitsIn = (from: number, to: number) =>
      admitted.filter(({ at }) => at >= from && at < to).reduce((sum, { units }) => sum + units, 0)
    return (cost, now) => {
      if (now - opened >= 2 * windowMs) opened = now
      if (now - opened >= windowMs) opened += windowMs
      const before = BigInt(unitsIn(opened - windowMs, opened)) * BigInt(windowMs - (now - opened))
      const inside = BigInt(unitsIn(opened, now + 1) + cost) * BigInt(windowMs)
      if (before + inside > BigInt(limit) * BigInt(windowMs)) return false
      admitted.push({ at: now, units: cost })
      return true
    }
  },

  gcra: ({ limit, windowMs }) => {
    // The theoretical arrival time, times the limit.
    let arrival = 0n
    return (cost, now) => {
      const moment = BigInt(now) * BigInt(limit)
      const next = (arrival > moment ? arrival : moment) + BigInt(cost) * BigInt(windowMs)
      if (next - moment > BigInt(windowMs) * BigInt(limit)) return false
      arrival = next
      return true
    }
  },
}

/** The most units that any stretch of `x` milliseconds may admit, as documented. */
const bound: Record<Algorithm, (policy: Policy, x: number) => number> = {
  fixed: ({ limit }) => 2 * limit,
  sliding: ({ limit, windowMs }, x) => limit * (1 + x / windowMs),
  gcra: ({ limit, windowMs }, x) => limit * (1 + x / windowMs),
}

const policies = (algorithm: Algorithm) =>
  fc
    .record({ limit: fc.integer({ min: 1, max: 50 }), windowMs: fc.integer({ min: 1, max: 1_000 }) })
    .map((shape): Policy => ({ scope: 'test', name: 'test', algorithm, ...shape }))
const steps = (min = 0) =>
  fc.array(
    fc.record({
      wait: fc.oneof(fc.constant(0), fc.integer({ min, max: 60 }), fc.integer({ min, max: 2_500 })),
      cost: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.integer({ min: 0, max: 60 })),
    }),
    { minLength: 1, maxLength: 80 },
  )

describe.each(['fixed', 'sliding', 'gcra'] as const)('%s', (algorithm) => {
  test('decides as its definition does, over any sequence of hits', () => {
    fc.assert(
      fc.property(policies(algorithm), steps(), (policy, sequence) => {
        const take = counter(policy)
        const expected = reference[algorithm](policy)
        let now = 12_345
        const decisions = sequence.map(({ wait, cost }) => {
          now += wait
          return [take(cost, now).allowed, expected(cost, now)] as const
        })
        expect(decisions.map(([ours]) => ours)).toEqual(decisions.map(([, theirs]) => theirs))
      }),
    )
  })

  test('admits no more than documented in any stretch of up to a window (ASVS 2.4.1)', () => {
    fc.assert(
      fc.property(policies(algorithm), steps(), (policy, sequence) => {
        const take = counter(policy)
        const admitted: Admitted[] = []
        let now = 0
        for (const { wait, cost } of sequence) {
          now += wait
          if (take(cost, now).allowed) admitted.push({ at: now, units: cost })
        }
        const excesses = admitted.flatMap(({ at: from }, first) => {
          let sum = 0
          return admitted.slice(first).filter(({ at, units }) => {
            sum += units
            return at - from <= policy.windowMs && sum > bound[algorithm](policy, at - from)
          })
        })
        expect(excesses).toEqual([])
      }),
    )
  })

  test('says whole numbers that make sense, however large limits and windows are', () => {
    const large = fc.record({
      limit: fc.integer({ min: 1, max: 1e15 }),
      windowMs: fc.integer({ min: 1, max: 366 * 86_400_000 }),
    })
    const hits = fc.array(
      fc.record({
        wait: fc.double({ min: 0, max: 1.5, noNaN: true }),
        cost: fc.double({ min: 0, max: 1.1, noNaN: true }),
      }),
      { minLength: 1, maxLength: 8 },
    )
    fc.assert(
      fc.property(large, hits, ({ limit, windowMs }, sequence) => {
        const take = counter({ scope: 'test', name: 'test', algorithm, limit, windowMs })
        let now = 1_900_000_000_000
        for (const { wait, cost } of sequence) {
          now += Math.floor(wait * windowMs)
          const { allowed, left, refillMs, retryMs } = take(Math.min(Math.ceil(cost * limit), limit + 1), now)
          for (const number of [left, refillMs, retryMs]) expect(Number.isSafeInteger(number)).toBe(true)
          expect(left).toBeGreaterThanOrEqual(0)
          expect(left).toBeLessThanOrEqual(limit)
          expect(refillMs).toBeGreaterThanOrEqual(left < limit ? 1 : 0)
          expect(retryMs).toBeGreaterThanOrEqual(allowed ? 0 : refillMs)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('says to the millisecond when a refused hit will succeed, and when more units are there', () => {
    fc.assert(
      fc.property(policies(algorithm), steps(), (policy, sequence) => {
        // Three callers with one history: what one of them tries out does not disturb the others.
        const [take, early, onTime] = [counter(policy), counter(policy), counter(policy)] as const
        let now = 0
        let result: HitResult | undefined
        let last = 0
        for (const { wait, cost } of sequence) {
          now += wait
          ;[result] = [take(cost, now), early(cost, now), onTime(cost, now)]
          last = cost
          expect(result.refillMs).toBeLessThanOrEqual(2 * policy.windowMs)
          expect(result.retryMs === 0).toBe(result.allowed)
          if (!result.allowed) {
            expect(result.retryMs).toBeGreaterThanOrEqual(result.refillMs)
            expect(cost).toBeGreaterThan(result.left)
          }
          if (!result.allowed && cost <= policy.limit) break
        }
        const { allowed, left, refillMs, retryMs } = result!
        if (!allowed && last <= policy.limit) {
          expect(early(last, now + retryMs - 1).allowed).toBe(false)
          expect(onTime(last, now + retryMs).allowed).toBe(true)
        }
        if (refillMs > 0 && left < policy.limit) expect(take(0, now + refillMs).left).toBeGreaterThan(left)
      }),
    )
  })

  test('never makes anybody wait longer than it would, if the clock jumps, and recovers in two windows', () => {
    fc.assert(
      fc.property(
        policies(algorithm),
        steps(-3_000),
        fc.integer({ min: -1e9, max: 1e9 }),
        (policy, sequence, jump) => {
          const take = counter(policy)
          let now = 1e12
          for (const [i, { wait, cost }] of sequence.entries()) {
            now += wait + (i === sequence.length >> 1 ? jump : 0)
            const { left, refillMs, retryMs } = take(cost, now)
            expect(left).toBeGreaterThanOrEqual(0)
            expect(left).toBeLessThanOrEqual(policy.limit)
            for (const ms of [refillMs, retryMs]) {
              expect(ms).toBeGreaterThanOrEqual(0)
              expect(ms).toBeLessThanOrEqual(2 * policy.windowMs)
            }
          }
          expect(take(policy.limit, now + 2 * policy.windowMs).allowed).toBe(true)
        },
      ),
    )
  })

  test('is exact for limits that do not divide the window', () => {
    for (const limit of [3, 7, 999, 60_001]) {
      const take = counter({ scope: 'test', name: 'test', algorithm, limit, windowMs: 60_000 })
      const admitted = Array.from({ length: limit + 1 }, () => take(1, 5_000).allowed).filter(Boolean)
      expect(admitted).toHaveLength(limit)
    }
  })
})
