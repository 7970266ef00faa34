import { IncomingMessage, ServerResponse } from 'node:http'
import { memory, rateLimit, secureApi } from 'secure-api'
import { flood, listen, told } from './support/http.mjs'
import { longestTurn, median, ms, upTo, workedMs } from './support/measure.mjs'

const MILLION = 1_000_000
const PER_TURN = 50
const WINDOW_MS = 60_000
const policy = { scope: 'rateLimit', name: 'default', limit: 100, windowMs: WINDOW_MS, algorithm: 'fixed' }

const address = (i) => `${10 + (i >>> 24)}.${(i >>> 16) & 255}.${(i >>> 8) & 255}.${i & 255}`

export const rows = [
  {
    name: '1,000,000 distinct addresses',
    promise: 'less than 100 MB more, no turn of the event loop above 20 ms',
    run: () => upTo(3, floodOfAddresses),
  },
  {
    name: '1,000,000 clients, counted',
    promise: 'at most 80 bytes a client; at most 2 us a hit, or 2.5 x Map.get where that is slow too',
    run: () => upTo(3, costOfClients),
  },
  {
    name: '1,000,000 clients expire while others come',
    promise: 'no turn of the event loop above 10 ms',
    run: () => upTo(5, expiry),
  },
  {
    name: 'as many clients as it holds, and 10,000 new ones',
    promise: "nobody's counter is reset, no memory is added, new clients are limited too",
    run: atTheCap,
  },
  {
    name: 'one IPv6 household that changes its address for every request',
    promise: 'counts as one client (/56), its neighbour as another',
    run: ipv6Rotation,
  },
]

/** The stage itself, with real requests of real addresses, only without a network below them. */
async function floodOfAddresses() {
  const limiter = rateLimit({ limit: 100, windowMs: WINDOW_MS })
  const socket = { remoteAddress: '', on: () => undefined }
  let admitted = 0
  const visit = (i) => {
    socket.remoteAddress = address(i)
    const req = new IncomingMessage(socket)
    req.method = 'GET'
    req.url = '/'
    limiter(req, new ServerResponse(req), () => admitted++)
  }
  visit(0)
  const before = memoryInUse()
  const longest = await longestTurn(() => inTurns(MILLION, visit))
  const more = (memoryInUse() - before) / 1e6
  return {
    ok: more < 100 && longest <= 20 && admitted === MILLION + 1,
    measured: `${more.toFixed(1)} MB more, longest turn ${ms(longest)}, ${admitted - 1} admitted`,
  }
}

async function costOfClients() {
  const { counters } = memory()
  const hits = Array.from({ length: MILLION }, (_, i) => [{ policy, key: address(i), cost: 1 }])
  // A walk that visits everybody once, in no order.
  const shuffled = (i) => (i * 611_953) % MILLION
  const before = memoryInUse()
  for (const hit of hits) counters.hit(hit, 0)
  const bytes = (memoryInUse() - before) / MILLION

  const yardstick = new Map(hits.map(([{ key }], i) => [key, i]))
  const rounds = Array.from({ length: 10 }, (_, round) => {
    const share = MILLION / 10
    const time = (work) => {
      const started = workedMs()
      for (let i = 0; i < share; i++) work(hits[shuffled(round * share + i)])
      return ((workedMs() - started) / share) * 1000
    }
    return { hit: time((hit) => counters.hit(hit, 1)), map: time(([{ key }]) => yardstick.get(key)) }
  })
  const us = median(rounds.map(({ hit }) => hit))
  const ratio = median(rounds.map(({ hit, map }) => hit / map))
  return {
    ok: bytes <= 80 && (us <= 2 || ratio <= 2.5),
    measured: `${bytes.toFixed(1)} bytes a client, ${us.toFixed(2)} us a hit, ${ratio.toFixed(1)} x Map.get (medians of 10)`,
  }
}

async function expiry() {
  const { counters } = memory()
  for (let i = 0; i < MILLION; i++) counters.hit([{ policy, key: address(i), cost: 1 }], 0)
  const later = WINDOW_MS + 1
  let wrong = 0
  const longest = await longestTurn(() =>
    inTurns(MILLION, (i) => {
      const [result] = counters.hit([{ policy, key: address(MILLION + i), cost: 1 }], later)
      if (result.overflow || result.left !== 99) wrong++
    }),
  )
  return {
    ok: longest <= 10 && wrong === 0,
    measured: `longest turn of ${PER_TURN} hits ${ms(longest)}; ${wrong} of 1,000,000 new clients miscounted`,
  }
}

async function atTheCap() {
  const { counters } = memory()
  const hit = (key) => counters.hit([{ policy, key, cost: 1 }], 0)[0]
  for (let i = 0; i < MILLION; i++) hit(address(i))
  const before = memoryInUse()
  let refused = 0
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 10_000; i++) if (!hit(`new ${i}`).allowed) refused++
  }
  const more = (memoryInUse() - before) / 1e6
  let reset = 0
  for (let i = 0; i < MILLION; i++) if (hit(address(i)).left !== 98) reset++
  return {
    ok: reset === 0 && more < 1 && refused > 0,
    measured: `${reset} of 1,000,000 reset, ${more.toFixed(2)} MB more, ${refused} of 500,000 requests of new clients refused`,
  }
}

async function ipv6Rotation() {
  const api = secureApi({ auth: false, audit: false, trustProxy: 1, rateLimit: { limit: 50 } })
  const { port, close } = await listen(api.protect((_req, res) => res.end()))
  const from = (prefix) => (i) => {
    const groups = [i >>> 8, i & 255, i * 7, i * 13].map((group) => (group & 0xffff).toString(16))
    return {
      headers: {
        'x-forwarded-for': `${prefix}${(i & 255).toString(16).padStart(2, '0')}:${groups.join(':')}`,
      },
    }
  }
  const household = await flood(port, 10_000, from('2001:db8:1:12'))
  const neighbour = await flood(port, 60, from('2001:db8:1:13'))
  close()
  await api.close()
  return {
    ok: household[200] === 50 && household[429] === 9_950 && neighbour[200] === 50 && neighbour[429] === 10,
    measured: `10,000 addresses, limit 50: ${told(household)}; neighbour: ${told(neighbour)}`,
  }
}

/** Calls `visit` for 0 to `count - 1`, some in each turn of the event loop. */
async function inTurns(count, visit) {
  for (let i = 0; i < count; i++) {
    visit(i)
    if (i % PER_TURN === PER_TURN - 1) await new Promise(setImmediate)
  }
}

function memoryInUse() {
  globalThis.gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
