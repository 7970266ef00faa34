import express from 'express'
import { createServer } from 'node:http'
import request from 'supertest'
import { bearer } from '../src/identity/bearer.js'
import { forward, RefusedError } from '../src/kernel/respond.js'
import { fakeClock, localIssuer } from '../src/testing/index.js'
import { testApi } from './support/api.js'

describe('ready()', () => {
  test('fetches keys before the first request needs them', async () => {
    const issuer = localIssuer()
    const { api } = testApi({
      auth: [bearer({ issuer: issuer.issuer, audience: issuer.audience })],
      fetch: issuer.fetch,
    })
    expect(issuer.calls).toEqual({ metadata: 0, keys: 0 })
    await api.ready()
    expect(issuer.calls).toEqual({ metadata: 1, keys: 1 })
    await api.close()
  })

  test('rejects while the identity provider is away; the API answers 503, not 401, and serves once it is back', async () => {
    const clock = fakeClock()
    const issuer = localIssuer({ clock })
    issuer.down()
    const { api } = testApi({
      clock,
      auth: [bearer({ issuer: issuer.issuer, audience: issuer.audience })],
      fetch: issuer.fetch,
    })
    await expect(api.ready()).rejects.toThrow()
    const server = createServer(api.protect((_req, res) => void res.end()))
    const send = () => request(server).get('/').set('Authorization', `Bearer ${issuer.mint()}`)
    const reply = await send().expect(503)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'identity-provider-unavailable' })
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0)

    issuer.up()
    clock.advance(1_000)
    await send().expect(200)
    await api.close()
  })
})

describe('forward', () => {
  test('hands refusals to the error handler of the application, with status, headers and problem', async () => {
    const { api } = testApi({ respond: forward })
    const app = express()
    let handled = 0
    app.use(api as never)
    app.get('/', (_req, res) => void res.json({ handled: ++handled }))
    app.use(((
      error: RefusedError,
      _req: never,
      res: { status: (code: number) => { set: (fields: object) => { json: (body: object) => void } } },
      _next: never,
    ) => {
      res.status(error.status).set(error.headers).json({ mine: error.problem.code })
    }) as never)
    const reply = await request(app).get('/').expect(401, { mine: 'unauthenticated' })
    expect(reply.headers['www-authenticate']).toBe('Bearer realm="api"')
    expect(handled).toBe(0)
  })

  test('in front of what is no application it does not stand', () => {
    expect(() => testApi().api.protect('x' as never)).toThrow('protect: the application must be a function')
  })

  test('in front of the application there is nobody to hand refusals to, which is said at start', () => {
    const { api } = testApi({ respond: forward })
    expect(() => api.protect(express())).toThrow(
      expect.objectContaining({
        name: 'ConfigError',
        code: 'forward-in-front',
        message: expect.stringMatching(/app\.use\(api\) and without protect\(app\)/),
      }),
    )
  })

  test('what it hands on is answered by errors() as it would have been', async () => {
    const { api } = testApi({ respond: forward })
    const app = express()
    app.use(api as never)
    app.use(api.errors() as never)
    const reply = await request(app).get('/').expect(401).expect('WWW-Authenticate', 'Bearer realm="api"')
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'unauthenticated' })
  })

  test('a reply that must not go out is refused without asking the application, which may still be writing', async () => {
    const { api } = testApi({ auth: false, respond: forward, mask: { card: 'redact' } })
    const app = express()
    app.use(api as never)
    app.get('/', (_req, res) => void res.type('json').send('{"card":"4111"}'))
    app.use(((_error: unknown, _req: never, res: { end: (text: string) => void }, _next: never) =>
      res.end('4111')) as never)
    const reply = await request(app).get('/').expect(500)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'unshapable' })
    expect(reply.text).not.toContain('4111')
  })
})

test('problemBase replaces the prefix of every type', async () => {
  const { api } = testApi({ problemBase: 'https://api.example.com/problems/' })
  const reply = await request(createServer(api.protect(() => undefined)))
    .get('/')
    .expect(401)
  expect(JSON.parse(reply.text)).toMatchObject({ type: 'https://api.example.com/problems/unauthenticated' })
})

test('the client address is that of the declared proxy, for every stage', async () => {
  const { api, events } = testApi({ auth: false, trustProxy: ['127.0.0.0/8'], rateLimit: { limit: 1 } })
  const server = createServer(api.protect((_req, res) => void res.end()))
  const from = (address: string) => request(server).get('/').set('X-Forwarded-For', address)
  await from('192.0.2.1').expect(200)
  await from('192.0.2.2').expect(200)
  await from('6.6.6.6, 192.0.2.1').expect(429)
  expect(events.filter(({ kind }) => kind !== 'undecided').map(({ clientIp }) => clientIp)).toEqual([
    '192.0.2.1',
    '192.0.2.2',
    '192.0.2.1',
  ])
})
