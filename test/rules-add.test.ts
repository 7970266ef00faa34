import fc from 'fast-check'
import { createServer } from 'node:http'
import request from 'supertest'
import { sendJson, testApi } from './support/api.js'

const roles = {
  clerk: ['orders:read'],
  lead: { inherits: ['clerk'], permissions: ['orders:cancel'] },
  admin: ['*'],
}
const reply = {
  email: 'ada@shop.example',
  card: '4111111111111111',
  note: 'plain',
  owner: { email: 'bob@shop.example' },
}

/** What a general setting, a route or a guard may say without writing that it takes something away. */
const additions = fc.record(
  {
    rbac: fc.constantFrom(
      'orders:read',
      'orders:cancel',
      'authenticated',
      { role: 'lead' },
      { any: ['orders:read', 'orders:cancel'] },
      { scope: 'orders' },
    ),
    rateLimit: fc.record({ limit: fc.integer({ min: 1, max: 3 }) }),
    quota: fc.record({ limit: fc.integer({ min: 1, max: 3 }) }),
    mask: fc.dictionary(
      fc.constantFrom('email', 'card', '**.email', 'owner'),
      fc.constantFrom(
        'redact',
        'last4',
        'email',
        { as: 'redact', unless: 'orders:cancel' },
        { as: 'last4', unless: 'orders:read' },
      ),
      { minKeys: 1, maxKeys: 2 },
    ),
    validate: fc.constantFrom(
      { query: { type: 'object', properties: { a: { type: 'string' } } } },
      {
        query: {
          type: 'object',
          required: ['a'],
          properties: { a: { type: 'string' }, b: { type: 'string' } },
        },
      },
    ),
  },
  { requiredKeys: [] },
)

const narrowing = fc.record(
  {
    auth: fc.record({ maxLifetimeSeconds: fc.integer({ min: 60, max: 600 }) }),
    body: fc.record({ maxBytes: fc.integer({ min: 5, max: 200 }) }),
  },
  { requiredKeys: [] },
)

const general = additions.map(({ rbac, ...rest }) => ({
  ...rest,
  rbac: { roles, ...(rbac !== undefined && { default: rbac }) },
}))

const callers = fc.array(
  fc.record({
    claims: fc.option(
      fc.record({ roles: fc.subarray(['clerk', 'lead', 'admin']), scope: fc.constantFrom('', 'orders') }),
      { nil: undefined },
    ),
    path: fc.constantFrom('/orders', '/orders?a=1', '/orders?b=1', '/ORDERS/', '/orders/?a=1'),
  }),
  { minLength: 1, maxLength: 4 },
)

type Settings = Record<string, unknown>
interface Outcome {
  readonly status: number
  readonly shown: Record<string, unknown>
}

/** Sends the same callers through an API, in the same order. */
async function outcomes(
  settings: Settings,
  route: Settings | undefined,
  guard: Settings | undefined,
  sent: { claims: object | undefined; path: string }[],
) {
  const { api, as } = testApi({
    ...settings,
    ...(route && { routes: { 'GET /orders': route } }),
  })
  const guarded = guard === undefined ? undefined : api.guard(guard)
  const server = createServer(
    api.protect((req, res) => {
      const answer = (): void => sendJson(res, reply)
      if (guarded === undefined) answer()
      else guarded(req, res, answer)
    }),
  )
  const results: Outcome[] = []
  for (const { claims, path } of sent) {
    const call = request(server).get(path)
    const got = await (claims === undefined ? call : call.set('Authorization', as({ ...claims })))
    results.push({
      status: got.status,
      shown: got.status === 200 ? (JSON.parse(got.text) as Record<string, unknown>) : {},
    })
  }
  await api.close()
  return results
}

/** Everything that `a` shows in clear, `b` was allowed to show as well. */
function showsNoMore(a: Outcome, b: Outcome): boolean {
  const leaves = (value: unknown, path = ''): [string, unknown][] =>
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, `${path}.${key}`))
      : [[path, value]]
  const original = new Map(leaves(reply))
  const allowed = new Map(leaves(b.shown))
  return leaves(a.shown).every(([path, value]) => value !== original.get(path) || allowed.get(path) === value)
}

describe('rules add and never silently replace', () => {
  const holds = async (
    settings: Settings,
    route: Settings | undefined,
    guard: Settings | undefined,
    sent: never,
  ) => {
    const before = await outcomes(settings, undefined, undefined, sent)
    const after = await outcomes(settings, route, guard, sent)
    after.forEach((outcome, i) => {
      if (outcome.status !== 200) return
      // Counting differs once something was refused earlier: a request that was not counted cannot exhaust a limit.
      if (before[i]!.status !== 429) expect(before[i]!.status).toBe(200)
      if (before[i]!.status === 200) expect(showsNoMore(outcome, before[i]!)).toBe(true)
    })
  }

  test('a route lets nobody in, and shows nothing, that the general settings would not', async () => {
    await fc.assert(
      fc.asyncProperty(general, additions, narrowing, callers, (settings, route, more, sent) =>
        holds(settings, { ...route, ...more }, undefined, sent as never),
      ),
      { numRuns: 60 },
    )
  })

  test('a guard lets nobody in, and shows nothing, that the general settings and the route would not', async () => {
    await fc.assert(
      fc.asyncProperty(general, additions, additions, callers, (settings, route, guard, sent) =>
        holds({ ...settings, routes: { 'GET /orders': route } }, undefined, guard, sent as never),
      ),
      { numRuns: 60 },
    )
  })

  test('what a route takes away in writing, it takes away from a path that fits letter by letter, and from no other', async () => {
    const loosening = fc.constantFrom<Settings>(
      { public: true },
      { rbac: false },
      { rbac: { replace: 'authenticated' } },
      { mask: false },
      { rateLimit: false },
      { auth: { optional: true } },
      { mode: 'report' },
    )
    const odd = fc.constantFrom(
      '/ORDERS',
      '/orders/',
      '//orders',
      '/%6frders',
      '/orders%2f',
      '/orders;x',
      '/./orders',
    )
    await fc.assert(
      fc.asyncProperty(general, loosening, odd, callers, async (settings, route, path, sent) => {
        const requests = sent.map((one) => ({ ...one, path })) as never
        const before = await outcomes({ ...settings, firewall: false }, undefined, undefined, requests)
        const after = await outcomes({ ...settings, firewall: false }, route, undefined, requests)
        after.forEach((outcome, i) => {
          if (outcome.status === 200) expect(before[i]!.status).toBe(200)
          expect(showsNoMore(outcome, before[i]!)).toBe(true)
        })
      }),
      { numRuns: 60 },
    )
  })

  test('the property can fail: a written exception does let more callers in', async () => {
    const sent = [{ claims: undefined, path: '/orders' }]
    const [before] = await outcomes({ rbac: { roles } }, undefined, undefined, sent)
    const [after] = await outcomes({ rbac: { roles } }, { public: true }, undefined, sent)
    expect([before!.status, after!.status]).toEqual([401, 200])
  })
})
