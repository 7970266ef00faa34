import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { secureApi } from 'secure-api'
import { redis } from 'secure-api/stores/redis'
import { ask, flood, listen, told } from './support/http.mjs'
import { ms, percentile, until, upTo } from './support/measure.mjs'
import { outages } from './support/redis-outages.mjs'
import { drivers, startProxy, startRedis } from './support/redis-server.mjs'

const HOUR = 3_600_000
const LOCAL_LIMIT = 50

export const rows = [
  ...Object.entries(outages).map(([name, outage]) => ({
    name,
    promise: `no request hangs, none is 500; decided within 50 ms, within 1 ms once the circuit is open; this process limits; Redis counts again within ${(outage.backMs ?? 1_000) / 1_000} s`,
    run: () => both((driver) => upTo(5, () => survive(driver, outage)), outage.by),
  })),
  {
    name: 'restarted under load',
    promise: 'no request hangs, none is 500; Redis counts again within 1 s',
    run: () => both(restart),
  },
  {
    name: 'FLUSHALL and SCRIPT FLUSH under load',
    promise: 'counters begin anew, and nothing else is noticed',
    run: () => both(flushed),
  },
  {
    name: 'two processes hammer one key',
    promise: 'together they admit exactly the limit',
    run: twoProcesses,
  },
  {
    name: 'a row of five limits of three kinds',
    promise: 'one command a request, whatever the number of limits',
    run: () => both(oneRoundTrip),
  },
]

/** Where time is not what is measured, a busy machine must not look like an outage. */
const AMPLE = { storeTimeoutMs: 5_000 }

/** A secured API whose limits are in Redis, behind a proxy, and what it needed for each decision. */
async function setUp(driver, { password, ...limits } = {}) {
  const access = password === undefined ? {} : { password }
  const server = await startRedis(...(password === undefined ? [] : ['--requirepass', password]))
  const proxy = await startProxy(server.port)
  const client = await drivers[driver](proxy.port, access)
  let open = false
  let restored = 0
  const decisions = { first: [], open: [] }
  const log = {
    info: () => undefined,
    error: (message) => void (open ||= message.includes('left alone')),
    warn(message) {
      if (!message.includes('answers again')) return
      open = false
      restored = performance.now()
    },
  }
  const api = secureApi({
    auth: false,
    audit: false,
    log,
    store: redis(client),
    rateLimit: { limit: 1_000_000, windowMs: HOUR },
    routes: {
      'GET /few': { rateLimit: { name: 'few', limit: LOCAL_LIMIT, windowMs: HOUR } },
      'GET /closed': {
        rateLimit: { name: 'closed', limit: 1_000, windowMs: HOUR, whenStoreFails: 'closed' },
      },
    },
    ...limits,
  })
  const arrivals = new WeakMap()
  const protectedApp = api.protect((req, res) => {
    const { open, at } = arrivals.get(req)
    decisions[open ? 'open' : 'first'].push(performance.now() - at)
    res.end()
  })
  const http = await listen((req, res) => {
    arrivals.set(req, { open, at: performance.now() })
    protectedApp(req, res)
  })
  return {
    server,
    proxy,
    api,
    port: http.port,
    decisions,
    isOpen: () => open,
    restoredAt: () => restored,
    async close() {
      http.close()
      await api.close()
      if (driver === 'ioredis') client.disconnect()
      else client.destroy()
      await server.kill()
    },
  }
}

async function survive(driver, { password, breakIt, mendIt, backMs: limitMs = 1_000 }) {
  const world = await setUp(driver, { password })
  const { port, decisions } = world
  const before = await flood(port, 50, undefined, 1)
  decisions.first.length = 0

  await breakIt(world)
  const alone = await flood(port, 20, undefined, 1)
  await until(world.isOpen, 1_000)
  // Decisions one after another: what others wait for in front of them is not their own time.
  const during = sum(alone, await flood(port, 500, undefined, 1))
  const crowd = await flood(port, 500)
  const few = await flood(port, 200, () => ({ path: '/few' }))
  const closed = await flood(port, 20, () => ({ path: '/closed' }))
  const first = Math.max(...decisions.first, 0)
  const later = percentile(decisions.open.slice(0, 500), 0.95)

  await mendIt(world)
  const mended = performance.now()
  const isBack = await until(async () => {
    await ask(port)
    return world.restoredAt() > mended
  }, 5_000)
  const backMs = world.restoredAt() - mended
  const after = await flood(port, 20, undefined, 1)
  await world.close()

  const allServed = [before, during, crowd, after].every((statuses) => Object.keys(statuses).join() === '200')
  const limited = few[200] === LOCAL_LIMIT && few[429] === 200 - LOCAL_LIMIT && closed[503] === 20
  const times = `first ${ms(first)}, then ${ms(later)} (p95 of 500), back ${isBack ? `in ${ms(backMs)}` : 'never'}`
  const statuses = `${told(sum(before, during, crowd, after))}; limit of ${LOCAL_LIMIT}: ${told(few)}; closed: ${told(closed)}`
  return {
    ok: allServed && limited && first <= 50 && later <= 1 && isBack && backMs <= limitMs,
    measured: allServed && limited ? times : `${times}; ${statuses}`,
  }
}

async function restart(driver) {
  const world = await setUp(driver)
  const { port, server } = world
  await flood(port, 50, undefined, 1)
  let running = true
  const statuses = {}
  const load = Array.from({ length: 4 }, async () => {
    while (running) {
      const { status } = await ask(port)
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  })
  await server.kill()
  await until(world.isOpen, 1_000)
  await server.start()
  const started = performance.now()
  const isBack = await until(() => !world.isOpen(), 5_000)
  const backMs = performance.now() - started
  running = false
  await Promise.all(load)
  await world.close()
  return {
    ok: Object.keys(statuses).join() === '200' && isBack && backMs <= 1_000,
    measured: `${told(statuses)}; back in ${ms(backMs)}`,
  }
}

async function flushed(driver) {
  const world = await setUp(driver, AMPLE)
  const { port, server } = world
  const counts = []
  for (const command of ['PING', 'FLUSHALL', 'SCRIPT FLUSH']) {
    await server.command(command)
    counts.push(await flood(port, 80, () => ({ path: '/few' })))
  }
  const outage = world.isOpen() || world.restoredAt() > 0
  await world.close()
  const admitted = counts.map((statuses) => statuses[200] ?? 0)
  return {
    ok: admitted.join() === [LOCAL_LIMIT, LOCAL_LIMIT, 0].join() && !outage,
    measured: `of a limit of ${LOCAL_LIMIT} admitted at first ${admitted[0]}, after FLUSHALL ${admitted[1]}, after SCRIPT FLUSH ${admitted[2]} more; outages noticed: ${outage ? 'some' : 'none'}`,
  }
}

async function twoProcesses() {
  const server = await startRedis()
  const outcomes = []
  for (const algorithm of ['fixed', 'sliding', 'gcra']) {
    const children = Object.keys(drivers).map((driver) =>
      fork(new URL('support/hammer.mjs', import.meta.url), [driver, String(server.port), algorithm]),
    )
    await Promise.all(children.map((child) => once(child, 'message')))
    const done = children.map((child) => once(child, 'message'))
    for (const child of children) child.send('go')
    const counts = (await Promise.all(done)).map(([statuses]) => statuses)
    outcomes.push({ algorithm, counts, total: sum(...counts) })
    for (const child of children) child.disconnect()
  }
  await server.kill()
  return {
    ok: outcomes.every(
      ({ total, counts }) =>
        total[200] === 1_000 && total[429] === 1_000 && counts.every((one) => one[200] > 0),
    ),
    measured: outcomes
      .map(
        ({ algorithm, counts }) =>
          `${algorithm}: ${counts.map((one) => one[200]).join(' + ')} of a limit of 1,000`,
      )
      .join('; '),
  }
}

async function oneRoundTrip(driver) {
  const limit = (algorithm, name) => ({ name, algorithm, limit: 1_000, windowMs: HOUR })
  const world = await setUp(driver, {
    ...AMPLE,
    routes: {},
    rateLimit: [
      limit('fixed', 'a'),
      limit('sliding', 'b'),
      limit('gcra', 'c'),
      limit('fixed', 'd'),
      limit('sliding', 'e'),
    ],
  })
  await ask(world.port)
  const { commands, stop } = await monitor(world.server.port)
  await flood(world.port, 100, undefined, 8)
  await until(() => commands() >= 100, 1_000)
  await pause(50)
  const seen = commands()
  stop()
  await world.close()
  return { ok: seen === 100, measured: `${seen} commands for 100 requests` }
}

/** Counts the commands that clients send; what scripts do inside is not theirs. */
async function monitor(port) {
  let text = ''
  const socket = connect(port, '127.0.0.1')
  socket.on('data', (chunk) => (text += chunk))
  socket.write('MONITOR\r\n')
  await until(() => text.startsWith('+OK'))
  return {
    commands: () =>
      text.split('\r\n').filter((line) => /^\+\d/.test(line) && !line.includes(' lua] ')).length,
    stop: () => socket.destroy(),
  }
}

/** Runs a measurement with either driver, or those that are named, and says what each made of it. */
async function both(measure, names = Object.keys(drivers)) {
  const outcomes = []
  for (const driver of names) outcomes.push({ driver, ...(await measure(driver)) })
  return {
    ok: outcomes.every(({ ok }) => ok),
    measured: outcomes.map(({ driver, measured }) => `${driver}: ${measured}`).join('. '),
  }
}

function sum(...counts) {
  const total = {}
  for (const count of counts)
    for (const [status, times] of Object.entries(count)) total[status] = (total[status] ?? 0) + times
  return total
}
