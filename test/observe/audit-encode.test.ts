import fc from 'fast-check'
import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import { eventEncoder, tidy } from '../../src/observe/audit-encode.js'
import { clean, quote } from '../../src/observe/audit-text.js'
import { BareRecord } from '../../src/lib/bare.js'
import { polluted } from '../support/polluted.js'

const encodeEvent = eventEncoder()
const flat = (facts: unknown) => tidy({ kind: 'test', facts })['facts']
const written = (event: Record<string, unknown>): string => `{${encodeEvent({ kind: 'test', ...event })}}`
/** Everything that could end a line, or do something to a terminal or a log viewer. */
// eslint-disable-next-line no-control-regex -- that is what must not be found
const DANGEROUS = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/

const HOSTILE: [string, string][] = [
  ['a line end', 'a\nb'],
  ['CRLF and a forged line', '/x\r\n{"kind":"request","principal":"admin"}'],
  ['a carriage return', 'good\rbad'],
  ['NUL', 'a\0b'],
  ['an escape sequence', '\u001b[2J\u001b[31mred'],
  ['an 8-bit control sequence', '\u009b31m'],
  ['a line separator', 'a\u2028b\u2029c'],
  ['next line', 'a\u0085b'],
  ['bidirectional overrides', 'admin\u202e\u2066nimda'],
  ['zero-width characters', 'ad\u200bmin\ufeff'],
  ['a lone surrogate', 'a\ud800b\udc00'],
  ['quotes and backslashes', '"\\",\\"'],
  ['the end of an event', '","outcome":"answered"}'],
  ['a format string', '%s %d %j ${jndi:ldap://x} {{7*7}}'],
  ['delete', '\u007f\u007f'],
]

describe('text from outside (ASVS 16.4.1)', () => {
  test.each(HOSTILE)(
    'with %s stays in one line, in plain ASCII, and cannot pass for a member',
    (_what, text) => {
      const line = written({ path: text, reason: text, facts: { [text]: text, list: [text] } })

      expect(line).toMatch(/^[\x20-\x7e]+$/)
      const event = JSON.parse(line) as Record<string, unknown>
      expect(Object.keys(event)).toEqual(['kind', 'path', 'reason', 'facts'])
      expect(
        inspect(event, { breakLength: Infinity, maxStringLength: null }).replaceAll('\n', ''),
      ).not.toMatch(DANGEROUS)
    },
  )

  test('is harmless also when its decoded value is printed', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const { path } = JSON.parse(written({ path: text })) as { path: string }
        expect(path).not.toMatch(DANGEROUS)
        expect(path).not.toMatch(/\p{Cs}/u)
      }),
      { numRuns: 2_000 },
    )
  })

  test('that is harmless is written as it is', () => {
    for (const text of [
      '/orders/7',
      'caf\u00e9',
      '\u4e2d\u6587',
      '\ud83d\ude00',
      'a "quoted" word',
      'C:\\dir',
      "O'Brien",
    ]) {
      expect((JSON.parse(written({ path: text })) as { path: string }).path).toBe(text)
    }
  })

  test('that is huge is cut, and says by how much', () => {
    const line = written({ path: 'x'.repeat(5_000_000), reason: '\n'.repeat(1_000_000) })
    expect(line.length).toBeLessThan(6_000)
    expect(line).toContain('...[+4998976]')
  })

  test.each([
    ['a JWT', 'id eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.CANARY-abc end', 'id [token] end'],
    ['a JWT in a path', '/reset/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.CANARY/x', '/reset/[token]/x'],
    ['a bearer token', 'got Bearer CANARY.abc-1', 'got Bearer [token]'],
    ['basic credentials', 'Authorization: basic CANARY==', 'Authorization: basic [token]'],
    ['a bearer token behind a tab', 'Bearer\tCANARY.abc', 'Bearer [token]'],
    ['a bearer token in the next line', 'Bearer\r\n CANARY.abc end', 'Bearer [token] end'],
    ['a bearer token behind a space that is none', 'Bearer\u00a0CANARY', 'Bearer [token]'],
    ['a bearer token behind what nobody sees', 'Bearer\u200b CANARY\0', 'Bearer [token]\\u0000'],
    ['a bearer token that begins like a word', 'Bearer tokens.CANARY', 'Bearer [token]'],
    ['a bearer token behind NUL', 'Bearer\0CANARY', 'Bearer [token]'],
  ])('that looks like %s loses it', (_what, text, left) => {
    expect(clean(text, 512)).toBe(left)
  })

  test('that only resembles one keeps it', () => {
    for (const text of [
      'eyJ',
      'eyJabc',
      'the bearer',
      'Basically fine',
      'bearer',
      'bearer ',
      'Bearer, basic',
      'The DPoP proof is missing',
      'a bearer token, or two bearer tokens',
      'basic-auth alice',
    ])
      expect(clean(text, 512)).toBe(text)
  })
})

describe('facts', () => {
  test('are flattened, with their paths as names', () => {
    expect(flat({ a: 1, b: { c: 'x', d: [true, null, 'y'] }, e: undefined })).toEqual({
      a: 1,
      'b.c': 'x',
      'b.d.0': true,
      'b.d.1': null,
      'b.d.2': 'y',
    })
  })

  test.each<[string, unknown]>([
    ['password', 'CANARY'],
    ['userToken', 'CANARY'],
    ['Authorization', 'CANARY'],
    ['x-api-key', 'CANARY'],
    ['passphrase', 'CANARY'],
    ['privateKey', 'CANARY'],
    ['sessionId', 'CANARY'],
    ['jwt', 'CANARY'],
    ['passwordNumber', 123],
    ['token', 123456],
    ['token', 123456n],
    ['tokens', ['CANARY']],
    ['cookies', { sid: 'CANARY' }],
    ['apiKey', { id: 1, value: 'CANARY', deep: [{ a: { b: { c: 'CANARY' } } }] }],
    ['credentials', new Map([['CANARY', 1]])],
    ['secret', new Date(0)],
    ['secret', Buffer.from('CANARY')],
    ['secretOf', () => 'CANARY'],
  ])('named %s are hidden whole, whatever they are, at every depth', (name, value) => {
    expect(flat({ [name]: value })).toEqual({ [name]: '[hidden]' })
    expect(flat({ a: [{ b: { [name]: value } }] })).toEqual({ [`a.0.b.${name}`]: '[hidden]' })
    expect(tidy({ kind: 'test', [name]: value })).toEqual({ kind: 'test', [name]: '[hidden]' })
    expect(JSON.parse(written({ facts: { [name]: value } }))).toEqual({
      kind: 'test',
      facts: { [name]: '[hidden]' },
    })
  })

  test('that only say whether there is a secret, or count them, are kept', () => {
    const benign = {
      hasPassword: true,
      cookie: null,
      tokenCount: 3,
      token_count: 3,
      cookiesCount: 0,
      pass: 'x',
      'keyboard.layout': 'de',
      tick: 'ok',
    }
    expect(flat(benign)).toEqual(benign)
    expect(flat({ tokenCount: 'CANARY', accountToken: 1, tokenAccount: [1] })).toEqual({
      tokenCount: '[hidden]',
      accountToken: '[hidden]',
      tokenAccount: '[hidden]',
    })
  })

  test.each<[string, unknown, unknown]>([
    ['a number that is none', NaN, 'NaN'],
    ['infinity', -Infinity, '-Infinity'],
    ['a bigint', 12345678901234567890n, '12345678901234567890'],
    ['a symbol', Symbol('CANARY'), '[symbol]'],
    ['a function', () => 'CANARY', '[function]'],
    ['a date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['a date that is none', new Date(NaN), '[invalid date]'],
    ['an error, whose message may quote anything', new TypeError('CANARY'), '[TypeError]'],
    ['an error of another realm', runInNewContext('new RangeError("CANARY")'), '[RangeError]'],
    ['a buffer', Buffer.from('CANARY'), '[object]'],
    ['a map', new Map([['CANARY', 1]]), '[object]'],
    [
      'an instance',
      new (class Key {
        secret = 'CANARY'
      })(),
      '[object]',
    ],
    ['a promise', Promise.resolve('CANARY'), '[object]'],
  ])('may be %s', (_what, value, expected) => {
    expect(flat({ value })).toEqual({ value: expected })
  })

  test('of another realm are as plain as ours', () => {
    expect(flat(runInNewContext('({ a: { b: 1 } })'))).toEqual({ 'a.b': 1 })
    expect(flat(Object.assign(Object.create(null) as object, { a: 1 }))).toEqual({ a: 1 })
    expect(flat(Object.assign(new BareRecord(), { a: 1 }))).toEqual({ a: 1 })
  })

  test('do not run what only looks like data', () => {
    const hostile = {
      get boom(): string {
        throw new Error('CANARY')
      },
      toJSON: () => 'CANARY',
      fine: 1,
    }
    expect(flat(hostile)).toEqual({ boom: '[unreadable]', toJSON: '[function]', fine: 1 })
    const trap = new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error('CANARY')
        },
      },
    )
    expect(flat(trap)).toBe('[unreadable]')
    expect(flat({ trap, fine: 1 })).toBe('[unreadable]')
  })

  test('cannot exhaust anything: depth, cycles, members, length', () => {
    let deep: unknown = 'bottom'
    for (let i = 0; i < 100_000; i++) deep = { deep }
    expect(flat(deep)).toEqual({ 'deep.deep.deep.deep': '[too deep]' })

    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    expect(flat(cycle)).toEqual({ 'self.self.self.self': '[too deep]' })

    const wide = flat(Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i])))
    expect(Object.keys(wide as object)).toHaveLength(33)
    expect(wide).toMatchObject({ k0: 0, more: '[too many members]' })
    expect(Object.keys(flat(new Array(1_000_000).fill(1)) as object)).toHaveLength(33)

    const long = written({
      facts: Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`k${i}`, '\n'.repeat(9_999)])),
    })
    expect(long.length).toBeLessThan(64 * 1024)
  })

  test('do not touch any prototype', () => {
    const hostile = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'
    expect(flat(JSON.parse(hostile))).toEqual({
      '[__proto__].polluted': 1,
      'constructor.prototype.polluted': 1,
    })
    expect(flat(JSON.parse('{"__proto__":"x"}'))).toEqual({ '[__proto__]': 'x' })
    const event = tidy(JSON.parse('{"kind":"x","__proto__":{"polluted":1}}') as { kind: string })
    expect(event).toEqual({ kind: 'x', '[__proto__]': { polluted: 1 } })
    expect(Object.getPrototypeOf(event)).toBe(Object.prototype)
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  test('of any kind at all make one line that is valid JSON and bounded', () => {
    fc.assert(
      fc.property(
        fc.anything({
          withBigInt: true,
          withDate: true,
          withMap: true,
          withNullPrototype: true,
          withObjectString: true,
          withSparseArray: true,
        }),
        (facts) => {
          const line = written({ facts })

          expect(line).toMatch(/^[\x20-\x7e]+$/)
          expect(() => JSON.parse(line) as unknown).not.toThrow()
        },
      ),
      { numRuns: 1_000 },
    )
  })
})

describe('an event', () => {
  const OWN =
    'time severity outcome principal authMethod method route path status clientIp service stage code rule reason requestId traceId durationMs reported facts'.split(
      ' ',
    )
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string(),
    fc.constantFrom(...HOSTILE.map(([, hostile]) => hostile)),
    fc.constantFrom('eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.x', 'Bearer abc', 'x'.repeat(1_030)),
  )
  const value = fc.oneof(text, fc.integer(), fc.constantFrom(undefined, null, true, NaN), fc.anything())
  const own = fc.constantFrom(...OWN)
  const event = fc.record({
    kind: text,
    own: fc.dictionary(own, value),
    foreign: fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, fc.dictionary(text, value, { maxKeys: 3 })),
  })

  test('is the same in the file and for a logger, whatever is in any of its members (ASVS 16.4.1)', () => {
    fc.assert(
      fc.property(event, ({ kind, own, foreign }) => {
        const all = { kind, ...own, ...foreign }
        const line = `{${encodeEvent(all)}}`

        expect(line).toMatch(/^[\x20-\x7e]+$/)
        const forLoggers = tidy(all)
        expect(JSON.parse(line)).toEqual(JSON.parse(JSON.stringify(forLoggers)))
        for (const [name, member] of Object.entries(forLoggers)) {
          const nested =
            typeof member === 'object' && member !== null ? Object.entries(member).flat() : [member]
          for (const text of [name, ...nested])
            if (typeof text === 'string') expect(text).not.toMatch(DANGEROUS)
        }
      }),
      {
        numRuns: 2_000,
        examples: [[{ kind: 'test', own: { time: { toString: null } }, foreign: {} }]],
      },
    )
  })
})

test('an event with too many members of its own says so', () => {
  const event = tidy({
    kind: 'x',
    ...Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, i])),
  })
  expect(Object.keys(event)).toHaveLength(33)
  expect(event['more']).toBe('[too many members]')
})

test('quote gives what JSON.parse reads back, in ASCII', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(quote(text)).toMatch(/^[\x20-\x7e]+$/)
      expect(JSON.parse(quote(text))).toBe(text)
    }),
  )
})

describe('events in another order than ours, or with more than ours', () => {
  test('are written whole, in their order', () => {
    const event = { severity: 'low', kind: 'test', facts: { a: 1 }, time: 'now' }
    expect(`{${encodeEvent(event)}}`).toBe(JSON.stringify(event))
  })

  test('get nothing from what a polluted prototype has', () => {
    polluted({ outcome: 'inherited', stranger: 'inherited' }, () => {
      expect(written({ severity: 'low' })).toBe('{"kind":"test","severity":"low"}')
      expect(written({ facts: {} })).toBe('{"kind":"test","facts":{}}')
    })
  })
})

test('an event that ends where a polluted prototype goes on gets nothing from it', () => {
  polluted({ outcome: 'inherited' }, () => {
    expect(written({ time: 'now', severity: 'low' })).toBe('{"kind":"test","time":"now","severity":"low"}')
  })
})

test.each([1.1179999999999999, 1.118, 0.1 + 0.2, 999_999.999, 1e21, 5e-324, 2 ** 31 + 0.5])(
  'the number %d is written to the last digit',
  (durationMs) => {
    expect(JSON.parse(written({ durationMs }))).toEqual({ kind: 'test', durationMs })
    expect(written({ durationMs })).toBe(`{"kind":"test","durationMs":${String(durationMs)}}`)
  },
)

test('numbers are written as JSON has them', () => {
  const numbers = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.integer({ min: 0, max: 2e9 }).map((thousandths) => thousandths / 1000),
  )
  fc.assert(
    fc.property(numbers, (durationMs) => {
      expect(JSON.parse(written({ durationMs }))).toEqual({ kind: 'test', durationMs: durationMs || 0 })
      expect(written({ durationMs })).toBe(`{"kind":"test","durationMs":${String(durationMs)}}`)
    }),
    { numRuns: 2_000 },
  )
})
