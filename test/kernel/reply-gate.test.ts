import { createServer, type ServerResponse } from 'node:http'
import request from 'supertest'
import { defineStage } from '../../src/kernel/define.js'
import { serve } from '../../src/testing/index.js'
import { testApi } from '../support/api.js'
import { expressVersions } from '../support/express.js'

const card = '4111-1111'
const json = JSON.stringify({ card })
const masked = { mask: { card: 'redact' } } as const

/** Asks a handler on plain node:http, through the front door. */
function ask(handler: (res: ServerResponse) => void, options: Parameters<typeof testApi>[0] = masked) {
  const { api, as } = testApi(options)
  const server = createServer(api.protect((_req, res) => handler(res)))
  return request(server).get('/x').set('Authorization', as()).buffer(true)
}

describe('a refused reply takes nothing along that the handler prepared:', () => {
  const prepare = (res: ServerResponse) =>
    void res
      .setHeader('Set-Cookie', 'session=SECRET')
      .setHeader('Location', '/x')
      .setHeader('ETag', '"x"')
      .setHeader('Last-Modified', 'Tue, 24 Nov 2026 18:00:00 GMT')
      .setHeader('Cache-Control', 'public, max-age=9')
      .setHeader('Content-Encoding', 'gzip')
      .setHeader('X-Card', card)

  test.each<[string, Parameters<typeof testApi>[0], string, (res: ServerResponse) => void]>([
    ['a reply without a decision', { strict: true }, 'undecided', (res) => void res.end('x')],
    ['a reply that is not shaped', masked, 'unshapable', (res) => void res.end(json)],
    [
      'a handler that throws',
      {},
      'broken',
      () => {
        throw new Error('x')
      },
    ],
  ])('%s', async (_name, options, code, finish) => {
    const reply = await ask((res) => (prepare(res), finish(res)), options).expect(500)
    expect(JSON.parse(reply.text)).toMatchObject({ code })
    for (const name of ['set-cookie', 'location', 'etag', 'last-modified', 'content-encoding', 'x-card'])
      expect(reply.headers).not.toHaveProperty(name)
    expect(reply.headers['cache-control']).toBe('no-store')
    // What the stages set before the handler stays.
    expect(reply.headers).toHaveProperty('x-content-type-options', 'nosniff')
    expect(reply.headers).toHaveProperty('x-request-id')
  })

  test('also behind a stage that stands alone', async () => {
    const hide = defineStage('hide', () => ({ shape: (_ctx, body) => body }))
    const reply = await serve(hide(), { handler: (_req, res) => (prepare(res), void res.end(json)) }).get('/')
    expect(reply.status).toBe(500)
    expect(reply.headers).not.toHaveProperty('set-cookie')
    expect(reply.headers).not.toHaveProperty('x-card')
  })
})

describe('what has no body has nothing to hide:', () => {
  test.each<[string, number, (res: ServerResponse) => void]>([
    ['a redirect', 302, (res) => void res.writeHead(302, { Location: '/y' }).end()],
    ['an empty reply', 201, (res) => void res.writeHead(201, { 'Content-Length': '0' }).end()],
    [
      'an empty reply of JSON',
      200,
      (res) => void res.writeHead(200, { 'Content-Type': 'text/json' }).end(''),
    ],
    ['an empty buffer', 200, (res) => void res.writeHead(200).end(Buffer.alloc(0))],
    ['an end with a callback alone', 202, (res) => void res.writeHead(202).end(() => undefined)],
    ['empty writes', 200, (res) => (res.write(''), res.write(Buffer.alloc(0)), void res.end())],
    ['a head of an unknown reason', 299, (res) => void res.writeHead(299, 'Fine', { 'X-A': 'b' }).end()],
  ])('%s by writeHead passes', async (_name, status, handler) => {
    const reply = await ask(handler)
    expect(reply.status).toBe(status)
    expect(reply.text).toBe('')
    expect(reply.headers['content-length']).toBe('0')
  })

  test('a head that was announced and then shaped is as it was announced', async () => {
    const reply = await ask((res) => {
      res.writeHead(203, 'Second Hand', { 'Content-Type': 'application/json', 'X-A': 'b' })
      ;(res as unknown as { json: (body: unknown) => void }).json({ card })
    }).expect(203, { card: '[redacted]' })
    expect(reply.headers['x-a']).toBe('b')
  })

  test('a head that is announced twice goes out once, as it was announced last', async () => {
    const reply = await ask((res) => {
      res.writeHead(302, { Location: '/a' })
      res.writeHead(303, { Location: '/b' })
      res.end()
    }).expect(303)
    expect(reply.headers.location).toBe('/b')
  })

  test('but the first byte behind such a head is refused', async () => {
    const reply = await ask((res) => {
      res.writeHead(302, { Location: '/y' })
      res.write('')
      res.end(json)
    }).expect(500)
    expect(reply.text).not.toContain(card)
    expect(reply.headers).not.toHaveProperty('location')
  })
})

test('writeHead(status, undefined, headers) keeps the headers, as Node does', async () => {
  const reply = await ask((res) => {
    res.writeHead(200, undefined, { 'Content-Type': 'text/html', 'Set-Cookie': 'a=b; HttpOnly' })
    res.end('x')
  })
  expect(reply.headers).toMatchObject({ 'content-type': 'text/html', 'set-cookie': ['a=b; HttpOnly'] })
})

test.each<[string, unknown]>([
  ['pairs', [['Set-Cookie', 'a=1'], ['Set-Cookie', 'b=2'], ['Content-Type', 'text/html']]], // prettier-ignore
  ['a flat list', ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Content-Type', 'text/html']],
  ['a flat list with lists', ['Set-Cookie', ['a=1', 'b=2'], 'Content-Type', 'text/html']],
  ['an object', { 'Set-Cookie': ['a=1', 'b=2'], 'Content-Type': 'text/html', 'X-None': undefined }],
])('writeHead takes fields as %s', async (_name, fields) => {
  const reply = await ask((res) => void res.writeHead(200, fields as never).end('x')).expect(200)
  expect(reply.headers).toMatchObject({ 'content-type': 'text/html', 'set-cookie': ['a=1', 'b=2'] })
})

test('a length that Node would declare is declared', async () => {
  const html = await ask((res) => void res.setHeader('Content-Type', 'text/html').end('<p>')).expect(200)
  expect(html.headers['content-length']).toBe('3')
  expect(html.headers).not.toHaveProperty('transfer-encoding')
})

test('JSONP is recognised behind empty writes, and in pieces', async () => {
  const script = (...chunks: string[]) =>
    ask((res) => {
      res.setHeader('Content-Type', 'text/javascript')
      for (const chunk of chunks) res.write(chunk)
      res.end()
    })
  const jsonp = `/**/ callback(${json})`
  for (const chunks of [
    ['', jsonp],
    ['', '', '/', jsonp.slice(1)],
    ['/**', jsonp.slice(3)],
  ]) {
    const { text } = await script(...chunks).expect(500)
    expect(text).not.toContain(card)
  }
  await script('', 'console.log(1)').expect(200)
})

test('json behind a head that has left fails as Express fails, instead of hanging', async () => {
  const thrown: unknown[] = []
  await ask((res) => {
    res.writeHead(200, { 'Content-Type': 'text/html' })
    res.flushHeaders()
    try {
      ;(res as unknown as { json: (body: unknown) => void }).json({ card })
    } catch (error) {
      thrown.push(error)
      res.end('<p>')
    }
  }).expect(200, '<p>')
  expect(thrown).toEqual([expect.objectContaining({ code: 'ERR_HTTP_HEADERS_SENT' })])
})

describe.each(expressVersions)('on %s', (_name, express) => {
  type Respond = (res: ServerResponse & { json: (...args: unknown[]) => unknown }) => void

  /** As the package `on-headers` does: header fields are completed while the head is written. */
  const completing = (calls: string[]) => (_req: unknown, res: ServerResponse, next: () => void) => {
    const { writeHead } = res
    res.writeHead = function (this: ServerResponse, ...head: unknown[]) {
      calls.push('writeHead')
      this.setHeader('Content-Type', 'application/json')
      return writeHead.call(this, head[0] as number)
    }
    next()
  }

  const app = (handler: Respond, { outside = false, calls = [] as string[] } = {}) => {
    const { api, as } = testApi(masked)
    const wrap = completing(calls)
    const open = express()
    open.use(...([outside ? wrap : api, outside ? api : wrap] as never[]))
    open.get('/x', (_req, res) => handler(res as never))
    return request(open).get('/x').set('Authorization', as()).buffer(true)
  }

  test.each<[string, Respond]>([
    ['end', (res) => void res.setHeader('Content-Type', 'text/plain').end(json)],
    ['write', (res) => (res.setHeader('Content-Type', 'text/plain').write(json), void res.end())],
    ['writeHead', (res) => void res.writeHead(200, { 'Content-Type': 'text/plain' }).end(json)],
  ])('a media type that is set when the head is written is judged: %s', async (_way, handler) => {
    const calls: string[] = []
    const { text } = await app(handler, { calls }).expect(500)
    expect(text).not.toContain(card)
    expect(calls).toEqual(['writeHead'])
  })

  test('whoever completes the head is called once, and a shaped reply passes', async () => {
    const calls: string[] = []
    await app((res) => void res.json({ card }), { calls }).expect(200, { card: '[redacted]' })
    expect(calls).toEqual(['writeHead'])
  })

  test.each<[string, Respond]>([
    ['end', (res) => void res.setHeader('Content-Type', 'text/plain').end(json)],
    ['writeHead', (res) => void res.writeHead(200, { 'Content-Type': 'text/plain' }).end(json)],
  ])('one that is changed between us and the wire cuts the connection: %s', async (_way, handler) => {
    await expect(app(handler, { outside: true })).rejects.toThrow('socket hang up')
    await app((res) => void res.json({ card }), { outside: true }).expect(200, { card: '[redacted]' })
  })

  test('json(body, undefined) is json(body), as it is without secure-api', async () => {
    await app((res) => void res.json({ card }, undefined)).expect(200, { card: '[redacted]' })
  })
})

test('Express 4: json(status, body) and json(body, status) are shaped', async () => {
  const { api, as } = testApi(masked)
  const app = expressVersions[0]![1]()
  app.use(api as never)
  type Old = { json: (...args: unknown[]) => unknown }
  app.get('/status-first', (_req, res) => void (res as unknown as Old).json(201, { card }))
  app.get('/body-first', (_req, res) => void (res as unknown as Old).json({ card }, 202))
  await request(app).get('/status-first').set('Authorization', as()).expect(201, { card: '[redacted]' })
  await request(app).get('/body-first').set('Authorization', as()).expect(202, { card: '[redacted]' })
})
