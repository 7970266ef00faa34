import type { IncomingMessage, ServerResponse } from 'node:http'
import express from 'express'
import {
  bearer,
  contextOf,
  defineStage,
  pipeline,
  rateLimit,
  refuse,
  secureApi,
  slot,
  type Principal,
  type SecureApiOptions,
  type Stage,
} from 'secure-api'
import { rbac } from 'secure-api/access'
import { body } from 'secure-api/data'
import { auth } from 'secure-api/identity'
import { audit, requestId } from 'secure-api/observe'
import { redis } from 'secure-api/stores/redis'
import { fakeClock, localIssuer, serve } from 'secure-api/testing'
import { quota } from 'secure-api/traffic'
import { cors, headers } from 'secure-api/transport'

const options: SecureApiOptions = {
  auth: [bearer({ issuer: 'https://id.example.com', audience: 'orders' })],
  rbac: { roles: { clerk: ['orders:read'] } },
  routes: { 'GET /health': { public: true }, 'GET /orders': { rateLimit: { limit: 5 } } },
}
export const api = secureApi(options)

// As the application's framework sees it, of either major version.
const app = express()
app.use(api)
app.use(headers(), requestId(), cors({ origins: ['https://app.example.com'] }))
app.get('/orders', api.guard({ rbac: 'orders:read' }), (req, res) => {
  const principal: Principal | undefined = req.security?.principal
  const claimed: string | undefined = req.auth?.payload.sub
  res.json({ subject: principal?.subject, claimed, id: contextOf(req)?.id })
})
app.use(api.errors())

// And without one.
export const plain: (req: IncomingMessage, res: ServerResponse) => void = api.protect((_req, res) =>
  res.end(),
)

const visits = slot<{ count: number }>('example.visits')
export const counted = defineStage('counted', ({ max = 1 }: { max?: number } = {}) => ({
  enter(ctx) {
    const { count } = ctx.get(visits) ?? { count: 0 }
    ctx.set(visits, { count: count + 1 })
    return count < max ? undefined : refuse('forbidden', { rule: 'counted' })
  },
}))
export const own = pipeline([
  rateLimit({ limit: 5 }),
  auth([bearer({ issuer: 'https://id.example.com', audience: 'a' })]),
  counted({ max: 2 }),
])
export const stages: Stage[] = [
  counted().stage,
  body().stage,
  quota({ limit: 1 }).stage,
  audit().stage,
  rbac('authenticated').stage,
]
export const testing = [fakeClock(), localIssuer(), serve(counted()), redis] as const

// What must not compile.
// @ts-expect-error -- nobody is asked who they are
secureApi({})
// @ts-expect-error -- there is no such protection
secureApi({ auth: false, rateLimits: {} })
// @ts-expect-error -- a limit is no way to prove who you are
auth([rateLimit()])
// @ts-expect-error -- a guard only adds
api.guard({ rateLimit: false })
// @ts-expect-error -- `true` has no meaning here
secureApi({ auth: true })
