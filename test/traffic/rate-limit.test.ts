import { parseList } from 'structured-headers'
import { ConfigError } from '../../src/kernel/config-error.js'
import { contextOf } from '../../src/kernel/context.js'
import { allowance } from '../../src/traffic/allowance.js'
import type { Limit } from '../../src/traffic/limit.js'
import { quota } from '../../src/traffic/quota.js'
import { rateLimit } from '../../src/traffic/rate-limit.js'
import { serve } from '../../src/testing/index.js'

/** A list of structured-field strings with parameters, as plain data. */
const listOf = (field: string | undefined) =>
  parseList(field!).map(([name, parameters]) => ({ name, ...Object.fromEntries(parameters) }))

describe('a client that asks too often', () => {
  test('is refused with 429, Retry-After and a problem, and the handler does not run (ASVS 2.4.1)', async () => {
    const { get, handled } = serve(rateLimit({ limit: 2, windowMs: 30_000 }))
    await get('/').expect(200)
    await get('/').expect(200)

    const reply = await get('/').expect(429).expect('Content-Type', 'application/problem+json; charset=utf-8')

    expect(JSON.parse(reply.text)).toMatchObject({ code: 'rate-limited', status: 429 })
    expect(reply.headers['retry-after']).toBe('30')
    expect(handled()).toBe(2)
  })

  test('is let back in when the window ends', async () => {
    const { get, clock } = serve(rateLimit({ limit: 1, windowMs: 1_500 }))
    await get('/').expect(200)
    await get('/').expect(429).expect('Retry-After', '2')
    clock.advance(1_499)
    await get('/').expect(429).expect('Retry-After', '1')
    clock.advance(1)
    await get('/').expect(200)
  })

  test.each(['fixed', 'sliding', 'gcra'] as const)(
    'is let back in after Retry-After under %s',
    async (algorithm) => {
      const { get, clock } = serve(rateLimit({ limit: 3, windowMs: 10_000, algorithm }))
      for (let i = 0; i < 3; i++) await get('/').expect(200)

      const reply = await get('/').expect(429)
      clock.advance(Number(reply.headers['retry-after']) * 1000)

      await get('/').expect(200)
    },
  )
})

test('one limit of 100 a minute is what nothing, undefined and {} mean', async () => {
  for (const stage of [rateLimit(), rateLimit(undefined), rateLimit({})]) {
    const { get } = serve(stage)
    await get('/')
      .expect('RateLimit-Policy', '"default";q=100;w=60')
      .expect('RateLimit', '"default";r=99;t=60')
  }
})

describe('several limits', () => {
  const burst: Limit = { name: 'burst', limit: 2, windowMs: 1_000 }
  const daily: Limit = { name: 'daily', limit: 3, windowMs: 86_400_000 }

  test('count side by side and are announced as one list that parses', async () => {
    const { get } = serve(rateLimit([burst, daily]))

    const { headers } = await get('/').expect(200)

    expect(listOf(headers['ratelimit-policy'])).toEqual([
      { name: 'burst', q: 2, w: 1 },
      { name: 'daily', q: 3, w: 86_400 },
    ])
    expect(listOf(headers['ratelimit'])).toEqual([
      { name: 'burst', r: 1, t: 1 },
      { name: 'daily', r: 2, t: 86_400 },
    ])
  })

  test('make the client wait for the slowest of those it exceeded', async () => {
    const { get, clock } = serve(rateLimit([burst, daily]))
    await get('/').expect(200)
    await get('/').expect(200)
    await get('/').expect(429).expect('Retry-After', '1')
    clock.advance(1_000)
    await get('/').expect(429).expect('Retry-After', '86399')
  })

  test('of several stages in one exchange are joined, not overwritten', async () => {
    const { get } = serve([rateLimit(burst), rateLimit({ name: 'POST /orders', limit: 9 }), quota(daily)])

    const { headers } = await get('/').expect(200)

    expect(listOf(headers['ratelimit']).map(({ name }) => name)).toEqual(['burst', 'POST /orders', 'daily'])
    expect(listOf(headers['ratelimit-policy']).map(({ name }) => name)).toEqual([
      'burst',
      'POST /orders',
      'daily',
    ])
  })

  test('are listed on the stage, for whoever checks names across a pipeline', () => {
    expect(rateLimit([burst, daily]).stage.policies.map(({ name }) => name)).toEqual(['burst', 'daily'])
  })
})

test('the slot tells a handler what is left under the tightest limit', async () => {
  const seen: unknown[] = []
  const { get, clock } = serve(
    [rateLimit({ limit: 5, windowMs: 1_000 }), quota({ name: 'daily', limit: 3 })],
    {
      handler: (req, res) => {
        seen.push(contextOf(req)?.get(allowance))
        res.end()
      },
    },
  )
  await get('/').expect(200)
  expect(seen).toEqual([{ name: 'daily', limit: 3, left: 2, resetAt: clock.now() + 60_000 }])
})

describe('what is wrong is wrong at start', () => {
  test.each<[string, unknown, string]>([
    ['a limit of 0', { limit: 0 }, 'rateLimit.limit must be an integer from 1 to 1000000000000000, got 0'],
    [
      'a negative limit',
      { limit: -1 },
      'rateLimit.limit must be an integer from 1 to 1000000000000000, got -1',
    ],
    ['a fraction', { limit: 1.5 }, 'rateLimit.limit must be an integer from 1 to 1000000000000000, got 1.5'],
    [
      'a string',
      { limit: '100' },
      'rateLimit.limit must be an integer from 1 to 1000000000000000, got a string of 3 characters',
    ],
    [
      'a limit beyond exact sums (ASVS 1.4.2)',
      { limit: 1e15 + 1 },
      'rateLimit.limit must be an integer from 1 to 1000000000000000, got 1000000000000001',
    ],
    [
      'a window of more than a year (ASVS 1.4.2)',
      { windowMs: 31_622_400_001 },
      'rateLimit.windowMs must be an integer from 1 to 31622400000, got 31622400001',
    ],
    ['a window of 0', { windowMs: 0 }, 'rateLimit.windowMs must be an integer from 1 to 31622400000, got 0'],
    [
      'a negative cost',
      { cost: -1 },
      'rateLimit.cost must be a number above 0, or a function of the context, got -1',
    ],
    [
      'a cost above the limit',
      { cost: 3.5, limit: 3 },
      'rateLimit.cost is 3.5, and the limit 3: no request could ever pass. Raise limit, or lower cost',
    ],
    [
      'a cost of NaN',
      { cost: NaN },
      'rateLimit.cost must be a number above 0, or a function of the context, got NaN',
    ],
    [
      'an odd key',
      { key: 'ip' },
      'rateLimit.key must be a function of the context, got a string of 2 characters',
    ],
    [
      'an unknown algorithm',
      { algorithm: 'slidng' },
      `rateLimit.algorithm must be one of 'fixed', 'sliding', 'gcra', got "slidng". Did you mean "sliding"?`,
    ],
    [
      'an unknown failure mode',
      { whenStoreFails: 'opne' },
      `rateLimit.whenStoreFails must be one of 'closed', 'open', 'local', got "opne". Did you mean "open"?`,
    ],
    [
      'an unknown header style',
      { headers: 'draft-7' },
      `rateLimit.headers must be 'draft-11', 'draft-6', 'legacy' or false, got "draft-7". Did you mean "draft-6"?`,
    ],
    ['a slip of the finger', { limt: 5 }, 'rateLimit has no option "limt". Did you mean "limit"?'],
    [
      'a name that breaks a header field',
      { name: 'a"b' },
      'rateLimit.name must be 1 to 100 printable ASCII characters without " and \\, got a string of 3 characters',
    ],
    [
      'a name with a line break',
      { name: 'a\r\nb' },
      'rateLimit.name must be 1 to 100 printable ASCII characters without " and \\, got a string of 4 characters',
    ],
    ['no options at all', true, 'rateLimit must be an object of options, got true'],
    ['an empty list', [], 'rateLimit must have at least one limit; leave it out or write false for none'],
    [
      'a fault in the second of a list',
      [{ name: 'a' }, { limit: 0 }],
      'rateLimit[1].limit must be an integer from 1 to 1000000000000000, got 0',
    ],
    [
      'two of one name',
      [{ limit: 1 }, { limit: 2 }],
      'rateLimit has two limits named "default"; give each a name of its own',
    ],
    [
      'two styles that contradict one another',
      [{ name: 'a', headers: 'draft-6' }, { name: 'b' }],
      'rateLimit: headers must be the same for all limits, or false, got "draft-6" and "draft-11"',
    ],
  ])('%s', (_what, options, message) => {
    expect(() => rateLimit(options as Limit)).toThrow(new ConfigError(message))
  })
})
