import { createHmac, createSecretKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { compileStyle, hashKey, REDACTED, type HashKey, type Style } from '../../src/data/mask-styles.js'
import { ConfigError } from '../../src/kernel/config-error.js'

const secret = 'k'.repeat(32)
const show = (style: Style, value: unknown) => compileStyle('mask', style, hashKey('mask.key', secret))(value)

test.each([['secret'], [''], [0], [true], [null], [{ a: 1 }], [12n]])(
  'redact shows nothing of %p',
  (value) => {
    expect(show('redact', value)).toBe('[redacted]')
  },
)

describe('last4', () => {
  test.each<[unknown, string]>([
    ['4111111111111111', '****1111'],
    ['4111 1111 1111 1234', '****1234'],
    [4111111111111234, '****1234'],
    [12345678901234567890n, '****7890'],
    ['12345678', '****5678'],
    ['1234567', '****'],
    [1234567, '****'],
    ['', '****'],
    [-1, '****'],
    [NaN, '****'],
    ['\u{1f600}'.repeat(7), '****'],
    ['\u{1f600}'.repeat(8), `****${'\u{1f600}'.repeat(4)}`],
    [`${'a'.repeat(20)}\u{1f600}bcd`, '****\u{1f600}bcd'],
    [true, REDACTED],
    [null, REDACTED],
    [{ number: '4111111111111111' }, REDACTED],
    [REDACTED, REDACTED],
    ['****1234', '****1234'],
  ])('of %p is %p', (value, shown) => {
    expect(show('last4', value)).toBe(shown)
  })

  test('shows at most four characters, and none of a value under eight', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (value) => {
        const characters = Array.from(value)
        const shown = Array.from(show('last4', value) as string).slice(4)
        expect(shown).toEqual(characters.length < 8 ? [] : characters.slice(-4))
      }),
    )
  })
})

describe('email', () => {
  test.each<[unknown, string]>([
    ['ann@example.com', 'a***@example.com'],
    ['a@example.com', 'a***@example.com'],
    ['ann.o+tag@mail.example.co.uk', 'a***@mail.example.co.uk'],
    ['\u{1f600}x@example.com', '\u{1f600}***@example.com'],
    ['ann@b\u00fccher.example', 'a***@b\u00fccher.example'],
    ['a***@example.com', 'a***@example.com'],
  ])('of %p is %p', (value, shown) => {
    expect(show('email', value)).toBe(shown)
  })

  test.each<[unknown]>([
    ['secret'],
    ['@example.com'],
    ['ann@'],
    ['ann@localhost'],
    ['ann@example.'],
    ['ann@.com'],
    ['ann@exa mple.com'],
    ['my ssn is 1; mail ann@example.com'],
    ['Ann <ann@example.com>'],
    ['ann@example.com, bob@example.com'],
    ['ann@bob@example.com'],
    ['ann\n@example.com'],
    ['ann@example.com\n'],
    ['ann@example.com?ssn=123-45-6789'],
    [`ann@${'a.'.repeat(200)}com`],
    [4111111111111111],
    [true],
    [{ email: 'ann@example.com' }],
    ['[redacted]'],
    [''],
  ])('shows nothing of %p', (value) => {
    expect(show('email', value)).toBe('[redacted]')
  })
})

describe('what is shown in a hurry is what would be shown with patience', () => {
  const unit = fc.constantFrom(
    ...Array.from('aZ09-_.~!@ \n\u007f\u0080\u00fc\u0660\u200b\u2028'),
    '\u{1f600}',
    '\ud83d',
    '\ude00',
  )

  test('by last4', () => {
    const patient = (text: string) => {
      const characters = Array.from(text)
      return characters.length < 8 ? '****' : `****${characters.slice(-4).join('')}`
    }
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 30 }), (text) => {
        expect(show('last4', text)).toBe(patient(text))
      }),
      { numRuns: 2_000 },
    )
  })

  test('by email', () => {
    const patient = (text: string) => {
      const [, local, domain] = /^([^\s\p{C}@]+)@([\p{L}\p{N}.-]+)$/u.exec(text) ?? []
      const labels = domain?.split('.') ?? []
      const isSound = labels.length > 1 && labels.every(({ length }) => length >= 1 && length <= 63)
      return isSound && text.length <= 320 ? `${Array.from(local!)[0]!}***@${domain!}` : REDACTED
    }
    const label = fc.oneof(
      fc.string({ unit, maxLength: 3 }),
      fc.constantFrom('com', 'mail', 'b\u00fccher', '', 'a'.repeat(63), 'a'.repeat(64)),
    )
    const domain = fc.array(label, { maxLength: 5 }).map((labels) => labels.join('.'))
    const local = fc.oneof(
      fc.string({ unit, maxLength: 5 }),
      fc.constantFrom('ann', 'ann.o+tag', 'a'.repeat(250)),
    )
    fc.assert(
      fc.property(local, domain, (before, after) => {
        expect(show('email', `${before}@${after}`)).toBe(patient(`${before}@${after}`))
      }),
      {
        numRuns: 2_000,
        examples: [
          ['ann', 'example.com'],
          ['a'.repeat(308), 'example.com'],
          ['a'.repeat(309), 'example.com'],
        ],
      },
    )
  })
})

describe('hash', () => {
  test('is HMAC-SHA-256 of the text, so that equal values stay comparable', () => {
    const expected = createHmac('sha256', secret).update('123-45-6789').digest('base64url')
    expect(show('hash', '123-45-6789')).toBe(expected)
    expect(show('hash', '123-45-6780')).not.toBe(expected)
    expect(show('hash', 42)).toBe(show('hash', '42'))
    expect(show('hash', 42n)).toBe(show('hash', '42'))
  })

  test('depends on the key', () => {
    const other = compileStyle('mask', 'hash', hashKey('mask.key', 'o'.repeat(32)))
    expect(other('a')).not.toBe(show('hash', 'a'))
  })

  test.each<[unknown]>([[true], [false], [{ a: 1 }], [null], ['[redacted]']])(
    'shows nothing of %p, whose hash would give it away or say nothing',
    (value) => {
      expect(show('hash', value)).toBe('[redacted]')
    },
  )

  test('needs a key', () => {
    expect(() => compileStyle('mask["ssn"]', 'hash', undefined)).toThrow(
      /^mask\["ssn"\] is 'hash', which needs a key/,
    )
  })

  test.each<[string, HashKey]>([
    ['a string', secret],
    ['a buffer', Buffer.from(secret)],
    ['bytes', new Uint8Array(Buffer.from(secret))],
    ['a key object', createSecretKey(Buffer.from(secret))],
  ])('takes its key as %s', (_what, key) => {
    expect(compileStyle('mask', 'hash', hashKey('mask.key', key))('a')).toBe(show('hash', 'a'))
  })

  test.each<[string, unknown, RegExp]>([
    ['31 bytes', 'k'.repeat(31), /at least 32 bytes .*got 31 bytes/],
    ['an empty string', '', /got 0 bytes/],
    ['empty bytes', new Uint8Array(), /got 0 bytes/],
    ['a number', 7, /got something else/],
    ['null', null, /got something else/],
    ['a public key', generateKeyPairSync('ed25519').publicKey, /got something else/],
  ])('refuses %s at start, without showing it', (_what, key, message) => {
    expect(() => hashKey('mask.key', key as HashKey)).toThrow(ConfigError)
    expect(() => hashKey('mask.key', key as HashKey)).toThrow(message)
    expect(() => hashKey('mask.key', key as HashKey)).not.toThrow(/kkkk/)
  })
})

test.each<[unknown, RegExp]>([
  ['redacted', /Did you mean "redact"\?/],
  ['', /must be 'redact', 'last4', 'email', 'hash', a function/],
  [true, /got true/],
  [undefined, /got undefined/],
  ['toString', /must be/],
])('the style %p is refused at start', (style, message) => {
  expect(() => compileStyle('mask["a"]', style as Style, undefined)).toThrow(message)
})

test('every style leaves what is already masked at least as masked', () => {
  const styles = fc.constantFrom<Style>('redact', 'last4', 'email', 'hash')
  const values = fc.oneof(
    fc.string(),
    fc.emailAddress(),
    fc.integer(),
    fc.constantFrom('4111111111111111', '[redacted]', '****1111', '****'),
  )
  fc.assert(
    fc.property(styles, styles, values, (first, second, value) => {
      const once = show(first, value) as string
      const twice = show(second, once) as string
      // Nothing that the first style hid comes back: the second knows only what the first shows.
      expect(twice === REDACTED || twice === once || show(second, once) === twice).toBe(true)
      if (once === REDACTED) expect(twice).toBe(REDACTED)
      if (first === second && first !== 'hash') expect(twice).toBe(once)
    }),
  )
})
