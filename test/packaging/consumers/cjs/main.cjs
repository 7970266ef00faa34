// node main.cjs <framework> <algorithm>
const { bearer, contextOf, secureApi } = require('secure-api')
const { headers } = require('secure-api/transport')
const { localIssuer } = require('secure-api/testing')
const { apps } = require('../apps.cjs')
const { visit } = require('../visit.cjs')

const [, , name, algorithm] = process.argv

async function main() {
  const issuer = localIssuer({ algorithm })
  const api = secureApi({
    auth: [bearer({ issuer: issuer.issuer, audience: issuer.audience })],
    rbac: { roles: { clerk: ['orders:read'] } },
    audit: { logger: { info() {}, warn() {}, error() {} } },
    fetch: issuer.fetch,
    routes: { 'GET /orders': { rbac: 'orders:read' } },
  })
  const app = apps[name](api, require(name), contextOf)
  const secured = headers()

  const answers = await visit((req, res) => secured(req, res, () => app(req, res)), {
    nobody: undefined,
    forger: localIssuer({ algorithm }).mint(),
    stranger: issuer.mint(),
    clerk: issuer.mint({ roles: ['clerk'] }),
  })
  await api.close()
  console.log(JSON.stringify(answers))
}

main()
