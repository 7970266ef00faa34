// Users who log in with a password, have a session, and show a second factor before they pay. This is the file to copy.
import { randomBytes } from 'node:crypto'
import express from 'express'
import { memory, refuse, RefusedError, secureApi, session, totp } from 'secure-api'
import { userStore } from './users.js'

const credentials = {
  type: 'object',
  required: ['name', 'password'],
  properties: { name: { type: 'string', maxLength: 100 }, password: { type: 'string', maxLength: 200 } },
}

/**
 * @param {object} options
 * @param {Record<string, { password: string, roles: string[] }>} options.passwords by the names of users
 * @param {import('secure-api').Store} [options.store] where sessions are; in production redis(client) or postgres(pool)
 * @param {import('node:crypto').BinaryLike} [options.key] seals the secrets of authenticator apps; in production from where your secrets are
 * @param {object} [options.audit] where events go
 * @param {boolean} [options.http] without TLS, on the developer's machine
 */
export async function loginApi({
  passwords,
  store = memory(),
  key = randomBytes(32),
  audit = {},
  http = false,
}) {
  const users = await userStore(passwords)
  const sessions = session({ store, maxSessions: 5, dangerouslyAllowHttp: http })
  const otp = totp({
    store,
    key,
    issuer: 'Orders',
    verified: async ({ factor }, req, res) => {
      await sessions.addFactor(req, res, factor.method)
    },
  })
  const MINUTE = 60_000

  const api = secureApi({
    auth: [sessions],
    rbac: {
      roles: { clerk: ['orders:read'], manager: { inherits: ['clerk'], permissions: ['orders:cancel'] } },
    },
    audit,
    routes: {
      // Whoever is not logged in yet can be made to log in as somebody else: other sites are kept out here, too.
      'POST /login': { public: true, csrf: { always: true }, rateLimit: { limit: 10, windowMs: MINUTE } },
      'POST /logout': { public: true, csrf: { always: true } },
      'GET /me': { rbac: 'authenticated' },
      'GET /sessions': { rbac: 'authenticated' },
      'DELETE /sessions': { rbac: 'authenticated' },
      'POST /orders/:id/cancel': { rbac: 'orders:cancel' },
      // Whoever has just logged in may set up an app; after that, the app itself is asked.
      'POST /mfa/enrol': { rbac: 'authenticated', stepUp: { amr: 'pwd', maxAgeSeconds: 300 } },
      '* /mfa/*': { rbac: 'authenticated', rateLimit: { limit: 20, windowMs: MINUTE } },
      'POST /payouts': { rbac: 'orders:cancel', stepUp: { amr: [['otp', 'recovery']], maxAgeSeconds: 300 } },
    },
    strict: true,
  })

  const app = express()

  app.post('/login', api.guard({ validate: { body: credentials } }), async (req, res) => {
    const user = await users.check(req.body.name, req.body.password)
    if (user === undefined) throw new RefusedError(refuse(wrongPassword))
    await sessions.login(req, res, { subject: user.id, claims: { roles: user.roles }, factors: ['pwd'] })
    res.json({ name: user.name })
  })

  app.post('/logout', async (req, res) => {
    await sessions.logout(req, res)
    res.json({})
  })

  app.get('/me', (req, res) => {
    const { subject, claims, authentication } = req.security.principal
    res.json({ subject, roles: claims.roles, authentication })
  })

  app.get('/sessions', async (req, res) => res.json(await sessions.list(req.security.principal.subject)))

  /** Everywhere but here. */
  app.delete('/sessions', async (req, res) => {
    const { subject, claims } = req.security.principal
    res.json({ ended: await sessions.revokeAll(subject, { except: claims.session_id, req }) })
  })

  app.post('/orders/:id/cancel', (req, res) => res.json({ cancelled: req.params.id }))

  app.get('/mfa/status', otp.handlers.status)
  app.post('/mfa/enrol', otp.handlers.enrol)
  app.post('/mfa/confirm', otp.handlers.confirm)
  app.post('/mfa/verify', otp.handlers.verify)
  app.post('/mfa/remove', otp.handlers.remove)

  app.post('/payouts', (req, res) => res.json({ by: req.security.principal.subject }))

  app.use(api.errors())
  return { api, app, handler: api.protect(app) }
}

const wrongPassword = { code: 'wrong-password', status: 403, title: 'Name and password do not go together.' }
