import { guarded } from '../../src/kernel/guarded.js'
import { MemoryCounters } from '../../src/kernel/memory.js'
import type { CounterStore, Hit, HitResult } from '../../src/kernel/ports.js'
import { isStoreUnavailable, type StoreUnavailable } from '../../src/kernel/store-unavailable.js'
import { fakeClock } from '../../src/testing/index.js'
import { malformedResults } from '../support/malformed-results.js'
import { unreadable } from '../support/unreadable.js'

const hits: readonly Hit[] = [
  { policy: { scope: 's', name: 'n', limit: 5, windowMs: 1_000, algorithm: 'fixed' }, key: 'k', cost: 1 },
]
const fine: readonly HitResult[] = [{ allowed: true, left: 4, refillMs: 1_000, retryMs: 0 }]

type Answer = () => readonly HitResult[] | Promise<readonly HitResult[]>

const works: Answer = () => Promise.resolve(fine)
const hangs: Answer = () => new Promise(() => undefined)
const rejects: Answer = () => Promise.reject(new Error('connection lost'))
const throws: Answer = () => {
  throw new Error('not connected')
}

/** A store that answers as it is told, behind a guard. */
function setUp(first: Answer = works) {
  const clock = fakeClock()
  const logged: string[] = []
  const log = {
    info: () => undefined,
    warn: (message: string) => void logged.push(message),
    error: (message: string) => void logged.push(message),
  }
  let answer = first
  let asked = 0
  const inner: CounterStore = {
    hit: () => {
      asked++
      return answer()
    },
  }
  const guard = guarded(inner, { clock, log, timeoutMs: 50, failures: 3, coolDownMs: 1_000 })
  return {
    clock,
    logged,
    asked: () => asked,
    becomes: (next: Answer) => void (answer = next),
    hit: async () => guard.hit(hits, 0),
    /** The error of a hit that fails, where needed after the deadline. */
    async failure(): Promise<StoreUnavailable> {
      const pending = Promise.resolve(guard.hit(hits, 0)).then(
        () => undefined,
        (error: unknown) => error,
      )
      await new Promise(setImmediate)
      clock.advance(50)
      const error = await pending
      if (!isStoreUnavailable(error)) throw new Error('the hit did not fail as it should')
      return error
    },
  }
}

test('hands through what the store answers, at once if the store does', () => {
  const guard = guarded(new MemoryCounters(), { clock: fakeClock(), log: console })
  expect(guard.hit(hits, 0)).toEqual([{ allowed: true, left: 4, refillMs: 1_000, retryMs: 0 }])
})

test.each(unreadable)(
  'a store that rejects with %s has failed, and the guard says so',
  async (_what, cause) => {
    const { failure } = setUp(() => Promise.reject(cause))
    expect(await failure()).toMatchObject({ name: 'StoreUnavailable', outage: 1 })
  },
)

describe.each([
  ['hangs', hangs],
  ['rejects', rejects],
  ['throws before it returns a promise', throws],
  ['resolves to nothing', (() => Promise.resolve(undefined)) as unknown as Answer],
  ['answers fewer hits than it was asked', () => Promise.resolve([])],
  ['returns something else', (() => 'OK') as unknown as Answer],
])('a store that %s (ASVS 13.1.3)', (_how, bad) => {
  test('fails with StoreUnavailable, within the deadline', async () => {
    const { failure } = setUp(bad)
    expect(await failure()).toMatchObject({ name: 'StoreUnavailable', retryMs: 1_000, outage: 1 })
  })

  test('is left alone after three failures in a row (ASVS 16.5.2)', async () => {
    const { failure, asked, logged, hit } = setUp(bad)
    for (let i = 0; i < 3; i++) await failure()
    expect(asked()).toBe(3)

    for (let i = 0; i < 100; i++) await expect(hit()).rejects.toMatchObject({ name: 'StoreUnavailable' })
    expect(asked()).toBe(3)
    expect(logged).toEqual(['counters: the store does not answer and is left alone'])
  })

  test('is asked again by exactly one hit after the cool-down, and again after the next; nobody waits for it', async () => {
    const { failure, asked, clock, hit } = setUp(bad)
    for (let i = 0; i < 3; i++) await failure()
    for (const probes of [1, 2]) {
      clock.advance(1_000)
      const crowd = await Promise.allSettled(Array.from({ length: 50 }, hit))
      expect(crowd.every(({ status }) => status === 'rejected')).toBe(true)
      expect(asked()).toBe(3 + probes)
      clock.advance(50)
      await new Promise(setImmediate)
    }
  })

  test('is trusted again once a probe succeeds', async () => {
    const { failure, asked, clock, hit, becomes, logged } = setUp(bad)
    for (let i = 0; i < 3; i++) await failure()
    becomes(works)
    await expect(hit()).rejects.toMatchObject({ name: 'StoreUnavailable' })
    clock.advance(1_000)
    await expect(hit()).rejects.toMatchObject({ message: 'The store is left alone' })
    expect(await Promise.all([hit(), hit(), hit()])).toEqual([fine, fine, fine])
    expect(asked()).toBe(7)
    expect(logged.at(-1)).toBe('counters: the store answers again')
  })
})

describe.each(malformedResults)('%s from the store', (_what, make) => {
  test.each([
    ['at once', make],
    ['later', () => new Promise((resolve) => setImmediate(() => resolve(make())))],
  ])('is no answer, and counts as a failure (%s)', async (_when, answer) => {
    const { failure, hit, asked, clock, becomes } = setUp(answer as Answer)
    for (let i = 0; i < 3; i++) expect((await failure()).message).toMatch(/^The store (gave|threw|failed)/)
    await expect(hit()).rejects.toMatchObject({ message: 'The store is left alone' })
    expect(asked()).toBe(3)
    becomes(works)
    clock.advance(1_000)
    await expect(hit()).rejects.toMatchObject({ message: 'The store is left alone' })
    expect(await hit()).toEqual(fine)
  })
})

test('hands on results of its own, with nothing below zero and no part of a unit', async () => {
  const odd = { allowed: false, left: -2, refillMs: -1, retryMs: 10.5, overflow: true, more: 'x' }
  const { hit } = setUp(() => [odd])
  expect(await hit()).toEqual([{ allowed: false, left: 0, refillMs: 0, retryMs: 10.5, overflow: true }])
  const { hit: again } = setUp(() => [{ ...odd, left: 1.9, overflow: false }])
  expect(await again()).toEqual([{ allowed: false, left: 1, refillMs: 0, retryMs: 10.5 }])
})

test('failures must be in a row to open the circuit', async () => {
  const { failure, hit, becomes, asked } = setUp()
  for (let i = 0; i < 5; i++) {
    becomes(rejects)
    await failure()
    await failure()
    becomes(works)
    await hit()
  }
  expect(asked()).toBe(15)
})

test('a probe that hangs is given up at the deadline, and the next one comes a cool-down later', async () => {
  const { failure, hit, asked, clock, becomes } = setUp(rejects)
  for (let i = 0; i < 3; i++) await failure()
  becomes(hangs)
  const left = () => expect(hit()).rejects.toMatchObject({ message: 'The store is left alone' })
  clock.advance(1_000)
  await left()
  clock.advance(50)
  await new Promise(setImmediate)
  clock.advance(999)
  await left()
  expect(asked()).toBe(4)
  clock.advance(1)
  await left()
  expect(asked()).toBe(5)
})

test('a store that answers at once is trusted again by the hit after the probe', async () => {
  const { failure, hit, clock, becomes } = setUp(throws)
  for (let i = 0; i < 3; i++) await failure()
  becomes(() => fine)
  clock.advance(1_000)
  await expect(hit()).rejects.toMatchObject({ name: 'StoreUnavailable' })
  expect(await hit()).toEqual(fine)
})

test('an answer to an earlier call does not close the circuit', async () => {
  const { failure, hit, becomes, asked } = setUp()
  let answerLate = (_results: readonly HitResult[]): void => undefined
  becomes(() => new Promise((resolve) => (answerLate = resolve)))
  const early = hit()
  becomes(rejects)
  for (const error of await Promise.all([hit(), hit(), hit()].map((one) => one.catch((e: unknown) => e))))
    expect(isStoreUnavailable(error)).toBe(true)
  answerLate(fine)
  expect(await early).toEqual(fine)

  becomes(works)
  await expect(hit()).rejects.toMatchObject({ name: 'StoreUnavailable' })
  expect(asked()).toBe(4)
  expect((await failure()).outage).toBe(1)
})

test('an answer that comes too late is no answer', async () => {
  const { hit, clock, becomes } = setUp()
  let answerLate = (_results: readonly HitResult[]): void => undefined
  becomes(() => new Promise((resolve) => (answerLate = resolve)))
  const slow = hit()
  clock.advance(50)
  setImmediate(() => answerLate(fine))
  await expect(slow).rejects.toMatchObject({ message: 'The store took longer than 50 ms' })
})

test('an answer that is there when a busy process gets round to look is in time', async () => {
  const { hit, clock, becomes } = setUp()
  let answerLate = (_results: readonly HitResult[]): void => undefined
  becomes(() => new Promise((resolve) => (answerLate = resolve)))
  const slow = hit()
  clock.advance(50)
  answerLate(fine)
  expect(await slow).toEqual(fine)
})

test('the deadline and the cool-down do not care about the wall clock', async () => {
  const { failure, hit, clock, becomes } = setUp(rejects)
  for (let i = 0; i < 3; i++) await failure()
  becomes(works)
  clock.jump(3_600_000)
  await expect(hit()).rejects.toMatchObject({ name: 'StoreUnavailable' })
  clock.jump(-7_200_000)
  clock.advance(1_000)
  await expect(hit()).rejects.toMatchObject({ name: 'StoreUnavailable' })
  expect(await hit()).toEqual(fine)
})

test('numbers outages: failures close to one another are one, also while nobody asks', async () => {
  const { failure, hit, clock, becomes } = setUp(rejects)
  expect((await failure()).outage).toBe(1)
  clock.advance(500)
  expect((await failure()).outage).toBe(1)
  expect((await failure()).outage).toBe(1)
  clock.advance(3_600_000)
  expect((await failure()).outage).toBe(1)
  becomes(works)
  clock.advance(1_000)
  await expect(hit()).rejects.toMatchObject({ outage: 1 })
  expect(await hit()).toEqual(fine)
  clock.advance(5_000)
  becomes(rejects)
  expect((await failure()).outage).toBe(2)
})

test('keeps the cause for the operator', async () => {
  const { failure } = setUp(rejects)
  expect((await failure()).cause).toEqual(new Error('connection lost'))
})

test('closes what it guards', async () => {
  let closed = 0
  const inner = {
    hit: () => fine,
    close: async () => {
      closed++
    },
  }
  await guarded(inner, { clock: fakeClock(), log: console }).close!()
  expect(closed).toBe(1)
})
