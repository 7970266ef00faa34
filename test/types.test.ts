import { Router } from 'express'
import {
  asyncHandler,
  bearer,
  headers,
  ownership,
  policy,
  rateLimit,
  secureApi,
  type AccessFacts,
  type SecureApiOptions,
} from '../src/index.js'

interface Order {
  readonly id: string
  readonly customer: string
  readonly total: number
}

const found = (id: string | undefined): Order | undefined =>
  id === '7' ? { id, customer: 'ann', total: 5 } : undefined
const load = ({ params }: { params: Readonly<Record<string, string>> }) => found(params.id)

/**
 * What the compiler must refuse. Each `@ts-expect-error` fails the type check if the line below it compiles; nothing
 * here has to run.
 */
export const refused: (() => unknown)[] = [
  // @ts-expect-error -- auth is required
  () => secureApi({}),
  // @ts-expect-error -- an unknown protection
  () => secureApi({ auth: false, ratelimit: true }),
  // @ts-expect-error -- auth has no defaults
  () => secureApi({ auth: true }),
  // @ts-expect-error -- a limit is no way to prove who you are
  () => secureApi({ auth: [rateLimit()] }),
  // @ts-expect-error -- nor are options of a stage
  () => secureApi({ auth: [{ issuer: 'https://id.example.com', audience: 'a' }] }),
  // @ts-expect-error -- public is true or absent
  () => secureApi({ auth: false, routes: { 'GET /a': { public: false } } }),
  // @ts-expect-error -- a guard comes too late for this
  () => secureApi({ auth: false }).guard({ public: true }),
  // @ts-expect-error -- a guard only adds
  () => secureApi({ auth: false }).guard({ rbac: false }),
  // @ts-expect-error -- an unknown mode
  () => rateLimit({ limit: 5 }, { mode: 'dry-run' }),
  // @ts-expect-error -- what is loaded has no such property
  () => ownership({ load, owner: 'owner' }),
  // @ts-expect-error -- the function is given what is loaded
  () => ownership({ load, owner: ({ owner }) => owner }),
  // @ts-expect-error -- a number is no owner
  () => ownership({ load, owner: ({ total }) => total }),
  // @ts-expect-error -- it has to answer at once
  () => ownership({ load, owner: ({ customer }) => Promise.resolve(customer) }),
  // @ts-expect-error -- whose is it?
  () => ownership({ load }),
  // @ts-expect-error -- an object, or nothing
  () => ownership({ load: () => 'an order', owner: () => 'ann' }),
  // @ts-expect-error -- truth by accident is no yes
  () => policy({ a: ({ principal }) => principal.claims['region'] }),
  // @ts-expect-error -- nor is nothing
  () => policy({ a: () => undefined }),
  // @ts-expect-error -- the facts are read-only
  () => policy({ a: (facts) => ((facts.resource = {}), true) }),
  // @ts-expect-error -- an unknown option of a stage
  () => headers({ presett: 'html' }),
]

test('what is meant compiles', () => {
  const settings: SecureApiOptions = {
    auth: [bearer({ issuer: 'https://id.example.com', audience: 'orders' })],
    headers: { preset: 'html' },
    rateLimit: [
      { name: 'burst', limit: 10 },
      { name: 'daily', limit: 1_000, windowMs: 86_400_000 },
    ],
    audit: false,
    routes: {
      'GET /health': { public: true },
      'GET /docs': { headers: { replace: { preset: 'html' } }, rateLimit: false },
      'POST /orders': { rbac: 'orders:create', body: { maxBytes: 1_000 } },
      'POST /hook': { body: 'raw', auth: { optional: true } },
    },
    mode: { rateLimit: 'report' },
  }
  expect(() => secureApi(settings)).not.toThrow()
})

test('the type of what is loaded reaches the owner, the policies and the handler', () => {
  const own = ownership({ load, owner: ({ customer }) => [customer.toLowerCase()] })
  const later = ownership({
    load: async ({ params }) => Promise.resolve(found(params.id)),
    owner: 'customer',
  })
  const handler = (...[req]: Parameters<typeof own.resource>): number => own.resource(req).total
  const settings: SecureApiOptions = {
    auth: [bearer({ issuer: 'https://id.example.com', audience: 'orders' })],
    ownership: { onForeign: 'forbidden', owner: 'customer' },
    policy: {
      rules: { a: ({ now }) => now > 0, b: async () => Promise.resolve({ allow: true }) },
      timeoutMs: 5,
    },
    routes: {
      'GET /orders/:id': { ownership: { load } },
      'PATCH /orders/:id': {
        ownership: { load, owner: (order: Order) => order.customer },
        policy: { cheap: ({ resource }: AccessFacts<Order>) => resource.total < 10 },
      },
      'PUT /orders/:id': { ownership: { replace: { load, owner: 'customer' } }, policy: false },
    },
  }
  expect(() => secureApi(settings).guard({ ownership: { load, owner: 'customer' } })).not.toThrow()
  expect([typeof own, typeof later, typeof handler]).toEqual(['function', 'function', 'function'])
})

test('an async handler that is written in place has the types of where it stands', () => {
  const routes = Router()
  routes.get(
    '/orders/:id',
    asyncHandler(async (req, res) => Promise.resolve(void res.json(req.params.id))),
  )
  routes.use(asyncHandler(async (_req, _res, next) => Promise.resolve(next())))
  expect(routes.stack).toHaveLength(2)
})

test('what is no function is no handler', () => {
  expect(() => asyncHandler('x' as never)).toThrow('asyncHandler: the handler must be a function')
})
