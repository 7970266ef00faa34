// `npm run bench:micro`: the parts whose cost is promised on their own. Bundled with what they are made of, then run.
import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { compileMap } from '../src/data/mask-map.ts'
import { bearer } from '../src/identity/bearer.ts'
import { SecurityContext } from '../src/kernel/context.ts'
import { compileRoutes, parsePattern } from '../src/kernel/match.ts'
import { MemoryCounters } from '../src/kernel/memory.ts'
import { compileCatalogue } from '../src/kernel/roles.ts'
import { createServices } from '../src/kernel/services.ts'
import { MASK, readOrder } from './world.mjs'

const ROUNDS = 15
const rows = [...lookups(), ...(await tokens()), ...masking(), ...limiter()]
for (const [part, target, measured] of rows) console.log(`| ${part} | ${target} | ${measured} |`)
// A table of a million clients is nothing to wait for.
process.exit()

/** CPU time per call in microseconds: the lowest of several rounds, because whatever else the machine does only adds. */
function micros(calls, call) {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const before = process.cpuUsage()
    for (let i = 0; i < calls; i++) call(i)
    const { user, system } = process.cpuUsage(before)
    return (user + system) / calls
  })
  return Math.min(...rounds)
}

function lookups() {
  return [10, 10_000].map((count) => {
    const match = compileRoutes(
      Array.from({ length: count }, (_, i) => parsePattern(`GET /things-${i}/:id/parts/:part`)),
    )
    const paths = Array.from({ length: count }, (_, i) => `/things-${i}/${i * 7}/parts/p-${i}`)
    const cost = micros(100_000, (i) => match('GET', paths[i % count]))
    return [`policy lookup, ${count} routes`, '<= 0.5 us', `${cost.toFixed(2)} us`]
  })
}

async function tokens() {
  const entries = 5_000
  const secret = randomBytes(32)
  const now = Math.floor(Date.now() / 1000)
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const headers = Array.from({ length: entries }, (_, i) => {
    const claims = {
      iss: 'https://issuer.test',
      aud: 'orders',
      sub: `user-${i}`,
      client_id: 'shop',
      jti: randomUUID(),
    }
    const text = `${encode({ alg: 'HS256', typ: 'at+jwt' })}.${encode({ ...claims, iat: now, exp: now + 3600, scope: 'orders:read' })}`
    return `Bearer ${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
  })
  const { stage } = bearer({
    issuer: 'https://issuer.test',
    audience: 'orders',
    secret,
    cacheEntries: 2 * entries,
  })
  const services = createServices({})
  const enter = (i) => {
    const authorization = Buffer.from(headers[i % entries], 'latin1').toString('latin1')
    const req = { headers: { authorization }, rawHeaders: ['Authorization', authorization] }
    const verdict = stage.enter(new SecurityContext(req, {}, services))
    if (verdict !== undefined) throw new Error('a token was refused')
  }
  globalThis.gc()
  const before = process.memoryUsage().heapUsed
  // Remembered from the second time on.
  for (let i = 0; i < 2 * entries; i++) enter(i)
  globalThis.gc()
  const bytes = (process.memoryUsage().heapUsed - before) / entries
  return [
    ['verified-token cache, an entry', '<= 1 KB', `${Math.round(bytes)} bytes`],
    ['verified-token cache, a hit (whole stage)', '<= 2 us', `${micros(20_000, enter).toFixed(2)} us`],
  ]
}

function masking() {
  const { apply } = compileMap('mask', MASK, {}, compileCatalogue())
  const order = readOrder('o-1')
  const plain = micros(50_000, () => JSON.stringify(order))
  const masked = micros(50_000, () => JSON.stringify(apply(order, [])))
  const text = `${(masked - plain).toFixed(2)} us over ${plain.toFixed(2)} us`
  return [[`masking ${JSON.stringify(order).length} bytes, 7 fields`, '<= 0.5 us over JSON.stringify', text]]
}

function limiter() {
  const clients = 1_000_000
  const policy = { scope: 'rateLimit', name: 'default', limit: 100, windowMs: 60_000, algorithm: 'fixed' }
  const counters = new MemoryCounters()
  const key = (i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`
  const hit = (i, now) => counters.hit([{ policy, key: key(i), cost: 1 }], now)
  globalThis.gc()
  const memory = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
  const before = memory()
  for (let i = 0; i < clients; i++) hit(i, 1)
  globalThis.gc()
  const bytes = (memory() - before) / clients
  const keys = micros(100_000, (i) => key((i * 7919) % clients))
  const cost = micros(100_000, (i) => hit((i * 7919) % clients, 2)) - keys

  const turn = 1_000
  let longest = 0
  for (let i = 0; i < clients; i += turn) {
    const started = process.cpuUsage()
    for (let j = 0; j < turn; j++) hit(clients + i + j, 120_000)
    const { user, system } = process.cpuUsage(started)
    longest = Math.max(longest, (user + system) / 1000)
  }
  return [
    ['limiter, a client of 1,000,000', '<= 80 bytes', `${Math.round(bytes)} bytes`],
    ['limiter, a hit at 1,000,000', '<= 2 us', `${cost.toFixed(2)} us`],
    ['limiter, longest 1,000 hits while they expire', '<= 10 ms', `${longest.toFixed(1)} ms`],
  ]
}
