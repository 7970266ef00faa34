import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { createClient, RESP_TYPES } from 'redis'
import { ConfigError } from '../../src/kernel/config-error.js'
import type { Algorithm, CounterStore, Hit, Policy } from '../../src/kernel/ports.js'
import { redis } from '../../src/stores/redis.js'
import { serve } from '../../src/testing/index.js'
import { rateLimit } from '../../src/traffic/rate-limit.js'
import { allOf } from '../../src/testing/record-contract.js'

const url = process.env['REDIS_URL']!
const ALGORITHMS: readonly Algorithm[] = ['fixed', 'sliding', 'gcra']

let client: Redis
beforeEach(() => {
  client = new Redis(url, { lazyConnect: true })
})
afterEach(async () => {
  jest.restoreAllMocks()
  if (client.status !== 'end') await client.quit()
})

const policyOf = (shape: Partial<Policy> = {}): Policy => ({
  scope: 'rateLimit',
  name: randomUUID(),
  limit: 5,
  windowMs: 60_000,
  algorithm: 'fixed',
  ...shape,
})
const countersOf = (one: Parameters<typeof redis>[0], prefix: string = randomUUID()): CounterStore =>
  redis(one, { prefix }).counters

describe('what it takes', () => {
  test('a client that it was given before has one listener of ours', () => {
    const before = client.listenerCount('error')
    for (let i = 0; i < 20; i++) redis(client)
    expect(client.listenerCount('error')).toBe(before + 1)
  })

  test.each([
    ['a URL', 'redis://127.0.0.1', 'got a string of 17 characters'],
    ['nothing', undefined, 'got undefined'],
    ['null', null, 'got null'],
    ['some object', {}, 'got an object'],
  ])('%s is no client', (_what, value, got) => {
    expect(() => redis(value as never)).toThrow(
      new ConfigError(
        `redis needs a client of ioredis or node-redis, ${got}; for example redis(new Redis(url))`,
      ),
    )
  })

  test.each(['', 'a:b', 'a b', '{a}', 'x'.repeat(101)])('%j is no prefix', (prefix) => {
    expect(() => redis(client, { prefix })).toThrow(/^redis\.prefix must be 1 to 100 letters/)
  })

  test('an option that it does not have is named', () => {
    expect(() => redis(client, { prefx: 'a' } as never)).toThrow(
      new ConfigError('redis has no option "prefx". Did you mean "prefix"?'),
    )
  })
})

describe('one round trip', () => {
  test('is all that the limits of one stage take, whatever their algorithms', async () => {
    const counters = countersOf(client)
    const hits = ALGORITHMS.map((algorithm): Hit => ({ policy: policyOf({ algorithm }), key: 'k', cost: 1 }))
    await counters.hit(hits, 0)

    const sent = jest.spyOn(client, 'sendCommand')
    const results = await counters.hit(hits, 0)

    expect(sent.mock.calls.map(([command]) => command.name)).toEqual(['evalsha'])
    expect(results.map(({ left }) => left)).toEqual([3, 3, 3])
  })

  test('is what one fixed window takes through rate-limiter-flexible', async () => {
    const counters = countersOf(client)
    const hits = [{ policy: policyOf(), key: 'k', cost: 1 }]
    await counters.hit(hits, 0)

    const sent = jest.spyOn(client, 'sendCommand')
    const consumed = jest.spyOn(RateLimiterRedis.prototype, 'consume')
    await counters.hit(hits, 0)

    expect(consumed).toHaveBeenCalledTimes(1)
    expect(sent.mock.calls.map(([command]) => command.name)).toEqual(['evalsha'])
  })
})

test('a fixed window is one counter, whether it is asked for alone or with others', async () => {
  const counters = countersOf(client)
  const [alone, other]: Hit[] = [policyOf(), policyOf()].map((policy) => ({ policy, key: 'k', cost: 2 }))
  expect(await counters.hit([alone!], 0)).toMatchObject([{ allowed: true, left: 3 }])
  expect(await counters.hit([alone!, other!], 0)).toMatchObject([{ allowed: true, left: 1 }, { left: 3 }])
  expect(await counters.hit([alone!], 0)).toMatchObject([{ allowed: false, left: 1 }])
})

test('windows of less than a second are windows too', async () => {
  const counters = countersOf(client)
  const hits = [{ policy: policyOf({ windowMs: 900, limit: 1_000_000 }), key: 'k', cost: 1 }]
  const [result] = await counters.hit(hits, 0)
  expect(result!.refillMs).toBeGreaterThan(0)
  expect(result!.refillMs).toBeLessThanOrEqual(900)
})

test('a window that is no whole number of seconds keeps its length', async () => {
  const prefix = randomUUID()
  await countersOf(client, prefix).hit([{ policy: policyOf({ windowMs: 59_999 }), key: 'k', cost: 1 }], 0)
  const [key] = await client.keys(`${prefix}*`)
  expect(await client.pttl(key!)).toBeGreaterThan(59_000)
})

test('when Redis has forgotten the scripts, it is told them again', async () => {
  const counters = countersOf(client)
  const single = [{ policy: policyOf(), key: 'k', cost: 1 }]
  const double = [...single, { policy: policyOf({ algorithm: 'gcra' }), key: 'k', cost: 1 }]
  await counters.hit(single, 0)
  await counters.hit(double, 0)
  await client.script('FLUSH')
  expect(await counters.hit(single, 0)).toMatchObject([{ left: 2 }])
  await client.script('FLUSH')
  expect(await counters.hit(double, 0)).toMatchObject([{ left: 1 }, { left: 3 }])
})

describe('keys', () => {
  const hostile = 'a:b {x} * \r\nFLUSHALL\r\n \0 \u00e9'

  test('hold nothing that a client sent, and name the limit (ASVS 1.3.9)', async () => {
    const prefix = randomUUID()
    const policy = policyOf({ name: 'POST /orders/:id {x}', algorithm: 'gcra' })
    await countersOf(client, prefix).hit([{ policy, key: hostile, cost: 1 }], 0)
    const keys = await client.keys(`${prefix}*`)
    expect(keys).toHaveLength(1)
    expect(keys[0]).toMatch(/^[\w-]+:rateLimit:POST%20%2Forders%2F%3Aid%20%7Bx%7D:gcra:60000:\{[\w-]{43}\}$/)
  })

  test('all end by themselves, also after a refusal', async () => {
    const prefix = randomUUID()
    const counters = countersOf(client, prefix)
    for (const algorithm of ALGORITHMS) {
      const single = { policy: policyOf({ algorithm, limit: 2 }), key: 'a', cost: 1 }
      const pair = [single, { ...single, key: 'b', cost: 3 }]
      for (let i = 0; i < 3; i++) await counters.hit([single], 0)
      for (let i = 0; i < 3; i++) await counters.hit(pair, 0)
    }
    const keys = await client.keys(`${prefix}*`)
    expect(keys.length).toBeGreaterThanOrEqual(5)
    for (const key of keys) {
      const lifeMs = await client.pttl(key)
      expect(lifeMs).toBeGreaterThan(0)
      expect(lifeMs).toBeLessThanOrEqual(120_000)
    }
  })

  test('of another prefix are other counters', async () => {
    const hits = [{ policy: policyOf({ limit: 1 }), key: 'k', cost: 1 }]
    expect(await countersOf(client, 'one').hit(hits, 0)).toMatchObject([{ allowed: true }])
    expect(await countersOf(client, 'two').hit(hits, 0)).toMatchObject([{ allowed: true }])
    expect(await countersOf(client, 'one').hit(hits, 0)).toMatchObject([{ allowed: false }])
  })

  test.each(ALGORITHMS)('that somebody else has written to do not stop %s', async (algorithm) => {
    const prefix = randomUUID()
    const counters = countersOf(client, prefix)
    const hits = [{ policy: policyOf({ algorithm }), key: 'k', cost: 1 }]
    await counters.hit(hits, 0)
    const [key] = await client.keys(`${prefix}*`)
    await client.set(key!, '17')
    const [result] = await counters.hit(hits, 0)
    expect(result).toMatchObject({ allowed: true, retryMs: 0 })
    expect(await client.pttl(key!)).toBeGreaterThan(0)
  })
})

test.each([
  ['answers with strings', { stringNumbers: true }],
  ['sends what one turn brings in one pipeline', { enableAutoPipelining: true }],
  ['puts a prefix of its own before every key', { keyPrefix: 'app:' }],
])('a client that %s will do', async (_how, options) => {
  const own = new Redis(url, { ...options, lazyConnect: true })
  try {
    const counters = countersOf(own)
    const hits = ALGORITHMS.map((algorithm) => ({ policy: policyOf({ algorithm }), key: 'k', cost: 5 }))
    for (const some of [[hits[0]!], hits.slice(1)]) {
      expect((await counters.hit(some, 0)).every(({ allowed, left }) => allowed && left === 0)).toBe(true)
      expect((await counters.hit(some, 0)).every(({ allowed, left }) => !allowed && left === 0)).toBe(true)
    }
  } finally {
    await own.quit()
  }
})

test.each([[null], ['OK'], [[]], [[1, 2]], [{}]])('an answer such as %j is no answer', async (reply) => {
  const odd = { status: 'ready', evalsha: async () => reply, eval: async () => reply, on: () => undefined }
  const hits = [1, 2].map(() => ({ policy: policyOf(), key: 'k', cost: 1 }))
  await expect(countersOf(odd).hit(hits, 0)).rejects.toThrow('Redis gave an answer of another shape')
})

test.each([
  ['numbers', {}],
  ['strings', { [RESP_TYPES.NUMBER]: String }],
])('node-redis that is set to answer with %s will do', async (_what, typeMapping) => {
  const own = createClient({ url, commandOptions: { typeMapping } })
  await own.connect()
  try {
    const counters = countersOf(own)
    for (const algorithm of ALGORITHMS) {
      const hits = [{ policy: policyOf({ algorithm }), key: 'k', cost: 5 }]
      expect((await counters.hit(hits, 0))[0]).toMatchObject({ allowed: true, left: 0 })
      expect((await counters.hit(hits, 0))[0]).toMatchObject({ allowed: false, left: 0 })
    }
  } finally {
    await own.close()
  }
})

const NO_INTEGERS = [
  null,
  undefined,
  NaN,
  Infinity,
  0.5,
  2 ** 60,
  '',
  ' 1',
  'x',
  '1e3',
  '0x1',
  true,
  {},
  [1],
  1n,
]

test.each(ALGORITHMS)(
  'an answer to a %s limit with anything but whole numbers is none',
  async (algorithm) => {
    const hit = { policy: policyOf({ algorithm, limit: 1 }), key: 'k', cost: 1 }
    const good = algorithm === 'fixed' ? [1, 1_000] : [1, 0, 1_000, 0]
    const answering = (reply: unknown) =>
      countersOf({
        status: 'ready',
        evalsha: async () => reply,
        eval: async () => reply,
        on: () => undefined,
      })

    expect((await answering(good).hit([hit], 0))[0]).toMatchObject({ allowed: true, refillMs: 1_000 })
    for (const odd of NO_INTEGERS) {
      for (const place of good.keys()) {
        const reply: unknown[] = [...good]
        reply[place] = odd
        await expect(answering(reply).hit([hit], 0)).rejects.toThrow('of another shape')
      }
    }
  },
)

test.each([2, -1])('%j is neither yes nor no', async (flag) => {
  const reply = [flag, 0, 0, 0]
  const odd = { status: 'ready', evalsha: async () => reply, eval: async () => reply, on: () => undefined }
  const hit = { policy: policyOf({ algorithm: 'gcra' }), key: 'k', cost: 1 }
  await expect(countersOf(odd).hit([hit], 0)).rejects.toThrow('of another shape')
})

test('what Redis answers instead of numbers closes a limit that is closed without it', async () => {
  const store = redis({
    status: 'ready',
    evalsha: async () => ['x', 'y'],
    eval: async () => ['x', 'y'],
    on: () => undefined,
  })
  const { get, handled } = serve(rateLimit({ limit: 1, whenStoreFails: 'closed' }), { store })
  for (let i = 0; i < 3; i++) {
    const reply = await get('/').expect(503).expect('Retry-After', '1')
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'store-unavailable' })
    expect(reply.headers).not.toHaveProperty('ratelimit')
  }
  expect(handled()).toBe(0)
})

describe('a client that is not connected', () => {
  test('fails at once, and queues nothing for later: ioredis', async () => {
    await client.connect()
    const ended = once(client, 'end')
    client.disconnect()
    await ended
    const sent = jest.spyOn(client, 'sendCommand')
    const hits = [{ policy: policyOf(), key: 'k', cost: 1 }]
    for (const some of [hits, [...hits, ...hits]]) {
      await expect(countersOf(client).hit(some, 0)).rejects.toThrow('The Redis client is not connected')
    }
    expect(sent).not.toHaveBeenCalled()
  })

  test('fails at once: node-redis', async () => {
    const idle = createClient({ url })
    const hits = [{ policy: policyOf(), key: 'k', cost: 1 }]
    await expect(countersOf(idle).hit(hits, 0)).rejects.toThrow('The Redis client is not connected')
  })

  test('does not end the process by an error event that nobody listens to', () => {
    const idle = createClient({ url })
    redis(idle)
    expect(() => idle.emit('error', new Error('connection lost'))).not.toThrow()
  })
})

test('limiters that the user has on the same client are left as they are', async () => {
  const own = new RateLimiterRedis({ storeClient: client, keyPrefix: randomUUID(), points: 2, duration: 60 })
  await countersOf(client).hit([{ policy: policyOf(), key: 'k', cost: 1 }], 0)
  await own.consume('k', 2)
  // Theirs counts what it refuses.
  await expect(own.consume('k', 2)).rejects.toMatchObject({ consumedPoints: 4 })
})

describe('exactness', () => {
  test.each(ALGORITHMS)(
    'two processes with 50 hits each in flight admit exactly the limit: %s',
    async (algorithm) => {
      const second = createClient({ url })
      await second.connect()
      try {
        const prefix = randomUUID()
        const policy = policyOf({ algorithm, limit: 100, windowMs: 3_600_000 })
        const other = policyOf({ limit: 1_000 })
        let admitted = 0
        const run = async (counters: CounterStore, hits: readonly Hit[]) => {
          for (let i = 0; i < 3; i++) if ((await counters.hit(hits, 0))[0]!.allowed) admitted++
        }
        const single: Hit[] = [{ policy, key: 'k', cost: 1 }]
        const pair: Hit[] = [...single, { policy: other, key: 'k', cost: 1 }]
        await Promise.all(
          [countersOf(client, prefix), countersOf(second, prefix)].flatMap((counters) =>
            Array.from({ length: 50 }, (_, i) => run(counters, i % 2 === 0 ? single : pair)),
          ),
        )
        expect(admitted).toBe(100)
      } finally {
        await second.close()
      }
    },
  )
})

describe('records', () => {
  test('are found under a prefix of the client itself too, and listed', async () => {
    const keyPrefix = `app[1]*?\\:${randomUUID()}:`
    const clients = [new Redis(url, { keyPrefix }), await createClient({ url, keyPrefix }).connect()] as const
    for (const [i, one] of clients.entries()) {
      const { records } = redis(one, { prefix: `p${i}` })
      await records.put('space', 'key', 'value')
      expect(await records.get('space', 'key')).toBe('value')
      expect(new Set(await allOf(records, 'space'))).toEqual(new Set(['value']))
    }
    await clients[0].quit()
    await clients[1].close()
  })

  test('take one round trip each', async () => {
    const { records, once } = redis(client, { prefix: randomUUID() })
    await records.get('s', 'k')
    await records.put('s', 'k', 'v')
    await records.replace('s', 'k', 'v', 'w')
    await records.delete('s', 'k')
    await once.claim('s', 'k', 1_000)

    const sent = jest.spyOn(client, 'sendCommand')
    await records.get('s', 'k')
    await records.put('s', 'k', 'v')
    await records.replace('s', 'k', 'v', 'w')
    await records.delete('s', 'k')
    await once.claim('s', 'k', 1_000)
    expect(sent.mock.calls.map(([command]) => command.name)).toEqual(Array(5).fill('evalsha'))
  })

  test('end by themselves, and keys name neither the key nor the value', async () => {
    const prefix = randomUUID()
    const { records, once } = redis(client, { prefix })
    await records.put('space', 'secret key', 'secret value', 5_000)
    await once.claim('space', 'secret key', 5_000)
    const keys = await client.keys(`${prefix}:*`)
    expect(keys.sort()).toEqual([
      expect.stringMatching(/^[\w-]+:once:space:[\w-]{43}$/),
      expect.stringMatching(/^[\w-]+:record:space:[\w-]{43}$/),
    ])
    for (const key of keys) expect(await client.pttl(key)).toBeGreaterThan(0)
  })
})
