import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { ServerResponse } from 'node:http'
import {
  apiKey,
  apiKeys,
  bearer,
  introspection,
  memory,
  revocations,
  secureApi,
  session,
  tokens,
} from 'secure-api'
import { redis } from 'secure-api/stores/redis'
import { localIssuer } from 'secure-api/testing'
import { ask, flood, listen, told } from './support/http.mjs'
import { ms, percentile, until, upTo } from './support/measure.mjs'
import { outages } from './support/redis-outages.mjs'
import { drivers, startProxy, startRedis } from './support/redis-server.mjs'
import { silences } from './support/silences.mjs'

/**
 * Callers who are known by a record in Redis: how each is made, what its requests bring along, how they are answered, and how when Redis
 * has lost all it had. By default, 200 for good ones and 401 for bad ones, and 401 for both after a loss.
 */
const kinds = {
  'API keys': async (store) => {
    const options = { store, pepper: randomBytes(32) }
    const { key } = await apiKeys(options).create({ owner: 'chaos' })
    // One that only the store can say is none.
    const { key: other } = await apiKeys({ ...options, store: memory() }).create({ owner: 'nobody' })
    return {
      method: apiKey({ ...options, lastUsedMs: 0 }),
      good: { headers: { 'X-API-Key': key } },
      bad: { headers: { 'X-API-Key': other } },
    }
  },
  sessions: async (store) => {
    const method = session({ store })
    const res = new ServerResponse({ method: 'POST' })
    await method.login({ headers: {} }, res, { subject: 'chaos', factors: ['pwd'] })
    const [cookie] = [res.getHeader('Set-Cookie')].flat()[0].split(';')
    const unknown = `${cookie.split('=')[0]}=${randomBytes(32).toString('base64url')}`
    return { method, good: { headers: { Cookie: cookie } }, bad: { headers: { Cookie: unknown } } }
  },
  'revoked tokens': async (store) => {
    const issuer = localIssuer()
    const revocation = revocations({ store })
    const trust = { issuer: issuer.issuer, audience: issuer.audience, keys: issuer.jwks.keys }
    await revocation.revokeToken(issuer.issuer, 'revoked', Date.now() / 1000 + 300)
    return {
      method: bearer({ ...trust, revocation }),
      good: { headers: issuer.asUser() },
      bad: { headers: issuer.asUser({ jti: 'revoked' }) },
      // A list that was lost names nobody.
      afterLoss: [200, 200],
    }
  },
  'refresh tokens': async (store) => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    // A client that did not get an answer asks again, and gets the same: so does this one, all the time.
    const graceMs = 60_000
    const issuer = 'https://api.test'
    const own = tokens({ issuer, audience: issuer, store, keys: privateKey, graceMs, storeTimeoutMs: 40 })
    const { refresh_token: token } = await own.issue({ subject: 'chaos' })
    const elsewhere = tokens({ issuer, audience: issuer, store: memory(), keys: privateKey })
    const { refresh_token: other } = await elsewhere.issue({ subject: 'nobody' })
    const sent = (refresh_token) => ({
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ refresh_token }),
    })
    return {
      method: bearer(own.bearerOptions),
      handler: own.refresh,
      good: sent(token),
      bad: sent(other),
      usual: [200, 400],
      afterLoss: [400, 400],
    }
  },
}

/** Those in which Redis does not answer; where it only takes no writes, callers are known all the same. */
const SILENT = ['killed', 'stopped (SIGSTOP)', 'slow (100 ms each way)', 'refusing the password']

/** What becomes of those who are no strangers after a loss. */
const LOST = {
  'revoked tokens': 'answered again after it came back empty, and nobody is revoked,',
  'refresh tokens': 'over (400) after it came back empty,',
}

export const rows = [
  ...Object.keys(kinds).flatMap((kind) =>
    SILENT.map((name) => ({
      name: `${kind}: Redis ${name}`,
      promise: `503 with Retry-After, good or bad, and never 401 or 500; decided within 60 ms, within 1 ms once the circuit is open; ${name === 'killed' ? (LOST[kind] ?? 'strangers after it came back empty,') : 'known again'} within 1 s`,
      run: () => upTo(5, () => survive(kind, outages[name], name === 'killed')),
    })),
  ),
  ...Object.entries(silences).map(([what, answer]) => ({
    name: `introspection is answered ${what}`,
    promise:
      '503 with Retry-After, and never 401 or 500; whoever was known stays known; others are known again within 1.5 s',
    run: () => upTo(3, () => unanswered(answer)),
  })),
]

async function survive(kind, { password, breakIt, mendIt }, loses) {
  const access = password === undefined ? {} : { password }
  const server = await startRedis(...(password === undefined ? [] : ['--requirepass', password]))
  const proxy = await startProxy(server.port)
  const client = await drivers.ioredis(proxy.port, access)
  const {
    method,
    handler = (_req, res) => res.end(),
    good,
    bad,
    usual = [200, 401],
    afterLoss = [401, 401],
  } = await kinds[kind](redis(client))
  const afterwards = loses ? afterLoss : usual
  const decided = []
  const log = heard()
  // Endpoints have circuits of their own, which say so on the console.
  Object.assign(console, { error: log.error, warn: log.warn })
  // What is asked by POST is an endpoint of its own.
  const routes = { 'POST /': { public: true } }
  const api = secureApi({ auth: [method], audit: false, rateLimit: false, log, routes })
  const enter = api.protect(handler)
  const http = await listen((req, res) => {
    const at = performance.now()
    res.on('close', () => decided.push(performance.now() - at))
    enter(req, res)
  })
  const of = (request) => () => request
  const before = [await flood(http.port, 50, of(good), 1), await flood(http.port, 20, of(bad), 1)]
  decided.length = 0

  await breakIt({ server, proxy })
  const answer = await ask(http.port, good)
  const first = await flood(http.port, 20, of(good), 1)
  const longest = Math.max(...decided)
  await until(log.isOpen, 1_000)
  decided.length = 0
  const during = [await flood(http.port, 300, of(good), 1), await flood(http.port, 100, of(bad), 1)]
  const later = percentile(decided, 0.95)

  await mendIt({ server, proxy })
  const mended = performance.now()
  const isBack = await until(async () => (await ask(http.port, good)).status === afterwards[0], 5_000)
  const backMs = performance.now() - mended
  const after = [await flood(http.port, 20, of(good), 1), await flood(http.port, 20, of(bad), 1)]
  http.close()
  await api.close()
  client.disconnect()
  await server.kill()

  const kept =
    before.every((statuses, i) => isOnly(statuses, usual[i])) &&
    answer.status === 503 &&
    Number(answer.headers['retry-after']) >= 1 &&
    [first, ...during].every((statuses) => isOnly(statuses, 503)) &&
    after.every((statuses, i) => isOnly(statuses, afterwards[i]))
  const times = `first ${ms(longest)}, then ${ms(later)} (p95 of 400), back ${isBack ? `in ${ms(backMs)}` : 'never'}`
  const statuses = [...before, first, ...during, ...after].map(told).join('; ')
  return {
    ok: kept && longest <= 60 && later <= 1 && isBack && backMs <= 1_000,
    measured: kept ? times : `${times}; ${statuses}`,
  }
}

async function unanswered(answer) {
  let healthy = true
  const issuer = await listen((req, res) => {
    if (!healthy) return answer(req, res)
    let form = ''
    req.on('data', (chunk) => (form += chunk))
    req.on('end', () => {
      const token = new URLSearchParams(form).get('token')
      const now = Math.floor(Date.now() / 1000)
      const facts = {
        iss: issuer.url,
        aud: 'orders',
        sub: token,
        client_id: 'shop',
        iat: now,
        exp: now + 3_600,
      }
      res.setHeader('Content-Type', 'application/json')
      res.end(JSON.stringify(token.startsWith('good') ? { active: true, ...facts } : { active: false }))
    })
  })
  const method = introspection({
    issuer: issuer.url,
    endpoint: `${issuer.url}/introspect`,
    audience: 'orders',
    clientId: 'api',
    clientSecret: randomUUID(),
    cacheMs: 60_000,
    allowInsecureLoopback: true,
  })
  const api = secureApi({ auth: [method], audit: false, rateLimit: false, log: heard() })
  const http = await listen(api.protect((_req, res) => res.end()))
  const send = (token) => ask(http.port, { headers: { Authorization: `Bearer ${token}` }, limitMs: 10_000 })
  const statusOf = async (token) => (await send(token)).status

  const known = [await statusOf('good-known'), await statusOf('bad-known')]
  healthy = false
  const start = performance.now()
  const unknown = await send('good-new')
  const waited = performance.now() - start
  const others = await Promise.all(Array.from({ length: 50 }, (_, i) => statusOf(`good-${i}`)))
  const still = await statusOf('good-known')
  healthy = true
  const mended = performance.now()
  const isBack = await until(async () => (await statusOf(`good-${randomUUID()}`)) === 200, 10_000)
  const backMs = performance.now() - mended
  const refused = await statusOf('bad-new')
  http.close()
  issuer.close()
  await api.close()

  const statuses = [...known, unknown.status, ...new Set(others), still, refused]
  const kept = statuses.join() === '200,401,503,503,200,401' && Number(unknown.headers['retry-after']) >= 1
  return {
    ok: kept && waited <= 2_500 && isBack && backMs <= 1_500,
    measured: kept
      ? `503 after ${ms(waited)}, back ${isBack ? `in ${ms(backMs)}` : 'never'}`
      : `statuses ${statuses.join(', ')}`,
  }
}

/** A log that only knows whether a store is left alone at the moment. */
function heard() {
  let open = false
  return {
    info: () => undefined,
    error: (message) => void (open ||= message.includes('left alone')),
    warn: (message) => void (open &&= !message.includes('answers again')),
    isOpen: () => open,
  }
}

function isOnly(statuses, status) {
  return Object.keys(statuses).join() === String(status)
}
