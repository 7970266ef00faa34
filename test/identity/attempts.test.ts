import { Redis } from 'ioredis'
import { Attempts } from '../../src/identity/attempts.js'
import { memory } from '../../src/kernel/memory.js'
import type { RecordStore } from '../../src/kernel/ports.js'
import { StoreUnavailable } from '../../src/kernel/store-unavailable.js'
import { redis } from '../../src/stores/redis.js'
import { fakeClock } from '../../src/testing/index.js'
import { later } from '../support/later-store.js'
import { PrivateRedis } from '../support/private-redis.js'

const NOW = Date.UTC(2030, 0, 1)
const each = { free: 5, firstMs: 1_000, mostMs: 900_000 }
const all = { free: 20, firstMs: 60_000, mostMs: 900_000 }
const attempts = new Attempts({ space: 'x', each, all, forgetMs: 86_400_000 })

/** How many of so many guesses at once are judged, each from an address of its own. */
async function judged(records: RecordStore, subject: string, count: number, now = NOW): Promise<number> {
  const taken = await Promise.all(
    Array.from({ length: count }, (_, i) => attempts.take(records, subject, `${now} ${i}`, now)),
  )
  return taken.filter(({ waitMs }) => waitMs === 0).length
}

/** However many come at once, from wherever (ASVS 6.3.1). */
async function expectBound(records: RecordStore, subject: string, count: number): Promise<void> {
  expect(await judged(records, subject, count)).toBe(20)
  // After the wait it is one at a time, and each doubles the wait.
  expect(await judged(records, subject, count, NOW + 59_999)).toBe(0)
  expect(await judged(records, subject, count, NOW + 60_000)).toBe(1)
  expect(await judged(records, subject, count, NOW + 179_999)).toBe(0)
  expect(await judged(records, subject, count, NOW + 180_000)).toBe(1)
}

describe('guesses that come at once', () => {
  test('are taken one by one, whenever the store answers', async () => {
    await expectBound(later(memory()).records, 'ann', 100)
    await expectBound(memory().records, 'ann', 100)
  })

  test('from one address are as few', async () => {
    const { records } = later(memory())
    const taken = await Promise.all(Array.from({ length: 50 }, () => attempts.take(records, 'ann', 'a', NOW)))
    expect(taken.filter(({ waitMs }) => waitMs === 0)).toHaveLength(5)
    expect(new Set(taken.map(({ waitMs }) => waitMs))).toEqual(new Set([0, 1_000]))
  })

  test('and are right, leave nothing behind that makes others wait', async () => {
    const { records } = later(memory())
    for (let round = 0; round < 3; round++) {
      const taken = await Promise.all(
        Array.from({ length: 20 }, (_, i) => attempts.take(records, 'ann', `${round} ${i}`, NOW)),
      )
      expect(taken.map(({ waitMs }) => waitMs)).toEqual(Array(20).fill(0))
      await Promise.all(taken.map((one) => one.succeeded()))
    }
    // What was wrong meanwhile is not forgiven for it.
    expect(await judged(records, 'ann', 12, NOW)).toBe(12)
    await (await attempts.take(records, 'ann', 'hotel', NOW)).succeeded()
    expect(await judged(records, 'ann', 100, NOW + 1)).toBe(8)
  })
})

describe('a clock that went back', () => {
  const HOURS = 3 * 3_600_000
  const pace = { free: 1, firstMs: 1_000, mostMs: 60_000 }
  const slow = new Attempts({ space: 'x', each: pace, all: pace, forgetMs: 86_400_000 })
  const setUp = () => {
    const clock = fakeClock(NOW + HOURS)
    const { records } = memory({ clock })
    const take = async (client = 'a') => (await slow.take(records, 'ann', client, clock.now())).waitMs
    return { clock, records, take }
  }

  test('makes nobody wait longer than before', async () => {
    const { clock, take } = setUp()
    expect(await take()).toBe(0)
    clock.jump(-HOURS)
    expect([await take(), await take('b')]).toEqual([1_000, 1_000])
    clock.advance(999)
    expect(await take()).toBe(1_000)
    clock.advance(1)
    expect(await take()).toBe(0)
    // From here on, the waits are what they always are.
    expect(await take()).toBe(2_000)
    clock.advance(1_999)
    expect(await take()).toBe(1)
    clock.advance(1)
    expect(await take()).toBe(0)
  })

  test('by less than clocks differ is no reason to ask the store', async () => {
    const { clock, records, take } = setUp()
    expect(await take()).toBe(0)
    await records.delete('x-attempts-wait', JSON.stringify(['ann', 'a']))
    await records.delete('x-attempts-all-wait', 'ann')
    clock.jump(-60_000)
    expect(await take()).toBe(61_000)
    clock.jump(-1)
    expect(await take()).toBe(0)
  })

  test('in one of two processes gives nobody who asks both in turn more than twice the guesses', async () => {
    const { clock, records } = setUp()
    let judged = 0
    for (let second = 0; second < 600; second++) {
      for (const now of [clock.now(), clock.now() - HOURS, clock.now()])
        if ((await slow.take(records, 'ann', 'a', now)).waitMs === 0) judged++
      clock.advance(1_000)
    }
    // Ten minutes are 16 guesses for who asks one process.
    expect(judged).toBeLessThanOrEqual(32)
  })
})

test.each(['', 'x', '{}', '1', '-5 0', 'NaN NaN', '1e3 0', '0x1 0', '1 0 0'])(
  'a store that answers with no count, %j, lets nobody guess',
  async (text) => {
    const { records } = memory()
    await records.put('x-attempts-all', 'ann', text)
    await expect(attempts.take(records, 'ann', 'a', NOW)).rejects.toThrow(StoreUnavailable)
    await records.put('x-attempts', JSON.stringify(['eve', 'a']), text)
    await expect(attempts.take(records, 'eve', 'a', NOW)).rejects.toThrow(StoreUnavailable)
  },
)

describe('over a real Redis', () => {
  let server: PrivateRedis
  let client: Redis
  beforeAll(async () => {
    server = await PrivateRedis.start()
    client = new Redis(server.url)
  })
  afterAll(async () => {
    client.disconnect()
    await server.stop()
  })

  test('guesses that come at once are taken one by one', async () => {
    await expectBound(redis(client).records, 'ann', 100)
  })
})
