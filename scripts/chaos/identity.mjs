import { setTimeout as pause } from 'node:timers/promises'
import { bearer, secureApi } from 'secure-api'
import { ask, flood, listen, told } from './support/http.mjs'
import { ms, percentile, until, upTo } from './support/measure.mjs'
import { AUDIENCE, newKey, startProvider } from './support/provider.mjs'

const MINUTE = 60_000

export const rows = [
  { name: 'provider down, keys known', promise: 'nobody notices for an hour, then 503', run: downWarm },
  {
    name: 'provider down, keys unknown',
    promise: '503 with Retry-After and never 401 or 500; one attempt a second at most; back within 1 s',
    run: () => upTo(3, downCold),
  },
  {
    name: 'provider hangs',
    promise: 'who has a known key does not notice; the others get 503 after a second',
    run: () => upTo(3, hanging),
  },
  {
    name: '1,000 first requests at once',
    promise: 'the keys are fetched once, all are served',
    run: stampede,
  },
  {
    name: '10,000 tokens with unknown key names',
    promise: 'one fetch a second at most, 401 or 503 within a second, no valid token is refused',
    run: () => upTo(3, unknownKids),
  },
  {
    name: 'keys rotate under load',
    promise: 'no valid token is refused; one fetch for each rotation',
    run: rotation,
  },
  ...[
    ['100 MB', (_req, res) => endless(res)],
    ['an HTML page', (_req, res) => res.setHeader('Content-Type', 'text/html').end('<h1>Sign in</h1>')],
    ['a redirect to other keys', (_req, res) => res.writeHead(302, { Location: '/elsewhere' }).end()],
    ['nothing', (_req, res) => res.end()],
    ['half of the keys', (_req, res) => res.end('{"keys":[{"kty":"EC","crv":"P-2')],
    ['status 500', (_req, res) => res.writeHead(500).end('{}')],
  ].map(([what, answer]) => ({
    name: `the key endpoint answers ${what}`,
    promise: 'keys unknown: 503; keys known: nobody notices; at most 40 MB more',
    run: () => oddAnswer(answer),
  })),
  {
    name: 'a private key among the published ones',
    promise: 'counts for nothing, since whoever can read it could mint tokens; the other keys serve',
    run: privateKey,
  },
]

/** An API that trusts the provider, and a clock that can be moved. */
async function setUp() {
  const provider = await startProvider()
  const apis = []
  /** A process that knows no keys yet. */
  const start = async () => {
    let shift = 0
    let fetches = 0
    const api = secureApi({
      auth: [bearer({ issuer: provider.issuer, audience: AUDIENCE, allowInsecureLoopback: true })],
      audit: false,
      rateLimit: false,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      clock: {
        now: Date.now,
        monotonic: () => performance.now() + shift,
        after(delay, callback) {
          const timer = setTimeout(callback, delay).unref()
          return () => clearTimeout(timer)
        },
      },
      fetch(...request) {
        fetches++
        return fetch(...request)
      },
    })
    const { port, close } = await listen(api.protect((_req, res) => res.end()))
    apis.push({ api, close })
    return {
      port,
      fetches: () => fetches,
      later: (by) => void (shift += by),
      send: (token) => ask(port, withToken(token)),
    }
  }
  return {
    provider,
    start,
    async stop() {
      for (const { api, close } of apis) {
        close()
        await api.close()
      }
      await provider.down().catch(() => undefined)
    },
  }
}

async function downWarm() {
  const { provider, start, stop } = await setUp()
  const { port, send, later } = await start()
  await send(await provider.token())
  await provider.down()
  const atOnce = await flood(port, 500, () => withToken(provider.mint()))
  later(59 * MINUTE)
  const lateOn = await flood(port, 500, () => withToken(provider.mint()))
  later(2 * MINUTE)
  const tooLate = await flood(port, 50, () => withToken(provider.mint()))
  await stop()
  return {
    ok: atOnce[200] === 500 && lateOn[200] === 500 && tooLate[503] === 50,
    measured: `at once ${told(atOnce)}; after 59 minutes ${told(lateOn)}; after 61 ${told(tooLate)}`,
  }
}

async function downCold() {
  const { provider, start, stop } = await setUp()
  const { port, send, fetches } = await start()
  const token = await provider.token()
  await provider.down()
  const began = performance.now()
  const during = {}
  let bare = 0
  while (performance.now() - began < 3_000) {
    const { status, headers } = await send(token)
    during[status] = (during[status] ?? 0) + 1
    if (headers['retry-after'] === undefined) bare++
  }
  const attempts = fetches()
  await provider.up()
  const upAt = performance.now()
  const isBack = await until(async () => (await send(token)).status === 200, 5_000)
  const backMs = performance.now() - upAt
  const after = await flood(port, 50, () => withToken(token))
  await stop()
  return {
    ok:
      Object.keys(during).join() === '503' &&
      bare === 0 &&
      attempts <= 4 &&
      isBack &&
      backMs <= 1_100 &&
      after[200] === 50,
    measured: `${told(during)} in 3 s with ${attempts} attempts; back in ${ms(backMs)}`,
  }
}

async function hanging() {
  const { provider, start, stop } = await setUp()
  const warm = await start()
  await warm.send(await provider.token())
  const cold = await start()
  provider.breakKeys(() => undefined)
  warm.later(11 * MINUTE)
  const known = await flood(warm.port, 500, () => withToken(provider.mint()))

  const times = []
  const statuses = {}
  await Promise.all(
    Array.from({ length: 100 }, async () => {
      const began = performance.now()
      const { status } = await cold.send(provider.mint())
      times.push(performance.now() - began)
      statuses[status] = (statuses[status] ?? 0) + 1
    }),
  )
  const slowest = percentile(times, 1)
  await stop()
  return {
    ok: known[200] === 500 && statuses[503] === 100 && slowest <= 1_200,
    measured: `keys known: ${told(known)}; unknown: ${told(statuses)}, the slowest after ${ms(slowest)}`,
  }
}

async function stampede() {
  const { provider, start, stop } = await setUp()
  const { port, fetches } = await start()
  const token = await provider.token()
  const replies = await flood(port, 1_000, () => withToken(token), 1_000)
  await stop()
  return {
    ok: replies[200] === 1_000 && provider.keyFetches() === 1 && fetches() === 2,
    measured: `${told(replies)}; ${fetches()} fetches, of which ${provider.keyFetches()} for keys`,
  }
}

async function unknownKids() {
  const { provider, start, stop } = await setUp()
  const { port, send } = await start()
  await send(await provider.token())
  await pause(1_000)
  const before = provider.keyFetches()
  const forged = Array.from({ length: 10_000 }, (_, i) => withToken(provider.mint({ kid: `unknown-${i}` })))
  let done = false
  const good = {}
  const goodTimes = []
  const watching = (async () => {
    while (!done) {
      const began = performance.now()
      const { status } = await send(provider.mint())
      goodTimes.push(performance.now() - began)
      good[status] = (good[status] ?? 0) + 1
    }
  })()
  const began = performance.now()
  const bad = await flood(port, forged.length, (i) => forged[i], 120)
  const seconds = (performance.now() - began) / 1_000
  done = true
  await watching
  const fetches = provider.keyFetches() - before
  await stop()
  const answered = (bad[401] ?? 0) + (bad[503] ?? 0)
  return {
    ok: answered === 10_000 && Object.keys(good).join() === '200' && fetches <= Math.ceil(seconds) + 1,
    measured: `${told(bad)} in ${seconds.toFixed(1)} s with ${fetches} fetches; valid tokens meanwhile: ${told(good)}, median ${ms(percentile(goodTimes, 0.5))}`,
  }
}

async function rotation() {
  const { provider, start, stop } = await setUp()
  const { send } = await start()
  await send(await provider.token())
  const before = provider.keyFetches()
  let done = false
  const statuses = {}
  const load = Array.from({ length: 16 }, async () => {
    while (!done) {
      const { status } = await send(await provider.token())
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  })
  for (let i = 0; i < 3; i++) {
    await pause(1_200)
    provider.rotate()
  }
  await pause(1_200)
  done = true
  await Promise.all(load)
  const fetches = provider.keyFetches() - before
  await stop()
  return {
    ok: Object.keys(statuses).join() === '200' && fetches === 3,
    measured: `${told(statuses)}; 3 rotations, ${fetches} fetches`,
  }
}

async function oddAnswer(answer) {
  const { provider, start, stop } = await setUp()
  const warm = await start()
  await warm.send(await provider.token())
  const cold = await start()
  globalThis.gc()
  const before = process.memoryUsage().rss
  provider.breakKeys(answer)
  const unknown = await flood(cold.port, 100, () => withToken(provider.mint()), 100)
  warm.later(11 * MINUTE)
  const known = await flood(warm.port, 500, () => withToken(provider.mint()))
  globalThis.gc()
  const more = Math.max(process.memoryUsage().rss - before, 0) / 1e6
  await stop()
  return {
    ok: unknown[503] === 100 && known[200] === 500 && more < 40,
    measured: `keys unknown: ${told(unknown)}; known: ${told(known)}; ${more.toFixed(0)} MB more`,
  }
}

async function privateKey() {
  const { provider, start, stop } = await setUp()
  const leaked = newKey('leaked')
  const published = { ...provider.currentKey(), d: undefined }
  provider.breakKeys((_req, res) => res.end(JSON.stringify({ keys: [leaked, published] })))
  const { send } = await start()
  const good = await send(provider.mint())
  const minted = await send(provider.mint({}, leaked))
  await stop()
  return {
    ok: good.status === 200 && minted.status === 401,
    measured: `token of the published key ${good.status}, of the leaked one ${minted.status}`,
  }
}

/** As much as the other side takes, up to 100 MB. */
function endless(res) {
  const chunk = Buffer.alloc(1_000_000, ' ')
  let left = 100
  const push = () => {
    while (left > 0) {
      left--
      if (!res.write(chunk)) return void res.once('drain', push)
    }
    res.end('{"keys":[]}')
  }
  res.on('error', () => undefined)
  push()
}

function withToken(token) {
  return { headers: { authorization: `Bearer ${token}` } }
}
