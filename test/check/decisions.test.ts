import fc from 'fast-check'
import { casesOf, isDecided } from '../../src/check/decisions.js'
import { order } from '../../src/order.js'
import { Planner } from '../../src/plan.js'
import { Plans } from '../../src/plans.js'
import { localIssuer } from '../../src/testing/index.js'
import { bearer } from '../../src/identity/bearer.js'

const { issuer, audience } = localIssuer()
const OFF = { requestId: false, audit: false, headers: false, firewall: false, rateLimit: false, body: false }

const plansOf = (routes: Record<string, object>, rbac: object = {}): Plans => {
  const planner = new Planner(order, {
    ...OFF,
    auth: [bearer({ issuer, audience })],
    rbac: { roles: { clerk: ['orders:read'] }, ...rbac },
  })
  const rules = Object.entries(routes).map(([pattern, setting]) => planner.route(pattern, setting))
  const last = { name: 'last' }
  return new Plans(planner, rules, { mode: undefined, trace: false, asyncContext: false, last })
}

const segment = fc.constantFrom('a', 'b', 'c', ':x')
const segments = fc
  .tuple(fc.array(segment, { maxLength: 3 }), fc.constantFrom<string[][]>([], [], ['*']))
  .map(([known, rest]) => [...known, ...rest])
const words = fc.constantFrom<object>({ public: true }, { rbac: 'orders:read' }, { rbac: false }, {})
const method = fc.constantFrom('GET', 'POST', '*')
const rules = fc
  .uniqueArray(fc.tuple(method, segments, words), {
    maxLength: 6,
    selector: ([verb, path]) => `${verb} ${path.map((each) => each.replace(/^:.*/, ':')).join('/')}`,
  })
  .map((each) => Object.fromEntries(each.map(([verb, path, said]) => [`${verb} /${path.join('/')}`, said])))

/** What the route serves, spelled as everybody reads it; rests are not empty. */
const requestOf = (route: readonly string[], parts: readonly string[]): string =>
  `/${route.flatMap((each, i) => (each === '*' ? parts.slice(i) : each.startsWith(':') ? parts[i]! : each)).join('/')}`

test.each([{}, { default: 'authenticated' }])(
  'no request is undecided unless one of the cases is, and each case stands for a request (%j)',
  (rbac) => {
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
          const plans = plansOf(all, rbac)
          const cases = new Map(casesOf(verb, route, plans).map(({ plan }) => [plan, isDecided(plan, [])]))
          const met = samples.map((parts) => {
            const path = requestOf(route, parts)
            return plans.of(verb === '*' ? asked : verb, path, path)
          })
          expect(met.filter((plan) => cases.get(plan) !== isDecided(plan, []))).toEqual([])
          seen[[...cases.values()].every(Boolean) ? 'decided' : 'undecided']++
        },
      ),
      { numRuns: 500 },
    )
    expect(Math.min(seen.decided, seen.undecided)).toBeGreaterThan(25)
  },
)

test('cases are labelled as routes would be, those too that several rules fit', () => {
  const read = { rbac: 'orders:read' }
  const plans = plansOf({ 'GET /a/:id': read, 'POST /a/*': read, '* /a/b/:c': read, 'GET /a/:x/d': read })
  const labels = (verb: string, route: string[]): string[] =>
    casesOf(verb, route, plans)
      .map(({ label }) => label)
      .sort()
  expect(labels('*', ['a', '*'])).toEqual([
    '* /a/*',
    '* /a/b/:c',
    'GET /a/:id',
    'GET /a/:x/d',
    'GET /a/b/d',
    'POST /a/*',
    'POST /a/b/:c',
  ])
  expect(labels('HEAD', ['a', ':name'])).toEqual(['HEAD /a/:name'])
  expect(labels('GET', ['*'])).toEqual(['GET /*', 'GET /a/:id', 'GET /a/:x/d', 'GET /a/b/:c', 'GET /a/b/d'])
  expect(labels('PUT', ['a', 'b', 'c'])).toEqual(['PUT /a/b/c'])
})

test('a case whose requests all fit a narrower rule is none', () => {
  const plans = plansOf({ '* /a/:b/*': {}, 'GET /a': {} })
  expect(casesOf('GET', ['a', '*'], plans).map(({ label }) => label)).toEqual(['GET /a', 'GET /a/:b/*'])
})

test('a guard decides whatever the rules leave open', () => {
  const plans = plansOf({ 'GET /a': { rbac: false } }, { default: 'authenticated' })
  const plan = plans.of('GET', '/a', '/a')
  const guard = (rbac?: string) => ({ by: {}, settings: rbac === undefined ? {} : { rbac } })
  expect(isDecided(plan, [])).toBe(false)
  expect(isDecided(plan, [guard()])).toBe(false)
  expect(isDecided(plan, [guard(), guard('orders:read')])).toBe(true)
})
