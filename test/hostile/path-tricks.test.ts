import fc from 'fast-check'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { testApi } from '../support/api.js'
import { expressVersions } from '../support/express.js'

/** What Express serves, each with a role of its own; `/health` and `/health/:part` are public. */
const ROUTES = ['/orders', '/orders/new', '/orders/:id', '/admin/users/:id', '/a/b/c', '/:any', '/x/:y/z']
const PUBLIC = ['/health', '/health/:part']
const roleOf = (path: string) => `role-of-${ROUTES.indexOf(path)}`

/** Sent as they are: clients tidy up paths. */
const tricks: ((path: string) => string)[] = [
  (path) => path.toUpperCase(),
  (path) => `${path}/`,
  (path) => `/${path}`,
  (path) => path.replace(/\/(?=[^/]*$)/, '//'),
  (path) => path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  (path) => path.replace(/[a-z]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`),
  (path) => path.replace(/[a-z]/, (letter) => `%25${letter.charCodeAt(0).toString(16)}`),
  (path) => path.replace(/\/(?=[^/]*$)/, '%2f'),
  (path) => path.replace(/\/(?=[^/]*$)/, '%252f'),
  (path) => path.replace(/\/(?=[^/]*$)/, '/./'),
  (path) => path.replace(/\/(?=[^/]*$)/, '/%2e/'),
  (path) => path.replace(/\/(?=[^/]*$)/, '/x/../'),
  (path) => `/health/..${path}`,
  (path) => `/health/%2e%2e${path}`,
  (path) => `/health%2f..%2f..${path}`,
  (path) => path.replace(/\/(?=[^/]*$)/, '\\'),
  (path) => `${path};a=b`,
  (path) => path.replace(/\/(?=[^/]*$)/, ';x/'),
  (path) => `${path}%00`,
  (path) => `${path}%20`,
  (path) => `${path}.`,
  (path) => `${path}?/health`,
  (path) => `${path}#/health`,
  (path) => `${path}%3f`,
  (path) => `http://elsewhere.example${path}`,
  (path) => `http://elsewhere.example/health/..${path}`,
]

const targets = fc
  .tuple(
    fc.constantFrom(...ROUTES, ...PUBLIC),
    fc.constantFrom('new', 'ALL', '7', 'health', '%61'),
    fc.array(fc.constantFrom(...tricks), { maxLength: 3 }),
  )
  .map(([path, value, list]) => list.reduce((bent, twist) => twist(bent), path.replace(/:\w+/g, value)))

/** Every route with every single trick. */
const PRODUCT = [...ROUTES, ...PUBLIC].flatMap((path) =>
  (path.includes(':') ? ['new', '7'] : ['']).flatMap((value) =>
    tricks.map((twist) => twist(path.replace(/:\w+/g, value))),
  ),
)

const settings = [false, true].flatMap((caseSensitive) =>
  [false, true].map((strict) => ({ caseSensitive, strict })),
)

describe.each(expressVersions)('on %s', (_name, express) => {
  describe.each(settings)('with %j', ({ caseSensitive, strict }) => {
    const { api, as } = testApi({
      // Alone: what it refuses never gets as far as the rules.
      firewall: false,
      rateLimit: false,
      audit: false,
      rbac: { roles: Object.fromEntries(ROUTES.map((path) => [roleOf(path), []])) },
      routes: {
        ...Object.fromEntries(ROUTES.map((path) => [`GET ${path}`, { rbac: { role: roleOf(path) } }])),
        ...Object.fromEntries(PUBLIC.map((path) => [`GET ${path}`, { public: true as const }])),
      },
    })
    const servers: Server[] = []
    let ports: number[] = []

    beforeAll(async () => {
      for (const front of [false, true]) {
        const app = express()
        app.set('case sensitive routing', caseSensitive)
        app.set('strict routing', strict)
        if (!front) app.use(api as never)
        // The order in which Express looks, and not that of the rules, decides what it serves.
        for (const path of [...PUBLIC, ...ROUTES])
          app.get(path, (_req, res) => void res.end(`served ${path}\n`))
        const server = createServer(front ? api.protect(app as never) : (app as never))
        servers.push(server.listen(0, '127.0.0.1'))
        await once(server, 'listening')
      }
      ports = servers.map((server) => (server.address() as AddressInfo).port)
    })
    afterAll(() => servers.forEach((server) => server.close()))

    test('nobody is served by a route whose own rule would not let them', async () => {
      await fc.assert(
        fc.asyncProperty(targets, fc.option(fc.subarray([...ROUTES])), async (target, holding) => {
          const token = holding && as({ roles: holding.map(roleOf) })
          for (const port of ports) {
            const route = await served(port, target, token)
            if (route === undefined || PUBLIC.includes(route)) continue
            expect({ target, route, held: holding?.includes(route) }).toEqual({ target, route, held: true })
          }
        }),
        { numRuns: 120 },
      )
    })

    test('over the product of routes and tricks, whoever lacks the role of the route that serves is served by none', async () => {
      const all = as({ roles: ROUTES.map(roleOf) })
      const routes = new Set<string>()
      for (const port of ports) {
        for (const target of PRODUCT) {
          const route = await served(port, target, all)
          if (route === undefined || PUBLIC.includes(route)) continue
          routes.add(route)
          const others = as({ roles: ROUTES.filter((path) => path !== route).map(roleOf) })
          expect([target, await served(port, target, others)]).toEqual([target, undefined])
        }
      }
      expect(routes.size).toBe(ROUTES.length)
    })

    test('the property can fail: whoever holds the roles is served', async () => {
      const roles = [roleOf('/orders'), roleOf('/:any')]
      for (const port of ports) {
        expect(await served(port, '/orders', as({ roles }))).toBe('/orders')
        expect(await served(port, '/health', null)).toBe('/health')
      }
    })
  })
})

async function served(port: number, target: string, token: string | null): Promise<string | undefined> {
  const socket = connect(port, '127.0.0.1')
  const fields = token === null ? '' : `Authorization: ${token}\r\n`
  socket.end(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n${fields}Connection: close\r\n\r\n`)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return /^served (\S+)$/m.exec(text)?.[1]
}
