import { Router } from 'express'
import { asyncHandler, bearer, headers, rateLimit, secureApi, type SecureApiOptions } from '../src/index.js'

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
