import compression from 'compression'
import connect from 'connect'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import request from 'supertest'
import { defineStage } from '../../src/kernel/define.js'
import { onHead } from '../../src/kernel/reply.js'
import { serve } from '../../src/testing/index.js'
import { expressVersions, type Express } from '../support/express.js'

const SECRET = 'canary-4111-1111'

/** Hides what a mask would hide. */
const hide = defineStage('hide', () => ({
  shape: (_ctx, body) => JSON.parse(JSON.stringify(body).replaceAll(SECRET, 'hidden')) as unknown,
}))
const hideLater = defineStage('hide', () => ({
  shape: async (_ctx, body) => JSON.parse(JSON.stringify(body).replaceAll(SECRET, 'hidden')) as unknown,
}))
const failToHide = defineStage('hide', () => ({
  shape: () => {
    throw new Error(`cannot hide ${SECRET}`)
  },
}))

const body = { card: SECRET, list: Array.from({ length: 200 }, () => ({ card: SECRET })) }
const json = JSON.stringify(body)

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'reply-'))
  writeFileSync(join(dir, 'data.json'), json)
  writeFileSync(join(dir, 'page.html'), '<p>hello</p>')
  writeFileSync(join(dir, 'app.js'), 'console.log(1)')
})
afterAll(() => rmSync(dir, { recursive: true }))

describe.each(expressVersions)('on %s', (_name, express) => {
  function appWith(stage: ReturnType<typeof hide>, ...more: Parameters<Express['use']>[0][]): Express {
    const app = express()
    app.use(stage as never)
    for (const middleware of more) app.use(middleware as never)
    app.get('/json', (_req, res) => void res.json(body))
    app.get('/status-json', (_req, res) => void res.status(201).json(body))
    app.get('/send-object', (_req, res) => void res.send(body))
    app.get('/jsonp', (_req, res) => void res.jsonp(body))
    app.get('/problem', (_req, res) => void res.type('application/problem+json').json(body))
    app.get('/send-json-text', (_req, res) => void res.type('json').send(json))
    app.get('/send-json-buffer', (_req, res) => void res.type('json').send(Buffer.from(json)))
    app.get('/end-json', (_req, res) => void res.setHeader('Content-Type', 'application/json').end(json))
    app.get('/end-untyped', (_req, res) => void res.end(json))
    app.get('/write-head', (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(json) })
      res.write(json.slice(0, 5))
      res.end(json.slice(5))
    })
    app.get(
      '/write-head-array',
      (_req, res) => void res.writeHead(200, ['Content-Type', 'application/vnd.x+json']).end(json),
    )
    app.get('/pipe', (_req, res) => void Readable.from([json]).pipe(res.type('json')))
    app.get('/ndjson', (_req, res) => {
      res.type('application/x-ndjson').write(`${json}\n`)
      res.end()
    })
    app.get('/events', (_req, res) => {
      res.type('text/event-stream').flushHeaders()
      res.end(`data: ${json}\n\n`)
    })
    app.get('/jsonp-text', (_req, res) => void res.type('text/javascript').send(`/**/ call(${json})`))
    app.get('/send-file-json', (_req, res) => res.sendFile(join(dir, 'data.json')))
    app.get('/send-file-html', (_req, res) => res.sendFile(join(dir, 'page.html')))
    app.get('/send-file-script', (_req, res) => res.sendFile(join(dir, 'app.js')))
    app.get('/text', (_req, res) => void res.type('text').send('hello'))
    app.get('/html', (_req, res) => void res.send('<p>hello</p>'))
    app.get('/no-content', (_req, res) => void res.status(204).end())
    app.get('/redirect', (_req, res) => res.redirect('/elsewhere'))
    app.get('/throws', () => {
      throw new Error(SECRET)
    })
    app.get('/circular', (_req, res) => {
      const loop: Record<string, unknown> = { card: 1n }
      res.json(loop)
    })
    return app
  }

  const doors: [string, (stage: ReturnType<typeof hide>, ...more: never[]) => RequestListener][] = [
    ['app.use', (stage, ...more) => appWith(stage, ...more) as never],
    [
      'the front door',
      (stage, ...more) => {
        const app = appWith(
          (
            () => (_: unknown, __: unknown, next: () => void) =>
              next()
          )() as never,
          ...more,
        )
        return (req, res) => stage(req, res, () => (app as unknown as RequestListener)(req, res))
      },
    ],
    [
      'compression outside',
      (stage, ...more) => appWith(compression({ threshold: 0 }) as never, stage as never, ...more) as never,
    ],
    [
      'compression inside',
      (stage, ...more) => appWith(stage, compression({ threshold: 0 }) as never, ...more) as never,
    ],
    [
      'compression inside, behind the front door',
      (stage, ...more) => {
        const app = appWith(compression({ threshold: 0 }) as never, ...more)
        return (req, res) => stage(req, res, () => (app as unknown as RequestListener)(req, res))
      },
    ],
  ]

  describe.each(doors)('through %s', (door, open) => {
    const get = (path: string, stage = hide()) => request(createServer(open(stage))).get(path)

    test.each(['/json', '/send-object', '/jsonp', '/problem'])('%s is shaped', async (path) => {
      const reply = await get(path).expect(200)
      expect(reply.text).toContain('hidden')
      expect(reply.text).not.toContain(SECRET)
    })

    test('the status of a shaped reply is kept, and waiting for a shaper changes nothing', async () => {
      const reply = await get('/status-json', hideLater()).expect(201)
      expect(reply.text).toContain('hidden')
      expect(reply.text).not.toContain(SECRET)
    })

    test.each([
      '/send-json-text',
      '/send-json-buffer',
      '/end-json',
      '/end-untyped',
      '/write-head',
      '/write-head-array',
      '/pipe',
      '/ndjson',
      '/events',
      '/jsonp-text',
      '/send-file-json',
    ])('%s is refused before its first byte', async (path) => {
      const reply = await get(path).buffer(true).parse(asText).expect(500)
      const text = reply.body as string
      expect(reply.headers['content-type']).toBe('application/problem+json; charset=utf-8')
      expect(reply.headers['cache-control']).toBe('no-store')
      expect(JSON.parse(text)).toMatchObject({ code: 'unshapable', status: 500 })
      expect(text).not.toContain(SECRET)
    })

    test.each([
      ['/text', 200, 'hello'],
      ['/html', 200, '<p>hello</p>'],
      ['/send-file-html', 200, '<p>hello</p>'],
      ['/no-content', 204, ''],
    ])('%s passes: it is no JSON', async (path, status, text) => {
      const reply = await get(path).buffer(true).parse(asText).expect(status)
      expect(String(reply.body)).toBe(text)
    })

    test('a script passes if its first bytes can be seen: compressed, it could be JSONP', async () => {
      const reply = await get('/send-file-script').buffer(true).parse(asText)
      const [status, text] = door.includes('inside') ? [500, '"unshapable"'] : [200, 'console.log(1)']
      expect(reply.status).toBe(status)
      expect(reply.body).toContain(text)
    })

    test('a redirect passes', () => get('/redirect').redirects(0).expect(302))

    test('a HEAD is answered like its GET, without a body', async () => {
      const server = createServer(open(hide()))
      const { headers } = await request(server).get('/json').set('Accept-Encoding', 'identity')
      const head = await request(server).head('/json').set('Accept-Encoding', 'identity').expect(200)
      expect(head.headers['content-length']).toBe(headers['content-length'])
      expect(head.headers.etag).toBe(headers.etag)
    })

    test('a reply that has not changed is 304, by the tag of the shaped body', async () => {
      const server = createServer(open(hide()))
      const { headers } = await request(server).get('/json')
      await request(server).get('/json').set('If-None-Match', String(headers.etag)).expect(304)
    })

    test('a shaper that fails refuses the reply, and shows nothing', async () => {
      const reply = await get('/json', failToHide(undefined, { log: silent })).expect(500)
      expect(JSON.parse(reply.text)).toMatchObject({ code: 'unshapable' })
      expect(reply.text).not.toContain(SECRET)
    })
  })

  test('other media types are put on record as unshaped', async () => {
    const facts: unknown[] = []
    const recording = defineStage('recording', () => ({
      enter: (ctx) => void (ctx.recorder = { record: (_ctx, kind, more) => facts.push([kind, more]) }),
      shape: (_ctx, reply) => reply,
    }))
    await request(appWith(recording()) as never)
      .get('/html')
      .expect(200)
    expect(facts).toEqual([['unshaped', { mediaType: 'text/html' }]])
  })
})

describe('without a framework', () => {
  test.each([
    [
      'plain node:http',
      (handler: Handler): RequestListener =>
        (req, res) =>
          hide()(req, res, () => handler(req, res as JsonResponse)),
    ],
    [
      'Connect',
      (handler: Handler): RequestListener =>
        connect()
          .use(hide())
          .use(handler as never) as RequestListener,
    ],
  ])('%s gets a res.json that shapes', async (_name, open) => {
    const server = createServer(open((_req, res) => res.json(body)))
    const reply = await request(server)
      .get('/')
      .expect(200)
      .expect('Content-Type', 'application/json; charset=utf-8')
    expect(reply.text).toContain('hidden')
    expect(reply.headers['content-length']).toBe(String(Buffer.byteLength(reply.text)))
    expect((await request(server).head('/')).headers['content-length']).toBe(reply.headers['content-length'])
  })
})

test('replies climb: the stage nearest to the handler shapes first', async () => {
  const append = (letter: string) =>
    defineStage(letter, () => ({ shape: (_ctx, text) => `${String(text)}${letter}` }))()
  const later = (letter: string) =>
    defineStage(letter, () => ({ shape: async (_ctx, text) => `${String(text)}${letter}` }))()
  const reply = await serve([append('a'), later('b'), append('c')], {
    handler: (_req, res) => (res as JsonResponse).json('-'),
  }).get('/')
  expect(reply.text).toBe('"-cba"')
})

test('a listener sees the head of every reply once, refusals included', async () => {
  const seen: number[] = []
  const listening = defineStage('listening', () => ({
    enter: (ctx) =>
      onHead(ctx, ({ res }) => {
        seen.push(res.statusCode)
        res.setHeader('X-Seen', 'yes')
      }),
  }))
  await serve(listening()).get('/').expect(200).expect('X-Seen', 'yes')
  await serve([listening(), hide()], { handler: (_req, res) => void res.end(json) })
    .get('/')
    .expect(500)
    .expect('X-Seen', 'yes')
  expect(seen).toEqual([200, 500])
})

test('what the handler says after a refused reply is dropped, and its callbacks still fire', async () => {
  const called: string[] = []
  const { get } = serve(hide(), {
    handler: (_req, res) => {
      res.setHeader('Content-Type', 'application/json')
      res.write(SECRET, () => called.push('write'))
      res.end(SECRET, () => called.push('end'))
      ;(res as JsonResponse).json({ again: SECRET })
    },
  })
  const reply = await get('/').expect(500)
  expect(reply.text).not.toContain(SECRET)
  expect(called).toEqual(['write', 'end'])
})

test('a handler that answers twice is answered once', async () => {
  const { get } = serve(hideLater(), {
    handler: (_req, res) => {
      ;(res as JsonResponse).json({ first: 1 })
      ;(res as JsonResponse).json({ second: 2 })
    },
  })
  await get('/').expect(200, { first: 1 })
})

test('a body that cannot be written as JSON throws where Express would throw, and lets nothing raw pass afterwards', async () => {
  const keep = defineStage('keep', () => ({ shape: (_ctx, reply) => reply }))
  const thrown: unknown[] = []
  const { get } = serve(keep(), {
    handler: (_req, res) => {
      try {
        ;(res as JsonResponse).json({ toJSON: () => 1n })
      } catch (error) {
        thrown.push(error)
        res.setHeader('Content-Type', 'application/json')
        res.end(json)
      }
    },
  })
  const reply = await get('/').expect(500)
  expect(thrown).toEqual([expect.any(TypeError)])
  expect(reply.text).not.toContain(SECRET)
})

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

type JsonResponse = ServerResponse & { json: (body: unknown) => void }
type Handler = (req: IncomingMessage, res: JsonResponse) => void

function asText(res: request.Response, done: (error: Error | null, body: unknown) => void): void {
  let text = ''
  res.on('data', (chunk: Buffer) => (text += chunk.toString()))
  res.on('end', () => done(null, text))
}
