import express from 'express'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as oauth from 'oauth4webapi'
import request from 'supertest'
import { bearer } from '../../src/identity/bearer.js'
import {
  tokens,
  type IssueOptions,
  type TokenResponse,
  type Tokens,
  type TokensOptions,
} from '../../src/identity/tokens.js'
import { revocations } from '../../src/identity/revocation.js'
import { memory } from '../../src/kernel/memory.js'
import type { RecordStore } from '../../src/kernel/ports.js'
import { secureApi } from '../../src/secure-api.js'
import { expectRefused, fakeClock } from '../../src/testing/index.js'
import { silent } from '../support/api.js'
import { listen } from '../support/raw.js'

const ISSUER = 'https://api.test'
const LOGIN: IssueOptions = {
  subject: 'user-1',
  scope: 'orders:read orders:create',
  claims: { roles: ['clerk'] },
  authentication: { amr: ['pwd', 'otp'], acr: 'high' },
}

/** An API with an issuer of its own, as an application has it, over a store that can go away. */
function setUp(options: Partial<TokensOptions> = {}, login = LOGIN) {
  const clock = fakeClock()
  const events: Record<string, unknown>[] = []
  let away = false
  const inner = memory({ clock })
  const store = { ...inner, records: unless(() => away, inner.records) }
  const own = tokens({ issuer: ISSUER, audience: ISSUER, store, clock, ...options })
  const keep = (event: object): void => void events.push({ ...event })
  const api = secureApi({
    auth: [bearer(own.bearerOptions)],
    audit: { logger: { info: keep, warn: keep, error: keep } },
    rateLimit: false,
    clock,
    log: silent,
    routes: {
      'POST /login': { public: true },
      'POST /token': { public: true },
      'POST /refresh': { public: true },
      'POST /revoke': { public: true },
      'GET /jwks': { public: true },
    },
  })
  const app = express()
  let handled = 0
  app.post('/login', async (req, res) => void res.json(await own.issue(login, req)))
  app.use('/token', own.token)
  app.use('/refresh', own.refresh)
  app.use('/revoke', own.revoke)
  app.use('/jwks', own.jwks)
  app.get('/me', (req, res) => {
    handled++
    res.json(req.security?.principal)
  })
  app.use(api.errors())
  const server = createServer(api.protect(app))
  const to = request(server)
  const me = (token: string) => to.get('/me').set('Authorization', `Bearer ${token}`)
  const refresh = (token: unknown, more = {}) => to.post('/refresh').send({ refresh_token: token, ...more })
  return {
    own,
    clock,
    events,
    store: inner,
    server,
    to,
    me,
    refresh,
    handled: () => handled,
    login: async () => (await to.post('/login').expect(200)).body as Required<TokenResponse>,
    next: async (token: string) => (await refresh(token).expect(200)).body as Required<TokenResponse>,
    goAway: (is = true) => void (away = is),
    kinds: () => events.map(({ kind }) => kind).filter((kind) => String(kind).startsWith('tokens-')),
  }
}

function unless(away: () => boolean, records: RecordStore): RecordStore {
  return new Proxy(records, {
    get(target, name) {
      const method = Reflect.get(target, name) as unknown
      if (typeof method !== 'function') return method
      return (...call: unknown[]) => {
        if (away()) throw new Error('down')
        return (method as (...all: unknown[]) => unknown).apply(target, call)
      }
    },
  })
}

const GRANT = { code: 'invalid-grant', error: 'invalid_grant' }

describe('a refresh while the login is being ended gives no token that outlives it:', () => {
  const ending = (end: (own: Tokens, sid: string) => Promise<void>) => {
    const setting = setUp({
      renew: async ({ sid }) => {
        await end(setting.own, sid)
        // By now a token is dated later than what was ended.
        setting.clock.advance(2_000)
        return {}
      },
    })
    return setting
  }

  test('for the subject, everywhere', async () => {
    const { login, refresh, me, kinds } = ending((own) => own.endSubject('user-1'))
    const { access_token: access, refresh_token: token } = await login()
    await me(access).expect(200)
    expect((await refresh(token).expect(400)).body).toMatchObject(GRANT)
    await me(access).expect(401)
    await refresh(token).expect(400)
    expect(kinds()).not.toContain('tokens-refreshed')
  })

  test('by itself', async () => {
    const { login, refresh, next, me } = ending((own, sid) => own.endSession(sid))
    const first = await login()
    const second = await next(first.refresh_token)
    await me(first.access_token).expect(401)
    await me(second.access_token).expect(401)
    await refresh(second.refresh_token).expect(400)
  })
})

describe('a login', () => {
  test('gets a short access token that says who it is and how it logged in (RFC 9068)', async () => {
    const { login, me, clock, to, handled, events } = setUp()
    const reply = await to.post('/login').expect(200)
    expect(reply.headers['cache-control']).toBe('no-store')
    const { access_token: access, refresh_token: token, ...rest } = (await login()) satisfies TokenResponse
    expect(rest).toEqual({ token_type: 'Bearer', expires_in: 600, scope: 'orders:read orders:create' })
    expect(token).toMatch(/^rt_[\w-]{64}$/)

    const now = clock.now() / 1000
    expect(decodeProtectedHeader(access)).toEqual({
      alg: 'ES256',
      typ: 'at+jwt',
      kid: expect.any(String) as string,
    })
    const claims = decodeJwt(access)
    expect(claims).toEqual({
      iss: ISSUER,
      aud: ISSUER,
      sub: 'user-1',
      client_id: 'first-party',
      iat: now,
      exp: now + 600,
      jti: expect.any(String) as string,
      sid: expect.any(String) as string,
      scope: 'orders:read orders:create',
      roles: ['clerk'],
      auth_time: now,
      acr: 'high',
      amr: ['pwd', 'otp'],
    })
    const { body } = await me(access).expect(200)
    expect(body).toMatchObject({
      id: `${ISSUER} user-1`,
      method: 'bearer',
      authentication: { at: now, acr: 'high', amr: ['pwd', 'otp'] },
    })
    clock.advance(661_000)
    await me(access).expect(expectRefused('invalid-token'))
    expect(handled()).toBe(1)
    expect(events.find(({ kind }) => kind === 'tokens-issued')).toMatchObject({
      severity: 'info',
      facts: { subject: 'user-1', clientId: 'first-party', amr: 'pwd otp', refresh: true },
    })
  })

  test('may go without a refresh token, and then leaves nothing in the store', async () => {
    const { own, me, store } = setUp()
    const { refresh_token: none, access_token: access } = await own.issue({ subject: 'a', refresh: false })
    expect(none).toBeUndefined()
    await me(access).expect(200)
    expect((await store.records.list('refresh-token')).values).toEqual([])
  })

  test('leaves nothing in the store that could be used (ASVS 13.3.1)', async () => {
    const { login, next, store } = setUp()
    const first = await login()
    const second = await next(first.refresh_token)
    const kept = await Promise.all(
      ['refresh-token', 'signing-keys', 'revocation'].map(
        async (space) => (await store.records.list(space)).values,
      ),
    )
    const text = JSON.stringify(kept)
    for (const token of [first.refresh_token, second.refresh_token]) {
      const bytes = Buffer.from(token.slice(3), 'base64url')
      for (const part of [bytes.subarray(0, 16), bytes.subarray(16)])
        for (const form of ['base64url', 'base64', 'hex'] as const)
          expect(text).not.toContain(part.toString(form))
    }
    expect(text).not.toContain('"d"')
  })
})

describe('refreshing', () => {
  test('gives other tokens of the same login, at both endpoints, and says what is said now', async () => {
    const { login, to, me, next, clock, kinds } = setUp({
      renew: ({ subject, claims }) => ({ ...claims, roles: [`${subject}s`] }),
    })
    const first = await login()
    clock.advance(600_000)
    const second = await next(first.refresh_token)
    const [before, after] = [decodeJwt(first.access_token), decodeJwt(second.access_token)]
    expect(after).toMatchObject({
      sid: before.sid,
      auth_time: before.auth_time,
      amr: ['pwd', 'otp'],
      roles: ['user-1s'],
    })
    expect([after.jti, after.iat]).not.toEqual([before.jti, before.iat])
    await me(second.access_token).expect(200)

    clock.advance(600_000)
    const reply = await to
      .post('/token')
      .type('form')
      .send({
        grant_type: 'refresh_token',
        refresh_token: second.refresh_token,
        scope: '',
        client_id: 'first-party',
      })
      .expect(200)
      .expect('Cache-Control', 'no-store')
    expect(reply.body).toMatchObject({
      token_type: 'Bearer',
      expires_in: 600,
      scope: 'orders:read orders:create',
    })
    expect(kinds()).toEqual(['tokens-issued', 'tokens-refreshed', 'tokens-refreshed'])
  })

  test('gives less scope where that is asked for, never more', async () => {
    const { login, refresh, next } = setUp()
    const first = await login()
    const { body } = await refresh(first.refresh_token, { scope: 'orders:read' }).expect(200)
    const narrow = body as Required<TokenResponse>
    expect([narrow.scope, decodeJwt(narrow.access_token).scope]).toEqual(['orders:read', 'orders:read'])
    for (const scope of ['orders:cancel', 'orders:read orders:cancel', 'orders:read  x']) {
      const reply = await refresh(narrow.refresh_token, { scope }).expect(400)
      expect(reply.body).toMatchObject({ code: 'invalid-scope', error: 'invalid_scope' })
    }
    expect((await next(narrow.refresh_token)).scope).toBe('orders:read orders:create')
  })

  test.each([
    ['scope', ['orders:read']],
    ['scope', { 0: 'orders:read' }],
    ['scope', 1],
    ['client_id', ['another']],
    ['client_id', false],
  ])('a %s that is no text (%j) is not taken for one that was left out', async (name, value) => {
    const { login, refresh, next } = setUp()
    const { refresh_token: token } = await login()
    const { body } = await refresh(token, { [name]: value }).expect(400)
    expect(body).toMatchObject({ code: 'invalid-request', error: 'invalid_request' })
    await refresh(token, { scope: null, client_id: null }).expect(200)
    await next(token)
  })

  test('a token that was used before ends the whole login (RFC 9700 section 4.14.2)', async () => {
    const { login, next, refresh, me, clock, events } = setUp()
    const first = await login()
    const second = await next(first.refresh_token)
    const third = await next(second.refresh_token)
    await me(third.access_token).expect(200)

    const reply = await refresh(first.refresh_token).expect(400)
    expect(reply.body).toMatchObject(GRANT)
    expect(reply.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
    })
    await refresh(third.refresh_token).expect(400)
    for (const { access_token: access } of [first, second, third])
      await me(access).expect(expectRefused('invalid-token'))
    expect(events.filter(({ kind }) => kind === 'tokens-reused')).toMatchObject([
      { severity: 'high', facts: { subject: 'user-1' } },
    ])
    // Other logins of the same subject go on.
    const another = await login()
    clock.advance(1_000)
    await next(another.refresh_token)
  })

  test('a client that did not get the answer gets the same again, for a while and until it was used', async () => {
    const { login, next, refresh, clock, kinds, me } = setUp()
    const first = await login()
    const second = await next(first.refresh_token)
    clock.advance(9_999)
    const again = await next(first.refresh_token)
    expect(again.refresh_token).toBe(second.refresh_token)
    expect(decodeJwt(again.access_token).jti).not.toBe(decodeJwt(second.access_token).jti)
    expect(kinds()).toEqual(['tokens-issued', 'tokens-refreshed', 'tokens-repeated'])

    clock.advance(1)
    await refresh(first.refresh_token).expect(400)
    await refresh(second.refresh_token).expect(400)
    await me(again.access_token).expect(401)
  })

  test('without a grace, nothing is given twice', async () => {
    const { login, next, refresh } = setUp({ graceMs: 0 })
    const first = await login()
    const second = await next(first.refresh_token)
    await refresh(first.refresh_token).expect(400)
    await refresh(second.refresh_token).expect(400)
  })

  test('ends when the client stays away too long, and when the login lasts too long (ASVS 10.4.8)', async () => {
    const { login, next, refresh, clock } = setUp({ idleSeconds: 3_600, absoluteSeconds: 7_200 })
    const idle = await login()
    const active = await login()
    clock.advance(3_599_000)
    const second = await next(active.refresh_token)
    clock.advance(1_000)
    await refresh(idle.refresh_token).expect(expectRefused('invalid-grant'))
    clock.advance(3_598_000)
    const third = await next(second.refresh_token)
    clock.advance(2_000)
    await refresh(third.refresh_token).expect(expectRefused('invalid-grant'))
  })

  test('ends where the application says no, and moves nothing where it fails', async () => {
    let answer: unknown = {}
    const { login, refresh, next, me } = setUp({
      renew: () => {
        if (answer instanceof Error) throw answer
        return answer as false
      },
    })
    const first = await login()
    for (const broken of [new Error('no answer'), { sub: 'admin' }, 'roles']) {
      answer = broken
      await refresh(first.refresh_token).expect(500)
    }
    answer = {}
    const second = await next(first.refresh_token)
    answer = false
    await refresh(second.refresh_token).expect(expectRefused('invalid-grant'))
    await me(second.access_token).expect(401)
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['an empty text', ''],
    ['a number', 1],
    ['a list', ['rt_']],
    ['an object', { rt: 1 }],
  ])('%s is no refresh token: invalid_request', async (_what, token) => {
    const { refresh } = setUp()
    const reply = await refresh(token).expect(400)
    expect(reply.body).toMatchObject({ code: 'invalid-request', error: 'invalid_request' })
  })

  test.each([
    ['a made-up one', (token: string) => `rt_${'A'.repeat(token.length - 3)}`],
    ['another case', (token: string) => token.toUpperCase()],
    ['one with more behind it', (token: string) => `${token}A`],
    ['one with a line end', (token: string) => `${token}\n`],
    ['one without its prefix', (token: string) => token.slice(3)],
  ])('%s is unknown, and harms nobody', async (_what, change) => {
    const { login, refresh, next } = setUp()
    const { refresh_token: token } = await login()
    const reply = await refresh(change(token)).expect(400)
    expect(reply.body).toMatchObject(GRANT)
    expect(reply.text).not.toContain(token)
    await next(token)
  })

  test('another client cannot use it, and ends nothing by trying', async () => {
    const { login, refresh, next } = setUp()
    const { refresh_token: token } = await login()
    await refresh(token, { client_id: 'another' }).expect(expectRefused('invalid-grant'))
    await next(token)
  })

  test('the token endpoint takes this grant and no other, as a form (RFC 6749 section 5.2)', async () => {
    const { to, login } = setUp()
    const { refresh_token: token } = await login()
    const form = (fields: object | string) => to.post('/token').type('form').send(fields)
    const wrong = async (fields: object | string, code: string, error: string) =>
      expect((await form(fields).expect(400)).body).toMatchObject({ code, error })
    await wrong(
      { grant_type: 'password', username: 'a', password: 'b' },
      'unsupported-grant-type',
      'unsupported_grant_type',
    )
    await wrong({ refresh_token: token }, 'invalid-request', 'invalid_request')
    await wrong({ grant_type: 'refresh_token' }, 'invalid-request', 'invalid_request')
    await wrong(
      `grant_type=refresh_token&refresh_token=${token}&refresh_token=${token}`,
      'duplicate-parameter',
      'invalid_request',
    )
    const typed = await to
      .post('/token')
      .send({ grant_type: 'refresh_token', refresh_token: token })
      .expect(415)
    expect(typed.body).toMatchObject({ error: 'invalid_request' })
    await to.get('/token').expect(401)
  })
})

describe('revoking', () => {
  test.each(['form', 'json'] as const)('a refresh token ends its login (RFC 7009), as %s', async (type) => {
    const { to, login, next, refresh, me, kinds } = setUp()
    const first = await login()
    const second = await next(first.refresh_token)
    const reply = await to.post('/revoke').type(type).send({ token: second.refresh_token }).expect(200)
    expect(reply.text).toBe('')
    await me(first.access_token).expect(401)
    await me(second.access_token).expect(401)
    await refresh(second.refresh_token).expect(expectRefused('invalid-grant'))
    expect(kinds().at(-1)).toBe('tokens-revoked')
  })

  test('an access token ends it alone', async () => {
    const { to, login, next, me } = setUp()
    const first = await login()
    const second = await next(first.refresh_token)
    await to.post('/revoke').send({ token: first.access_token, token_type_hint: 'access_token' }).expect(200)
    await me(first.access_token).expect(401)
    await me(second.access_token).expect(200)
    await next(second.refresh_token)
  })

  test('says nothing of what it does not know, and believes nothing that is not signed', async () => {
    const { to, login, me } = setUp()
    const { access_token: access } = await login()
    const [head, body] = access.split('.')
    for (const token of [`${head}.${body}.AAAA`, 'rt_unknown', 'x', `${access}x`])
      await to.post('/revoke').send({ token }).expect(200)
    expect((await to.post('/revoke').send({}).expect(400)).body).toMatchObject({ error: 'invalid_request' })
    await me(access).expect(200)
  })

  test('one login, or all of a subject, from the application', async () => {
    const { own, login, me, refresh } = setUp()
    const [one, two] = [await login(), await login()]
    await own.endSession(decodeJwt(one.access_token).sid as string)
    await me(one.access_token).expect(401)
    await refresh(one.refresh_token).expect(expectRefused('invalid-grant'))
    await me(two.access_token).expect(200)

    await own.endSubject('user-1')
    await me(two.access_token).expect(401)
    await refresh(two.refresh_token).expect(expectRefused('invalid-grant'))
  })

  test('who logs in again within the second of having been logged out everywhere is in', async () => {
    const { own, login, me, next, clock } = setUp()
    clock.advance(100)
    const before = await login()
    clock.advance(100)
    await own.endSubject('user-1')
    clock.advance(100)
    const after = await login()
    await me(before.access_token).expect(401)
    await me(after.access_token).expect(200)
    await me((await next(after.refresh_token)).access_token).expect(200)
  })

  test.each([0, 1, 100])(
    'everywhere, again and again within a second, ends the logins in between (%i ms apart)',
    async (ms) => {
      const { own, login, me, next, refresh, clock } = setUp()
      clock.advance(ms)
      await own.endSubject('user-1')
      for (let i = 0; i < 3; i++) {
        clock.advance(ms)
        const between = await login()
        const refreshed = await next(between.refresh_token)
        for (const { access_token: access } of [between, refreshed]) await me(access).expect(200)
        clock.advance(ms)
        await own.endSubject('user-1')
        for (const { access_token: access } of [between, refreshed]) await me(access).expect(401)
        await refresh(refreshed.refresh_token).expect(expectRefused('invalid-grant'))
      }
      clock.advance(1_000)
      const { access_token: later } = await login()
      await me(later).expect(200)
      expect(decodeJwt(later).iat).toBe(Math.floor(clock.now() / 1000))
    },
  )

  test('a login is not dated behind an end that is still to come', async () => {
    const { own, login, me, clock } = setUp()
    await own.revocation.revokeSubject(ISSUER, 'user-1', clock.now() / 1000 + 5)
    await me((await login()).access_token).expect(401)
    clock.advance(6_000)
    await me((await login()).access_token).expect(200)
  })
})

test('a store that is away is 503 everywhere, and a token is as good as before when it is back', async () => {
  const { login, to, refresh, next, me, goAway, clock } = setUp()
  const { refresh_token: token, access_token: access } = await login()
  await me(access).expect(200)
  const printed = jest.spyOn(console, 'error').mockImplementation(() => undefined)
  goAway()
  for (const asked of [to.post('/login'), refresh(token), to.post('/revoke').send({ token }), me(access)]) {
    await asked.expect(expectRefused('store-unavailable')).expect('Retry-After', '1')
  }
  goAway(false)
  printed.mockRestore()
  clock.advance(1_000)
  await me(access).expect(200)
  await next(token)
})

test('a refresh token is that of its issuer, and of no other one over the same store', async () => {
  const clock = fakeClock()
  const store = memory({ clock })
  const issuer = 'https://admin.test'
  const [own, other] = [setUp({ store, clock }), setUp({ store, clock, issuer })]
  const { refresh_token: token } = await own.login()
  expect((await other.refresh(token).expect(400)).body).toMatchObject(GRANT)
  await other.to.post('/revoke').send({ token }).expect(200)
  await own.next(token)
})

test('a login moves on last of all: a store that goes away before or after that costs nobody the login', async () => {
  const clock = fakeClock()
  const inner = memory({ clock })
  let asked = 0
  let lastWords = Infinity
  const store = {
    records: new Proxy(inner.records, {
      get(target, name) {
        const method = Reflect.get(target, name) as unknown
        if (typeof method !== 'function') return method
        return (...call: unknown[]) => {
          if (++asked > lastWords) throw new Error('down')
          return (method as (...all: unknown[]) => unknown).apply(target, call)
        }
      },
    }),
  }
  const {
    login,
    refresh,
    me,
    clock: ofTheApi,
  } = setUp({ store, clock, keyRing: { secret: randomBytes(32) } })
  const printed = jest.spyOn(console, 'error').mockImplementation(() => undefined)
  let { refresh_token: token } = await login()
  const statuses: number[] = []
  for (let words = 0; words < 20 && statuses.at(-1) !== 200; words++) {
    ;[asked, lastWords] = [0, words]
    const reply = await refresh(token)
    statuses.push(reply.status)
    lastWords = Infinity
    // Longer than any grace.
    for (const one of [clock, ofTheApi]) one.advance(61_000)
    if (reply.status !== 200) continue
    const { access_token: access, refresh_token: next } = reply.body as Required<TokenResponse>
    await me(access).expect(200)
    token = next
  }
  printed.mockRestore()
  expect(statuses.slice(0, -1).every((status) => status === 503)).toBe(true)
  expect(statuses.length).toBeGreaterThan(3)
  await refresh(token).expect(200)
})

test.each<[string, (family: Record<string, unknown>) => unknown]>([
  ['no JSON', () => 'x'],
  ['a list', () => []],
  ['another version', (family) => ({ ...family, v: 2 })],
  ['no end', ({ idleAt: _, ...family }) => family],
  ['no beginning', ({ startedAt: _, ...family }) => family],
  ['nobody it belongs to', (family) => ({ ...family, subject: '' })],
  ['no name of the login', ({ sid: _, ...family }) => family],
  ['methods that are none', (family) => ({ ...family, authentication: { at: 1, amr: 'pwd' } })],
  ['factors that are none', (family) => ({ ...family, authentication: { at: 1, amr: [], factors: [{}] } })],
  ['a key that is none', (family) => ({ ...family, jkt: 7 })],
  ['a token before that is none', (family) => ({ ...family, previous: { hash: 'x' } })],
])('a record of a login with %s is 503, to go on with and to end', async (_what, change) => {
  const { login, refresh, to, store, next } = setUp()
  const { refresh_token: token } = await login()
  const [text] = (await store.records.list('refresh-token')).values as [string]
  const handle = Buffer.from(token.slice(3), 'base64url').subarray(0, 16).toString('base64url')
  const changed = change(JSON.parse(text) as Record<string, unknown>)
  const put = (value: string) => store.records.put('refresh-token', `${ISSUER} ${handle}`, value)
  await put(typeof changed === 'string' ? changed : JSON.stringify(changed))
  await refresh(token).expect(expectRefused('store-unavailable'))
  await to.post('/revoke').send({ token }).expect(expectRefused('store-unavailable'))
  await put(text)
  await next(token)
})

test('keys that others write all the time are a store that cannot be reached: 503', async () => {
  const { records } = memory({ clock: fakeClock() })
  const busy = new Proxy(records, {
    get(target, name) {
      if (name === 'replace') return () => false
      const method = Reflect.get(target, name) as unknown
      return typeof method === 'function' ? (method.bind(target) as unknown) : method
    },
  })
  const { to } = setUp({ store: { records: busy }, keyRing: { secret: randomBytes(32) } })
  await to.get('/jwks').expect(expectRefused('store-unavailable'))
  await to.post('/login').expect(expectRefused('store-unavailable'))
})

test('publishes its keys, and nothing private', async () => {
  const { to, login } = setUp()
  const { access_token: access } = await login()
  const reply = await to.get('/jwks').expect(200).expect('Cache-Control', 'public, max-age=300')
  const { kid } = decodeProtectedHeader(access)
  const [x, y] = [expect.any(String), expect.any(String)] as string[]
  expect(reply.body).toEqual({ keys: [{ kty: 'EC', crv: 'P-256', x, y, kid, alg: 'ES256', use: 'sig' }] })
})

describe('signing with keys that were given', () => {
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const ed = generateKeyPairSync('ed25519').privateKey
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

  test.each([
    ['P-256', p256, 'ES256'],
    ['Ed25519', ed, 'EdDSA'],
    ['RSA', rsa, 'RS256'],
    ['RSA for PS256', { ...rsa.export({ format: 'jwk' }), alg: 'PS256', kid: 'mine' }, 'PS256'],
    ['PEM', String(p256.export({ type: 'pkcs8', format: 'pem' })), 'ES256'],
  ])('%s', async (_what, key, alg) => {
    const { login, me } = setUp({ keys: key })
    const { access_token: access } = await login()
    expect(decodeProtectedHeader(access).alg).toBe(alg)
    await me(access).expect(200)
  })

  test('one after another, in the order old, both, both the other way, new, nobody notices', async () => {
    const steps = [[p256], [p256, ed], [ed, p256], [ed]]
    const apis = steps.map((keys) => setUp({ keys }))
    const issued = await Promise.all(apis.map((api) => api.login()))
    // Each step understands the tokens of its neighbours.
    for (const [i, api] of apis.entries()) {
      for (const token of issued.slice(Math.max(i - 1, 0), i + 2))
        await api.me(token.access_token).expect(200)
    }
    await apis[3]!.me(issued[0]!.access_token).expect(401)
    await expect(apis[0]!.own.rotateKeys()).rejects.toThrow('the keys were given')
  })
})

describe('does not start', () => {
  const store = memory()
  const shared = {
    records: { ...store.records, get: () => undefined, replace: () => true } as unknown as RecordStore,
  }
  const good: TokensOptions = { issuer: ISSUER, audience: ISSUER, store }
  const secret = 'a secret that is long enough for it, 0123456789'
  test.each<[string, object, string]>([
    ['without an issuer', { ...good, issuer: undefined }, 'tokens.issuer must be the exact `iss`'],
    ['without an audience', { ...good, audience: [] }, 'tokens.audience must name this API'],
    ['without a store', { ...good, store: undefined }, 'tokens.store is undefined'],
    [
      'with keys in memory and a store that others share',
      { ...good, store: shared },
      'tokens needs keyRing: { secret } or keys',
    ],
    ['with keys from two places', { ...good, keys: [], keyRing: { secret } }, 'tokens has keys and keyRing'],
    ['with no key', { ...good, keys: [] }, 'tokens.keys must be a private key or a list of 1 to 10'],
    [
      'with a public key',
      { ...good, keys: generateKeyPairSync('ed25519').publicKey },
      'tokens.keys must be a private key',
    ],
    [
      'with a weak key',
      { ...good, keys: generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey },
      'tokens.keys must be P-256',
    ],
    [
      'with a shared secret',
      { ...good, keys: { kty: 'oct', k: 'AAAA' } },
      'tokens.keys must be a private key',
    ],
    [
      'with a weak secret',
      { ...good, keyRing: { secret: 'short' } },
      'tokens.keyRing.secret must have at least 32 bytes',
    ],
    [
      'with a secret that is missing',
      { ...good, keyRing: { secret: undefined } },
      'tokens.keyRing.secret is undefined',
    ],
    [
      'with keys that nobody hears of in time',
      { ...good, keyRing: { secret, announceSeconds: 60 } },
      'announceSeconds must be an integer from 600',
    ],
    [
      'with access tokens for a day',
      { ...good, accessSeconds: 86_400 },
      'tokens.accessSeconds must be an integer from 30 to 3600',
    ],
    [
      'with idleness longer than the login',
      { ...good, absoluteSeconds: 60, idleSeconds: 61 },
      'tokens.idleSeconds must be an integer from 60 to 60',
    ],
    [
      'with a grace of minutes',
      { ...good, graceMs: 600_000 },
      'tokens.graceMs must be an integer from 0 to 60000',
    ],
    ['with a renewal that is no function', { ...good, renew: {} }, 'tokens.renew must be a function'],
    [
      'with revocations that are forgotten before the login is over',
      { ...good, revocation: revocations({ store, keepSeconds: 60 }) },
      'tokens.revocation must be made by revocations({ keepSeconds })',
    ],
    [
      'with a list of revocations that cannot say until when',
      { ...good, revocation: { check: () => undefined, keepSeconds: 1e9 } },
      'tokens.revocation must be made by revocations({ keepSeconds })',
    ],
    ['with a slip of the finger', { ...good, acessSeconds: 60 }, 'Did you mean "accessSeconds"?'],
  ])('%s', (_what, options, message) => {
    expect(() => tokens(options as TokensOptions)).toThrow(message)
  })

  test.each<[string, object, string]>([
    ['without a subject', {}, 'issue.subject must be 1 to 255 characters'],
    [
      'with the claims of an issuer',
      { subject: 'a', claims: { sub: 'b' } },
      'issue.claims.sub is said by the issuer itself',
    ],
    ['with a claim that binds', { subject: 'a', claims: { cnf: {} } }, 'issue.claims.cnf'],
    ['with very many claims', { subject: 'a', claims: { x: 'x'.repeat(5_000) } }, 'at most 4096 bytes'],
    ['with odd scopes', { subject: 'a', scope: ['a b'] }, 'issue.scope must name one scope'],
    ['with a login to come', { subject: 'a', authentication: { at: 9e9 } }, 'not to come'],
    [
      'with a login in milliseconds',
      { subject: 'a', authentication: { at: Date.now() } },
      'in seconds since 1970',
    ],
    ['with a login that is none', { subject: 'a', authentication: null }, 'issue.authentication must be'],
    [
      'with a slip of the finger in it',
      { subject: 'a', authentication: { acl: 'high' } },
      'issue.authentication has no option "acl"',
    ],
    [
      'with a method that is no list',
      { subject: 'a', authentication: { amr: 'pwd' } },
      'must be a list of methods',
    ],
    [
      'with more than a token may have',
      { subject: 'a', scope: Array.from({ length: 900 }, (_, i) => `orders:${i}`) },
      'no bearer accepts more than 8192',
    ],
  ])('a login %s', async (_what, options, message) => {
    await expect(tokens(good).issue(options as IssueOptions)).rejects.toThrow(message)
  })
})

test('a client of OAuth refreshes, revokes, and understands what is refused', async () => {
  const { login, server } = setUp()
  const first = await login()
  await listen(server)
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const as = { issuer: ISSUER, token_endpoint: `${ISSUER}/token`, revocation_endpoint: `${ISSUER}/revoke` }
  const client = { client_id: 'first-party' }
  const loopback = {
    [oauth.customFetch]: (url: string, init: object) => fetch(url.replace(ISSUER, origin), init),
  }
  const refreshed = async (token: string) => {
    const reply = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), token, loopback)
    return oauth.processRefreshTokenResponse(as, client, reply)
  }
  try {
    const second = await refreshed(first.refresh_token)
    expect(second).toMatchObject({ token_type: 'bearer', expires_in: 600, scope: LOGIN.scope })
    const reply = await oauth.revocationRequest(as, client, oauth.None(), second.refresh_token!, loopback)
    await oauth.processRevocationResponse(reply)
    await expect(refreshed(second.refresh_token!)).rejects.toMatchObject({
      code: oauth.RESPONSE_BODY_ERROR,
      error: 'invalid_grant',
      status: 400,
    })
  } finally {
    server.close()
    server.closeAllConnections()
  }
})
