import fc from 'fast-check'
import jws from 'jws'
import { createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { bearer, type BearerAuth, type BearerOptions } from '../../src/identity/bearer.js'
import { contextOf } from '../../src/kernel/context.js'
import { createServices } from '../../src/kernel/services.js'
import { ask } from '../support/ask.js'
import { listen, sendRaw } from '../support/raw.js'
import { signToken } from '../../src/testing/sign.js'
import { fakeClock, localIssuer, serve, type LocalIssuerOptions } from '../../src/testing/index.js'

const REALM = 'Bearer realm="api"'

const NOW_MS = Date.UTC(2030, 0, 1)

function setUp(options: Partial<BearerOptions> = {}, algorithm: LocalIssuerOptions['algorithm'] = 'ES256') {
  const clock = fakeClock(NOW_MS)
  const issuer = localIssuer({ clock, algorithm })
  const stage = bearer({ issuer: issuer.issuer, audience: issuer.audience, ...options })
  const seen: { principal?: unknown; auth?: unknown } = {}
  const served = serve(stage, {
    clock,
    fetch: issuer.fetch,
    handler(req, res) {
      seen.principal = contextOf(req)?.principal
      seen.auth = (req as { auth?: unknown }).auth
      res.end('ok')
    },
  })
  const send = (authorization: string | undefined) =>
    authorization === undefined ? served.get('/') : served.get('/').set('Authorization', authorization)
  return { ...served, clock, issuer, seen, send, stage: stage.stage }
}

test('lets a valid token through, and says who is calling (ASVS 9.1.1)', async () => {
  const { issuer, send, seen, handled } = setUp()
  const token = issuer.mint({ scope: 'orders:read' })

  await send(`Bearer ${token}`).expect(200)

  expect(handled()).toBe(1)
  expect(seen.principal).toMatchObject({
    id: 'https://issuer.test user-1',
    subject: 'user-1',
    issuer: 'https://issuer.test',
    method: 'bearer',
    accessToken: true,
    claims: { scope: 'orders:read' },
    issuedAt: 1_893_456_000,
    expiresAt: 1_893_456_300,
  })
  expect(seen.auth).toMatchObject({ header: { alg: 'ES256' }, payload: { sub: 'user-1' }, token })
})

describe('the challenge (RFC 6750 section 3)', () => {
  test.each([
    ['nothing at all', undefined],
    ['another scheme', 'Basic dXNlcjpwYXNz'],
    ['a scheme that only begins alike', 'BearerX abc'],
    ['a scheme that only contains the word', 'xbearer abc'],
    ['an empty field', ''],
  ])('has no error code for %s', async (_what, authorization) => {
    const { send, handled } = setUp()
    const reply = await send(authorization).expect(401).expect('WWW-Authenticate', REALM)
    expect(JSON.parse(reply.text).code).toBe('unauthenticated')
    expect(handled()).toBe(0)
  })

  test.each([
    ['no token', 'Bearer'],
    ['only spaces', 'Bearer   '],
    ['two tokens', 'Bearer a b'],
    ['a comma', 'Bearer a, Bearer b'],
    ['a quoted token', 'Bearer "a.b.c"'],
    ['padding inside', 'Bearer a=b'],
    ['a tab for a space', 'Bearer\ta.b.c'],
  ])('says invalid_request for %s', async (_what, authorization) => {
    const { send, handled } = setUp()
    const reply = await send(authorization)
      .expect(400)
      .expect(
        'WWW-Authenticate',
        `${REALM}, error="invalid_request", error_description="The Authorization header is malformed"`,
      )
    expect(JSON.parse(reply.text).code).toBe('invalid-request')
    expect(handled()).toBe(0)
  })

  test('says invalid_token for a bad token', async () => {
    const { send, handled } = setUp()
    const reply = await send('Bearer nonsense')
      .expect(401)
      .expect(
        'WWW-Authenticate',
        `${REALM}, error="invalid_token", error_description="The access token is malformed"`,
      )
    expect(JSON.parse(reply.text).code).toBe('invalid-token')
    expect(handled()).toBe(0)
  })
})

describe('only the Authorization header counts', () => {
  test('and not the query, the body, a cookie or another header', async () => {
    const { issuer, post, get, handled } = setUp()
    const token = issuer.mint()
    await get(`/?access_token=${token}`).expect(401)
    await get('/').set('Cookie', `access_token=${token}`).expect(401)
    await get('/').set('X-Authorization', `Bearer ${token}`).expect(401)
    await get('/').set('Proxy-Authorization', `Bearer ${token}`).expect(401)
    await post('/').type('form').send(`access_token=${token}`).expect(401)
    expect(handled()).toBe(0)
  })

  test.each([
    ['two good ones', (token: string) => [`Bearer ${token}`, `Bearer ${token}`]],
    ['a good one and Basic', (token: string) => [`Bearer ${token}`, 'Basic dXNlcjpwYXNz']],
    ['Basic and a good one', (token: string) => ['Basic dXNlcjpwYXNz', `Bearer ${token}`]],
    ['a good one and an empty one', (token: string) => [`Bearer ${token}`, '']],
  ])('and two of them are refused: %s', async (_what, fields) => {
    const { issuer, server, handled } = setUp()
    const lines = fields(issuer.mint()).map(
      (field, index) => `${index === 0 ? 'Authorization' : 'aUTHORIZATION'}: ${field}`,
    )

    await listen(server)
    const reply = await sendRaw(
      server,
      ['GET / HTTP/1.1', 'Host: a', ...lines, 'Connection: close', '', ''].join('\r\n'),
    )
    server.close()

    expect(reply.status).toBe(400)
    expect(JSON.parse(reply.body).code).toBe('invalid-request')
    expect(reply.head).toContain(
      'WWW-Authenticate: Bearer realm="api", error="invalid_request", error_description="More than one Authorization header was sent"',
    )
    expect(handled()).toBe(0)
  })
})

describe('every algorithm', () => {
  test.each([
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'ES512',
    'EdDSA',
  ] as const)('%s verifies with the key of its issuer, and with no other', async (algorithm) => {
    const { issuer, send } = setUp({}, algorithm)
    const stranger = localIssuer({ algorithm, clock: { now: () => NOW_MS } })
    await send(`Bearer ${issuer.mint()}`).expect(200)
    await send(`Bearer ${stranger.mint()}`).expect(401)
  })

  test('Ed25519 is EdDSA by its newer name (RFC 9864)', async () => {
    const key = generateKeyPairSync('ed25519')
    const { get, issuer } = setUp({ keys: key.publicKey })
    const mint = (alg: string) =>
      issuer.mint({}, { header: { alg }, key: key.privateKey, algorithm: 'EdDSA' })
    await get('/')
      .set('Authorization', `Bearer ${mint('Ed25519')}`)
      .expect(200)
    await get('/')
      .set('Authorization', `Bearer ${mint('EdDSA')}`)
      .expect(200)
  })

  test.each(['HS256', 'HS384', 'HS512'] as const)(
    '%s verifies with each shared secret',
    async (algorithm) => {
      const [first, second, third] = [randomBytes(64), randomBytes(64), randomBytes(64)]
      const { get, issuer } = setUp({ secret: [first, second], algorithms: [algorithm] })
      const mint = (secret: Buffer) =>
        issuer.mint({}, { header: { alg: algorithm, kid: undefined }, key: createSecretKey(secret) })
      await get('/')
        .set('Authorization', `Bearer ${mint(first)}`)
        .expect(200)
      await get('/')
        .set('Authorization', `Bearer ${mint(second)}`)
        .expect(200)
      await get('/')
        .set('Authorization', `Bearer ${mint(third)}`)
        .expect(401)
    },
  )

  test('is refused if it is not among the allowed ones (ASVS 9.1.2)', async () => {
    const { get, issuer } = setUp({ algorithms: ['RS256', 'ES384'] })
    const reply = await get('/').set('Authorization', `Bearer ${issuer.mint()}`).expect(401)
    expect(reply.text).toContain('an algorithm that is not accepted')
  })
})

describe('time is exact to the second (ASVS 9.2.1):', () => {
  const start = NOW_MS / 1_000
  test.each([
    ['exp', { exp: start + 10 }, 10 + 60 - 1, 200],
    ['exp', { exp: start + 10 }, 10 + 60, 401],
    ['nbf', { nbf: start + 100, exp: start + 300 }, 100 - 60, 200],
    ['nbf', { nbf: start + 100, exp: start + 300 }, 100 - 60 - 1, 401],
    ['iat', { iat: start + 100, exp: start + 300 }, 100 - 60, 200],
    ['iat', { iat: start + 100, exp: start + 300 }, 100 - 60 - 1, 401],
  ])(
    '%s %j after %i seconds gives %i, also for a token that is known',
    async (_claim, claims, seconds, status) => {
      const { issuer, send, clock } = setUp()
      const token = issuer.mint(claims)
      clock.advance(seconds * 1_000)
      await send(`Bearer ${token}`).expect(status)
      await send(`Bearer ${token}`).expect(status)
    },
  )

  test('a known token ends when it expires, and begins again if the clock is put back', async () => {
    const { issuer, send, clock } = setUp({ clockToleranceSeconds: 0 })
    const token = issuer.mint()
    await send(`Bearer ${token}`).expect(200)
    clock.jump(299_999)
    await send(`Bearer ${token}`).expect(200)
    clock.jump(1)
    const late = await send(`Bearer ${token}`).expect(401)
    expect(late.text).toContain('The access token expired')
    clock.jump(-300_001)
    const early = await send(`Bearer ${token}`).expect(401)
    expect(early.text).toContain('The access token is not valid yet')
  })

  test('a lifetime of an hour, if that is the longest', async () => {
    const { issuer, send } = setUp({ maxLifetimeSeconds: 3_600 })
    await send(`Bearer ${issuer.mint({ exp: start + 3_600 })}`).expect(200)
    await send(`Bearer ${issuer.mint({ exp: start + 3_601 })}`).expect(401)
  })
})

describe('typ (ASVS 9.2.2)', () => {
  test.each([
    ['JWT', { typ: 'JWT' }, 200, 401, 401],
    [['at+jwt', 'JWT'], { typ: 'JWT' }, 200, 401, 200],
    [false, { typ: 'JWT' }, 200, 200, 200],
  ] as const)('%j', async (typ, header, jwt, none, atJwt) => {
    const { issuer, send } = setUp({ typ })
    await send(`Bearer ${issuer.mint({}, { header })}`).expect(jwt)
    await send(`Bearer ${issuer.mint({}, { header: { typ: undefined } })}`).expect(none)
    await send(`Bearer ${issuer.mint()}`).expect(atJwt)
    await send(`Bearer ${issuer.mint({}, { header: { typ: 'logout+jwt' } })}`).expect(401)
  })
})

describe('the realm', () => {
  test('is in every challenge', async () => {
    const { send } = setUp({ realm: 'orders & more' })
    await send(undefined).expect('WWW-Authenticate', 'Bearer realm="orders & more"')
    await send('Bearer x').expect('WWW-Authenticate', /^Bearer realm="orders & more", error="invalid_token"/)
  })
})

describe('what a handler gets', () => {
  test('cannot be changed, because other requests share it', async () => {
    const { issuer, send, seen } = setUp()
    await send(`Bearer ${issuer.mint({ roles: ['user'], deep: [{ a: 1 }] })}`).expect(200)
    const { payload, header } = seen.auth as BearerAuth
    expect(() => (payload.roles as string[]).push('admin')).toThrow(TypeError)
    expect(() => Object.assign((payload.deep as object[])[0]!, { a: 2 })).toThrow(TypeError)
    expect(() => Object.assign(payload, { sub: 'admin' })).toThrow(TypeError)
    expect(() => Object.assign(header, { kid: 'x' })).toThrow(TypeError)
    expect(() => Object.assign(seen.principal as object, { id: 'x' })).toThrow(TypeError)
  })

  test('has an id that no other issuer and subject join to (ASVS 6.8.1, 10.3.3)', async () => {
    const clock = fakeClock(NOW_MS)
    const services = createServices({ clock })
    const key = generateKeyPairSync('ed25519')
    const names = ['https://a.test', 'https://a.test/', 'https://a.test/b', 'a']
    const { stage } = bearer({
      audience: 'api',
      issuers: names.map((issuer) => ({ issuer, keys: key.publicKey })),
    })
    const idOf = async (iss: string, sub: string) => {
      const claims = { iss, aud: 'api', sub, iat: NOW_MS / 1_000, exp: NOW_MS / 1_000 + 60 }
      const token = signToken({ alg: 'EdDSA', typ: 'at+jwt' }, claims, key.privateKey, 'EdDSA')
      return (await ask(stage, services, `Bearer ${token}`)).ctx.principal!.id
    }
    const subject = fc.oneof(
      fc.string({ minLength: 1 }),
      fc.constantFrom('/b x', 'x', ' x', 'https://a.test x'),
    )
    const caller = fc.tuple(fc.constantFrom(...names), subject)
    await fc.assert(
      fc.asyncProperty(caller, caller, async (one, other) => {
        const same = one[0] === other[0] && one[1] === other[1]
        expect((await idOf(...one)) === (await idOf(...other))).toBe(same)
      }),
    )
  })
})

describe('the memory of verified tokens', () => {
  const counting = (options: Partial<BearerOptions> = {}) => {
    const set = setUp(options)
    const verify = jest.spyOn(jws, 'verify')
    verify.mockClear()
    return { ...set, verify }
  }

  test('spares the third check of the signature, and all that follow', async () => {
    const { issuer, send, verify } = counting()
    const token = issuer.mint()
    for (const checks of [1, 2, 2, 2]) {
      await send(`Bearer ${token}`).expect(200)
      expect(verify).toHaveBeenCalledTimes(checks)
    }
  })

  test('does not give up what is used for what is used once', async () => {
    const { issuer, send, verify } = counting({ cacheEntries: 4 })
    const token = issuer.mint()
    await send(`Bearer ${token}`).expect(200)
    await send(`Bearer ${token}`).expect(200)
    for (let n = 0; n < 20; n++) await send(`Bearer ${issuer.mint({ jti: `once-${n}` })}`).expect(200)
    await send(`Bearer ${token}`).expect(200)
    expect(verify).toHaveBeenCalledTimes(22)
  })

  test('is off with 0 entries', async () => {
    const { issuer, send, verify } = counting({ cacheEntries: 0 })
    const token = issuer.mint()
    for (let n = 0; n < 3; n++) await send(`Bearer ${token}`).expect(200)
    expect(verify).toHaveBeenCalledTimes(3)
  })

  test('does not remember failures, and failures do not push out what is good', async () => {
    const { issuer, send, verify } = counting({ cacheEntries: 4 })
    const good = issuer.mint()
    const bad = localIssuer({ clock: { now: () => NOW_MS } })
    await send(`Bearer ${good}`).expect(200)
    await send(`Bearer ${good}`).expect(200)
    for (let n = 0; n < 20; n++) await send(`Bearer ${bad.mint()}`).expect(401)
    await send(`Bearer ${good}`).expect(200)
    expect(verify).toHaveBeenCalledTimes(22)
  })

  test('is emptied by close', async () => {
    const { issuer, send, verify, stage } = counting()
    const token = issuer.mint()
    for (let n = 0; n < 3; n++) await send(`Bearer ${token}`).expect(200)
    expect(verify).toHaveBeenCalledTimes(2)
    await stage.close!()
    await send(`Bearer ${token}`).expect(200)
    expect(verify).toHaveBeenCalledTimes(3)
  })
})

test('says in the trace what decided', async () => {
  const clock = fakeClock()
  const issuer = localIssuer({ clock })
  const traces: unknown[] = []
  const { get } = serve(bearer({ issuer: issuer.issuer, audience: issuer.audience }), {
    clock,
    fetch: issuer.fetch,
    trace: true,
    handler(req, res) {
      traces.push(contextOf(req)?.trace)
      res.end()
    },
  })
  await get('/').set('Authorization', `Bearer ${issuer.mint()}`).expect(200)
  expect(traces).toMatchObject([
    [{ stage: 'bearer', verdict: 'passed', rule: 'token', why: 'the access token is valid' }],
  ])
})

test('in report mode a caller with a bad token is anonymous', async () => {
  const clock = fakeClock()
  const issuer = localIssuer({ clock })
  let principal: unknown = 'not asked'
  const { get } = serve(bearer({ issuer: issuer.issuer, audience: issuer.audience }), {
    clock,
    fetch: issuer.fetch,
    enforcement: () => 'report',
    handler(req, res) {
      principal = contextOf(req)?.principal
      res.end()
    },
  })
  await get('/')
    .set('Authorization', `Bearer ${issuer.mint({ aud: 'other' })}`)
    .expect(200)
  expect(principal).toBeUndefined()
})
