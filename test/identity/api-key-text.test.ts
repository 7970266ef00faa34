import fc from 'fast-check'
import { ConfigError } from '../../src/kernel/config-error.js'
import { keyPrefix, newId, newKey, parseKey } from '../../src/identity/api-key-text.js'

const PATTERN = /^acme_[0-9A-Za-z]{16}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/

test('a key looks as the page says', () => {
  for (let i = 0; i < 50; i++) expect(newKey('acme', newId()).key).toMatch(PATTERN)
})

test('the checksum is the CRC-32 of what stands before it, in base 62 (known values)', () => {
  // zlib.crc32('acme_...'), computed by Python's zlib and written in the digits 0-9A-Za-z.
  const body = 'acme_0123456789abcdef_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg'
  expect(parseKey('acme', `${body}_4RWGdm`)).toEqual({ id: '0123456789abcdef', body })
})

test('no two keys are alike', () => {
  const keys = Array.from({ length: 500 }, () => newKey('acme', newId()).key)
  expect(new Set(keys).size).toBe(500)
  expect(new Set(keys.map((key) => key.split('_')[1])).size).toBe(500)
  expect(new Set(keys.map((key) => key.split('_')[2])).size).toBe(500)
})

test('every digit is used in every place, so that none is worth less than it looks', () => {
  const secrets = Array.from({ length: 1_500 }, () => newKey('acme', newId()).key.split('_')[2]!)
  for (let place = 0; place < 43; place++)
    expect(new Set(secrets.map((secret) => secret[place])).size).toBe(62)
})

const prefixes = fc.constantFrom('acme', 'ac', 'acme_live', 'a_1_b_2', `a${'b'.repeat(30)}`)

test('what was made is read back, whatever the prefix', () => {
  fc.assert(
    fc.property(prefixes, (prefix) => {
      const id = newId()
      const { key, body } = newKey(keyPrefix('prefix', prefix), id)
      expect(parseKey(prefix, key)).toEqual({ id, body })
    }),
  )
})

test('any one character that is another one makes it malformed', () => {
  const other = fc.string({ unit: 'binary', minLength: 0, maxLength: 2 })
  fc.assert(
    fc.property(fc.nat(71), other, (at, text) => {
      const { key } = newKey('acme', newId())
      const changed = key.slice(0, at) + text + key.slice(at + 1)
      expect(parseKey('acme', changed)).toEqual(changed === key ? expect.anything() : undefined)
    }),
    { numRuns: 1_000 },
  )
})

test('two neighbours that changed places make it malformed', () => {
  fc.assert(
    fc.property(fc.nat(70), (at) => {
      const { key } = newKey('acme', newId())
      const swapped = key.slice(0, at) + key[at + 1]! + key[at]! + key.slice(at + 2)
      if (swapped !== key) expect(parseKey('acme', swapped)).toBeUndefined()
    }),
    { numRuns: 500 },
  )
})

test('nothing that is made up is a key, and nothing makes the parser throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      expect(parseKey('acme', text)).toBeUndefined()
      expect(parseKey('acme', `acme_${text}`)).toBeUndefined()
    }),
  )
})

const { key } = newKey('acme', newId())

test.each([
  ['nothing', ''],
  ['the prefix', 'acme'],
  ['another prefix', key.replace('acme', 'acmf')],
  ['a longer prefix', key.replace('acme', 'acme_live')],
  ['a shorter one', key.slice(2)],
  ['capitals', key.toUpperCase()],
  ['a space in front', ` ${key}`],
  ['a space behind', `${key} `],
  ['a line break behind', `${key}\n`],
  ['a NUL behind', `${key}\0`],
  ['two keys', `${key}, ${key}`],
  ['quotes', `"${key}"`],
  ['no checksum', key.slice(0, -7)],
  ['an empty checksum', key.slice(0, -6)],
  ['a checksum too long', `${key}0`],
  ['a letter of another script', key.replace(/.$/, '\u0430')],
  ['a full-width digit', key.replace(/.$/, '\uff11')],
  ['base64url', key.replace(/.$/, '-')],
  ['a megabyte', `acme_${'a'.repeat(1_000_000)}`],
  ['a megabyte behind', key + 'a'.repeat(1_000_000)],
  ['prototype words', `acme_${'__proto__'.padEnd(16, 'x')}${key.slice(21)}`],
])('%s is no key', (_what, text) => {
  expect(parseKey('acme', text)).toBeUndefined()
})

test.each(['ac', 'acme', 'acme_live', 'a1', 'sk_test_2'])('%j is a prefix', (prefix) => {
  expect(keyPrefix('apiKey.prefix', prefix)).toBe(prefix)
})

test.each([
  '',
  'a',
  'A',
  'Acme',
  '1a',
  '_a',
  'a_',
  'a__b',
  'a-b',
  'a b',
  'a'.repeat(32),
  '\u00e4b',
  5,
  null,
  ['ac'],
])('%j is no prefix', (prefix) => {
  expect(() => keyPrefix('apiKey.prefix', prefix)).toThrow(ConfigError)
})
