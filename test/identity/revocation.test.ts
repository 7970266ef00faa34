import express from 'express'
import request from 'supertest'
import { auth } from '../../src/identity/auth.js'
import { bearer } from '../../src/identity/bearer.js'
import { faults } from '../../src/identity/faults.js'
import { introspection } from '../../src/identity/introspection.js'
import { revocations, type Revocation, type RevocationsOptions } from '../../src/identity/revocation.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { memory } from '../../src/kernel/memory.js'
import type { RecordStore, Store } from '../../src/kernel/ports.js'
import { createServices } from '../../src/kernel/services.js'
import { testApi } from '../support/api.js'
import { expectRefused, fakeClock, localIssuer, serve } from '../../src/testing/index.js'

const ISSUER = 'https://issuer.test'
const OTHER = 'https://other.test'

/** A store that counts what it is asked, and that can go away. */
function setUp(options: Partial<RevocationsOptions> = {}) {
  const clock = fakeClock()
  const inner = memory({ clock }).records
  const asked: string[] = []
  let state: 'up' | 'down' | 'hanging' = 'up'
  const told = <T>(what: string, answer: () => T): T => {
    asked.push(what)
    if (state === 'down') throw new Error('down')
    return state === 'hanging' ? (new Promise(() => undefined) as T) : answer()
  }
  const records: RecordStore = {
    get: (...call) => told('get', () => inner.get(...call)),
    getMany: (...call) => told('getMany', () => inner.getMany!(...call)),
    put: (...call) => told('put', () => inner.put(...call)),
    replace: (...call) => told('replace', () => inner.replace(...call)),
    delete: (...call) => told('delete', () => inner.delete(...call)),
    list: (...call) => told('list', () => inner.list(...call)),
  }
  const store: Store = { records }
  const revocation = revocations({ store, clock, ...options })
  const issuer = localIssuer({ clock })
  const fetch = (async (url: string, init: RequestInit) => {
    if (!url.endsWith('/introspect')) return issuer.fetch(url, init)
    const now = Math.floor(clock.now() / 1000)
    return Response.json({
      active: true,
      aud: issuer.audience,
      sub: 'user-1',
      jti: new URLSearchParams(init.body as string).get('token'),
      sid: 'session-1',
      iat: now,
      exp: now + 300,
    })
  }) as typeof globalThis.fetch
  const shared = { issuer: ISSUER, audience: issuer.audience, revocation }
  const api = serve(
    auth([
      bearer(shared),
      introspection({ ...shared, endpoint: `${ISSUER}/introspect`, clientId: 'api', clientSecret: 'pass' }),
    ]),
    { clock, fetch },
  )
  const send = (token: string) => api.get('/').set('Authorization', `Bearer ${token}`)
  const refused = async (token: string, rule: keyof typeof faults) => {
    const before = api.handled()
    const reply = await send(token).expect(expectRefused('invalid-token'))
    expect(reply.body).toMatchObject({ detail: faults[rule] })
    expect(reply.headers['www-authenticate']).toContain('error="invalid_token"')
    expect(api.handled()).toBe(before)
  }
  return {
    ...api,
    clock,
    store,
    revocation,
    asked,
    issuer,
    send,
    refused,
    becomes: (next: typeof state) => void (state = next),
  }
}

test('asks once for each token, whatever there is to be revoked about it', async () => {
  const { issuer, send, asked } = setUp()
  const token = issuer.mint({ sid: 'session-1' })
  for (let i = 0; i < 3; i++) await send(token).expect(200)
  expect(asked).toEqual(['getMany', 'getMany', 'getMany'])
})

test('ends one token, at once and for those who verified it before (ASVS 7.4.1)', async () => {
  const { issuer, send, refused, revocation, clock } = setUp()
  const now = Math.floor(clock.now() / 1000)
  const [token, another] = [issuer.mint({ jti: 'one' }), issuer.mint({ jti: 'two' })]
  await send(token).expect(200)
  await send(token).expect(200)
  await revocation.revokeToken(ISSUER, 'one', now + 300)
  await refused(token, 'token-revoked')
  await send(another).expect(200)
  // Until the token is dead on every clock that is allowed to differ.
  clock.advance(359_000)
  await refused(token, 'token-revoked')
  clock.advance(2_000)
  await refused(token, 'token-expired')
})

test('ends all tokens of a session, and those of no other', async () => {
  const { issuer, send, refused, revocation } = setUp()
  await revocation.revokeSession(ISSUER, 'session-1')
  await refused(issuer.mint({ sid: 'session-1' }), 'session-revoked')
  await refused(issuer.mint({ sid: 'session-1', jti: undefined }), 'session-revoked')
  await send(issuer.mint({ sid: 'session-2' })).expect(200)
  await send(issuer.mint({ jti: 'session-1' })).expect(200)
})

test('logs a subject out everywhere, and lets it in again (ASVS 7.4.3)', async () => {
  const { issuer, send, refused, revocation, clock } = setUp()
  const before = issuer.mint()
  clock.advance(10_500)
  const sameSecond = issuer.mint()
  await revocation.revokeSubject(ISSUER, 'user-1')
  await refused(before, 'subject-revoked')
  await refused(sameSecond, 'subject-revoked')
  await send(issuer.mint({ sub: 'user-2' })).expect(200)
  await send(issuer.mint({ iat: clock.now() / 1000 + 0.001 })).expect(200)
  clock.advance(500)
  const after = issuer.mint()
  await send(after).expect(200)
  // An older word does not undo a newer one.
  await revocation.revokeSubject(ISSUER, 'user-1', 1)
  await refused(before, 'subject-revoked')
  await send(after).expect(200)
})

test('a second time covers what was issued right behind the first one, and an hour later nothing is left of that', async () => {
  const { revocation, clock } = setUp()
  const isOver = async (issuedAt: number) =>
    (await revocation.check({ issuer: ISSUER, subject: 'a', jti: undefined, sid: undefined, issuedAt })) !==
    undefined
  expect(await revocation.revokedUntil(ISSUER, 'a')).toBeUndefined()
  await revocation.revokeSubject(ISSUER, 'a')
  const first = (await revocation.revokedUntil(ISSUER, 'a'))!
  expect(first).toBe(clock.now() / 1000)
  const behind = first + 0.001
  expect([await isOver(first), await isOver(behind)]).toEqual([true, false])
  await revocation.revokeSubject(ISSUER, 'a')
  expect(await isOver(behind)).toBe(true)
  expect(await isOver(behind + 0.001)).toBe(false)
  clock.advance(3_600_000)
  await revocation.revokeSubject(ISSUER, 'a')
  expect(await revocation.revokedUntil(ISSUER, 'a')).toBe(clock.now() / 1000)
  expect(await revocation.revokedUntil(ISSUER, 'b')).toBeUndefined()
})

test('a subject to which others write all the time is a store that cannot be reached, which a handler answers 503', async () => {
  const clock = fakeClock()
  const { records } = memory({ clock })
  let asked = 0
  const busy = new Proxy(records, {
    get: (target, name) => {
      if (name === 'replace') return () => (asked++, false)
      const method = Reflect.get(target, name) as unknown
      return typeof method === 'function' ? (method.bind(target) as unknown) : method
    },
  })
  const revocation = revocations({ store: { records: busy }, clock })
  await expect(revocation.revokeSubject(ISSUER, 'a')).rejects.toMatchObject({ name: 'StoreUnavailable' })
  expect(asked).toBeGreaterThan(1)
  expect(asked).toBeLessThan(100)

  const { api } = testApi()
  const app = express()
  app.get('/', () => revocation.revokeSubject(ISSUER, 'a'))
  app.use(api.errors())
  const reply = await request(app).get('/').expect(503)
  expect([reply.headers['retry-after'], (reply.body as { code: string }).code]).toEqual([
    '1',
    'store-unavailable',
  ])
})

test('those who revoke one subject at once need no second try: whoever is first did it for all', async () => {
  const { revocation, asked } = setUp()
  await Promise.all(Array.from({ length: 50 }, () => revocation.revokeSubject(ISSUER, 'a')))
  expect(asked.filter((what) => what === 'replace').length).toBeLessThanOrEqual(50)
})

test('no issuer can revoke what is another one\u2019s (ASVS 6.8.1)', async () => {
  const { issuer, send, revocation, clock } = setUp()
  const until = clock.now() / 1000 + 300
  await revocation.revokeToken(OTHER, 'one', until)
  await revocation.revokeSession(OTHER, 'session-1')
  await revocation.revokeSubject(OTHER, 'user-1')
  await revocation.revokeSubject(ISSUER, 'user-1 x')
  await send(issuer.mint({ jti: 'one', sid: 'session-1' })).expect(200)
  await expect(revocation.revokeToken(`${ISSUER} x`, 'one', until)).rejects.toThrow(ConfigError)
})

test('holds for opaque tokens too, also while their answer is remembered', async () => {
  const { send, refused, revocation, clock } = setUp()
  await send('opaque-1').expect(200)
  await revocation.revokeToken(ISSUER, 'opaque-1', clock.now() / 1000 + 300)
  await refused('opaque-1', 'token-revoked')
  await send('opaque-2').expect(200)
  await revocation.revokeSubject(ISSUER, 'user-1')
  await refused('opaque-2', 'subject-revoked')
})

test.each(['down', 'hanging'] as const)(
  'a store that is %s is 503, never a wrong 401 or 200',
  async (state) => {
    const { issuer, clock, becomes, asked, handled, send } = setUp()
    const token = issuer.mint()
    await send(token).expect(200)
    becomes(state)
    for (let i = 0; i < 4; i++) {
      const before = asked.length
      const reply = send(token).then((it) => it)
      // What hangs does so until its deadline.
      while (state === 'hanging' && i < 3 && asked.length === before) await new Promise(setImmediate)
      clock.advance(50)
      const { status, headers, body } = await reply
      expect([status, headers['retry-after'], (body as { code: string }).code]).toEqual([
        503,
        '1',
        'store-unavailable',
      ])
    }
    expect(handled()).toBe(1)
    becomes('up')
    clock.advance(1_000)
    await send(token).expect(200)
  },
)

test('a moment that cannot be read is 503', async () => {
  const { issuer, store, send, revocation, refused } = setUp()
  for (const text of ['', 'soon', 'NaN']) {
    await store.records!.put('revocation', `subject ${ISSUER} user-1`, text)
    await send(issuer.mint()).expect(503)
    await expect(revocation.revokedUntil(ISSUER, 'user-1')).rejects.toMatchObject({
      name: 'StoreUnavailable',
    })
  }
  // To end everything up to now needs no word of before.
  await revocation.revokeSubject(ISSUER, 'user-1')
  await refused(issuer.mint(), 'subject-revoked')
})

test('a list of one\u2019s own decides, and one that gives no answer lets nobody in', async () => {
  const clock = fakeClock()
  const issuer = localIssuer({ clock })
  const answers: unknown[] = [undefined, false, Promise.resolve('session-revoked'), true, null, 'maybe', 0]
  const revocation = { check: () => answers.shift() } as unknown as Revocation
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const { get, handled } = serve(bearer({ issuer: ISSUER, audience: issuer.audience, revocation }), {
    clock,
    fetch: issuer.fetch,
    log,
  })
  const statuses: number[] = []
  while (answers.length > 0) {
    statuses.push((await get('/').set('Authorization', `Bearer ${issuer.mint()}`)).status)
  }
  expect(statuses).toEqual([200, 200, 401, 401, 500, 500, 500])
  expect(handled()).toBe(2)
})

test('works over stores that cannot answer for several keys at once', async () => {
  const clock = fakeClock()
  const { records } = memory({ clock })
  const plain: RecordStore = {
    get: (space, key) => Promise.resolve(records.get(space, key)),
    put: (...call) => records.put(...call),
    replace: (...call) => records.replace(...call),
    delete: (...call) => records.delete(...call),
    list: (...call) => records.list(...call),
  }
  const revocation = revocations({ store: { records: plain }, clock })
  const credential = { issuer: ISSUER, subject: 'a', jti: 'b', sid: 'c', issuedAt: clock.now() / 1000 }
  expect(await revocation.check(credential, createServices({ clock }))).toBeUndefined()
  await revocation.revokeSession(ISSUER, 'c')
  expect(await revocation.check(credential, createServices({ clock }))).toBe('session-revoked')
})

test.each<[string, object, string]>([
  ['no store', {}, 'revocations.store must be made by redis(client), memory() or the like, got undefined'],
  ['a store without records', { store: { counters: memory().counters } }, 'revocations.store has no records'],
  ['a time in which nobody logs out', { store: memory(), keepSeconds: 1 }, 'from 60 to'],
  ['an option that does not exist', { store: memory(), ttl: 1 }, 'revocations has no option "ttl"'],
])('does not start with %s', (_what, options, message) => {
  expect(() => revocations(options as RevocationsOptions)).toThrow(message)
})

test('refuses moments in milliseconds, and lists that are none', async () => {
  const { revocation, clock } = setUp()
  await expect(revocation.revokeToken(ISSUER, 'one', clock.now())).rejects.toThrow('in seconds since 1970')
  await expect(revocation.revokeSubject(ISSUER, '')).rejects.toThrow(
    'subject must be a text, got an empty string',
  )
  const shared = { issuer: ISSUER, audience: 'https://api.test' }
  expect(() => bearer({ ...shared, revocation: memory() as never })).toThrow(
    'bearer.revocation must be made by',
  )
  expect(() => bearer({ ...shared, revocation: undefined as never })).toThrow(
    'bearer.revocation is undefined',
  )
})
