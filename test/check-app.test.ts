import connect from 'connect'
import { ConfigError } from '../src/kernel/config-error.js'
import { testApi } from './support/api.js'
import { expressVersions } from './support/express.js'

const roles = { clerk: ['orders:read', 'orders:create'] }
const answer = (_req: unknown, res: { json: (body: object) => unknown }): void => void res.json({})

describe.each(expressVersions)('on %s', (name, express) => {
  const found = (api: ReturnType<typeof testApi>['api'], app: unknown) =>
    api.check(app).map(({ code, route }) => (route === undefined ? code : `${code} ${route}`))

  test('finds nothing about routes where each one has a rule or a guard', () => {
    const { api } = testApi({
      rbac: { roles },
      routes: { 'GET /health': { public: true }, 'GET /orders/:id': { rbac: 'orders:read' } },
    })
    const app = express()
    app.use(api as never)
    app.get('/health', answer)
    app.get('/orders/:id', answer)
    app.get('/orders', api.guard({ rbac: 'orders:read' }) as never, answer)
    expect(found(api, app).filter((line) => / \w+ \//.test(line))).toEqual([])
  })

  test('names routes without a rule, rules without a route, and routes without a decision', () => {
    const { api } = testApi({
      rbac: { roles },
      routes: {
        'GET /orders/:id': { rbac: 'orders:read' },
        'GET /odrers': { rbac: 'orders:read' },
        'GET /limited': { rateLimit: {} },
      },
    })
    const app = express()
    app.use(api as never)
    app.get('/orders/:id', answer)
    app.get('/limited', answer)
    app.delete('/orders/:id', answer)
    const lines = found(api, app)
    expect(lines).toEqual(
      expect.arrayContaining([
        'route-without-rule DELETE /orders/:id',
        'route-undecided DELETE /orders/:id',
        'route-undecided GET /limited',
        'rule-without-route GET /odrers',
      ]),
    )
    expect(lines).not.toContain('rule-without-route GET /orders/:id')
    expect(lines).not.toContain('route-without-rule GET /limited')
  })

  test('walks into mounted routers', () => {
    const { api } = testApi({
      rbac: { roles },
      routes: { 'GET /v1/shops/:shop/orders': { rbac: 'orders:read' } },
    })
    const app = express()
    app.use(api as never)
    const orders = express.Router({ mergeParams: true })
    orders.get('/orders', answer)
    orders.get('/', answer)
    const v1 = express.Router()
    v1.use('/shops/:shop', orders)
    app.use('/v1', v1)
    const lines = found(api, app)
    expect(lines).toContain('route-without-rule GET /v1/shops/:shop')
    expect(lines).not.toContain('rule-without-route GET /v1/shops/:shop/orders')
    expect(lines).not.toContain('route-without-rule GET /v1/shops/:shop/orders')
    expect(lines).not.toContain('mount-unknown')
  })

  test('says so where a mount path cannot be read back', () => {
    const { api } = testApi({ routes: { 'GET /a/b': { public: true } } })
    const app = express()
    app.use(api as never)
    const router = express.Router()
    router.get('/b', answer)
    app.use(/^\/a(?:x|y)/, router)
    expect(found(api, app)).toContain('mount-unknown')
    expect(found(api, app)).not.toContain('rule-without-route GET /a/b')

    const nested = express()
    nested.get('/b', answer)
    const outer = express()
    outer.use(api as never)
    outer.use('/a', nested)
    expect(found(api, outer)).toContain('mount-unknown')
  })

  test('names routes mounted before the API, parsers before it, and an API that is not mounted at all', () => {
    const { api } = testApi()
    const app = express()
    app.use(express.json())
    app.get('/early', answer)
    app.get('/guarded', api.guard({ rbac: 'authenticated' }) as never, answer)
    app.use(api as never)
    expect(found(api, app)).toEqual(
      expect.arrayContaining(['route-before-api GET /early', 'body-parsed-before']),
    )
    expect(found(api, app)).not.toContain('route-before-api GET /guarded')
    expect(found(api, app)).not.toContain('api-not-mounted')

    const bare = express()
    bare.get('/a', answer)
    expect(found(api, bare)).toContain('api-not-mounted')
    api.protect(bare as never)
    expect(found(api, bare)).not.toContain('api-not-mounted')
  })

  test('names guards that decide about access after the body was read', () => {
    const { api } = testApi({ rbac: { roles } })
    const app = express()
    app.use(api as never)
    app.post('/orders', api.guard({ rbac: 'orders:create' }) as never, answer)
    app.get('/orders', api.guard({ rbac: 'orders:read' }) as never, answer)
    expect(found(api, app).filter((line) => line.startsWith('guard-after-body'))).toEqual([
      'guard-after-body POST /orders',
    ])
  })

  test('names async handlers where nobody catches their rejections', () => {
    const { api } = testApi()
    const app = express()
    app.use(api as never)
    app.get('/async', (async (_req: unknown, res: never) => answer(_req, res)) as never)
    expect(found(api, app).includes('async-handler GET /async')).toBe(name === 'Express 4')
  })

  test('a guard of another instance is no guard of this one', () => {
    const one = testApi({ rbac: { roles } })
    const two = testApi({ rbac: { roles } })
    const app = express()
    app.use(one.api as never)
    app.get('/a', two.api.guard({ rbac: 'orders:read' }) as never, answer)
    expect(found(one.api, app)).toContain('route-without-rule GET /a')
  })

  test('strict: throws for a route that is answered without a decision, and only then', () => {
    const { api } = testApi({ strict: true, routes: { 'GET /a': { public: true } } })
    const app = express()
    app.use(api as never)
    app.get('/a', answer)
    expect(() => api.check(app)).not.toThrow()
    app.get('/b', answer)
    expect(() => api.check(app)).toThrow(ConfigError)
    expect(() => api.check(app)).toThrow('GET /b is answered without an access decision')
  })

  test('an application without routes is fine', () => {
    const { api } = testApi()
    expect(() => api.check(express())).not.toThrow()
  })
})

test('risky settings are named, the most severe first, with cause and fix', () => {
  const { api } = testApi({
    auth: false,
    firewall: false,
    headers: false,
    mode: 'report',
    routes: { 'GET /a': { mode: 'enforce' } },
  })
  const findings = api.check(connect())
  const codes = findings.map(({ code }) => code)
  expect(codes).toEqual(
    expect.arrayContaining([
      'auth-off',
      'auth-reported',
      'report-mode',
      'firewall-off',
      'headers-off',
      'route-mode',
      'routes-unknown',
    ]),
  )
  const ranks = findings.map(({ severity }) => ['high', 'medium', 'low'].indexOf(severity))
  expect(ranks).toEqual([...ranks].sort())
  for (const { cause, fix } of findings) expect(Math.min(cause.length, fix.length)).toBeGreaterThan(10)
})
