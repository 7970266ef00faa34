import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { apiKey, type ApiKeyOptions } from '../../src/identity/api-key.js'
import { apiKeys, type CreateKeyOptions } from '../../src/identity/api-keys.js'
import { newId, newKey } from '../../src/identity/api-key-text.js'
import { auth, type AuthSetting } from '../../src/identity/auth.js'
import { bearer } from '../../src/identity/bearer.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { contextOf } from '../../src/kernel/context.js'
import { memory } from '../../src/kernel/memory.js'
import type { RecordStore } from '../../src/kernel/ports.js'
import { fakeClock, localIssuer, serve, type ServeOptions } from '../../src/testing/index.js'

const pepper = randomBytes(32)
const OFFERED = 'ApiKey realm="api", header="X-API-Key"'
const DAY = 86_400_000
const LIVE: CreateKeyOptions = { owner: 'partner-7', scopes: ['orders:read', 'orders:create'] }

/** A desk and a stage over one store, and everything that the stage asks of it. */
function setUp(options: Partial<ApiKeyOptions> = {}, served: ServeOptions = {}) {
  const clock = fakeClock()
  const store = memory({ clock })
  const asked: string[] = []
  const spied = { ...store, records: spy(store.records, asked) }
  const shared = { pepper, prefix: 'acme' }
  const keys = apiKeys({ ...shared, store, clock })
  const stage = apiKey({ ...shared, store: spied, ...options })
  const events: Record<string, unknown>[] = []
  const seen: IncomingMessage[] = []
  const api = serve(stage, {
    clock,
    ...served,
    handler: (req, res) => {
      seen.push(req)
      res.end('{}')
    },
  })
  api.server.prependListener('request', (req: IncomingMessage) => {
    Object.defineProperty(req, 'security', {
      configurable: true,
      get: () => undefined,
      set(context: { recorder: unknown }) {
        Object.defineProperty(req, 'security', { value: context, writable: true })
        context.recorder = {
          record: (_ctx: unknown, kind: string, facts: object) => void events.push({ kind, ...facts }),
        }
      },
    })
  })
  return {
    ...api,
    clock,
    store,
    keys,
    stage,
    asked,
    events,
    principal: () => contextOf(seen.at(-1)!)!.principal,
  }
}

function spy(records: RecordStore, asked: string[]): RecordStore {
  const names = ['get', 'put', 'replace', 'delete', 'list'] as const
  const entries = names.map((name) => [
    name,
    (...call: unknown[]) => {
      asked.push(`${name} ${String(call[0])}`)
      return (records[name] as (...all: unknown[]) => unknown).apply(records, call)
    },
  ])
  return Object.fromEntries(entries)
}

async function settled() {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate)
}

test('lets in whoever has a key, as its owner, with what the key may do', async () => {
  const { get, keys, principal, clock } = setUp()
  const { key, info } = await keys.create({
    ...LIVE,
    name: 'nightly export',
    roles: ['partner'],
    expiresAt: clock.now() + 90 * DAY,
  })
  await get('/').set('X-API-Key', key).expect(200)
  expect(principal()).toEqual({
    id: 'api-key partner-7',
    subject: 'partner-7',
    method: 'apiKey',
    claims: {
      key_id: info.id,
      key_name: 'nightly export',
      scope: 'orders:read orders:create',
      roles: ['partner'],
    },
    issuedAt: clock.now() / 1000,
    expiresAt: clock.now() / 1000 + (90 * DAY) / 1000,
  })
  expect(Object.isFrozen(principal()!.claims)).toBe(true)
})

describe('refusals', () => {
  const invalid = `${OFFERED}, error="invalid_key", error_description="The API key is not valid"`
  const malformed = `${OFFERED}, error="invalid_key", error_description="The API key is malformed; it may not have been copied as a whole"`
  const good = newKey('acme', newId()).key

  test.each<[string, string | undefined, number, string, string]>([
    ['nothing', undefined, 401, 'unauthenticated', OFFERED],
    ['an empty field', '', 401, 'invalid-api-key', malformed],
    ['some text', 'hunter2', 401, 'invalid-api-key', malformed],
    [
      'a key with a typing error',
      good.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
      401,
      'invalid-api-key',
      malformed,
    ],
    ['a key of somebody else', newKey('other', newId()).key, 401, 'invalid-api-key', malformed],
    ['a scheme before it', `ApiKey ${good}`, 401, 'invalid-api-key', malformed],
    ['a JWT', 'eyJhbGciOiJub25lIn0.e30.', 401, 'invalid-api-key', malformed],
    ['a key that nobody made', good, 401, 'invalid-api-key', invalid],
  ])('%s', async (_what, sent, status, code, challenge) => {
    const { get, handled, asked } = setUp()
    const request = get('/')
    if (sent !== undefined) void request.set('X-API-Key', sent)
    const reply = await request.expect(status).expect('WWW-Authenticate', challenge)
    expect(reply.body).toMatchObject({ code, status })
    expect(reply.headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(handled()).toBe(0)
    // Whoever makes keys up does not reach the store.
    expect(asked).toEqual(challenge === invalid ? ['get api-key'] : [])
  })

  test('the same field twice, even with the same key', async () => {
    const { server, keys, handled } = setUp()
    const { key } = await keys.create(LIVE)
    const reply = await raw(server, ['X-API-Key', key, 'x-api-key', key])
    expect(reply).toMatchObject({ status: 400, code: 'invalid-request' })
    expect(handled()).toBe(0)
  })

  test('a key in the query or a cookie, which is never read (ASVS 14.2.1)', async () => {
    const { get, keys, handled } = setUp()
    const { key } = await keys.create(LIVE)
    await get(`/?api_key=${key}&X-API-Key=${key}`).set('Cookie', `X-API-Key=${key}`).expect(401)
    expect(handled()).toBe(0)
  })

  test('a key in Authorization, unless that is where it belongs', async () => {
    const { get, keys } = setUp()
    const { key } = await keys.create(LIVE)
    await get('/').set('Authorization', `ApiKey ${key}`).expect(401)
  })

  test('the right id with another secret looks the same as an unknown id, and costs the store the same', async () => {
    const { get, keys, asked, handled } = setUp()
    const { info } = await keys.create(LIVE)
    const unknown = await get('/').set('X-API-Key', good).expect(401)
    const wrong = await get('/').set('X-API-Key', newKey('acme', info.id).key).expect(401)
    expect(wrong.body).toEqual(unknown.body)
    expect(wrong.headers['www-authenticate']).toBe(unknown.headers['www-authenticate'])
    expect(asked).toEqual(['get api-key', 'get api-key'])
    expect(handled()).toBe(0)
  })

  type Ending = (set: ReturnType<typeof setUp>, id: string) => Promise<unknown>

  test.each<[string, Partial<CreateKeyOptions>, Ending, string]>([
    [
      'expired',
      { expiresAt: Date.UTC(2030, 0, 2) },
      async ({ clock }) => clock.advance(DAY),
      'api-key-expired',
    ],
    ['was revoked', {}, async ({ keys }, id) => keys.revoke(id), 'api-key-revoked'],
    [
      'was rotated at once',
      {},
      async ({ keys }, id) => keys.rotate(id, { graceMs: 0 }),
      'api-key-superseded',
    ],
    [
      'was rotated a while ago',
      {},
      async ({ keys, clock }, id) => {
        await keys.rotate(id, { graceMs: DAY })
        clock.advance(DAY)
      },
      'api-key-superseded',
    ],
    [
      'may be used from elsewhere only',
      { cidrs: ['192.0.2.0/24', '2001:db8::/32'] },
      async () => undefined,
      'api-key-address',
    ],
  ])('a key that %s looks like an unknown one, and is on record', async (_what, options, ending, kind) => {
    const set = setUp()
    const { key, info } = await set.keys.create({ ...LIVE, ...options })
    await ending(set, info.id)
    const unknown = await set.get('/').set('X-API-Key', good).expect(401)
    const reply = await set.get('/').set('X-API-Key', key).expect(401).expect('WWW-Authenticate', invalid)
    expect(reply.body).toEqual(unknown.body)
    expect(reply.headers).not.toHaveProperty('api-key-expires')
    expect(set.handled()).toBe(0)
    expect(set.events.filter(({ kind: one }) => one !== 'decision')).toEqual([
      { kind, keyId: info.id, owner: 'partner-7' },
    ])
  })

  test('nobody without the secret can put an expired key on record', async () => {
    const { get, keys, events } = setUp()
    const { info } = await keys.create(LIVE)
    await keys.revoke(info.id)
    await get('/').set('X-API-Key', newKey('acme', info.id).key).expect(401)
    expect(events.filter(({ kind }) => kind !== 'decision')).toEqual([])
  })

  test('a key that is good again is let in: revoked means revoked, but a clock that was wrong is mended', async () => {
    const { get, keys, clock } = setUp()
    const { key } = await keys.create({ ...LIVE, expiresAt: clock.now() + DAY })
    clock.jump(2 * DAY)
    await get('/').set('X-API-Key', key).expect(401)
    clock.jump(-2 * DAY)
    await get('/').set('X-API-Key', key).expect(200)
  })
})

async function raw(server: ReturnType<typeof serve>['server'], headers: string[]) {
  const { request } = await import('node:http')
  if (!server.listening) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  try {
    return await new Promise<{ status: number; code: string }>((resolve, reject) => {
      const all = ['Host', `127.0.0.1:${port}`, 'Connection', 'close', ...headers]
      request({ port, host: '127.0.0.1', headers: all as never }, (res) => {
        let text = ''
        res.on('data', (chunk: Buffer) => (text += String(chunk)))
        res.on('end', () => resolve({ status: res.statusCode!, ...(JSON.parse(text) as { code: string }) }))
      })
        .on('error', reject)
        .end()
    })
  } finally {
    server.close()
  }
}

describe('a store that is away', () => {
  test.each([
    ['fails', () => Promise.reject(new Error('down'))],
    ['answers with nonsense', () => 5 as never],
    [
      'throws',
      () => {
        throw new Error('down')
      },
    ],
  ])('and %s is 503, never 401', async (_how, get) => {
    const store = { records: { ...memory().records, replace: () => true, get } as unknown as RecordStore }
    const api = serve(apiKey({ store, pepper, prefix: 'acme' }))
    const { key } = newKey('acme', newId())
    for (let i = 0; i < 5; i++) {
      const reply = await api.get('/').set('X-API-Key', key).expect(503).expect('Retry-After', '1')
      expect(reply.body).toMatchObject({ code: 'store-unavailable' })
      expect(reply.headers).not.toHaveProperty('www-authenticate')
    }
    expect(api.handled()).toBe(0)
    // What needs no store is decided without it.
    await api.get('/').set('X-API-Key', 'nonsense').expect(401)
  })

  test('and hangs is 503 at the deadline', async () => {
    const clock = fakeClock()
    const records = { replace: () => true, get: () => new Promise(() => undefined) }
    const api = serve(apiKey({ store: { records: records as never }, pepper }), { clock })
    const answered = jest.fn()
    const answer = api.get('/').set('X-API-Key', newKey('apikey', newId()).key).expect(503)
    const done = answer.then((reply) => {
      answered()
      return reply
    })
    while (answered.mock.calls.length === 0) {
      clock.advance(40)
      await new Promise(setImmediate)
    }
    expect((await done).body).toMatchObject({ code: 'store-unavailable' })
    expect(api.handled()).toBe(0)
  })

  test.each(['{', '[]', 'null', '{"v":2}', '{"v":1}', '5', ''])(
    'a record that reads %j is 503 too',
    async (text) => {
      const { get, store, keys, handled } = setUp()
      const { key, info } = await keys.create(LIVE)
      await store.records.put('api-key', info.id, text)
      await get('/').set('X-API-Key', key).expect(503)
      expect(handled()).toBe(0)
    },
  )
})

describe('what the store has', () => {
  test('is no key, no secret, and nothing that another id or another pepper could use', async () => {
    const { get, store, keys } = setUp()
    const { key, info } = await keys.create(LIVE)
    const [text] = (await store.records.list('api-key')).values as [string]
    expect(text).not.toContain(key.split('_')[2])
    expect(text).not.toContain(key.split('_')[3])

    // Whoever can write to the store cannot give a known secret to another id.
    const other = await keys.create({ owner: 'victim' })
    const stolen = (JSON.parse(text) as { secrets: unknown }).secrets
    const record = JSON.parse((await store.records.get('api-key', other.info.id))!) as object
    await store.records.put('api-key', other.info.id, JSON.stringify({ ...record, secrets: stolen }))
    const forged = newKey('acme', other.info.id).key.replace(/_[^_]{43}_/, `_${key.split('_')[2]!}_`)
    await get('/').set('X-API-Key', forged).expect(401)
    const api = serve(apiKey({ store, pepper: randomBytes(32), prefix: 'acme' }))
    await api.get('/').set('X-API-Key', key).expect(401)
    expect(info).not.toHaveProperty('hash')
    expect(JSON.stringify(info)).not.toContain('hash')
  })

  test('a million keys are not looked through: one key costs one read', async () => {
    const clock = fakeClock()
    const store = memory({ clock, maxRecords: 1_000_010 })
    for (let i = 0; i < 1_000_000; i++) void store.records.put('api-key', `key${i}`, '{}')
    const asked: string[] = []
    const shared = { pepper, prefix: 'acme' }
    const { key } = await apiKeys({ ...shared, store, clock }).create(LIVE)
    const spied = { ...store, records: spy(store.records, asked) }
    const api = serve(apiKey({ ...shared, store: spied, lastUsedMs: 0 }), { clock })
    await api.get('/').set('X-API-Key', key).expect(200)
    await api.get('/').set('X-API-Key', key).expect(200)
    await api.get('/').set('X-API-Key', newKey('acme', newId()).key).expect(401)
    expect(asked).toEqual(['get api-key', 'get api-key', 'get api-key'])
  })
})

describe('rotation', () => {
  test('both secrets are good until the grace is over, and the old one is told when that is', async () => {
    const { get, keys, clock } = setUp()
    const { key: old, info } = await keys.create(LIVE)
    const rotated = await keys.rotate(info.id, { graceMs: 30 * DAY })
    expect(rotated!.info.id).toBe(info.id)
    const end = new Date(clock.now() + 30 * DAY).toUTCString()
    await get('/').set('X-API-Key', old).expect(200).expect('API-Key-Expires', end)
    const reply = await get('/').set('X-API-Key', rotated!.key).expect(200)
    expect(reply.headers).not.toHaveProperty('api-key-expires')
    clock.advance(30 * DAY)
    await get('/').set('X-API-Key', old).expect(401)
    await get('/').set('X-API-Key', rotated!.key).expect(200)
  })

  test('a third secret ends the first one, whatever grace it had', async () => {
    const { get, keys } = setUp()
    const first = await keys.create(LIVE)
    const second = await keys.rotate(first.info.id, { graceMs: DAY })
    const third = await keys.rotate(first.info.id, { graceMs: DAY })
    await get('/').set('X-API-Key', first.key).expect(401)
    await get('/').set('X-API-Key', second!.key).expect(200)
    await get('/').set('X-API-Key', third!.key).expect(200)
    expect((await keys.get(first.info.id))!.secrets).toHaveLength(2)
  })

  test('a secret that is remembered as verified is not let off by a change of its record', async () => {
    const { get, keys } = setUp()
    const { key, info } = await keys.create(LIVE)
    await get('/').set('X-API-Key', key).expect(200)
    await keys.rotate(info.id, { graceMs: 0 })
    await get('/').set('X-API-Key', key).expect(401)
    await keys.revoke(info.id)
    await get('/').set('X-API-Key', key).expect(401)
  })
})

describe('a key that nears its end', () => {
  test.each([
    [15 * DAY, {}, false],
    [14 * DAY - 1, {}, true],
    [1, {}, true],
    [3 * DAY, { noticeMs: 2 * DAY }, false],
    [1, { noticeMs: 0 }, false],
  ])('with %i ms left and %j: announced %p', async (left, options, announced) => {
    const { get, keys, clock } = setUp(options)
    const expiresAt = clock.now() + left
    const { key } = await keys.create({ ...LIVE, expiresAt })
    const reply = await get('/').set('X-API-Key', key).expect(200)
    expect(reply.headers['api-key-expires']).toBe(announced ? new Date(expiresAt).toUTCString() : undefined)
  })
})

describe('where it may be used from', () => {
  test.each([
    ['127.0.0.0/8', '127.0.0.1', 200],
    ['127.0.0.1/32', '127.0.0.1', 200],
    ['10.0.0.0/8', '127.0.0.1', 401],
    ['10.1.0.0/16', '10.1.255.255', 200],
    ['10.1.0.0/16', '10.2.0.0', 401],
    ['2001:db8::/32', '2001:db8:ffff::1', 200],
    ['2001:db8::/32', '2001:db9::1', 401],
    ['10.1.0.0/16', '::ffff:10.1.2.3', 200],
    ['2001:db8::/32', '10.1.2.3', 401],
    ['10.1.0.0/16', 'unknown', 401],
  ])('%s, from %s: %i', async (cidr, address, status) => {
    const { get, keys } = setUp({}, { trustProxy: 1 })
    const { key } = await keys.create({ ...LIVE, cidrs: ['192.0.2.0/24', cidr] })
    await get('/').set('X-API-Key', key).set('X-Forwarded-For', address).expect(status)
  })

  test('a client cannot choose its address where no proxy is declared', async () => {
    const { get, keys } = setUp()
    const { key } = await keys.create({ ...LIVE, cidrs: ['10.0.0.0/8'] })
    await get('/').set('X-API-Key', key).set('X-Forwarded-For', '10.0.0.1').expect(401)
  })
})

describe('the limit of a key', () => {
  test('counts its requests and no others, and says when to come back', async () => {
    const { get, keys, clock, handled } = setUp()
    const limit = { limit: 2, windowMs: 60_000 }
    const [one, other, free] = [
      await keys.create({ ...LIVE, limit }),
      await keys.create({ ...LIVE, limit }),
      await keys.create(LIVE),
    ]
    const ask = (key: string) => get('/').set('X-API-Key', key)
    await ask(one.key).expect(200)
    await ask(one.key).expect(200)
    const reply = await ask(one.key).expect(429).expect('Retry-After', '60')
    expect(reply.body).toMatchObject({ code: 'quota-exceeded' })
    expect(handled()).toBe(2)
    await ask(other.key).expect(200)
    for (let i = 0; i < 5; i++) await ask(free.key).expect(200)
    clock.advance(60_000)
    await ask(one.key).expect(200)
  })

  test('counts both secrets of a key together', async () => {
    const { get, keys } = setUp()
    const { key, info } = await keys.create({ ...LIVE, limit: { limit: 1, windowMs: 60_000 } })
    const rotated = await keys.rotate(info.id)
    await get('/').set('X-API-Key', key).expect(200)
    await get('/').set('X-API-Key', rotated!.key).expect(429)
  })

  test('is not used up by those who do not have the secret', async () => {
    const { get, keys } = setUp()
    const { key, info } = await keys.create({ ...LIVE, limit: { limit: 1, windowMs: 60_000 } })
    for (let i = 0; i < 5; i++) await get('/').set('X-API-Key', newKey('acme', info.id).key).expect(401)
    await get('/').set('X-API-Key', key).expect(200)
  })
})

describe('the last use', () => {
  test('is noted beside the request, and at most once in a while', async () => {
    const { get, keys, clock, asked } = setUp()
    const { key, info } = await keys.create(LIVE)
    expect(await keys.get(info.id)).not.toHaveProperty('lastUsedAt')
    const first = clock.now()
    for (let i = 0; i < 5; i++) await get('/').set('X-API-Key', key).expect(200)
    await settled()
    expect(asked.filter((call) => call.startsWith('put'))).toEqual(['put api-key-used'])
    expect((await keys.get(info.id))!.lastUsedAt).toBe(first)

    clock.advance(59_999)
    await get('/').set('X-API-Key', key).expect(200)
    await settled()
    expect((await keys.get(info.id))!.lastUsedAt).toBe(first)
    clock.advance(1)
    await get('/').set('X-API-Key', key).expect(200)
    await settled()
    expect((await keys.get(info.id))!.lastUsedAt).toBe(first + 60_000)
  })

  test('is no use if it was refused, and is not noted with 0', async () => {
    const { get, keys, asked } = setUp({ lastUsedMs: 0 })
    const { key, info } = await keys.create(LIVE)
    await get('/').set('X-API-Key', key).expect(200)
    await keys.revoke(info.id)
    await get('/').set('X-API-Key', key).expect(401)
    await settled()
    expect(asked.filter((call) => call.startsWith('put'))).toEqual([])
  })

  test('keeps nobody out if it cannot be noted, and nobody waits for it', async () => {
    const clock = fakeClock()
    const store = memory({ clock })
    const { key } = await apiKeys({ store, pepper, clock }).create(LIVE)
    const { records } = store
    for (const put of [() => Promise.reject(new Error('down')), () => new Promise(() => undefined)]) {
      const spied = { get: records.get.bind(records), replace: () => false, put }
      const api = serve(apiKey({ store: { records: spied as never }, pepper }), { clock })
      await api.get('/').set('X-API-Key', key).expect(200)
    }
  })
})

test('a key moves to the new pepper by being used, and the old one can go', async () => {
  const clock = fakeClock()
  const store = memory({ clock })
  const [old, young] = [randomBytes(32), randomBytes(32)]
  const { key } = await apiKeys({ store, pepper: old, clock }).create(LIVE)
  const idle = await apiKeys({ store, pepper: old, clock }).create(LIVE)

  const between = serve(apiKey({ store, pepper: [young, old] }), { clock })
  await between.get('/').set('X-API-Key', key).expect(200)
  await settled()
  const after = serve(apiKey({ store, pepper: young }), { clock })
  await after.get('/').set('X-API-Key', key).expect(200)
  await after.get('/').set('X-API-Key', idle.key).expect(401)
})

describe('where the key stands', () => {
  test('a field of another name', async () => {
    const { get, keys } = setUp({ header: 'Acme-Key' })
    const { key } = await keys.create(LIVE)
    await get('/').set('acme-key', key).expect(200)
    await get('/')
      .set('X-API-Key', key)
      .expect(401)
      .expect('WWW-Authenticate', 'ApiKey realm="api", header="Acme-Key"')
  })

  test.each(['ApiKey ', 'apikey ', 'APIKEY   '])('Authorization with the scheme %j', async (scheme) => {
    const { get, keys } = setUp({ scheme: 'ApiKey', realm: 'orders' })
    const { key } = await keys.create(LIVE)
    await get('/')
      .set('Authorization', scheme + key)
      .expect(200)
    await get('/').set('X-API-Key', key).expect(401).expect('WWW-Authenticate', 'ApiKey realm="orders"')
  })

  test.each(['ApiKey', 'ApiKey ', 'ApiKeys x', 'Bearer x', 'ApiKey a b'])('%j is no good', async (field) => {
    const { get, handled } = setUp({ scheme: 'ApiKey' })
    const reply = await get('/').set('Authorization', field).expect(401)
    expect(reply.headers['www-authenticate']).toMatch(/^ApiKey realm="api"/)
    expect(handled()).toBe(0)
  })

  test('two Authorization fields are refused', async () => {
    const { server, keys } = setUp({ scheme: 'ApiKey' })
    const { key } = await keys.create(LIVE)
    const fields = ['Authorization', `ApiKey ${key}`, 'authorization', `ApiKey ${key}`]
    expect(await raw(server, fields)).toMatchObject({ status: 400, code: 'invalid-request' })
  })
})

describe('among other methods', () => {
  const issuer = localIssuer()
  const tokens = { issuer: issuer.issuer, audience: issuer.audience, keys: issuer.jwks.keys }

  function both(narrow: object = {}) {
    const clock = fakeClock()
    const store = memory({ clock })
    const keys = apiKeys({ store, pepper, clock })
    const api = serve(auth({ any: [bearer(tokens), apiKey({ store, pepper })], ...narrow }), { clock })
    return { ...api, keys, token: `Bearer ${issuer.mint()}` }
  }

  test('the one that recognises its credential decides, and both are offered', async () => {
    const { get, keys } = both()
    const { key } = await keys.create(LIVE)
    await get('/').set('X-API-Key', key).expect(200)
    await get('/').expect(401).expect('WWW-Authenticate', `Bearer realm="api", ${OFFERED}`)
    await get('/').set('X-API-Key', 'x').expect(401)
  })

  test.each([{}, { methods: ['apiKey'] }, { methods: ['bearer'] }, { optional: true }])(
    'a key and a token in one request are refused, with %j',
    async (narrow) => {
      const { get, keys, token, handled } = both(narrow)
      const { key } = await keys.create(LIVE)
      const reply = await get('/').set('X-API-Key', key).set('Authorization', token).expect(400)
      expect(reply.body).toMatchObject({
        code: 'invalid-request',
        detail: 'Credentials of more than one kind were sent',
      })
      expect(reply.headers['www-authenticate']).toMatch(/error="invalid_request"/)
      expect(handled()).toBe(0)
    },
  )

  describe.each([
    ['Basic', 'Basic dXNlcjpwYXNz'],
    ['an unknown scheme', 'Digest a="b"'],
    ['an empty field', ''],
    ['a token that nobody here takes', 'Bearer a.b.c'],
  ])('a key and, in Authorization, %s, are two credentials', (_what, authorization) => {
    const both = (setting: (key: ReturnType<typeof apiKey>) => AuthSetting) => {
      const clock = fakeClock()
      const store = memory({ clock })
      const keys = apiKeys({ store, pepper, clock })
      return { ...serve(auth(setting(apiKey({ store, pepper }))), { clock }), keys }
    }

    test.each<[string, (key: ReturnType<typeof apiKey>) => AuthSetting]>([
      ['among keys alone', (key) => [key]],
      ['beside tokens', (key) => [bearer(tokens), key]],
      ['where a credential is optional', (key) => ({ any: [key], optional: true })],
      ['where all are asked for', (key) => ({ all: [key] })],
    ])('%s', async (_where, setting) => {
      const { get, keys, handled } = both(setting)
      const { key } = await keys.create(LIVE)
      const reply = await get('/').set('X-API-Key', key).set('Authorization', authorization).expect(400)
      expect(reply.headers['content-type']).toContain('application/problem+json')
      expect(reply.body).toMatchObject({ type: 'urn:secure-api:problem:invalid-request' })
      expect(reply.headers['www-authenticate']).toMatch(/error="invalid_request"/)
      expect(handled()).toBe(0)
    })
  })

  test('a key and a token are one caller where both are asked for', async () => {
    const clock = fakeClock()
    const store = memory({ clock })
    const { key } = await apiKeys({ store, pepper, clock }).create(LIVE)
    const theirs = localIssuer({ clock })
    const method = bearer({ ...tokens, issuer: theirs.issuer, keys: theirs.jwks.keys })
    const { get, handled } = serve(auth({ all: [method, apiKey({ store, pepper })] }), { clock })
    const token = `Bearer ${theirs.mint()}`
    await get('/').set('X-API-Key', key).set('Authorization', token).expect(200)
    await get('/').set('X-API-Key', key).set('Authorization', 'Basic eA==').expect(401)
    expect(handled()).toBe(1)
  })

  test('where it does not count, it is a wrong credential', async () => {
    const { get, keys } = both({ methods: ['bearer'] })
    const { key } = await keys.create(LIVE)
    await get('/').set('X-API-Key', key).expect(401)
  })

  test('where a credential is optional, a bad one is refused all the same', async () => {
    const { get, handled } = both({ optional: true })
    await get('/').expect(200)
    await get('/').set('X-API-Key', 'x').expect(401)
    expect(handled()).toBe(1)
  })

  test('a key that lives longer than a route accepts, or for ever, is refused there', async () => {
    const { get, keys, clock } = both({ maxLifetimeSeconds: 86_400 })
    const short = await keys.create({ ...LIVE, expiresAt: clock.now() + DAY })
    const long = await keys.create({ ...LIVE, expiresAt: clock.now() + 2 * DAY })
    const endless = await keys.create(LIVE)
    await get('/').set('X-API-Key', short.key).expect(200)
    for (const { key } of [long, endless]) {
      const reply = await get('/').set('X-API-Key', key).expect(401)
      expect(reply.headers).not.toHaveProperty('api-key-expires')
    }
  })
})

describe('options', () => {
  const store = memory()

  test.each<[object, string]>([
    [{ pepper }, 'apiKey.store must be made by redis(client), memory() or the like, got undefined'],
    [{ pepper, store: undefined }, 'apiKey.store is undefined; give it a value, or leave the key out'],
    [
      { pepper, store: { counters: store.counters } },
      'apiKey.store has no records, which is needed here; redis(client) and memory() have',
    ],
    [{ store }, "apiKey.pepper must be a string, bytes or a KeyObject of type 'secret', got undefined"],
    [
      { store, pepper: 'short' },
      'apiKey.pepper must have at least 32 bytes, got 5; make one with: openssl rand -base64 48',
    ],
    [
      { store, pepper, prefix: 'A' },
      "apiKey.prefix must be 2 to 31 lower-case letters and digits, which may have single underscores between them, such as 'acme_live', got a string of 1 characters",
    ],
    [
      { store, pepper, header: 'Content-Length' },
      "apiKey.header cannot be Content-Length, which has another meaning; 'X-API-Key' is usual",
    ],
    [
      { store, pepper, header: 'Authorization' },
      "apiKey.header cannot be Authorization, which has another meaning; for Authorization write scheme: 'ApiKey'",
    ],
    [
      { store, pepper, header: 'a b' },
      'apiKey.header must be 2 to 64 letters, digits and hyphens, got a string of 3 characters',
    ],
    [
      { store, pepper, scheme: 'Bearer' },
      "apiKey.scheme cannot be Bearer, which has another meaning; 'ApiKey' is usual",
    ],
    [
      { store, pepper, scheme: 'ApiKey', header: 'X-Key' },
      'apiKey has header and scheme; a key stands in one place, so give one of them',
    ],
    [{ store, pepper, noticeMs: -1 }, 'apiKey.noticeMs must be an integer of at least 0, got -1'],
    [{ store, pepper, lastUsedMs: 0.5 }, 'apiKey.lastUsedMs must be an integer of at least 0, got 0.5'],
    [
      { store, pepper, cacheEntries: '1' },
      'apiKey.cacheEntries must be an integer of at least 0, got a string of 1 characters',
    ],
    [
      { store, pepper, realm: '"' },
      'apiKey.realm must be ASCII text without quotes and backslashes, got a string of 1 characters',
    ],
    [{ store, pepper, prefx: 'a' }, 'apiKey has no option "prefx". Did you mean "prefix"?'],
  ])('refuses %#', (options, message) => {
    expect(() => apiKey(options as ApiKeyOptions)).toThrow(new ConfigError(message))
  })

  test('are described without any secret', () => {
    expect(apiKey({ store, pepper, prefix: 'acme' }).stage.describe!()).toEqual({
      header: 'X-API-Key',
      prefix: 'acme',
      noticeMs: 14 * DAY,
      lastUsedMs: 60_000,
      cacheEntries: 10_000,
      realm: 'api',
    })
  })
})
