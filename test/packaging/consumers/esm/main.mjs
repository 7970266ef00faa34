import express from 'express'
import { bearer, secureApi } from 'secure-api'
import { headers } from 'secure-api/transport'
import { localIssuer } from 'secure-api/testing'
import { visit } from '../visit.cjs'

const issuer = localIssuer({ algorithm: process.argv[2] })
const api = secureApi({
  auth: [bearer({ issuer: issuer.issuer, audience: issuer.audience })],
  rbac: { roles: { clerk: ['orders:read'] } },
  audit: { logger: { info() {}, warn() {}, error() {} } },
  fetch: issuer.fetch,
})
const app = express()
app.use(headers())
app.use(api)
app.get('/orders', api.guard({ rbac: 'orders:read' }), (req, res) => {
  res.json({ subject: req.security.principal.subject })
})
app.use(api.errors())

const answers = await visit(app, {
  nobody: undefined,
  forger: localIssuer({ algorithm: process.argv[2] }).mint(),
  stranger: issuer.mint(),
  clerk: issuer.mint({ roles: ['clerk'] }),
})
await api.close()
console.log(JSON.stringify(answers))
