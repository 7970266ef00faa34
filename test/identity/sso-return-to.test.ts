import fc from 'fast-check'
import { isLocalPath } from '../../src/identity/sso-return-to.js'

test.each([
  '/',
  '/orders',
  '/orders/1?page=2&sort=-date',
  '/orders?next=%2Fa%2Fb',
  '/orders?at=https://evil.example/',
  '/orders#part',
  '/a-b_c~d.e',
  '/caf%C3%A9',
  '/@someone',
])('%s is a path of this host', (path) => {
  expect(isLocalPath(path)).toBe(true)
})

test.each<unknown>([
  undefined,
  null,
  7,
  ['/orders'],
  '',
  'orders',
  '?page=2',
  '#part',
  '//evil.example',
  '///evil.example',
  '/\\evil.example',
  '\\/evil.example',
  '\\\\evil.example',
  '/\t/evil.example',
  '/\n/evil.example',
  '/\r\nSet-Cookie: a=b',
  ' //evil.example',
  '/ /evil.example',
  '\u0000//evil.example',
  '/\u0000',
  '/%00',
  '/%09/evil.example',
  '/%0d%0aLocation:%20https://evil.example',
  '/%2fevil.example',
  '/%2F%2Fevil.example',
  '%2f%2fevil.example',
  '/%5cevil.example',
  '/%252fevil.example',
  '/./evil',
  '/../evil',
  '/.//evil.example',
  '/..//evil.example',
  '/a/..//evil.example',
  '/%2e%2e//evil.example',
  '/a//evil.example',
  '/;@evil.example',
  'https://evil.example',
  'HTTPS://evil.example',
  'https:evil.example',
  'https:/evil.example',
  'javascript:alert(1)',
  'JavaScript:alert(1)',
  'java\nscript:alert(1)',
  'data:text/html,x',
  'vbscript:x',
  '/\u2215evil.example',
  '/\uff0fevil.example',
  '/\u3002evil.example',
  '/\ud800',
  '/%ff',
  '/%',
  `/${'a'.repeat(2_048)}`,
])('%j is none', (text) => {
  expect(isLocalPath(text)).toBe(false)
})

test('whatever is taken leads nowhere else, however it is read', () => {
  const piece = fc.constantFrom(
    '/',
    '\\',
    '.',
    '..',
    '%2f',
    '%5c',
    '%2e',
    ':',
    '@',
    '?',
    '#',
    'evil.example',
    'javascript',
    '\t',
    ' ',
    ';',
    '%',
    'a',
  )
  const text = fc.oneof(
    fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('')),
    fc.string(),
  )
  fc.assert(
    fc.property(text, (path) => {
      if (!isLocalPath(path)) return
      for (const base of ['https://shop.example/a/b', 'http://shop.example']) {
        for (const read of [path, decodeURI(path.split(/[?#]/)[0]!)])
          expect(new URL(read, base).host).toBe('shop.example')
      }
    }),
    { numRuns: 5_000 },
  )
})
