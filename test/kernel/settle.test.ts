import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import request from 'supertest'
import { contextOf } from '../../src/kernel/context.js'
import { defineStage } from '../../src/kernel/define.js'
import type { Clock } from '../../src/kernel/ports.js'
import { secureApi, type SecureApiOptions } from '../../src/secure-api.js'
import { serve } from '../../src/testing/index.js'
import { silent } from '../support/api.js'
import { expressVersions } from '../support/express.js'
import { listen } from '../support/raw.js'

const [, express] = expressVersions[1]!

/** A clock that stands still and knows how many timers are set. */
function countingClock(): Clock & { pending: number } {
  const clock = {
    pending: 0,
    now: () => 0,
    monotonic: () => 0,
    after() {
      clock.pending++
      let set = true
      return () => {
        if (set) clock.pending--
        set = false
      }
    },
  }
  return clock
}

/** An API that keeps its `request` events, and counts its timers. */
function recorded(options: Partial<SecureApiOptions> = {}) {
  const clock = countingClock()
  const events: Record<string, unknown>[] = []
  const keep = (event: object) => void events.push({ ...event })
  const api = secureApi({
    auth: false,
    rateLimit: false,
    log: silent,
    clock,
    audit: { logger: { info: keep, warn: keep, error: keep } },
    ...options,
  })
  const requests = () =>
    events
      .filter(({ kind }) => kind === 'request')
      .map(({ method, outcome }) => `${String(method)} ${String(outcome)}`)
  return { api, clock, requests }
}

/** A client that writes raw bytes; `gone` when the server has seen that it left. */
async function client(listener: RequestListener, bytes: string) {
  const server = createServer(listener)
  await listen(server)
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => undefined)
  const [served] = await accepted
  const gone = new Promise((resolve) => served.once('close', () => setImmediate(resolve)))
  socket.write(bytes)
  return {
    socket,
    leave: async () => {
      socket.destroy()
      await gone
      server.close()
    },
  }
}

const message = (method: string, path: string) =>
  `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`

test('requests that wait behind another one are put on record once each when the connection ends', async () => {
  const { api, clock, requests } = recorded()
  const app = express()
  app.use(api as never)
  let payments = 0
  const paid = new Promise<void>((resolve) => {
    app.get('/slow', () => undefined)
    app.post('/pay', (_req, res) => {
      if (++payments === 3) resolve()
      res.json({})
    })
  })
  const { leave } = await client(app as never, message('GET', '/slow') + message('POST', '/pay').repeat(3))
  await paid
  expect(clock.pending).toBe(4)
  await leave()

  expect(requests().sort()).toEqual(['GET aborted', 'POST aborted', 'POST aborted', 'POST aborted'])
  expect(clock.pending).toBe(0)
})

test('requests that were answered in their turn are on record once each, and the end of the connection adds nothing', async () => {
  const { api, clock, requests } = recorded()
  let first: ServerResponse | undefined
  let served: Socket | undefined
  let asked = 0
  const door = api.protect((req, res) => {
    served = req.socket
    // Node would warn of a leak.
    expect(served.listenerCount('close')).toBeLessThanOrEqual(served.getMaxListeners())
    asked++
    if (first === undefined) return void (first = res)
    res.setHeader('Content-Type', 'text/plain').end('done')
    if (asked === 20) first.setHeader('Content-Type', 'text/plain').end('first')
  })
  const { socket, leave } = await client(door, message('GET', '/').repeat(20))
  let received = ''
  await new Promise<void>((resolve) =>
    socket.on('data', (chunk) => {
      received += chunk.toString()
      if (received.split('done').length === 20) resolve()
    }),
  )
  await new Promise((resolve) => setImmediate(resolve))
  const listeners = served!.listenerCount('close')
  expect(listeners).toBeLessThan(10)
  await leave()
  expect(received.indexOf('first')).toBeLessThan(received.indexOf('done'))
  expect(requests()).toEqual(Array.from({ length: 20 }, () => 'GET answered'))
  expect(clock.pending).toBe(0)
})

test.each([
  ['alone', ''],
  ['behind another one', message('GET', '/slow')],
])(
  'a request whose caller has left before the API met it runs nothing and leaves nothing: %s',
  async (_case, before) => {
    const { api, clock, requests } = recorded()
    const app = express()
    const arrived = new Promise<() => void>((resolve) => {
      app.get('/slow', () => undefined)
      app.use((_req, _res, next) => resolve(() => next()))
    })
    let ran = 0
    app.use(api as never)
    app.post('/pay', (_req, res) => {
      ran++
      res.json({})
    })
    const { leave } = await client(app as never, before + message('POST', '/pay'))
    const goOn = await arrived
    await leave()
    goOn()
    expect({ ran, requests: requests(), timers: clock.pending }).toEqual({ ran: 0, requests: [], timers: 0 })
  },
)

test('a request behind another one, whose caller leaves while a stage waits, runs no further and is on record once', async () => {
  let goOn: () => void = () => undefined
  const answer = new Promise<void>((resolve) => (goOn = resolve))
  let entered: () => void = () => undefined
  const hasEntered = new Promise<void>((resolve) => (entered = resolve))
  const slow = defineStage('slow', () => ({
    enter: ({ req }) => (req.method === 'POST' ? (entered(), answer) : undefined),
  }))
  const { api, clock, requests } = recorded({ extra: [{ after: 'auth', stage: slow() }] })
  const ran: string[] = []
  const { leave } = await client(
    api.protect((req) => void ran.push(req.method!)),
    message('GET', '/slow') + message('POST', '/pay'),
  )
  await hasEntered
  await leave()
  goOn()
  await answer
  await new Promise((resolve) => setImmediate(resolve))
  expect(ran).toEqual(['GET'])
  expect(requests().sort()).toEqual(['GET aborted', 'POST aborted'])
  expect(clock.pending).toBe(0)
})

test('a request whose turn comes, and whose caller then leaves, settles once', async () => {
  let settled = 0
  const counting = defineStage('counting', () => ({ settle: () => (settled++, undefined) }))
  const { api } = recorded({ audit: false, extra: [{ after: 'auth', stage: counting() }] })
  let second: () => void = () => undefined
  const waiting = new Promise<void>((resolve) => (second = resolve))
  const { socket, leave } = await client(
    api.protect((req, res) => {
      if (req.method === 'POST') return second()
      void waiting.then(() => res.setHeader('Content-Type', 'text/plain').end('first'))
    }),
    message('GET', '/') + message('POST', '/'),
  )
  await once(socket, 'data')
  expect(settled).toBe(1)
  await leave()
  expect(settled).toBe(2)
})

test('an exchange that somebody in front has finished is not begun', async () => {
  const { api, requests } = recorded()
  const app = express()
  let goOn: () => void = () => undefined
  app.use((_req, res, next) => {
    res.once('close', () => (goOn = next as () => void))
    res.send('done')
  })
  let ran = 0
  app.use(api as never, () => (ran++, undefined))
  const { socket, leave } = await client(app as never, message('GET', '/'))
  await once(socket, 'data')
  goOn()
  expect({ ran, requests: requests() }).toEqual({ ran: 0, requests: [] })
  await leave()
})

test.each([
  ['before the handler answers', () => undefined],
  [
    'while it answers',
    (res: ServerResponse) => void res.writeHead(200, { 'Content-Type': 'text/plain' }).write('x'),
  ],
])('a caller who leaves %s is on record once, as aborted', async (_when, begin) => {
  const { api, clock, requests } = recorded()
  let handled: () => void = () => undefined
  const isHandled = new Promise<void>((resolve) => (handled = resolve))
  const { leave } = await client(
    api.protect((_req, res) => {
      begin(res)
      handled()
    }),
    message('POST', '/'),
  )
  await isHandled
  await leave()
  expect(requests()).toEqual(['POST aborted'])
  expect(clock.pending).toBe(0)
})

describe('an exchange that enters twice leaves no timer behind, and is on record once by each', () => {
  test('two instances in a row', async () => {
    const one = recorded()
    const other = recorded()
    const app = express()
    app.use(one.api as never, other.api as never)
    let pending: number[] = []
    app.get('/x', (_req, res) => {
      pending = [one.clock.pending, other.clock.pending]
      res.json({})
    })
    await request(app).get('/x').expect(200)
    await new Promise((resolve) => setImmediate(resolve))
    expect(pending).toEqual([0, 1])
    expect([one.clock.pending, other.clock.pending]).toEqual([0, 0])
    expect([one.requests(), other.requests()]).toEqual([['GET answered'], ['GET answered']])
  })

  test('a URL that is rewritten behind the front door', async () => {
    const { api, clock, requests } = recorded()
    const app = express()
    app.use((req, _res, next) => {
      req.url = req.url.replace('/v1', '')
      next()
    })
    app.use(api as never)
    let pending = 0
    app.get('/x', (_req, res) => {
      pending = clock.pending
      res.json({})
    })
    await request(api.protect(app as never))
      .get('/v1/x')
      .expect(200)
    await new Promise((resolve) => setImmediate(resolve))
    expect(pending).toBe(1)
    expect(clock.pending).toBe(0)
    expect(requests()).toEqual(['GET answered'])
  })
})

test('stages settle once, the last one first over all pipelines, and one that throws keeps no other from it', async () => {
  const settled: string[] = []
  const logged: unknown[] = []
  const stage = (name: string, fail = false) =>
    defineStage(name, () => ({
      settle: () => {
        settled.push(name)
        if (fail) throw new Error(name)
      },
    }))()
  const inner = stage('inner', true)
  const done = new Promise<void>((resolve) => {
    const last = defineStage('first', () => ({ settle: () => (settled.push('first'), resolve()) }))()
    const { get } = serve([last, stage('second')], {
      log: { ...silent, error: (text, details) => void logged.push([text, details]) },
      handler: (req: IncomingMessage, res, next) =>
        inner(req, res, () => {
          expect(contextOf(req)).toBeDefined()
          res.end('x')
          next()
        }),
    })
    void get('/').then(() => undefined)
  })
  await done
  expect(settled).toEqual(['inner', 'second', 'first'])
  expect(logged).toEqual([['inner: settle failed', { id: '', cause: new Error('inner') }]])
})
