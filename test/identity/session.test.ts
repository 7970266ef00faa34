import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:http'
import { bearer } from '../../src/identity/bearer.js'
import { revocations, type Revocation } from '../../src/identity/revocation.js'
import { session, type SessionOptions } from '../../src/identity/session.js'
import { readList, readOwners, readSession } from '../../src/identity/session-record.js'
import type { LoginOptions } from '../../src/identity/session-request.js'
import { ambientProof } from '../../src/kernel/ambient.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { contextOf, SecurityContext } from '../../src/kernel/context.js'
import { memory } from '../../src/kernel/memory.js'
import type { Clock, RecordStore } from '../../src/kernel/ports.js'
import { createServices } from '../../src/kernel/services.js'
import { StoreUnavailable } from '../../src/kernel/store-unavailable.js'
import type { SecureApiOptions } from '../../src/secure-api.js'
import { fakeClock } from '../../src/testing/index.js'
import { testApi } from '../support/api.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const OFFERED = 'Cookie realm="api", cookie-name="__Host-session"'
const INVALID = `${OFFERED}, error="invalid_session", error_description="The session is over, or there never was one; log in"`

type Records = { -readonly [K in keyof RecordStore]: RecordStore[K] }

/** An API whose handlers log in and out, over a store that can be looked into and be broken. */
async function setUp(options: Partial<SessionOptions> = {}, settings: Partial<SecureApiOptions> = {}) {
  const clock = fakeClock()
  const store = memory({ clock })
  const records: Records = {
    get: (...call) => store.records.get(...call),
    put: (...call) => store.records.put(...call),
    replace: (...call) => store.records.replace(...call),
    delete: (...call) => store.records.delete(...call),
    list: (...call) => store.records.list(...call),
  }
  const sessions = session({ store: { records }, clock, ...options })
  let login: LoginOptions = { subject: 'ann', factors: ['pwd'] }
  const handlers: Record<string, (req: IncomingMessage, res: ServerResponse) => Promise<unknown>> = {
    'POST /login': (req, res) => sessions.login(req, res, login),
    'POST /logout': (req, res) => sessions.logout(req, res),
    'POST /rotate': (req, res) => sessions.rotate(req, res, { claims: { roles: ['admin'] } }),
    'POST /otp': (req, res) => sessions.addFactor(req, res, 'otp'),
    'GET /attachment': (req) => sessions.attachment(req),
    'GET /me': (req) => {
      const ctx = contextOf(req)!
      return Promise.resolve({ principal: ctx.principal, proof: ctx.get(ambientProof) })
    },
  }
  const { api, events, as } = testApi({
    clock,
    auth: [sessions],
    routes: { 'POST /login': { public: true }, 'POST /logout': { public: true } },
    ...settings,
  })
  const failed = api.errors()
  let handled = 0
  const server = createServer(
    api.protect((req, res) => {
      handled++
      const handler = handlers[`${req.method} ${req.url}`]!
      handler(req, res).then(
        (value) => res.setHeader('Content-Type', 'application/json').end(JSON.stringify(value ?? null)),
        (error: unknown) => failed(error, req, res, () => undefined),
      )
    }),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(server)
  const { port } = server.address() as AddressInfo

  const send = async (line: string, cookie?: string, more: Record<string, string> = {}) => {
    const [method, path] = line.split(' ') as [string, string]
    const headers = { ...(cookie !== undefined && { cookie }), ...more, origin: `http://127.0.0.1:${port}` }
    const reply = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers })
    const text = await reply.text()
    const set = reply.headers.getSetCookie()
    return {
      status: reply.status,
      headers: reply.headers,
      body: (text === '' ? undefined : JSON.parse(text)) as Record<string, unknown>,
      set,
      cookie: set[0]?.split(';')[0],
    }
  }
  /** Whoever logs in next. */
  const becomes = (who: Partial<LoginOptions>) => {
    login = { subject: 'ann', factors: ['pwd'], ...who }
  }
  const logIn = async (who: Partial<LoginOptions> = {}, cookie?: string) => {
    becomes(who)
    const reply = await send('POST /login', cookie)
    expect(reply.status).toBe(200)
    return reply.cookie!
  }
  return { becomes, api, clock, store, records, sessions, events, as, send, logIn, handled: () => handled }
}

const open: ReturnType<typeof createServer>[] = []
afterEach(() => {
  for (const server of open.splice(0)) server.close().closeAllConnections()
})

/** A new id for a session, by another process with the same store; its cookie. */
async function elsewhere(records: RecordStore, clock: Clock, cookie: string): Promise<string> {
  const set: string[] = []
  const res = {
    headersSent: false,
    getHeader: () => undefined,
    setHeader: (_name: string, value: string[]) => set.push(...value),
  }
  await session({ store: { records }, clock }).rotate(
    { headers: { cookie } } as unknown as IncomingMessage,
    asReply(res),
  )
  return set[0]!.split(';')[0]!
}

const asReply = (parts: object) => parts as unknown as ServerResponse
const nobody = { headers: {} } as unknown as IncomingMessage

async function settled() {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate)
}

describe('a login', () => {
  test('sets a cookie of this host alone, and the store has nothing that could be sent back', async () => {
    const { send, store } = await setUp()
    const { set, headers, body } = await send('POST /login')
    expect(set).toHaveLength(1)
    expect(set[0]).toMatch(/^__Host-session=[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
    expect(headers.get('cache-control')).toContain('no-store')
    const id = set[0]!.slice('__Host-session='.length).split(';')[0]!
    expect(body).toMatchObject({ subject: 'ann', factors: [{ method: 'pwd' }] })
    expect(JSON.stringify(body)).not.toContain(id)
    const kept = ['session', 'session-owner'].map((space) => store.records.list(space))
    expect(JSON.stringify(kept)).toContain(String(body['id']))
    expect(JSON.stringify(kept)).not.toContain(id)
    // Not even under its own name.
    expect(await store.records.get('session', id)).toBeUndefined()
  })

  test('makes a caller, and says by what and when', async () => {
    const { send, logIn, clock } = await setUp()
    const cookie = await logIn({ claims: { roles: ['clerk'] } })
    const seconds = Math.floor(clock.now() / 1000)
    const { body } = await send('GET /me', cookie)
    expect(body['principal']).toEqual({
      id: 'session ann',
      subject: 'ann',
      method: 'session',
      claims: { roles: ['clerk'], session_id: expect.any(String) },
      issuedAt: seconds,
      expiresAt: seconds + 12 * 3_600,
      authentication: { at: seconds, amr: ['pwd'], factors: [{ method: 'pwd', at: seconds }] },
    })
    expect(body['proof']).toEqual({ binding: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/) })
  })

  test('has a name that the application cannot give it', async () => {
    const { send, logIn, sessions } = await setUp()
    const cookie = await logIn({ claims: { session_id: 'mine', roles: ['clerk'] } })
    const [listed] = await sessions.list('ann')
    const { principal } = (await send('GET /me', cookie)).body as { principal: { claims: object } }
    expect(principal.claims).toEqual({ session_id: listed!.id, roles: ['clerk'] })
  })

  test('is read anew when its record has changed under the same id', async () => {
    const { send, logIn, store } = await setUp()
    const cookie = await logIn({ claims: { roles: ['clerk'] } })
    const rolesNow = async () => {
      const { principal } = (await send('GET /me', cookie)).body as { principal: { claims: object } }
      return principal.claims
    }
    expect(await rolesNow()).toMatchObject({ roles: ['clerk'] })
    const key = createHash('sha256').update(cookie.split('=')[1]!).digest('base64url')
    const text = (await store.records.get('session', key))!
    await store.records.put('session', key, text.replace('clerk', 'admin'))
    expect(await rolesNow()).toMatchObject({ roles: ['admin'] })
    await store.records.put('session', key, text)
    expect(await rolesNow()).toMatchObject({ roles: ['clerk'] })
    await store.records.put('session', key, text.replace('"v":1', '"v":2'))
    expect((await send('GET /me', cookie)).status).toBe(503)
    await store.records.delete('session', key)
    expect((await send('GET /me', cookie)).status).toBe(401)
  })

  test('takes no id that it did not make, and ends the session that came with it (ASVS 7.2.4)', async () => {
    const { send, logIn } = await setUp()
    const planted = `__Host-session=${'A'.repeat(43)}`
    const first = await logIn({}, planted)
    expect(first).not.toBe(planted)
    expect((await send('GET /me', planted)).status).toBe(401)
    const second = await logIn({ subject: 'bob' }, first)
    expect((await send('GET /me', first)).status).toBe(401)
    expect((await send('GET /me', second)).body['principal']).toMatchObject({ subject: 'bob' })
  })

  test('never makes the same id twice (ASVS 7.2.3)', async () => {
    const { logIn } = await setUp({ maxSessions: 1_000 })
    const ids = new Set<string>()
    for (let n = 0; n < 50; n++) ids.add(await logIn())
    expect(ids.size).toBe(50)
  })

  test.each<[object, RegExp]>([
    [{}, /login\.subject/],
    [{ subject: '' }, /login\.subject/],
    [{ subject: 'a\nb' }, /login\.subject/],
    [{ subject: 'ann', issuer: 'https://id.example other' }, /login\.issuer must have no space/],
    [{ subject: 'ann', claims: new Map() }, /login\.claims must be an object/],
    [{ subject: 'ann', claims: { a: 'x'.repeat(9_000) } }, /at most 8192 characters/],
    [{ subject: 'ann', factors: ['p w'] }, /login\.factors/],
    [{ subject: 'ann', factors: Array(11).fill('pwd') }, /at most 10/],
    [{ subject: 'ann', authenticatedAt: 1_800_000_000_000 }, /in seconds/],
    [{ subject: 'ann', role: 'admin' }, /no option "role"/],
  ])('%j is refused, and no cookie set', async (login, message) => {
    const { sessions } = await setUp()
    const res = asReply({ setHeader: jest.fn(), headersSent: false })
    const done = sessions.login(nobody, res, login as LoginOptions)
    await expect(done).rejects.toThrow(message)
    await expect(done).rejects.toThrow(ConfigError)
    expect(res.setHeader).not.toHaveBeenCalled()
  })

  test('comes too late when the reply has begun, and then makes no session', async () => {
    const { sessions } = await setUp()
    const res = asReply({ headersSent: true })
    await expect(sessions.login(nobody, res, { subject: 'ann' })).rejects.toThrow('has begun')
    expect(await sessions.list('ann')).toEqual([])
  })
})

describe('refusals', () => {
  const made = `__Host-session=${'B'.repeat(43)}`

  test.each<[string, string | undefined, number, string, string]>([
    ['no cookie', undefined, 401, 'unauthenticated', OFFERED],
    ['another cookie', 'session=x', 401, 'unauthenticated', OFFERED],
    ['a cookie that looks alike', `\u00a0${made}`, 401, 'unauthenticated', OFFERED],
    ['an empty one', '__Host-session=', 401, 'invalid-session', INVALID],
    ['some text', '__Host-session=hunter2', 401, 'invalid-session', INVALID],
    ['a path', '__Host-session=../../../../../../../../etc/passwd/AAAAAAAA', 401, 'invalid-session', INVALID],
    ['a path as long as an id', `__Host-session=../../${'A'.repeat(37)}`, 401, 'invalid-session', INVALID],
    ['an id in quotes', `__Host-session="${'B'.repeat(43)}"`, 401, 'invalid-session', INVALID],
    ['an id that nobody made', made, 401, 'invalid-session', INVALID],
    [
      'two of them',
      `${made}; ${made}`,
      400,
      'invalid-request',
      `${OFFERED}, error="invalid_request", error_description="More than one session cookie was sent"`,
    ],
  ])('%s', async (_what, cookie, status, code, challenge) => {
    const { send, handled } = await setUp()
    const reply = await send('GET /me', cookie)
    expect(reply.body).toMatchObject({ status, code })
    expect(reply.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expect(reply.headers.get('www-authenticate')).toBe(challenge)
    expect(reply.set).toEqual([])
    expect(handled()).toBe(0)
  })

  test('a session that was left alone, to the millisecond (ASVS 7.3.1)', async () => {
    const { send, logIn, clock, handled } = await setUp()
    const cookie = await logIn()
    clock.advance(30 * MINUTE - 1)
    expect((await send('GET /me', cookie)).status).toBe(200)
    await settled()
    clock.advance(30 * MINUTE)
    expect((await send('GET /me', cookie)).body).toMatchObject({ code: 'invalid-session' })
    expect(handled()).toBe(2)
  })

  test('a session that has lasted as long as it may, however much it is used (ASVS 7.3.2)', async () => {
    const { send, logIn, clock } = await setUp({ absoluteTimeoutMs: HOUR })
    let cookie = await logIn()
    for (let minutes = 10; minutes < 60; minutes += 10) {
      clock.advance(10 * MINUTE)
      expect((await send('GET /me', cookie)).status).toBe(200)
      await settled()
    }
    // A new id is no new session.
    cookie = (await send('POST /rotate', cookie)).cookie!
    clock.advance(10 * MINUTE - 1)
    expect((await send('GET /me', cookie)).status).toBe(200)
    clock.advance(1)
    expect((await send('GET /me', cookie)).status).toBe(401)
  })

  test('a session of which the store still knows, but whose time is over by this clock, goes on record', async () => {
    const slow = fakeClock()
    const { store } = { store: memory({ clock: slow }) }
    const { send, logIn, clock, events } = await setUp({ store: { records: store.records } })
    const cookie = await logIn()
    clock.advance(30 * MINUTE)
    expect((await send('GET /me', cookie)).status).toBe(401)
    expect(events.find(({ kind }) => kind === 'session-idle')).toMatchObject({
      facts: { subject: 'session ann', session: expect.any(String) },
    })
    expect(events.find(({ rule }) => rule === 'session-idle')).toMatchObject({
      kind: 'decision',
      status: 401,
    })
  })

  test('a store that is away is 503 and never 401, for requests and for handlers', async () => {
    const { send, logIn, records, handled } = await setUp()
    const cookie = await logIn()
    const before = handled()
    records.get = () => Promise.reject(new Error('secret host is down'))
    const refused = await send('GET /me', cookie)
    expect(refused.body).toMatchObject({ status: 503, code: 'store-unavailable' })
    expect(refused.headers.get('retry-after')).toMatch(/^[0-9]+$/)
    expect(handled()).toBe(before)
    records.put = () => Promise.reject(new Error('secret host is down'))
    for (const line of ['POST /login', 'POST /logout']) {
      const reply = await send(line, cookie)
      expect(reply.body).toMatchObject({ status: 503, code: 'store-unavailable' })
      expect(JSON.stringify(reply.body)).not.toContain('secret')
      expect(reply.set).toEqual([])
    }
  })

  test.each([
    ['{}'],
    ['null'],
    ['[]'],
    ['not json'],
    ['{"v":2}'],
    ['{"v":1,"subject":"admin","factors":[]}'],
    ['{"v":1,"subject":"","expiresAt":null}'],
  ])('what the store has instead of a session, %s, is 503', async (text) => {
    const { send, logIn, records, sessions } = await setUp()
    const cookie = await logIn()
    records.get = () => text
    for (const line of ['GET /me', 'POST /logout', 'GET /attachment'])
      expect((await send(line, cookie)).body).toMatchObject({ status: 503, code: 'store-unavailable' })
    records.get = () => '[{}]'
    await expect(sessions.list('ann')).rejects.toMatchObject({ problem: { status: 503 } })
  })

  const whole = {
    ...{
      v: 1,
      id: 'x',
      subject: 'admin',
      issuer: 'session',
      claims: {},
      factors: [{ method: 'pwd', at: 1 }],
    },
    ...{ authenticatedAt: 1, createdAt: 1, seenAt: 1, expiresAt: 2 },
  }
  test.each<object>([
    { id: undefined },
    { subject: '' },
    { issuer: undefined },
    { claims: [] },
    { factors: [{ method: 'pwd' }] },
    { factors: ['pwd'] },
    { authenticatedAt: '1' },
    { createdAt: null },
    { seenAt: undefined },
    { expiresAt: 'never' },
    { acr: 1 },
    { sid: {} },
    { attached: 'x' },
  ])('a record with %j is none', (change) => {
    expect(readSession(JSON.stringify(whole))).toEqual(whole)
    expect(() => readSession(JSON.stringify({ ...whole, ...change }))).toThrow(StoreUnavailable)
    for (const list of [[1], [{}], [{ key: 'k', id: 'i' }], [null]])
      for (const read of [readList, readOwners])
        expect(() => read(JSON.stringify(list))).toThrow(StoreUnavailable)
  })
})

describe('use', () => {
  test('is written down at most every so often, and keeps the session', async () => {
    const { send, logIn, clock, records, sessions } = await setUp()
    const cookie = await logIn()
    let written = 0
    const { replace } = records
    records.replace = (...call) => (written++, replace(...call))
    for (let n = 0; n < 10; n++) {
      clock.advance(MINUTE / 5)
      await send('GET /me', cookie)
      await settled()
    }
    expect(written).toBe(2)
    expect(await sessions.list('ann')).toMatchObject([{ seenAt: clock.now() }])
  })

  test('keeps the session also where the clock goes back by hours', async () => {
    const { send, logIn, clock } = await setUp()
    const cookie = await logIn()
    clock.jump(-3 * HOUR)
    for (let n = 0; n < 8; n++) {
      clock.advance(10 * MINUTE)
      expect((await send('GET /me', cookie)).status).toBe(200)
      await settled()
    }
    clock.advance(30 * MINUTE)
    expect((await send('GET /me', cookie)).status).toBe(401)
  })

  test('never brings back a session that ended while it was written down', async () => {
    const { send, logIn, clock, records, sessions } = await setUp()
    const cookie = await logIn()
    clock.advance(MINUTE)
    const { replace } = records
    let write: (() => unknown) | undefined
    records.replace = (...call) =>
      call[0] === 'session' ? ((write = () => replace(...call)), true) : replace(...call)
    expect((await send('GET /me', cookie)).status).toBe(200)
    await settled()
    await sessions.revokeAll('ann')
    expect(write!()).toBe(false)
    expect((await send('GET /me', cookie)).status).toBe(401)
  })

  test('that cannot be written down hinders nobody', async () => {
    const { send, logIn, clock, records } = await setUp()
    const cookie = await logIn()
    clock.advance(MINUTE)
    records.replace = () => Promise.reject(new Error('down'))
    expect((await send('GET /me', cookie)).status).toBe(200)
    await settled()
    expect((await send('GET /me', cookie)).status).toBe(200)
  })
})

describe('a new id', () => {
  test('comes with every change of what the subject may do; the one before is over', async () => {
    const { send, logIn } = await setUp()
    const first = await logIn({ claims: { roles: ['clerk'] } })
    const rotated = await send('POST /rotate', first)
    expect(rotated.cookie).toMatch(/^__Host-session=.{43}$/)
    expect(rotated.cookie).not.toBe(first)
    expect((await send('GET /me', first)).body).toMatchObject({ code: 'invalid-session' })
    const { body } = await send('GET /me', rotated.cookie)
    expect(body['principal']).toMatchObject({ claims: { roles: ['admin'] } })
  })

  test('comes with a further factor, which has a time of its own', async () => {
    const { send, logIn, clock } = await setUp()
    const first = await logIn()
    const at = Math.floor(clock.now() / 1000)
    clock.advance(5 * MINUTE)
    const second = (await send('POST /otp', first)).cookie!
    clock.advance(5 * MINUTE)
    const third = (await send('POST /otp', second)).cookie!
    for (const old of [first, second]) expect((await send('GET /me', old)).status).toBe(401)
    const { body } = await send('GET /me', third)
    expect(body['principal']).toMatchObject({
      authentication: {
        at,
        amr: ['pwd', 'otp'],
        factors: [
          { method: 'pwd', at },
          { method: 'otp', at: at + 600 },
        ],
      },
    })
  })

  test('makes no level fresh again that the login reached long ago (ASVS 7.5.3)', async () => {
    const { send, logIn, clock } = await setUp(
      { idleTimeoutMs: 12 * HOUR },
      {
        routes: {
          'POST /login': { public: true },
          'POST /logout': { stepUp: { acr: 'urn:gold', maxAgeSeconds: 300 } },
          'GET /me': { stepUp: { maxAgeSeconds: 300 } },
          'POST /rotate': { stepUp: { amr: 'otp', maxAgeSeconds: 300 } },
        },
      },
    )
    const issuer = 'https://id.example'
    let cookie = await logIn({ issuer, acr: 'urn:gold', factors: ['hwk'] })
    expect((await send('GET /me', cookie)).status).toBe(200)
    clock.advance(5 * HOUR)
    for (const line of ['POST /logout', 'GET /me', 'POST /rotate'])
      expect((await send(line, cookie)).body).toMatchObject({ code: 'insufficient-user-authentication' })
    cookie = (await send('POST /otp', cookie)).cookie!
    const refused = await send('POST /logout', cookie)
    expect(refused.body).toMatchObject({ status: 401, code: 'insufficient-user-authentication' })
    expect(refused.headers.get('www-authenticate')).toContain('acr_values="urn:gold", max_age="300"')
    // The factor itself is fresh, and so is whoever showed it.
    expect((await send('GET /me', cookie)).status).toBe(200)
    cookie = (await send('POST /rotate', cookie)).cookie!
    cookie = await logIn({ issuer, acr: 'urn:gold', factors: ['hwk'] }, cookie)
    expect((await send('POST /logout', cookie)).status).toBe(200)
  })

  test('is for those who have a session', async () => {
    const { sessions } = await setUp()
    const res = asReply({ headersSent: false })
    const refusal = { problem: { status: 401, code: 'invalid-session' } }
    await expect(sessions.rotate(nobody, res)).rejects.toMatchObject(refusal)
    await expect(sessions.addFactor(nobody, res, 'otp')).rejects.toMatchObject(refusal)
    expect(await sessions.attachment(nobody)).toBeUndefined()
  })

  test('is made once of one session, and never of one that was ended meanwhile', async () => {
    const { send, logIn, sessions, records } = await setUp()
    const cookie = await logIn()
    const replies = await Promise.all([1, 2, 3, 4].map(() => send('POST /rotate', cookie)))
    const won = replies.filter(({ status }) => status === 200)
    expect(won).toHaveLength(1)
    expect(await sessions.list('ann')).toHaveLength(1)

    // The list is emptied between the two writes of a rotation.
    const next = won[0]!.cookie!
    const { delete: remove } = records
    records.delete = async (...call) => {
      const removed = await remove(...call)
      records.delete = remove
      await sessions.revokeAll('ann')
      return removed
    }
    const late = await send('POST /rotate', next)
    expect(late.body).toMatchObject({ status: 401, code: 'invalid-session' })
    expect(records.list('session')).toEqual({ values: [] })
  })

  test('keeps what is attached, which only the cookie opens, and which ends with the session', async () => {
    const { send, logIn, store } = await setUp()
    const cookie = await logIn({ attachment: 'id-token-of-ann' })
    const attached = async () => (await store.records.list('session-attachment')).values
    expect(JSON.stringify([await store.records.list('session'), await attached()])).not.toContain('id-token')
    const rotated = (await send('POST /rotate', cookie)).cookie!
    expect((await send('GET /attachment', rotated)).body).toBe('id-token-of-ann')
    expect(await attached()).toHaveLength(1)
    await send('POST /logout', rotated)
    expect(await attached()).toEqual([])
  })
})

describe('a logout', () => {
  test('ends the session and takes the cookie away (ASVS 7.4.1)', async () => {
    const { send, logIn, sessions } = await setUp()
    const [cookie, other] = [await logIn(), await logIn()]
    const reply = await send('POST /logout', cookie)
    expect(reply.set).toEqual(['__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax'])
    expect((await send('GET /me', cookie)).status).toBe(401)
    expect((await send('GET /me', other)).status).toBe(200)
    expect(await sessions.list('ann')).toHaveLength(1)
  })

  test.each(['POST /logout', 'POST /login'])(
    '%s ends the session also while it gets a new id',
    async (line) => {
      const { send, logIn, records, clock } = await setUp()
      const cookie = await logIn()
      const { get } = records
      let rotated: string | undefined
      records.get = async (...call) => {
        if (call[0] === 'session-owner') {
          records.get = get
          rotated = await elsewhere(records, clock, cookie)
        }
        return get(...call)
      }
      expect((await send(line, cookie)).status).toBe(200)
      expect(rotated).toMatch(/^__Host-session=.{43}$/)
      expect((await send('GET /me', rotated)).body).toMatchObject({ status: 401, code: 'invalid-session' })
    },
  )

  test.each(['POST /logout', 'POST /login'])(
    '%s by an id of before ends the session all the same, and such an id opens nothing',
    async (line) => {
      const { send, logIn, sessions, events, clock, store } = await setUp()
      const first = await logIn({ attachment: 'kept' })
      const other = await logIn()
      const second = (await send('POST /rotate', first)).cookie!
      const third = (await send('POST /rotate', second)).cookie!
      for (const cookie of [first, second])
        for (const asked of ['GET /me', 'POST /rotate', 'GET /attachment'])
          expect((await send(asked, cookie)).status).toBe(401)
      const [{ id } = { id: '' }] = await sessions.list('ann')
      const reply = await send(line, first)
      expect(reply.status).toBe(200)
      expect((await send('GET /me', third)).body).toMatchObject({ status: 401, code: 'invalid-session' })
      expect((await send('GET /me', other)).status).toBe(200)
      expect(
        events.filter(({ kind }) => kind === 'session-logout' || kind === 'session-ended'),
      ).toMatchObject([{ facts: { session: id } }])
      // It is over for the other id as well, and none of them is kept for long.
      if (line === 'POST /logout') expect((await send(line, second)).body).toBeNull()
      clock.advance(30 * MINUTE)
      expect((await store.records.list('session-moved')).values).toEqual([])
    },
  )

  test('by an id of before ends nothing that somebody else has, or that the store does not say', async () => {
    const { send, logIn, records } = await setUp()
    const first = await logIn()
    const second = (await send('POST /rotate', first)).cookie!
    const { get } = records
    for (const odd of ['', 'null', '[]', '{}', '{"owner":"session ann"}', '{"owner":1,"id":"x"}']) {
      records.get = (...call) => (call[0] === 'session-moved' ? odd : get(...call))
      expect((await send('POST /logout', first)).body).toMatchObject({
        status: 503,
        code: 'store-unavailable',
      })
    }
    records.get = (...call) =>
      call[0] === 'session-moved' ? JSON.stringify({ owner: 'session eve', id: 'x' }) : get(...call)
    expect((await send('POST /logout', first)).body).toBeNull()
    records.get = get
    expect((await send('GET /me', second)).status).toBe(200)
  })

  test.each(['POST /logout', 'POST /login'])(
    '%s with two cookies is refused, and ends nothing',
    async (line) => {
      const { send, logIn } = await setUp()
      const [first, second] = [await logIn(), await logIn()]
      const reply = await send(line, `${first}; ${second}`)
      expect(reply.body).toMatchObject({ status: 400, code: 'invalid-request' })
      expect(reply.headers.get('www-authenticate')).toContain('error="invalid_request"')
      expect(reply.set).toEqual([])
      for (const cookie of [first, second]) expect((await send('GET /me', cookie)).status).toBe(200)
    },
  )

  test.each([[undefined], ['__Host-session=x'], [`__Host-session=${'C'.repeat(43)}`]])(
    'takes away %j, which is no session, as well',
    async (cookie) => {
      const { send } = await setUp()
      const reply = await send('POST /logout', cookie)
      expect([reply.status, reply.body, reply.set.length]).toEqual([200, null, 1])
    },
  )
})

describe('the sessions of one subject', () => {
  test('end the oldest where they would be too many, and those that are gone do not count', async () => {
    const { send, logIn, clock, events } = await setUp({ maxSessions: 2 })
    const first = await logIn()
    clock.advance(20 * MINUTE)
    const second = await logIn()
    const third = await logIn()
    expect((await send('GET /me', first)).status).toBe(401)
    expect(events.filter(({ kind }) => kind === 'session-ended')).toHaveLength(1)
    // Another subject has a bound of its own.
    await logIn({ subject: 'bob' })
    clock.advance(15 * MINUTE)
    await send('GET /me', third)
    await settled()
    clock.advance(20 * MINUTE)
    const fourth = await logIn()
    const statuses = await Promise.all(
      [second, third, fourth].map(async (one) => (await send('GET /me', one)).status),
    )
    expect(statuses).toEqual([401, 200, 200])
  })

  test('are refused where they would be too many, if that is wished (ASVS 7.1.2)', async () => {
    const { send, logIn, sessions, clock, becomes } = await setUp({ maxSessions: 2, whenFull: 'refuse' })
    const first = await logIn()
    await logIn()
    const refused = await send('POST /login')
    expect(refused.body).toMatchObject({ status: 409, code: 'too-many-sessions' })
    expect(refused.set).toEqual([])
    expect(await sessions.list('ann')).toHaveLength(2)
    // Whoever has one can make another of it, and time makes room. Another subject's goes on where there is no new one.
    const another = await logIn({ subject: 'bob' })
    becomes({})
    expect((await send('POST /login', another)).body).toMatchObject({ status: 409 })
    expect((await send('GET /me', another)).status).toBe(200)
    const next = await logIn({}, first)
    expect((await send('GET /me', first)).status).toBe(401)
    expect((await send('GET /me', next)).status).toBe(200)
    expect(await sessions.list('ann')).toHaveLength(2)
    clock.advance(30 * MINUTE)
    await logIn()
  })

  test('are never more than they may be, also when many begin at once', async () => {
    const { send, sessions, records } = await setUp({ maxSessions: 3 })
    // Everybody waits a little for each answer.
    for (const name of ['get', 'put', 'replace', 'delete'] as const) {
      const own = records[name] as (...call: unknown[]) => unknown
      ;(records as Record<string, unknown>)[name] = async (...call: unknown[]) => (
        await settled(),
        own(...call)
      )
    }
    const replies = await Promise.all(Array.from({ length: 8 }, () => send('POST /login')))
    expect(replies.map(({ status }) => status)).toEqual(Array(8).fill(200))
    expect(await sessions.list('ann')).toHaveLength(3)
    const good = await Promise.all(replies.map(async ({ cookie }) => (await send('GET /me', cookie)).status))
    expect(good.filter((status) => status === 200)).toHaveLength(3)
  })

  test.each(['put', 'replace'] as const)(
    'go on where the store fails to %s a new id or a new one (ASVS 7.2.4)',
    async (method) => {
      const { send, logIn, records } = await setUp()
      const cookie = await logIn({ attachment: 'refresh-token' })
      const own = records[method]
      for (const line of ['POST /rotate', 'POST /otp', 'POST /login']) {
        Object.assign(records, { [method]: () => Promise.reject(new Error('down')) })
        const reply = await send(line, cookie)
        expect(reply.body).toMatchObject({ status: 503, code: 'store-unavailable' })
        expect(reply.set).toEqual([])
        Object.assign(records, { [method]: own })
        expect((await send('GET /me', cookie)).status).toBe(200)
      }
      expect((await send('GET /attachment', cookie)).body).toBe('refresh-token')
    },
  )

  test('are changed in turn in one process, and others are waited for: all are ended, whatever begins meanwhile', async () => {
    const { send, sessions, records, clock } = await setUp()
    const { replace } = records
    // Another process is always a little earlier, for a while.
    let others = 10
    records.replace = async (space, key, expected, ...rest) => {
      await settled()
      if (space === 'session-owner' && expected !== undefined && others-- > 0) {
        await replace(space, key, expected, expected + ' ', HOUR)
        // Who waits, waits by the clock.
        setImmediate(() => clock.advance(100))
        return false
      }
      return replace(space, key, expected, ...rest)
    }
    const logins = Array.from({ length: 40 }, () => send('POST /login'))
    const [ended, ...replies] = await Promise.all([
      settled().then(() => sessions.revokeAll('ann')),
      ...logins,
    ])
    expect(replies.map(({ status }) => status)).toEqual(Array(40).fill(200))
    expect(ended).toEqual(expect.any(Number))
    others = Infinity
    await expect(sessions.revokeAll('ann')).rejects.toMatchObject({
      problem: { status: 503, code: 'store-unavailable' },
    })
    others = 0
    await sessions.revokeAll('ann')
    expect(await sessions.list('ann')).toEqual([])
  })

  test('can be ended also after a clock was ahead of them, and by one that is', async () => {
    const { send, logIn, clock, sessions } = await setUp()
    const cookies = [await logIn({ sid: 's1', issuer: 'https://id.example' }), await logIn()]
    clock.jump(13 * HOUR)
    // A login by the wrong clock writes both lists.
    await logIn({ sid: 's1', issuer: 'https://id.example' })
    await logIn()
    clock.jump(-13 * HOUR)
    for (const cookie of cookies) expect((await send('GET /me', cookie)).status).toBe(200)
    expect(await sessions.revokeSid('https://id.example', 's1')).toBe(2)
    const [one] = await sessions.list('ann')
    clock.jump(25 * HOUR)
    await sessions.revoke('ann', one!.id)
    clock.advance(MINUTE)
    expect(await sessions.revokeAll('ann')).toBe(1)
    clock.jump(-25 * HOUR)
    for (const cookie of cookies) expect((await send('GET /me', cookie)).status).toBe(401)
  })

  test('are listed, and end one by one, all, or all but one (ASVS 7.4.2, 7.4.3, 7.5.2)', async () => {
    const { send, logIn, sessions, clock, events } = await setUp()
    const [one, two, three] = [await logIn(), await logIn(), await logIn()]
    await logIn({ subject: 'bob' })
    const [first, second] = await sessions.list('ann')
    expect(first).toEqual({
      id: expect.any(String),
      subject: 'ann',
      factors: [{ method: 'pwd', at: Math.floor(clock.now() / 1000) }],
      createdAt: clock.now(),
      seenAt: clock.now(),
      expiresAt: clock.now() + 12 * HOUR,
    })
    const statuses = () =>
      Promise.all([one, two, three].map(async (cookie) => (await send('GET /me', cookie)).status))
    // What is another's is not to be ended by its id.
    expect(await sessions.revoke('bob', first!.id)).toBe(false)
    expect(await sessions.revoke('ann', first!.id)).toBe(true)
    expect(await statuses()).toEqual([401, 200, 200])
    expect(await sessions.revokeAll('ann', { except: second!.id })).toBe(1)
    expect(await statuses()).toEqual([401, 200, 401])
    expect(await sessions.revokeAll({ issuer: 'https://id.example', subject: 'ann' })).toBe(0)
    expect(await sessions.revokeAll('ann')).toBe(1)
    expect(await statuses()).toEqual([401, 401, 401])
    expect(await sessions.list('bob')).toHaveLength(1)
    expect(events.map(({ kind }) => kind)).toContain('session-begun')
  })

  test('end with the session of their identity provider, by its name alone', async () => {
    const { send, logIn, sessions } = await setUp()
    const issuer = 'https://id.example'
    const mine = await logIn({ issuer, subject: '7', sid: 's1' })
    const another = await logIn({ issuer, subject: '7', sid: 's2' })
    const rotated = (await send('POST /rotate', mine)).cookie!
    expect(await sessions.revokeSid('https://other.example', 's1')).toBe(0)
    expect(await sessions.revokeSid(issuer, 's9')).toBe(0)
    // In the browser where somebody else logged in before.
    const before = await logIn({ issuer, subject: '6', sid: 's1' })
    expect(await sessions.revokeSid(issuer, 's1')).toBe(2)
    for (const cookie of [rotated, before]) expect((await send('GET /me', cookie)).status).toBe(401)
    const { body } = await send('GET /me', another)
    expect(body['principal']).toMatchObject({ id: `${issuer} 7`, issuer, subject: '7' })
  })
})

test('what was revoked elsewhere is over, whoever does it: a subject up to now, or one session of a provider', async () => {
  const clock = fakeClock()
  const revocation = revocations({ store: memory({ clock }), clock })
  const issuer = 'https://id.example'
  const { send, logIn, clock: own, records } = await setUp({ revocation })
  own.advance(clock.now() - own.now())
  const [ann, first, second] = [
    await logIn(),
    await logIn({ issuer, subject: '7', sid: 's1' }),
    await logIn({ issuer, subject: '7', sid: 's2' }),
  ]
  const statuses = async () =>
    Promise.all([ann, first, second].map(async (one) => (await send('GET /me', one)).status))
  expect(await statuses()).toEqual([200, 200, 200])
  await revocation.revokeSession(issuer, 's1')
  expect(await statuses()).toEqual([200, 401, 200])
  await revocation.revokeSubject('session', 'ann')
  expect(await statuses()).toEqual([401, 401, 200])
  own.advance(1)
  expect((await send('GET /me', await logIn())).status).toBe(200)

  const away = new StoreUnavailable('down', 1, 1_000)
  const { sessions: blind } = await setUp({
    store: { records },
    revocation: { check: () => Promise.reject(away) },
  })
  const req = {
    method: 'GET',
    url: '/me',
    headers: { cookie: second },
    socket: {},
  } as unknown as IncomingMessage
  const ctx = new SecurityContext(req, asReply({}), createServices({ clock: own }))
  expect(await blind.stage.enter(ctx)).toMatchObject({ status: 503, code: 'store-unavailable' })
  expect(ctx.principal).toBeUndefined()
})

test.each<[unknown, number]>([
  [false, 200],
  [undefined, 200],
  [true, 401],
  ['subject-revoked', 401],
  ['perhaps', 500],
  [null, 500],
  [0, 500],
])('a list of somebody else that answers %j means %i', async (answer, status) => {
  const revocation = { check: () => answer as boolean }
  const { send, logIn } = await setUp({ revocation })
  expect((await send('GET /me', await logIn())).status).toBe(status)
})

test('what was revoked elsewhere opens nothing on public routes either, and can be logged out', async () => {
  const store = memory()
  let said: unknown = false
  const revocation = { check: () => Promise.resolve(said) } as Revocation
  const { send, logIn, sessions } = await setUp(
    { store, revocation },
    { routes: { '* /*': { public: true }, 'GET /me': {} } },
  )
  const cookie = await logIn({ attachment: 'refresh-token' })
  expect((await send('GET /attachment', cookie)).body).toBe('refresh-token')
  expect(await sessions.list('ann')).toHaveLength(1)
  said = 7
  for (const line of ['GET /attachment', 'POST /rotate']) expect((await send(line, cookie)).status).toBe(500)
  await expect(sessions.list('ann')).rejects.toThrow('gave no answer')
  for (said of [true, 'session-revoked', 'subject-revoked']) {
    expect((await send('GET /me', cookie)).body).toMatchObject({ code: 'invalid-session' })
    expect((await send('GET /attachment', cookie)).body).toBeNull()
    for (const line of ['POST /rotate', 'POST /otp'])
      expect((await send(line, cookie)).body).toMatchObject({ status: 401, code: 'invalid-session' })
    expect(await sessions.list('ann')).toEqual([])
  }
  expect((await send('POST /logout', cookie)).body).toMatchObject({ subject: 'ann' })
  said = false
  expect((await send('GET /me', cookie)).status).toBe(401)
})

test('events say which session, whose, and what became of it, and never its id', async () => {
  const { send, logIn, events } = await setUp()
  const first = await logIn()
  const second = (await send('POST /rotate', first)).cookie!
  const third = (await send('POST /otp', second)).cookie!
  await send('POST /logout', third)
  const own = events.filter(({ kind }) => String(kind).startsWith('session-'))
  expect(own.map(({ kind }) => kind)).toEqual([
    'session-begun',
    'session-rotated',
    'session-factor',
    'session-logout',
  ])
  const { facts } = own[0] as { facts: { session: string } }
  for (const event of own)
    expect(event).toMatchObject({
      severity: 'info',
      facts: { session: facts.session, subject: 'session ann' },
    })
  for (const cookie of [first, second, third])
    expect(JSON.stringify(events)).not.toContain(cookie.slice('__Host-session='.length))
})

test('a token beside the cookie decides alone', async () => {
  const clock = fakeClock()
  const { issuer } = testApi({ clock })
  const tokens = bearer({ issuer: issuer.issuer, audience: issuer.audience })
  const { send, logIn, as, sessions } = await setUp()
  const own = session({ store: memory({ clock }), clock })
  expect([own.stage.ambient, sessions.stage.methodName]).toEqual([true, 'session'])
  const mixed = await setUp({}, { auth: [tokens, sessions], fetch: issuer.fetch, clock })
  const cookie = await logIn()
  expect((await send('GET /me', cookie)).status).toBe(200)
  expect((await mixed.send('GET /me', cookie, { authorization: 'Bearer x.y.z' })).status).toBe(401)
  const { body } = await mixed.send('GET /me', cookie, { authorization: as({ sub: 'tom' }) })
  expect(body).toMatchObject({ principal: { subject: 'tom', method: 'bearer' } })
  expect(body['proof']).toBeUndefined()
})

describe('over plain HTTP', () => {
  test('only if that is written, and then api.check says so', async () => {
    const { send, api } = await setUp({ dangerouslyAllowHttp: true, name: 'dev' })
    const { set } = await send('POST /login')
    expect(set[0]).toMatch(/^dev=.{43}; Path=\/; HttpOnly; SameSite=Lax$/)
    expect((await send('GET /me', set[0]!.split(';')[0])).status).toBe(200)
    expect(api.check({}).map(({ code, severity }) => [code, severity])).toContainEqual([
      'session-over-http',
      'high',
    ])
    expect((await setUp()).api.check({}).map(({ code }) => code)).not.toContain('session-over-http')
  })
})

test.each<[object, RegExp]>([
  [{}, /session\.store must be made by/],
  [{ store: { counters: { hit: () => [] } } }, /has no records/],
  [{ name: '__Host-session' }, /session\.name .*the prefix __Host- comes by itself/],
  [{ name: 'a;b' }, /session\.name/],
  [{ name: 'csrf' }, /session\.name cannot be 'csrf'/],
  [{ clock: {} }, /session\.clock must have the methods/],
  [{ sameSite: 'Lax' }, /session\.sameSite must be one of/],
  [{ sameSite: 'none', dangerouslyAllowHttp: true }, /cannot be 'none'/],
  [{ idleTimeoutMs: 0 }, /session\.idleTimeoutMs/],
  [{ idleTimeoutMs: HOUR, absoluteTimeoutMs: MINUTE }, /absoluteTimeoutMs must be at least idleTimeoutMs/],
  [{ idleTimeoutMs: MINUTE, touchMs: MINUTE }, /session\.touchMs must be an integer from 0 to 30000/],
  [{ maxSessions: 0 }, /session\.maxSessions/],
  [{ maxSessions: Infinity }, /session\.maxSessions/],
  [{ whenFull: 'forget' }, /session\.whenFull/],
  [{ revocation: undefined }, /session\.revocation is undefined/],
  [{ revocation: {} }, /session\.revocation/],
  [{ realm: 'a"b' }, /session\.realm/],
  [{ secret: 'x' }, /no option "secret"/],
])('does not start with %j', (options, message) => {
  const store = 'store' in options || Object.keys(options).length === 0 ? {} : { store: memory() }
  expect(() => session({ ...store, ...options } as SessionOptions)).toThrow(message)
})
