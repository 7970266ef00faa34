import { testApi } from '../support/api.js'
import { wireTo, type Wire } from './support/wire.js'

/** What is to be smuggled: a request that nobody asked about. */
const HIDDEN = 'GET /admin HTTP/1.1\r\nHost: a\r\n\r\n'
const get = (lines: string) => `GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n`
/** A body that is read before the handler is reached. */
const post = (lines: string, body: string) =>
  `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${lines}\r\n\r\n${body}`
const chunked = (body: string) => post('Transfer-Encoding: chunked', body)
const END = '0\r\n\r\n'

let wire: Wire
beforeAll(async () => {
  wire = await wireTo(testApi({ auth: false, rateLimit: false }).api)
})
afterAll(() => wire.close())
beforeEach(() => (wire.handled.length = 0))

/** The process lives, and answers the next one. */
afterEach(async () => {
  wire.handled.length = 0
  const [reply] = await wire.say(get('Connection: close'))
  expect([reply?.status, wire.handled]).toEqual([200, ['GET /']])
})

const REJECTED: [what: string, bytes: string][] = [
  // two lengths
  ['CL.TE', post('Content-Length: 6\r\nTransfer-Encoding: chunked', `${END}X${HIDDEN}`)],
  ['TE.CL', post('Transfer-Encoding: chunked\r\nContent-Length: 4', `21\r\n${HIDDEN}\r\n${END}`)],
  ['TE.CL with a tab', post('Transfer-Encoding:\tchunked\r\nContent-Length: 4', `21\r\n${HIDDEN}\r\n${END}`)],
  [
    'TE.TE, one of them identity',
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', END + HIDDEN),
  ],
  ['TE.TE, one of them unknown', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: cow', END + HIDDEN)],
  ['TE.TE, twice the same', post('Transfer-Encoding: chunked\r\ntransfer-encoding: chunked', END + HIDDEN)],
  ['two lengths that differ', post('Content-Length: 3\r\nContent-Length: 36', `[1]${HIDDEN}`)],
  ['two lengths that are the same', post('Content-Length: 3\r\nContent-Length: 3', `[1]${HIDDEN}`)],
  ['a list of lengths', post('Content-Length: 3, 36', `[1]${HIDDEN}`)],

  // a transfer coding that two readers may not both see
  ['chunked that is not the last coding', post('Transfer-Encoding: chunked, identity', END + HIDDEN)],
  ['no chunked at all', post('Transfer-Encoding: identity\r\nContent-Length: 3', `[1]${HIDDEN}`)],
  ['chunked behind a vertical tab', post('Transfer-Encoding: \x0bchunked', END + HIDDEN)],
  ['chunked behind a zero byte', post('Transfer-Encoding: \0chunked', END + HIDDEN)],
  ['chunked on a line of its own', post('Transfer-Encoding:\r\n chunked', END + HIDDEN)],
  ['a space before the colon of Transfer-Encoding', post('Transfer-Encoding : chunked', END + HIDDEN)],
  ['a byte in the name of Transfer-Encoding', post('Transfer-Encoding\xa0: chunked', END + HIDDEN)],

  // lengths
  ['a length with a sign', post('Content-Length: +3', `[1]${HIDDEN}`)],
  ['a negative length', post('Content-Length: -3', `[1]${HIDDEN}`)],
  ['a length in hexadecimal', post('Content-Length: 0x3', `[1]${HIDDEN}`)],
  ['a length with an exponent', post('Content-Length: 3e0', `[1]${HIDDEN}`)],
  ['a length with a fraction', post('Content-Length: 3.0', `[1]${HIDDEN}`)],
  ['a length with a space in it', post('Content-Length: 3 6', `[1]${HIDDEN}`)],
  ['a length beyond 64 bits', post('Content-Length: 99999999999999999999', `[1]${HIDDEN}`)],
  ['a length that is empty', post('Content-Length: ', `[1]${HIDDEN}`)],
  ['a space before the colon of Content-Length', post('Content-Length : 3', `[1]${HIDDEN}`)],

  // chunks
  ['a chunk size with 0x', chunked(`0x3\r\n[1]\r\n${END}${HIDDEN}`)],
  ['a chunk size with a sign', chunked(`+3\r\n[1]\r\n${END}${HIDDEN}`)],
  ['a negative chunk size', chunked(`-1\r\n[1]\r\n${END}${HIDDEN}`)],
  ['a chunk size beyond 64 bits', chunked(`fffffffffffffffff\r\n[1]\r\n${END}${HIDDEN}`)],
  ['a chunk size that is empty', chunked(`\r\n[1]\r\n${END}${HIDDEN}`)],
  ['a space behind a chunk size', chunked(`3 \r\n[1]\r\n${END}${HIDDEN}`)],
  ['a chunk that is longer than it says', chunked(`3\r\n[1]  \r\n${END}${HIDDEN}`)],
  ['a chunk without its end', chunked(`3\r\n[1]${END}${HIDDEN}`)],
  ['a chunk size that ends in a bare LF', chunked(`3\n[1]\n0\n\n${HIDDEN}`)],
  ['a chunk size that ends in a bare CR', chunked(`3\rX[1]\r\n${END}${HIDDEN}`)],
  ['a line break in a chunk extension', chunked(`3;a\n1\r\n[1]\r\n${END}${HIDDEN}`)],
  ['a bare CR in a chunk extension', chunked(`3;a\rb\r\n[1]\r\n${END}${HIDDEN}`)],
  ['framing fields in the trailer', chunked(`0\r\nContent-Length: 5\r\n\r\n${HIDDEN}`)],

  // lines
  ['lines that end in bare LF', 'GET / HTTP/1.1\nHost: a\n\n'],
  ['a header behind a bare LF', get('X: a\nContent-Length: 31')],
  ['a header behind a bare CR', get('X: a\rContent-Length: 31')],
  ['a folded header', get('X: a\r\n b')],
  ['a header folded with a tab', get('X: a\r\n\tContent-Length: 31')],
  ['a fold before the first header', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n'],
  ['an empty line before a folded end', get('X: a\r\n \r\n')],
  ['a header without a colon', get('Content-Length')],
  ['a header without a name', get(': 3')],
  ['a space in the name of a header', get('X Y: a')],
  ['a zero byte in the name of a header', get('X\0: a')],
  ['a zero byte in a header', get('X: a\0b')],
  ['a control character in a header', get('X: a\x01b')],
  ['a name beyond ASCII', get('\xe9: a')],

  // first line
  ['no host', 'GET / HTTP/1.1\r\n\r\n'],
  ['a method in small letters', 'get / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a method that is none', 'G@T / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a method behind a tab', '\tGET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a space in the target', 'GET / admin HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a tab in the target', 'GET /\tadmin HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a byte beyond ASCII in the target', 'GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a zero byte in the target', 'GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n'],
  ['HTTP/2 in clear text', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a TLS handshake', '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03'],
]

test.each(REJECTED)(
  '%s: 400, the connection is closed, and nothing is served (ASVS 4.2.1, 4.2.2)',
  async (_what, bytes) => {
    const replies = await wire.say(bytes)

    expect(replies.map(({ status }) => status)).toEqual([400])
    expect(replies[0]!.headers.connection).toBe('close')
    expect(wire.handled).toEqual([])
  },
)

test.each([
  ['one header', get(`X: ${'a'.repeat(20_000)}`)],
  ['many headers', get(Array.from({ length: 3_000 }, (_, i) => `X-${i}: a`).join('\r\n'))],
  ['a target', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ['a trailer', chunked(`0\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`)],
])('%s longer than the parser takes: 431, and the connection is closed', async (_what, bytes) => {
  const replies = await wire.say(bytes)

  expect(replies.map(({ status }) => status)).toEqual([431])
  expect(wire.handled).toEqual([])
})

test('a head that never ends: 408, and the connection is closed', async () => {
  const slow = await wireTo(testApi({ auth: false, rateLimit: false }).api, {
    headersTimeout: 50,
    requestTimeout: 100,
    connectionsCheckingInterval: 10,
  })

  const replies = await slow.say('GET / HTTP/1.1\r\nHost: a\r\nX: ')

  expect(replies.map(({ status }) => status)).toEqual([408])
  expect(slow.handled).toEqual([])
  slow.close()
})

test('a tunnel: closed without a word', async () => {
  expect(await wire.say('CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n')).toEqual([])
  expect(wire.handled).toEqual([])
})

test.each([
  ['chunked in capitals', 'Transfer-Encoding: CHUNKED', `3\r\n[1]\r\n${END}`],
  ['chunk extensions', 'Transfer-Encoding: chunked', `3;name="a;b\\"c"\r\n[1]\r\n0;last\r\n\r\n`],
  ['zeros in front of a chunk size', 'Transfer-Encoding: chunked', `0000003\r\n[1]\r\n${END}`],
  [
    'a trailer with credentials',
    'Transfer-Encoding: chunked',
    '3\r\n[1]\r\n0\r\nAuthorization: Bearer x\r\n\r\n',
  ],
  ['zeros in front of a length', 'Content-Length: 003', '[1]'],
  ['a length in spaces', 'Content-Length:   3  ', '[1]'],
])('%s: one request, and what follows is another (benign)', async (_what, framing, body) => {
  const next = 'GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
  const replies = await wire.say(`${post(framing, body)}${next}`)

  expect(replies.map(({ status }) => status)).toEqual([200, 200])
  expect(wire.handled.sort()).toEqual(['GET /next', 'POST /'])
})

test('a request within the body of another is a body', async () => {
  const replies = await wire.say(
    `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
  )

  expect(replies.map(({ status }) => status)).toEqual([200])
  expect(wire.handled).toEqual(['POST /'])
})
