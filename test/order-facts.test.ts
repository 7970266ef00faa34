import express, { type Request, type Response } from 'express'
import { createServer } from 'node:http'
import request from 'supertest'
import { mask } from '../src/data/mask.js'
import { contextOf } from '../src/kernel/context.js'
import { audit } from '../src/observe/audit.js'
import type { RouteProtections } from '../src/order.js'
import { testApi } from './support/api.js'

const CARD = '4111111111111234'
const IBAN = 'DE89370400440532013000'

test('facts that a handler puts on record are masked like replies', async () => {
  const { api, events } = testApi({ auth: false, mask: { card: 'last4' } })
  const server = createServer(
    api.protect((req, res) => {
      contextOf(req)?.record('payment', { amount: 5, order: { card: CARD } })
      res.end()
    }),
  )
  await request(server).get('/').expect(200)
  const event = JSON.stringify(events.find(({ kind }) => kind === 'payment'))
  expect(event).toContain('1234')
  expect(event).toContain('amount')
  expect(event).not.toContain(CARD)
})

/** What is on record of facts that the handler of a route put there. */
async function recorded(
  { general, route, guarded }: { general?: boolean; route?: RouteProtections; guarded?: boolean },
  facts: Record<string, unknown> = { card: CARD, order: { iban: IBAN }, amount: 5 },
): Promise<unknown> {
  const { api, events } = testApi({
    auth: false,
    ...(general === true && { mask: { '**.card': 'last4' } }),
    ...(route !== undefined && { routes: { 'GET /pay': route } }),
  })
  const app = express()
  app.use(api)
  app.get(
    '/pay',
    guarded === true ? api.guard({ mask: { iban: 'redact' } }) : [],
    (req: Request, res: Response) => {
      req.security!.record('payment', facts)
      res.json({})
    },
  )
  await request(app).get('/pay').expect(200)
  return events.find(({ kind }) => kind === 'payment')
}

test.each<[string, Parameters<typeof recorded>[0], Record<string, unknown>]>([
  ['a route', { route: { mask: { iban: 'redact' } } }, { card: CARD, 'order.iban': '[redacted]' }],
  [
    'a route and all routes',
    { general: true, route: { mask: { iban: 'redact' } } },
    { card: '****1234', 'order.iban': '[redacted]' },
  ],
  [
    'a route in place of that of all routes, which still holds for facts',
    { general: true, route: { mask: { replace: { iban: 'redact' } } } },
    { card: '****1234', 'order.iban': '[redacted]' },
  ],
  [
    'all routes, where a route shows all of its replies',
    { general: true, route: { mask: false } },
    { card: '****1234', 'order.iban': IBAN },
  ],
  ['a guard', { guarded: true }, { card: CARD, 'order.iban': '[redacted]' }],
  [
    'a guard, a route and all routes',
    { general: true, guarded: true, route: { mask: { amount: 'redact' } } },
    { card: '****1234', 'order.iban': '[redacted]', amount: '[redacted]' },
  ],
  [
    'a route that only reports',
    { route: { mask: { iban: 'redact' }, mode: { mask: 'report' } } as RouteProtections },
    { 'order.iban': '[redacted]' },
  ],
])('facts are masked by the map of %s', async (_whose, settings, facts) => {
  expect(await recorded(settings)).toMatchObject({ facts: { amount: 5, ...facts } })
})

test('facts that a map of a route cannot mask are not on record, and that they were is', async () => {
  const style = (): never => {
    throw new Error(IBAN)
  }
  const event = await recorded({ route: { mask: { iban: style } } })
  expect(event).toMatchObject({ kind: 'payment', reason: expect.stringContaining('failed') as string })
  expect(event).not.toHaveProperty('facts')
  expect(JSON.stringify(event)).not.toContain(IBAN)
})

test('facts are masked by the map of a route for everybody, also for who sees more in the reply', async () => {
  const { api, events, as } = testApi({
    rbac: { roles: { support: ['pii:read'] } },
    routes: { 'GET /pay': { mask: { iban: { as: 'redact', unless: 'pii:read' } } } },
  })
  const app = express()
  app.use(api)
  app.get('/pay', (req, res) => {
    req.security!.record('payment', { iban: IBAN })
    res.json({ iban: IBAN })
  })
  const reply = await request(app)
    .get('/pay')
    .set('Authorization', as({ roles: ['support'] }))
  expect(reply.body).toEqual({ iban: IBAN })
  expect(events.find(({ kind }) => kind === 'payment')).toMatchObject({ facts: { iban: '[redacted]' } })
})

test('facts are masked by stages that stand alone', async () => {
  const events: Record<string, unknown>[] = []
  const keep = (event: object): unknown => events.push(event as Record<string, unknown>)
  const app = express()
  app.use(audit({ logger: { info: keep, warn: keep, error: keep } }))
  app.use(mask({ iban: 'redact' }))
  app.get('/pay', (req, res) => {
    req.security!.record('payment', { order: { iban: IBAN } })
    res.json({})
  })
  await request(app).get('/pay').expect(200)
  expect(events[0]).toMatchObject({ kind: 'payment', facts: { 'order.iban': '[redacted]' } })
})
