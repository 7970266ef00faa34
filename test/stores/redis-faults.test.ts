import type { Server } from 'node:http'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import request from 'supertest'
import type { CounterStore } from '../../src/kernel/ports.js'
import { systemClock } from '../../src/kernel/system-clock.js'
import { redis } from '../../src/stores/redis.js'
import { serve } from '../../src/testing/index.js'
import type { FakeClock } from '../../src/testing/index.js'
import { rateLimit } from '../../src/traffic/rate-limit.js'
import { PrivateRedis, until } from '../support/private-redis.js'
import { recorder } from '../traffic/support.js'

/** Real servers need real time; nothing here asks how much of it has gone by. */
const clock = systemClock as FakeClock

const clients = {
  async ioredis(url: string) {
    const client = new Redis(url, { lazyConnect: true, retryStrategy: () => 20, disconnectTimeout: 50 })
    await client.connect()
    return { client, close: async () => client.disconnect() }
  },
  async 'node-redis'(url: string) {
    const client = createClient({ url, socket: { reconnectStrategy: () => 20 } })
    client.on('error', () => undefined)
    await client.connect()
    return { client, close: async () => client.destroy() }
  },
}

jest.setTimeout(30_000)

describe.each(['ioredis', 'node-redis'] as const)('Redis by %s', (kind) => {
  let server: PrivateRedis
  let close: () => Promise<void>
  let counters: CounterStore
  let asked: number
  let answered: number

  beforeEach(async () => {
    server = await PrivateRedis.start()
    const made = await clients[kind](server.url)
    close = made.close
    asked = answered = 0
    const inner = redis(made.client).counters
    counters = {
      async hit(hits, now) {
        asked++
        const results = await inner.hit(hits, now)
        answered++
        return results
      },
    }
  })

  afterEach(async () => {
    await close()
    await server.stop()
  })

  /** Limits that Redis and this process count apart. A machine that is busy must not look like an outage, so time is ample. */
  function limited(whenStoreFails: 'local' | 'closed' | 'open' = 'local', storeTimeoutMs = 3_000) {
    const { stage, ofKind } = recorder()
    const served = serve([stage, rateLimit({ limit: 1_000, windowMs: 3_600_000, whenStoreFails })], {
      clock,
      store: { counters },
      storeTimeoutMs,
    })
    const left = async () =>
      Number(/r=(\d+)/.exec((await served.get('/').expect(200)).headers['ratelimit'] as string)![1])
    return {
      ...served,
      left,
      ofKind,
      /** Asks until Redis answers. */
      async trusted() {
        const before = answered
        await until(async () => {
          await served.get('/')
          return answered > before
        })
      },
      /** Redis answers none of these, and nobody waits for it in vain: this process counts. */
      async countedHere(times: number) {
        const before = answered
        const first = await left()
        for (let i = 1; i < times; i++) expect(await left()).toBe(first - i)
        expect(answered).toBe(before)
      },
    }
  }

  test('that hangs is given up at the deadline, left alone, and trusted again (ASVS 16.5.2)', async () => {
    const { trusted, countedHere } = limited('local', 200)
    await trusted()

    server.signal('SIGSTOP')
    const before = asked
    await countedHere(50)
    // Three failures open the circuit; after that one hit a second may try.
    expect(asked - before).toBeLessThan(30)

    server.signal('SIGCONT')
    await trusted()
  })

  test('that is killed is done without, and trusted again when it is back', async () => {
    const { trusted, countedHere, ofKind } = limited()
    await trusted()
    await server.kill()
    await countedHere(50)
    expect(ofKind('limiter-degraded')).toHaveLength(1)

    await server.start()
    await trusted()
  })

  test('that is killed closes what is closed without it, with 503 and Retry-After, and never with 500', async () => {
    const { get, trusted, handled } = limited('closed')
    await trusted()
    await server.kill()
    const before = handled()
    for (let i = 0; i < 20; i++) await get('/').expect(503).expect('Retry-After', '1')
    expect(handled()).toBe(before)

    await server.start()
    await trusted()
    await get('/').expect(200)
  })

  test('that hangs does not hang many requests at once', async () => {
    const { server: http, trusted } = limited('open', 200)
    await trusted()
    server.signal('SIGSTOP')
    await listen(http)
    try {
      const replies = await Promise.all(Array.from({ length: 100 }, () => request(http).get('/')))
      expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200))
    } finally {
      http.close()
      server.signal('SIGCONT')
    }
  })

  test.each([
    ['is a read-only replica', ['REPLICAOF', '127.0.0.1', '1'], ['REPLICAOF', 'NO', 'ONE']],
    ['has no memory left', ['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory', '0']],
    [
      'lets nobody write any more',
      ['CONFIG', 'SET', 'min-replicas-to-write', '1'],
      ['CONFIG', 'SET', 'min-replicas-to-write', '0'],
    ],
  ])('that %s is done without, and trusted again', async (_how, breakIt, mendIt) => {
    const { trusted, countedHere } = limited()
    await trusted()
    await operate(server, ...breakIt)
    await countedHere(10)
    await operate(server, ...mendIt)
    await trusted()
  })

  test('that was flushed counts from the beginning, and nobody notices otherwise', async () => {
    const { left, ofKind } = limited()
    expect(await left()).toBe(999)
    expect(await left()).toBe(998)
    await operate(server, 'FLUSHALL')
    await operate(server, 'SCRIPT', 'FLUSH')
    expect(await left()).toBe(999)
    expect(ofKind('limiter-degraded')).toEqual([])
  })
})

describe('a wrong password', () => {
  let server: PrivateRedis
  beforeEach(async () => (server = await PrivateRedis.start('--requirepass', 'right')))
  afterEach(() => server.stop())

  async function refusesAll(client: Parameters<typeof redis>[0]) {
    const { get, handled } = serve(rateLimit({ whenStoreFails: 'closed' }), { clock, store: redis(client) })
    for (let i = 0; i < 5; i++) await get('/').expect(503)
    expect(handled()).toBe(0)
  }

  test('is an outage, not a crash and not a pass: ioredis', async () => {
    const client = new Redis(server.url, {
      password: 'wrong',
      retryStrategy: () => 20,
      disconnectTimeout: 50,
    })
    await refusesAll(client)
    client.disconnect()
  })

  test('is an outage, not a crash and not a pass: node-redis', async () => {
    const client = createClient({
      url: server.url,
      password: 'wrong',
      socket: { reconnectStrategy: () => 20 },
    })
    client.on('error', () => undefined)
    const connecting = client.connect().catch(() => undefined)
    await refusesAll(client)
    client.destroy()
    await connecting
  })
})

function listen(http: Server): Promise<void> {
  return new Promise((resolve) => void http.listen(0, '127.0.0.1', resolve))
}

async function operate({ url }: PrivateRedis, command = '', ...args: string[]): Promise<void> {
  const operator = new Redis(url, { lazyConnect: true, disconnectTimeout: 50 })
  try {
    await operator.call(command, args)
  } finally {
    operator.disconnect()
  }
}
