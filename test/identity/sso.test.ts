import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { inspect } from 'node:util'
import { session } from '../../src/identity/session.js'
import { sso, type SsoOptions } from '../../src/identity/sso.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { memory } from '../../src/kernel/memory.js'
import type { Store } from '../../src/kernel/ports.js'
import { StoreUnavailable } from '../../src/kernel/store-unavailable.js'
import { localIssuer, serve, type MintOptions } from '../../src/testing/index.js'
import { testApi } from '../support/api.js'
import { beginLogin, callback, localLogins, SHOP } from '../support/local-logins.js'
import { until } from '../support/private-redis.js'
import { shiftedClock } from '../support/provider.js'

const { issuer } = localLogins()
const EVENTS = { 'http://schemas.openid.net/event/backchannel-logout': {} }
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const seconds = () => Math.floor(Date.now() / 1000)

function own(options: Partial<SsoOptions> = {}): SsoOptions {
  const store = memory()
  return {
    ...SHOP,
    issuer: issuer.issuer,
    sessions: session({ store }),
    store,
    ...options,
  }
}

/** An application whose provider answers as it is told to. */
function setUp(options: Partial<SsoOptions> = {}, metadata: Record<string, unknown> = {}) {
  const store: Store = options.store ?? memory()
  const sessions = session({ store })
  const login = sso(own({ sessions, store, ...options }))
  const { fetch: answered, give } = localLogins({ issuer, metadata })
  const asked: { url: string; body: string; authorization: string | null }[] = []
  const clock = shiftedClock()
  const logged: unknown[] = []
  const note = (...said: unknown[]): void => void logged.push(said)
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const url = input instanceof Request ? input.url : String(input)
    const body = typeof init?.body === 'string' ? init.body : ''
    asked.push({ url, body, authorization: new Headers(init?.headers).get('authorization') })
    return answered(input, init)
  }
  const { api, events } = testApi({
    clock,
    fetch,
    log: { info: note, warn: note, error: note },
    auth: [sessions],
    rateLimit: false,
    routes: {
      'GET /login': { public: true },
      'GET /callback': { public: true },
      'POST /logged-out': { public: true },
    },
  })
  const { handlers } = login
  const endpoints: Record<string, (req: IncomingMessage, res: ServerResponse, next: () => void) => void> = {
    '/login': handlers.login,
    '/callback': handlers.callback,
    '/logged-out': handlers.backChannelLogout,
    '/logout': handlers.logout,
  }
  const served = serve(api, {
    handler: (req, res) => endpoints[req.url!.split('?')[0]!]!(req, res, () => res.end('nobody')),
  })
  /** As far as the answer of the provider. */
  const signIn = async (answer: (nonce: string) => object) => {
    const begun = await beginLogin(served)
    give(() => answer(begun.nonce))
    return callback(served, begun)
  }
  const tell = (token: string) => served.post('/logged-out').type('form').send({ logout_token: token })
  return { ...served, clock, sessions, store, login, events, asked, logged, signIn, tell }
}

describe('return_to', () => {
  test.each([
    '//evil.example',
    '/\\evil.example',
    '/%2fevil.example',
    'https://evil.example',
    'javascript:alert(1)',
    '/\r\nX: y',
  ])('%j is refused before anything is begun', async (path) => {
    const { get, store, asked } = setUp()
    const reply = await get(`/login?return_to=${encodeURIComponent(path)}`).expect(400)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'malformed-parameter' })
    expect([store.records!.list('sso-login'), asked]).toEqual([{ values: [] }, []])
  })

  test('sent twice is refused', async () => {
    await setUp().get('/login?return_to=/a&return_to=/b').expect(400)
  })
})

test('behind TLS, the login belongs to its browser by a cookie of this host alone', async () => {
  const { get } = setUp()
  const { headers } = await get('/login').expect(303)
  expect(headers['set-cookie']![0]).toMatch(/^__Host-sso=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
})

describe('an ID token', () => {
  const signed =
    (claims: Record<string, unknown>, options: MintOptions = {}) =>
    (nonce: string) => ({
      id_token: issuer.mint({ sub: 'ann', nonce, ...claims }, { header: { typ: 'JWT' }, ...options }),
    })

  test('opens a session, with what it says of how the user proved itself', async () => {
    const { signIn, sessions, asked } = setUp({ clientAuth: 'post' })
    const at = seconds() - 100
    const reply = await signIn(
      signed({ auth_time: at, acr: 'gold', amr: ['pwd', 'otp', 'not a name', 7], sid: 's1' }),
    )
    expect([reply.status, reply.headers['location']]).toEqual([303, '/'])
    const [one] = await sessions.list({ issuer: issuer.issuer, subject: 'ann' })
    expect(one!.factors).toEqual([
      { method: 'pwd', at },
      { method: 'otp', at },
    ])
    const token = asked.find(({ url }) => url.endsWith('/token'))!
    expect(token.body).toMatch(/code_verifier=[\w-]{43}/)
    expect(token.body).toContain('client_secret=secret+of+the+shop')
  })

  test('that says nothing of when is no proof of a fresh login', async () => {
    const { signIn, sessions } = setUp()
    await signIn(signed({ amr: ['pwd'] }))
    const [one] = await sessions.list({ issuer: issuer.issuer, subject: 'ann' })
    expect(one!.factors).toEqual([{ method: 'pwd', at: 0 }])
  })

  const other = localIssuer({ audience: 'shop' })
  const fresh = (claims: Record<string, unknown> = {}, options?: MintOptions) =>
    signed({ auth_time: seconds(), ...claims }, options)
  test.each<[string, (nonce: string) => Record<string, unknown>]>([
    ['none', () => ({})],
    ['that does not say when, which was asked', fresh({ auth_time: undefined })],
    ['signed by somebody else (ASVS 6.8.2)', fresh({}, { key: other.key })],
    ['without a signature', fresh({}, { header: { typ: 'JWT', alg: 'none' } })],
    ['of another issuer (ASVS 10.5.2)', fresh({ iss: 'https://evil.example' })],
    ['for another client (ASVS 10.5.4)', fresh({ aud: 'other' })],
    ['for several clients, and not a word of which got it', fresh({ aud: ['shop', 'other'] })],
    ['that was given to another of its clients', fresh({ aud: ['shop', 'other'], azp: 'other' })],
    ['of another login (ASVS 10.5.1)', fresh({ nonce: 'A'.repeat(43) })],
    ['without a nonce', fresh({ nonce: undefined })],
    ['that expired', fresh({ exp: seconds() - 600, iat: seconds() - 900 })],
    ['without a subject', fresh({ sub: undefined })],
    ['of a subject that is too long', fresh({ sub: 'x'.repeat(256) })],
    ['of a subject with a line break', fresh({ sub: 'ann\nbob' })],
    ['too old', fresh({ auth_time: seconds() - 7_200 })],
    ['from before time', fresh({ auth_time: -1 })],
    ['of a proof that is to come', fresh({ auth_time: seconds() + 7_200 })],
    ['with a time in milliseconds', fresh({ auth_time: Date.now() })],
    ['of a session that could not be found by its name', fresh({ sid: 's'.repeat(256) })],
    ['of a session that is called by a number', fresh({ sid: 7 })],
  ])('%s opens none', async (_what, answer) => {
    const { signIn, sessions } = setUp({ maxAgeSeconds: 3_600 })
    const reply = await signIn(answer)
    expect([reply.status, JSON.parse(reply.text).code]).toEqual([403, 'login-refused'])
    expect(reply.headers['set-cookie']).toBeUndefined()
    for (const name of [issuer.issuer, 'https://evil.example'])
      expect(await sessions.list({ issuer: name, subject: 'ann' })).toEqual([])
    // And nothing else was wrong with it.
    expect((await setUp({ maxAgeSeconds: 3_600 }).signIn(fresh())).status).toBe(303)
  })
})

test('an ID token that is too long to be kept opens a session all the same', async () => {
  const { signIn, sessions } = setUp()
  const groups = 'g'.repeat(17_000)
  const reply = await signIn((nonce) => ({
    id_token: issuer.mint({ sub: 'ann', nonce, groups, sid: 's'.repeat(255) }, { header: { typ: 'JWT' } }),
  }))
  expect(reply.status).toBe(303)
  expect(await sessions.revokeSid(issuer.issuer, 's'.repeat(255))).toBe(1)
})

test('what the provider answered is not in the log: no token, no claim, no code', async () => {
  const { signIn, logged, ...served } = setUp()
  const secrets = ['hunter2-access', 'hunter2-id', 'hunter2@mail.example', 'hunter2-code']
  await signIn(() => ({ token_type: 7, access_token: 'hunter2-access', id_token: 'hunter2-id' }))
  await signIn((nonce) => ({
    id_token: issuer.mint({ sub: 'ann', nonce: `${nonce}x`, email: 'hunter2@mail.example' }),
  }))
  const said = 'error=access_denied&error_description=%0Ahunter2-code&code=hunter2-code'
  const denied = await callback(served, await beginLogin(served), said).expect(403)
  expect(denied.text).not.toContain('access_denied')
  const text = inspect(logged, { depth: Infinity })
  for (const secret of secrets) expect(text).not.toContain(secret)
  // Enough to know what is wrong.
  expect(text).toContain('because: \'"response" body "token_type" property must be a string\'')
  expect(text).toContain('because: \'unexpected ID Token "nonce" claim value\'')
  expect(text).toContain("error: 'access_denied'")
})

test('what was begun with one provider is not completed with another, over one store (RFC 9700 section 4.4.2)', async () => {
  const store = memory()
  const one = setUp({ store })
  const begun = await beginLogin(one)
  for (const other of [{ redirectUri: 'https://shop.example/other' }, { clientId: 'other' }]) {
    const { asked, events, ...served } = setUp({ store, ...other })
    await callback(served, begun).expect(403)
    expect(events.map((event) => event['rule'])).toContain('sso-state')
    expect(asked).toEqual([])
  }
  // It is still under way where it was begun.
  const own = await callback(one, begun)
  expect(one.asked.map(({ url }) => url)).toContain(`${issuer.issuer}/token`)
  expect(own.status).toBe(403)
})

test.each(['x', 'null', '{}', '{"browser":"?","sealed":"?"}'])(
  'a record of a login that reads %j is 503, and no login',
  async (text) => {
    const { store, ...served } = setUp()
    const begun = await beginLogin(served)
    const browser = createHash('sha256').update(begun.cookie.split('=')[1]!).digest('base64url')
    const { records } = store
    const put = jest.spyOn(records!, 'get').mockReturnValue(text.replace('?', browser))
    const reply = await callback(served, begun).expect(503)
    put.mockRestore()
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'store-unavailable' })
  },
)

test.each<[string, SsoOptions['claims']]>([
  ['throws', () => Promise.reject(new Error('secret of the database'))],
  ['makes something else', () => new Map() as never],
])(
  'a function of the application that %s is 500, opens no session, and is not the fault of the provider',
  async (_what, claims) => {
    const { signIn, sessions } = setUp({ claims: claims! })
    const reply = await signIn((nonce) => ({
      id_token: issuer.mint({ sub: 'ann', nonce }, { header: { typ: 'JWT' } }),
    }))
    expect([reply.status, JSON.parse(reply.text).code]).toEqual([500, 'broken'])
    expect(reply.text).not.toContain('secret')
    expect(await sessions.list({ issuer: issuer.issuer, subject: 'ann' })).toEqual([])
  },
)

describe('a provider that moves its pages', () => {
  const MOVED = `${issuer.issuer}/moved`
  const leadsTo = async ({ get }: ReturnType<typeof setUp>) =>
    (await get('/login').expect(303)).headers['location']!.split('?')[0]

  test('is asked anew after ten minutes, beside a login', async () => {
    const metadata: Record<string, unknown> = {}
    const api = setUp({}, metadata)
    await leadsTo(api)
    metadata['authorization_endpoint'] = MOVED
    api.clock.advance(599_000)
    expect(await leadsTo(api)).toBe(`${issuer.issuer}/authorize`)
    expect(await leadsTo(api)).toBe(`${issuer.issuer}/authorize`)
    api.clock.advance(1_000)
    await leadsTo(api)
    await until(async () => (await leadsTo(api)) === MOVED)
    expect(api.asked).toHaveLength(2)
  })

  test('and says something else meanwhile, is known as before, and the operator is told', async () => {
    const metadata: Record<string, unknown> = {}
    const api = setUp({}, metadata)
    await leadsTo(api)
    Object.assign(metadata, { issuer: 'https://evil.example', authorization_endpoint: MOVED })
    api.clock.advance(600_000)
    await leadsTo(api)
    await until(() => api.logged.length > 0)
    expect(JSON.stringify(api.logged)).toContain('cannot be renewed')
    expect(await leadsTo(api)).toBe(`${issuer.issuer}/authorize`)
    expect(api.asked).toHaveLength(2)
  })
})

describe('a provider is not spoken with', () => {
  test.each<[string, Record<string, unknown>]>([
    ['that claims to be another one (ASVS 10.5.3)', { issuer: 'https://evil.example' }],
    ['that does not say who it is', { issuer: 5 }],
    ['that has no pages', { authorization_endpoint: undefined }],
    ['whose pages are nowhere', { authorization_endpoint: {} }],
    ['whose pages are without TLS', { authorization_endpoint: 'http://issuer.test/authorize' }],
    ['whose logout is without TLS', { end_session_endpoint: 'http://issuer.test/end' }],
  ])('%s: 503', async (_what, metadata) => {
    const { get, store } = setUp({}, metadata)
    const reply = await get('/login').expect(503)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'identity-provider-unavailable' })
    expect(store.records!.list('sso-login')).toEqual({ values: [] })
  })

  test('for a code, where that would be without TLS', async () => {
    const { signIn, asked } = setUp({}, { token_endpoint: 'http://issuer.test/token' })
    expect((await signIn(() => ({}))).status).toBe(503)
    expect(asked.filter(({ url }) => url.startsWith('http:'))).toEqual([])
  })
})

test('a provider that could not be asked at start is asked again by the first login, in its way', async () => {
  const { login, get } = setUp()
  const outside = jest.spyOn(globalThis, 'fetch').mockRejectedValue(new TypeError('no way out'))
  await expect(login.ready()).rejects.toThrow()
  await get('/login').expect(303)
  outside.mockRestore()
})

test('a store that is away is 503', async () => {
  const { records, once } = memory()
  const store = { once: once, records: { ...records, put: () => Promise.reject(new Error('down')) } }
  Object.setPrototypeOf(store.records, Object.getPrototypeOf(records) as object)
  const reply = await setUp({ store: store as unknown as Store })
    .get('/login')
    .expect(503)
  expect(JSON.parse(reply.text)).toMatchObject({ code: 'store-unavailable' })
})

describe('a logout token', () => {
  const mint = (claims: Record<string, unknown> = {}, options: MintOptions = {}) =>
    issuer.mint({ sub: 'ann', events: EVENTS, ...claims }, { header: { typ: 'logout+jwt' }, ...options })

  test('ends the sessions that it names', async () => {
    const { tell, sessions } = setUp()
    const ann = { issuer: issuer.issuer, subject: 'ann' }
    const res = () =>
      ({ getHeader: () => undefined, setHeader: () => undefined }) as unknown as ServerResponse
    const nobody = () => ({ headers: {} }) as unknown as IncomingMessage
    const logIn = (sid?: string) =>
      sessions.login(nobody(), res(), { ...ann, ...(sid !== undefined && { sid }) })
    const left = async () => (await sessions.list(ann)).length
    await logIn('s1')
    await logIn('s1')
    await logIn('s2')
    await logIn()

    const reply = await tell(mint({ sub: undefined, sid: 's1' })).expect(200)
    expect([reply.text, reply.headers['cache-control']]).toEqual(['', expect.stringContaining('no-store')])
    expect(await left()).toBe(2)
    // Of one that nobody named, nobody can say that it is another.
    await tell(mint({ sid: 's9' })).expect(200)
    expect(await left()).toBe(1)
    await tell(mint({ sub: 'bob' })).expect(200)
    expect(await left()).toBe(1)
    await tell(mint({ aud: ['other', 'shop'], exp: undefined })).expect(200)
    expect(await left()).toBe(0)
  })

  const stranger = localIssuer({ audience: 'shop' })
  test.each<[string, () => string, string]>([
    ['some text', () => 'hunter2', 'logout-token-malformed'],
    ['an access token', () => issuer.mint({ events: EVENTS }), 'logout-token-type'],
    ['an ID token (ASVS 10.5.5)', () => mint({}, { header: { typ: 'JWT' } }), 'logout-token-type'],
    ['of another issuer', () => mint({ iss: 'https://evil.example' }), 'logout-token-issuer'],
    ['for another client', () => mint({ aud: 'other' }), 'logout-token-audience'],
    ['signed by somebody else', () => mint({}, { key: stranger.key }), 'logout-token-signature'],
    [
      'with a key that nobody published',
      () => mint({}, { header: { typ: 'logout+jwt', kid: 'k9' } }),
      'logout-token-signature',
    ],
    [
      'without a signature',
      () => mint({}, { header: { typ: 'logout+jwt', alg: 'none' } }),
      'logout-token-malformed',
    ],
    [
      'that brings its key',
      () => mint({}, { header: { typ: 'logout+jwt', jku: 'https://evil.example' } }),
      'logout-token-malformed',
    ],
    ['from the future', () => mint({ iat: seconds() + 120, exp: undefined }), 'logout-token-time'],
    ['that somebody kept', () => mint({ iat: seconds() - 400, exp: undefined }), 'logout-token-time'],
    ['that expired', () => mint({ iat: seconds() - 200, exp: seconds() - 100 }), 'logout-token-time'],
    ['that does not hold yet', () => mint({ nbf: seconds() + 120 }), 'logout-token-time'],
    ['that holds from a word on', () => mint({ nbf: 'now' }), 'logout-token-claims'],
    ['without iat', () => mint({ iat: undefined }), 'logout-token-claims'],
    ['with a nonce', () => mint({ nonce: 'n' }), 'logout-token-claims'],
    ['with a nonce that is null', () => mint({ nonce: null }), 'logout-token-claims'],
    ['without events', () => mint({ events: undefined }), 'logout-token-claims'],
    ['with another event', () => mint({ events: { 'urn:x': {} } }), 'logout-token-claims'],
    [
      'with an event that is no object',
      () => mint({ events: { ...EVENTS, 'http://schemas.openid.net/event/backchannel-logout': true } }),
      'logout-token-claims',
    ],
    ['without a jti', () => mint({ jti: undefined }), 'logout-token-claims'],
    ['with neither sub nor sid', () => mint({ sub: undefined }), 'logout-token-claims'],
    ['with a sid that is none', () => mint({ sid: '' }), 'logout-token-claims'],
    ['with a sub that nobody can have', () => mint({ sub: 'ann\u0000' }), 'logout-token-claims'],
    ['too long', () => mint({ x: 'x'.repeat(9_000) }), 'logout-token-malformed'],
  ])('%s ends nothing: 400', async (_what, token, rule) => {
    const { tell, sessions, events } = setUp()
    const end = jest.spyOn(sessions, 'revokeAll')
    const reply = await tell(token()).expect(400)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'invalid-logout-token' })
    expect(reply.headers['cache-control']).toContain('no-store')
    expect(events.map((event) => event['rule'])).toContain(rule)
    expect(end).not.toHaveBeenCalled()
  })

  test('is good once, and one without a jti of its own is another', async () => {
    const { tell, events } = setUp()
    const token = mint()
    await tell(token).expect(200)
    await tell(token).expect(400)
    expect(events.map((event) => event['rule'])).toContain('logout-token-replayed')
    await tell(mint()).expect(200)
  })

  test.each(['ended', 'noted'])('may come again if something failed before it was %s', async (what) => {
    const { records } = memory()
    const down = () => Promise.reject(new StoreUnavailable('down', 0, 1_000))
    let fails = true
    const store: Store = {
      records: new Proxy(records, {
        get(target, name) {
          const method = Reflect.get(target, name) as (...call: unknown[]) => unknown
          const isIt = (space: unknown) => name === 'put' && space === 'sso-logout-token' && what === 'noted'
          return (...call: unknown[]) => (fails && isIt(call[0]) ? down() : method.apply(target, call))
        },
      }),
    }
    const { tell, sessions, events } = setUp({ store })
    const res = { getHeader: () => undefined, setHeader: () => undefined } as unknown as ServerResponse
    const ann = { issuer: issuer.issuer, subject: 'ann' }
    const logIn = () => sessions.login({ headers: {} } as unknown as IncomingMessage, res, ann)
    await logIn()
    const token = mint()
    if (what === 'ended') jest.spyOn(sessions, 'revokeAll').mockImplementationOnce(down)
    const away = await tell(token).expect(503)
    expect(JSON.parse(away.text)).toMatchObject({ code: 'store-unavailable' })
    fails = false
    await tell(token).expect(200)
    expect(await sessions.list(ann)).toEqual([])
    // Who logs in afterwards is not logged out by somebody who kept it.
    await logIn()
    await tell(token).expect(400)
    expect(events.map((event) => event['rule'])).toContain('logout-token-replayed')
    expect(await sessions.list(ann)).toHaveLength(1)
  })

  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['its session there', { sid: 's1' }, { sub: undefined, sid: 's1' }],
    ['its user', { sid: 's1' }, {}],
    ['its user, and no name of its own', {}, {}],
    ['its user and some session, and no name of its own', {}, { sid: 's2' }],
  ])('that comes while a login is on its way back ends that one too: %s', async (_what, own, told) => {
    // A slow database of users, so to speak.
    const api = setUp({ claims: async () => (await api.tell(mint(told)).expect(200), {}) })
    const { signIn, sessions, events } = api
    const idToken = (nonce: string) => ({
      id_token: issuer.mint({ sub: 'ann', nonce, ...own }, { header: { typ: 'JWT' } }),
    })
    const reply = await signIn(idToken)
    expect([reply.status, JSON.parse(reply.text).code]).toEqual([403, 'login-refused'])
    expect(reply.headers['set-cookie']).toEqual([expect.stringMatching(/^__Host-session=; .*Max-Age=0/)])
    expect(events.map((event) => event['rule'])).toContain('sso-ended')
    expect(await sessions.list({ issuer: issuer.issuer, subject: 'ann' })).toEqual([])
  })

  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['another session there', { sid: 's1' }, { sub: undefined, sid: 's2' }],
    ['another session of the user', { sid: 's1' }, { sid: 's2' }],
    ['another user', {}, { sub: 'bob' }],
    ['what was before this login', {}, { iat: seconds() - 10, exp: undefined }],
  ])('that comes meanwhile for %s does not', async (_what, own, told) => {
    const api = setUp({ claims: async () => (await api.tell(mint(told)).expect(200), {}) })
    const reply = await api.signIn((nonce) => ({
      id_token: issuer.mint({ sub: 'ann', nonce, ...own }, { header: { typ: 'JWT' } }),
    }))
    expect(reply.status).toBe(303)
    expect(await api.sessions.list({ issuer: issuer.issuer, subject: 'ann' })).toHaveLength(1)
  })

  test('of a provider that says JWT, if that is written', async () => {
    const plain = mint({}, { header: { typ: 'JWT' } })
    const untyped = mint({}, { header: { typ: undefined } })
    await setUp({ logoutTyp: 'JWT' }).tell(plain).expect(200)
    await setUp({ logoutTyp: 'JWT' }).tell(untyped).expect(400)
    await setUp({ logoutTyp: false }).tell(untyped).expect(200)
  })

  test('comes as a form, by POST', async () => {
    const { get, post } = setUp()
    await post('/logged-out').type('json').send({ logout_token: mint() }).expect(415)
    await post('/logged-out').type('form').send('logout_token=a&logout_token=b').expect(400)
    const empty = await post('/logged-out').type('form').send('token=a').expect(400)
    expect(JSON.parse(empty.text)).toMatchObject({ code: 'invalid-logout-token' })
    await get('/logged-out').expect(401)
  })

  test('cannot be judged while the keys cannot be had: 503', async () => {
    const away = localIssuer({ issuer: 'https://away.test', audience: 'shop' })
    const { tell } = setUp({ issuer: away.issuer })
    const token = away.mint({ sub: 'ann', events: EVENTS }, { header: { typ: 'logout+jwt' } })
    const reply = await tell(token).expect(503)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'identity-provider-unavailable' })
  })
})

test.each<[object, RegExp]>([
  [{ issuer: 'http://id.example' }, /sso\.issuer must be https/],
  [{ issuer: 'https://id.example/ x' }, /sso\.issuer/],
  [{ clientId: '' }, /sso\.clientId/],
  [
    { clientSecret: 'line\nbreak' },
    /sso\.clientSecret must be a text of ASCII characters, as it is registered, got a string of 10/,
  ],
  [{ clientAuth: 'nobody' }, /sso\.clientAuth must be one of/],
  [{ clientAuth: 'none' }, /sso needs one of clientSecret, privateKey, and clientAuth: 'none'/],
  [{ privateKey: key }, /sso needs one of clientSecret, privateKey, and clientAuth: 'none'/],
  [{ redirectUri: '/callback' }, /sso\.redirectUri must be an absolute URL/],
  [{ redirectUri: 'http://shop.example/callback' }, /sso\.redirectUri must be https/],
  [{ redirectUri: 'http://shop.example/callback', allowInsecureLoopback: true }, /must be https/],
  [{ redirectUri: 'https://shop.example/callback?a=b' }, /sso\.redirectUri must have no query/],
  [{ sessions: {} }, /sso\.sessions must be what session/],
  [{ store: { once: memory().once } }, /sso\.store has no records/],
  [{ scope: 'profile' }, /sso\.scope must be words .* and openid among them/],
  [{ scope: 'openid  profile' }, /sso\.scope/],
  [{ claims: 'roles' }, /sso\.claims must be a function/],
  [{ maxAgeSeconds: -1 }, /sso\.maxAgeSeconds/],
  [{ acrValues: 'gold' }, /sso\.acrValues must list/],
  [{ returnTo: '//evil.example' }, /sso\.returnTo must be a path of this host/],
  [{ postLogoutRedirectUri: 'http://shop.example/' }, /sso\.postLogoutRedirectUri must be https/],
  [{ revocation: {} }, /sso\.revocation must be made by/],
  [{ loginTimeoutMs: 1 }, /sso\.loginTimeoutMs/],
  [{ logoutTyp: '' }, /sso\.logoutTyp/],
  [{ clockToleranceSeconds: 3_000 }, /sso\.clockToleranceSeconds/],
  [{ timeoutMs: 0 }, /sso\.timeoutMs/],
  [{ discovery: false }, /no option "discovery"/],
])('does not start with %j', (options, message) => {
  const start = () => sso({ ...own(), ...options })
  expect(start).toThrow(message)
  expect(start).toThrow(ConfigError)
})

test.each<[string, object, RegExp]>([
  ['nothing', {}, /sso needs one of clientSecret, privateKey, and clientAuth: 'none'/],
  [
    'a key, and a way to send a password',
    { privateKey: key, clientAuth: 'post' },
    /sso\.clientAuth says how/,
  ],
  ['a key that is none', { privateKey: 'hunter2' }, /sso\.privateKey must be a private key/],
  [
    'a key that no provider expects',
    { privateKey: generateKeyPairSync('ed25519').privateKey },
    /sso\.privateKey must be RSA of at least 2048 bits, P-256/,
  ],
  ['a public key', { privateKey: createPublicKey(key) }, /sso\.privateKey must be a private key/],
  ['a secret of an unset variable', { clientSecret: undefined }, /sso\.clientSecret is undefined/],
  ['a key of an unset variable', { privateKey: undefined }, /sso\.privateKey is undefined/],
])('shows the provider who it is by one thing, and does not start with %s', (_what, options, message) => {
  const rest: Partial<SsoOptions> = own()
  delete rest.clientSecret
  const start = () => sso({ ...rest, ...options } as SsoOptions)
  expect(start).toThrow(message)
  expect(start).toThrow(ConfigError)
})
