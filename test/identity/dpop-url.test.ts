import fc from 'fast-check'
import { normalPath, normalUrl } from '../../src/identity/dpop-url.js'

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

/** As bytes, because not everything is UTF-8. */
function decoded(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(parseInt(hex, 16)))
}
