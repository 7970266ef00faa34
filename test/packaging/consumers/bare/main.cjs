// No express, no supertest, nothing but what `npm install secure-api` brings; audit writes its own lines.
const { createHmac, randomBytes } = require('node:crypto')
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
  console.error(JSON.stringify(answers))
}

function mint(secret) {
  const now = Math.floor(Date.now() / 1000)
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { iss: 'https://id.example.com', aud: 'orders', sub: 'user-1', iat: now, exp: now + 60 }
  const text = `${part({ alg: 'HS256', typ: 'at+jwt' })}.${part({ ...claims, client_id: 'c', jti: 'j' })}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

main(process.argv[2] === 'import' ? (name) => import(name) : async (name) => require(name))
