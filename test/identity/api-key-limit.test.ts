import { randomBytes } from 'node:crypto'
import express from 'express'
import { apiKey } from '../../src/identity/api-key.js'
import { apiKeys, type CreateKeyOptions } from '../../src/identity/api-keys.js'
import { newId, newKey } from '../../src/identity/api-key-text.js'
import { memory } from '../../src/kernel/memory.js'
import type { CounterStore, Ports, RecordStore, Store } from '../../src/kernel/ports.js'
import { secureApi } from '../../src/secure-api.js'
import { fakeClock, serve, type ServeOptions } from '../../src/testing/index.js'

const pepper = randomBytes(32)
const MINUTE = 60_000
const LIMITED: CreateKeyOptions = { owner: 'partner-7', limit: { limit: 1, windowMs: MINUTE } }

const DOWN: CounterStore = { hit: () => Promise.reject(new Error('down')) }

/** Keys in a store of a test's own, and stages that know them. */
function setUp(storeOf: (store: Ports) => Store & { records: RecordStore } = (store) => store) {
  const clock = fakeClock()
  const inside = memory({ clock })
  const store = storeOf(inside)
  const keys = apiKeys({ store: inside, pepper, clock })
  const stage = (options: ServeOptions = {}) => {
    const api = serve(apiKey({ store, pepper, lastUsedMs: 0 }), { clock, ...options })
    return { ...api, ask: (key: string) => api.get('/').set('X-API-Key', key) }
  }
  return { clock, inside, keys, stage }
}

/** Answers later than it is asked, as one over a network, and writes down what it is asked and what it answers. */
function overNetwork(told: string[]) {
  const later = async (name: string, ask: () => unknown) => {
    told.push(`${name}?`)
    await new Promise(setImmediate)
    const answer = await ask()
    told.push(`${name}!`)
    return answer as never
  }
  return ({ records, counters }: Ports) => ({
    records: {
      get: (...asked: Parameters<RecordStore['get']>) => later('get', () => records.get(...asked)),
      replace: () => false,
    } as unknown as RecordStore,
    counters: {
      hit: (...asked: Parameters<CounterStore['hit']>) => later('hit', () => counters.hit(...asked)),
    },
  })
}

describe('is counted', () => {
  test('where the keys live, by all who share them, and not by the API', async () => {
    const { keys, stage } = setUp()
    const { key } = await keys.create(LIMITED)
    const [one, other] = [stage({ store: { counters: DOWN } }), stage({ store: { counters: DOWN } })]
    await one.ask(key).expect(200)
    const reply = await other.ask(key).expect(429).expect('Retry-After', '60')
    expect(reply.body).toMatchObject({ code: 'quota-exceeded' })
    expect(other.handled()).toBe(0)
  })

  test('by the API, if the store of the keys does not count', async () => {
    const { keys, stage } = setUp(({ records }) => ({ records }))
    const { key } = await keys.create(LIMITED)
    const store = { counters: memory().counters }
    const [one, other] = [stage({ store }), stage({ store })]
    await one.ask(key).expect(200)
    await other.ask(key).expect(429)
    expect(other.handled()).toBe(0)
  })

  test.each<[string, Parameters<typeof setUp>[0], ServeOptions]>([
    ['of the store of the keys', ({ records }) => ({ records, counters: DOWN }), {}],
    ['of the API', ({ records }) => ({ records }), { store: { counters: DOWN } }],
  ])(
    'nowhere while the counters %s are away: 503, and only for keys with a limit',
    async (_whose, storeOf, options) => {
      const { keys, stage } = setUp(storeOf)
      const [limited, free] = [await keys.create(LIMITED), await keys.create({ owner: 'partner-8' })]
      const { ask, handled } = stage(options)
      for (let i = 0; i < 5; i++) {
        const reply = await ask(limited.key).expect(503).expect('Retry-After', '1')
        expect(reply.body).toMatchObject({ code: 'store-unavailable' })
        expect(reply.headers).not.toHaveProperty('www-authenticate')
      }
      expect(handled()).toBe(0)
      await ask(free.key).expect(200)
    },
  )
})

describe('over a network', () => {
  test('a key that was seen before is read and counted in one round trip', async () => {
    const told: string[] = []
    const { keys, stage } = setUp(overNetwork(told))
    const { key } = await keys.create({ ...LIMITED, limit: { limit: 2, windowMs: MINUTE } })
    const { ask, handled } = stage()
    // Nobody is counted before it is known that he has the secret.
    await ask(key).expect(200)
    expect(told.splice(0)).toEqual(['get?', 'get!', 'hit?', 'hit!'])
    await ask(key).expect(200)
    expect(told.splice(0)).toEqual(['get?', 'hit?', 'get!', 'hit!'])
    await ask(key).expect(429)
    expect(handled()).toBe(2)
  })

  test.each<[string, Parameters<typeof setUp>[0]]>([
    ['that of the process', (store) => ({ records: overNetwork([])(store).records })],
    ['that of the keys', (store) => ({ ...overNetwork([])(store), counters: store.counters })],
  ])(
    'a key whose limit is counted in memory, %s, may make as many requests as it says',
    async (_whose, storeOf) => {
      const { keys, stage } = setUp(storeOf)
      const { key } = await keys.create({ ...LIMITED, limit: { limit: 4, windowMs: MINUTE } })
      const { ask, handled } = stage()
      for (const status of [200, 200, 200, 200, 429, 429]) await ask(key).expect(status)
      expect(handled()).toBe(4)
    },
  )

  test('a key without a limit is read, and that is all', async () => {
    const told: string[] = []
    const { keys, stage } = setUp(overNetwork(told))
    const { key } = await keys.create({ owner: 'partner-7' })
    const { ask } = stage()
    for (let i = 0; i < 2; i++) await ask(key).expect(200)
    expect(told).toEqual(['get?', 'get!', 'get?', 'get!'])
  })

  test('nobody uses up the limit who never had the secret, or has it no longer', async () => {
    const told: string[] = []
    const { keys, stage } = setUp(overNetwork(told))
    const { key, info } = await keys.create({ ...LIMITED, limit: { limit: 3, windowMs: MINUTE } })
    const { ask } = stage()
    await ask(key).expect(200)
    const rotated = await keys.rotate(info.id, { graceMs: 0 })
    for (let i = 0; i < 5; i++) {
      await ask(key).expect(401)
      await ask(newKey('apikey', info.id).key).expect(401)
      await ask(newKey('apikey', newId()).key).expect(401)
    }
    // One, that was asked for before it was known that the secret is old.
    expect(told.filter((one) => one === 'hit!')).toHaveLength(2)
    await ask(rotated!.key).expect(200)
    await ask(rotated!.key).expect(429)
  })

  test('nobody uses up the limit by a key that is over, or from an address that it is not for', async () => {
    const told: string[] = []
    const { keys, stage, clock } = setUp(overNetwork(told))
    const { key } = await keys.create({ ...LIMITED, cidrs: ['192.0.2.0/24'], lifetimeMs: MINUTE })
    const { ask } = stage({ trustProxy: 1 })
    for (let i = 0; i < 3; i++) await ask(key).set('X-Forwarded-For', '198.51.100.1').expect(401)
    expect(told.filter((one) => one.startsWith('hit'))).toEqual([])
    await ask(key).set('X-Forwarded-For', '192.0.2.1').expect(200)
    clock.advance(MINUTE)
    for (let i = 0; i < 3; i++) await ask(key).set('X-Forwarded-For', '192.0.2.1').expect(401)
    expect(told.filter((one) => one === 'hit!')).toHaveLength(1)
  })

  test('a key that was revoked is 401 and not 429, however often it was used', async () => {
    const { keys, stage } = setUp(overNetwork([]))
    const { key, info } = await keys.create(LIMITED)
    const { ask } = stage()
    await ask(key).expect(200)
    await ask(key).expect(429)
    await keys.revoke(info.id)
    await ask(key).expect(401)
  })

  test('a limit that was changed holds from the next request on', async () => {
    const { keys, stage, inside } = setUp(overNetwork([]))
    const { key, info } = await keys.create({ ...LIMITED, limit: { limit: 100, windowMs: MINUTE } })
    const { ask } = stage()
    await ask(key).expect(200)
    const record = JSON.parse((await inside.records.get('api-key', info.id))!) as object
    const changed = { ...record, limit: { limit: 1, windowMs: MINUTE } }
    await inside.records.put('api-key', info.id, JSON.stringify(changed))
    await ask(key).expect(200)
    await ask(key).expect(429)
  })

  test('a rotation in between takes one request, and not two', async () => {
    const { keys, stage } = setUp(overNetwork([]))
    const { key, info } = await keys.create({ ...LIMITED, limit: { limit: 3, windowMs: MINUTE } })
    const { ask } = stage()
    await ask(key).expect(200)
    await keys.rotate(info.id)
    await ask(key).expect(200)
    await ask(key).expect(200)
    await ask(key).expect(429)
  })

  test('it is 503 while the records are away, whatever the counters say', async () => {
    let isAway = false
    const { keys, stage } = setUp((store) => {
      const { records, counters } = overNetwork([])(store)
      const get: RecordStore['get'] = (...asked) =>
        isAway ? Promise.reject(new Error('down')) : records.get(...asked)
      return { records: { ...records, get }, counters }
    })
    const { key } = await keys.create(LIMITED)
    const { ask, handled } = stage()
    await ask(key).expect(200)
    isAway = true
    for (let i = 0; i < 5; i++) await ask(key).expect(503)
    expect(handled()).toBe(1)
  })
})

describe('is found by check to hold in one process only', () => {
  const { records } = setUp(overNetwork([])).inside
  const silent = { records: bound(records) }
  const shared = { ...silent, counters: DOWN }

  function bound(store: RecordStore): RecordStore {
    return { get: store.get.bind(store), replace: store.replace.bind(store) } as RecordStore
  }

  test.each<[string, Store, Store | undefined, boolean]>([
    ['keys in memory', memory(), undefined, false],
    ['keys where they are counted', shared, undefined, false],
    ['keys where they are not, and nowhere else', silent, undefined, true],
    ['keys where they are not, and an API whose store counts', silent, shared, false],
    ['keys where they are not, and an API whose store does not either', silent, silent, true],
    ['keys where they are not, and an API that counts in memory', silent, memory(), true],
    ['keys elsewhere, whose limits are in memory', { ...silent, counters: memory().counters }, shared, true],
  ])('%s', (_what, store, ofApi, isFound) => {
    const api = secureApi({
      auth: [apiKey({ store, pepper })],
      audit: false,
      ...(ofApi !== undefined && { store: ofApi }),
    })
    const app = express()
    app.use(api as never)
    const found = api.check(app as never).filter(({ code }) => code === 'key-limit-per-process')
    expect(found.map(({ severity }) => severity)).toEqual(isFound ? ['medium'] : [])
  })
})
