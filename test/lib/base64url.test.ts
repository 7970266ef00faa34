import fc from 'fast-check'
import { decodeBase64url, endsCleanly, isBase64url } from '../../src/lib/base64url.js'

test.each([
  ['', ''],
  ['TQ', 'M'],
  ['TWE', 'Ma'],
  ['TWFu', 'Man'],
  ['_-8', '\u00ff\u00ef'],
])('%j is %j', (text, bytes) => {
  expect(decodeBase64url(text)?.toString('latin1')).toBe(bytes)
})

test.each([
  'TQ==',
  'TQ=',
  'TR',
  'TWF',
  'T',
  'TWFuT',
  '+/8',
  'TW Fu',
  'TWFu\n',
  ' TQ',
  'T\u00e4',
  'TWFu.',
  '\u0000',
])('%j is no canonical base64url', (text) => expect(decodeBase64url(text)).toBeUndefined())

test('every byte string has one spelling, and it is accepted', () =>
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const text = Buffer.from(bytes).toString('base64url')
      expect(decodeBase64url(text)).toEqual(Buffer.from(bytes))
    }),
  ))

test('a text is what Node writes, or it is none', () =>
  fc.assert(
    fc.property(fc.string({ maxLength: 12, unit: 'binary' }), (text) => {
      expect(isBase64url(text)).toBe(Buffer.from(text, 'base64url').toString('base64url') === text)
    }),
  ))

test('without foreign characters, only the end can be amiss', () =>
  fc.assert(
    fc.property(fc.stringMatching(/^[\w-]{0,12}$/), (text) => {
      expect(endsCleanly(text)).toBe(isBase64url(text))
    }),
  ))

test('no two texts are the same bytes', () =>
  fc.assert(
    fc.property(
      fc.string({ maxLength: 12, unit: fc.constantFrom(...'AQgwABz09-_+/='.split('')) }),
      (text) => {
        const bytes = decodeBase64url(text)
        if (bytes !== undefined) expect(bytes.toString('base64url')).toBe(text)
      },
    ),
  ))
