import fc from 'fast-check'
import { LOWER, ODD, spellingOf, UPPER } from '../../src/lib/path-spelling.js'

test('whether all routers read a path alike is what an expression would say', () => {
  const odd = /[^!-~]|[%;#\\]|\/\/|[^/]\/$|\/\.{1,2}(?:\/|$)/
  const units = fc.constantFrom(...Array.from('aZ0-_~/./.%;#\\ \t\u007f\u0080\u00e9\ud83d?:@!'))
  const paths = fc.array(units, { maxLength: 12 }).map((path) => path.join(''))
  fc.assert(
    fc.property(
      fc.oneof(
        paths,
        paths.map((path) => `/${path}`),
      ),
      (path) => {
        const isOdd = !path.startsWith('/') || odd.test(path)
        expect(spellingOf(path)).toBe(isOdd ? ODD : /[A-Z]/.test(path) ? UPPER : LOWER)
      },
    ),
    { numRuns: 5_000 },
  )
})
