import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { validate } from '../../src/data/validate.js'
import { testApi } from '../support/api.js'
import { wireTo, type Wire } from './support/wire.js'

const { api } = testApi({ auth: false, rateLimit: false })
let wire: Wire
beforeAll(async () => {
  wire = await wireTo(api)
})
afterAll(() => wire.close())
beforeEach(() => (wire.handled.length = 0))

async function post(body: Buffer | string, lines = '', length = Buffer.byteLength(body)) {
  const head =
    'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n' +
    `${lines}Content-Length: ${length}\r\n\r\n`
  const [reply] = await wire.say(Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body)]))
  const { code } = JSON.parse(reply!.body) as { code?: string }
  return {
    status: reply!.status,
    code,
    handled: wire.handled.length,
    challenge: reply!.headers['www-authenticate'],
  }
}

const PASSES = { status: 200, code: undefined, handled: 1, challenge: undefined }
const refusedBy = (status: number, code: string) => ({ status, code, handled: 0, challenge: undefined })
const MALFORMED = refusedBy(400, 'malformed-body')
const TOO_LARGE = refusedBy(413, 'body-too-large')

const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth)
const members = (count: number) =>
  `{${Array.from({ length: count }, (_, i) => `"${i.toString(36)}":1`).join()}}`
const items = (count: number, item = '1') => `[${Array(count).fill(item).join()}]`

test.each<[what: string, at: string, past: string, refusal: object]>([
  ['arrays inside one another', nested(64, '[', ']'), nested(65, '[', ']'), MALFORMED],
  [
    'objects inside one another',
    `${'{"a":'.repeat(63)}{}${'}'.repeat(63)}`,
    `${'{"a":'.repeat(64)}{}${'}'.repeat(64)}`,
    MALFORMED,
  ],
  ['members of one object', members(10_000), members(10_001), MALFORMED],
  ['members of many objects', items(10_000, '{"a":1}'), items(10_001, '{"a":1}'), MALFORMED],
  ['elements of one array', items(10_000), items(10_001), MALFORMED],
  [
    'elements of many arrays',
    `[${items(4_999)},${items(4_999)}]`,
    `[${items(5_000)},${items(4_999)}]`,
    MALFORMED,
  ],
  ['bytes of one string', `["${'a'.repeat(102_396)}"]`, `["${'a'.repeat(102_397)}"]`, TOO_LARGE],
  ['bytes of one name', `{"${'a'.repeat(102_394)}":1}`, `{"${'a'.repeat(102_395)}":1}`, TOO_LARGE],
  ['digits before the point', `[${'1'.repeat(309)}]`, `[${'2'.repeat(309)}]`, MALFORMED],
  ['digits of an exponent', '[1e308]', '[1e309]', MALFORMED],
  ['bytes of one number', `[0.${'1'.repeat(102_396)}]`, `[0.${'1'.repeat(102_397)}]`, TOO_LARGE],
  ['bytes of white space', `[${' '.repeat(102_398)}]`, `[${' '.repeat(102_399)}]`, TOO_LARGE],
])('as many %s as are allowed pass, and one more is refused', async (_what, at, past, refusal) => {
  expect(await post(at)).toEqual(PASSES)
  wire.handled.length = 0
  expect(await post(past)).toEqual(refusal)
})

const bomb = Buffer.alloc(20_000_000, ' ')
test.each<[string, string, Buffer, object]>([
  ['gzip', 'gzip', gzipSync(bomb), TOO_LARGE],
  ['deflate', 'deflate', deflateSync(bomb), TOO_LARGE],
  ['br', 'br', brotliCompressSync(bomb), TOO_LARGE],
  ['gzip in gzip', 'gzip', gzipSync(gzipSync(bomb)), MALFORMED],
  ['br in gzip', 'gzip', gzipSync(brotliCompressSync(bomb)), MALFORMED],
  [
    'many members of gzip',
    'gzip',
    Buffer.concat(Array<Buffer>(60).fill(gzipSync(Buffer.alloc(10_000, ' ')))),
    TOO_LARGE,
  ],
  ['many empty members of gzip', 'gzip', Buffer.concat(Array<Buffer>(5_000).fill(gzipSync(''))), PASSES],
  ['deflate without its frame', 'deflate', deflateRawSync('{}'), MALFORMED],
  ['a byte too many behind gzip', 'gzip', Buffer.concat([gzipSync('{}'), Buffer.from('x')]), MALFORMED],
  ['gzip that is none', 'gzip', Buffer.from('{}'), MALFORMED],
  [
    'gzip that is said twice',
    'gzip, gzip',
    gzipSync(gzipSync('{}')),
    refusedBy(415, 'unsupported-media-type'),
  ],
  ['gzip that is not said', 'identity', gzipSync('{}'), MALFORMED],
])('a bomb of %s', async (_what, coding, bytes, expected) => {
  expect(await post(bytes, `Content-Encoding: ${coding}\r\n`)).toEqual(expected)
})

test('what is behind a body that is longer than it says is no request, and the connection is closed', async () => {
  const replies = await wire.say(
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}{"more":1}',
  )
  // The reply to the first may not have been written when the parser gives up.
  expect(replies.at(-1)).toMatchObject({ status: 400, headers: { connection: 'close' } })
  expect(wire.handled.filter((one) => one !== 'POST /')).toEqual([])
})

test.each<[string, Buffer]>([
  ['a byte that begins nothing', Buffer.from('22ff22', 'hex')],
  ['a byte that ends nothing', Buffer.from('228022', 'hex')],
  ['half a character', Buffer.from('22c322', 'hex')],
  ['an overlong slash', Buffer.from('22c0af22', 'hex')],
  ['an overlong zero', Buffer.from('22c08022', 'hex')],
  ['half a surrogate pair', Buffer.from('22eda08022', 'hex')],
  ['a pair of surrogates in UTF-8', Buffer.from('22eda0bdedb88022', 'hex')],
  ['a character beyond Unicode', Buffer.from('22f490808022', 'hex')],
])('%s is refused', async (_what, bytes) => {
  expect(await post(Buffer.concat([Buffer.from('['), bytes, Buffer.from(']')]))).toEqual(MALFORMED)
})

test.each<[string, Buffer]>([
  ['a byte order mark', Buffer.from('\uFEFF{}')],
  ['UTF-16, little end first', Buffer.from('{}', 'utf16le')],
  ['UTF-16 with a byte order mark', Buffer.from('\uFEFF{}', 'utf16le')],
  ['UTF-16, big end first', Buffer.from('{}', 'utf16le').swap16()],
  ['UTF-32', Buffer.from('7b0000007d000000', 'hex')],
  ['UTF-32 with a byte order mark', Buffer.from('fffe00007b0000007d000000', 'hex')],
  ['UTF-7', Buffer.from('+AHsAfQ-')],
  ['half a surrogate pair in escapes', Buffer.from('["\\ud800"]')],
  ['the halves the wrong way round', Buffer.from('["\\udc00\\ud800"]')],
  ['a name twice', Buffer.from('{"a":1,"a":1}')],
  ['a name twice, in escapes', Buffer.from('{"a":1,"\\u0061":1}')],
  ['a name twice, far inside', Buffer.from('[{"a":{"b":[{"c":1,"c":2}]}}]')],
  ['nothing but a bracket', Buffer.from('[')],
  ['a trailing comma', Buffer.from('[1,]')],
  ['a comment', Buffer.from('{/**/}')],
  ['two documents', Buffer.from('{}{}')],
  ['a zero byte behind it', Buffer.from('{}\0')],
])('%s is refused', async (_what, bytes) => {
  expect(await post(bytes)).toEqual(MALFORMED)
})

test('no body where a schema wants one is 422, and a wrong type 415', async () => {
  const one = testApi({
    auth: false,
    extra: [{ after: 'body', stage: validate({ body: { type: 'object' } }) }],
  })
  const strict = await wireTo(one.api)
  const lines = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n'
  const statuses = async (bytes: string) => (await strict.say(bytes)).map(({ status }) => status)

  expect(await statuses(`${lines}\r\n`)).toEqual([422])
  expect(await statuses(`${lines}Content-Length: 2\r\n\r\n{}`)).toEqual([415])
  expect(await statuses(`${lines}Content-Type: text/json\r\nContent-Length: 2\r\n\r\n{}`)).toEqual([415])
  expect(strict.handled).toEqual([])
  strict.close()
})
