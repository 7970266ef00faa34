import compression from 'compression'
import connect from 'connect'
import type { Response } from 'express'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline, Readable } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import type { SecureApi } from '../src/secure-api.js'
import { testApi } from './support/api.js'
import { expressVersions } from './support/express.js'
import { listen } from './support/raw.js'

/**
 * Every way out of a response, through every way in: what the handler sends is shaped, or refused before its first byte,
 * or audited as unshaped, or empty. Nothing else can happen to a secret.
 */
type Outcome = 'shaped' | 'refused' | 'unshaped' | 'empty'
type Answer = (res: Response) => unknown

const SECRET = 'canary-4111-1111'
const body = { card: SECRET, list: Array.from({ length: 100 }, () => ({ card: SECRET })) }
const json = JSON.stringify(body)
const bytes = Buffer.from(json)
const page = `<p>${SECRET}</p>`
const script = `console.log('${SECRET}')`

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'reply-'))
  writeFileSync(join(dir, 'data.json'), json)
  writeFileSync(join(dir, 'page.html'), page)
  writeFileSync(join(dir, 'app.js'), script)
  writeFileSync(join(dir, 'untyped'), json)
})
afterAll(() => rmSync(dir, { recursive: true }))

const typed = (res: Response, type: string): Response => res.setHeader('Content-Type', type)
const streamed = (chunk: string | Buffer): Readable => Readable.from([chunk])

/** What Node offers, and the `json` that shaping brings along. */
const NODE: Record<string, [Outcome, Answer]> = {
  json: ['shaped', (res) => res.json(body)],
  jsonp: ['shaped', (res) => res.jsonp(body)],
  'json behind writeHead': ['shaped', (res) => (res.writeHead(203, { 'X-A': 'b' }), res.json(body))],
  'json behind an empty write': ['shaped', (res) => (res.write(''), res.json(body))],
  'json, later': ['shaped', (res) => void setImmediate(() => res.json(body))],
  'json of another type': ['shaped', (res) => typed(res, 'application/problem+json').json(body)],

  'end of a string': ['refused', (res) => res.end(json)],
  'end of a buffer': ['refused', (res) => res.end(bytes)],
  'end with an encoding': ['refused', (res) => res.end(bytes.toString('base64'), 'base64')],
  'end with a callback': ['refused', (res) => res.end(json, () => undefined)],
  'end of typed JSON': ['refused', (res) => typed(res, 'application/json').end(json)],
  'end of JSON of a vendor': ['refused', (res) => typed(res, 'application/vnd.x+json').end(bytes)],
  'end of lines of JSON': ['refused', (res) => typed(res, 'application/x-ndjson').end(`${json}\n`)],
  'end of a JSON sequence': ['refused', (res) => typed(res, 'application/json-seq').end(`\x1e${json}\n`)],
  'end of JSONP': ['refused', (res) => typed(res, 'text/javascript').end(`/**/ f(${json})`)],
  'end, then json': ['refused', (res) => (res.end(json), res.json(body))],
  'write of strings': ['refused', (res) => (res.write(json.slice(0, 9)), res.end(json.slice(9)))],
  'write of buffers': ['refused', (res) => (res.write(bytes.subarray(0, 9)), res.end(bytes.subarray(9)))],
  'write of nothing, then JSON': ['refused', (res) => (res.write(''), res.write(json), res.end())],
  'write of JSONP in pieces': [
    'refused',
    (res) => (typed(res, 'text/javascript').write(''), res.write('/*'), res.end(`*/ f(${json})`)),
  ],
  'writeHead, then end': ['refused', (res) => res.writeHead(200).end(json)],
  'writeHead with a type': [
    'refused',
    (res) =>
      res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': bytes.length }).end(bytes),
  ],
  'writeHead with a list': ['refused', (res) => res.writeHead(200, ['Content-Type', 'text/json']).end(json)],
  'writeHead with a reason': [
    'refused',
    (res) => res.writeHead(200, 'Fine', { 'Content-Type': 'text/json' }).end(json),
  ],
  'writeHead, then write': [
    'refused',
    (res) => (res.writeHead(302, { Location: '/' }).write(json), res.end()),
  ],
  'flushHeaders, then end': [
    'refused',
    (res) => (typed(res, 'application/json').flushHeaders(), res.end(json)),
  ],
  'an event stream': [
    'refused',
    (res) => (typed(res, 'text/event-stream').flushHeaders(), res.write(`data: ${json}\n\n`), res.end()),
  ],
  pipe: ['refused', (res) => streamed(json).pipe(res)],
  'pipe of typed JSON': ['refused', (res) => streamed(bytes).pipe(typed(res, 'application/json'))],
  pipeline: ['refused', (res) => pipeline(streamed(json), typed(res, 'text/json'), () => undefined)],

  'end of a page': ['unshaped', (res) => typed(res, 'text/html').end(page)],
  'end of text': ['unshaped', (res) => typed(res, 'text/plain; charset=utf-8').end(Buffer.from(page))],
  'writeHead of a page': ['unshaped', (res) => res.writeHead(200, { 'Content-Type': 'text/html' }).end(page)],
  'write of a page': ['unshaped', (res) => (typed(res, 'text/html').write(page), res.end(page))],
  'pipe of a page': ['unshaped', (res) => streamed(page).pipe(typed(res, 'text/html'))],
  'flushed page': ['unshaped', (res) => (typed(res, 'text/html').flushHeaders(), res.end(page))],

  'end of nothing': ['empty', (res) => res.end()],
  'end of an empty string': ['empty', (res) => typed(res, 'application/json').end('')],
  'pipe of nothing': ['empty', (res) => streamed('').pipe(res)],
  'writeHead of a redirect': ['empty', (res) => res.writeHead(302, { Location: '/' }).end()],
  'writeHead of nothing': ['empty', (res) => res.writeHead(201, { 'Content-Length': '0' }).end()],
  '204 with a body': ['empty', (res) => ((res.statusCode = 204), typed(res, 'application/json').end(json))],
  '304 with a body': ['empty', (res) => ((res.statusCode = 304), res.end(json))],
  '204 with a body by writeHead': ['empty', (res) => res.writeHead(204).end(json)],
}

/** What Express adds. */
const EXPRESS: Record<string, [Outcome, Answer]> = {
  'status and json': ['shaped', (res) => res.status(201).json(body)],
  'send of an object': ['shaped', (res) => res.send(body)],
  'send of a list': ['shaped', (res) => res.send([body])],
  format: ['shaped', (res) => res.format({ json: () => res.json(body) })],

  'send of typed JSON': ['refused', (res) => res.type('json').send(json)],
  'send of a typed buffer': ['refused', (res) => res.type('json').send(bytes)],
  'send of JSONP': ['refused', (res) => res.type('text/javascript').send(`/**/ f(${json})`)],
  'sendFile of JSON': ['refused', (res) => res.sendFile(join(dir, 'data.json'))],
  'sendFile of JSON from a root': ['refused', (res) => res.sendFile('data.json', { root: dir })],
  'download of JSON': ['refused', (res) => res.download(join(dir, 'data.json'))],

  'send of a string': ['unshaped', (res) => res.send(page)],
  'send of a buffer': ['unshaped', (res) => res.send(bytes)],
  'sendFile of a page': ['unshaped', (res) => res.sendFile(join(dir, 'page.html'))],
  'sendFile of a script': ['unshaped', (res) => res.sendFile(join(dir, 'app.js'))],
  sendStatus: ['unshaped', (res) => res.sendStatus(200)],
  redirect: ['unshaped', (res) => res.redirect('/elsewhere')],

  'status and end': ['empty', (res) => res.status(204).end()],
  'sendStatus 304': ['empty', (res) => res.sendStatus(304)],
}

const EXPRESS_4: Record<string, [Outcome, Answer]> = {
  'json of status and body': ['shaped', (res) => (res.json as (...args: unknown[]) => unknown)(201, body)],
  'json of body and status': ['shaped', (res) => (res.json as (...args: unknown[]) => unknown)(body, 201)],
  'send of status and body': ['shaped', (res) => (res.send as (...args: unknown[]) => unknown)(201, body)],
}

/** Compressed, the first bytes of a script cannot be seen, and nothing looks like something. */
const COMPRESSED_BEFORE = ['sendFile of a script', 'end of an empty string']

interface Door {
  readonly name: string
  readonly ways: Record<string, [Outcome, Answer]>
  readonly open: (api: SecureApi, answer: () => Answer) => RequestListener
  /** Whether compression takes part. */
  readonly zips?: true
  /** What is refused once it is compressed, because compression stands between the shapers and the handler. */
  readonly unseen?: readonly string[]
  /** The mask is not the API's but a guard's. */
  readonly guarded?: true
}

const zip = (): ReturnType<typeof compression> => compression({ threshold: 0 })

function expressDoors([name, express]: (typeof expressVersions)[number], more: typeof EXPRESS): Door[] {
  type Use = Parameters<ReturnType<typeof express>['use']>
  const app = (answer: () => Answer, ...middleware: unknown[]) => {
    const made = express()
    if (middleware.length > 0) made.use(...(middleware as Use))
    made.get('/', (_req, res) => void answer()(res))
    return made as unknown as RequestListener
  }
  const around = (inner: RequestListener): RequestListener => {
    const outer = zip()
    return (req, res) => outer(req as never, res as never, () => inner(req, res))
  }
  const ways = { ...NODE, ...EXPRESS, ...more }
  const doors: Omit<Door, 'ways'>[] = [
    { name: 'app.use', open: (api, answer) => app(answer, api) },
    { name: 'protect', open: (api, answer) => api.protect(app(answer)) },
    { name: 'protect and app.use', open: (api, answer) => api.protect(app(answer, api)) },
    { name: 'compression outside', open: (api, answer) => app(answer, zip(), api), zips: true },
    {
      name: 'compression inside',
      open: (api, answer) => app(answer, api, zip()),
      zips: true,
      unseen: COMPRESSED_BEFORE,
    },
    {
      name: 'compression around protect',
      open: (api, answer) => around(api.protect(app(answer))),
      zips: true,
    },
    {
      name: 'compression under protect',
      open: (api, answer) => api.protect(app(answer, zip())),
      zips: true,
      unseen: COMPRESSED_BEFORE,
    },
    {
      name: 'a guard behind compression',
      open: (api, answer) => app(answer, api, zip(), api.guard({ mask: MASK })),
      zips: true,
      unseen: COMPRESSED_BEFORE,
      guarded: true,
    },
    {
      name: 'a guard before compression',
      open: (api, answer) => app(answer, api, api.guard({ mask: MASK }), zip()),
      guarded: true,
      zips: true,
      unseen: COMPRESSED_BEFORE,
    },
  ]
  return doors.map((door) => ({ ...door, name: `${name}, ${door.name}`, ways }))
}

function nodeDoors(): Door[] {
  const handle = (answer: () => Answer) => ((_req, res) => void answer()(res as Response)) as RequestListener
  const chain = (answer: () => Answer, ...middleware: unknown[]): RequestListener => {
    const app = connect()
    for (const each of middleware) app.use(each as connect.NextHandleFunction)
    app.use(handle(answer))
    return app
  }
  const zipped = (inner: RequestListener): RequestListener => {
    const zipper = zip()
    return (req, res) => zipper(req as never, res as never, () => inner(req, res))
  }
  const doors: Omit<Door, 'ways'>[] = [
    { name: 'node:http, protect', open: (api, answer) => api.protect(handle(answer)) },
    {
      name: 'node:http, as middleware',
      open: (api, answer) => (req, res) => api(req, res, () => handle(answer)(req, res)),
    },
    {
      name: 'node:http, compression around protect',
      open: (api, answer) => zipped(api.protect(handle(answer))),
      zips: true,
    },
    {
      name: 'node:http, compression under protect',
      open: (api, answer) => api.protect(zipped(handle(answer))),
      zips: true,
      unseen: COMPRESSED_BEFORE,
    },
    { name: 'Connect, use', open: (api, answer) => chain(answer, api) },
    { name: 'Connect, protect', open: (api, answer) => api.protect(chain(answer)) },
    { name: 'Connect, compression outside', open: (api, answer) => chain(answer, zip(), api), zips: true },
    {
      name: 'Connect, compression inside',
      open: (api, answer) => chain(answer, api, zip()),
      zips: true,
      unseen: COMPRESSED_BEFORE,
    },
  ]
  return doors.map((door) => ({ ...door, ways: NODE }))
}

const MASK = { '**.card': 'redact' } as const
const doors = [
  ...expressDoors(expressVersions[0]!, EXPRESS_4),
  ...expressDoors(expressVersions[1]!, {}),
  ...nodeDoors(),
]

describe.each(doors)('$name', ({ ways, open, zips, unseen = [], guarded }) => {
  const { api, events } = testApi({ auth: false, rateLimit: false, ...(guarded ? {} : { mask: MASK }) })
  let answer: Answer
  let server: Server
  beforeAll(async () => {
    server = createServer(open(api, () => answer))
    await listen(server)
  })
  afterAll(() => server.close())
  beforeEach(() => void (events.length = 0))

  describe.each(zips ? ['identity', 'gzip'] : ['identity'])('to a client that accepts %s', (encoding) => {
    test.each(Object.entries(ways))('%s', async (name, [expected, way]) => {
      answer = way
      const outcome = encoding === 'gzip' && unseen.includes(name) ? 'refused' : expected

      const reply = await ask(server, 'GET', encoding)
      const shown = reply.raw.includes(SECRET) || reply.text.includes(SECRET)
      const kinds = events.filter(({ kind }) => kind === 'unshaped')
      const refusals = events.filter(({ kind, outcome: how }) => kind === 'decision' && how === 'refused')

      expect(kinds).toHaveLength(outcome === 'unshaped' ? 1 : 0)
      expect(refusals).toHaveLength(outcome === 'refused' ? 1 : 0)
      if (outcome !== 'unshaped') expect(shown).toBe(false)
      if (outcome === 'empty') expect(reply.text).toBe('')
      if (outcome === 'shaped') expect(reply.text).toContain('[redacted]')
      if (outcome === 'refused') {
        expect(reply.status).toBe(500)
        expect(reply.type).toBe('application/problem+json; charset=utf-8')
        expect(JSON.parse(reply.text)).toMatchObject({ code: 'unshapable', status: 500 })
        expect(refusals[0]).toMatchObject({ code: 'unshapable', rule: 'unshaped-json', status: 500 })
      } else {
        expect(reply.status).toBeLessThan(400)
      }
    })
  })

  test.each(Object.entries(ways))('HEAD: %s', async (_name, [, way]) => {
    answer = way
    const reply = await ask(server, 'HEAD', 'identity')
    expect(reply.text).toBe('')
    expect(reply.raw).not.toContain(SECRET)
    expect(reply.status).toBeLessThan(400)
    expect(events.filter(({ kind }) => kind === 'unshaped')).toEqual([])
  })
})

interface Seen {
  readonly status: number
  readonly type: string | undefined
  /** Head and body as they came, one character per byte. */
  readonly raw: string
  /** The body, decompressed. */
  readonly text: string
}

function ask(server: Server, method: string, encoding: string): Promise<Seen> {
  const { port } = server.address() as AddressInfo
  const headers = { 'Accept-Encoding': encoding }
  return new Promise((resolve, reject) => {
    request({ port, method, path: '/', headers, agent: false }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => chunks.push(chunk))
      res.on('error', reject)
      res.on('end', () => {
        const all = Buffer.concat(chunks)
        const zipped = res.headers['content-encoding'] === 'gzip' && all.length > 0
        resolve({
          status: res.statusCode!,
          type: res.headers['content-type'],
          raw: `${res.rawHeaders.join('\n')}\n${all.toString('latin1')}`,
          text: (zipped ? gunzipSync(all) : all).toString(),
        })
      })
    })
      .on('error', reject)
      .end()
  })
}
