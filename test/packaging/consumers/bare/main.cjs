// No express, no supertest, nothing but what `npm install secure-api` brings; audit writes its own lines.
const { randomBytes } = require('node:crypto')
const { mint } = require('../mint.cjs')
const { visit } = require('../visit.cjs')

async function main(load) {
  const { bearer, contextOf, secureApi } = await load('secure-api')
  const secret = randomBytes(32).toString('base64url')
  const api = secureApi({
    auth: [bearer({ issuer: 'https://id.example.com', audience: 'orders', secret })],
  })
  const { redis } = await load('secure-api/stores/redis')
  const handler = api.protect((req, res) => {
    res.setHeader('Content-Type', 'application/json')
    res.end(JSON.stringify({ subject: contextOf(req).principal.subject }))
  })
  const answers = await visit(handler, { nobody: undefined, somebody: mint(secret) })
  await api.close()
  for (const peer of ['express', 'supertest', 'ioredis', 'redis', 'zod']) {
    await load(peer).then(
      () => (answers[peer] = 'is there'),
      () => undefined,
    )
  }
  answers.redis = typeof redis
  const { localIssuer, serve } = await load('secure-api/testing')
  answers.minted = localIssuer().mint().split('.').length
  try {
    serve(() => undefined)
  } catch (error) {
    answers.serve = error.message
  }
  const { memory, session, sso, totp, webauthn } = await load('secure-api')
  const shared = { store: memory(), key: secret }
  const client = { issuer: 'https://id.example.com', clientId: 'shop', clientSecret: secret }
  const optional = {
    sso: () =>
      sso({
        ...client,
        redirectUri: 'https://shop.example.com/callback',
        sessions: session({ store: shared.store }),
        store: shared.store,
      }),
    totp: () => totp({ ...shared, issuer: 'Acme' }),
    webauthn: () =>
      webauthn({ ...shared, rpId: 'example.com', rpName: 'Acme', origins: ['https://example.com'] }),
  }
  for (const [name, build] of Object.entries(optional)) {
    try {
      build()
    } catch (error) {
      answers[name] = `${error.name}: ${error.message}`
    }
  }
  console.error(JSON.stringify(answers))
}

main(process.argv[2] === 'import' ? (name) => import(name) : async (name) => require(name))
