import connect from 'connect'
import type { RequestHandler } from 'express'
import { AsyncLocalStorage } from 'node:async_hooks'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import request from 'supertest'
import { body } from '../src/data/body.js'
import { forward } from '../src/kernel/respond.js'
import { testApi } from './support/api.js'
import { expressVersions } from './support/express.js'
import { sendRaw } from './support/raw.js'

const roles = { roles: { admin: ['*'] } }
const adminOnly = { rbac: { role: 'admin' } }
const asMiddleware = (one: unknown) => one as RequestHandler
const adminData = (_req: IncomingMessage, res: ServerResponse) => void res.end('admin data')

describe('on Connect, where mounting and rewriting look alike,', () => {
  const rewriting = (from: string, to: string) => (req: IncomingMessage, _res: unknown, next: () => void) => {
    if (req.url!.startsWith(from)) req.url = to
    next()
  }

  test.each(['/legacy', '/legacy?/admin/list', '/legacy?x=/admin/list', '/legacy?a#/admin/list'])(
    '%s is not public once it is rewritten: its query changes nothing',
    async (path) => {
      const { api } = testApi({
        rbac: roles,
        routes: { 'GET /legacy': { public: true }, 'GET /admin/list': adminOnly },
      })
      const app = connect()
      app.use(rewriting('/legacy', '/admin/list'))
      app.use(api)
      app.use('/admin/list', adminData)
      const reply = await request(app).get(path).expect(401)
      expect(reply.text).not.toContain('admin data')
    },
  )

  test('a URL that loses its prefix by rewriting is matched again', async () => {
    const { api, as } = testApi({ rbac: roles, routes: { 'GET /admin': adminOnly } })
    const app = connect()
    app.use(rewriting('/en/', '/admin'))
    app.use(api)
    app.use('/admin', adminData)
    await request(app).get('/admin').set('Authorization', as()).expect(403)
    await request(app).get('/en/admin').set('Authorization', as()).expect(403)
  })

  test('an API that is mounted under a path still finds its rules by the whole path', async () => {
    const { api, as } = testApi({ rbac: roles, routes: { 'GET /v1/admin': adminOnly } })
    const app = connect()
    app.use('/v1', api)
    app.use('/v1/admin', adminData)
    await request(app).get('/v1/admin').set('Authorization', as()).expect(403)
    await request(app).get('/v1/other').set('Authorization', as()).expect(404)
  })
})

describe.each(['protect', 'use'])('Connect ends a mount path at a dot too, behind %s:', (door) => {
  const dotted = [
    '/admin.x',
    '/admin.',
    '/Admin.json?x',
    '/admin.x/y',
    '/ADMIN.x%2e',
    '/admin..',
    '/admin.a.b',
  ]
  const serving = (general: object, rules = {}) => {
    const { api, as } = testApi({
      rbac: roles,
      rateLimit: false,
      firewall: false,
      routes: { '* /*': general, '* /admin': adminOnly, '* /admin/*': adminOnly, ...rules },
    })
    const ran: string[] = []
    const app = connect()
    if (door === 'use') app.use(api)
    app.use('/admin', (req: IncomingMessage, res: ServerResponse) => {
      ran.push(req.url!)
      res.end('admin data')
    })
    return { ran, as, server: door === 'use' ? app : api.protect(app) }
  }

  test.each(dotted)('%s meets the rules of /admin, public or not what is around', async (path) => {
    const open = serving({ public: true })
    const refused = await request(open.server).post(path).expect(401)
    expect(refused.headers['content-type']).toContain('application/problem+json')
    expect(refused.body).toMatchObject({ type: 'urn:secure-api:problem:unauthenticated' })
    expect(refused.headers['www-authenticate']).toContain('Bearer')
    const known = serving({ rbac: 'authenticated' })
    const { body } = await request(known.server).post(path).set('Authorization', known.as()).expect(403)
    expect(body).toMatchObject({ type: 'urn:secure-api:problem:forbidden' })
    expect([...open.ran, ...known.ran]).toEqual([])
    // So that the test proves something: Connect does lead there.
    await request(known.server)
      .post(path)
      .set('Authorization', known.as({ roles: ['admin'] }))
      .expect(200)
    expect(known.ran).toHaveLength(1)
  })

  test('what is written down for the very path is public, and what merely fits it is not', async () => {
    const named = serving({ rbac: 'authenticated' }, { 'GET /admin.json': { public: true } })
    await request(named.server).get('/admin.json').expect(200, 'admin data')
    await request(named.server).get('/admin.JSON').expect(401)
    const fitting = serving({ rbac: 'authenticated' }, { 'GET /:page': { public: true } })
    await request(fitting.server).get('/admin.json').expect(401)
    await request(fitting.server).get('/other.json').expect(404)
  })

  test('a guard that is mounted by the path is met where its handler is', async () => {
    const { api, as } = testApi({ rbac: roles, rateLimit: false })
    const app = connect()
    if (door === 'use') app.use(api)
    app.use('/admin', api.guard(adminOnly))
    app.use('/admin', adminData)
    const server = door === 'use' ? app : api.protect(app)
    await request(server).get('/admin.x').set('Authorization', as()).expect(403)
    await request(server)
      .get('/admin.x')
      .set('Authorization', as({ roles: ['admin'] }))
      .expect(200)
  })
})

test('rules that exclude one another only where dots are slashes start, and take nothing away there', async () => {
  const { api } = testApi({
    routes: {
      '* /v1/*': { auth: { methods: ['bearer'] } },
      'GET /v1.1/*': { public: true, mode: 'enforce' },
    },
  })
  await request(api.protect((_req, res) => void res.end()))
    .get('/v1.1/x')
    .expect(200)
})

describe.each(expressVersions)('on %s', (_name, express) => {
  test.each(['protect', 'use'])('a dot belongs to the name, behind %s', async (door) => {
    const { api } = testApi({
      rbac: roles,
      routes: { '* /*': { public: true }, '* /v1/*': adminOnly },
    })
    const app = express()
    if (door === 'use') app.use(asMiddleware(api))
    app.get('/v1.1/x', (_req, res) => void res.end('open'))
    app.get('/v1/x', adminData)
    const server = door === 'use' ? app : api.protect(app)
    await request(server).get('/v1.1/x').expect(200, 'open')
    await request(server).get('/v1/x').expect(401)
  })

  test("a rule for '*' holds for OPTIONS that reaches app.all", async () => {
    const { api, as } = testApi({ rbac: roles, routes: { '* /admin': adminOnly } })
    const app = express()
    app.use(asMiddleware(api))
    app.all('/admin', (_req, res) => void res.send('admin data'))
    for (const method of ['get', 'post', 'put', 'patch', 'delete', 'options'] as const) {
      const { text } = await request(app)[method]('/admin').set('Authorization', as()).expect(403)
      expect(text).not.toContain('admin data')
    }
  })

  test('a guard has the mode of its route letter by letter, whoever comes first', async () => {
    const statuses = async (...paths: string[]) => {
      const { api, as } = testApi({ rbac: roles, routes: { 'GET /a': { mode: 'report' } } })
      const app = express()
      app.use(asMiddleware(api))
      app.get('/a', asMiddleware(api.guard(adminOnly)), (_req, res) => void res.send('in'))
      const found: Record<string, number> = {}
      for (const path of paths) found[path] = (await request(app).get(path).set('Authorization', as())).status
      return found
    }
    expect(await statuses('/a', '/A')).toEqual({ '/a': 200, '/A': 403 })
    expect(await statuses('/A', '/a')).toEqual({ '/a': 200, '/A': 403 })
  })

  test('a request that was refused does not count as let in', async () => {
    const { api, as } = testApi({ respond: forward })
    const app = express()
    let handled = 0
    app.use(asMiddleware(api))
    // An error handler that serves what is below to whoever is not logged in.
    app.use(asMiddleware((_error: unknown, _req: unknown, _res: unknown, next: () => void) => next()))
    app.get('/x', asMiddleware(api.guard({ rateLimit: { limit: 5, windowMs: 1_000 } })), (_req, res) => {
      handled++
      res.send('in')
    })
    app.use(asMiddleware(api.errors()))
    const reply = await request(app).get('/x').expect(401)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'unauthenticated' })
    expect(handled).toBe(0)
    await request(app).get('/x').set('Authorization', as()).expect(200, 'in')
  })

  test('a path that fits loosely keeps what a loosening rule tightens beside it', async () => {
    const { api, as } = testApi({
      routes: {
        'GET /o': { auth: { optional: true, maxLifetimeSeconds: 1 } },
        'POST /raw': { body: { parse: 'raw', maxBytes: 10 } },
      },
    })
    const app = express()
    app.use(asMiddleware(api))
    app.get('/o', (_req, res) => void res.send('in'))
    app.post('/raw', (req, res) => void res.json({ read: (req as { body?: unknown }).body ?? null }))
    const post = (path: string, sent: object) => request(app).post(path).set('Authorization', as()).send(sent)
    const long = { a: 'x'.repeat(100) }

    for (const path of ['/o', '/O', '/o/'])
      await request(app).get(path).set('Authorization', as()).expect(401)
    for (const path of ['/raw', '/RAW', '/raw/']) await post(path, long).expect(413)
    // Not raw there: a body that is small enough is read within the general limits.
    await post('/RAW', { a: 1 }).expect(200, { read: { a: 1 } })
  })

  test('strict: a decision about one path is none about the path it is rewritten to', async () => {
    const { api, as } = testApi({ strict: true, routes: { 'GET /health': { public: true } } })
    const app = express()
    app.use((req, _res, next) => {
      if (req.url === '/health') req.url = '/undecided'
      next()
    })
    app.use(asMiddleware(api))
    app.get('/undecided', (_req, res) => void res.send('in'))
    const door = api.protect(app as never)
    for (const path of ['/undecided', '/health']) {
      const { text } = await request(door).get(path).set('Authorization', as()).expect(500)
      expect(JSON.parse(text)).toMatchObject({ code: 'undecided' })
    }
  })
})

describe('what was let in goes on when all that is there is read:', () => {
  const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
  const LAST = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
  /** Each way in, around a handler. */
  const doors: [
    string,
    (api: ReturnType<typeof testApi>['api'], handler: RequestListener) => RequestListener,
  ][] = [
    ['the front door', (api, handler) => api.protect(handler)],
    ['middleware', (api, handler) => (req, res) => api(req, res, () => handler(req, res))],
    ...expressVersions.map(([version, express]): (typeof doors)[number] => [
      version,
      (api, handler) =>
        express()
          .use(asMiddleware(api))
          .use(handler as RequestHandler),
    ]),
  ]

  describe.each(doors)('%s', (_name, behind) => {
    test('in the same turn of the loop, after what else listens, and once', async () => {
      const { api } = testApi({ auth: false })
      const log: string[] = []
      const server = createServer(
        behind(api, (_req, res) => {
          log.push('handler')
          res.end()
        }),
      )
      server.on('request', () => {
        log.push('listener')
        setImmediate(() => log.push('turn is over'))
      })
      await sendRaw(server, LAST)
      expect(log).toEqual(['listener', 'handler', 'turn is over'])
    })

    test('requests of one connection in their order, also for a client that has ended its side', async () => {
      const { api } = testApi({ auth: false })
      const order: string[] = []
      const server = createServer(
        behind(api, (req, res) => {
          order.push(req.url!)
          res.end(req.url)
        }),
      )
      const sent = [1, 2, 3].map((i) => GET.replace('/', `/${i}`)).join('') + LAST
      const { body } = await sendRaw(server, sent)
      expect(order).toEqual(['/1', '/2', '/3', '/last'])
      expect(body).toContain('/1')
    })

    test('each in the asynchronous context that it came in', async () => {
      const { api } = testApi({ auth: false })
      const storage = new AsyncLocalStorage<string>()
      const seen: unknown[][] = []
      const enter = behind(api, (req, res) => {
        seen.push([req.url, storage.getStore(), (req as { body?: unknown }).body])
        res.end()
      })
      const server = createServer((req, res) => storage.run(`of ${req.url!}`, () => enter(req, res)))
      const post = (path: string) =>
        `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}`
      await sendRaw(server, GET.replace('/', '/1') + post('/2') + post('/3') + LAST)
      expect(seen.sort()).toEqual([
        ['/1', 'of /1', undefined],
        ['/2', 'of /2', { a: 1 }],
        ['/3', 'of /3', { a: 1 }],
        ['/last', 'of /last', undefined],
      ])
    })

    test.each<[string, (req: IncomingMessage, res: ServerResponse) => void]>([
      ['that was answered meanwhile', (_req, res) => void res.end('by somebody else')],
      ['whose client is gone', (req) => void req.socket.destroy()],
    ])('none %s', async (_what, meanwhile) => {
      const { api } = testApi({ auth: false })
      let ran = 0
      const server = createServer(behind(api, () => ran++))
      server.on('request', meanwhile)
      await sendRaw(server, LAST)
      await new Promise(setImmediate)
      expect(ran).toBe(0)
    })
  })

  test('a callback that throws is called once, and answered 500: nothing leaves through the loop', async () => {
    const { api } = testApi({ auth: false })
    const told: unknown[] = []
    const server = createServer((req, res) =>
      api(req, res, (error) => {
        told.push(error)
        throw new Error('mine')
      }),
    )
    const reply = await sendRaw(server, LAST)
    expect(reply.status).toBe(500)
    expect(JSON.parse(reply.body)).toMatchObject({ code: 'broken' })
    expect(told).toEqual([undefined])
  })

  test('also where it was made into something else meanwhile', async () => {
    const { api } = testApi({ auth: false })
    const server = createServer((req, res) => {
      api(req, res, () => {
        throw new Error('mine')
      })
      req.url = '/else'
    })
    expect((await sendRaw(server, LAST)).status).toBe(500)
  })

  test('what it was made into meanwhile is decided about, before anybody handles it', async () => {
    const { api } = testApi({
      routes: { 'GET /open': { public: true }, 'GET /admin': {}, 'DELETE /open': {} },
    })
    const ran: string[] = []
    const door = api.protect((req, res) => {
      ran.push(`${req.method!} ${req.url!}`)
      res.end()
    })
    for (const later of [{ url: '/admin' }, { method: 'DELETE' }, {}]) {
      const server = createServer((req, res) => {
        door(req, res)
        Object.assign(req, later)
      })
      const { status } = await sendRaw(server, LAST.replace('/last', '/open'))
      expect(status).toBe('url' in later || 'method' in later ? 401 : 200)
    }
    expect(ran).toEqual(['GET /open'])
  })

  test.each([
    ['a form', 'application/x-www-form-urlencoded', 'Content-Length: 5\r\n\r\na=b12'],
    ['text in chunks', 'text/plain', 'Transfer-Encoding: chunked\r\n\r\n5\r\na=b12\r\n0\r\n\r\n'],
  ])('not %s that flows already: its reader behind the API misses nothing', async (_what, type, rest) => {
    for (const [, behind] of doors) {
      const { api } = testApi({ auth: false })
      const [before, after]: [string[], string[]] = [[], []]
      const enter = behind(api, (req, res) => {
        req.on('data', (chunk: Buffer) => after.push(String(chunk)))
        req.on('end', () => res.end())
      })
      const server = createServer((req, res) => {
        req.on('data', (chunk: Buffer) => before.push(String(chunk)))
        enter(req, res)
      })
      const head = `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: ${type}\r\n`
      expect((await sendRaw(server, head + rest, true)).status).toBe(200)
      expect([before.join(''), after.join('')]).toEqual(['a=b12', 'a=b12'])
    }
  })

  test('behind another API it has waited, and does not wait again', async () => {
    const [outer, inner] = [testApi({ auth: false }).api, testApi({ auth: false }).api]
    const log: string[] = []
    const server = createServer(
      outer.protect((req, res) => {
        inner(req, res, () => {
          log.push('handler')
          res.end()
        })
        log.push('back')
      }),
    )
    await sendRaw(server, LAST)
    expect(log).toEqual(['handler', 'back'])
  })

  test('whoever has waited already does not wait once more', async () => {
    const { api } = testApi({ auth: false })
    const door = api.protect((_req, res) => res.end('here'))
    const server = createServer((req, res) => void setImmediate(() => door(req, res)))
    expect(await sendRaw(server, LAST)).toMatchObject({ status: 200, body: 'here' })
  })

  test('a body that was there already is not waited for once more, after which a client that has ended its side is gone', async () => {
    const { api } = testApi({ auth: false, body: false })
    const read = body()
    const server = createServer(
      api.protect((req, res) =>
        read(req, res, () => res.end(JSON.stringify((req as { body?: unknown }).body))),
      ),
    )
    const json = 'Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'
    const reply = await sendRaw(server, `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${json}`)
    expect(reply).toMatchObject({ status: 200, body: '{"a":1}' })
  })
})
