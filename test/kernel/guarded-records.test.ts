import { guardedOnce, guardedRecords } from '../../src/kernel/guarded.js'
import { memory } from '../../src/kernel/memory.js'
import type { OnceStore, RecordStore } from '../../src/kernel/ports.js'
import { StoreUnavailable } from '../../src/kernel/store-unavailable.js'
import { fakeClock } from '../../src/testing/index.js'

/** Records that do as they are told, behind a guard. */
function setUp() {
  const clock = fakeClock()
  const logged: string[] = []
  const keep = (message: string) => void logged.push(message)
  const log = { info: keep, warn: keep, error: keep }
  const inner = memory({ clock, maxRecords: 3 }).records
  let asked = 0
  let answer: ((works: () => unknown) => unknown) | undefined
  const told = (works: () => unknown) => {
    asked++
    return answer === undefined ? works() : answer(works)
  }
  const store = {
    get: (...call) => told(() => inner.get(...call)),
    put: (...call) => told(() => inner.put(...call)),
    replace: (...call) => told(() => inner.replace(...call)),
    delete: (...call) => told(() => inner.delete(...call)),
    list: (...call) => told(() => inner.list(...call)),
    getMany: (...call) => told(() => inner.getMany!(...call)),
  } as RecordStore
  const records = guardedRecords(store, { clock, log, timeoutMs: 50, failures: 3, coolDownMs: 1_000 })
  return {
    clock,
    logged,
    records,
    asked: () => asked,
    becomes: (next?: (works: () => unknown) => unknown) => void (answer = next),
  }
}

const calls: [string, (records: RecordStore) => unknown][] = [
  ['get', (records) => records.get('s', 'k')],
  ['getMany', (records) => records.getMany!('s', ['k'])],
  ['put', (records) => records.put('s', 'k', 'v', 1_000)],
  ['replace', (records) => records.replace('s', 'k', undefined, 'v')],
  ['delete', (records) => records.delete('s', 'k')],
  ['list', (records) => records.list('s')],
]
const down = () => Promise.reject(new Error('down'))
const throws = () => {
  throw new Error('down')
}

describe.each(calls)('%s', (_name, call) => {
  test('is handed through, at once if the store answers at once', async () => {
    const { records, asked } = setUp()
    expect(call(records)).toEqual(await call(memory().records))
    expect(asked()).toBe(1)
  })

  test.each([
    ['rejects', down],
    ['throws', throws],
    ['answers with a number', () => 5],
    ['resolves to null', () => Promise.resolve(null)],
  ])('fails with StoreUnavailable if the store %s', async (_how, bad) => {
    const { records, becomes } = setUp()
    becomes(bad)
    await expect(async () => call(records)).rejects.toMatchObject({
      name: 'StoreUnavailable',
      retryMs: 1_000,
    })
  })

  test('fails at its deadline if the store hangs', async () => {
    const { records, becomes, clock } = setUp()
    becomes(() => new Promise(() => undefined))
    const failure = expect(async () => call(records)).rejects.toMatchObject({
      message: 'The store took longer than 50 ms',
    })
    clock.advance(50)
    await failure
  })
})

async function open({ records, becomes }: ReturnType<typeof setUp>) {
  becomes(down)
  for (let i = 0; i < 3; i++)
    await expect(async () => records.get('s', 'k')).rejects.toThrow('The store failed')
}

test('after three failures nobody asks any more, whatever the call', async () => {
  const set = setUp()
  await open(set)
  for (const [, call] of calls)
    await expect(async () => call(set.records)).rejects.toThrow('The store is left alone')
  expect(set.asked()).toBe(3)
  expect(set.logged).toEqual(['records: the store does not answer and is left alone'])
})

test('whoever tries it after the cool-down gets the answer to their own call, and it happens once', async () => {
  const set = setUp()
  await open(set)
  set.becomes()
  set.clock.advance(1_000)
  expect(await set.records.replace('s', 'k', undefined, 'mine')).toBe(true)
  expect(set.asked()).toBe(4)
  expect(await set.records.get('s', 'k')).toBe('mine')
  expect(set.logged.at(-1)).toBe('records: the store answers again')
})

test('while one tries it, all others are told no at once', async () => {
  const set = setUp()
  await open(set)
  let answerNow = (): void => undefined
  set.becomes((works) => new Promise((resolve) => (answerNow = () => resolve(works()))))
  set.clock.advance(1_000)
  const first = set.records.get('s', 'k')
  const others = await Promise.allSettled(Array.from({ length: 20 }, async () => set.records.get('s', 'k')))
  expect(others.every(({ status }) => status === 'rejected')).toBe(true)
  expect(set.asked()).toBe(4)
  answerNow()
  expect(await first).toBeUndefined()
})

test('a full store is not away: who needs room is told so, everybody else goes on', async () => {
  const { records, logged } = setUp()
  for (const key of ['a', 'b', 'c']) await records.put('s', key, 'v')
  for (let i = 0; i < 10; i++) {
    await expect(async () => records.put('s', `new ${i}`, 'v')).rejects.toThrow(StoreUnavailable)
  }
  expect(await records.get('s', 'a')).toBe('v')
  await records.put('s', 'a', 'w')
  await records.put('another', 'a', 'v')
  expect(logged).toEqual([])
})

test('a claim is guarded alike, and a store that answers with anything else lets nobody through', async () => {
  const clock = fakeClock()
  const quiet = () => undefined
  const options = { clock, log: { info: quiet, warn: quiet, error: quiet } }
  const { once } = memory({ clock, maxRecords: 1 })
  const claims = guardedOnce(once, options)
  expect([claims.claim('s', 'k', 10), claims.claim('s', 'k', 10)]).toEqual([true, false])
  // To forget the first one would let it happen twice.
  await expect(async () => claims.claim('s', 'other', 10)).rejects.toThrow(StoreUnavailable)
  clock.advance(10)
  expect(claims.claim('s', 'other', 10)).toBe(true)

  const odd = { claim: () => 'OK' } as unknown as OnceStore
  await expect(async () => guardedOnce(odd, options).claim('s', 'k', 10)).rejects.toThrow('no answer')
})

test('closes what it guards', async () => {
  const closed: string[] = []
  const close = (what: string) => ({ close: async () => void closed.push(what) })
  const options = { clock: fakeClock(), log: console }
  await guardedRecords({ ...memory().records, ...close('records') }, options).close!()
  await guardedOnce({ claim: () => true, ...close('once') }, options).close!()
  expect(closed).toEqual(['records', 'once'])
})
