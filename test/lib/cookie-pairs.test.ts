import { parseCookies } from '../../src/lib/cookie-pairs.js'

test.each([
  ['', {}],
  ['a=1', { a: ['1'] }],
  ['a=1; b=2', { a: ['1'], b: ['2'] }],
  ['a=1;b=2;', { a: ['1'], b: ['2'] }],
  ['a="1 2"', { a: ['1 2'] }],
  ['a="', { a: ['"'] }],
  ['a=b=c', { a: ['b=c'] }],
  ['a=%41', { a: ['A'] }],
  ['a=1; a=2', { a: ['1', '2'] }],
  ['nameless; a=1', { a: ['1'] }],
  ['constructor=1', { constructor: ['1'] }],
  ['\t a \t= 1 ', { a: ['1'] }],
  ['\u00a0__Host-a=1\u00a0', { '\u00a0__Host-a': ['1\u00a0'] }],
])('%s', (field, expected) => {
  expect({ ...(parseCookies(field, undefined) as object) }).toEqual(expected)
})

test('reads only what is wanted, however odd the rest is', () => {
  const cookies = parseCookies('x=%; __proto__=1; a=1; x=%', new Set(['a']))
  expect({ ...(cookies as object) }).toEqual({ a: ['1'] })
})

test.each([
  ['a=%', 'percent-encoding'],
  ['a=%ff', 'percent-encoding'],
  ['__proto__=1', 'proto-key'],
])('%s is refused: %s', (field, fault) => {
  expect(parseCookies(field, undefined)).toBe(fault)
})

test('reads 500 cookies and no more, but for those that nobody wants', () => {
  const cookies = (count: number) => Array(count).fill('a=b').join('; ')

  expect(parseCookies(cookies(500), undefined)).toEqual({ a: Array(500).fill('b') })
  expect(parseCookies(cookies(501), undefined)).toBe('too-many')
  expect(parseCookies(`${cookies(2_000)}; c=d`, new Set(['c']))).toEqual({ c: ['d'] })
})
