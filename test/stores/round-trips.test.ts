import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { apiKey } from '../../src/identity/api-key.js'
import { apiKeys } from '../../src/identity/api-keys.js'
import { basic } from '../../src/identity/basic.js'
import { bearer, type BearerOptions } from '../../src/identity/bearer.js'
import { introspection } from '../../src/identity/introspection.js'
import type { MethodMiddleware } from '../../src/identity/method.js'
import { formatHash, makeHash } from '../../src/identity/password-hash.js'
import { revocations } from '../../src/identity/revocation.js'
import { session } from '../../src/identity/session.js'
import { redis } from '../../src/stores/redis.js'
import { asKey, asSession, dpopClient, localIssuer, serve } from '../../src/testing/index.js'
import { PrivateRedis } from '../support/private-redis.js'
import { shiftedClock } from '../support/provider.js'
import { commandsOf } from '../support/redis-commands.js'
import { inRoundTrips } from '../support/round-trips.js'

type RedisStore = ReturnType<typeof redis>
type Fields = Record<string, string>

interface Caller {
  readonly method: MethodMiddleware
  /** What a request brings. */
  readonly fields: () => Fields
  /** Whether the request that is counted is the first of its caller. */
  readonly first?: true
}

const issuer = localIssuer()
const { issuer: iss, audience } = issuer
const pepper = randomBytes(32)
const BASE = 'https://api.test'

const byToken = (more: Partial<BearerOptions> = {}): Caller => {
  const fields = issuer.asUser()
  return { method: bearer({ issuer: iss, audience, ...more }), fields: () => fields }
}
const byProof = (store: RedisStore, more: Partial<BearerOptions> = {}): Caller => {
  const client = dpopClient()
  const token = issuer.mint({ cnf: { jkt: client.jkt } })
  const dpop = { mode: 'required', baseUrls: BASE, store } as const
  return {
    method: bearer({ issuer: iss, audience, dpop, ...more }),
    fields: () => client.fields('GET', `${BASE}/`, token),
  }
}
const byOpaqueToken = (more: object = {}): Caller => ({
  method: introspection({
    ...{
      issuer: iss,
      endpoint: `${iss}/introspect`,
      audience,
      clientId: 'api',
      clientSecret: 'secret of it',
    },
    ...more,
  }),
  fields: () => ({ Authorization: 'Bearer opaque-token' }),
})
const byKey = async (store: RedisStore, limit?: { limit: number; windowMs: number }): Promise<Caller> => {
  const options = { store, pepper }
  const fields = await asKey(apiKeys(options), { owner: 'partner-7', ...(limit && { limit }) })
  return { method: apiKey({ ...options, lastUsedMs: 0 }), fields: () => fields }
}
const bySession = async (store: RedisStore, more: object = {}): Promise<Caller> => {
  const method = session({ store, ...more })
  const fields = { ...(await asSession(method, { subject: 'ann' })) }
  return { method, fields: () => fields }
}
const byPassword = async (store: RedisStore): Promise<Caller> => {
  const hash = formatHash(
    await makeHash('correct horse', { algorithm: 'scrypt', cost: { ln: 14, r: 8, p: 1 } }),
  )
  return {
    method: basic({ users: () => hash, store }),
    fields: () => ({
      Authorization: `Basic ${Buffer.from('ops:correct horse').toString('base64')}`,
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-For': '192.0.2.1',
    }),
  }
}
const LIMIT = { limit: 1_000, windowMs: 60_000 }

/** The table of docs/stores.md: who comes, how many commands that is, and how often the request waits. */
const rows: [
  who: string,
  commands: number,
  trips: number,
  caller: (store: RedisStore) => Caller | Promise<Caller>,
][] = [
  ['token (JWT)', 0, 0, () => byToken()],
  ['token, with `revocation`', 1, 1, (store) => byToken({ revocation: revocations({ store }) })],
  ['opaque token whose answer is known', 0, 0, () => byOpaqueToken()],
  ['the same, with `revocation`', 1, 1, (store) => byOpaqueToken({ revocation: revocations({ store }) })],
  ['token with a DPoP proof', 1, 1, (store) => byProof(store)],
  ['the same, with `revocation`', 2, 2, (store) => byProof(store, { revocation: revocations({ store }) })],
  ['session', 1, 1, (store) => bySession(store)],
  ['session, with `revocation`', 2, 2, (store) => bySession(store, { revocation: revocations({ store }) })],
  ['API key', 1, 1, (store) => byKey(store)],
  ['API key with a `limit`', 2, 1, (store) => byKey(store, LIMIT)],
  [
    'the same, the first time in a process',
    2,
    2,
    async (store) => ({ ...(await byKey(store, LIMIT)), first: true }),
  ],
  ['password (`basic`)', 0, 0, (store) => byPassword(store)],
  [
    'password, the first time in a process',
    5,
    5,
    async (store) => ({ ...(await byPassword(store)), first: true }),
  ],
]

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

const outside = {
  trustProxy: 1,
  storeTimeoutMs: 5_000,
  fetch: async (input: Parameters<typeof fetch>[0], init?: RequestInit) => {
    if (init?.method !== 'POST') return issuer.fetch(input, init)
    const now = Math.floor(Date.now() / 1000)
    return Response.json({ active: true, iss, aud: audience, sub: 'ann', iat: now, exp: now + 300 })
  },
  clock: shiftedClock(),
}

test.each(rows)('%s: %d commands, and the request waits %d times', async (_who, commands, trips, caller) => {
  const watched = inRoundTrips(redis(client))
  const { method, fields, first = false } = await caller(watched.store)
  // Redis is told the scripts, by another caller where the first request is what counts.
  const warm = first ? await caller(watched.store) : { method, fields }
  for (let i = 0; i < 2; i++) await serve(warm.method, outside).get('/').set(warm.fields()).expect(200)

  const { get } = serve(method, outside)
  const before = watched.trips()
  const { sent } = await commandsOf(client, () => get('/').set(fields()).expect(200))
  expect([sent.map(([name]) => name), watched.trips() - before]).toEqual([
    Array(commands).fill('evalsha'),
    trips,
  ])
})

test('the page has this table', () => {
  const page = readFileSync('docs/stores.md', 'utf8').replace(/ +/g, ' ')
  const table = rows.map(([who, commands, trips]) => `| ${who} | ${commands} | ${trips} |\n`).join('')
  expect(page).toContain(table)
})
