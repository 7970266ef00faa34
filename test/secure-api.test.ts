import { createServer, type RequestListener } from 'node:http'
import request from 'supertest'
import { defineStage } from '../src/kernel/define.js'
import { contextOf } from '../src/kernel/context.js'
import { refuse } from '../src/kernel/problem.js'
import { asyncHandler } from '../src/kernel/async-handler.js'
import { secureApi } from '../src/secure-api.js'
import { fakeClock } from '../src/testing/index.js'
import { sendJson, silent, testApi, type TestApi } from './support/api.js'
import { expressVersions } from './support/express.js'

const roles = { clerk: ['orders:read', 'orders:create'], admin: ['*'] }
const Order = { type: 'object', required: ['item'], properties: { item: { type: 'string' } } }

describe('at start', () => {
  test('refuses to start without auth, and names both ways out', () => {
    expect(() => secureApi({} as never)).toThrow(/auth: \[bearer\(\{ issuer, audience \}\)\].*auth: false/)
  })

  test.each<[string, object, RegExp]>([
    ['an unknown protection', { ratelimit: true }, /no option "ratelimit". Did you mean "rateLimit"/],
    ['an unknown route option', { routes: { 'GET /a': { rabc: 'x' } } }, /Did you mean "rbac"/],
    ['a route that switches auth off', { routes: { 'GET /a': { auth: false } } }, /write public: true/],
    [
      'a public route with a rule',
      { rbac: { roles }, routes: { 'GET /a': { public: true, rbac: 'orders:read' } } },
      /public and has rbac/,
    ],
    ['public: false', { routes: { 'GET /a': { public: false } } }, /must be true or absent/],
    [
      'headers that would silently replace',
      { routes: { 'GET /a': { headers: {} } } },
      /write \{ replace: \.\.\. \}/,
    ],
    [
      'an unknown permission in a rule',
      { rbac: { roles }, routes: { 'GET /a': { rbac: 'orders:raed' } } },
      /orders:read/,
    ],
    [
      'an unknown anchor',
      { extra: [{ after: 'autth', stage: defineStage('x', () => ({}))() }] },
      /Did you mean "auth"/,
    ],
    [
      'a scope rule that nobody can meet',
      { auth: false, routes: { 'GET /a': { rbac: { scope: 'x' } } } },
      /rbac needs the principal/,
    ],
    ['a reported firewall', { mode: { firewall: 'report' } }, /mode.firewall cannot be 'report'/],
    ['an unknown mode', { mode: 'dry-run' }, /mode must be one of/],
    ['a mode for nothing', { mode: { rbca: 'report' } }, /Did you mean "rbac"/],
    ['two equal routes', { routes: { 'GET /a/:b': {}, 'GET /A/:c': {} } }, /fit the same requests/],
    [
      'two limits with one name',
      { rateLimit: [{ name: 'a' }, { name: 'b' }], quota: { name: 'b' } },
      /two limits are named "b"/,
    ],
    ['trustProxy: true', { trustProxy: true }, /trustProxy: true would let every client choose/],
    [
      'a timeout that timers cannot hold',
      { handlerTimeoutMs: 2 ** 31 },
      /handlerTimeoutMs must be an integer/,
    ],
    ['auth: null', { auth: null }, /secureApi needs auth/],
    ['null for a protection', { mask: null }, /mask must not be null/],
    ['a responder that is none', { respond: null }, /respond must be a function/],
    ['a bad timeout', { handlerTimeoutMs: 0 }, /handlerTimeoutMs must be an integer/],
    [
      'narrowing an auth that is off',
      { auth: false, routes: { 'GET /a': { auth: { optional: true } } } },
      /auth is false/,
    ],
  ])('refuses %s', (_what, options, message) => {
    expect(() => testApi(options)).toThrow(message)
  })

  test.each<[string, object, RegExp]>([
    ['public', { public: true }, /guard.public comes too late/],
    ['false', { rateLimit: false }, /a guard only adds/],
    ['a replacement', { rbac: { replace: 'orders:read' } }, /a guard only adds/],
    ['body limits', { body: { maxBytes: 10 } }, /guard.body comes too late/],
    ['an optional credential', { auth: { optional: true } }, /optional/],
    ['a mode', { mode: 'report' }, /guard.mode comes too late/],
    ['an unknown row', { rabc: 'x' }, /Did you mean "rbac"/],
  ])('a guard refuses %s', (_what, settings, message) => {
    const { api } = testApi({ rbac: { roles } })
    expect(() => api.guard(settings)).toThrow(message)
  })
})

describe.each(expressVersions)('on %s', (_name, express) => {
  type Door = (test: TestApi, build: (app: ReturnType<typeof express>) => void) => RequestListener
  const doors: [string, Door][] = [
    [
      'app.use',
      ({ api }, build) => {
        const app = express()
        app.use(api as never)
        build(app)
        app.use(api.errors() as never)
        return app as never
      },
    ],
    [
      'the front door',
      ({ api }, build) => {
        const app = express()
        build(app)
        app.use(api.errors() as never)
        return api.protect(app as never)
      },
    ],
    [
      'both doors',
      ({ api }, build) => {
        const app = express()
        app.use(api as never)
        build(app)
        app.use(api.errors() as never)
        return api.protect(app as never)
      },
    ],
  ]

  describe.each(doors)('through %s', (_door, open) => {
    test('an unlisted route needs a caller, and a known caller gets in', async () => {
      const setup = testApi()
      let handled = 0
      const server = createServer(
        open(setup, (app) => app.get('/orders', (_req, res) => void res.json({ n: ++handled }))),
      )

      const refused = await request(server).get('/orders').expect(401)
      expect(refused.headers['www-authenticate']).toBe('Bearer realm="api"')
      expect(refused.headers['content-type']).toBe('application/problem+json; charset=utf-8')
      expect(JSON.parse(refused.text)).toMatchObject({ code: 'unauthenticated', status: 401 })
      expect(refused.headers['x-content-type-options']).toBe('nosniff')
      expect(handled).toBe(0)

      const reply = await request(server)
        .get('/orders')
        .set('Authorization', setup.as())
        .expect(200, { n: 1 })
      expect(reply.headers['x-content-type-options']).toBe('nosniff')
    })

    test('a public route reads no credentials, letter by letter only', async () => {
      const setup = testApi({ routes: { 'GET /health': { public: true } } })
      const server = createServer(
        open(setup, (app) => app.get('/health', (_req, res) => void res.json({ ok: true }))),
      )
      await request(server).get('/health').expect(200)
      await request(server).head('/health').expect(200)
      await request(server).get('/health?deep=1').set('Authorization', 'Bearer rubbish').expect(200)
      for (const path of ['/HEALTH', '/health/', '/%68ealth']) await request(server).get(path).expect(401)
      await request(server).post('/health').expect(401)
      await request(server).options('/health').expect(401)
    })

    test('a route adds to the general rules', async () => {
      const setup = testApi({
        rbac: { roles },
        mask: { email: 'redact' },
        routes: {
          'POST /orders': {
            rbac: 'orders:create',
            validate: { body: Order },
            mask: { card: 'last4' },
            rateLimit: { limit: 2 },
          },
        },
      })
      let handled = 0
      const server = createServer(
        open(setup, (app) =>
          app.post('/orders', (req, res) => {
            handled++
            res.status(201).json({ ...(req.body as object), email: 'a@b.example', card: '4111111111111234' })
          }),
        ),
      )
      const post = (claims: object, body: object) =>
        request(server)
          .post('/orders')
          .set('Authorization', setup.as({ ...claims }))
          .send(body)

      await post({}, { item: 'x' }).expect(403)
      const invalid = await post({ roles: ['clerk'] }, { item: 1 }).expect(422)
      expect(JSON.parse(invalid.text)).toMatchObject({
        code: 'invalid-input',
        errors: [{ pointer: '#/item' }],
      })
      expect(handled).toBe(0)

      setup.clock.advance(60_000)
      const created = await post({ roles: ['clerk'] }, { item: 'x' }).expect(201)
      expect(created.text).not.toContain('a@b.example')
      expect(JSON.parse(created.text)).toMatchObject({ item: 'x', card: expect.stringMatching(/^\*+1234$/) })
      await post({ roles: ['clerk'] }, { item: 'x' }).expect(201)
      const limited = await post({ roles: ['clerk'] }, { item: 'x' }).expect(429)
      expect(JSON.parse(limited.text)).toMatchObject({ code: 'rate-limited' })
      expect(Number(limited.headers['retry-after'])).toBeGreaterThan(0)
      expect(handled).toBe(2)
    })

    test('a guard adds inline, before its handler', async () => {
      const setup = testApi({ rbac: { roles }, mask: { email: 'redact' } })
      let handled = 0
      const server = createServer(
        open(setup, (app) =>
          app.post(
            '/orders/:id',
            setup.api.guard({
              rbac: 'orders:create',
              validate: {
                body: Order,
                params: { type: 'object', properties: { id: { type: 'integer' } } },
                query: { type: 'object', properties: { dry: { type: 'boolean' } } },
              },
              mask: { card: 'redact' },
            }) as never,
            (req, res) => {
              handled++
              res.json({
                id: req.params.id,
                dry: req.query.dry,
                body: req.body as unknown,
                email: 'a@b.example',
                card: '1',
              })
            },
          ),
        ),
      )
      const post = (path: string, claims: object) =>
        request(server)
          .post(path)
          .set('Authorization', setup.as({ ...claims }))
          .send({ item: 'x' })

      await post('/orders/7', {}).expect(403)
      await post('/orders/seven', { roles: ['clerk'] }).expect(422)
      expect(handled).toBe(0)
      const reply = await post('/orders/7?dry=true', { roles: ['clerk'] }).expect(200)
      expect(JSON.parse(reply.text)).toMatchObject({ id: 7, dry: true, body: { item: 'x' } })
      expect(reply.text).not.toContain('a@b.example')
      expect(JSON.parse(reply.text).card).not.toBe('1')
    })

    test('what handlers throw is a bare 500, with the headers of every reply', async () => {
      const setup = testApi({ routes: { '* /*': { public: true } } })
      const server = createServer(
        open(setup, (app) => {
          app.get('/throws', () => {
            throw new Error('secret')
          })
          app.get('/rejects', asyncHandler(async () => Promise.reject(new Error('secret'))) as never)
          app.get('/exposed', () => {
            throw Object.assign(new Error('secret'), { status: 404, expose: true })
          })
          app.get('/late', (_req, res) => {
            res.json({ ok: true })
            throw new Error('secret')
          })
        }),
      )
      for (const path of ['/throws', '/rejects']) {
        const reply = await request(server).get(path).expect(500)
        expect(JSON.parse(reply.text)).toMatchObject({ code: 'broken', status: 500 })
        expect(reply.text).not.toContain('secret')
        expect(reply.headers['x-content-type-options']).toBe('nosniff')
      }
      const exposed = await request(server).get('/exposed').expect(404)
      expect(JSON.parse(exposed.text)).toMatchObject({ code: 'http-404' })
      expect(exposed.text).not.toContain('secret')
      await request(server).get('/late').expect(200, { ok: true })
      expect(setup.events.filter(({ kind }) => kind === 'decision').map(({ code }) => code)).toEqual([
        'broken',
        'broken',
        'http-404',
      ])
    })

    test('a handler that never answers is answered for: 504, and its late answer is dropped', async () => {
      const setup = testApi({ routes: { 'GET /slow': { public: true } }, handlerTimeoutMs: 1_000 })
      let answerLate: () => void = () => undefined
      const server = createServer(
        open(setup, (app) =>
          app.get('/slow', (_req, res) => {
            answerLate = () => {
              res.setHeader('X-Late', 'yes')
              res.cookie('late', 'yes').status(200).send('late')
              res.json({ late: true })
            }
            setup.clock.advance(1_000)
          }),
        ),
      )
      const reply = await request(server).get('/slow').expect(504)
      expect(JSON.parse(reply.text)).toMatchObject({ code: 'handler-timeout' })
      expect(answerLate).not.toThrow()
      expect(reply.headers['x-late']).toBeUndefined()
    })

    test('says on record what was answered without an access decision', async () => {
      const setup = testApi({ rbac: { roles }, routes: { 'GET /decided': { rbac: 'authenticated' } } })
      const server = createServer(
        open(setup, (app) => app.get(['/decided', '/undecided'], (_req, res) => void res.json({ ok: true }))),
      )
      await request(server).get('/decided').set('Authorization', setup.as()).expect(200)
      await request(server).get('/undecided').set('Authorization', setup.as()).expect(200)
      await request(server).get('/nowhere').set('Authorization', setup.as()).expect(404)
      expect(setup.events.filter(({ kind }) => kind === 'undecided')).toHaveLength(1)
    })

    test('strict: a GET answered without a decision becomes 500 before its first byte; errors may be told', async () => {
      const setup = testApi({
        strict: true,
        rbac: { roles },
        routes: { 'GET /decided': { rbac: 'authenticated' } },
      })
      const server = createServer(
        open(setup, (app) => {
          app.get(['/decided', '/undecided'], (_req, res) => void res.json({ secret: 1 }))
          app.get('/text', (_req, res) => void res.type('text').send('secret'))
          app.get('/written', (_req, res) => {
            res.type('text').write('secret')
            res.end('secret')
          })
          app.post('/undecided', (_req, res) => void res.json({ done: true }))
        }),
      )
      const as = setup.as()
      await request(server).get('/decided').set('Authorization', as).expect(200)
      for (const path of ['/undecided', '/text', '/written']) {
        const reply = await request(server).get(path).set('Authorization', as).expect(500)
        expect(JSON.parse(reply.text)).toMatchObject({ code: 'undecided' })
        expect(reply.text).not.toContain('secret')
      }
      await request(server).head('/undecided').set('Authorization', as).expect(500)
      await request(server).post('/undecided').set('Authorization', as).expect(200)
      await request(server).get('/nowhere').set('Authorization', as).expect(404)
    })
  })

  test('a mounted API matches the path that the client sees', async () => {
    const { api, as } = testApi({ routes: { 'GET /v1/health': { public: true } } })
    const app = express()
    const router = express.Router()
    router.use(api as never)
    router.get('/health', (_req, res) => void res.json({ ok: true }))
    router.get('/orders', (_req, res) => void res.json({ ok: true }))
    app.use('/v1', router)
    await request(app as never)
      .get('/v1/health')
      .expect(200)
    await request(app as never)
      .get('/v1/orders')
      .expect(401)
    await request(app as never)
      .get('/v1/orders')
      .set('Authorization', as())
      .expect(200)
  })

  test('a rewritten URL is never public by accident', async () => {
    const { api } = testApi({ routes: { 'GET /health': { public: true } } })
    const app = express()
    app.use((req, _res, next) => {
      if (req.url === '/health') req.url = '/admin'
      next()
    })
    app.use(api as never)
    app.get('/admin', (_req, res) => void res.json({ secret: 1 }))
    await request(app as never)
      .get('/health')
      .expect(401)
  })

  test('behind the front door, a URL that was rewritten is matched again', async () => {
    const { api } = testApi({ routes: { 'GET /health': { public: true } } })
    const app = express()
    app.use((req, _res, next) => {
      req.url = '/admin'
      next()
    })
    app.use(api as never)
    app.get('/admin', (_req, res) => void res.json({ secret: 1 }))
    await request(createServer(api.protect(app as never)))
      .get('/health')
      .expect(401)
  })

  test('two instances do not count as one another', async () => {
    const open = testApi({ routes: { '* /*': { public: true } } })
    const closed = testApi()
    const app = express()
    app.use(open.api as never, closed.api as never)
    app.get('/a', (_req, res) => void res.json({ secret: 1 }))
    await request(app as never)
      .get('/a')
      .expect(401)
  })

  test('a guard without its API in front lets the API decide first', async () => {
    const { api, as } = testApi({ rbac: { roles } })
    const app = express()
    app.get('/a', api.guard({ rbac: 'orders:read' }) as never, (_req, res) => void res.json({ ok: true }))
    await request(app as never)
      .get('/a')
      .expect(401)
    await request(app as never)
      .get('/a')
      .set('Authorization', as())
      .expect(403)
    await request(app as never)
      .get('/a')
      .set('Authorization', as({ roles: ['clerk'] }))
      .expect(200)
  })
})

describe('report mode', () => {
  test('a reported refusal is a decision, also where decisions are required', async () => {
    const { api, as } = testApi({
      strict: true,
      mode: { rbac: 'report' },
      rbac: { roles, default: 'orders:read' },
    })
    await request(createServer(api.protect((_req, res) => void res.end('in'))))
      .get('/a')
      .set('Authorization', as())
      .expect(200)
  })

  test('puts on record what it would have refused, and lets it pass', async () => {
    const { api, events } = testApi({ mode: 'report', rbac: { roles, default: 'orders:read' } })
    const server = createServer(api.protect((_req, res) => void res.end('in')))
    await request(server).get('/orders').expect(200)
    expect(events.filter(({ kind }) => kind === 'decision')).toMatchObject([
      { outcome: 'reported', stage: 'auth', code: 'unauthenticated' },
      { outcome: 'reported', stage: 'rbac', code: 'unauthenticated' },
    ])
  })

  test('relaxes verdicts, never facts: a reported auth leaves the caller anonymous', async () => {
    const { api, as } = testApi({ mode: { auth: 'report' } })
    const seen: unknown[] = []
    const server = createServer(
      api.protect((req, res) => void res.end(String(seen.push(contextOf(req)?.principal)))),
    )
    await request(server).get('/a').set('Authorization', 'Bearer forged').expect(200)
    await request(server)
      .get('/a')
      .set('Authorization', as({ sub: 'u' }))
      .expect(200)
    expect(seen).toMatchObject([undefined, { subject: 'u' }])
  })

  test('masks still mask, unless mode.mask says report', async () => {
    const reply = (mode: object | string) => {
      const { api } = testApi({ auth: false, mask: { card: 'redact' }, mode: mode as never })
      return request(createServer(api.protect((_req, res) => sendJson(res, { card: '4111' })))).get('/a')
    }
    expect((await reply('report')).text).not.toContain('4111')
    expect((await reply({ mask: 'report' })).text).toContain('4111')
  })

  test('the firewall refuses all the same', async () => {
    const { api } = testApi({ mode: 'report' })
    await request(createServer(api.protect((_req, res) => void res.end())))
      .get('/a/%2e%2e/b')
      .expect(400)
  })

  test('a mode of one route holds there, letter by letter', async () => {
    const { api } = testApi({ routes: { 'GET /trial': { mode: 'report' } } })
    const server = createServer(api.protect((_req, res) => void res.end('in')))
    await request(server).get('/trial').expect(200)
    await request(server).get('/TRIAL').expect(401)
    await request(server).get('/else').expect(401)
  })
})

describe('the trace', () => {
  test('says what each stage decided and why, in order, with microseconds', async () => {
    const { api, as } = testApi({
      trace: true,
      rbac: { roles },
      routes: { 'GET /a': { rbac: 'orders:read' } },
    })
    let trace: unknown
    const server = createServer((req, res) => {
      res.once('close', () => (trace = contextOf(req)?.trace))
      api.protect((_req, reply) => void reply.end())(req, res)
    })
    await request(server).get('/a').set('Authorization', as()).expect(403)
    expect(trace).toMatchObject([
      { stage: 'requestId', verdict: 'passed' },
      { stage: 'audit', verdict: 'passed' },
      { stage: 'headers', verdict: 'passed' },
      { stage: 'firewall', verdict: 'passed' },
      { stage: 'rateLimit', verdict: 'passed' },
      { stage: 'auth', verdict: 'passed' },
      { stage: 'csrf', verdict: 'passed' },
      {
        stage: 'rbac',
        verdict: 'refused',
        code: 'forbidden',
        rule: expect.stringContaining('orders:read'),
        micros: 0,
      },
    ])
  })

  test('is absent when nobody asks', async () => {
    const { api } = testApi({ auth: false })
    let trace: unknown = 'unset'
    await request(
      createServer(api.protect((req, res) => void res.end(void (trace = contextOf(req)?.trace)))),
    ).get('/')
    expect(trace).toBeUndefined()
  })
})

describe('explain', () => {
  test('lists the stages a request would meet, in order, with options and without secrets', () => {
    const { api } = testApi({
      rbac: { roles },
      extra: [{ after: 'auth', stage: defineStage('tenant', () => ({ enter: () => undefined }))() }],
      routes: {
        'GET /health': { public: true },
        'POST /orders': { rbac: 'orders:create', rateLimit: { limit: 5 }, mode: { rbac: 'report' } },
      },
    })
    const names = (route?: string) => api.explain(route).map(({ stage, door }) => `${door} ${stage}`)
    const arrive = [
      'general requestId',
      'general audit',
      'general headers',
      'general firewall',
      'general rateLimit',
    ]
    expect(names()).toEqual([...arrive, 'general auth', 'extra tenant', 'general csrf', 'general body'])
    expect(names('GET /health')).toEqual([
      ...arrive,
      'route public',
      'extra tenant',
      'general csrf',
      'general body',
    ])
    expect(names('GET /HEALTH')).toEqual(names())
    expect(names('POST /orders')).toEqual([
      ...arrive,
      'route rateLimit',
      'general auth',
      'extra tenant',
      'general csrf',
      'route rbac',
      'general body',
    ])
    expect(api.explain('POST /orders').find(({ stage }) => stage === 'rbac')).toMatchObject({
      mode: 'report',
    })
    expect(JSON.stringify(api.explain('POST /orders'))).toContain('orders:create')
  })
})

test('roles() gives the matrix of roles and permissions', () => {
  const { api } = testApi({ rbac: { roles } })
  expect(api.roles()).toEqual({
    clerk: { '*': false, 'orders:create': true, 'orders:read': true },
    admin: { '*': true, 'orders:create': true, 'orders:read': true },
  })
})

test('a stage of your own runs where it was put, and shares the context', async () => {
  const tenant = defineStage('tenant', () => ({
    needs: ['principal'],
    enter: (ctx) =>
      ctx.principal?.claims.tenant === 'a' ? undefined : refuse('forbidden', { rule: 'tenant' }),
  }))
  const { api, as, events } = testApi({ extra: [{ after: 'auth', stage: tenant() }] })
  const server = createServer(api.protect((_req, res) => void res.end()))
  await request(server)
    .get('/a')
    .set('Authorization', as({ tenant: 'a' }))
    .expect(200)
  await request(server)
    .get('/a')
    .set('Authorization', as({ tenant: 'b' }))
    .expect(403)
  expect(events).toContainEqual(
    expect.objectContaining({ kind: 'decision', stage: 'tenant', rule: 'tenant', outcome: 'refused' }),
  )
})

test('on plain node:http, what the handler throws or rejects is a bare 500', async () => {
  const { api } = testApi({ auth: false })
  for (const handler of [
    () => {
      throw new Error('secret')
    },
    () => Promise.reject(new Error('secret')),
  ]) {
    const reply = await request(createServer(api.protect(handler)))
      .get('/')
      .expect(500)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'broken' })
    expect(reply.text).not.toContain('secret')
  }
})

test('an abort ends the walk: no later stage and no handler runs', async () => {
  let goOn: () => void = () => undefined
  const waited = new Promise<void>((resolve) => (goOn = resolve))
  const reached: string[] = []
  let entered: () => void = () => undefined
  const hasEntered = new Promise<void>((resolve) => (entered = resolve))
  let settled: () => void = () => undefined
  const hasSettled = new Promise<void>((resolve) => (settled = resolve))
  const slow = defineStage('slow', () => ({ enter: () => (entered(), waited), settle: () => settled() }))
  const after = defineStage('after', () => ({ enter: () => void reached.push('after') }))
  const api = secureApi({
    auth: false,
    audit: false,
    clock: fakeClock(),
    log: silent,
    extra: [
      { after: 'auth', stage: slow() },
      { after: 'mask', stage: after() },
    ],
  })
  const server = createServer(api.protect((_req, res) => void res.end(String(reached.push('handler')))))
  const going = request(server).get('/')
  going.end(() => undefined)
  await hasEntered
  going.abort()
  await hasSettled
  goOn()
  await waited
  await new Promise((resolve) => setImmediate(resolve))
  expect(reached).toEqual([])
  server.close()
})

test('close() releases every stage once, and one that fails keeps no other from closing', async () => {
  const closed: string[] = []
  const closing = (name: string, fail = false) =>
    defineStage(name, () => ({
      close: async () => {
        closed.push(name)
        if (fail) throw new Error('stuck')
      },
    }))()
  const { api } = testApi({
    extra: [closing('a', true), closing('b')].map((stage) => ({ after: 'auth', stage })),
    routes: { 'GET /x': {} },
  })
  await expect(api.close()).rejects.toThrow('stuck')
  expect(closed).toEqual(['a', 'b'])
})
