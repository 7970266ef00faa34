// ISSUER=https://id.example.com CLIENT_ID=... CLIENT_SECRET=... ORIGIN=https://shop.example.com npm start
// At the provider: redirect URI $ORIGIN/callback, after logout $ORIGIN/bye, back-channel logout $ORIGIN/logged-out.
import { createServer } from 'node:http'
import express from 'express'
import { memory, revocations, secureApi, session, sso } from 'secure-api'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PORT = '3000' } = process.env
const { ORIGIN = `http://127.0.0.1:${PORT}` } = process.env
const isLocal = ORIGIN.startsWith('http://127.0.0.1')

const store = memory() // redis(client) or postgres(pool) where there are several processes
const revocation = revocations({ store })
const sessions = session({ store, revocation, dangerouslyAllowHttp: isLocal })
const login = sso({
  issuer: ISSUER,
  clientId: CLIENT_ID,
  clientSecret: CLIENT_SECRET,
  redirectUri: `${ORIGIN}/callback`,
  postLogoutRedirectUri: `${ORIGIN}/bye`,
  sessions,
  store,
  revocation,
  allowInsecureLoopback: isLocal,
})

const open = { public: true }
const api = secureApi({
  auth: [sessions],
  routes: {
    'GET /login': open,
    'GET /callback': open,
    'GET /bye': open,
    'POST /logout': { public: true, csrf: { always: true } },
    'POST /logged-out': open,
    'GET /me': { rbac: 'authenticated' },
  },
})

const app = express()
app.get('/login', login.handlers.login)
app.get('/callback', login.handlers.callback)
app.post('/logout', login.handlers.logout)
app.post('/logged-out', login.handlers.backChannelLogout)
app.get('/bye', (_req, res) => res.json({ bye: true }))
app.get('/me', (req, res) => {
  const { issuer, subject } = req.security.principal
  res.json({ issuer, subject })
})
app.use(api.errors())

createServer(api.protect(app)).listen(Number(PORT), '127.0.0.1', () =>
  console.log(`listens, for ${ORIGIN}/login`),
)
