import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Algorithm, CounterStore, Hit, HitResult, Policy } from '../kernel/ports.js'
import { HOSTILE_KEYS, type ContractRunner, type ContractStore, type Register } from './contract-parts.js'

const ALGORITHMS: readonly Algorithm[] = ['fixed', 'sliding', 'gcra']
const MINUTE = 60_000

type Test = Register<Counting>

/** A store that counts, and a hand on its clock. */
type Counting = ContractStore & { readonly counters: CounterStore }

/** What every `CounterStore` must do. */
export function counterContract(test: Test, { describe }: ContractRunner): void {
  for (const algorithm of ALGORITHMS) {
    describe(algorithm, () => {
      admissions(test, algorithm)
      returns(test, algorithm)
    })
  }
  separation(test)
}

function admissions(test: Test, algorithm: Algorithm): void {
  test('admits the limit and no more, and counts down', async (store) => {
    const hit = counter(store, { algorithm, limit: 3, windowMs: MINUTE })
    for (const left of [2, 1, 0]) {
      const result = await hit()
      assert.equal(result.allowed, true)
      assert.equal(result.left, left)
      assert.equal(result.retryMs, 0)
    }
    const refused = await hit()
    assert.equal(refused.allowed, false)
    assert.equal(refused.left, 0)
    assertWait(refused, 2 * MINUTE)
  })

  test('takes nothing for what it refuses', async (store) => {
    const hit = counter(store, { algorithm, limit: 10, windowMs: MINUTE })
    assert.equal((await hit(8)).left, 2)
    for (let i = 0; i < 3; i++) {
      const refused = await hit(5)
      assert.equal(refused.allowed, false)
      assert.equal(refused.left, 2)
      assertWait(refused, 2 * MINUTE)
    }
    assert.equal((await hit(2)).allowed, true)
  })

  test('admits what costs nothing, even when nothing is left', async (store) => {
    const hit = counter(store, { algorithm, limit: 2, windowMs: MINUTE })
    assert.deepEqual(pick(await hit(0)), { allowed: true, left: 2 })
    await hit(2)
    assert.deepEqual(pick(await hit(0)), { allowed: true, left: 0 })
  })

  test('refuses what costs more than the limit, whatever its size', async (store) => {
    const hit = counter(store, { algorithm, limit: 5, windowMs: MINUTE })
    for (const cost of [6, 1_000_000, Number.MAX_SAFE_INTEGER]) {
      const refused = await hit(cost)
      assert.deepEqual(pick(refused), { allowed: false, left: 5 })
      assertWait(refused, 2 * MINUTE)
    }
    assert.deepEqual(pick(await hit(5)), { allowed: true, left: 0 })
  })

  test('is exact when many hits come at once', async (store) => {
    const hit = counter(store, { algorithm, limit: 37, windowMs: 10 * MINUTE })
    const results = await Promise.all(Array.from({ length: 100 }, () => hit()))
    assert.equal(results.filter(({ allowed }) => allowed).length, 37)
  })

  test('counts to a million million', async (store) => {
    const limit = 1_000_000_000_000
    const hit = counter(store, { algorithm, limit, windowMs: 1_000 })
    assert.equal((await hit(limit - 1)).allowed, true)
    const { left } = await hit(0)
    assert.ok(Number.isSafeInteger(left) && left >= 1)
  })

  test('says what is left and when of a limit that is large and lasts a year', async (store) => {
    for (const limit of [12_345_678_901, 103_720_451]) {
      const hit = counter(store, { algorithm, limit, windowMs: 366 * 24 * 60 * MINUTE })
      for (let used = 1; used <= 2; used++) {
        const { allowed, left, refillMs } = await hit()
        assert.equal(allowed, true)
        assert.ok(Math.abs(limit - used - left) <= 2, `${left} left of ${limit}`)
        assert.ok(Number.isSafeInteger(refillMs) && refillMs >= 1, `more in ${refillMs} ms`)
      }
    }
  })
}

function returns(test: Test, algorithm: Algorithm): void {
  test('gives units back when it said it would, and all of them after two windows', async (store) => {
    // Some backends count fixed windows of less than a second in another way than longer ones.
    const windowMs = algorithm === 'fixed' ? 1_000 : 400
    const { hit, refused } = await usedUp(store, { algorithm, limit: 2, windowMs })

    await store.pass(refused.refillMs)
    assert.ok((await hit(0)).left > 0)
    await store.pass(refused.retryMs - refused.refillMs)
    assert.deepEqual(pick(await hit(2)), { allowed: true, left: 0 })
    await store.pass(2 * windowMs)
    assert.deepEqual(pick(await hit(2)), { allowed: true, left: 0 })
  })
}

function separation(test: Test): void {
  test('counts every key apart, whatever is in it (ASVS 1.3.9)', async ({ counters }) => {
    const policy = policyOf({ algorithm: 'fixed', limit: 1, windowMs: MINUTE })
    for (const expected of [true, false]) {
      for (const key of HOSTILE_KEYS) {
        const [result] = await counters.hit([{ policy, key, cost: 1 }], 0)
        assert.equal(result!.allowed, expected, `key ${JSON.stringify(key.slice(0, 20))}`)
      }
    }
  })

  test('counts every policy apart, also where name and key run together', async (store) => {
    const made = policyOf({ algorithm: 'fixed', limit: 1, windowMs: MINUTE })
    const policies: [Policy, string][] = [
      [made, 'k'],
      [{ ...made, name: `${made.name}:k` }, ''],
      [{ ...made, scope: 'other' }, 'k'],
      [{ ...made, algorithm: 'sliding' }, 'k'],
      [{ ...made, algorithm: 'gcra' }, 'k'],
      [{ ...made, windowMs: MINUTE + 1 }, 'k'],
    ]
    for (const [policy, key] of policies) {
      const [result] = await store.counters.hit([{ policy, key, cost: 1 }], await store.now())
      assert.equal(result!.allowed, true)
    }
  })

  test('decides all hits of one call, each on its own and in order', async (store) => {
    const [tight, wide] = [1, 5].map((limit) => policyOf({ algorithm: 'fixed', limit, windowMs: MINUTE }))
    const others = ALGORITHMS.map((algorithm) => policyOf({ algorithm, limit: 3, windowMs: 2 * MINUTE }))
    const hits: Hit[] = [tight!, wide!, ...others].map((policy) => ({ policy, key: 'k', cost: 1 }))

    const first = await store.counters.hit(hits, await store.now())
    const second = await store.counters.hit(hits, await store.now())
    const alone = await store.counters.hit([hits[1]!], await store.now())

    assert.deepEqual(first.map(pick), [
      { allowed: true, left: 0 },
      { allowed: true, left: 4 },
      ...others.map(() => ({ allowed: true, left: 2 })),
    ])
    assert.deepEqual(second.map(pick), [
      { allowed: false, left: 0 },
      { allowed: true, left: 3 },
      ...others.map(() => ({ allowed: true, left: 1 })),
    ])
    assert.deepEqual(alone.map(pick), [{ allowed: true, left: 2 }])
  })

  test('takes hits of several callers in one call', async (store) => {
    const policy = policyOf({ algorithm: 'gcra', limit: 2, windowMs: MINUTE })
    const hits = ['a', 'b', 'c'].map((key, cost) => ({ policy, key, cost }))
    const results = await store.counters.hit(hits, await store.now())
    assert.deepEqual(
      results.map(({ left }) => left),
      [2, 1, 0],
    )
  })
}

type Shape = Pick<Policy, 'algorithm' | 'limit' | 'windowMs'>

/** A policy that no other test uses, so that tests can share a backend. */
function policyOf(shape: Shape): Policy {
  return { scope: 'contract', name: randomUUID(), ...shape }
}

function counter({ counters, now }: Counting, shape: Shape) {
  const policy = policyOf(shape)
  return async (cost = 1): Promise<HitResult> =>
    (await counters.hit([{ policy, key: 'caller', cost }], await now()))[0]!
}

/** Takes everything, and so quickly that not even half a unit came back meanwhile; on a slow machine, in another attempt. */
async function usedUp(store: Counting, shape: Shape) {
  for (let attempts = 50; ; attempts--) {
    const start = await store.now()
    const hit = counter(store, shape)
    await hit(shape.limit)
    const refused = await hit(shape.limit)
    if (attempts > 0 && (await store.now()) - start > shape.windowMs / shape.limit / 2) continue
    assert.equal(refused.allowed, false)
    assertWait(refused, 2 * shape.windowMs)
    return { hit, refused }
  }
}

function assertWait({ refillMs, retryMs }: HitResult, mostMs: number): void {
  assert.ok(Number.isSafeInteger(refillMs) && refillMs >= 0, `refillMs ${refillMs}`)
  assert.ok(Number.isSafeInteger(retryMs) && retryMs >= Math.max(refillMs, 1), `retryMs ${retryMs}`)
  assert.ok(retryMs <= mostMs, `retryMs ${retryMs}`)
}

function pick({ allowed, left }: HitResult) {
  return { allowed, left }
}
