import fc from 'fast-check'
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

test('reads the pairs between semicolons that have an equals sign, whatever else stands there', () => {
  const piece = fc.constantFrom(';', '=', ' ', '\t', 'a', 'b', '"', '%41', 'c=d', '; ')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const field = pieces.join('')
      const expected: Record<string, string[]> = {}
      for (const pair of field.split(';').filter((each) => each.includes('='))) {
        const name = blanksOff(pair.slice(0, pair.indexOf('=')))
        const text = blanksOff(pair.slice(pair.indexOf('=') + 1))
        ;(expected[name] ??= []).push(decodeURIComponent(/^"(.*)"$/s.exec(text)?.[1] ?? text))
      }
      expect({ ...(parseCookies(field, undefined) as object) }).toEqual(expected)
      const { a } = expected
      expect({ ...(parseCookies(field, new Set(['a'])) as object) }).toEqual(a === undefined ? {} : { a })
    }),
    { numRuns: 3_000 },
  )
})

const blanksOff = (text: string) => text.replace(/^[ \t]+|[ \t]+$/g, '')

test('counts before it decodes', () => {
  const decode = jest.spyOn(globalThis, 'decodeURIComponent')
  expect(parseCookies('a=%41;'.repeat(501), undefined)).toBe('too-many')
  expect(parseCookies(`a=%;${'a=%41;'.repeat(500)}`, undefined)).toBe('too-many')
  expect(decode).not.toHaveBeenCalled()
  decode.mockRestore()
})
