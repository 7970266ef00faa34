import type { SecurityContext } from '../../src/kernel/context.js'
import { once } from 'node:events'
import { request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { defineStage } from '../../src/kernel/define.js'
import { memory, MemoryCounters } from '../../src/kernel/memory.js'
import { quota } from '../../src/traffic/quota.js'
import { rateLimit } from '../../src/traffic/rate-limit.js'
import { fakeClock, serve } from '../../src/testing/index.js'
import type { Limit } from '../../src/traffic/limit.js'
import { unreadable } from '../support/unreadable.js'
import { recorder, spiedCounters } from './support.js'

describe('whom it counts', () => {
  const forwarded = (address: string) => ({ 'X-Forwarded-For': address })

  test('addresses apart, as far as declared proxies say', async () => {
    const { get } = serve(rateLimit({ limit: 1 }), { trustProxy: 1 })
    await get('/').set(forwarded('192.0.2.1')).expect(200)
    await get('/').set(forwarded('192.0.2.2')).expect(200)
    await get('/').set(forwarded('192.0.2.1')).expect(429)
  })

  test('not what the client claims, where no proxy is declared', async () => {
    const { get } = serve(rateLimit({ limit: 1 }))
    await get('/').set(forwarded('192.0.2.1')).expect(200)
    await get('/').set(forwarded('192.0.2.2')).expect(429)
  })

  test('IPv6 by /56, so that one household is one client', async () => {
    const { get } = serve(rateLimit({ limit: 1 }), { trustProxy: 1 })
    await get('/').set(forwarded('2001:db8:0:1200::1')).expect(200)
    await get('/').set(forwarded('2001:db8:0:12ff:ffff::2')).expect(429)
    await get('/').set(forwarded('2001:db8:0:1300::1')).expect(200)
  })

  test('what a key function says; undefined leaves the request uncounted', async () => {
    const { get } = serve(
      rateLimit({ limit: 1, key: ({ req }) => req.headers['x-tenant'] as string | undefined }),
    )
    await get('/').set('X-Tenant', 'a').expect(200)
    await get('/').set('X-Tenant', 'a').expect(429)
    await get('/').set('X-Tenant', 'b').expect(200)
    for (let i = 0; i < 3; i++) {
      const { headers } = await get('/').expect(200)
      expect(headers).not.toHaveProperty('ratelimit')
    }
  })

  test('of several limits those that have a key', async () => {
    const limits = [
      { name: 'all', limit: 2 },
      { name: 'tenant', limit: 1, key: ({ req }) => req.headers['x-tenant'] as string | undefined },
    ] satisfies Limit[]
    const { get } = serve(rateLimit(limits))
    await get('/').expect(200).expect('RateLimit', '"all";r=1;t=60')
    await get('/').set('X-Tenant', 'a').expect(200).expect('RateLimit', '"all";r=0;t=60, "tenant";r=0;t=60')
  })
})

describe('what a request costs', () => {
  test('is what the function says, and fractions are rounded up', async () => {
    const { get } = serve(rateLimit({ limit: 10, cost: ({ req }) => Number(req.headers['x-cost']) }))
    await get('/').set('X-Cost', '4').expect(200).expect('RateLimit', '"default";r=6;t=60')
    await get('/').set('X-Cost', '0.1').expect(200).expect('RateLimit', '"default";r=5;t=60')
    await get('/').set('X-Cost', '0').expect(200).expect('RateLimit', '"default";r=5;t=60')
  })

  test('is not taken if it is refused', async () => {
    const { get } = serve(rateLimit({ limit: 10, cost: ({ req }) => Number(req.headers['x-cost']) }))
    await get('/').set('X-Cost', '8').expect(200)
    await get('/').set('X-Cost', '1e300').expect(429).expect('RateLimit', '"default";r=2;t=60')
    await get('/').set('X-Cost', '2').expect(200)
  })

  test('is told to be too much for ever where it is more than the limit', async () => {
    const cost = ({ req }: SecurityContext) => Number(req.headers['x-cost'])
    for (const limit of [
      { limit: 3, cost },
      [
        { limit: 3, cost },
        { name: 'b', limit: 5, cost },
      ],
    ]) {
      const { get, clock, handled } = serve(rateLimit(limit))
      for (let i = 0; i < 2; i++) {
        const reply = await get('/').set('X-Cost', '4').expect(429)
        expect(reply.headers['content-type']).toContain('application/problem+json')
        expect(reply.body).toMatchObject({
          type: 'urn:secure-api:problem:rate-limited',
          detail: 'The request takes more units than the limit has; no waiting will help.',
        })
        expect(reply.headers).not.toHaveProperty('retry-after')
        clock.advance(60_000)
      }
      expect(handled()).toBe(0)
      await get('/').set('X-Cost', '3').expect(200)
      await get('/').set('X-Cost', '3').expect(429).expect('Retry-After', '60')
    }
  })

  test.each<[string, () => unknown]>([
    ['NaN', () => NaN],
    ['negative', () => -1],
    ['infinite', () => Infinity],
    ['a string', () => '1'],
    ['a promise', () => Promise.resolve(1)],
    ['undefined', () => undefined],
    [
      'thrown',
      () => {
        throw new Error('secret')
      },
    ],
  ])(
    'is a fault of the application if it is %s: 500, and nothing runs (ASVS 16.5.3)',
    async (_what, cost) => {
      const { get, handled } = serve(rateLimit({ cost: cost as () => number }))
      const reply = await get('/').expect(500)
      expect(JSON.parse(reply.text)).toMatchObject({ code: 'broken' })
      expect(reply.text).not.toContain('secret')
      expect(handled()).toBe(0)
    },
  )

  test.each<[string, () => unknown]>([
    ['a number', () => 5],
    ['null', () => null],
    ['an object', () => ({})],
    ['a promise', () => Promise.resolve('a')],
  ])('a key that is %s is a fault of the application', async (_what, key) => {
    const { get, handled } = serve(rateLimit({ key: key as () => string }))
    await get('/').expect(500)
    expect(handled()).toBe(0)
  })
})

describe('while the store cannot be asked', () => {
  const set = (limit: Limit | Limit[], how: 'rejects' | 'hangs' = 'rejects') => {
    const clock = fakeClock()
    const store = spiedCounters(new MemoryCounters())
    store.becomes(how)
    const { stage, ofKind, events } = recorder()
    // Where a store hangs, only the clock can end a request.
    const served = serve([stage, rateLimit(limit)], { clock, store, storeTimeoutMs: 50 })
    return { ...served, ...store, ofKind, events }
  }

  test('closed refuses with 503, Retry-After, and the handler does not run', async () => {
    const { get, handled } = set({ whenStoreFails: 'closed' })
    const reply = await get('/').expect(503).expect('Retry-After', '1')
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'store-unavailable', status: 503 })
    expect(reply.text).not.toContain('redis.internal')
    expect(handled()).toBe(0)
  })

  test('open lets requests pass, puts that on record once, and at the end how many', async () => {
    const { get, becomes, ofKind, clock } = set({ limit: 1, whenStoreFails: 'open' })
    for (let i = 0; i < 5; i++) {
      const { headers } = await get('/').expect(200)
      expect(headers).not.toHaveProperty('ratelimit')
    }
    expect(ofKind('limiter-degraded')).toEqual([
      {
        kind: 'limiter-degraded',
        stage: 'rateLimit',
        policies: [{ name: 'default', whenStoreFails: 'open' }],
        reason: 'The store failed: Error',
      },
    ])

    becomes('no')
    clock.advance(1_000)
    // While the store is tried with a copy of it, it passes uncounted too.
    await get('/').expect(200)
    await get('/').expect(429)
    clock.advance(1_000)
    await get('/').expect(429)
    expect(ofKind('limiter-restored')).toEqual([
      { kind: 'limiter-restored', stage: 'rateLimit', decisions: 6 },
    ])
  })

  test.each(unreadable)(
    'open lets requests pass also where the store rejects with %s',
    async (_what, cause) => {
      const { stage, ofKind } = recorder()
      const store = { counters: { hit: () => Promise.reject(cause) } }
      const { get } = serve([stage, rateLimit({ whenStoreFails: 'open' })], { store })
      await get('/').expect(200)
      expect(ofKind('limiter-degraded')).toMatchObject([
        { reason: expect.stringMatching(/^The store failed/) },
      ])
    },
  )

  test('local, the default, counts in this process, and puts it on record once per outage', async () => {
    const { get, becomes, ofKind, clock } = set({ limit: 3, windowMs: 600_000 })
    for (let i = 0; i < 3; i++)
      await get('/')
        .expect(200)
        .expect('RateLimit', `"default";r=${2 - i};t=600`)
    for (let i = 0; i < 3; i++) await get('/').expect(429)
    expect(ofKind('limiter-degraded')).toHaveLength(1)

    becomes('no')
    clock.advance(1_000)
    await get('/').expect(429)
    await get('/').expect(200).expect('RateLimit', '"default";r=1;t=600')
    clock.advance(1_000)
    await get('/').expect(200).expect('RateLimit', '"default";r=0;t=599')
    clock.advance(4_000)
    becomes('rejects')
    await get('/').expect(429)
    expect(ofKind('limiter-degraded')).toHaveLength(2)
    expect(ofKind('limiter-restored')).toHaveLength(1)
  })

  test('each limit does as it says: one closed limit closes the stage', async () => {
    const { get, handled } = set([
      { name: 'a', whenStoreFails: 'open' },
      { name: 'b', whenStoreFails: 'closed' },
    ])
    await get('/').expect(503)
    expect(handled()).toBe(0)
  })

  test('each limit does as it says: an open one is left out, a local one counts', async () => {
    const { get } = set([
      { name: 'a', limit: 1, whenStoreFails: 'open' },
      { name: 'b', limit: 2 },
    ])
    await get('/').expect(200).expect('RateLimit', '"b";r=1;t=60')
    await get('/').expect(200)
    await get('/').expect(429)
  })

  test('a store that hangs is given up after the deadline', async () => {
    const { get, clock, calls, handled } = set({ whenStoreFails: 'closed' }, 'hangs')
    const pending = get('/').expect(503)
    const finished = pending.then(() => true)
    while (calls.length === 0) await Promise.race([finished, new Promise(setImmediate)])
    clock.advance(50)
    await finished
    expect(handled()).toBe(0)
  })

  test('a client that leaves meanwhile is no error, and nothing runs for it', async () => {
    const { server, clock, calls, handled } = set({}, 'hangs')
    await once(server.listen(0, '127.0.0.1'), 'listening')
    try {
      const closed = new Promise<void>((resolve) => {
        server.once(
          'request',
          (_req: IncomingMessage, res: ServerResponse) => void res.once('close', resolve),
        )
      })
      const client = request({ port: (server.address() as AddressInfo).port }).on('error', () => undefined)
      client.end()
      while (calls.length === 0) await new Promise(setImmediate)
      client.destroy()
      await closed
      clock.advance(50)
      await new Promise(setImmediate)
      expect(handled()).toBe(0)
    } finally {
      server.close()
    }
  })

  test('what is no outage but a defect is answered as such', async () => {
    const defective = defineStage('defective', () => ({
      enter(ctx) {
        ctx.use({ ...ctx.services, counters: { hit: () => Promise.reject(new TypeError('defect')) } })
      },
    }))
    const { get, handled } = serve([defective(), rateLimit({ whenStoreFails: 'open' })])
    await get('/').expect(500)
    expect(handled()).toBe(0)
  })
})

test('asks the store once for all limits of a stage', async () => {
  const store = spiedCounters(new MemoryCounters())
  const { get } = serve(
    rateLimit([
      { name: 'a', algorithm: 'fixed' },
      { name: 'b', algorithm: 'sliding' },
      { name: 'c', algorithm: 'gcra' },
    ]),
    { store },
  )
  await get('/').expect(200)
  expect(store.calls.map((hits) => hits.length)).toEqual([3])
})

describe('when the table of this process is full', () => {
  test('new clients share counters, which is on record once a window', async () => {
    const { stage, ofKind } = recorder()
    const { get, clock } = serve([stage, rateLimit({ limit: 1, windowMs: 10_000 })], {
      store: memory({ maxClients: 1 }),
      trustProxy: 1,
    })
    const from = (address: string) => get('/').set('X-Forwarded-For', address)
    await from('192.0.2.1').expect(200)
    for (let i = 2; i < 20; i++) await from(`192.0.2.${i}`)
    expect(ofKind('limiter-overflow')).toEqual([
      { kind: 'limiter-overflow', stage: 'rateLimit', policy: 'default', windowMs: 10_000 },
    ])
    await from('192.0.2.1').expect(429)

    clock.advance(10_000)
    await from('192.0.2.30').expect(200)
    await from('192.0.2.31')
    await from('192.0.2.32')
    expect(ofKind('limiter-overflow')).toHaveLength(2)
  })
})

test('report mode lets everybody in and says who would not have been', async () => {
  const { stage, ofKind } = recorder()
  const { get, handled } = serve([stage, rateLimit({ limit: 1 })], { enforcement: () => 'report' })
  await get('/').expect(200)
  await get('/').expect(200)
  expect(handled()).toBe(2)
  expect(ofKind('decision')).toEqual([
    expect.objectContaining({ outcome: 'reported', code: 'rate-limited', rule: 'default' }),
  ])
})

test('a refusal names its rule and reason for the record, not for the client', async () => {
  const { stage, ofKind } = recorder()
  const { get } = serve([stage, rateLimit({ name: 'burst', limit: 1 })])
  await get('/').expect(200)
  const reply = await get('/').expect(429)
  expect(ofKind('decision')).toEqual([
    expect.objectContaining({ rule: 'burst', reason: 'The limit "burst" is exceeded.', outcome: 'refused' }),
  ])
  expect(Object.keys(JSON.parse(reply.text))).toEqual(['type', 'title', 'status', 'code'])
})

test('problemType iana gives the registered type and the limits exceeded', async () => {
  const limits: Limit[] = [
    { name: 'burst', limit: 1, problemType: 'iana' },
    { name: 'daily', limit: 1 },
    { name: 'wide', limit: 9 },
  ]
  const { get } = serve(quota(limits))
  await get('/').expect(200)
  const reply = await get('/').expect(429)
  expect(JSON.parse(reply.text)).toEqual({
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    title: 'The quota is used up.',
    status: 429,
    code: 'quota-exceeded',
    'violated-policies': ['burst', 'daily'],
  })
})

test('the wall clock does not move windows', async () => {
  const { get, clock } = serve(rateLimit({ limit: 1, windowMs: 1_000 }))
  await get('/').expect(200)
  clock.jump(3_600_000)
  await get('/').expect(429).expect('Retry-After', '1')
  clock.jump(-7_200_000)
  await get('/').expect(429).expect('Retry-After', '1')
  clock.advance(1_000)
  await get('/').expect(200)
})

test('describes what is in effect', () => {
  const { stage } = quota([{ limit: 5 }, { name: 'b', cost: () => 1, key: () => 'k', algorithm: 'gcra' }])
  expect(stage.describe?.()).toEqual([
    {
      scope: 'quota',
      name: 'quota',
      limit: 5,
      windowMs: 60_000,
      algorithm: 'fixed',
      cost: 1,
      key: 'principal',
      whenStoreFails: 'local',
      headers: 'draft-11',
      problemType: 'own',
    },
    expect.objectContaining({ name: 'b', cost: 'a function', key: 'a function', algorithm: 'gcra' }),
  ])
})

test('reports a limit that opens when its store fails', () => {
  expect(rateLimit({}).stage.findings?.()).toEqual([])
  expect(rateLimit([{ name: 'a', whenStoreFails: 'open' }, { name: 'b' }]).stage.findings?.()).toEqual([
    expect.objectContaining({
      code: 'limit-fails-open',
      severity: 'medium',
      cause: expect.stringContaining('"a"'),
    }),
  ])
})
