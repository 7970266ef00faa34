import fc from 'fast-check'
import { ambiguityOf, type Ambiguity } from '../../src/lib/ambiguous-path.js'

/** Paths of pieces that readers quarrel about, percent-encoded at random. */
const nastyPath = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '/',
        '.',
        '..',
        '%2e',
        '%2F',
        '%5c',
        '\\',
        ';',
        '%3b',
        '%',
        '%25',
        '%252e',
        '#',
        '%00',
        '%c0%ae',
      ),
      fc.constantFrom(
        'a',
        'Z',
        '0',
        '2',
        'e',
        'f',
        '-',
        '~',
        '%20',
        '%c3%a9',
        '%e2%80%a8',
        '%f0%9f%98%80',
        '%ed%a0%80',
      ),
      fc.string({ unit: 'binary', maxLength: 3 }),
    ),
    { maxLength: 12 },
  )
  .map((pieces) => `/${pieces.join('')}`)

/** What a server that normalises would do, for comparison. */
const segmentsOf = (path: string) => path.split('/').map((segment) => decodeURIComponent(segment))

describe('a path that is not ambiguous', () => {
  test('decodes, to segments that no reader moves, joins or cuts', () => {
    fc.assert(
      fc.property(nastyPath, (path) => {
        fc.pre(ambiguityOf(path) === undefined)
        const segments = segmentsOf(path)

        for (const segment of segments) {
          expect(segment).not.toMatch(/^\.{1,2}$/)
          expect(segment).not.toMatch(/[/\\;\p{Cc}\u2028\u2029]/u)
          expect(segment).not.toMatch(/%[0-9a-f]{2}/i)
        }
        expect(segments.slice(1, -1)).not.toContain('')
        expect(decodeURIComponent(path)).toBe(segments.join('/'))
      }),
      { numRuns: 1_000 },
    )
  })

  test('is what the URL standard makes of it', () => {
    fc.assert(
      fc.property(nastyPath, (path) => {
        fc.pre(ambiguityOf(path) === undefined)
        const url = new URL(path, 'http://host.example')

        expect(url.host).toBe('host.example')
        expect(decodeURIComponent(url.pathname)).toBe(decodeURIComponent(path.split('?')[0]!))
      }),
      { numRuns: 1_000 },
    )
  })
})

test('whatever encodeURIComponent makes of text without special characters is not ambiguous', () => {
  const harmless = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((text) => !/[/\\;%\p{Cc}\u2028\u2029]/u.test(text) && !/^\.{1,2}$/.test(text))

  fc.assert(
    fc.property(fc.array(harmless), (segments) => {
      expect(ambiguityOf(`/${segments.map(encodeURIComponent).join('/')}`)).toBeUndefined()
    }),
  )
})

test('an allowed ambiguity never hides another one', () => {
  const loosenable: Ambiguity[] = [
    'semicolon',
    'encoded-slash',
    'backslash',
    'duplicate-slash',
    'double-encoding',
    'unencoded-character',
  ]
  fc.assert(
    fc.property(nastyPath, fc.subarray(loosenable), (path, allowed) => {
      const found = ambiguityOf(path, new Set(allowed))

      if (found === undefined) expect([undefined, ...allowed]).toContain(ambiguityOf(path))
      else expect(allowed).not.toContain(found)
    }),
    { numRuns: 1_000 },
  )
})

test.each<[string, Ambiguity]>([
  ['/caf\u00e9', 'unencoded-character'],
  ['/\u20ac', 'unencoded-character'],
  ['/a b', 'unencoded-character'],
  ['/a\u0000b', 'control-character'],
  ['/a\tb', 'control-character'],
  ['/a\u007fb', 'control-character'],
  ['', 'absolute-form'],
  ['admin', 'absolute-form'],
  ['*', 'asterisk-form'],
  ['*/', 'absolute-form'],
])('%j, which a lenient parser may let through, is %s', (path, ambiguity) => {
  expect(ambiguityOf(path)).toBe(ambiguity)
})
