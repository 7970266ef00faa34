import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import {
  apiKey,
  apiKeys,
  basic,
  bearer,
  defineStage,
  hashPassword,
  memory,
  secureApi,
  session,
} from 'secure-api'
import { localIssuer } from 'secure-api/testing'
import { redis } from 'secure-api/stores/redis'
import { ask, flood, listen, told } from './support/http.mjs'
import { until } from './support/measure.mjs'
import { drivers, startRedis } from './support/redis-server.mjs'

const HOUR = 3_600_000

export const rows = [
  {
    name: '10,000 requests whose clients leave',
    promise: 'no timer, socket or listener is left, and less than 1 KB of memory each',
    run: abortedRequests,
  },
  {
    name: 'the wall clock jumps an hour ahead and two back',
    promise: 'limits go on as they were; tokens are judged by the time it is, cached or not',
    run: clockJumps,
  },
  {
    name: 'the wall clock jumps while Redis is away',
    promise: 'the circuit stays open no longer and no shorter',
    run: clockJumpsInOutage,
  },
  {
    name: 'every function of the application throws, or rejects, under load',
    promise: 'no request hangs or gets past what failed, the process lives, nothing is left unhandled',
    run: throwingHooks,
  },
]

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

/** The system's clock, whose wall can be moved, and which knows the timers that were neither called nor cancelled. */
function movableClock() {
  const timers = new Set()
  let shift = 0
  return {
    timers,
    jump: (by) => void (shift += by),
    now: () => Date.now() + shift,
    monotonic: () => performance.now(),
    after(delay, callback) {
      const end = () => {
        clearTimeout(timer)
        timers.delete(timer)
      }
      const timer = setTimeout(() => {
        end()
        callback()
      }, delay).unref()
      timers.add(timer)
      return end
    },
  }
}

async function abortedRequests() {
  const clock = movableClock()
  const issuer = localIssuer()
  const server = await startRedis()
  const client = await drivers.ioredis(server.port)
  const store = redis(client)
  const pepper = randomBytes(32)
  const { key } = await apiKeys({ store, pepper }).create({ owner: 'chaos' })
  const api = secureApi({
    auth: [
      bearer({ issuer: issuer.issuer, audience: issuer.audience }),
      apiKey({ store, pepper }),
      session({ store }),
      basic({ users: { ann: await hashPassword('correct horse') }, store, allowInsecureLoopback: true }),
    ],
    fetch: issuer.fetch,
    clock,
    log: silent,
    audit: { logger: silent },
    store,
    rateLimit: { limit: 1_000_000 },
    quota: { limit: 1_000_000 },
    mask: { '**.card': 'last4' },
    routes: {
      'POST /orders': {
        validate: { body: { type: 'object', properties: { note: { type: 'string' } } } },
      },
    },
  })
  const http = await listen(
    api.protect((req, res) => {
      if (req.url === '/big') res.write(Buffer.alloc(4_000_000))
      // Nothing else is ever answered.
    }),
  )
  const token = issuer.mint({ exp: Math.floor(Date.now() / 1000) + 3_600 })
  const authorization = `Authorization: Bearer ${token}\r\n`
  const unknown = `Authorization: Bearer ${issuer.mint({}, { header: { kid: 'unknown' } })}\r\n`
  /** What is sent, and whether something has to come back before the client leaves. */
  const kinds = [
    { text: 'GET /wait HTTP/1.1\r\nHost: a\r\nX-Half: ' },
    {
      text: `POST /orders HTTP/1.1\r\nHost: a\r\n${authorization}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"note"`,
    },
    { text: `GET /wait HTTP/1.1\r\nHost: a\r\n${authorization}\r\n` },
    { text: `GET /big HTTP/1.1\r\nHost: a\r\n${authorization}\r\n`, answered: true },
    { text: `GET /wait HTTP/1.1\r\nHost: a\r\n${unknown}\r\n` },
    { text: `GET /wait HTTP/1.1\r\nHost: a\r\nX-API-Key: ${key}\r\n\r\n` },
    {
      text: `GET /wait HTTP/1.1\r\nHost: a\r\nCookie: __Host-session=${randomBytes(32).toString('base64url')}\r\n\r\n`,
    },
    {
      text: `GET /wait HTTP/1.1\r\nHost: a\r\nAuthorization: Basic ${Buffer.from('ann:wrong').toString('base64')}\r\n\r\n`,
    },
    // A second request behind one that is still being served.
    { text: `GET /wait HTTP/1.1\r\nHost: a\r\n${authorization}\r\n`.repeat(2) },
  ]
  const leave = ({ text, answered }, patience) =>
    new Promise((resolve) => {
      const socket = connect(http.port, '127.0.0.1', () => {
        socket.write(text)
        if (!answered) setTimeout(() => socket.destroy(), patience)
      })
      if (answered) socket.once('data', () => socket.destroy())
      socket.once('close', resolve)
      socket.on('error', () => undefined)
    })
  const leaveOften = async (count) => {
    let next = 0
    const visitor = async () => {
      for (let i = next++; i < count; i = next++) await leave(kinds[i % kinds.length], i % 7)
    }
    await Promise.all(Array.from({ length: 60 }, visitor))
  }

  await leaveOften(2_000)
  await settled(clock)
  const before = snapshot(http.server, client)
  await leaveOften(10_000)
  await settled(clock)
  const after = snapshot(http.server, client)
  http.close()
  await api.close()
  client.disconnect()
  await server.kill()
  const bytes = Math.max(after.memory - before.memory, 0) / 10_000
  return {
    ok:
      clock.timers.size === 0 &&
      after.resources === before.resources &&
      after.listeners === before.listeners &&
      bytes < 1_000,
    measured: `timers left: ${clock.timers.size}; resources before and after: ${before.resources}, ${after.resources}; listeners: ${before.listeners}, ${after.listeners}; ${bytes.toFixed(0)} bytes each`,
  }
}

/** Whoever waited for keys waits a second; connections that are gone are noticed by then. */
async function settled(clock) {
  await pause(1_500)
  await until(() => clock.timers.size === 0, 5_000)
}

function snapshot(server, client) {
  globalThis.gc()
  const counts = {}
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
  const listeners = [process, server, client, client.stream]
    .map((emitter) => emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0))
    .join('+')
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  const resources = Object.entries(counts)
    .map(([kind, count]) => `${count} ${kind}`)
    .sort()
    .join(' ')
  return { resources, listeners, memory: heapUsed + arrayBuffers }
}

async function clockJumps() {
  const clock = movableClock()
  const issuer = localIssuer()
  const api = secureApi({
    auth: [bearer({ issuer: issuer.issuer, audience: issuer.audience })],
    fetch: issuer.fetch,
    clock,
    log: silent,
    audit: false,
    store: memory(),
    rateLimit: { limit: 100, windowMs: HOUR },
  })
  const { port, close } = await listen(api.protect((_req, res) => res.end()))
  const withToken = { headers: { authorization: `Bearer ${issuer.mint()}` } }
  const send = (count) => flood(port, count, () => withToken, 1)

  const first = await send(40)
  clock.jump(HOUR)
  const ahead = await send(20)
  clock.jump(-2 * HOUR)
  const back = await send(20)
  clock.jump(HOUR)
  const again = await send(40)
  close()
  await api.close()
  return {
    // 40 + 20 + 20 were counted, the refused ones too: 20 are left.
    ok: first[200] === 40 && ahead[401] === 20 && back[401] === 20 && again[200] === 20 && again[429] === 20,
    measured: `of 100 an hour: ${told(first)}; an hour ahead ${told(ahead)}; an hour behind ${told(back)}; now again ${told(again)}`,
  }
}

async function clockJumpsInOutage() {
  const clock = movableClock()
  const server = await startRedis()
  const client = await drivers.ioredis(server.port)
  let attempts = 0
  let isOpen = false
  const { counters } = redis(client)
  const api = secureApi({
    auth: false,
    audit: false,
    clock,
    log: {
      ...silent,
      error: () => void (isOpen = true),
      warn: () => void (isOpen = false),
    },
    store: {
      counters: {
        hit(...call) {
          attempts++
          return counters.hit(...call)
        },
      },
    },
    rateLimit: { limit: 1_000_000 },
  })
  const { port, close } = await listen(api.protect((_req, res) => res.end()))
  await server.command('CONFIG SET maxmemory 1')
  await until(async () => (await ask(port)) && isOpen, 2_000)
  attempts = 0
  const began = performance.now()
  while (performance.now() - began < 2_000) {
    clock.jump(HOUR)
    await ask(port)
    clock.jump(-2 * HOUR)
    await ask(port)
    clock.jump(HOUR)
  }
  const during = attempts
  await server.command('CONFIG SET maxmemory 0')
  clock.jump(-HOUR)
  const mended = performance.now()
  await until(async () => (await ask(port)) && !isOpen, 5_000)
  const backMs = performance.now() - mended
  close()
  await api.close()
  client.disconnect()
  await server.kill()
  return {
    ok: during >= 2 && during <= 4 && !isOpen && backMs <= 1_000,
    measured: `${during} attempts in 2 s; back in ${backMs.toFixed(0)} ms`,
  }
}

/** What fails, the settings that have it fail, and what each request gets. */
const hooks = {
  'rateLimit.key': [(bad) => ({ rateLimit: { key: bad } }), 500],
  'rateLimit.cost': [(bad) => ({ rateLimit: { cost: bad } }), 500],
  'quota.key': [(bad) => ({ quota: { key: bad } }), 500],
  'store, a limit that is closed without it': [
    (bad) => ({ store: { counters: { hit: bad } }, rateLimit: { whenStoreFails: 'closed' } }),
    503,
  ],
  'store, a limit that counts here': [(bad) => ({ store: { counters: { hit: bad } } }), 200],
  fetch: [(bad) => ({ fetch: bad }), 503],
  log: [(bad) => ({ log: { info: bad, warn: bad, error: bad }, fetch: bad }), 503],
  'audit.logger': [(bad) => ({ audit: { logger: { info: bad, warn: bad, error: bad } } }), 200],
  'audit.redact': [(bad) => ({ audit: { logger: silent, redact: bad } }), 200],
  'mask, a style': [(bad) => ({ mask: { secret: bad } }), 500],
  'a stage that enters': [(bad) => ({ extra: [{ after: 'auth', stage: ownStage({ enter: bad }) }] }), 500],
  'a stage that settles': [(bad) => ({ extra: [{ after: 'auth', stage: ownStage({ settle: bad }) }] }), 200],
}
const ownStage = (how) => defineStage('own', () => how)()

async function throwingHooks() {
  const issuer = localIssuer()
  const wrong = []
  let unhandled = 0
  const count = () => void unhandled++
  process.on('unhandledRejection', count).on('uncaughtException', count)
  const ways = {
    throws: () => {
      throw new Error('a hook threw')
    },
    rejects: () => Promise.reject(new Error('a hook rejected')),
  }
  let requests = 0
  for (const [name, [settings, expected]] of Object.entries(hooks)) {
    for (const [how, bad] of Object.entries(ways)) {
      const api = secureApi({
        auth: [bearer({ issuer: issuer.issuer, audience: issuer.audience })],
        fetch: issuer.fetch,
        audit: false,
        log: silent,
        ...settings(bad),
        rateLimit: { limit: 1_000_000, ...settings(bad).rateLimit },
      })
      const http = await listen(
        api.protect((_req, res) => {
          res.setHeader('Content-Type', 'application/json')
          if (res.json === undefined) res.end('{"secret":"x"}')
          else res.json({ secret: 'x' })
        }),
      )
      // The first tokens wait for keys, which may take too long where the machine is busy with other things.
      await api.ready().catch(() => undefined)
      const headers = { authorization: `Bearer ${issuer.mint()}` }
      const statuses = await flood(http.port, 200, () => ({ headers }))
      requests += 200
      if (statuses[expected] !== 200) wrong.push(`${name} ${how}: ${told(statuses)}`)
      http.close()
      await api.close()
    }
  }
  await pause(100)
  process.off('unhandledRejection', count).off('uncaughtException', count)
  return {
    ok: wrong.length === 0 && unhandled === 0,
    measured: `${Object.keys(hooks).length} functions, ${requests} requests, ${unhandled} left unhandled${wrong.length === 0 ? ', each answered as documented' : `; ${wrong.join('; ')}`}`,
  }
}
