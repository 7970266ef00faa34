import fc from 'fast-check'
import { endOfLower, LOWER, ODD, spellingOf, UPPER } from '../../src/lib/path-spelling.js'

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
        const spelling = isOdd ? ODD : /[A-Z]/.test(path) ? UPPER : LOWER
        expect(spellingOf(path)).toBe(spelling)
        if (path.startsWith('/') && path !== '/') expect(isLowerInSteps(path)).toBe(spelling === LOWER)
      },
    ),
    { numRuns: 5_000 },
  )
})

/** Segment by segment. */
function isLowerInSteps(path: string): boolean {
  let end = 0
  while (end !== -1 && end < path.length) end = endOfLower(path, end + 1)
  return end === path.length
}
