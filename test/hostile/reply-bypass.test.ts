import { createServer, ServerResponse, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import request from 'supertest'
import type { SecureApi } from '../../src/secure-api.js'
import { testApi } from '../support/api.js'
import { expressVersions, type Express } from '../support/express.js'
import { exchange, listen } from '../support/raw.js'

const CARD = '4111-canary-1111'
const MASK = { '**.card': 'last4' } as const
const JSON_TEXT = JSON.stringify({ card: CARD })

type Json = ServerResponse & { json: (body: unknown) => unknown }

function api(mask: object | false = MASK) {
  return testApi({ auth: false, rateLimit: false, ...(mask && { mask: mask as typeof MASK }) })
}

/** Answers as the kind of handler does that knows nothing of `res.json`. */
function raw(_req: IncomingMessage, res: ServerResponse): void {
  res.setHeader('Content-Type', 'application/json')
  res.end(JSON_TEXT)
}

function overrides(req: IncomingMessage, _res: unknown, next: () => void): void {
  req.method = String(req.headers['x-http-method-override'] ?? req.method)
  next()
}

describe.each(expressVersions)('a method that was changed, on %s', (_version, express) => {
  function served(mount: (app: Express, api: SecureApi) => void) {
    const { api: secured, events } = api()
    const app = express()
    mount(app, secured)
    app.use(raw as never)
    return { app, events }
  }
  const places: [string, (app: Express, api: SecureApi) => void][] = [
    ['before the API', (app, secured) => app.use(overrides as never).use(secured as never)],
    ['behind the API', (app, secured) => app.use(secured as never).use(overrides as never)],
  ]

  test.each(places)('%s, does not make a body disappear', async (_place, mount) => {
    const { app } = served(mount)
    const reply = await request(app).post('/').set('X-HTTP-Method-Override', 'HEAD').expect(500)
    expect(reply.text).not.toContain(CARD)
    expect(reply.body).toMatchObject({ code: 'unshapable' })
    expect(Number(reply.headers['content-length'])).toBe(Buffer.byteLength(reply.text))
  })

  test.each(places)('%s, does not bring one back', async (_place, mount) => {
    const { app } = served(mount)
    await request(app).head('/').set('X-HTTP-Method-Override', 'GET').expect(200)
    await request(app).head('/').expect(200)
    await request(app).get('/').expect(500)
  })
})

describe("Node's own methods, past those of the response", () => {
  const { end, write, flushHeaders } = ServerResponse.prototype
  const injected = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nSet-Cookie: a=b\r\n\r\nevil'

  async function bytesOf(act: (res: ServerResponse) => void): Promise<string> {
    const { api: secured } = api()
    const server = createServer(
      secured.protect((_req, res) => {
        res.setHeader('Content-Type', 'application/json')
        act(res)
      }),
    )
    await listen(server)
    const bytes = await exchange((server.address() as AddressInfo).port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    server.close()
    return bytes
  }

  test.each<[string, (res: ServerResponse) => void]>([
    ['end(json)', (res) => end.call(res, JSON_TEXT, 'utf8')],
    ['end(what looks like a reply)', (res) => end.call(res, injected, 'utf8')],
    ['write(json)', (res) => write.call(res, JSON_TEXT, 'utf8')],
    ['write(json), twice', (res) => [write.call(res, JSON_TEXT, 'utf8'), write.call(res, JSON_TEXT, 'utf8')]],
    ['flushHeaders(), then end(json)', (res) => [flushHeaders.call(res), end.call(res, JSON_TEXT, 'utf8')]],
  ])('%s: 500, and the connection is closed', async (_what, act) => {
    const bytes = await bytesOf(act)
    expect(bytes).toMatch(/^HTTP\/1\.1 500 Internal Server Error\r\n/)
    expect(bytes).toContain('"code":"unshapable"')
    expect(bytes).toMatch(/\r\nConnection: close\r\n/)
    expect(bytes.match(/HTTP\/1\.1/g)).toHaveLength(1)
    expect(bytes).not.toContain(CARD)
    expect(bytes).not.toContain('evil')
  })

  test('what is no JSON leaves as ever', async () => {
    const bytes = await bytesOf((res) => {
      res.setHeader('Content-Type', 'text/html')
      end.call(res, '<p>hello</p>', 'utf8')
    })
    expect(bytes).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*<p>hello<\/p>/)
  })
})

describe('a second answer', () => {
  test.each<[string, (res: ServerResponse) => void]>([
    ['end', (res) => res.end('second')],
    ['write', (res) => res.write('second')],
    ['write with a callback', (res) => res.write('second', () => res.end('third'))],
  ])('by %s is dropped, with and without a mask, and the process goes on', async (_how, again) => {
    for (const mask of [MASK, false] as const) {
      const { api: secured } = api(mask)
      const server = createServer(
        secured.protect((_req, res) => {
          res.setHeader('Content-Type', 'text/plain')
          res.end('first')
          again(res)
        }),
      )
      for (let i = 0; i < 3; i++) expect((await request(server).get('/').expect(200)).text).toBe('first')
    }
  })
})

describe.each(expressVersions)('a `json` that somebody has replaced, on %s', (_version, express) => {
  /** Adds to a body what the mask should hide, or only looks at it. */
  const wrap = (res: ServerResponse, add: boolean): void => {
    const { json } = res as Json
    ;(res as Json).json = function (this: Json, body) {
      return json.call(this, add ? { data: body, user: { card: CARD } } : body)
    }
  }
  const wrapper =
    (add: boolean) =>
    (_req: IncomingMessage, res: ServerResponse, next: () => void): void => {
      wrap(res, add)
      next()
    }
  const answer = (_req: IncomingMessage, res: ServerResponse): void => void (res as Json).json({ card: CARD })

  test.each(['general', 'guard'] as const)(
    'between the API and the handler: masked (%s mask)',
    async (door) => {
      const { api: secured } = api(door === 'general' ? MASK : false)
      const app = express()
      app.use(secured as never, wrapper(true) as never)
      app.use(...([...(door === 'guard' ? [secured.guard({ mask: MASK })] : []), answer] as [never]))
      const { body } = await request(app).get('/').expect(200)
      expect(body).toEqual({ data: { card: '****1111' }, user: { card: '****1111' } })
    },
  )

  const before: [string, (app: Express, secured: SecureApi, add: boolean) => RequestListener][] = [
    [
      'on the response, before the API',
      (app, secured, add) => app.use(wrapper(add) as never, secured as never, answer as never) as never,
    ],
    [
      "on the application's response",
      (app, secured, add) => {
        wrap(app.response as never, add)
        return app.use(secured as never, answer as never) as never
      },
    ],
    [
      "on the application's response, behind the front door",
      (app, secured, add) => {
        wrap(app.response as never, add)
        return secured.protect(app.use(answer as never) as never)
      },
    ],
  ]

  test.each(before)('%s: refused if it adds, 500 `unshapable`', async (_where, mount) => {
    const reply = await request(mount(express(), api().api, true))
      .get('/')
      .expect(500)
    expect(reply.body).toMatchObject({ code: 'unshapable' })
    expect(reply.text).not.toContain(CARD)
  })

  test.each(before)('%s: welcome if it only looks', async (_where, mount) => {
    for (const spaces of [0, 2]) {
      const app = express()
      app.set('json spaces', spaces)
      const { body } = await request(mount(app, api().api, false))
        .get('/')
        .expect(200)
      expect(body).toEqual({ card: '****1111' })
    }
  })

  test('without a mask nobody looks', async () => {
    const { api: secured } = api(false)
    const app = express()
    app.use(wrapper(true) as never, secured as never, answer as never)
    const { body } = await request(app).get('/').expect(200)
    expect(body).toEqual({ data: { card: CARD }, user: { card: CARD } })
  })
})
