// The secured API. This is the file to copy.
import express from 'express'
import { apiKey, basic, bearer, secureApi } from 'secure-api'
import { RECENT_FACTOR } from './login.js'
import { orderStore } from './orders.js'
import { pages } from './pages.js'
import { byId, change, newOrder, page, payout } from './schemas.js'

const MINUTE = 60_000
const DAY = 86_400_000

/**
 * @param {object} options
 * @param {string} options.issuer whose tokens are accepted
 * @param {string} options.audience who this API is in them, and where clients reach it
 * @param {ReturnType<import('./login.js').login>} options.people how they log in
 * @param {import('secure-api').ApiKeyOptions} options.keys where keys of partners are, and how they look
 * @param {Promise<string>} options.scraper the hash of the password of who reads the metrics
 * @param {object} options.audit where events go
 * @param {object} [options.log] where operators read; default: the console
 * @param {boolean} [options.trace] keep what each stage decided on `req.security.trace`
 */
export function ordersApi({ issuer, audience, people, keys, scraper, audit, log, trace = false }) {
  const allowInsecureLoopback = issuer.startsWith('http://127.0.0.1')
  const { routes, mount } = pages(issuer)
  const orders = orderStore()
  /** Whoever created an order owns it: a program or a person that the identity provider knows, whichever way it comes. */
  const own = { load: ({ params }) => orders.find(params.id), owner: 'createdBy', issuer }
  const api = secureApi({
    auth: [
      bearer({
        issuer,
        audience,
        // Where clients reach this API: a proof of possession is for one URL, whatever the request says.
        resource: audience,
        dpop: 'allowed',
        allowInsecureLoopback,
      }),
      apiKey(keys),
      basic({ users: (name) => (name === 'scraper' ? scraper : undefined), allowInsecureLoopback }),
      people.sessions,
    ],
    rbac: {
      roles: {
        clerk: ['orders:read', 'orders:create', 'orders:change'],
        manager: { inherits: ['clerk'], permissions: ['orders:cancel', 'orders:read-any', 'customers:read'] },
        admin: { inherits: ['manager'], permissions: ['reports:read'] },
        treasurer: ['payouts:make'],
      },
      permissions: ['cards:read'],
    },
    cors: { origins: ['https://shop.example.com'] },
    rateLimit: { limit: 300, windowMs: MINUTE },
    resourceMetadata: { resourceName: 'Orders' },
    quota: { name: 'daily', limit: 10_000, windowMs: DAY },
    mask: {
      '**.customer.email': { as: 'email', unless: 'customers:read' },
      '**.card': { as: 'last4', unless: 'cards:read' },
    },
    audit,
    log,

    // What is decided before a body is read: who may do what, and how often.
    routes: {
      ...people.routes,
      ...routes,
      'GET /health': { public: true },
      'GET /orders': { rbac: 'orders:read' },
      'POST /orders': { rbac: 'orders:create', rateLimit: { limit: 20, windowMs: MINUTE } },
      'GET /orders/:id': { rbac: 'orders:read', ownership: { ...own, unless: 'orders:read-any' } },
      'PATCH /orders/:id': {
        rbac: 'orders:change',
        ownership: own,
        policy: { 'still-open': ({ resource }) => resource.status === 'open' },
      },
      'POST /orders/:id/cancel': { rbac: 'orders:cancel' },
      'GET /partner/orders': { auth: { methods: ['apiKey'] }, rbac: { scope: 'orders:read' } },
      'GET /metrics': { auth: { methods: ['basic'] }, rbac: 'authenticated' },
      'POST /payouts': { sensitive: true, rbac: 'payouts:make', stepUp: RECENT_FACTOR },
      'GET /admin/cards': { auth: { dpop: 'required' }, rbac: { role: 'admin' } },
      'GET /admin/report': { rbac: { role: 'admin' }, quota: { limit: 3, windowMs: MINUTE } },
    },
    strict: true,
    trace,
  })

  const app = express()

  people.mount(app, api)
  mount(app)

  app.get('/health', (_req, res) => res.json({ status: 'ok' }))

  // Of a list nobody can be asked whose it is: the store is asked for what is the caller's.
  app.get('/orders', api.guard({ validate: { query: page } }), (req, res) =>
    res.json(orders.list({ ...req.query, createdBy: req.security.principal.subject })),
  )

  app.post('/orders', api.guard({ validate: { body: newOrder } }), (req, res) => {
    const order = orders.create(req.body, req.security.principal.subject)
    res.status(201).location(`/orders/${order.id}`).json(order)
  })

  // The order was found when it was asked whose it is.
  app.get('/orders/:id', (req, res) => res.json(req.security.resource))

  app.patch('/orders/:id', api.guard({ validate: { body: change } }), (req, res) =>
    res.json(orders.change(req.security.resource, req.body)),
  )

  app.post('/orders/:id/cancel', api.guard({ validate: { params: byId } }), (req, res) =>
    res.json(orders.cancel(orderOf(req.params))),
  )

  app.get('/partner/orders', api.guard({ validate: { query: page } }), (req, res) =>
    res.json(orders.list(req.query)),
  )

  app.get('/metrics', (_req, res) => res.json(orders.report()))

  app.post('/payouts', api.guard({ validate: { body: payout } }), (req, res) =>
    res.status(201).json({ ...req.body, by: req.security.principal.subject }),
  )

  app.get('/admin/cards', (_req, res) => res.json(orders.list({ limit: 10 })))

  app.get('/admin/report', (_req, res) => res.json(orders.report()))

  app.use((_req, _res, next) => next(notFound()))
  app.use(api.errors())

  function orderOf({ id }) {
    const order = orders.find(id)
    if (order === undefined) throw notFound()
    return order
  }

  return { api, app, handler: api.protect(app) }
}

/** `expose` lets `api.errors()` tell the status; any other error is a bare 500. */
function notFound() {
  return Object.assign(new Error('no such thing'), { status: 404, expose: true })
}
