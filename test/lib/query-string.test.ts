import fc from 'fast-check'
import { parseQuery } from '../../src/lib/query-string.js'
import { inherited } from '../support/inherits.js'

test('reads whatever a form sends as URLSearchParams does', () => {
  const text = fc.string({ unit: 'grapheme' })
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { maxLength: 20 }), (pairs) => {
      fc.pre(pairs.every(([name]) => name !== '__proto__'))
      const sent = new URLSearchParams(pairs)
      const fields = parseQuery(`/path?${sent.toString()}`)
      // URLSearchParams writes an empty pair as `=`, which is a parameter without a name.
      expect({ ...(fields as object) }).toEqual(
        Object.fromEntries([...new Set(sent.keys())].map((name) => [name, sent.getAll(name)])),
      )
    }),
    { numRuns: 500 },
  )
})

test('ends on any URL, with values that JSON can carry or a fault', () => {
  fc.assert(
    fc.property(fc.string(), (url) => {
      const fields = parseQuery(url)
      if (typeof fields === 'string') expect(['percent-encoding', 'proto-key']).toContain(fields)
      else expect(inherited(fields)).toEqual([])
    }),
    { numRuns: 2_000 },
  )
})

test.each([
  ['/', {}],
  ['/?', {}],
  ['/?a', { a: [''] }],
  ['/?=1', { '': ['1'] }],
  ['/?a=1&a=2&b=3', { a: ['1', '2'], b: ['3'] }],
  ['/?a=1;b=2', { a: ['1;b=2'] }],
  ['/?a[b]=1', { 'a[b]': ['1'] }],
  ['/?constructor=1&toString=2', { constructor: ['1'], toString: ['2'] }],
  ['/?2=b&1=a', { 1: ['a'], 2: ['b'] }],
])('%s', (url, expected) => {
  expect({ ...(parseQuery(url) as object) }).toEqual(expected)
})

test.each([
  ['/?a=%', 'percent-encoding'],
  ['/?%=a', 'percent-encoding'],
  ['/?a=%f', 'percent-encoding'],
  ['/?a=%u0041', 'percent-encoding'],
  ['/?a=%c0%80', 'percent-encoding'],
  ['/?__proto__', 'proto-key'],
  ['/?a=1&%5f_proto__=2', 'proto-key'],
])('%s is refused: %s', (url, fault) => {
  expect(parseQuery(url)).toBe(fault)
})

test('reads 500 pairs and no more', () => {
  const pairs = (count: number) => '?' + Array(count).fill('a=b').join('&')

  expect(parseQuery(pairs(500))).toEqual({ a: Array(500).fill('b') })
  expect(parseQuery(`${pairs(500)}&&&`)).toEqual({ a: Array(500).fill('b') })
  expect(parseQuery(pairs(501))).toBe('too-many')
})

test('counts before it decodes, and does not count what is empty', () => {
  const decode = jest.spyOn(globalThis, 'decodeURIComponent')
  expect(parseQuery(`/?a=%&${'a=%41&'.repeat(500)}`)).toBe('too-many')
  expect(decode).not.toHaveBeenCalled()
  decode.mockRestore()
  expect(parseQuery(`/?${'&'.repeat(600)}a=1${'&'.repeat(600)}b=2&&`)).toEqual({ a: ['1'], b: ['2'] })
})
