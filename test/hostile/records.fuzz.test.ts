import fc from 'fast-check'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contextOf } from '../../src/kernel/context.js'
import { extendChallenge, challenge } from '../../src/lib/challenge.js'
import { verifyAudit } from '../../src/observe/verify-audit.js'
import { silent, sendJson, testApi } from '../support/api.js'
import { listen, sendRaw } from '../support/raw.js'

const nasty = fc.constantFrom(
  '\r\n',
  '\n{"seq":1,"prev":"',
  '","hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}',
  '"kind":"checkpoint",',
  '\u2028',
  '\u001b[2J',
  '\ud800',
  '\0',
  '\u202e',
  '"\\',
  '__proto__',
  'toJSON',
)
const text = fc
  .array(fc.oneof(nasty, fc.string({ unit: 'binary', maxLength: 4 })), { maxLength: 5 })
  .map((all) => all.join(''))
/** What a handler may hand over, without a thought of what becomes of it. */
const facts = fc.dictionary(
  text,
  fc.oneof(
    text,
    fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSparseArray: true,
      withTypedArray: true,
    }),
    fc.constantFrom<unknown>(
      () => 'function',
      Symbol('a'),
      { toJSON: () => '\n' },
      Object.defineProperty({}, 'a', { enumerable: true, get: () => '\n' }),
      Object.defineProperty({}, 'a', {
        enumerable: true,
        get() {
          throw new Error('\n')
        },
      }),
      new Error('\r\n'),
      circle(),
    ),
  ),
  { maxKeys: 4 },
)

function circle(): object {
  const one: Record<string, unknown> = {}
  one['self'] = [one]
  return one
}

describe('whatever is asked and recorded', () => {
  const directory = mkdtempSync(join(tmpdir(), 'secure-api-records-'))
  afterAll(() => rmSync(directory, { recursive: true }))
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')

  test('each event is one line of ASCII that JSON reads, and the chain of them holds (ASVS 16.4.1, 16.4.2)', async () => {
    const path = join(directory, 'audit.jsonl')
    const { api, as } = testApi({
      rateLimit: false,
      audit: { file: { path, key: privateKey, checkpointEvery: 20 } },
      log: silent,
    })
    let next: [kind: string, facts: Record<string, unknown>] | undefined
    const recorded: string[] = []
    const server = createServer(
      api.protect((req, res) => {
        const ctx = contextOf(req)!
        if (next !== undefined) ctx.record(...next)
        recorded.push(ctx.id)
        sendJson(res, { ok: true })
      }),
    )
    await Promise.all([listen(server), api.ready()])
    const target = fc
      .array(
        fc.constantFrom(
          'a',
          'b',
          'c',
          '%22',
          'a/b',
          '?a',
          'A',
          '0',
          '-',
          '_',
          '%20',
          '/',
          '%0a',
          '%0d%0a',
          '%e2%80%a8',
          '%22',
          '%5c',
          '"',
          '{',
          '%1b',
          '?',
          '%',
        ),
      )
      .map((all) => all.join(''))
    await fc.assert(
      fc.asyncProperty(
        target,
        text,
        facts,
        fc.constantFrom(true, true, true, false),
        async (rest, kind, given, known) => {
          next = [kind, given]
          const field = known ? `Authorization: ${as()}\r\n` : ''
          const { status } = await sendRaw(
            server,
            `GET /${rest} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${field}\r\n`,
          )
          expect([200, 400, 401]).toContain(status)
        },
      ),
      { numRuns: 200 },
    )
    server.close()
    await api.close()

    const bytes = readFileSync(path, 'latin1')
    expect(bytes).toMatch(/^[\n\x20-\x7e]*$/)
    const lines = bytes.split('\n')
    expect(lines.pop()).toBe('')
    const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    // One for each request that was let in, and one of its handler.
    expect(recorded.length).toBeGreaterThan(40)
    const ended = events.filter(
      ({ kind, requestId }) => kind === 'request' && recorded.includes(String(requestId)),
    )
    expect(ended).toHaveLength(recorded.length)
    for (const id of recorded)
      expect(events.filter(({ requestId }) => requestId === id).length).toBeGreaterThan(1)

    // The chain as the documentation describes it, read by nothing of ours.
    let prev = ''
    for (const [i, line] of lines.entries()) {
      const end = line.lastIndexOf(',"hash":"')
      const hash = createHash('sha256')
        .update(`secure-api audit line 1\n${line.slice(0, end)}`)
        .digest('base64url')
      expect(events[i]).toMatchObject({ seq: i + 1, prev, hash })
      prev = hash
    }
    expect(await verifyAudit(path, { publicKey })).toMatchObject({ ok: true })
  })
})

/** RFC 9110 sections 5.6.2, 5.6.4 and 11.6.1, by position and without an expression over the whole. */
function parseChallenges(field: string): { scheme: string; parameters: [string, string][] }[] {
  const found: { scheme: string; parameters: [string, string][] }[] = []
  let at = 0
  const isToken = (character: string | undefined) =>
    character !== undefined && /[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(character)
  const token = () => {
    const start = at
    while (isToken(field[at])) at++
    if (start === at) throw new Error(`no token at ${at}`)
    return field.slice(start, at)
  }
  const blanks = () => {
    while (field[at] === ' ' || field[at] === '\t') at++
  }
  const quoted = () => {
    if (field[at++] !== '"') throw new Error(`no quote at ${at - 1}`)
    let value = ''
    for (;;) {
      const character = field[at++]
      if (character === undefined) throw new Error('a string without an end')
      if (character === '"') return value
      const unit = character === '\\' ? field[at++] : character
      if (unit === undefined || unit < ' ' || unit === '\x7f')
        throw new Error('a character that may not stand there')
      value += unit
    }
  }
  while (at < field.length) {
    const word = token()
    blanks()
    if (field[at] === '=') {
      at++
      blanks()
      found.at(-1)!.parameters.push([word.toLowerCase(), field[at] === '"' ? quoted() : token()])
    } else {
      found.push({ scheme: word, parameters: [] })
      if (at < field.length && field[at] !== ',') continue
    }
    blanks()
    if (at < field.length && field[at++] !== ',') throw new Error(`no comma at ${at - 1}`)
    blanks()
  }
  return found
}

describe('whatever goes into a challenge', () => {
  const scheme = fc.constantFrom('Bearer', 'DPoP', 'Basic')
  const parameters = fc.array(
    fc.tuple(
      fc.constantFrom('realm', 'error', 'error_description', 'scope', 'algs'),
      fc.option(text, { nil: undefined }),
    ),
    { maxLength: 5 },
  )

  test('is one challenge with those parameters, as another parser reads it', () => {
    fc.assert(
      fc.property(scheme, parameters, parameters, (name, first, second) => {
        const [one, two] = [Object.fromEntries(first), Object.fromEntries(second)]
        for (const key of Object.keys(one)) Reflect.deleteProperty(two, key)
        const written = extendChallenge(challenge(name, one), two)
        const wanted = [...Object.entries(one), ...Object.entries(two)].filter(
          ([, value]) => value !== undefined,
        )

        const read = parseChallenges(written)
        expect(read).toHaveLength(1)
        expect(read[0]!.scheme).toBe(name)
        expect(read[0]!.parameters.map(([key]) => key)).toEqual(wanted.map(([key]) => key))
        for (const [i, [, value]] of read[0]!.parameters.entries()) {
          const given = wanted[i]![1]!
          expect(value).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/)
          expect(value).toHaveLength(given.length)
          if (/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(given)) expect(value).toBe(given)
        }
      }),
      { numRuns: 500 },
    )
  })

  test.each<[string, ReturnType<typeof parseChallenges>]>([
    ['Bearer', [{ scheme: 'Bearer', parameters: [] }]],
    [
      'Bearer realm="a\\"b", scope=x',
      [
        {
          scheme: 'Bearer',
          parameters: [
            ['realm', 'a"b'],
            ['scope', 'x'],
          ],
        },
      ],
    ],
    [
      'Bearer realm="a, DPoP b=\\"c\\"", DPoP algs="ES256"',
      [
        { scheme: 'Bearer', parameters: [['realm', 'a, DPoP b="c"']] },
        { scheme: 'DPoP', parameters: [['algs', 'ES256']] },
      ],
    ],
  ])('the other parser reads %s', (field, wanted) => expect(parseChallenges(field)).toEqual(wanted))

  test.each(['Bearer realm="a', 'Bearer realm="a" b="c"', 'Bearer realm=', '="a"', 'Bearer realm="\n"'])(
    'the other parser does not read %j',
    (field) => expect(() => parseChallenges(field)).toThrow(),
  )
})
