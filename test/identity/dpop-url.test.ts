import fc from 'fast-check'
import { isUrlUnder, normalPath, normalUrl } from '../../src/identity/dpop-url.js'

const path = fc
  .array(
    fc.constantFrom(
      '/',
      'a',
      'B',
      '.',
      '~',
      '%7e',
      '%2F',
      '%2f',
      '%',
      '%zz',
      '%00',
      ';',
      ':',
      '@',
      '\\',
      '\u00e9',
    ),
  )
  .map((parts) => `/${parts.join('')}`)

test('there is one spelling, and normalizing it again changes nothing', () => {
  fc.assert(
    fc.property(path, (given) => {
      const once = normalPath(given)
      expect(normalPath(once)).toBe(once)
      expect(normalUrl(`HTTPS://API.test:443${given}?q=/x#f`)).toBe(`https://api.test${once}`)
    }),
  )
})

test('what differs once it is decoded, or in a reserved character, never becomes the same', () => {
  fc.assert(
    fc.property(path, path, (one, other) => {
      fc.pre(decoded(one) !== decoded(other))
      expect(normalPath(one)).not.toBe(normalPath(other))
    }),
  )
  expect(normalPath('/a%2Fb')).not.toBe(normalPath('/a/b'))
})

test('a URL is compared in its normal spelling, whether it needs to be brought there or not', () => {
  const bases = ['https://api.test', 'https://api.test/v1']
  const asked = fc.oneof(
    path,
    path.map((given) => `${given}#f`),
    fc.constantFrom('', '*', 'a', 'http://api.test/a'),
  )
  const sent = fc.tuple(
    fc.constantFrom('https://api.test', 'https://api.test/v1', 'HTTPS://API.test:443', 'http://api.test'),
    fc.constantFrom('', '?q', '#f'),
  )
  fc.assert(
    fc.property(asked, path, sent, fc.boolean(), (here, there, [base, rest], isSame) => {
      const htu = `${base}${isSame ? here : there}${rest}`
      const normal = normalUrl(htu)
      expect(isUrlUnder(htu, bases, here)).toBe(bases.some((one) => one + normalPath(here) === normal))
    }),
    {
      examples: [
        ['*', '/', ['https://api.test', ''], true],
        ['/a#f', '/', ['https://api.test', ''], true],
        ['/a', '/', ['https://api.test', ''], true],
      ],
    },
  )
})

/** As bytes, because not everything is UTF-8. */
function decoded(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(parseInt(hex, 16)))
}
