import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import request from 'supertest'
import { defineStage, refuse } from '../src/index.js'
import { bearer } from '../src/identity/bearer.js'
import { sendJson, testApi } from './support/api.js'
import { expressVersions } from './support/express.js'

const roles = { clerk: ['orders:read'], admin: ['*'] }
const clerk = { roles: ['clerk'] }

/** Stands behind the front door and answers everything. */
function served(routes: object, options: object = {}) {
  const { api, as } = testApi({ rbac: { roles }, routes, ...options } as never)
  let handled = 0
  const server = createServer(
    api.protect((_req, res) => {
      handled++
      sendJson(res, { ssn: '078-05-1120', iban: 'DE00' })
    }),
  )
  const ask = (method: 'get' | 'post' | 'put' | 'options', path: string, claims?: object) => {
    const call = request(server)[method](path)
    return claims === undefined ? call : call.set('Authorization', as({ ...claims }))
  }
  const codes = () =>
    api
      .check((_req: unknown, _res: unknown) => undefined)
      .filter(({ code }) => code.startsWith('exception'))
      .map(({ code, severity, route }) => `${severity} ${code} ${route}`)
  return { api, ask, codes, handled: () => handled }
}

describe.each(expressVersions)(
  'a route that %s reaches first, and whose requests fit a public rule too',
  (_name, express) => {
    test('asks as its own rule says', async () => {
      const { api, as } = testApi({
        strict: true,
        rbac: { roles },
        routes: { 'GET /:tenant/admin': { rbac: { role: 'admin' } }, 'GET /docs/:page': { public: true } },
      })
      const app = express()
      app.get('/:tenant/admin', (_req, res) => void res.json({ admin: true }))
      app.get('/docs/:page', (_req, res) => void res.json({ page: true }))
      const server = createServer(api.protect(app as never))
      const get = (path: string) => request(server).get(path)

      expect((await get('/docs/intro').expect(200)).body).toEqual({ page: true })
      const refused = await get('/docs/admin').expect(401)
      expect(refused.body).toMatchObject({ code: 'unauthenticated' })
      expect(refused.headers['www-authenticate']).toMatch(/^Bearer/)
      await get('/docs/admin').set('Authorization', as(clerk)).expect(403)
      await get('/docs/admin')
        .set('Authorization', as({ roles: ['admin'] }))
        .expect(200)

      expect(api.explain('GET /docs/admin').map(({ stage }) => stage)).toContain('rbac')
      expect(api.explain('GET /docs/:page').map(({ stage }) => stage)).toContain('public')
      expect(api.check(app)).toContainEqual(
        expect.objectContaining({
          code: 'exception-crossed',
          severity: 'medium',
          route: 'GET /docs/:page',
          cause: expect.stringContaining("'GET /docs/admin'") as string,
        }),
      )
    })
  },
)

describe('a wider rule', () => {
  const wide = {
    rbac: { role: 'admin' },
    mask: { ssn: 'redact' },
    validate: { query: { type: 'object', properties: {} } },
  }

  test.each(['/users/1', '/users/1/', '/USERS/1'])(
    'holds beside a narrower one that adds something, on %s',
    async (path) => {
      const { ask, api } = served({
        '* /users/*': wide,
        'GET /users/:id': { rbac: 'orders:read', mask: { iban: 'redact' } },
      })
      await ask('get', path, clerk).expect(403)
      await ask('get', `${path}?evil=1`, { roles: ['admin'] }).expect(422)
      const reply = await ask('get', path, { roles: ['admin'] }).expect(200)
      expect(reply.body).toEqual({ ssn: '[redacted]', iban: '[redacted]' })
      const stages = api.explain(`GET ${path}`).map(({ stage, door }) => `${door} ${stage}`)
      expect(stages.filter((each) => each === 'route rbac')).toHaveLength(2)
      expect(api.explain('GET /users/:id').map(({ stage, door }) => `${door} ${stage}`)).toEqual(stages)
    },
  )

  test('is counted by besides the limits of a narrower one', async () => {
    const { ask } = served({
      '* /a/*': { rateLimit: { limit: 3 } },
      'GET /a/:id': { rateLimit: { limit: 1 } },
    })
    await ask('get', '/a/1', {}).expect(200)
    await ask('get', '/a/1', {}).expect(429)
    await ask('post', '/a/1', {}).expect(200)
    await ask('post', '/a/1', {}).expect(429)
  })

  test('tightens what is merged, together with a narrower one', async () => {
    const { ask } = served({
      '* /a/*': { body: { maxBytes: 20 } },
      'POST /a/:id': { body: { maxDepth: 1 } },
      'PUT /a/:id': { body: { maxBytes: 1_000 } },
    })
    await ask('post', '/a/1', {}).send({ a: 1 }).expect(200)
    await ask('post', '/a/1', {})
      .send({ a: { b: 1 } })
      .expect(400)
    await ask('put', '/a/1', {}).send({ a: 'a longer text' }).expect(413)
  })

  test('keeps its parameters, and a narrower one has its own', async () => {
    const only = (name: string) => ({
      params: { type: 'object', required: [name], properties: { [name]: { type: 'integer' } } },
    })
    const { ask } = served(
      { 'GET /:shop/*': { validate: only('shop') }, 'GET /:x/:id': { validate: only('id') } },
      { validate: { unknown: 'strip' } },
    )
    await ask('get', '/1/2', {}).expect(200)
    await ask('get', '/x/2', {}).expect(422)
    await ask('get', '/1/y', {}).expect(422)
  })
})

describe('an exception inside a wider rule', () => {
  test('public lets everybody in, and what else the wider rule adds holds', async () => {
    const { ask, api, handled } = served({
      '* /admin/*': {
        rbac: { role: 'admin' },
        quota: { limit: 5 },
        auth: { maxLifetimeSeconds: 60 },
        rateLimit: { limit: 2 },
        mask: { ssn: 'redact' },
      },
      'GET /admin/health': { public: true },
    })
    expect((await ask('get', '/admin/health').expect(200)).body).toMatchObject({ ssn: '[redacted]' })
    await ask('get', '/admin/health').expect(200)
    await ask('get', '/admin/health').expect(429)
    expect(handled()).toBe(2)
    expect(api.explain('GET /admin/health').map(({ stage }) => stage)).toEqual([
      'requestId',
      'audit',
      'headers',
      'firewall',
      'rateLimit',
      'rateLimit',
      'public',
      'csrf',
      'body',
      'mask',
    ])
  })

  test('public holds in the middle of a wider rule and one that is narrower and public too', async () => {
    const { ask } = served({
      '* /a/*': { rbac: { role: 'admin' } },
      'GET /a/b/*': { public: true },
      'GET /a/b/c': { public: true, rateLimit: { limit: 1 } },
    })
    await ask('get', '/a/b/x').expect(200)
    await ask('get', '/a/b/c').expect(200)
    await ask('get', '/a/b/c').expect(429)
    await ask('get', '/a/x').expect(401)
  })

  test.each(['/admin/health/', '/ADMIN/health', '/admin//health', '/%61dmin/health'])(
    'holds letter by letter only: %s is asked what the wider rule asks',
    async (path) => {
      const { ask, handled } = served(
        { '* /admin/*': { rbac: { role: 'admin' } }, 'GET /admin/health': { public: true } },
        { firewall: false },
      )
      await ask('get', path).expect(401)
      await ask('get', path, clerk).expect(403)
      expect(handled()).toBe(0)
    },
  )

  test.each<[string, object, number]>([
    ['rbac: false', { rbac: false }, 200],
    ['another rule', { rbac: { replace: 'orders:read' } }, 200],
    ['another rule that asks more', { rbac: { replace: { role: 'admin' } } }, 403],
    ['one that adds', { rbac: 'orders:read' }, 403],
  ])('has the word about its row: %s', async (_what, narrow, status) => {
    const { ask } = served(
      { '* /a/*': { rbac: { role: 'boss' } }, 'GET /a/b': narrow },
      { rbac: { roles: { ...roles, boss: [] }, default: { role: 'boss' } } },
    )
    await ask('get', '/a/b', clerk).expect(status)
  })

  test('reports only where it is written, and a wider rule that enforces is heard', async () => {
    const { ask } = served(
      {
        '* /a/*': { mode: 'enforce', rbac: { role: 'admin' } },
        'GET /a/b': { rateLimit: {} },
        'GET /a/c': { mode: { rbac: 'report' } },
        'GET /a/d': { mode: 'report' },
        'GET /a/:x/:y': { mode: { mask: 'report' } },
      },
      { mode: 'report' },
    )
    await ask('get', '/a/b', clerk).expect(403)
    await ask('get', '/a/b').expect(401)
    await ask('get', '/a/c', clerk).expect(200)
    await ask('get', '/a/c').expect(401)
    await ask('get', '/a/d').expect(200)
    await ask('get', '/a/1/2', clerk).expect(403)
    await ask('get', '/A/D', clerk).expect(403)
    await ask('get', '/b').expect(200)
  })

  test('a guard takes the mode from all of them', async () => {
    const { api, as } = testApi({
      mode: 'report',
      rbac: { roles },
      routes: { '* /a/*': { mode: 'enforce' }, 'GET /a/b': {}, 'GET /a/c': { mode: 'report' } },
    })
    const guard = api.guard({ rbac: { role: 'admin' } })
    const server = createServer(api.protect((req, res) => guard(req, res, () => res.end())))
    const get = (path: string) => request(server).get(path).set('Authorization', as(clerk))
    await get('/a/b').expect(403)
    await get('/a/c').expect(200)
    await get('/c').expect(200)
  })
})

describe('an exception does not reach into narrower rules', () => {
  test.each<[string, object, object]>([
    ['public', { public: true }, {}],
    ['optional', { auth: { optional: true } }, {}],
    ['report', { mode: 'report' }, {}],
    ['raw bodies', { body: 'raw' }, clerk],
    ['no rule', { rbac: false }, clerk],
    ['another rule', { rbac: { replace: 'authenticated' } }, clerk],
  ])('%s', async (_what, exception, claims) => {
    const { ask, codes } = served(
      { '* /a/*': exception, 'POST /a/b': { rateLimit: {} } },
      { rbac: { roles, default: { role: 'admin' } } },
    )
    const narrow = await ask('post', '/a/b', 'roles' in claims ? claims : undefined).send({})
    expect([401, 403]).toContain(narrow.status)
    expect(codes()).toEqual(['low exception-not-inherited POST /a/b'])
  })

  const elsewhere = bearer({
    issuer: 'https://elsewhere.example',
    audience: 'orders',
    secret: randomBytes(32),
  })

  test.each<[string, object, number]>([
    ['methods', { auth: { replace: [elsewhere] } }, 401],
    ['a firewall', { firewall: { replace: { methods: ['GET'] } } }, 405],
    ['a body', { body: { replace: { maxBytes: 5 } } }, 413],
  ])(
    'and what it puts in place of %s, narrower rules have besides the general one',
    async (_what, wide, status) => {
      const { ask, handled } = served({ '* /a/*': wide, 'POST /a/b': { rateLimit: {} } })
      await ask('post', '/a/b', clerk).send({ long: 'text' }).expect(status)
      await ask('post', '/A/c', clerk).send({ long: 'text' }).expect(status)
      expect(handled()).toBe(0)
      await ask('post', '/c', clerk).send({ long: 'text' }).expect(200)
    },
  )
})

describe('rules of which neither is wider', () => {
  const crossing = { 'GET /a/:x': { public: true }, 'GET /:x/b': { rbac: false, mask: { ssn: 'redact' } } }

  test('add, and none takes anything away', async () => {
    const { ask, codes } = served(crossing, { rbac: { roles, default: 'orders:read' } })
    await ask('get', '/a/b').expect(401)
    await ask('get', '/a/b', {}).expect(403)
    expect((await ask('get', '/a/b', clerk).expect(200)).body).toMatchObject({ ssn: '[redacted]' })
    await ask('get', '/a/c').expect(200)
    expect(codes()).toEqual(['medium exception-crossed GET /a/:x', 'medium exception-crossed GET /:x/b'])
  })

  test('are told apart by a rule for what both fit', async () => {
    const { ask, codes } = served({ ...crossing, 'GET /a/b': { public: true } })
    await ask('get', '/a/b').expect(200)
    await ask('get', '/A/b').expect(401)
    expect(codes()).toEqual([])
  })

  test('are those too of which one names a method and the other a path', async () => {
    const { ask, codes } = served({ '* /a/me': { public: true }, 'GET /a/:id': { rateLimit: {} } })
    await ask('get', '/a/me').expect(401)
    await ask('post', '/a/me').expect(200)
    expect(codes()).toEqual(['medium exception-crossed * /a/me'])
  })
})

describe('rules that exclude one another', () => {
  const method = (methodName: string) => {
    const { issuer } = testApi()
    const middleware = bearer({ issuer: issuer.issuer, audience: issuer.audience })
    return Object.assign(middleware, { stage: Object.assign(middleware.stage, { methodName }) })
  }
  const cases: ['auth' | 'body', object, object, object][] = [
    ['auth', { methods: ['bearer'] }, { methods: ['other'] }, { replace: [method('bearer')] }],
    ['body', { charsets: ['utf-8'] }, { charsets: ['utf-16le'] }, { replace: {} }],
  ]
  const general = {
    auth: { any: [method('bearer'), method('other')] },
    body: { charsets: ['utf-8', 'utf-16le'] },
  }

  test.each(cases)('do not start where they fit the same requests: %s', (row, one, other) => {
    for (const path of ['/a/:id', '/:x/b']) {
      expect(() =>
        served({ [`GET ${path}`]: { [row]: one }, 'GET /a/*': { [row]: other } }, { [row]: general[row] }),
      ).toThrow(
        `fit the same requests, and what they say about ${row} excludes one another; write a rule for these requests`,
      )
    }
    expect(() => served({ 'GET /a': { [row]: one } }, { [row]: { ...general[row], ...other } })).toThrow(
      `routes['GET /a'].${row} excludes the general setting`,
    )
  })

  test.each(cases)('are refused where only an odd path fits both: %s', async (row, one, other, replaced) => {
    const { ask, handled } = served(
      { 'GET /a/:id': { [row]: one }, 'GET /:x/b': { [row]: other }, 'GET /a/b': { [row]: replaced } },
      { [row]: general[row] },
    )
    await ask('get', '/a/b', {}).expect(200)
    const refused = await ask('get', '/A/b', {}).expect(400)
    expect(refused.body).toMatchObject({ code: 'ambiguous-path' })
    expect(refused.headers['x-content-type-options']).toBe('nosniff')
    expect(handled()).toBe(1)
  })
})

describe('a stage of your own that needs the caller', () => {
  const tenant = defineStage('tenant', () => ({
    needs: ['principal'] as const,
    enter: (ctx) => (ctx.principal === undefined ? refuse('forbidden') : undefined),
  }))
  const needsBody = defineStage('sealed', () => ({ needs: ['body'] as const, enter: () => undefined }))

  test('is left out where nobody is asked, which explain says', async () => {
    const { api, ask } = served(
      { 'GET /health': { public: true }, 'GET /news': { auth: { optional: true } } },
      { extra: [{ after: 'auth', stage: tenant() }] },
    )
    await ask('get', '/health').expect(200)
    await ask('get', '/Health').expect(401)
    await ask('get', '/news').expect(403)
    await ask('get', '/other', {}).expect(200)
    const explained = api.explain('GET /health')
    expect(explained.map(({ stage }) => stage)).not.toContain('tenant')
    expect(explained.find(({ stage }) => stage === 'public')?.options).toEqual({ leavesOut: ['tenant'] })
  })

  test('runs where a stage of your own says who is calling', async () => {
    const badge = defineStage('badge', () => ({
      gives: ['principal'] as const,
      enter(ctx) {
        ctx.principal = { id: 'door', method: 'badge', claims: {} } as never
      },
    }))
    const { api } = served(
      { 'GET /door': { public: true } },
      {
        extra: [
          { after: 'firewall', stage: badge() },
          { after: 'auth', stage: tenant() },
        ],
      },
    )
    expect(api.explain('GET /door').map(({ stage }) => stage)).toContain('tenant')
  })

  test('a route that takes away what another one needs is named', () => {
    const options = { extra: [{ after: 'body', stage: needsBody() }] }
    expect(() => served({ 'POST /a': { body: false } }, options)).toThrow(
      "routes['POST /a']: sealed needs the body, but no earlier stage establishes it",
    )
  })
})
