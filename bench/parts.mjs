// Bundled and run by micro.mjs: CPU time of parts, in microseconds a call. All take turns, so that a busy machine slows all alike.
import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { compileMap } from '../src/data/mask-map.ts'
import { bearer } from '../src/identity/bearer.ts'
import { introspection } from '../src/identity/introspection.ts'
import { SecurityContext } from '../src/kernel/context.ts'
import { compileRoutes } from '../src/kernel/match.ts'
import { parsePattern } from '../src/kernel/route-pattern.ts'
import { MemoryCounters } from '../src/kernel/memory.ts'
import { compileCatalogue } from '../src/kernel/roles.ts'
import { createServices } from '../src/kernel/services.ts'
import { MASK, readOrder } from './world.mjs'

const CLIENTS = 1_000_000
const POLICY = { scope: 'rateLimit', name: 'default', limit: 100, windowMs: 60_000, algorithm: 'fixed' }
const address = (i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`
const hitOn = (counters) => (i, now) => counters.hit([{ policy: POLICY, key: address(i), cost: 1 }], now)

const turns = Number(process.argv[2])
const tokens = await tokenHits()
const measured = [...lookups(), tokens, await opaqueHits(), masking(), limiterHits()].map((one) => ({
  ...one,
  samples: [],
}))
for (let turn = -3; turn < turns; turn++) {
  for (const { calls, call, without, samples } of measured) {
    const cost = micros(calls, call) - (without === undefined ? 0 : micros(calls, without))
    // The first turns are those in which code gets hot.
    if (turn >= 0) samples.push(cost)
  }
}
const rows = [
  ...measured.map(({ part, key, samples }) => ({ part, key, samples })),
  tokens.entry,
  ...limiterMemory(),
]
// A table of a million clients is nothing to wait for.
process.stdout.write(JSON.stringify(rows), () => process.exit())

function micros(calls, call) {
  const before = process.cpuUsage()
  for (let i = 0; i < calls; i++) call(i)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / calls
}

function lookups() {
  return [10, 10_000].map((count) => {
    const match = compileRoutes(
      Array.from({ length: count }, (_, i) => parsePattern(`GET /things-${i}/:id/parts/:part`)),
    )
    // As Node's parser gives them: texts that were put together are slower to look at.
    const paths = Array.from({ length: count }, (_, i) =>
      Buffer.from(`/things-${i}/${i * 7}/parts/p-${i}`).toString('latin1'),
    )
    return {
      part: `policy lookup, ${count} routes`,
      key: 'lookup',
      calls: 100_000,
      call: (i) => match('GET', paths[i % count]),
    }
  })
}

async function tokenHits() {
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
  await stage.ready(services)
  const enter = (i) => {
    if (sent(stage, services, headers[i % entries]) !== undefined) throw new Error('a token was refused')
  }
  globalThis.gc()
  const before = process.memoryUsage().heapUsed
  // Remembered from the second time on.
  for (let i = 0; i < 2 * entries; i++) enter(i)
  globalThis.gc()
  const bytes = (process.memoryUsage().heapUsed - before) / entries
  return {
    part: 'verified-token cache, a hit (whole stage)',
    key: 'tokenHit',
    calls: 20_000,
    call: enter,
    without: (i) => requestWith(headers[i % entries], services),
    entry: { part: 'verified-token cache, an entry', key: 'tokenBytes', samples: [bytes] },
  }
}

async function opaqueHits() {
  const entries = 5_000
  const issuer = 'https://issuer.test'
  const now = Math.floor(Date.now() / 1000)
  const answer = { active: true, iss: issuer, aud: 'orders', client_id: 'shop', token_type: 'Bearer' }
  const { stage } = introspection({
    ...{
      issuer,
      endpoint: `${issuer}/introspect`,
      audience: 'orders',
      clientId: 'api',
      clientSecret: 'secret',
    },
    ...{ cacheEntries: 2 * entries, cacheMs: 3_600_000 },
  })
  const services = createServices({
    fetch: async (_url, { body }) => {
      const sub = new URLSearchParams(body).get('token')
      return globalThis.Response.json({ ...answer, sub, iat: now, exp: now + 3600, scope: 'orders:read' })
    },
  })
  const headers = Array.from({ length: entries }, () => `Bearer ${randomBytes(32).toString('base64url')}`)
  for (const header of headers) {
    if ((await sent(stage, services, header)) !== undefined) throw new Error('a token was refused')
  }
  return {
    part: 'opaque token whose answer is known (whole stage)',
    key: 'tokenHit',
    calls: 20_000,
    call: (i) => {
      if (sent(stage, services, headers[i % entries]) !== undefined) throw new Error('a token is not known')
    },
    without: (i) => requestWith(headers[i % entries], services),
  }
}

/** What the stage says to a request with this header. */
function sent(stage, services, header) {
  return stage.enter(requestWith(header, services))
}

/** A request whose text was just read from the wire. */
function requestWith(header, services) {
  const authorization = Buffer.from(header, 'latin1').toString('latin1')
  const req = { headers: { authorization }, rawHeaders: ['Authorization', authorization] }
  return new SecurityContext(req, {}, services)
}

function masking() {
  const { apply } = compileMap('mask', MASK, {}, compileCatalogue())
  const order = readOrder('o-1')
  return {
    part: `masking ${JSON.stringify(order).length} bytes, 7 fields, over JSON.stringify`,
    key: 'masking',
    calls: 50_000,
    call: () => JSON.stringify(apply(order, [])),
    without: () => JSON.stringify(order),
  }
}

function limiterHits() {
  const hit = hitOn(new MemoryCounters())
  for (let i = 0; i < CLIENTS; i++) hit(i, 1)
  return {
    part: 'limiter, a hit at 1,000,000 clients',
    key: 'limiterHit',
    calls: 100_000,
    call: (i) => hit((i * 7919) % CLIENTS, 2),
    without: (i) => address((i * 7919) % CLIENTS),
  }
}

function limiterMemory() {
  const hit = hitOn(new MemoryCounters())
  globalThis.gc()
  const memory = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
  const before = memory()
  for (let i = 0; i < CLIENTS; i++) hit(i, 1)
  globalThis.gc()
  const bytes = (memory() - before) / CLIENTS

  // Each time around, all have expired since the last one.
  const samples = Array.from({ length: turns }, (_, turn) => longestThousand(hit, 120_000 * (turn + 1)))
  return [
    { part: 'limiter, a client of 1,000,000', key: 'limiterBytes', samples: [bytes] },
    { part: 'limiter, longest 1,000 hits while they expire', key: 'limiterExpiry', samples },
  ]
}

function longestThousand(hit, now) {
  let longest = 0
  for (let i = 0; i < CLIENTS; i += 1_000) {
    const before = process.cpuUsage()
    for (let j = 0; j < 1_000; j++) hit(CLIENTS + i + j, now)
    const { user, system } = process.cpuUsage(before)
    longest = Math.max(longest, (user + system) / 1_000)
  }
  return longest
}
