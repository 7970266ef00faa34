// One contestant, in a process of its own: serves, and tells its CPU time when asked.
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import express from 'express'
import jwt from 'jsonwebtoken'
import { bearer, secureApi } from '../dist/index.js'

const ISSUER = 'https://issuer.test'
const AUDIENCE = 'https://api.test'
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

const order = {
  id: 'o-1',
  customer: { name: 'Ada', email: 'ada@shop.example' },
  card: { number: '4111111111111234' },
  lines: Array.from({ length: 8 }, (_, i) => ({
    item: `item-${i}`,
    count: i,
    note: 'plain text, as it comes',
  })),
}

const api = () =>
  secureApi({
    auth: [bearer({ issuer: ISSUER, audience: AUDIENCE, keys: [publicKey] })],
    audit: { file: process.env.BENCH_AUDIT },
    rateLimit: { limit: 1e9 },
    rbac: { roles: { clerk: ['orders:read'] } },
    mask: { 'customer.email': 'email', 'card.number': 'last4' },
    routes: { 'GET /orders/:id': { rbac: 'orders:read' } },
  })

function app(...middleware) {
  const made = express()
  for (const each of middleware) made.use(each)
  made.get('/orders/:id', (_req, res) => res.json(order))
  return made
}

const contestants = {
  'bare Express': () => app(),
  'secureApi, app.use': () => app(api()),
  'secureApi, front door': () => api().protect(app()),
}

const server = createServer(contestants[process.argv[2]]())
server.listen(0, '127.0.0.1', () => {
  const token = jwt.sign({ roles: ['clerk'], client_id: 'bench' }, privateKey, {
    algorithm: 'RS256',
    issuer: ISSUER,
    audience: AUDIENCE,
    subject: 'user-1',
    jwtid: '1',
    expiresIn: '10m',
    header: { typ: 'at+jwt' },
  })
  process.send({ port: server.address().port, token })
})
process.on('message', () => process.send(process.cpuUsage()))
