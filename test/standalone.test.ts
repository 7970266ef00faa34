import { createServer } from 'node:http'
import request from 'supertest'
import type { SecurityContext } from '../src/kernel/context.js'
import { systemClock } from '../src/kernel/system-clock.js'
import { memory } from '../src/kernel/memory.js'
import { pipeline } from '../src/kernel/pipeline.js'
import type { Middleware } from '../src/kernel/stage.js'
import { audit } from '../src/observe/audit.js'
import { requestId } from '../src/observe/request-id.js'
import { secureApi } from '../src/secure-api.js'
import { rateLimit } from '../src/traffic/rate-limit.js'
import { headers } from '../src/transport/headers.js'
import { silent } from './support/api.js'
import { expressVersions } from './support/express.js'

const events: Record<string, unknown>[] = []
const keep = (event: object): void => void events.push({ ...event })
const logger = { info: keep, warn: keep, error: keep }
beforeEach(() => void (events.length = 0))

const open = { auth: false, audit: { logger }, log: silent, rateLimit: false } as const
type Asked = Parameters<Middleware>[0] & { security: SecurityContext }

describe.each(expressVersions)('stages alone on %s', (_name, express) => {
  function behind(...stages: Middleware[]) {
    const app = express()
    for (const stage of stages) app.use(stage as never)
    app.get('/', ((req: Asked, res: { end(text?: string): void }) => res.end(req.security.clientIp)) as never)
    return createServer(app as never)
  }

  const statuses = async (server: ReturnType<typeof behind>, clients: readonly string[]) => {
    const found = []
    for (const client of clients)
      found.push((await request(server).get('/').set('X-Forwarded-For', client)).status)
    return found
  }
  const TWO = ['198.51.100.1', '198.51.100.2', '198.51.100.1']

  test.each<[string, () => Middleware[]]>([
    ['first', () => []],
    ['behind a stage that was told nothing', () => [audit({ logger })]],
    ['behind one that was told something else', () => [headers({}, { log: silent }), requestId()]],
    [
      'behind one that was told of another proxy',
      () => [audit({ logger }, { trustProxy: ['192.0.2.0/24'] })],
    ],
    ['behind an API', () => [secureApi(open)]],
    ['behind a pipeline', () => [pipeline([audit({ logger })], { log: silent })]],
  ])('%s: a limit that was told of the proxy counts the clients behind it', async (_where, before) => {
    const server = behind(...before(), rateLimit({ limit: 1 }, { trustProxy: 1 }))
    expect(await statuses(server, TWO)).toEqual([200, 200, 429])
  })

  test('a limit that was told nothing uses what an API was told', async () => {
    const server = behind(secureApi({ ...open, trustProxy: 1 }), rateLimit({ limit: 1 }))
    expect(await statuses(server, TWO)).toEqual([200, 200, 429])
  })

  test('a stage with a store of its own takes nothing from the API: not its client, not its counters, not its records', async () => {
    const own = rateLimit({ limit: 5 }, { store: memory(), log: silent })
    const server = behind(secureApi({ ...open, trustProxy: 1 }), own, rateLimit({ limit: 1 }))
    const [first] = TWO
    const { text } = await request(server).get('/').set('X-Forwarded-For', first!)
    expect(text).toBe(first)
    expect(await statuses(server, TWO)).toEqual([429, 200, 429])
    expect(new Set(events.filter(({ kind }) => kind === 'request').map(({ clientIp }) => clientIp))).toEqual(
      new Set(TWO),
    )
  })

  test('a refusal by a stage with services of its own is recorded by the API as what the API knows', async () => {
    const own = rateLimit({ limit: 1 }, { store: memory(), log: silent })
    const server = behind(secureApi({ ...open, trustProxy: 1 }), own)
    expect(await statuses(server, TWO)).toEqual([200, 429, 429])
    expect(events.filter(({ kind }) => kind !== 'undecided').map(({ clientIp }) => clientIp)).toEqual(TWO)
  })

  test('handlers see the client behind the proxy that the only one was told of who was told anything', async () => {
    for (const first of [true, false]) {
      const told = rateLimit({}, { trustProxy: 1 })
      const server = behind(...(first ? [told, headers()] : [headers(), told]))
      const { text } = await request(server).get('/').set('X-Forwarded-For', TWO[0]!)
      expect(text).toBe(TWO[0])
    }
  })

  test.each<[string, object]>([
    ['told nothing', {}],
    ['told of a store', { store: memory(), log: silent }],
    ['told of a clock', { clock: { ...systemClock } }],
  ])('one limit that was %s is one limit, whatever stands before it', async (_what, standalone) => {
    const limit = rateLimit({ limit: 1 }, standalone)
    const app = express()
    app.use('/a', headers() as never)
    app.use('/b', requestId() as never)
    app.use('/c', audit({ logger }, { trustProxy: 0 }) as never)
    app.use('/d', secureApi(open) as never)
    app.use('/e', secureApi(open) as never)
    app.use('/f', pipeline([headers()]) as never)
    for (const place of ['', '/a', '/b', '/c', '/d', '/e', '/f'])
      app.get(`${place}/x`, limit as never, ((_req: unknown, res: { end(): void }) => res.end()) as never)
    const server = createServer(app as never)

    await request(server).get('/a/x').expect(200)
    for (const place of ['/a', '', '/b', '/c', '/d', '/e', '/f']) {
      const reply = await request(server).get(`${place}/x`).expect(429)
      expect(JSON.parse(reply.text)).toMatchObject({ code: 'rate-limited' })
    }
  })

  test('two limits are two limits', async () => {
    const server = behind(rateLimit({ limit: 2, name: 'a' }), rateLimit({ limit: 1, name: 'b' }))
    expect(await statuses(server, ['', ''])).toEqual([200, 429])
    expect(await statuses(behind(rateLimit({ limit: 2, name: 'a' })), ['', '', ''])).toEqual([200, 200, 429])
  })
})
