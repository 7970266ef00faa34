import compression from 'compression'
import type { Response } from 'express'
import {
  Agent,
  createServer,
  request,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline, Readable, Writable } from 'node:stream'
import type { FakeClock } from '../../src/testing/index.js'
import { gunzipSync } from 'node:zlib'
import { silent, testApi } from '../support/api.js'
import { expressVersions } from '../support/express.js'
import { listen, sendRaw } from '../support/raw.js'

type Handler = (req: IncomingMessage, res: ServerResponse, late: () => void) => void

/** What a handler may still say to a reply that has been refused. */
const NODE: Record<string, (res: ServerResponse) => unknown> = {
  setHeader: (res) => res.setHeader('X-Late', '1'),
  setHeaders: (res) => res.setHeaders(new Map([['X-Late', '1']])),
  appendHeader: (res) => res.appendHeader('X-Late', '1'),
  removeHeader: (res) => res.removeHeader('X-Late'),
  writeHead: (res) => res.writeHead(200, 'Fine', { 'X-Late': '1' }),
  flushHeaders: (res) => res.flushHeaders(),
  writeContinue: (res) => res.writeContinue(),
  writeProcessing: (res) => res.writeProcessing(),
  writeEarlyHints: (res) => res.writeEarlyHints({ link: '</late.css>; rel=preload' }),
  addTrailers: (res) => res.addTrailers({ 'X-Late': '1' }),
  write: (res) => res.write('late'),
  end: (res) => res.end('late'),
  'a whole reply': (res) => res.setHeader('X-Late', '1').writeHead(200).end('late'),
  pipe: (res) => Readable.from(['late']).pipe(res),
}

const EXPRESS: Record<string, (res: Response) => unknown> = {
  send: (res) => res.send('late'),
  json: (res) => res.status(201).set('X-Late', '1').json({ late: true }),
  jsonp: (res) => res.jsonp({ late: true }),
  redirect: (res) => res.redirect('/elsewhere'),
  sendStatus: (res) => res.sendStatus(200),
  cookie: (res) => res.cookie('late', '1').end(),
  // Without a callback, Express itself would hand the failure to its final handler, which cuts the connection.
  sendFile: (res) => res.sendFile(__filename, () => undefined),
}

/** How a reply comes to be refused while its handler still has something to say. */
const TRIGGERS: Record<
  string,
  {
    status: number
    options: Parameters<typeof testApi>[0]
    handler: Handler
    after?: (clock: FakeClock, late: () => void) => void
  }
> = {
  'a deadline that passed': {
    status: 504,
    options: { handlerTimeoutMs: 1_000 },
    handler: () => undefined,
    after: (clock, late) => (clock.advance(1_000), late()),
  },
  'an answer without a decision': {
    status: 500,
    options: { strict: true },
    handler: (_req, res, late) => (res.end('x'), late()),
  },
  'JSON past the shapers': {
    status: 500,
    options: { mask: { card: 'redact' } },
    handler: (_req, res, late) => (res.end('{}'), late()),
  },
  'a mask that fails': {
    status: 500,
    options: { mask: { card: () => { throw new Error('x') } } }, // prettier-ignore
    handler: (_req, res, late) => ((res as Response).json({ card: '1' }), late()),
  },
  'a handler that throws': {
    status: 500,
    options: {},
    handler: (_req, res, late) => {
      setImmediate(late)
      res.once('finish', late)
      throw new Error('x')
    },
  },
}

/** A caller that keeps its connection. */
function caller(server: Server) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const { port } = server.address() as AddressInfo
  const get = (path: string) =>
    new Promise<{ status: number; head: string; text: string; reused: boolean }>((resolve, reject) => {
      const asked = request({ port, path, agent }, (res) => {
        let text = ''
        res.on('data', (chunk: Buffer) => (text += chunk.toString()))
        res.on('end', () =>
          resolve({
            status: res.statusCode!,
            head: res.rawHeaders.join('\n') + res.rawTrailers.join('\n'),
            text,
            reused: asked.reusedSocket,
          }),
        )
      })
      asked.on('information', () => reject(new Error('an informational reply came in between')))
      asked.on('error', reject)
      asked.end()
    })
  return { get, close: () => agent.destroy() }
}

describe.each(Object.entries(TRIGGERS))('after %s', (_name, { status, options, handler, after }) => {
  const say = async (
    serve: (api: ReturnType<typeof testApi>['api'], answer: Handler) => Server,
    late: (res: never) => unknown,
  ) => {
    const { api, clock } = testApi({ auth: false, ...options, routes: { 'GET /next': { public: true } } })
    let tell: (said: unknown) => void = () => undefined
    const said = new Promise<unknown>((resolve) => (tell = resolve))
    const answer: Handler = (req, res) => {
      const talk = () => {
        try {
          late(res as never)
          tell('heard')
        } catch (error) {
          tell(error)
        }
      }
      if (after !== undefined) setImmediate(() => after(clock, talk))
      handler(req, res, talk)
    }
    const server = serve(api, (req, res, next) => {
      if (req.url === '/next') return void res.writeHead(200, { 'Content-Type': 'text/plain' }).end('next')
      answer(req, res, next)
    })
    await listen(server)
    const { get, close } = caller(server)
    try {
      const reply = await get('/x')
      expect(reply.status).toBe(status)
      expect(reply.head).toContain('application/problem+json')
      expect(`${reply.head}${reply.text}`.toLowerCase()).not.toContain('late')
      expect(await said).toBe('heard')
      // Nothing that was said stands between this reply and the next one on the same connection.
      expect(await get('/next')).toMatchObject({ status: 200, text: 'next', reused: true })
    } finally {
      close()
      server.close()
    }
  }

  test.each(Object.entries(NODE))('%s is not heard, and throws nothing', (_call, late) =>
    say((api, answer) => createServer(api.protect((req, res) => answer(req, res, () => undefined))), late),
  )

  describe.each(expressVersions)('on %s', (_version, express) => {
    test.each(Object.entries(EXPRESS))('%s is not heard, and throws nothing', (_call, late) =>
      say((api, answer) => {
        const app = express()
        app.use(api as never)
        app.get('/x', (req, res) => answer(req, res, () => undefined))
        app.get('/next', (req, res) => answer(req, res, () => undefined))
        app.use(api.errors() as never)
        return createServer(app)
      }, late as never),
    )
  })
})

describe.each(expressVersions)('on %s, after an upload over the ceiling', (_name, express) => {
  test.each(Object.entries({ ...NODE, ...EXPRESS }))(
    '%s is not heard, and throws nothing',
    async (_call, late) => {
      const { api } = testApi({ auth: false, body: { maxUnreadBytes: 1_000 } })
      const app = express()
      app.use(api as never)
      let said: unknown = 'nothing'
      let started: () => void
      const reading = new Promise<void>((resolve) => (started = resolve))
      const over = new Promise<void>((resolve) => {
        app.post('/upload', (req, res) => {
          started()
          pipeline(req, new Writable({ write: (_chunk, _encoding, done) => done() }), () => {
            try {
              late(res as never)
              said = 'heard'
            } catch (error) {
              said = error
            }
            resolve()
          })
        })
      })
      const server = createServer(app)
      await listen(server)
      const { port } = server.address() as AddressInfo
      const asked = request({
        port,
        method: 'POST',
        path: '/upload',
        headers: { 'Content-Type': 'text/plain' },
      })
      const replying = new Promise<IncomingMessage>((resolve) => asked.on('response', resolve))
      asked.flushHeaders()
      await reading
      for (let i = 0; i < 3; i++) asked.write('x'.repeat(1_000))
      asked.on('error', () => undefined).end()
      await over
      const reply = await replying
      const text = Buffer.concat(await reply.toArray()).toString()
      server.close()
      expect(reply.statusCode).toBe(413)
      expect(text).toContain('body-too-large')
      expect(`${reply.rawHeaders.join()}${text}`.toLowerCase()).not.toContain('late')
      expect(said).toBe('heard')
    },
  )
})

test('a write that is not heard is done all the same, so that whoever writes comes to an end', async () => {
  const { api } = testApi({ auth: false, mask: { card: 'redact' } })
  const done: string[] = []
  const server = createServer(
    api.protect((_req, res) => {
      res.end('{}')
      res.write('a', () => done.push('write'))
      res.write('a', 'utf8', () => done.push('write with an encoding'))
      res.end('a', () => done.push('end'))
      res.end(() => done.push('end alone'))
      res.writeEarlyHints({ link: '</a>; rel=preload' }, () => done.push('hints'))
      pipeline(Readable.from(['a', 'b']), res, (error) => done.push(`pipeline: ${String(error)}`))
    }),
  )
  await sendRaw(server, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  expect(done.slice(0, 5)).toEqual(['write', 'write with an encoding', 'end', 'end alone', 'hints'])
  expect(done[5]).toMatch(/^pipeline: /)
})

describe('while compression outside still has the refusal in hand', () => {
  const refused = async (late: (res: ServerResponse) => void, log = silent) => {
    const { api, events } = testApi({ auth: false, mask: { card: 'redact' }, log })
    const zip = compression({ threshold: 0 })
    const door = api.protect((_req, res) => {
      res.end('{}')
      late(res)
    })
    const server = createServer((req, res) => zip(req as never, res as never, () => door(req, res)))
    await listen(server)
    const { port } = server.address() as AddressInfo
    const headers = { 'Accept-Encoding': 'gzip', TE: 'trailers' }
    const reply = await new Promise<IncomingMessage>((resolve, reject) =>
      request({ port, headers, agent: false }, resolve).on('error', reject).end(),
    )
    const chunks: Buffer[] = []
    for await (const chunk of reply) chunks.push(chunk as Buffer)
    server.close()
    expect(reply.statusCode).toBe(500)
    expect(JSON.parse(gunzipSync(Buffer.concat(chunks)).toString())).toMatchObject({ code: 'unshapable' })
    expect(events.filter(({ kind }) => kind === 'decision')).toHaveLength(1)
    return reply
  }

  test('trailers are not heard', async () => {
    const { headers, trailers } = await refused((res) => res.addTrailers({ 'X-Late': '1' }))
    expect(headers).toHaveProperty('transfer-encoding', 'chunked')
    expect(trailers).toEqual({})
  })

  test('a handler that throws on top of it does not cut it off, and is refused once', async () => {
    const logged: string[] = []
    await refused(
      () => {
        throw new Error('x')
      },
      { ...silent, error: (message) => void logged.push(message) },
    )
    expect(logged).toEqual(['handler: failed after it had answered'])
  })
})
