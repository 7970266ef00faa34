import express from 'express'
import { Redis } from 'ioredis'
import { randomUUID } from 'node:crypto'
import request from 'supertest'
import { ConfigError } from '../../src/kernel/config-error.js'
import { memory } from '../../src/kernel/memory.js'
import type { Store } from '../../src/kernel/ports.js'
import { secureApi } from '../../src/secure-api.js'
import { redis } from '../../src/stores/redis.js'
import { quota } from '../../src/traffic/quota.js'
import { rateLimit } from '../../src/traffic/rate-limit.js'
import { silent } from '../support/api.js'
import { startProcess } from '../support/processes.js'

const url = process.env['REDIS_URL']!
let client: Redis
beforeAll(() => {
  client = new Redis(url)
})
afterAll(() => client.quit())

const ok = (_req: unknown, res: { json(body: unknown): unknown }): void => void res.json({ ok: true })
const stores: [string, () => Store][] = [
  ['memory', () => memory()],
  ['Redis', () => redis(client, { prefix: randomUUID() })],
]

describe.each(stores)('limits that nobody named count apart, in %s', (_kind, makeStore) => {
  const ask = async (app: express.Express, path: string, times: number) => {
    const statuses: number[] = []
    for (let i = 0; i < times; i++) statuses.push((await request(app).get(path)).status)
    return statuses
  }

  test('alone, with other settings and with the same ones', async () => {
    const services = { store: makeStore(), log: silent, storeTimeoutMs: 10_000 }
    const app = express()
    app.use(rateLimit({ limit: 100 }, services))
    app.get('/login', rateLimit({ limit: 2 }, services), ok)
    app.get('/reset', rateLimit({ limit: 2 }, services), ok)
    app.get('/', ok)
    expect(await ask(app, '/', 3)).toEqual([200, 200, 200])
    expect(await ask(app, '/login', 3)).toEqual([200, 200, 429])
    expect(await ask(app, '/reset', 3)).toEqual([200, 200, 429])
    const reply = await request(app).get('/reset')
    // They are still shown by the short name.
    expect(reply.headers['ratelimit-policy']).toBe('"default";q=100;w=60, "default";q=2;w=60')
    expect(reply.headers['content-type']).toContain('application/problem+json')
    expect(reply.body).toMatchObject({ type: 'urn:secure-api:problem:rate-limited' })
  })

  test('of two APIs, and of their routes', async () => {
    const store = makeStore()
    const served = (limit: number, ofRoute: number) => {
      const api = secureApi({
        auth: false,
        audit: false,
        log: silent,
        store,
        storeTimeoutMs: 10_000,
        rateLimit: { limit },
        routes: { '* /*': { public: true }, 'GET /x': { rateLimit: { limit: ofRoute } } },
      })
      const app = express()
      app.use(api as never)
      return app.use(ok as never)
    }
    const [open, strict, twin] = [served(100, 50), served(3, 1), served(3, 1)]
    expect(await ask(open, '/x', 4)).toEqual([200, 200, 200, 200])
    expect(await ask(strict, '/x', 2)).toEqual([200, 429])
    expect(await ask(twin, '/x', 2)).toEqual([200, 429])
    expect(await ask(twin, '/', 2)).toEqual([200, 429])
  })

  test('behind an API whose store they use', async () => {
    const api = secureApi({
      auth: false,
      audit: false,
      log: silent,
      store: makeStore(),
      storeTimeoutMs: 10_000,
      routes: { '* /*': { public: true } },
    })
    const app = express()
    app.use(api as never)
    app.get('/login', rateLimit({ limit: 2 }) as never, ok)
    app.get('/reset', quota({ limit: 2 }) as never, ok)
    app.get('/', ok)
    await ask(app, '/', 3)
    expect(await ask(app, '/login', 3)).toEqual([200, 200, 429])
    expect(await ask(app, '/reset', 3)).toEqual([200, 200, 429])
  })
})

test('in a shared store, limits of one name are one limit', async () => {
  const services = { store: redis(client, { prefix: randomUUID() }), log: silent, storeTimeoutMs: 10_000 }
  const app = express()
  app.get('/a', rateLimit({ name: 'login', limit: 1 }, services), ok)
  app.get('/b', rateLimit({ name: 'login', limit: 1 }, services), ok)
  await request(app).get('/a').expect(200)
  await request(app).get('/b').expect(429)
})

test('processes of a fleet count together, without a name too', async () => {
  const backend = { kind: 'redis', url, store: redis(client), stop: () => Promise.resolve() }
  const script = `
    const services = { store: require('./dist/stores/redis.cjs').redis(
      new (require('ioredis').Redis)(url), { prefix: args[0] }), storeTimeoutMs: 10_000 }
    const login = secureApi.rateLimit({ limit: 2 }, services)
    const reset = secureApi.rateLimit({ limit: 2 }, services)
    listen((req, res) => (req.url === '/login' ? login : reset)(req, res, () => res.end('{}')))
  `
  const prefix = randomUUID()
  const fleet = await Promise.all([1, 2].map(() => startProcess(backend, script, prefix)))
  const ask = async (process: number, path: string) =>
    (await fetch(`${fleet[process]!.origin}${path}`)).status
  try {
    expect([await ask(0, '/login'), await ask(1, '/login')]).toEqual([200, 200])
    expect([await ask(0, '/login'), await ask(1, '/login')]).toEqual([429, 429])
    expect([await ask(1, '/reset'), await ask(0, '/reset'), await ask(1, '/reset')]).toEqual([200, 200, 429])
  } finally {
    for (const one of fleet) await one.stop()
  }
})

test('whoever makes limits without end is told so, and not left without one', () => {
  const shared = globalThis as Record<symbol, unknown>
  const numbers = Symbol.for('secure-api.unnamed-limits')
  const before = shared[numbers]
  shared[numbers] = { count: 100_000, made: new Map() }
  try {
    expect(() => rateLimit({ limit: 5 })).toThrow(ConfigError)
    expect(() => rateLimit({ limit: 5 })).toThrow(/Make each limit once, at start/)
    expect(() => rateLimit({ name: 'login', limit: 5 })).not.toThrow()
  } finally {
    shared[numbers] = before
  }
})
