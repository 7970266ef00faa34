import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { csrf, type CsrfOptions } from '../../src/access/csrf.js'
import { csrfToken } from '../../src/access/csrf-token.js'
import { basic } from '../../src/identity/basic.js'
import { session } from '../../src/identity/session.js'
import { ambientProof } from '../../src/kernel/ambient.js'
import { SecurityContext } from '../../src/kernel/context.js'
import { defineStage } from '../../src/kernel/define.js'
import { memory } from '../../src/kernel/memory.js'
import type { Problem } from '../../src/kernel/problem.js'
import { createServices } from '../../src/kernel/services.js'
import { expectRefused, fakeClock, serve } from '../../src/testing/index.js'
import { testApi } from '../support/api.js'

const APP = 'https://app.example.com'
const secret = randomBytes(32)

/** A caller proven by what is sent unasked, in the session that `x-session` names; without it, nobody is. */
const proven = defineStage('proven', () => ({
  enter(ctx) {
    const name = ctx.req.headers['x-session'] as string | undefined
    ctx.set(ambientProof, name === undefined ? undefined : { binding: name })
  },
}))

function setUp(options: CsrfOptions = {}) {
  const tokens: string[] = []
  const api = serve([proven(), csrf(options)], {
    trace: true,
    handler(req, res) {
      if (options.secret !== undefined) tokens.push(csrfToken(req, res))
      res.end('{}')
    },
  })
  const post = (headers: Record<string, string>) => {
    const request = api.post('/').set('Host', 'api.example.com').set('X-Session', 's1')
    for (const [name, value] of Object.entries(headers)) void request.set(name, value)
    return request
  }
  return { ...api, post, tokens }
}

describe('a request that may change something', () => {
  test.each<[Record<string, string>, string]>([
    [{ 'Sec-Fetch-Site': 'same-origin' }, 'the page itself'],
    [{ 'Sec-Fetch-Site': 'none' }, 'the user'],
    [{ 'Sec-Fetch-Site': 'same-origin', Origin: 'https://behind-a-proxy.internal' }, 'the page itself'],
    [{ 'Sec-Fetch-Site': 'cross-site', Origin: APP }, 'a listed origin'],
    [{ 'Sec-Fetch-Site': 'same-site', Origin: APP }, 'a listed origin'],
    [{ Origin: APP }, 'a listed origin'],
    [{ Origin: 'https://api.example.com' }, 'the host that was called'],
    [{ Origin: 'http://api.example.com' }, 'the host that was called, without TLS as far as is known'],
    [{ Origin: 'https://api.example.com', Host: 'API.example.com:443' }, 'the host that was called'],
    [{ Origin: 'http://localhost:3000', Host: 'localhost:3000' }, 'the host that was called'],
  ])('passes with %j: %s sent it', async (headers) => {
    const { post, handled } = setUp({ origins: [APP] })
    await post(headers).expect(200)
    expect(handled()).toBe(1)
  })

  test.each<[Record<string, string>, string]>([
    [{ 'Sec-Fetch-Site': 'cross-site' }, 'cross-site'],
    [{ 'Sec-Fetch-Site': 'same-site' }, 'cross-site'],
    [{ 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }, 'cross-site'],
    // What the page cannot decide counts, not what looks like the API itself.
    [{ 'Sec-Fetch-Site': 'cross-site', Origin: 'https://api.example.com' }, 'cross-site'],
    [{ 'Sec-Fetch-Site': 'Same-Origin' }, 'cross-site'],
    [{ 'Sec-Fetch-Site': 'same-origin, cross-site' }, 'cross-site'],
    [{ 'Sec-Fetch-Site': '' }, 'cross-site'],
    [{ Origin: 'null' }, 'cross-origin'],
    [{ Origin: '' }, 'cross-origin'],
    [{ Origin: 'https://evil.example' }, 'cross-origin'],
    [{ Origin: 'https://api.example.com.evil.example' }, 'cross-origin'],
    [{ Origin: 'https://evilapi.example.com' }, 'cross-origin'],
    [{ Origin: 'https://api.example.com@evil.example' }, 'cross-origin'],
    [{ Origin: 'https://evil.example/https://api.example.com' }, 'cross-origin'],
    [{ Origin: 'https://api.example.com:8443' }, 'cross-origin'],
    [{ Origin: 'https://api.example.com:80', Host: 'api.example.com' }, 'cross-origin'],
    [{ Origin: 'https://APP.example.com' }, 'cross-origin'],
    [{ Origin: `${APP}, https://evil.example` }, 'cross-origin'],
    [{ Origin: 'capacitor://api.example.com' }, 'cross-origin'],
    [{}, 'csrf-unknown'],
    [{ Referer: 'https://api.example.com/' }, 'csrf-unknown'],
  ])('is refused with %j', async (headers, rule) => {
    for (const origins of [undefined, [APP]]) {
      const stage = csrf(origins === undefined ? {} : { origins })
      let refused: unknown
      const { post, handled } = serve([proven(), stage], {
        respond: (ctx, problem) => void ((refused = problem), ctx.res.writeHead(problem.status).end()),
      })
      const request = post('/').set({ Host: 'api.example.com', 'X-Session': 's1', ...headers })
      await request.expect(403)
      expect(refused).toMatchObject({ code: 'cross-site-request', rule })
      expect(handled()).toBe(0)
    }
  })

  test('is refused with a problem of its own, which repeats nothing', async () => {
    const { post } = setUp()
    const reply = await post({ Origin: 'https://evil.example' }).expect(403)
    expect(reply.headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(JSON.parse(reply.text)).toEqual({
      type: 'urn:secure-api:problem:cross-site-request',
      title: 'The request may have been sent by another site.',
      status: 403,
      code: 'cross-site-request',
      detail: 'Pages of this origin may not send such requests',
    })
  })

  test.each(['put', 'patch', 'delete'] as const)('is one by %s', async (method) => {
    const api = setUp()
    await api[method]('/').set({ 'X-Session': 's1', 'Sec-Fetch-Site': 'cross-site' }).expect(403)
  })

  test('over TLS, does not pass for a page of the same host without it', () => {
    const enter = (origin: string, socket: object, more: object = {}) => {
      const headers = { host: 'api.example.com', origin, ...more }
      const req = { method: 'POST', headers, rawHeaders: [], socket } as unknown as IncomingMessage
      const ctx = new SecurityContext(req, {} as unknown as ServerResponse, createServices({ trustProxy: 1 }))
      return csrf({ always: true }).stage.enter!(ctx) as Problem | undefined
    }
    expect(enter('http://api.example.com', { encrypted: true })).toMatchObject({ rule: 'cross-origin' })
    expect(enter('https://api.example.com', { encrypted: true })).toBeUndefined()
    expect(enter('http://api.example.com', {})).toBeUndefined()
    // It ends at a declared proxy.
    const proxy = { remoteAddress: '127.0.0.1' }
    const overTls = { 'x-forwarded-proto': 'https' }
    expect(enter('http://api.example.com', proxy, overTls)).toMatchObject({ rule: 'cross-origin' })
    expect(enter('https://api.example.com', proxy, overTls)).toBeUndefined()
    expect(enter('http://api.example.com', proxy, { 'x-forwarded-proto': 'http' })).toBeUndefined()
  })
})

test.each(['get', 'head', 'options'] as const)('%s, which asks for no change, is free', async (method) => {
  const api = setUp()
  await api[method]('/').set({ 'X-Session': 's1', 'Sec-Fetch-Site': 'cross-site' }).expect(200)
})

test('whoever was not proven by what is sent unasked is not judged, unless it is written', async () => {
  await setUp().post({ 'X-Session': '', 'Sec-Fetch-Site': 'cross-site' }).expect(403)
  const anonymous = serve([proven(), csrf()])
  await anonymous.post('/').set('Sec-Fetch-Site', 'cross-site').expect(200)
  const always = serve([proven(), csrf({ always: true })])
  await always.post('/').set('Sec-Fetch-Site', 'cross-site').expect(403)
  await always.post('/').set('Sec-Fetch-Site', 'same-origin').expect(200)
  expect(always.handled()).toBe(1)
})

test('machines that have what browsers have too need not say where they are', async () => {
  const machine = defineStage('machine', () => ({
    enter: (ctx) => ctx.set(ambientProof, { binding: 'key', machines: true }),
  }))
  const api = serve([machine(), csrf()])
  await api.post('/').expect(200)
  await api.post('/').set('Sec-Fetch-Site', 'same-origin').expect(200)
  const odd: Record<string, string>[] = [
    { 'Sec-Fetch-Site': 'cross-site' },
    { Origin: 'null' },
    { Origin: '' },
    { 'Sec-Fetch-Site': '' },
  ]
  for (const said of odd) await api.post('/').set(said).expect(403)
  expect(api.handled()).toBe(2)
  const always = serve([machine(), csrf({ always: true })])
  await always.post('/').expect(403)
})

describe('beside what machines have too, who says nothing of where it comes from', () => {
  const machine = defineStage('machine', () => ({
    enter: (ctx) => ctx.set(ambientProof, { binding: 'key', machines: true }),
  }))
  const start = (options: CsrfOptions = {}) => serve([machine(), csrf(options)], { trace: true })

  test.each([
    [
      'Safari 15, after another site has redirected its form',
      'Mozilla/5.0 (iPhone; CPU iPhone OS 15_8 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6 Mobile/15E148 Safari/604.1',
    ],
    [
      'Firefox 89 that sends no Origin',
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:89.0) Gecko/20100101 Firefox/89.0',
    ],
    ['Internet Explorer', 'Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko'],
    ['a browser of the last century', 'Mozilla/4.0 (compatible; MSIE 5.0; Windows NT)'],
    ['a browser that mentions PowerShell', 'Mozilla/5.0 PowerShell'],
  ])('is a browser, and refused: %s', async (_who, agent) => {
    const { post, get, handled } = start()
    await post('/').set('User-Agent', agent).expect(expectRefused('cross-site-request'))
    expect(handled()).toBe(0)
    await post('/').set('User-Agent', agent).set('Sec-Fetch-Site', 'same-origin').expect(200)
    await get('/').set('User-Agent', agent).expect(200)
  })

  test.each([
    ['curl', 'curl/8.5.0'],
    ['Node', 'node'],
    ['Python', 'python-requests/2.32.3'],
    ['Java', 'Java/21.0.4'],
    ['Go', 'Go-http-client/2.0'],
    ['PowerShell 5', 'Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.4648'],
    ['PowerShell 7', 'Mozilla/5.0 (Windows NT 10.0; Microsoft Windows 10.0.22631; en-US) PowerShell/7.4.5'],
    ['what only mentions a browser', 'acme-sync/1.0 (like Mozilla/5.0)'],
    ['nobody that says a name', ''],
  ])('is a machine, and let alone: %s', async (_who, agent) => {
    const { post, handled } = start()
    await post('/').set('User-Agent', agent).expect(200)
    expect(handled()).toBe(1)
  })

  test('and calls itself a browser, may say by Origin that it means this API', async () => {
    const { post } = start()
    const asBrowser = { 'User-Agent': 'Mozilla/5.0 (compatible; acme-sync/1.0)', Host: 'api.example.com' }
    await post('/').set(asBrowser).expect(403)
    await post('/').set(asBrowser).set('Origin', 'https://api.example.com').expect(200)
  })
})

describe('a token that is sent twice', () => {
  /** A token for a session, and a request with it that says by nothing else where it comes from. */
  async function withToken(options: CsrfOptions = { secret }, name = 's1') {
    const api = setUp(options)
    const issued = await api.get('/').set('X-Session', name).expect(200)
    const [cookie] = issued.headers['set-cookie'] as unknown as string[]
    const token = api.tokens[0]!
    const send = (headers: Record<string, string>) => api.post(headers)
    return {
      ...api,
      cookie: cookie!,
      token,
      send,
      pair: { Cookie: `__Host-csrf=${token}`, 'X-CSRF-Token': token },
    }
  }

  test('stands in for what old clients do not send', async () => {
    const { send, pair, cookie, token, handled } = await withToken()
    expect(token).toMatch(/^[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}$/)
    expect(cookie).toBe(`__Host-csrf=${token}; Path=/; Secure; SameSite=Strict`)
    await send(pair).expect(200)
    expect(handled()).toBe(2)
  })

  test('is as good as none where it is said that another site sent the request', async () => {
    const { send, pair } = await withToken()
    await send({ ...pair, 'Sec-Fetch-Site': 'cross-site' }).expect(403)
    await send({ ...pair, Origin: 'https://evil.example' }).expect(403)
  })

  test('goes with one session, and one API', async () => {
    const { send, pair } = await withToken()
    await send({ ...pair, 'X-Session': 's2' }).expect(403)
    const other = setUp({ secret: randomBytes(32) })
    await other.post(pair).expect(403)
    const rotated = setUp({ secret: [randomBytes(32), secret] })
    await rotated.post(pair).expect(200)
  })

  test.each<[string, (token: string) => Record<string, string>]>([
    ['in the cookie alone', (token) => ({ Cookie: `__Host-csrf=${token}` })],
    ['in the field alone', (token) => ({ 'X-CSRF-Token': token })],
    ['in a cookie of another name', (token) => ({ Cookie: `csrf=${token}`, 'X-CSRF-Token': token })],
    [
      'in two cookies',
      (token) => ({ Cookie: `__Host-csrf=${token}; __Host-csrf=${token}`, 'X-CSRF-Token': token }),
    ],
    ['in two fields', (token) => ({ Cookie: `__Host-csrf=${token}`, 'X-CSRF-Token': `${token}, ${token}` })],
    ['cut off', (token) => both(token.slice(0, -1))],
    ['with another random part', (token) => both(`${'A'.repeat(22)}${token.slice(22)}`)],
    ['with another signature', (token) => both(`${token.slice(0, 23)}${'A'.repeat(43)}`)],
    ['without a signature', (token) => both(token.slice(0, 23))],
    ['of two kinds', (token) => ({ ...both(token), 'X-CSRF-Token': `${'A'.repeat(22)}${token.slice(22)}` })],
    ['that is empty', () => both('')],
  ])('is none %s', async (_what, headers) => {
    const { send, token, handled } = await withToken()
    const reply = await send(headers(token)).expect(403)
    expect(JSON.parse(reply.text).code).toBe('cross-site-request')
    expect(reply.text).not.toContain(token)
    expect(handled()).toBe(1)
  })
  const both = (token: string) => ({ Cookie: `__Host-csrf=${token}`, 'X-CSRF-Token': token })

  test('is for logins too, which have no session', async () => {
    const api = serve([proven(), csrf({ secret, always: true })], {
      handler: (req, res) => res.end(csrfToken(req, res)),
    })
    const { text } = await api.get('/').expect(200)
    await api.post('/').set(both(text)).expect(200)
    // And no more once there is one.
    await api.post('/').set(both(text)).set('X-Session', 's1').expect(403)
  })

  test('cannot be had where nothing makes them, or too late', async () => {
    const api = serve([proven(), csrf()], {
      handler(req, res) {
        expect(() => csrfToken(req, res)).toThrow('no csrf stage with a secret')
        res.end('{}')
      },
    })
    await api.get('/').expect(200)
    const late = serve(csrf({ secret }), {
      handler(req, res) {
        res.flushHeaders()
        expect(() => csrfToken(req, res)).toThrow('has begun')
        res.end('{}')
      },
    })
    await late.get('/').expect(200)
  })
})

test('with a session: the cookie is judged, the login if that is written, and a token of the login goes with it', async () => {
  const clock = fakeClock()
  const sessions = session({ store: memory({ clock }), clock })
  const { api, as, events } = testApi({
    clock,
    csrf: { secret },
    routes: { 'POST /login': { public: true, csrf: { always: true } }, 'POST /open': { public: true } },
    auth: [sessions],
  })
  const served = serve(api, {
    clock,
    handler(req, res) {
      if (req.url !== '/login') return void res.end('{}')
      sessions.login(req, res, { subject: 'ann' }).then(
        () => res.end(csrfToken(req, res)),
        () => res.writeHead(500).end(),
      )
    },
  })
  const evil = { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }
  await served.post('/login').set(evil).expect(403)
  await served.post('/open').set(evil).expect(200)
  const login = await served.post('/login').set('Sec-Fetch-Site', 'same-origin').expect(200)
  const cookies = login.headers['set-cookie'] as unknown as string[]
  const Cookie = cookies.map((one) => one.split(';')[0]).join('; ')
  await served
    .post('/orders')
    .set({ Cookie, ...evil })
    .expect(403)
  await served.post('/orders').set({ Cookie }).expect(403)
  await served.post('/orders').set({ Cookie, 'X-CSRF-Token': login.text }).expect(200)
  await served
    .get('/orders')
    .set({ Cookie, ...evil })
    .expect(200)
  // A page cannot send this on behalf of whoever visits it.
  await served
    .post('/orders')
    .set({ Cookie, ...evil, Authorization: as() })
    .expect(401)
  const refused = ({ kind, rule }: Record<string, unknown>) => kind === 'decision' && rule === 'cross-site'
  expect(events.filter(refused)).toHaveLength(2)
})

test.each<[object, RegExp]>([
  [{ origins: [] }, /csrf\.origins must list at least one origin/],
  [{ origins: ['*'] }, /must name one origin/],
  [{ origins: ['null'] }, /must not be "null"/],
  [{ origins: ['https://app.example.com/'] }, /write "https:\/\/app.example.com"/],
  [{ origins: undefined }, /csrf\.origins is undefined/],
  [{ always: 'yes' }, /csrf\.always must be true or false/],
  [{ secret: 'short' }, /csrf\.secret must have at least 32 bytes/],
  [{ secret: [] }, /csrf\.secret must be one secret or a list/],
  [{ secret: undefined }, /csrf\.secret is undefined/],
  [{ secret, header: 'Content-Type' }, /csrf\.header must begin with X-/],
  [{ dangerouslyAllowHttp: 1 }, /csrf\.dangerouslyAllowHttp/],
  [
    { header: 'X-Token' },
    /csrf\.header says something about tokens, and there are none without csrf\.secret/,
  ],
  [{ dangerouslyAllowHttp: true }, /csrf\.dangerouslyAllowHttp says something about tokens/],
  [{ methods: ['POST'] }, /no option "methods"/],
])('does not start with %j', (options, message) => {
  expect(() => csrf(options as CsrfOptions)).toThrow(message)
})

describe('a route or guard beside the general setting', () => {
  const route = (general: CsrfOptions | boolean, own: unknown) => () =>
    testApi({ csrf: general, routes: { 'POST /pay': { csrf: own as CsrfOptions } } })
  const guard = (general: CsrfOptions | boolean, own: unknown) => () =>
    testApi({ csrf: general }).api.guard({ csrf: own as CsrfOptions })
  const other = 'https://other.example.com'

  test.each<[CsrfOptions | boolean, CsrfOptions, string]>([
    [{ origins: [APP] }, { origins: [other] }, '.csrf.origins has none of csrf.origins'],
    [{}, { origins: [other] }, '.csrf.origins has none of csrf.origins'],
    [{ always: true }, { always: true, origins: [other] }, '.csrf.origins has none of csrf.origins'],
    [{ secret }, { secret: randomBytes(32) }, '.csrf.secret is not that of the API'],
    [{}, { secret }, '.csrf.secret is not that of the API'],
    [true, { secret, header: 'X-Token' }, '.csrf.secret is not that of the API'],
    [{ secret }, { header: 'X-Token' }, '.csrf.header is not that of the API'],
    [{ secret }, { dangerouslyAllowHttp: true }, '.csrf.dangerouslyAllowHttp is not that of the API'],
  ])('does not start where both are asked and no request is both: %#', (general, own, message) => {
    expect(route(general, own)).toThrow(`routes['POST /pay']${message}`)
    expect(guard(general, own)).toThrow(`guard${message}`)
    expect(route(general, { replace: own })).not.toThrow()
  })

  test.each<[CsrfOptions | boolean, CsrfOptions]>([
    [{ origins: [APP, other] }, { origins: [other] }],
    [{ origins: [APP] }, { origins: [other, APP] }],
    [{}, { always: true, origins: [other] }],
    [{ origins: [APP] }, { always: true, origins: [other] }],
    [{ secret: [secret] }, { secret: [secret], header: 'X-CSRF-Token', dangerouslyAllowHttp: false }],
    [{ secret }, { always: true }],
    [false, { secret, origins: [APP] }],
  ])('starts where some request is both: %#', (general, own) => {
    expect(route(general, own)).not.toThrow()
    expect(guard(general, own)).not.toThrow()
  })
})

test('api.check names what is risky', () => {
  const codes = (stage: ReturnType<typeof csrf>) =>
    stage.stage.findings!().map(({ code, severity }) => [code, severity])
  expect(codes(csrf({ origins: [APP, 'http://localhost:3000'] }))).toEqual([])
  const unsafe = { origins: ['http://app.example.com'], secret, dangerouslyAllowHttp: true }
  expect(codes(csrf(unsafe))).toEqual([
    ['csrf-over-http', 'high'],
    ['csrf-insecure-origin', 'high'],
  ])
  const clock = fakeClock()
  const sessions = session({ store: memory({ clock }) })
  for (const auth of [[sessions], { any: [sessions] }]) {
    const { api } = testApi({ auth, csrf: false })
    expect(api.check({}).map(({ code }) => code)).toContain('csrf-off')
  }
  const found = (settings: Parameters<typeof testApi>[0]) =>
    testApi({ auth: [sessions], ...settings })
      .api.check({})
      .filter(({ code }) => /csrf|stepUp/.test(code))
      .map(({ code, route = '' }) => `${code} ${route}`.trim())
  expect(found({})).toEqual([])
  expect(found({ routes: { 'POST /pay': { csrf: false } } })).toEqual(['csrf-off POST /pay'])
  expect(found({ routes: { 'POST /hook': { public: true, csrf: false } } })).toEqual([])
  expect(found({ mode: { csrf: 'report' } })).toEqual(['csrf-reported'])
  expect(found({ routes: { 'POST /pay': { mode: { csrf: 'report' } } } })).toEqual([
    'csrf-reported POST /pay',
  ])
  expect(found({ stepUp: { maxAgeSeconds: 60 }, mode: { stepUp: 'report' } })).toEqual(['stepUp-reported'])
  expect(found({ auth: [basic({ users: {} })], csrf: false })).toEqual(['csrf-off'])
  expect(
    testApi({ csrf: false })
      .api.check({})
      .map(({ code }) => code),
  ).not.toContain('csrf-off')
})
