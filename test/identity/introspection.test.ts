import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { inspect } from 'node:util'
import { rbac } from '../../src/access/rbac.js'
import { auth } from '../../src/identity/auth.js'
import { bearer } from '../../src/identity/bearer.js'
import { faults, type Fault } from '../../src/identity/faults.js'
import { introspection, type IntrospectionOptions } from '../../src/identity/introspection.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import { createServices } from '../../src/kernel/services.js'
import { fakeClock, localIssuer, serve, type FakeClock } from '../../src/testing/index.js'
import { ask } from '../support/ask.js'

const ISSUER = 'https://id.test'
const ENDPOINT = 'https://id.test/introspect'
const TOKEN = 'opaque-token-0123456789'
const discovered: IntrospectionOptions = {
  issuer: ISSUER,
  audience: 'https://api.test',
  clientId: 'api',
  clientSecret: 'secret-of-the-api',
}
const own: IntrospectionOptions = { ...discovered, endpoint: ENDPOINT }

type Answer = (token: string, init: RequestInit) => Promise<Response> | Response

/** A stand-in for the issuer: what it answers is what the test says. */
function setUp(options: Partial<IntrospectionOptions> = {}, answer?: Answer) {
  const clock = fakeClock()
  const asked: { token: string; init: RequestInit; url: string }[] = []
  const logged: string[] = []
  const say = (level: string) => (message: string, details?: object) =>
    void logged.push(`${level} ${message} ${inspect(details)}`)
  let current = answer ?? (() => Response.json(active(clock)))
  const fetch = (async (url: string, init: RequestInit) => {
    const token = new URLSearchParams(init.body as string).get('token')!
    asked.push({ token, init, url })
    return current(token, init)
  }) as typeof globalThis.fetch
  const log = { info: say('info'), warn: say('warn'), error: say('error') }
  const method = introspection({ ...own, ...options })
  let principal: Principal | undefined
  let auth: unknown
  const api = serve(method, {
    clock,
    fetch,
    log,
    handler(req, res) {
      principal = contextOf(req)?.principal
      auth = (req as { auth?: unknown }).auth
      res.end()
    },
  })
  return {
    ...api,
    stage: method.stage,
    services: createServices({ clock, fetch, log }),
    asked,
    logged,
    send: (token = TOKEN) => api.get('/').set('Authorization', `Bearer ${token}`),
    answers: (next: Answer) => void (current = next),
    principal: () => principal,
    auth: () => auth,
  }
}

function active(clock: Pick<FakeClock, 'now'>, changed: Record<string, unknown> = {}) {
  const now = Math.floor(clock.now() / 1000)
  return {
    active: true,
    iss: ISSUER,
    aud: 'https://api.test',
    sub: 'user-1',
    client_id: 'shop',
    token_type: 'Bearer',
    scope: 'orders:read',
    iat: now,
    exp: now + 300,
    ...changed,
  }
}

test('asks as RFC 7662 says, and knows whose the token is', async () => {
  const { send, asked, principal, auth, clock } = setUp()
  await send().expect(200)

  expect(asked).toHaveLength(1)
  const { url, init } = asked[0]!
  expect(url).toBe(ENDPOINT)
  expect(init).toMatchObject({ method: 'POST', redirect: 'error' })
  expect(init.headers).toEqual({
    authorization: `Basic ${Buffer.from('api:secret-of-the-api').toString('base64')}`,
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
  })
  expect(init.body).toBe(`token=${TOKEN}&token_type_hint=access_token`)

  const now = Math.floor(clock.now() / 1000)
  expect(principal()).toEqual({
    id: `${ISSUER} user-1`,
    subject: 'user-1',
    issuer: ISSUER,
    method: 'introspection',
    accessToken: true,
    claims: active(clock),
    issuedAt: now,
    expiresAt: now + 300,
  })
  expect(Object.isFrozen(principal()?.claims)).toBe(true)
  expect(auth()).toEqual({ header: {}, payload: active(clock), token: TOKEN })
})

test('a token that lacks nothing but a scope hears which one, as a JWT does (RFC 6750 section 3.1)', async () => {
  const clock = fakeClock()
  const fetch = () => Promise.resolve(Response.json(active(clock)))
  const { get, handled } = serve([introspection(own), rbac({ scope: 'orders:write' })], { clock, fetch })
  const { text } = await get('/')
    .set('Authorization', `Bearer ${TOKEN}`)
    .expect(403)
    .expect(
      'WWW-Authenticate',
      'Bearer realm="api", error="insufficient_scope", error_description="The access token lacks a required scope", scope="orders:write"',
    )
  expect(JSON.parse(text)).toMatchObject({ code: 'insufficient-scope' })
  expect(handled()).toBe(0)
})

describe('what the issuer says makes a token bad:', () => {
  test.each<[string, Record<string, unknown>, Fault]>([
    ['it is not active', { active: false }, 'token-inactive'],
    ['it is from another issuer', { iss: 'https://id.test/' }, 'token-issuer'],
    ['its issuer is null', { iss: null }, 'token-issuer'],
    ['it is for another API', { aud: 'https://payroll.test' }, 'token-audience'],
    ['it is for nobody', { aud: undefined }, 'token-claims'],
    ['it is for an empty list', { aud: [] }, 'token-claims'],
    ['it has no end', { exp: undefined }, 'token-claims'],
    ['its end is text', { exp: '9999999999' }, 'token-claims'],
    ['it has no beginning', { iat: undefined }, 'token-claims'],
    ['its nbf is null', { nbf: null }, 'token-claims'],
    ['it is nobody\u2019s', { sub: undefined, client_id: undefined }, 'token-claims'],
    ['its subject is empty', { sub: '' }, 'token-claims'],
    ['its subject is null', { sub: null, client_id: undefined }, 'token-claims'],
    ['it is bound to a DPoP key', { cnf: { jkt: 'x' }, token_type: 'DPoP' }, 'token-bound'],
    ['it is bound to a certificate', { cnf: { 'x5t#S256': 'x' } }, 'token-bound'],
    ['its binding is null', { cnf: null }, 'token-bound'],
    ['it is of another type', { token_type: 'mac' }, 'token-type'],
    ['its type is a number', { token_type: 1 }, 'token-type'],
    ['it is a refresh token', { token_type: undefined, token_use: 'refresh_token' }, 'token-type'],
    ['it is a refresh token, in other words', { typ: 'Refresh' }, 'token-type'],
    ['it is an ID token', { typ: 'ID' }, 'token-type'],
    ['it lives too long', { exp: 4e9 }, 'token-lifetime'],
    ['it is over', { iat: 1, exp: 2 }, 'token-expired'],
    ['it ends before it begins', { iat: 2, exp: 1 }, 'token-claims'],
  ])('%s', async (_what, changed, rule) => {
    const { send, handled, answers, clock } = setUp()
    answers(() => Response.json(active(clock, changed)))

    const reply = await send().expect(401)

    expect(JSON.parse(reply.text)).toMatchObject({ code: 'invalid-token', detail: faults[rule] })
    expect(reply.headers['www-authenticate']).toBe(
      `Bearer realm="api", error="invalid_token", error_description="${faults[rule]}"`,
    )
    expect(JSON.stringify(reply.headers) + reply.text).not.toContain(TOKEN)
    expect(handled()).toBe(0)
  })

  test('it is not valid yet, and later it is', async () => {
    const { send, answers, clock } = setUp()
    const nbf = Math.floor(clock.now() / 1000) + 70
    const said = active(clock, { nbf })
    answers(() => Response.json(said))
    await send().expect(401)
    clock.advance(20_000)
    await send().expect(200)
  })
})

describe('what only looks odd passes:', () => {
  test.each<[string, Record<string, unknown>]>([
    ['no iss', { iss: undefined }],
    ['no token_type', { token_type: undefined }],
    ['a token_type in small letters', { token_type: 'bearer' }],
    ['our audience among others', { aud: ['https://other.test', 'https://api.test'] }],
    ['no client_id', { client_id: undefined }],
    ['what Keycloak says', { typ: 'Bearer', token_type: 'Bearer', username: 'ada' }],
    ['what Hydra says', { token_use: 'access_token', token_type: 'Bearer', ext: {} }],
  ])('%s', async (_what, changed) => {
    const { send, answers, clock } = setUp()
    answers(() => Response.json(active(clock, changed)))
    await send().expect(200)
  })

  test('a client without a user is its own subject', async () => {
    const { send, answers, clock, principal } = setUp()
    answers(() => Response.json(active(clock, { sub: undefined })))
    await send().expect(200)
    expect(principal()).toMatchObject({ id: `${ISSUER} shop`, subject: 'shop' })
  })
})

describe('no answer is 503, and no token is called bad for it:', () => {
  const json = (body: string, init: ResponseInit = {}) =>
    new Response(body, { headers: { 'content-type': 'application/json' }, ...init })

  test.each<[string, () => Response]>([
    ['HTML', () => new Response('<html>', { headers: { 'content-type': 'text/html' } })],
    [
      'JSON under another name',
      () => new Response('{"active":true}', { headers: { 'content-type': 'text/plain' } }),
    ],
    ['JSON without a name', () => new Response(new Uint8Array(Buffer.from('{"active":true}')))],
    [
      'a signed answer (RFC 9701)',
      () => new Response('a.b.c', { headers: { 'content-type': 'application/token-introspection+jwt' } }),
    ],
    ['no JSON', () => json('{"active":tru')],
    ['nothing', () => json('')],
    ['a list', () => json('[true]')],
    ['active as text', () => json('{"active":"true"}')],
    ['active as a number', () => json('{"active":1}')],
    ['no active', () => json('{"sub":"user-1"}')],
    ['active twice', () => json('{"active":false,"active":true}')],
    ['__proto__', () => json('{"__proto__":{"active":true}}')],
    ['201', () => json('{"active":true}', { status: 201, headers: { 'content-type': 'application/json' } })],
    ['401', () => json('{"active":true}', { status: 401 })],
    ['403', () => json('{}', { status: 403 })],
    ['429', () => json('{}', { status: 429 })],
    ['500', () => json('{}', { status: 500 })],
    ['a redirect', () => new Response(null, { status: 302, headers: { location: 'https://evil.test' } })],
    [
      '400',
      () =>
        json('{"error":"invalid_request"}', { status: 400, headers: { 'content-type': 'application/json' } }),
    ],
    ['more than 256 kB', () => json(`{"active":true,"a":"${'x'.repeat(262_144)}"}`)],
  ])('%s', async (_what, answer) => {
    const { send, handled, answers, logged } = setUp()
    answers(answer)

    for (let n = 0; n < 4; n++) {
      const reply = await send().expect(503).expect('Retry-After', '1')
      expect(JSON.parse(reply.text)).toMatchObject({ code: 'identity-provider-unavailable' })
      expect(reply.headers['www-authenticate']).toBeUndefined()
    }
    expect(handled()).toBe(0)
    expect(logged.join()).not.toContain(TOKEN)
    expect(logged.join()).not.toContain('secret-of-the-api')
  })

  test('a token that the issuer will not look at is bad, and the issuer is well', async () => {
    const { send, answers, asked, clock } = setUp()
    answers((token) =>
      token.startsWith('a.')
        ? Response.json({ error: 'unsupported_token_type' }, { status: 400 })
        : Response.json(active(clock)),
    )
    for (let n = 0; n < 5; n++) await send(`a.b.c${n}`).expect(401)
    await send().expect(200)
    expect(asked).toHaveLength(6)
  })

  test('a question that the issuer refuses does not make it look away for all others', async () => {
    const { send, answers, clock } = setUp()
    answers((token) =>
      token === TOKEN
        ? Response.json(active(clock))
        : Response.json({ error: 'invalid_request' }, { status: 400 }),
    )
    for (let n = 0; n < 5; n++) await send(`odd-${n}`).expect(503)
    await send().expect(200)
  })
})

describe('a real server that', () => {
  const servers: { close: () => void }[] = []
  afterEach(() => servers.splice(0).forEach((one) => one.close()))

  async function against(listener: RequestListener) {
    const server = createServer(listener)
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    servers.push({ close: () => (server.closeAllConnections(), server.close()) })
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/introspect`
    const clock = fakeClock()
    const api = serve(introspection({ ...own, endpoint, allowInsecureLoopback: true }), { clock })
    return { ...api, clock, send: () => api.get('/').set('Authorization', `Bearer ${TOKEN}`) }
  }

  test('redirects is not followed', async () => {
    let evil = 0
    const { send, handled } = await against((req, res) => {
      if (req.url === '/evil') evil++
      res.writeHead(307, { location: '/evil' }).end()
    })
    await send().expect(503)
    expect([evil, handled()]).toEqual([0, 0])
  })

  test('sends ten megabytes is not read to the end', async () => {
    const { send, handled } = await against((_req, res) => {
      res.writeHead(200, { 'content-type': 'application/json' })
      res.write('{"active":true,"a":"')
      for (let n = 0; n < 160; n++) res.write('x'.repeat(65_536))
      res.end('"}')
    })
    await send().expect(503)
    expect(handled()).toBe(0)
  })

  test('trickles is left after a second', async () => {
    let begun = () => undefined as void
    const beginning = new Promise<void>((resolve) => (begun = resolve))
    const { send, handled, clock } = await against((_req, res) => {
      res.writeHead(200, { 'content-type': 'application/json' })
      res.write('{')
      begun()
    })
    const reply = send().then((one) => one)
    await beginning
    clock.advance(1_000)
    expect((await reply).status).toBe(503)
    expect(handled()).toBe(0)
  })
})

describe('answers are remembered', () => {
  test('for half a minute, and then asked for anew', async () => {
    const { send, asked, clock } = setUp()
    await send().expect(200)
    clock.advance(29_999)
    await send().expect(200)
    expect(asked).toHaveLength(1)
    clock.advance(1)
    await send().expect(200)
    expect(asked).toHaveLength(2)
  })

  test('never past the end of the token', async () => {
    const { send, asked, answers, clock } = setUp()
    answers(() => Response.json(active(clock, { exp: Math.floor(clock.now() / 1000) + 10 })))
    await send().expect(200)
    answers(() => Response.json({ active: false }))
    clock.advance(10_000)
    await send().expect(401)
    expect(asked).toHaveLength(2)
  })

  test('shortly, if they are bad', async () => {
    const { send, asked, answers, clock } = setUp({}, () => Response.json({ active: false }))
    for (let n = 0; n < 3; n++) await send().expect(401)
    expect(asked).toHaveLength(1)
    answers(() => Response.json(active(clock)))
    clock.advance(5_000)
    await send().expect(200)
  })

  test('whatever the wall clock does', async () => {
    const { send, asked, clock } = setUp()
    await send().expect(200)
    clock.jump(-86_400_000)
    clock.advance(30_000)
    await send()
    expect(asked).toHaveLength(2)
  })

  test('until the issuer says otherwise, also if the clock goes back then', async () => {
    const { send, answers, clock } = setUp({ cacheMs: 600_000 })
    await send().expect(200)
    answers(() => Response.json({ active: false }))
    clock.jump(300_000)
    await send().expect(401)
    clock.jump(-300_000)
    clock.advance(5_000)
    await send().expect(401)
  })

  test('not with 0', async () => {
    for (const options of [{ cacheMs: 0 }, { cacheEntries: 0 }]) {
      const { send, asked } = setUp(options)
      await send().expect(200)
      await send().expect(200)
      expect(asked).toHaveLength(2)
    }
  })

  test('apart: made-up tokens push out none that is used', async () => {
    const { send, asked, answers, clock } = setUp({ cacheEntries: 4 })
    await send().expect(200)
    answers(() => Response.json({ active: false }))
    for (let n = 0; n < 20; n++) await send(`made-up-${n}`).expect(401)
    answers(() => Response.json(active(clock)))
    await send().expect(200)
    expect(asked.filter(({ token }) => token === TOKEN)).toHaveLength(1)
  })

  test('until close', async () => {
    const { send, asked, stage } = setUp()
    await send().expect(200)
    await stage.close!()
    await send().expect(200)
    expect(asked).toHaveLength(2)
  })
})

describe('the issuer is spared', () => {
  /** Answers when it is told to. */
  function slow() {
    const waiting: (() => void)[] = []
    const set = setUp(
      { maxCalls: 2 },
      () => new Promise((resolve) => waiting.push(() => resolve(Response.json(active(set.clock))))),
    )
    const all = async (tokens: readonly string[]) => {
      const replies = tokens.map((token) => ask(set.stage, set.services, `Bearer ${token}`))
      for (let n = 0; n < 20; n++) await turn()
      return replies
    }
    const release = async () => {
      for (const one of waiting.splice(0)) one()
      for (let n = 0; n < 20; n++) await turn()
    }
    return { ...set, all, release }
  }
  const statuses = async (replies: Promise<{ status: number }>[]) =>
    (await Promise.all(replies)).map(({ status }) => status)

  test('who asks about one token at one time shares the question', async () => {
    const { all, release, asked } = slow()
    const replies = await all(Array.from({ length: 50 }, () => TOKEN))
    expect(asked).toHaveLength(1)
    await release()
    expect(new Set(await statuses(replies))).toEqual(new Set([200]))
  })

  test('no more questions are open than are allowed; the others wait in turn', async () => {
    const { all, release, asked } = slow()
    const replies = await all(['a', 'b', 'c', 'd', 'e'])
    expect(asked.map(({ token }) => token)).toEqual(['a', 'b'])
    await release()
    expect(asked.map(({ token }) => token)).toEqual(['a', 'b', 'c', 'd'])
    await release()
    await release()
    expect(await statuses(replies)).toEqual([200, 200, 200, 200, 200])
  })

  test('who comes while a hundred wait, and who waits longer than a second, is told to come again', async () => {
    const { all, clock, asked } = slow()
    const replies = await all(Array.from({ length: 103 }, (_, n) => `t${n}`))
    const last = await replies.at(-1)!
    expect(last.problem).toMatchObject({
      status: 503,
      rule: 'introspection-crowded',
      headers: { 'Retry-After': '1' },
    })
    clock.advance(1_000)
    expect(new Set(await statuses(replies))).toEqual(new Set([503]))
    expect(asked).toHaveLength(2)
  })

  test('after three failures it is left alone, and tried once a second; one line says so, and one that it is back', async () => {
    const { send, asked, answers, clock, logged } = setUp({}, () =>
      Promise.reject(new TypeError('fetch failed')),
    )
    for (let n = 0; n < 10; n++) await send(`t${n}`).expect(503)
    expect(asked).toHaveLength(3)
    clock.advance(1_000)
    for (let n = 0; n < 5; n++) await send(`u${n}`).expect(503)
    expect(asked).toHaveLength(4)

    answers(() => Response.json(active(clock)))
    clock.advance(1_000)
    await send().expect(200)
    await send('another').expect(200)
    expect(logged.map((line) => line.split(' ').slice(0, 5).join(' '))).toEqual([
      'error introspection: the issuer does',
      'warn introspection: the issuer answers',
    ])
  })

  test('an issuer that hangs is given up after a second', async () => {
    const { stage, services, clock } = setUp({}, () => new Promise(() => undefined))
    const reply = ask(stage, services, `Bearer ${TOKEN}`)
    for (let n = 0; n < 5; n++) await turn()
    clock.advance(1_000)
    expect((await reply).problem).toMatchObject({ status: 503, rule: 'introspection-unavailable' })
  })

  test('close ends what is open', async () => {
    const { stage, services } = setUp({}, () => new Promise(() => undefined))
    const reply = ask(stage, services, `Bearer ${TOKEN}`)
    for (let n = 0; n < 5; n++) await turn()
    await stage.close!()
    expect((await reply).status).toBe(503)
  })
})

describe('without an endpoint', () => {
  const discovering = (metadata: object) => {
    const clock = fakeClock()
    const urls: string[] = []
    const fetch = (async (url: string) => {
      urls.push(url)
      return Response.json(url === ENDPOINT ? active(clock) : metadata)
    }) as typeof globalThis.fetch
    const { get } = serve(introspection(discovered), { clock, fetch })
    return { urls, send: (token: string) => get('/').set('Authorization', `Bearer ${token}`) }
  }

  test('it is found in the metadata, once', async () => {
    const { send, urls } = discovering({ issuer: ISSUER, introspection_endpoint: ENDPOINT })
    await send('a').expect(200)
    await send('b').expect(200)
    expect(urls).toEqual([`${ISSUER}/.well-known/openid-configuration`, ENDPOINT, ENDPOINT])
  })

  test.each([
    ['of another issuer', { issuer: 'https://evil.test', introspection_endpoint: ENDPOINT }],
    ['without it', { issuer: ISSUER }],
    ['with one over http', { issuer: ISSUER, introspection_endpoint: 'http://id.test/introspect' }],
  ])('metadata %s are not believed', async (_what, metadata) => {
    const { send, urls } = discovering(metadata)
    await send('a').expect(503)
    expect(urls).not.toContain(ENDPOINT)
  })
})

describe('beside bearer', () => {
  const jwts = localIssuer()
  const opaque: string[] = []

  test.each([false, true])(
    'JWTs of its issuers are its own, all else is asked about (reversed: %s)',
    async (reversed) => {
      const clock = fakeClock()
      const issuer = localIssuer({ clock })
      opaque.length = 0
      const fetch = (async (url: string, init: RequestInit) => {
        if (url !== ENDPOINT) return issuer.fetch(url, init)
        opaque.push(new URLSearchParams(init.body as string).get('token')!)
        return Response.json(active(clock))
      }) as typeof globalThis.fetch
      const methods = [bearer({ issuer: issuer.issuer, audience: issuer.audience }), introspection(own)]
      const seen: (string | undefined)[] = []
      const { get } = serve(auth(reversed ? methods.reverse() : methods), {
        clock,
        fetch,
        handler(req, res) {
          seen.push(contextOf(req)?.principal?.method)
          res.end()
        },
      })
      const send = (token: string) => get('/').set('Authorization', `Bearer ${token}`)
      const foreign = jwts.mint({ iss: 'https://elsewhere.test' })

      await send(issuer.mint()).expect(200)
      await send(TOKEN).expect(200)
      await send(foreign).expect(200)
      const forged = `${issuer.mint().slice(0, -8)}AAAAAAAA`
      await send(forged).expect(401)
      await send(issuer.mint({ exp: 1 })).expect(401)

      expect(seen).toEqual(['bearer', 'introspection', 'introspection'])
      expect(opaque).toEqual([TOKEN, foreign])
    },
  )

  test('one challenge is enough for both', async () => {
    const { get } = serve(auth([bearer({ issuer: jwts.issuer, audience: 'a' }), introspection(own)]))
    const reply = await get('/').expect(401)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'unauthenticated' })
    expect(reply.headers['www-authenticate']).toContain('Bearer realm="api"')
  })
})

describe('requests without a token of this kind', () => {
  test.each([
    ['nothing', {}, 401, 'unauthenticated'],
    ['another scheme', { Authorization: 'Basic YTpi' }, 401, 'unauthenticated'],
    ['no token', { Authorization: 'Bearer' }, 400, 'invalid-request'],
    ['odd characters', { Authorization: 'Bearer a b' }, 400, 'invalid-request'],
    ['a token that is too long', { Authorization: `Bearer ${'a'.repeat(8_193)}` }, 401, 'invalid-token'],
  ])('%s', async (_what, headers, status, code) => {
    const { get, handled, asked } = setUp()
    const reply = await get('/').set(headers).expect(status)
    expect(JSON.parse(reply.text)).toMatchObject({ code })
    expect(reply.headers['www-authenticate']).toContain('Bearer realm="api"')
    expect([handled(), asked.length]).toEqual([0, 0])
  })
})

test('auth({ maxLifetimeSeconds }) holds for it too', async () => {
  const clock = fakeClock()
  const fetch = (async () => Response.json(active(clock))) as typeof globalThis.fetch
  const { get, handled } = serve(auth({ any: [introspection(own)], maxLifetimeSeconds: 299 }), {
    clock,
    fetch,
  })
  await get('/').set('Authorization', `Bearer ${TOKEN}`).expect(401)
  expect(handled()).toBe(0)
})
