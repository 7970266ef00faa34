import { randomBytes, randomUUID } from 'node:crypto'
import { ServerResponse } from 'node:http'
import { clearInterval, setInterval } from 'node:timers'
import { apiKey, apiKeys, introspection, memory, secureApi, session } from 'secure-api'
import { redis } from 'secure-api/stores/redis'
import { ask, flood, listen, told } from './support/http.mjs'
import { ms, percentile, until, upTo } from './support/measure.mjs'
import { outages } from './support/redis-outages.mjs'
import { drivers, startProxy, startRedis } from './support/redis-server.mjs'

/** Callers who are known by a record in Redis: how each is made, and what its requests bring along. */
const kinds = {
  'API keys': async (store) => {
    const options = { store, pepper: randomBytes(32) }
    const { key } = await apiKeys(options).create({ owner: 'chaos' })
    // One that only the store can say is none.
    const { key: other } = await apiKeys({ ...options, store: memory() }).create({ owner: 'nobody' })
    return {
      method: apiKey({ ...options, lastUsedMs: 0 }),
      good: { 'X-API-Key': key },
      bad: { 'X-API-Key': other },
    }
  },
  sessions: async (store) => {
    const method = session({ store })
    const res = new ServerResponse({ method: 'POST' })
    await method.login({ headers: {} }, res, { subject: 'chaos', factors: ['pwd'] })
    const [cookie] = [res.getHeader('Set-Cookie')].flat()[0].split(';')
    const unknown = `${cookie.split('=')[0]}=${randomBytes(32).toString('base64url')}`
    return { method, good: { Cookie: cookie }, bad: { Cookie: unknown } }
  },
}

/** Those in which Redis does not answer; where it only takes no writes, callers are known all the same. */
const SILENT = ['killed', 'stopped (SIGSTOP)', 'slow (100 ms each way)', 'refusing the password']

/** How an authorization server fails to say whether a token is good. */
const silences = {
  'status 500': (_req, res) => res.writeHead(500).end('{}'),
  'an HTML page': (_req, res) => res.setHeader('Content-Type', 'text/html').end('<h1>Sign in</h1>'),
  'half of an answer': (_req, res) => res.setHeader('Content-Type', 'application/json').end('{"active":tr'),
  'one byte a second': (_req, res) => drip(res),
  '100 MB': (_req, res) => endless(res),
  never: () => undefined,
}

export const rows = [
  ...Object.keys(kinds).flatMap((kind) =>
    SILENT.map((name) => ({
      name: `${kind}: Redis ${name}`,
      promise: `503 with Retry-After, good or bad, and never 401 or 500; decided within 60 ms, within 1 ms once the circuit is open; ${name === 'killed' ? 'strangers after it came back empty,' : 'known again'} within 1 s`,
      run: () => upTo(5, () => survive(kind, outages[name], name === 'killed' ? 401 : 200)),
    })),
  ),
  ...Object.entries(silences).map(([what, answer]) => ({
    name: `introspection is answered ${what}`,
    promise:
      '503 with Retry-After, and never 401 or 500; whoever was known stays known; others are known again within 1.5 s',
    run: () => upTo(3, () => unanswered(answer)),
  })),
]

async function survive(kind, { password, breakIt, mendIt }, afterwards) {
  const access = password === undefined ? {} : { password }
  const server = await startRedis(...(password === undefined ? [] : ['--requirepass', password]))
  const proxy = await startProxy(server.port)
  const client = await drivers.ioredis(proxy.port, access)
  const { method, good, bad } = await kinds[kind](redis(client))
  const decided = []
  const log = heard()
  const api = secureApi({ auth: [method], audit: false, rateLimit: false, log })
  const enter = api.protect((_req, res) => res.end())
  const http = await listen((req, res) => {
    const at = performance.now()
    res.on('close', () => decided.push(performance.now() - at))
    enter(req, res)
  })
  const of = (headers) => () => ({ headers })
  const before = [await flood(http.port, 50, of(good), 1), await flood(http.port, 20, of(bad), 1)]
  decided.length = 0

  await breakIt({ server, proxy })
  const answer = await ask(http.port, { headers: good })
  const first = await flood(http.port, 20, of(good), 1)
  const longest = Math.max(...decided)
  await until(log.isOpen, 1_000)
  decided.length = 0
  const during = [await flood(http.port, 300, of(good), 1), await flood(http.port, 100, of(bad), 1)]
  const later = percentile(decided, 0.95)

  await mendIt({ server, proxy })
  const mended = performance.now()
  const isBack = await until(
    async () => (await ask(http.port, { headers: good })).status === afterwards,
    5_000,
  )
  const backMs = performance.now() - mended
  const after = [await flood(http.port, 20, of(good), 1), await flood(http.port, 20, of(bad), 1)]
  http.close()
  await api.close()
  client.disconnect()
  await server.kill()

  const kept =
    isOnly(before[0], 200) &&
    isOnly(before[1], 401) &&
    answer.status === 503 &&
    Number(answer.headers['retry-after']) >= 1 &&
    [first, ...during].every((statuses) => isOnly(statuses, 503)) &&
    isOnly(after[0], afterwards) &&
    isOnly(after[1], 401)
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

function drip(res) {
  res.setHeader('Content-Type', 'application/json')
  const timer = setInterval(() => res.write(' '), 1_000)
  res.on('close', () => clearInterval(timer))
}

function endless(res) {
  res.setHeader('Content-Type', 'application/json')
  const chunk = Buffer.alloc(65_536, ' ')
  let left = 1_600
  const more = () => {
    while (left-- > 0) if (!res.write(chunk)) return res.once('drain', more)
    res.end()
  }
  more()
}
