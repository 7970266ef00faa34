// node main.mjs <framework> <algorithm>
import { bearer, contextOf, secureApi } from 'secure-api'
import { headers } from 'secure-api/transport'
import { localIssuer } from 'secure-api/testing'
import { apps } from '../apps.cjs'
import { visit } from '../visit.cjs'

const [, , name, algorithm] = process.argv
const framework = await import(name)

const issuer = localIssuer({ algorithm })
const api = secureApi({
  auth: [bearer({ issuer: issuer.issuer, audience: issuer.audience })],
  rbac: { roles: { clerk: ['orders:read'] } },
  audit: { logger: { info() {}, warn() {}, error() {} } },
  fetch: issuer.fetch,
  routes: { 'GET /orders': { rbac: 'orders:read' } },
})
const app = apps[name](api, framework.default, contextOf)
const secured = headers()

const answers = await visit((req, res) => secured(req, res, () => app(req, res)), {
  nobody: undefined,
  forger: localIssuer({ algorithm }).mint(),
  stranger: issuer.mint(),
  clerk: issuer.mint({ roles: ['clerk'] }),
})
await api.close()
console.log(JSON.stringify(answers))
