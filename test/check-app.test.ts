import connect from 'connect'
import express5 from 'express'
import request from 'supertest'
import { session } from '../src/identity/session.js'
import { ConfigError } from '../src/kernel/config-error.js'
import { memory } from '../src/kernel/memory.js'
import { testApi } from './support/api.js'
import { expressVersions, type Express } from './support/express.js'

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

  test('says once what a method has to say, however many routes narrow it', () => {
    const sessions = session({ store: memory(), dangerouslyAllowHttp: true })
    const { api } = testApi({
      auth: [sessions],
      routes: {
        'GET /me': { auth: { methods: ['session'] } },
        'GET /cards': { auth: { maxLifetimeSeconds: 60 } },
      },
    })
    const app = express()
    app.use(api as never)
    expect(found(api, app).filter((code) => code === 'session-over-http')).toEqual(['session-over-http'])
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
    expect(found(api, app)).toContain('mount-unknown GET /^\\/a(?:x|y)/ /b')
    expect(found(api, app)).not.toContain('rule-without-route GET /a/b')

    const nested = express()
    nested.get('/b', answer)
    const outer = express()
    outer.use(api as never)
    outer.use('/a', nested)
    expect(found(api, outer)).toContain('mount-unknown * /a/*')
  })

  test('names routes mounted before the API, parsers before it, and an API that is not mounted at all', () => {
    const { api } = testApi()
    const app = express()
    app.use(express.json())
    app.get('/early', answer)
    app.get('/guarded', api.guard({ rbac: 'authenticated' }) as never, answer)
    app.use(api as never)
    expect(found(api, app)).toEqual(
      expect.arrayContaining(['route-unprotected GET /early', 'body-parsed-before']),
    )
    expect(found(api, app)).not.toContain('route-unprotected GET /guarded')
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

  describe('where the API stands', () => {
    /** Routes that the check calls unprotected. */
    const unprotected = (api: ReturnType<typeof testApi>['api'], app: unknown): unknown[] =>
      api.check(app).flatMap(({ code, route }) => (code === 'route-unprotected' ? [route] : []))

    test('an API under a path covers what is below that path, and nothing else', async () => {
      const { api } = testApi()
      const app = express()
      app.use('/api', api as never)
      app.get('/api/orders', answer)
      app.get('/API/:id', answer)
      app.get('/admin', answer)
      app.get('/apiary', answer)
      app.get('/:any/orders', answer)
      expect(unprotected(api, app)).toEqual(['GET /admin', 'GET /apiary', 'GET /:any/orders'])
      await request(app).get('/admin').expect(200)
      await request(app).get('/api/orders').expect(401)
    })

    test('an API in a router covers what comes after it there', () => {
      const { api } = testApi()
      const app = express()
      const v1 = express.Router()
      v1.get('/early', answer)
      v1.use(api as never)
      v1.get('/late', answer)
      app.use('/v1', v1)
      app.get('/v1/beside', answer)
      app.get('/v2', answer)
      // Something before it may leave the router and get to what is beside it.
      expect(unprotected(api, app)).toEqual(['GET /v1/early', 'GET /v1/beside', 'GET /v2'])
    })

    test('an API that is the first of its router covers what comes after that router too', async () => {
      const { api } = testApi()
      const app = express()
      const security = express.Router()
      security.use(api as never)
      app.use('/v1', security)
      app.get('/v1/a', answer)
      app.get('/v2/a', answer)
      expect(unprotected(api, app)).toEqual(['GET /v2/a'])
      await request(app).get('/v1/a').expect(401)
    })

    test('several mounts, a list of paths, and a router in two places are each judged by themselves', () => {
      const { api } = testApi()
      const app = express()
      const shared = express.Router()
      shared.get('/x', answer)
      app.use(['/a', '/b'], api as never)
      app.use('/d', api as never)
      app.use('/a', shared)
      app.use(['/b', '/c'], shared)
      app.get(['/d', '/e'], answer)
      expect(unprotected(api, app)).toEqual(['GET /c/x', 'GET /e'])
    })

    test('a path that is joined elsewhere than the mount is no prefix of it: Express 4 swallows a slash there', async () => {
      const { api } = testApi()
      const app = express()
      app.use('/a/b', api as never)
      const inner = express.Router()
      inner.get('/b/c', answer)
      app.use('/a', inner)
      expect(unprotected(api, app)).toEqual(['GET /a/b/c'])
      await request(app)
        .get('/a//b/c')
        .expect(name === 'Express 4' ? 200 : 404)

      const aligned = express()
      const outer = express.Router()
      const below = express.Router()
      below.use('/b', api as never)
      below.get('/b/c', answer)
      outer.use('/a', below)
      aligned.use(outer)
      expect(unprotected(api, aligned)).toEqual([])
    })

    test('a slash in a list of paths is not what it looks like', async () => {
      const { api } = testApi()
      const app = express()
      app.use(['/'], api as never)
      app.get('/a', answer)
      // Express 5 mounts it at nothing but a slash.
      expect(unprotected(api, app)).toEqual(name === 'Express 4' ? [] : ['GET /a'])
      await request(app)
        .get('/a')
        .expect(name === 'Express 4' ? 401 : 200)

      const swallowing = express()
      const inner = express.Router()
      inner.get('/a/b', answer)
      swallowing.use('/a', api as never)
      swallowing.use(['/'], inner)
      // Of two slashes, both take the first for the mount.
      const [label] = unprotected(api, swallowing)
      expect(label).toBe(name === 'Express 4' ? 'GET /a/b' : 'GET / /a/b')
      await request(swallowing).get('//a/b').expect(200)

      const twice = express()
      const [guarded, outer, innermost] = [express.Router(), express.Router(), express.Router()]
      guarded.use('/a', api as never)
      innermost.get('/a/b', answer)
      outer.use(['/'], innermost)
      twice.use(['/'], guarded)
      twice.use(['/'], outer)
      expect(unprotected(api, twice)).toHaveLength(1)
      await request(twice).get('///a/b').expect(200)
    })

    test('a router without a path changes nothing', () => {
      const { api } = testApi()
      const app = express()
      const inner = express.Router()
      inner.get('/a/b', answer)
      app.use('/a', api as never)
      app.use(inner)
      app.use('/', inner)
      expect(unprotected(api, app)).toEqual([])
    })

    test('an API under a path that fits less than it shows covers nothing', async () => {
      const { api } = testApi()
      const app = express()
      app.use('/:from-:to', api as never)
      app.get('/:range', answer)
      expect(unprotected(api, app)).toEqual(['GET /:range'])
      await request(app).get('/a').expect(200)
    })

    test('an API that heeds the case covers no route that does not', async () => {
      const { api } = testApi()
      const app = express()
      app.enable('case sensitive routing')
      app.use('/api', api as never)
      const anyCase = express.Router()
      anyCase.get('/api/a', answer)
      app.use(anyCase)
      app.get('/api/b', answer)
      expect(unprotected(api, app)).toEqual(['GET /api/a'])
      await request(app).get('/API/a').expect(200)
    })

    test('an API that a hook may leave out covers nothing', async () => {
      const { api } = testApi()
      const app = express()
      app.param('tenant', (_req, _res, next) => next('route'))
      app.use('/:tenant', api as never)
      app.get('/:tenant/a', answer)
      app.get('/x/:id', answer)
      expect(unprotected(api, app)).toEqual(['GET /:tenant/a', 'GET /x/:id'])
      await request(app).get('/x/1').expect(200)
    })

    test('a mount that cannot be read covers nothing, but what is in it covers what is in it', () => {
      const { api } = testApi()
      const app = express()
      app.use(/^\/ap/, api as never)
      app.get('/api', answer)
      const inner = express.Router()
      inner.use(api as never)
      inner.get('/a', answer)
      app.use(/^\/in/, inner)
      expect(unprotected(api, app)).toEqual(['GET /api'])
    })

    test('a guard lets in like the API itself, mounted or inline', () => {
      const { api } = testApi({ rbac: { roles } })
      const app = express()
      app.get('/a', api.guard({ rbac: 'orders:read' }) as never, answer)
      app.use('/b', api.guard({ rbac: 'orders:read' }) as never)
      app.get('/b', answer)
      app.get('/c', api as never, answer)
      app.get('/d', answer)
      expect(unprotected(api, app)).toEqual(['GET /d'])
      const lines = found(api, app)
      expect(lines).not.toContain('route-without-rule GET /b')
      expect(lines).toContain('route-without-rule GET /c')
    })

    test('what a tracing tool wraps around middleware does not hide the API, a guard or a router', () => {
      const { api } = testApi({ rbac: { roles } })
      const app = express()
      const router = express.Router()
      router.use(api.guard({ rbac: 'orders:read' }) as never)
      router.get('/b', answer)
      app.use(api as never)
      app.use('/a', router)
      const router4 = (app as unknown as { _router?: typeof app.router })._router
      for (const layer of (router4 ?? app.router).stack) {
        const { handle } = layer
        const wrapped = ((req, res, next) => handle(req, res, next)) as typeof handle
        for (const key in handle) Object.defineProperty(wrapped, key, { get: () => handle[key as never] })
        layer.handle = wrapped
      }
      expect(found(api, app).filter((line) => /^(?:api|route|mount)-/.test(line))).toEqual([])
    })

    test('what another API lets in is for that one to judge', () => {
      const [one, two] = [testApi(), testApi()]
      const app = express()
      app.use('/one', one.api as never)
      app.use('/two', two.api as never)
      app.get('/one/a', answer)
      app.get('/two/a', answer)
      app.get('/three/a', answer)
      app.get('/four/a', two.api.guard({ rbac: 'authenticated' }) as never, answer)
      expect(unprotected(one.api, app)).toEqual(['GET /three/a'])
      expect(unprotected(two.api, app)).toEqual(['GET /three/a'])
    })

    test('behind the front door everything is covered', () => {
      const { api } = testApi()
      const app = express()
      app.get('/a', answer)
      app.use('/b', api as never)
      api.protect(app as never)
      expect(unprotected(api, app)).toEqual([])
    })
  })

  describe('what cannot be read', () => {
    test('a path that is a regular expression is named, unless all it may answer is decided', () => {
      const { api } = testApi({ rbac: { roles } })
      const app = express()
      app.use(api as never)
      app.post(/^\/secret/, answer)
      app.post(/^\/guarded/, api.guard({ rbac: 'orders:create' }) as never, answer)
      expect(found(api, app).filter((line) => line.startsWith('route-unreadable'))).toEqual([
        'route-unreadable POST /^\\/secret/',
      ])
      const decided = testApi({ rbac: { roles, default: 'authenticated' } })
      app.use(decided.api as never)
      decided.api.protect(app as never)
      expect(found(decided.api, app).filter((line) => line.startsWith('route-unreadable'))).toEqual([])
    })

    test('a regular expression in front of the API is unprotected, whatever it fits', () => {
      const { api } = testApi()
      const app = express()
      app.get(/^\/secret/, answer)
      app.use(api as never)
      expect(found(api, app)).toContain('route-unprotected GET /^\\/secret/')
    })

    test('a handler that app.use mounts is judged like a route, if it can do nothing but answer', () => {
      const { api } = testApi({ routes: { '* /decided/*': { public: true } } })
      const app = express()
      app.use('/early', answer)
      app.use(api as never)
      app.use('/secret', answer)
      app.use('/decided', answer)
      const lines = found(api, app).filter((line) => line.includes('/*'))
      expect(lines.sort()).toEqual([
        'route-undecided * /secret/*',
        'route-unprotected * /early/*',
        'route-without-rule * /secret/*',
      ])
    })

    test('a handler that may also pass on is named where it has a path, and is middleware where it has none', () => {
      const { api } = testApi({ routes: { '* /decided/*': { public: true } } })
      const app = express()
      app.use((_req, _res, next) => next())
      app.use('/early', (_req, _res, next) => next())
      app.use(api as never)
      app.use((_req, _res, next) => next())
      app.use('/secret', (_req, _res, next) => next())
      app.use('/decided', (_req, _res, next) => next())
      app.use('/parsed', express.json(), express.urlencoded({ extended: false }))
      app.use('/files', express.static('.'))
      app.use(express.static('.'))
      app.use('/errors', ((_error: unknown, _req: unknown, _res: unknown, next: () => void) =>
        next()) as never)
      app.use((_req, res) => void res.status(404).end())
      expect(found(api, app).filter((line) => / [*A-Z]+ \//.test(line))).toEqual([
        'mount-unknown * /early/*',
        'mount-unknown * /secret/*',
        'mount-unknown * /files/*',
        'mount-unknown * /*',
      ])
    })

    test('another application does not show its routes, unless a rule decides for all of them', () => {
      const { api } = testApi({ rbac: { roles }, routes: { '* /a/*': { rbac: 'orders:read' } } })
      const app = express()
      const sub = express()
      sub.get('/x', answer)
      app.use(api as never)
      app.use('/a', sub)
      app.use('/b', sub)
      expect(found(api, app).filter((line) => line.startsWith('mount'))).toEqual(['mount-unknown * /b/*'])
    })

    test('a router in itself has no end', () => {
      const { api } = testApi()
      const app = express()
      const router = express.Router()
      router.get('/a', answer)
      router.use('/again', router)
      app.use(api as never)
      app.use('/r', router)
      expect(found(api, app)).toEqual(
        expect.arrayContaining(['route-undecided GET /r/a', 'mount-unknown * /r/again/*']),
      )
    })

    test('a guard that asks who is calling, before a public route, is a wall that is named', async () => {
      const { api, as } = testApi({ rbac: { roles }, routes: { '* /pub/*': { public: true } } })
      const app = express()
      app.use(api as never)
      let ran = 0
      const handler = (_req: unknown, res: { end(): void }) => (ran++, res.end())
      app.get('/pub/a', api.guard({ rbac: 'orders:read' }) as never, handler as never)
      app.get('/pub/b', api.guard({ rateLimit: {} }) as never, handler as never)
      app.get('/known', api.guard({ rbac: 'orders:read' }) as never, handler as never)
      expect(found(api, app).filter((line) => line.startsWith('guard-on-public'))).toEqual([
        'guard-on-public GET /pub/a',
      ])
      const reply = await request(app)
        .get('/pub/a')
        .set('Authorization', as({ roles: ['clerk'] }))
      expect([reply.status, ran]).toEqual([401, 0])
    })

    test('Connect inside Express is a handler like others', () => {
      const { api } = testApi()
      const app = express()
      app.use(api as never)
      app.use('/old', connect() as never)
      expect(found(api, app)).toContain('mount-unknown * /old/*')
      // A rule for all that is below decides; its dots are still not read as Connect reads them.
      expect(found(api, app)).toContain('connect-mounted')
    })
  })

  describe('what a route answers', () => {
    test('app.all is asked about for every method that a rule names, and for all others', () => {
      const { api } = testApi({
        rbac: { roles },
        routes: {
          'GET /x': { public: true },
          'PUT /x': { rateLimit: {} },
          '* /y': { rbac: 'orders:read' },
          // The rule for all methods decides here too.
          'DELETE /y': { rateLimit: {} },
        },
      })
      const app = express()
      app.use(api as never)
      app.route('/x').all(answer)
      app.all('/y', answer)
      expect(found(api, app).filter((line) => / [*A-Z]+ \//.test(line))).toEqual([
        'route-without-rule * /x',
        'route-undecided * /x',
        'route-undecided PUT /x',
      ])
    })

    test('app.all is one finding, and one that only lets in is none', () => {
      const { api } = testApi()
      const app = express()
      app.use(api as never)
      app.all(name === 'Express 4' ? '*' : '/*rest', api.guard({ rbac: 'authenticated' }) as never)
      app.all('/x', api.guard({ rbac: 'authenticated' }) as never, answer)
      app.all('/y', answer)
      const lines = found(api, app).filter((line) => / [*A-Z]+ \//.test(line))
      expect(lines.sort()).toEqual([
        'guard-after-body * /x',
        'route-undecided * /y',
        'route-without-rule * /y',
      ])
    })

    test('the handlers of one method are no guards of another', () => {
      const { api } = testApi({ rbac: { roles } })
      const app = express()
      app.use(api as never)
      app
        .route('/x')
        .get(api.guard({ rbac: 'orders:read' }) as never, answer)
        .delete(answer)
      app
        .route('/y')
        .all(api.guard({ rbac: 'orders:read' }) as never)
        .get(answer)
        .put(answer)
      expect(found(api, app).filter((line) => line.startsWith('route-undecided'))).toEqual([
        'route-undecided DELETE /x',
      ])
    })

    test('HEAD takes the rule of GET', () => {
      const { api } = testApi({ routes: { 'GET /x': { public: true } } })
      const app = express()
      app.use(api as never)
      app.head('/x', answer)
      app.options('/y', answer)
      const findings = api.check(app).filter(({ code }) => code.startsWith('ro') || code.startsWith('ru'))
      expect(findings.map(({ code, route }) => `${code} ${route}`)).toEqual([
        'route-without-rule OPTIONS /y',
        'route-undecided OPTIONS /y',
      ])
      expect(findings[0]!.fix).toContain("'* /y'")
    })

    test('an optional part stands for its presence and for its absence', async () => {
      const { api, as } = testApi({
        rbac: { roles },
        routes: { 'DELETE /orders/:id': { rbac: 'orders:create' } },
      })
      const app = express()
      app.use(api as never)
      app.delete(name === 'Express 4' ? '/orders/:id?' : '/orders{/:id}', answer)
      expect(found(api, app).filter((line) => / [*A-Z]+ \//.test(line))).toEqual([
        'route-without-rule DELETE /orders',
        'route-undecided DELETE /orders',
      ])
      await request(app).delete('/orders').set('Authorization', as()).expect(200)
    })

    test('a rest stands for every depth', () => {
      const { api } = testApi({
        rbac: { roles },
        routes: {
          'GET /files/:id': { rbac: 'orders:read' },
          'GET /docs/*': { public: true },
          'GET /docs/drafts/:id': { rateLimit: {} },
        },
      })
      const app = express()
      app.use(api as never)
      const rest = name === 'Express 4' ? '*' : '*rest'
      app.get(`/files/${rest}`, answer)
      app.get(`/docs/${rest}`, answer)
      expect(found(api, app).filter((line) => / [*A-Z]+ \//.test(line))).toEqual([
        'route-without-rule GET /files/*',
        'route-undecided GET /files/*',
        'route-undecided GET /docs/drafts/:id',
        'exception-not-inherited GET /docs/drafts/:id',
      ])
    })

    test('a public rule decides only for what it fits letter by letter', () => {
      const { api } = testApi({
        routes: { 'GET /Orders': { public: true }, 'GET /orders/x': { public: true } },
      })
      const app = express()
      app.use(api as never)
      app.get('/orders', answer)
      app.get('/orders/x', answer)
      expect(found(api, app).filter((line) => line.startsWith('route-undecided'))).toEqual([
        'route-undecided GET /orders',
      ])
    })
  })

  describe('guards', () => {
    test('behind their handler guard nothing', async () => {
      const { api, as } = testApi({ rbac: { roles } })
      const guard = api.guard({ rbac: 'orders:read' }) as never
      const app = express()
      app.use(api as never)
      app.delete('/last', (_req, res, _next) => void res.json({}), guard)
      app.delete('/between', answer, guard, answer)
      app.delete('/perhaps', (_req, _res, next) => next(), guard, answer)
      app.delete('/parsed', express.json(), guard, answer)
      app.delete('/first', guard, (_req, _res, next) => next(), answer)
      const findings = api.check(app).filter(({ code }) => /^guard-b|^route-u/.test(code))
      expect(findings.map(({ code, severity, route }) => `${code} ${severity} ${route}`)).toEqual([
        'guard-behind-handler high DELETE /last',
        'guard-behind-handler high DELETE /between',
        'route-undecided medium DELETE /last',
        'route-undecided medium DELETE /between',
        'guard-behind-handler low DELETE /perhaps',
      ])
      await request(app).delete('/last').set('Authorization', as()).expect(200)
      await request(app).delete('/first').set('Authorization', as()).expect(403)
    })

    test('that are the only way in must come first', () => {
      const { api } = testApi({ rbac: { roles } })
      const guard = api.guard({ rbac: 'orders:read' }) as never
      const app = express()
      app.get('/a', (_req, _res, next) => next(), guard, answer)
      app.get('/b', guard, answer)
      expect(api.check(app).filter(({ severity }) => severity === 'high')).toEqual([
        expect.objectContaining({ code: 'guard-behind-handler', route: 'GET /a' }),
      ])
    })

    test('that stand twice before a handler are named', () => {
      const { api } = testApi()
      const guard = api.guard({ rateLimit: { limit: 10, windowMs: 1_000 } }) as never
      const app = express()
      app.use(api as never, api as never)
      app.use('/a', guard)
      app.get('/a', guard, answer)
      app.get('/b', guard, answer)
      expect(found(api, app).filter((line) => line.startsWith('guard'))).toEqual(['guard-repeated GET /a'])
    })

    test('that are mounted decide after the body too', () => {
      const { api } = testApi({ rbac: { roles } })
      const app = express()
      app.use(api as never)
      const orders = express.Router()
      orders.use(api.guard({ rbac: 'orders:create' }) as never)
      orders.post('/', answer)
      orders.get('/', answer)
      app.use('/orders', orders)
      expect(found(api, app).filter((line) => line.startsWith('guard'))).toEqual([
        'guard-after-body POST /orders',
      ])
    })
  })

  describe('middleware of others', () => {
    test('a parser is named wherever it comes before the API for some requests', () => {
      const named = (mount: (app: Express, api: never) => void): unknown[] => {
        const { api } = testApi()
        const app = express()
        mount(app, api as never)
        return api.check(app).flatMap(({ code, cause }) => (code === 'body-parsed-before' ? [cause] : []))
      }
      const nested = (app: Express, api: never, ...order: ('api' | 'json')[]): void => {
        const router = express.Router()
        for (const each of order) router.use(each === 'api' ? api : express.json())
        app.use('/v1', router)
      }
      expect(named((app, api) => nested(app, api, 'json', 'api'))).toEqual([
        'jsonParser at /v1/* reads bodies before the caller is known',
      ])
      expect(named((app, api) => nested(app, api, 'api', 'json'))).toEqual([])
      expect(
        named((app, api) => app.use('/a', express.urlencoded({ extended: true })).use(api)),
      ).toHaveLength(1)
      expect(named((app, api) => app.use('/a', express.json()).use('/b', api))).toEqual([])
      expect(named((app, api) => app.use('/b', api).use(express.json()))).toEqual([])
      expect(
        named((app, api) => app.use(api).use(express.json()).use('/a', api).post('/b', api, answer)),
      ).toEqual([])
    })

    test('a method that is overridden behind the API is named', () => {
      // Named as method-override names it.
      function methodOverride(_req: unknown, _res: unknown, next: () => void): void {
        next()
      }
      const { api } = testApi()
      const [before, behind] = [express(), express()]
      before.use(methodOverride as never, api as never)
      behind.use(api as never, methodOverride as never)
      const code = 'method-overridden'
      expect(found(api, before)).not.toContain(code)
      expect(found(api, behind)).toContain(code)
      api.protect(before as never)
      expect(found(api, before)).toContain(code)
    })

    test('an error handler that may lead past the API to a route is named', async () => {
      const { api } = testApi()
      const swallow = ((_error: unknown, _req: unknown, _res: unknown, next: () => void) => next()) as never
      const app = express()
      app.use('/x', (_req, _res, next) => next(new Error('before the API')))
      app.use(api as never)
      app.use('/x', swallow)
      app.get('/x', answer)
      expect(found(api, app)).toContain('error-handler-early')
      await request(app).get('/x').expect(200)

      const usual = express()
      usual.use(api as never)
      const orders = express.Router()
      orders.get('/a', answer)
      orders.use(swallow)
      orders.get('/b', answer)
      usual.use('/orders', orders, swallow)
      usual.get('/shops', answer)
      usual.use(swallow)
      expect(found(api, usual)).not.toContain('error-handler-early')
    })
  })

  test.each<[string, (app: Express, api: never) => unknown]>([
    ['route-unprotected', (app, api) => app.use('/api', api).get('/admin', answer)],
    ['route-unreadable', (app, api) => app.use(api).post(/^\/secret/, answer)],
    ['route-undecided', (app, api) => app.use(api).use('/secret', answer)],
    ['mount-unknown', (app, api) => app.use(api).use('/secret', (_req, _res, next) => next())],
    ['mount-unknown', (app, api) => app.use(api).use('/secret', express().get('/', answer))],
    ['api-not-mounted', (app) => app.get('/health', answer)],
  ])('strict: throws %s', (code, mount) => {
    const { api } = testApi({ strict: true, routes: { 'GET /health': { public: true } } })
    const app = express()
    mount(app, api as never)
    expect(() => api.check(app)).toThrow(expect.objectContaining({ code }))
  })

  test('strict: an application that is none stops it too', () => {
    const { api } = testApi({ strict: true })
    expect(() => api.check(api.protect(express() as never))).toThrow(
      expect.objectContaining({ code: 'routes-unknown' }),
    )
  })

  test('an application without routes is fine', () => {
    const { api } = testApi()
    expect(() => api.check(express())).not.toThrow()
  })
})

describe('reported identity and access', () => {
  const high = (options: Parameters<typeof testApi>[0]): string[] =>
    testApi(options)
      .api.check(express5())
      .filter(({ severity }) => severity === 'high')
      .map(({ code, route }) => (route === undefined ? code : `${code} ${route}`))
      .filter((line) => line.includes('reported'))

  const rbac = { roles, default: 'authenticated' }
  test.each<[string, Parameters<typeof testApi>[0], string[]]>([
    ['everywhere', { mode: 'report', rbac }, ['auth-reported', 'rbac-reported']],
    ['by name', { mode: { auth: 'report' }, rbac }, ['auth-reported']],
    ['on a route', { routes: { 'GET /x': { mode: 'report' } } }, ['auth-reported GET /x']],
    ['by name on a route', { routes: { 'GET /x': { mode: { auth: 'report' } } } }, ['auth-reported GET /x']],
    [
      'rbac on a route',
      { rbac, routes: { 'GET /x': { rbac: 'orders:read', mode: { rbac: 'report' } } } },
      ['rbac-reported GET /x'],
    ],
    ['once', { mode: 'report', routes: { 'GET /x': { mode: 'report' } } }, ['auth-reported']],
    ['not where nobody is asked', { routes: { 'GET /x': { public: true, mode: 'report' } } }, []],
    ['not where it is enforced', { rbac, routes: { 'GET /x': { mode: { rateLimit: 'report' } } } }, []],
  ])('is severe: %s', (_where, options, expected) => {
    expect(high(options)).toEqual(expected)
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
