import { createServer, METHODS, type IncomingMessage, type Server } from 'node:http'
import type { Handler } from '../../src/entrance.js'
import type { SecureApi } from '../../src/secure-api.js'
import { testApi } from '../support/api.js'
import { expressVersions, type Express } from '../support/express.js'
import { listen, sendRaw } from '../support/raw.js'

/** Fields, and more than fields, by which some framework takes a request for one of another method. */
const METHOD_FORGERIES = [
  'X-HTTP-Method-Override: DELETE',
  'x-http-method-override: delete',
  'X-HTTP-Method-Override: DELETE\r\nX-HTTP-Method-Override: POST',
  'X-HTTP-Method: DELETE',
  'X-Method-Override: DELETE',
  'X-Method: DELETE',
  'X-Original-Method: DELETE',
  'X-Forwarded-Method: DELETE',
  'X-Requested-Method: DELETE',
  'X-HTTP-Verb: DELETE',
  'Method: DELETE',
  '_method: DELETE',
  'X-Method-Override: TRACE',
]

/** Fields by which some proxy or framework takes a request for one of another URL. */
const URL_FIELDS = [
  'X-Original-URL',
  'X-Rewrite-URL',
  'X-Original-URI',
  'X-Original-Path',
  'X-Request-URI',
  'X-Forwarded-URI',
  'X-Forwarded-URL',
  'X-Forwarded-Path',
  'X-Forwarded-Prefix',
  'X-Override-URL',
  'X-Proxy-URL',
  'X-Envoy-Original-Path',
  'X-Accel-Redirect',
  'X-HTTP-DestinationURL',
  'Base-Url',
  'Request-Uri',
  'Content-Location',
  'Destination',
  'Referer',
  'Url',
]

const ROUTES = ['GET /open', 'GET /admin', 'POST /orders', 'DELETE /orders'] as const
const RULES = {
  'GET /open': { public: true },
  'GET /admin': { rbac: { role: 'admin' } },
  'POST /orders': { rbac: { role: 'clerk' } },
  'DELETE /orders': { rbac: { role: 'admin' } },
} as const
const ROLES = { rbac: { roles: { clerk: [], admin: ['everything'] } }, rateLimit: false as const }
/** Holds what each of the two methods asks for; an administrator here is a clerk, too. */
const CALLERS = { nobody: undefined, clerk: ['clerk'], admin: ['clerk', 'admin'] }
type Caller = keyof typeof CALLERS

const DOORS: Record<string, (api: SecureApi, app: Express) => Handler> = {
  'app.use': (_api, app) => app,
  'the front door': (api, app) => api.protect(app),
}

function serveRoutes(app: Pick<Express, 'get' | 'post' | 'delete'>, ...before: never[]): void {
  for (const route of ROUTES) {
    const [method, path] = route.split(' ') as ['GET' | 'POST' | 'DELETE', string]
    app[method.toLowerCase() as 'get'](path, ...before, ((_req: unknown, res: { end(text: string): void }) =>
      res.end(`served ${route}`)) as never)
  }
}

/** What became of a request: its status, and for a refusal the code, for an answer the route. */
async function outcome(server: Server, head: string, authorization: string | undefined, body = '') {
  const fields = authorization === undefined ? '' : `Authorization: ${authorization}\r\n`
  const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`
  const { status, body: text } = await sendRaw(
    server,
    `${head}\r\nHost: a\r\nConnection: close\r\n${fields}${length}\r\n${body}`,
  )
  const said = /served (\w+ \S+?)\s|"code":"([^"]+)"/.exec(`${text} `)
  return `${status} ${said?.[1] ?? said?.[2] ?? ''}`.trim()
}

const startLine = (route: string, query = '') => `${route.replace(/(?<= \S+)$/, query)} HTTP/1.1`

describe.each(expressVersions)('on %s', (_version, express) => {
  describe.each(Object.entries(DOORS))('behind %s', (door, enter) => {
    describe('nobody is believed who claims in a field to ask for something else', () => {
      const { api, as, events } = testApi({ ...ROLES, routes: RULES })
      const app = express()
      if (door === 'app.use') app.use(api as never)
      serveRoutes(app)
      const server = createServer(enter(api, app))
      beforeAll(() => Promise.all([listen(server), api.ready()]))
      afterAll(() => void server.close())
      const ask = (route: string, lines: string, caller: Caller, body?: string, query?: string) =>
        outcome(
          server,
          `${startLine(route, query)}\r\n${lines}`,
          CALLERS[caller] && as({ roles: CALLERS[caller] }),
          body,
        )

      test.each(METHOD_FORGERIES)('%s', async (lines) => {
        events.length = 0
        expect(await ask('POST /orders', lines, 'nobody')).toBe('401 unauthenticated')
        expect(await ask('POST /orders', lines, 'clerk')).toBe('200 POST /orders')
        expect(await ask('DELETE /orders', lines.replaceAll(/delete/gi, 'POST'), 'clerk')).toBe(
          '403 forbidden',
        )
        expect(
          events
            .filter(({ kind }) => kind === 'request' || kind === 'decision')
            .map(({ method, route }) => `${String(method)} ${String(route)}`),
        ).toEqual(['POST POST /orders', 'POST POST /orders', 'DELETE DELETE /orders'])
      })

      test.each<[string, string, string, string]>([
        ['the query', 'X: y', '', '?_method=DELETE'],
        ['the query, twice', 'X: y', '', '?_method=DELETE&_method=POST'],
        ['a JSON body', 'Content-Type: application/json', '{"_method":"DELETE"}', ''],
        ['a form', 'Content-Type: application/x-www-form-urlencoded', '_method=DELETE', ''],
      ])('_method in %s', async (_where, lines, body, query) => {
        expect(await ask('POST /orders', lines, 'clerk', body, query)).toBe('200 POST /orders')
      })

      test.each(URL_FIELDS)('%s', async (field) => {
        for (const value of ['/admin', 'http://a/admin', '/open/../admin'])
          expect(await ask('GET /open', `${field}: ${value}`, 'nobody')).toBe('200 GET /open')
        for (const value of ['/open', 'http://a/open']) {
          expect(await ask('GET /admin', `${field}: ${value}`, 'nobody')).toBe('401 unauthenticated')
          expect(await ask('GET /admin', `${field}: ${value}`, 'clerk')).toBe('403 forbidden')
        }
      })
    })
  })
})

/** As the package method-override does, by whose name `check` knows it. */
function methodOverride(req: IncomingMessage, _res: unknown, next: () => void): void {
  const wanted = String(req.headers['x-http-method-override'] ?? '').toUpperCase()
  if (METHODS.includes(wanted)) req.method = wanted
  next()
}

/** As some frameworks read what IIS and others write. */
function urlOverride(req: IncomingMessage, _res: unknown, next: () => void): void {
  const wanted = req.headers['x-original-url']
  if (typeof wanted === 'string') req.url = wanted
  next()
}

interface Setup {
  readonly api: SecureApi
  readonly app: Express
  readonly router: Express
  readonly door: string
}

/** Where an application believes such fields. The first rule is always that of the request as the API meets it. */
const PLACES: Record<string, (setup: Setup) => Handler> = {
  'before the API': ({ api, app, door }) => {
    if (door === 'app.use') app.use(methodOverride as never, urlOverride as never, api as never)
    serveRoutes(app)
    if (door === 'app.use') return app
    const protectedApp = api.protect(app)
    return (req, res) => methodOverride(req, res, () => urlOverride(req, res, () => protectedApp(req, res)))
  },
  'between the API and the routes': ({ api, app, door }) => {
    app.use(api as never, methodOverride as never, urlOverride as never)
    serveRoutes(app)
    return DOORS[door]!(api, app)
  },
  'between the API and routes with guards': ({ api, app, door }) => {
    app.use(api as never, methodOverride as never, urlOverride as never)
    serveRoutes(app, api.guard({ quota: { limit: 1_000 } }) as never)
    return DOORS[door]!(api, app)
  },
  'behind the guard of a router': ({ api, app, router, door }) => {
    app.use(api as never)
    router.use(api.guard({ quota: { limit: 1_000 } }) as never, methodOverride as never, urlOverride as never)
    serveRoutes(router)
    app.use(router as never)
    return DOORS[door]!(api, app)
  },
}

const OVERRIDDEN: [request: string, route: string, lines: string][] = [
  ['POST taken for DELETE', 'POST /orders', 'X-HTTP-Method-Override: DELETE'],
  ['DELETE taken for POST', 'DELETE /orders', 'X-HTTP-Method-Override: POST'],
  ['public taken for closed', 'GET /open', 'X-Original-URL: /admin'],
  ['closed taken for public', 'GET /admin', 'X-Original-URL: /open'],
]

/** For each place and each of those requests: what nobody, a clerk and an administrator get. */
const EXPECTED: Record<string, string[][]> = {
  'before the API, app.use': [
    ['401 unauthenticated', '403 forbidden', '200 DELETE /orders'],
    ['401 unauthenticated', '200 POST /orders', '200 POST /orders'],
    // Express has kept the URL as it came: both rules hold, and neither takes anything away.
    ['401 unauthenticated', '403 forbidden', '200 GET /admin'],
    ['401 unauthenticated', '403 forbidden', '200 GET /open'],
  ],
  'before the API, the front door': [
    ['401 unauthenticated', '403 forbidden', '200 DELETE /orders'],
    ['401 unauthenticated', '200 POST /orders', '200 POST /orders'],
    ['401 unauthenticated', '403 forbidden', '200 GET /admin'],
    // Nobody has kept the URL as it came.
    ['200 GET /open', '200 GET /open', '200 GET /open'],
  ],
  // Judged as it came. This is what `check` warns of.
  'between the API and the routes': [
    ['401 unauthenticated', '200 DELETE /orders', '200 DELETE /orders'],
    ['401 unauthenticated', '403 forbidden', '200 POST /orders'],
    ['200 GET /admin', '200 GET /admin', '200 GET /admin'],
    ['401 unauthenticated', '403 forbidden', '200 GET /open'],
  ],
  // Judged as it came, and judged again as what it has become.
  'between the API and routes with guards': [
    ['401 unauthenticated', '403 forbidden', '200 DELETE /orders'],
    ['401 unauthenticated', '403 forbidden', '200 POST /orders'],
    ['401 unauthenticated', '403 forbidden', '200 GET /admin'],
    ['401 unauthenticated', '403 forbidden', '200 GET /open'],
  ],
  'behind the guard of a router': [
    ['401 unauthenticated', '200 DELETE /orders', '200 DELETE /orders'],
    ['401 unauthenticated', '403 forbidden', '200 POST /orders'],
    ['200 GET /admin', '200 GET /admin', '200 GET /admin'],
    ['401 unauthenticated', '403 forbidden', '200 GET /open'],
  ],
}

describe.each(expressVersions)('on %s, an application believes such fields', (_version, express) => {
  describe.each(Object.keys(DOORS))('behind %s', (door) => {
    describe.each(Object.entries(PLACES))('%s', (place, build) => {
      const { api, as, events } = testApi({ ...ROLES, routes: RULES })
      const app = express()
      const server = createServer(build({ api, app, router: express.Router() as never, door }))
      beforeAll(() => Promise.all([listen(server), api.ready()]))
      afterAll(() => void server.close())

      test.each(OVERRIDDEN)('%s', async (request, route, lines) => {
        events.length = 0
        const found = []
        for (const roles of Object.values(CALLERS))
          found.push(await outcome(server, `${startLine(route)}\r\n${lines}`, roles && as({ roles })))

        const expected = EXPECTED[`${place}, ${door}`] ?? EXPECTED[place]!
        expect(found).toEqual(expected[OVERRIDDEN.findIndex(([name]) => name === request)])

        // An answer to a method that nobody judged is put on record.
        const judgedAgain = place.startsWith('before') || place.endsWith('with guards')
        const others = found.filter(
          (one) => /^200 /.test(one) && !one.startsWith(`200 ${route.split(' ')[0]} `),
        )
        expect(events.filter(({ kind }) => kind === 'undecided')).toHaveLength(
          judgedAgain ? 0 : others.length,
        )
      })

      test('is named by check unless it stands before the API', () => {
        const codes = api.check(app).map(({ code }) => code)
        expect(codes.includes('method-overridden')).toBe(!place.startsWith('before'))
      })
    })
  })
})

test.each(expressVersions)(
  'on %s, strict: what came as GET and is answered as DELETE is 500',
  async (_name, express) => {
    const { api, as } = testApi({
      ...ROLES,
      strict: true,
      routes: { '* /orders': { rbac: { role: 'clerk' } } },
    })
    const app = express()
    app.use(api as never, methodOverride as never)
    serveRoutes(app)
    const server = createServer(app as never)
    await Promise.all([listen(server), api.ready()])
    const token = as({ roles: ['clerk'] })
    const lines = 'X-HTTP-Method-Override: DELETE'
    expect(await outcome(server, `GET /orders HTTP/1.1\r\n${lines}`, token)).toBe('500 undecided')
    expect(await outcome(server, `POST /orders HTTP/1.1\r\n${lines}`, token)).toBe('200 DELETE /orders')
    server.close()
  },
)
