import http, {
  createServer,
  STATUS_CODES,
  type OutgoingHttpHeader,
  type Server,
  type ServerResponse,
} from 'node:http'
import { Socket, type AddressInfo } from 'node:net'
import fc from 'fast-check'
import { isUnwrapped, sendInOnePiece } from '../../src/kernel/one-piece.js'
import { exchange, listen } from '../support/raw.js'

interface Reply {
  readonly status?: number
  readonly fields: OutgoingHttpHeader[]
  readonly body?: string | undefined
  readonly request?: string
  /** What is done to the response before. */
  readonly before?: (res: ServerResponse) => void
}

/** The bytes that came, sent by Node's two methods and by ours; for each, what was thrown. */
async function bothWays(reply: Reply) {
  return { nodes: await sentBy(usual, reply), ours: await sentBy(ours, reply) }
}

type Send = (...args: [ServerResponse, number, OutgoingHttpHeader[], string | undefined]) => void

const usual: Send = (res, status, fields, body) => {
  res.writeHead(status, fields)
  res.end(body)
}

const ours: Send = (...args) => {
  if (!sendInOnePiece(...args)) usual(...args)
}

function sentBy(send: Send, { status = 401, fields, body, before, request = close }: Reply): Promise<string> {
  return served(request, (res) => {
    res.sendDate = false
    before?.(res)
    send(res, status, fields, body)
  })
}

/** What comes back from a server that answers like this, or the code of what was thrown while it did. */
async function served(request: string, answer: (res: ServerResponse) => void): Promise<string> {
  let thrown: unknown
  const server: Server = createServer((_req, res) => {
    try {
      answer(res)
    } catch (error) {
      thrown = error
      res.destroy()
    }
  })
  await listen(server)
  try {
    const heard = await exchange((server.address() as AddressInfo).port, request)
    return thrown === undefined ? heard : (thrown as { code: string }).code
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

/** Lines may come in another order, bodies not. */
const parts = (replies: string) =>
  replies.split(/(?=HTTP\/1\.1 \d)/).map((reply) => {
    const [head = '', ...body] = reply.split('\r\n\r\n')
    const [status, ...lines] = head.split('\r\n')
    return { status, lines: lines.sort(), body: body.join('\r\n\r\n') }
  })

const FIELDS = ['X-One', '1', 'Content-Type', 'text/plain', 'Content-Length', 2]
const keep = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const close = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

describe('a reply in one piece is the one that Node sends', () => {
  test.each<[string, Reply]>([
    ['a body', { fields: FIELDS, body: 'no' }],
    ['no body', { fields: ['X-One', '1', 'Content-Length', 0] }],
    ['no length', { fields: ['X-One', '1'], body: 'no' }],
    ['neither', { fields: ['X-One', '1'] }],
    ['another length', { fields: ['X-One', '1', 'Content-Length', 1], body: 'no' }],
    ['a status without a body', { status: 204, fields: ['X-One', '1'] }],
    ['a status of nobody', { status: 499, fields: FIELDS, body: 'no' }],
    ['a reason of its own', { fields: FIELDS, body: 'no', before: (res) => (res.statusMessage = 'Go away') }],
    ['the head alone', { fields: FIELDS, request: 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n' }],
    [
      'the head alone, of a reply with a body',
      { fields: FIELDS, body: 'no', request: 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n' },
    ],
    ['a body where there is none', { status: 304, fields: FIELDS, body: 'no' }],
    ['a client that keeps the connection', { fields: FIELDS, body: 'no', request: keep }],
    ['a client of HTTP/1.0', { fields: FIELDS, body: 'no', request: 'GET / HTTP/1.0\r\n\r\n' }],
    ['a connection to close', { fields: [...FIELDS, 'connection', 'close'], body: 'no' }],
    [
      'a connection to keep',
      { fields: [...FIELDS, 'Connection', 'keep-alive', 'Keep-Alive', 'timeout=9'], body: 'no' },
    ],
    ['two in a row', { fields: FIELDS, body: 'no', request: keep + close }],
    ['a list of one', { fields: ['WWW-Authenticate', ['Bearer'], ...FIELDS], body: 'no' }],
    ['a list', { fields: ['WWW-Authenticate', ['Bearer', 'DPoP'], ...FIELDS], body: 'no' }],
    ['an empty list', { fields: ['X-None', [], ...FIELDS], body: 'no' }],
    ['cookies', { fields: ['Set-Cookie', ['a=1', 'b=2'], ...FIELDS], body: 'no' }],
    ['a cookie', { fields: ['Set-Cookie', 'a=1', ...FIELDS], body: 'no' }],
    ['a number', { fields: ['Retry-After', 7, ...FIELDS], body: 'no' }],
    [
      'a date of its own',
      { fields: ['Date', 'yesterday', ...FIELDS], body: 'no', before: (res) => (res.sendDate = true) },
    ],
    ['chunks', { fields: ['Transfer-Encoding', 'chunked'], body: 'no' }],
    ['a trailer without chunks', { fields: ['Trailer', 'X-End', ...FIELDS], body: 'no' }],
    ['a trailer', { fields: ['Trailer', 'X-End', 'Transfer-Encoding', 'chunked'], body: 'no' }],
    ['Expect', { fields: [...FIELDS, 'Expect', '100-continue'], body: 'no' }],
    ['letters beyond ASCII', { fields: ['X-One', 'caf\xe9', 'Content-Length', 2] }],
    ['a body beyond ASCII', { fields: ['X-One', '1', 'Content-Length', 5], body: 'caf\xe9' }],
    ['a body beyond Latin', { fields: ['X-One', '1', 'Content-Length', 3], body: '\u2028' }],
    ['a value without end', { fields: ['X-One', 'x'.repeat(5000), ...FIELDS.slice(2)], body: 'no' }],
    ['an empty value', { fields: ['X-One', '', ...FIELDS.slice(2)], body: 'no' }],
    [
      'bytes that are counted',
      { fields: FIELDS, body: 'no', before: (res) => (res.strictContentLength = true) },
    ],
    ['too few bytes', { fields: FIELDS, body: 'n', before: (res) => (res.strictContentLength = true) }],
  ])('%s', async (_what, reply) => {
    const { nodes, ours } = await bothWays(reply)
    expect(parts(ours)).toEqual(parts(nodes))
  })

  test.each<[string, OutgoingHttpHeader[], string]>([
    ['a line break in a value', ['X-Bad', '1\r\nX-Two: 2'], 'ERR_INVALID_CHAR'],
    ['a line break at an end', ['X-Bad', '1\n'], 'ERR_INVALID_CHAR'],
    ['a null', ['X-Bad', '\0'], 'ERR_INVALID_CHAR'],
    ['a letter that is two bytes', ['X-Bad', '\u2028'], 'ERR_INVALID_CHAR'],
    ['a line break in a list of one', ['X-Bad', ['1\r\nX-Two: 2']], 'ERR_INVALID_CHAR'],
    ['a line break in a list', ['X-Bad', ['1', '2\r\n']], 'ERR_INVALID_CHAR'],
    ['a line break in a cookie', ['Set-Cookie', 'a=1\r\n'], 'ERR_INVALID_CHAR'],
    ['nothing', ['X-Bad', undefined as never], 'ERR_HTTP_INVALID_HEADER_VALUE'],
    ['a name that is none', ['X Bad', '1'], 'ERR_INVALID_HTTP_TOKEN'],
    ['a line break in a name', ['X-Bad: 1\r\nX', '1'], 'ERR_INVALID_HTTP_TOKEN'],
    ['an empty name', ['', '1'], 'ERR_INVALID_HTTP_TOKEN'],
  ])(
    'what Node refuses is refused, as often as it comes, and nothing leaves: %s',
    async (_what, bad, code) => {
      const good: Reply = { fields: ['X-Bad', '1', ...FIELDS], body: 'no' }
      for (let times = 0; times < 2; times++) {
        expect(await bothWays(good)).toMatchObject({ ours: expect.stringContaining('X-Bad: 1') as string })
        expect(await bothWays({ fields: [...bad, ...FIELDS], body: 'no' })).toEqual({
          nodes: code,
          ours: code,
        })
      }
    },
  )

  test('whatever is in it', async () => {
    const name = fc.constantFrom(
      'X-A',
      'x-a',
      'X-B',
      'Vary',
      'Date',
      'Connection',
      'Set-Cookie',
      'X A',
      'Keep-Alive',
    )
    const text = fc.oneof(
      fc.string({ maxLength: 8 }),
      fc.string({ unit: 'binary', maxLength: 4 }),
      fc.constantFrom('1', '2', 'close', 'keep-alive', 'a\r\nb: c', '\xff'),
    )
    const value = fc.oneof(text, fc.array(text, { maxLength: 3 }), fc.nat())
    const fields = fc.uniqueArray(fc.tuple(name, value), {
      maxLength: 5,
      selector: ([one]) => one.toLowerCase(),
    })
    await fc.assert(
      fc.asyncProperty(
        fields,
        fc.option(fc.string({ maxLength: 20 }), { nil: undefined }),
        fc.constantFrom(
          ...Object.keys(STATUS_CODES)
            .map(Number)
            .filter((status) => status >= 200),
        ),
        async (pairs, body, status) => {
          const length = ['Content-Length', Buffer.byteLength(body ?? '')]
          const reply = { status, fields: [...pairs.flat(), ...length], body }
          const { nodes, ours } = await bothWays(reply)
          expect(parts(ours.replace(/^ERR_.*/, 'thrown'))).toEqual(parts(nodes.replace(/^ERR_.*/, 'thrown')))
        },
      ),
      { numRuns: 300 },
    )
  })
})

test('many names and long values are not kept, and sent all the same', async () => {
  const many = Array.from({ length: 300 }, (_, i) => [`X-Many-${i}`, `${i}`]).flat()
  for (let times = 0; times < 2; times++) {
    const { nodes, ours } = await bothWays({ fields: [...many, ...FIELDS], body: 'no' })
    expect(parts(ours)).toEqual(parts(nodes))
  }
})

test('the head that others may log has no body in it', async () => {
  const heard = await served(close, (res) => {
    sendInOnePiece(res, 401, FIELDS, 'no')
    expect(res.headersSent).toBe(true)
    expect((res as unknown as { _header: string })._header).toMatch(/^HTTP\/1\.1 401 [^]*\r\n\r\n$/)
  })
  expect(heard).toMatch(/\r\n\r\nno$/)
})

describe('Node is left alone where', () => {
  const { ServerResponse: Response, OutgoingMessage: Message } = http
  type Patched = Record<string, unknown>

  /** The module as it is when it is loaded while `patch` holds, and whether the methods of a response are Node's to it. */
  async function loadedWith(target: object, name: string, patch: PropertyDescriptor) {
    const before = Object.getOwnPropertyDescriptor(target, name)
    Object.defineProperty(target, name, { ...patch, configurable: true })
    try {
      return await new Promise<{ isUnwrapped: boolean; isSent: boolean }>((resolve) => {
        jest.isolateModules(() => {
          const one = jest.requireActual<typeof import('../../src/kernel/one-piece.js')>(
            '../../src/kernel/one-piece.js',
          )
          const res = new Response(new http.IncomingMessage(new Socket()))
          const below = res as unknown as Parameters<typeof one.isUnwrapped>[1]
          const isUnwrapped = one.isUnwrapped(res, below)
          resolve({ isUnwrapped, isSent: one.sendInOnePiece(res, 401, FIELDS, 'no') })
        })
      })
    } finally {
      if (before === undefined) Reflect.deleteProperty(target, name)
      else Object.defineProperty(target, name, before)
    }
  }

  test('it makes something else of the text that it keeps', async () => {
    const kept = Symbol('kept')
    type Other = Record<typeof kept, string | null>
    const { isSent } = await loadedWith(Message.prototype, '_header', {
      get(this: Other) {
        return this[kept]
      },
      set(this: Other, text: string | null) {
        this[kept] ??= text === null ? null : text.replace('Unauthorized', 'Another')
      },
    })
    expect(isSent).toBe(false)
  })

  test.each([
    ['writeHead', Response.prototype],
    ['end', Message.prototype],
    ['setHeader', Message.prototype],
    ['_storeHeader', Message.prototype],
  ] as const)('somebody has wrapped %s before', async (name, target) => {
    const own = (target as unknown as Patched)[name] as (...args: unknown[]) => unknown
    const untouched = { isUnwrapped: true, isSent: true }
    expect(await loadedWith(target, name, { value: own, writable: true })).toEqual(untouched)
    const value = function (this: unknown, ...args: unknown[]) {
      return own.apply(this, args)
    }
    expect((await loadedWith(target, name, { value, writable: true })).isUnwrapped).toBe(false)
  })

  test.each(['setHeader', '_storeHeader', 'writeHead', 'end'])(
    'somebody has wrapped %s of a response',
    (name) => {
      const res = new Response(new http.IncomingMessage(new Socket()))
      const below = () => res as unknown as Parameters<typeof isUnwrapped>[1]
      expect(isUnwrapped(res, below())).toBe(true)
      ;(res as unknown as Patched)[name] = () => undefined
      expect(isUnwrapped(res, below())).toBe(false)
    },
  )
})
