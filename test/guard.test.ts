import request from 'supertest'
import { testApi } from './support/api.js'
import { expressVersions } from './support/express.js'

const roles = { clerk: ['orders:read'], admin: ['*'] }
const KEY = 'k'.repeat(16) + 'y'.repeat(16)

describe.each(expressVersions)('on %s', (_name, express) => {
  describe('a guard that stands twice in the way of a request', () => {
    test('counts once', async () => {
      const { api } = testApi({ auth: false })
      const guard = api.guard({ rateLimit: { limit: 2 } })
      const app = express()
      app.use(api as never)
      app.use('/a', guard as never)
      app.get('/a', guard as never, (_req, res) => void res.json({ ok: true }))
      await request(app).get('/a').expect(200)
      await request(app).get('/a').expect(200)
      const refused = await request(app).get('/a').expect(429)
      expect(JSON.parse(refused.text)).toMatchObject({ code: 'rate-limited' })
    })

    test('masks once', async () => {
      const shown = async (...times: string[]) => {
        const { api } = testApi({ auth: false, mask: { fields: { other: 'redact' }, key: KEY } })
        const guard = api.guard({ mask: { card: 'hash' } })
        const app = express()
        app.use(api as never)
        times.forEach(() => app.use(guard as never))
        app.get('/a', (_req, res) => void res.json({ card: '4111' }))
        return (await request(app).get('/a').expect(200)).text
      }
      expect(await shown('once', 'twice')).toBe(await shown('once'))
    })

    test('shows no parameter that it has not judged', async () => {
      const { api } = testApi({ auth: false })
      const guard = api.guard({
        validate: { params: { type: 'object', properties: { id: { type: 'integer' } } } },
      })
      const app = express()
      app.use(api as never)
      app.use(guard as never)
      app.get('/a/:id', guard as never, (req, res) => void res.json({ id: req.params.id }))
      expect((await request(app).get('/a/x')).text).not.toContain('"x"')
    })

    test('counts again for another request', async () => {
      const { api } = testApi({ auth: false })
      const app = express()
      app.use(api as never)
      app.get('/a', api.guard({ quota: { limit: 1 } }) as never, (_req, res) => void res.json({ ok: true }))
      await request(app).get('/a').expect(200)
      await request(app).get('/a').expect(429)
    })
  })

  describe('a method that was changed behind the API', () => {
    const overridden = (routes: object, front: boolean) => {
      const setup = testApi({ rbac: { roles }, routes } as never)
      const app = express()
      let handled = 0
      app.use(setup.api as never)
      app.use((req, _res, next) => {
        const wanted = req.get('x-http-method-override')
        if (wanted !== undefined) req.method = wanted
        next()
      })
      app.use(setup.api as never)
      app.all('/orders', (req, res) => void res.json({ method: req.method, n: ++handled }))
      return { ...setup, server: front ? setup.api.protect(app as never) : app, handled: () => handled }
    }

    test.each([false, true])('meets the rules of the new one (front door: %s)', async (front) => {
      const { server, as, handled } = overridden({ 'DELETE /orders': { rbac: { role: 'admin' } } }, front)
      const send = (role: string) =>
        request(server)
          .post('/orders')
          .set('Authorization', as({ roles: [role] }))
          .set('X-HTTP-Method-Override', 'DELETE')
      const refused = await send('clerk').expect(403)
      expect(JSON.parse(refused.text)).toMatchObject({ code: 'forbidden' })
      expect(handled()).toBe(0)
      await send('admin').expect(200, { method: 'DELETE', n: 1 })
    })

    test.each([false, true])('is not let off by them (front door: %s)', async (front) => {
      const { server, as, handled } = overridden(
        { 'DELETE /orders': { public: true }, 'POST /orders': { auth: { optional: true } } },
        front,
      )
      const send = () => request(server).post('/orders').set('X-HTTP-Method-Override', 'DELETE')
      await send().expect(401)
      expect(handled()).toBe(0)
      await send().set('Authorization', as()).expect(200)
      // Sent as it is, it is what the rule is about.
      await request(server as never)
        .delete('/orders')
        .expect(200)
    })
  })
})

describe('explain', () => {
  const { api } = testApi({ rbac: { roles }, routes: { 'GET /orders': { rbac: 'orders:read' } } })

  test('tells what a guard adds', () => {
    const guard = api.guard({ rbac: 'orders:read', quota: { limit: 3 } })
    expect(api.explain(guard)).toMatchObject([
      { stage: 'rbac', door: 'guard', mode: 'enforce', options: { rule: 'permission orders:read' } },
      { stage: 'quota', door: 'guard', mode: 'enforce' },
    ])
  })

  test.each<[string, unknown, RegExp]>([
    ['a method in lower case', 'get /orders', /Did you mean "GET \/orders"\?/],
    ['two spaces', 'GET  /orders', /Did you mean "GET \/orders"\?/],
    ['no slash', 'GET orders', /a method and a path such as 'POST \/orders'/],
    ['no method', '/orders', /a method and a path/],
    ['no path', 'GET', /a method and a path/],
    ['an unknown method', 'FETCH /orders', /a method and a path/],
    ['nothing', '', /got an empty string/],
    ['a number', 5, /got 5/],
    ['the guard of another API', testApi().api.guard({ quota: {} }), /a guard of this API, got a function/],
  ])('refuses %s', (_what, subject, message) => {
    expect(() => api.explain(subject as never)).toThrow(message)
    expect(() => api.explain(subject as never)).toThrow(expect.objectContaining({ name: 'ConfigError' }))
  })

  test.each(['GET /orders', 'HEAD /orders', 'OPTIONS /orders', 'PROPFIND /else', 'GET /ORDERS/?a=b'])(
    'takes %s',
    (route) => {
      expect(api.explain(route).length).toBeGreaterThan(5)
    },
  )
})

describe('auth that only reports', () => {
  const warnings = (options: object) => {
    const warn = jest.fn()
    testApi({ ...options, log: { info: () => undefined, warn, error: () => undefined } })
    return warn.mock.calls as unknown[]
  }
  const text = 'auth only reports: callers without a valid credential get in as anonymous'

  test.each<[string, object, string[]]>([
    ['as all stages do', { mode: 'report' }, ['all without a rule of their own']],
    ['by name', { mode: { auth: 'report' } }, ['all without a rule of their own']],
    ['on one route', { routes: { 'GET /a': { mode: 'report' }, 'GET /b': {} } }, ['GET /a']],
  ])('warns once at start: %s', (_what, options, routes) => {
    expect(warnings(options)).toEqual([[text, { routes }]])
  })

  test.each<[string, object]>([
    ['is enforced', {}],
    ['is enforced by name', { mode: { rbac: 'report' }, rbac: { roles } }],
    ['asks nobody', { auth: false, mode: 'report' }],
    ['does not run on a public route', { routes: { 'GET /a': { public: true, mode: 'report' } } }],
  ])('says nothing where it %s', (_what, options) => {
    expect(warnings(options)).toEqual([])
  })
})
