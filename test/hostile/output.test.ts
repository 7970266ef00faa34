import { createServer } from 'node:http'
import fc from 'fast-check'
import { inspect } from 'node:util'
import { cors } from '../../src/transport/cors.js'
import { requestId } from '../../src/observe/request-id.js'
import { validate } from '../../src/data/validate.js'
import { defineStage } from '../../src/kernel/define.js'
import { refuse } from '../../src/kernel/problem.js'
import { challenge } from '../../src/lib/challenge.js'
import { serve } from '../../src/testing/index.js'
import { sendJson, testApi } from '../support/api.js'
import { listen, sendRaw } from '../support/raw.js'

/** What ends a line, a string or a terminal's patience somewhere. */
const NASTY: [what: string, text: string][] = [
  ['CRLF and a header', 'a\r\nX-Evil: 1'],
  ['CRLF and a body', 'a\r\n\r\n<script>'],
  ['LF', 'a\nX-Evil: 1'],
  ['CR', 'a\rX-Evil: 1'],
  ['a zero byte', 'a\0b'],
  ['a bell', 'a\x07b'],
  ['a backspace', 'a\b\b\bb'],
  ['a vertical tab', 'a\x0bb'],
  ['DEL', 'a\x7fb'],
  ['NEL', 'a\u0085b'],
  ['CSI of C1', 'a\u009b31mb'],
  ['ANSI colours', 'a\x1b[31mb\x1b[0m'],
  ['an ANSI title', 'a\x1b]0;evil\x07b'],
  ['U+2028', 'a\u2028b'],
  ['U+2029', 'a\u2029b'],
  ['an override of direction', 'a\u202eb'],
  ['quotes', 'a", error="none'],
  ['a backslash', 'a\\'],
  ['letters beyond Latin-1', '\u0141\u00f3d\u017a'],
  ['half a surrogate pair', 'a\ud800b'],
]

/** Nothing that a line of HTTP or a terminal takes for more than text. */
const CLEAN = /^[\x20-\x7e]*$/
const printable = (headers: Record<string, unknown>) =>
  Object.entries(headers).every(([name, value]) => CLEAN.test(name) && CLEAN.test(String(value)))

describe.each(NASTY)('%s', (_what, text) => {
  test('in a challenge stays within its quotes (RFC 9110 section 11.6.1)', () => {
    const written = challenge('Bearer', { realm: text, error_description: text })

    expect(written).toMatch(/^Bearer realm="[^"\\]*", error_description="[^"\\]*"$/)
    expect(written).toMatch(CLEAN)
  })

  test('in a request id that is trusted is not taken over', async () => {
    const { server } = serve(requestId({ trustIncoming: true }))
    const bytes = Buffer.from(text.replace(/[\r\n\0]/g, ' ')).toString('latin1')
    const { head } = await sendRaw(
      server,
      `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-Id: ${bytes}\r\ntraceparent: ${bytes}\r\n\r\n`,
    )
    // What Node's parser refuses has no id at all.
    if (head.startsWith('HTTP/1.1 200')) expect(head).toMatch(/^x-request-id: [0-9a-f-]{36}\r?$/im)
    expect(head).not.toContain('a X-Evil')
  })

  test('in an origin is reflected nowhere', async () => {
    const { server } = serve(cors({ origins: ['https://app.example.com'] }))
    const bytes = Buffer.from(text.replace(/[\r\n\0]/g, ' ')).toString('latin1')
    const { head } = await sendRaw(
      server,
      `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nOrigin: https://app.example.com${bytes}\r\n\r\n`,
    )
    expect(head).not.toMatch(/access-control-allow-origin/i)
    expect(head).not.toContain(bytes)
  })

  test('as a name and a value that do not fit stays JSON in the problem', async () => {
    const { post, handled } = serve(
      validate({ body: { type: 'object', properties: { n: { type: 'integer' } } } }),
    )
    const reply = await post('/')
      .set('Content-Type', 'application/json')
      .serialize((given) => given as string)
      .send(JSON.stringify({ n: text, [text]: 1 }))

    expect([400, 422]).toContain(reply.status)
    expect(reply.text).toMatch(CLEAN)
    expect(printable(reply.headers)).toBe(true)
    expect(handled()).toBe(0)
  })

  test('in the parts of a refusal of your own does not get out of them', async () => {
    const said: string[] = []
    const keep = (...seen: unknown[]) => void said.push(inspect(seen))
    const own = defineStage('own', () => ({
      enter: () =>
        refuse(
          { code: 'own', status: 409, title: text },
          { detail: text, members: { [text]: text }, reason: text },
        ),
    }))
    const { get, handled } = serve(own(), { log: { info: keep, warn: keep, error: keep } })
    const reply = await get('/').expect(409)

    expect(printable(reply.headers)).toBe(true)
    expect(reply.headers['x-evil']).toBeUndefined()
    expect(JSON.parse(reply.text)).toMatchObject({
      code: 'own',
      title: JSON.parse(JSON.stringify(text)) as string,
    })
    expect(said.join()).toBe('')
    expect(handled()).toBe(0)
  })

  test('in a header of a refusal of your own is sent as it is or not at all, and then it is 500', async () => {
    const said: string[] = []
    const keep = (...seen: unknown[]) => void said.push(inspect(seen))
    const own = defineStage('own', () => ({
      enter: () => refuse('forbidden', { headers: { 'X-Own': text } }),
    }))
    const { server, handled } = serve(own(), { log: { info: keep, warn: keep, error: keep } })
    const { status, head, body } = await sendRaw(
      server,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    )

    const { code } = JSON.parse(body) as { code: string }
    expect([status, code]).toEqual(said.length === 0 ? [403, 'forbidden'] : [500, 'broken'])
    expect(head).not.toMatch(/^x-evil/im)
    expect(handled()).toBe(0)
  })
})

test.each<[string, Parameters<typeof refuse>]>([
  ['a header with a line break', ['forbidden', { headers: { 'X-Own': 'a\r\nb' } }]],
  ['a header whose name is none', ['forbidden', { headers: { 'X Own': 'a' } }]],
  ['a member that is no JSON', ['forbidden', { members: { big: 1n } }]],
  ['a status that is none', [{ code: 'own', status: 99, title: 'Own' }]],
])('a refusal of your own with %s is answered 500, and the process lives', async (_what, problem) => {
  const stage = defineStage('own', () => ({ enter: () => refuse(...problem) }))()
  const { api } = testApi({ extra: [{ after: 'requestId', stage }] })
  const server = createServer(api.protect((_req, res) => sendJson(res, { ok: true })))
  const { status, body } = await sendRaw(server, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')

  expect([status, (JSON.parse(body) as { code: string }).code]).toEqual([500, 'broken'])
})

test('whatever a request is made of, refusals are printable and the process lives', async () => {
  const { api } = testApi({ rateLimit: false })
  const server = createServer(api.protect((_req, res) => sendJson(res, { ok: true })))
  await listen(server)
  const piece = fc.constantFrom(
    ...[
      'a',
      ' ',
      '\t',
      '\x0b',
      '\x1b[31m',
      '\x7f',
      '\x80',
      '\x9b',
      '\xff',
      '"',
      '\\',
      ',',
      ';',
      '=',
      ':',
      '%00',
      '%0d%0a',
      'Bearer ',
    ],
  )
  const text = fc.array(piece, { maxLength: 12 }).map((parts) => parts.join(''))
  await fc.assert(
    fc.asyncProperty(text, text, text, async (path, credentials, value) => {
      const { status, head, body } = await sendRaw(
        server,
        `GET /${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: ${credentials}\r\nX-Request-Id: ${value}\r\nOrigin: ${value}\r\n\r\n`,
      )
      expect([400, 401, 405]).toContain(status)
      expect(head.replaceAll('\r\n', ' ')).toMatch(CLEAN)
      expect(body.replaceAll('\r\n', ' ')).toMatch(CLEAN)
    }),
    { numRuns: 300 },
  )
  server.close()
})
