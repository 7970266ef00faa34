// An API that issues its own tokens: for apps of yours, where there is no identity provider.
// npm start     then, in another terminal:
// curl --json '{"name":"ann","password":"correct horse"}' http://127.0.0.1:3000/login
// curl -H 'Authorization: Bearer <access_token>' http://127.0.0.1:3000/me
// curl --json '{"refresh_token":"<refresh_token>"}' http://127.0.0.1:3000/refresh
import { createServer } from 'node:http'
import express from 'express'
import {
  bearer,
  hashPassword,
  memory,
  refuse,
  RefusedError,
  secureApi,
  tokens,
  verifyPassword,
} from 'secure-api'

// In production: redis(client) or postgres(pool), the https URL of your API, and keyRing: { secret }.
const issuer = process.env.ISSUER ?? 'http://127.0.0.1:3000'
const own = tokens({ issuer, audience: issuer, store: memory() })

// In production: your data base.
const users = new Map([
  ['ann', { id: 'user-1', roles: ['clerk'], hash: await hashPassword('correct horse') }],
  ['mel', { id: 'user-2', roles: ['manager'], hash: await hashPassword('battery staple') }],
])
const wrongPassword = { code: 'wrong-password', status: 403, title: 'Name and password do not go together.' }
const credentials = {
  type: 'object',
  required: ['name', 'password'],
  properties: { name: { type: 'string', maxLength: 100 }, password: { type: 'string', maxLength: 200 } },
}

const api = secureApi({
  auth: [bearer(own.bearerOptions)],
  rbac: { roles: { clerk: ['orders:read'], manager: ['orders:read', 'orders:cancel'] } },
  routes: {
    'POST /login': {
      public: true,
      validate: { body: credentials },
      rateLimit: { limit: 10, windowMs: 60_000 },
    },
    'POST /refresh': { public: true },
    'POST /revoke': { public: true },
    'GET /.well-known/jwks.json': { public: true },
    'GET /.well-known/oauth-authorization-server': { public: true },
    'GET /me': { rbac: 'authenticated' },
    'POST /orders/:id/cancel': { rbac: 'orders:cancel' },
    'POST /logout-everywhere': { rbac: 'authenticated' },
  },
  strict: true,
})

const app = express()
app.post('/login', async (req, res) => {
  const user = users.get(req.body.name)
  if (!(await verifyPassword(req.body.password, user?.hash))) throw new RefusedError(refuse(wrongPassword))
  const login = { subject: user.id, claims: { roles: user.roles }, authentication: { amr: ['pwd'] } }
  res.json(await own.issue(login, req))
})
app.post('/refresh', own.refresh)
app.post('/revoke', own.revoke)
app.get('/.well-known/jwks.json', own.jwks)
// With it, other services need no more than bearer({ issuer, audience }).
app.get('/.well-known/oauth-authorization-server', own.metadata({ revoke: '/revoke' }))

app.get('/me', (req, res) => {
  const { subject, claims, authentication } = req.security.principal
  res.json({ subject, roles: claims.roles, authentication })
})
app.post('/orders/:id/cancel', (req, res) => res.json({ cancelled: req.params.id }))
app.post('/logout-everywhere', async (req, res) => {
  await own.endSubject(req.security.principal.subject, req)
  res.json({})
})
app.use(api.errors())

const server = createServer(api.protect(app)).listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () =>
  console.log(`listens on http://127.0.0.1:${server.address().port}`),
)
