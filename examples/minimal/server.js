// ISSUER=https://id.example.com AUDIENCE=https://api.example.com npm start
import { createServer } from 'node:http'
import express from 'express'
import { bearer, secureApi } from 'secure-api'

const { ISSUER, AUDIENCE, PORT = '3000' } = process.env
const api = secureApi({
  auth: [bearer({ issuer: ISSUER, audience: AUDIENCE })],
  routes: { 'GET /health': { public: true } },
})

const app = express()
app.get('/health', (req, res) => res.json({ ok: true }))
app.get('/me', (req, res) => res.json({ subject: req.security.principal.subject }))
app.use(api.errors())

const server = createServer(api.protect(app)).listen(Number(PORT), '127.0.0.1', () =>
  console.log(`listens on http://127.0.0.1:${server.address().port}`),
)
