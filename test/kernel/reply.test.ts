import compression from 'compression'
import connect from 'connect'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
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

describe.each(expressVersions)('on %s', (_name, express) => {
  function appWith(stage: ReturnType<typeof hide>, ...more: Parameters<Express['use']>[0][]): Express {
    const app = express()
    app.use(stage as never)
    for (const middleware of more) app.use(middleware as never)
    app.get('/json', (_req, res) => void res.json(body))
    app.get('/status-json', (_req, res) => void res.status(201).json(body))
    app.get('/html', (_req, res) => void res.send('<p>hello</p>'))
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

    test('the status of a shaped reply is kept, and waiting for a shaper changes nothing', async () => {
      const reply = await get('/status-json', hideLater()).expect(201)
      expect(reply.text).toContain('hidden')
      expect(reply.text).not.toContain(SECRET)
    })

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
