import fc from 'fast-check'
import { casesOf, isDecided } from '../../src/check/decisions.js'
import { compileRoutes, parsePattern } from '../../src/kernel/match.js'
import type { RouteRule } from '../../src/plan.js'

type Words = Pick<RouteRule, 'isPublic' | 'setting'>

const ruleOf = (pattern: string, words: Words): RouteRule => ({
  ...parsePattern(pattern),
  ...words,
  mode: undefined,
  additions: new Map(),
  replacements: new Map(),
  merges: new Map(),
})

const segment = fc.constantFrom('a', 'b', 'c', ':x')
const segments = fc
  .tuple(fc.array(segment, { maxLength: 3 }), fc.constantFrom<string[][]>([], [], ['*']))
  .map(([known, rest]) => [...known, ...rest])
const words = fc.constantFrom<Words>(
  { isPublic: true, setting: { public: true } },
  { isPublic: false, setting: { rbac: 'orders:read' } },
  { isPublic: false, setting: { rbac: false } },
  { isPublic: false, setting: { rateLimit: {} } },
)
const method = fc.constantFrom('GET', 'POST', '*')
const rules = fc
  .uniqueArray(fc.tuple(method, segments, words), {
    maxLength: 6,
    selector: ([verb, path]) => `${verb} ${path.map((each) => each.replace(/^:.*/, ':')).join('/')}`,
  })
  .map((each) => each.map(([verb, path, said]) => ruleOf(`${verb} /${path.join('/')}`, said)))

/** What the route serves, spelled as everybody reads it; rests are not empty. */
const requestOf = (route: readonly string[], parts: readonly string[]): string =>
  `/${route.flatMap((each, i) => (each === '*' ? parts.slice(i) : each.startsWith(':') ? parts[i]! : each)).join('/')}`

test.each([{}, { rbac: { default: 'authenticated' } }])(
  'no request is undecided unless one of the cases is, and each case stands for a request (%j)',
  (settings) => {
    const seen = { decided: 0, undecided: 0 }
    fc.assert(
      fc.property(
        rules,
        method,
        segments,
        fc.array(fc.array(fc.constantFrom('a', 'b', 'c', 'z'), { minLength: 5, maxLength: 5 }), {
          minLength: 20,
        }),
        fc.constantFrom('GET', 'POST', 'PUT'),
        (all, verb, route, samples, asked) => {
          const match = compileRoutes(all)
          const cases = casesOf(verb, route, all, match)
          const met = new Set(cases.map(({ fit }) => fit.fits[0]))
          const undecided = cases
            .filter(({ fit }) => !isDecided(fit, [], settings))
            .map(({ fit }) => fit.fits[0])
          const missed = samples.filter((parts) => {
            const fit = match(verb === '*' ? asked : verb, requestOf(route, parts))
            return !met.has(fit.fits[0]) || !(isDecided(fit, [], settings) || undecided.includes(fit.fits[0]))
          })
          expect(missed).toEqual([])
          seen[undecided.length === 0 ? 'decided' : 'undecided']++
        },
      ),
      { numRuns: 1_000 },
    )
    expect(Math.min(seen.decided, seen.undecided)).toBeGreaterThan(50)
  },
)

test('cases are labelled as routes would be', () => {
  const read = { isPublic: false, setting: { rbac: 'orders:read' } }
  const all = ['GET /a/:id', 'POST /a/*', '* /a/b/:c', 'GET /a/:x/d'].map((pattern) => ruleOf(pattern, read))
  const match = compileRoutes(all)
  const labels = (verb: string, route: string[]): string[] =>
    casesOf(verb, route, all, match).map(({ label }) => label)
  expect(labels('*', ['a', '*'])).toEqual(['* /a/*', '* /a/b/:c', 'GET /a/:id', 'GET /a/:x/d', 'POST /a/*'])
  expect(labels('HEAD', ['a', ':name'])).toEqual(['HEAD /a/:name'])
  expect(labels('GET', ['*'])).toEqual(['GET /*', 'GET /a/:id', 'GET /a/b/:c', 'GET /a/:x/d'])
  expect(labels('PUT', ['a', 'b', 'c'])).toEqual(['PUT /a/b/c'])
})

test('a guard decides whatever the rules leave open', () => {
  const match = compileRoutes([ruleOf('GET /a', { isPublic: false, setting: { rbac: false } })])
  const fit = match('GET', '/a')
  const guard = (rbac?: string) => ({ by: {}, settings: rbac === undefined ? {} : { rbac } })
  expect(isDecided(fit, [], { rbac: { default: 'authenticated' } })).toBe(false)
  expect(isDecided(fit, [guard()], {})).toBe(false)
  expect(isDecided(fit, [guard(), guard('orders:read')], {})).toBe(true)
})
