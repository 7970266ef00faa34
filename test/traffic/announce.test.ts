import { parseList } from 'structured-headers'
import { quota } from '../../src/traffic/quota.js'
import { rateLimit } from '../../src/traffic/rate-limit.js'
import { fakeClock, serve } from '../../src/testing/index.js'

const rateLimitFields = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.includes('ratelimit')))

describe('draft-11, the default', () => {
  test('tells quota, window, what is left and when more is there, in whole seconds', async () => {
    const { get, clock } = serve(rateLimit({ name: 'burst', limit: 3, windowMs: 1_500 }))
    expect(rateLimitFields((await get('/')).headers)).toEqual({
      'ratelimit-policy': '"burst";q=3;w=2',
      ratelimit: '"burst";r=2;t=2',
    })
    clock.advance(501)
    expect((await get('/')).headers['ratelimit']).toBe('"burst";r=1;t=1')
  })

  test('stands on the refusal too, with Retry-After not before t', async () => {
    const { get, clock } = serve(rateLimit({ limit: 4, windowMs: 60_000, algorithm: 'gcra', cost: 3 }))
    await get('/').expect(200)
    clock.advance(1_000)
    await get('/').expect(429).expect('RateLimit', '"default";r=1;t=14').expect('Retry-After', '29')
  })

  test.each([' ', '!', "it's", 'POST /orders/:id?', 'a;b=c, d', '#[]~'])(
    'a name such as %j stays one item',
    async (name) => {
      const { get } = serve(rateLimit({ name, limit: 9 }))
      const { headers } = await get('/').expect(200)
      for (const field of ['ratelimit', 'ratelimit-policy']) {
        expect(parseList(headers[field]!).map(([item]) => item)).toEqual([name])
      }
    },
  )

  test('tells the largest numbers as a structured field can hold them', async () => {
    const { get } = serve(rateLimit({ limit: 999_999_999_999_999, windowMs: 366 * 86_400_000 }))
    const { headers } = await get('/').expect(200)
    expect(parseList(headers['ratelimit']!)[0]![1].get('r')).toBe(999_999_999_999_998)
  })
})

test('draft-6 tells the tightest limit of the exchange, and all policies', async () => {
  const { get } = serve([
    rateLimit([
      { name: 'a', limit: 10, windowMs: 1_000, headers: 'draft-6' },
      { name: 'b', limit: 5, windowMs: 2_000, headers: 'draft-6' },
    ]),
    quota({ name: 'c', limit: 100, windowMs: 3_000, headers: 'draft-6' }),
  ])
  expect(rateLimitFields((await get('/')).headers)).toEqual({
    'ratelimit-policy': '10;w=1, 5;w=2, 100;w=3',
    'ratelimit-limit': '5',
    'ratelimit-remaining': '4',
    'ratelimit-reset': '2',
  })
})

test('legacy tells the tightest limit, and its reset as a moment', async () => {
  const { get } = serve(
    [
      rateLimit({ name: 'a', limit: 10, windowMs: 1_000, headers: 'legacy' }),
      quota({ name: 'b', limit: 5, windowMs: 2_500, headers: 'legacy' }),
    ],
    { clock: fakeClock(1_000_000_000_000) },
  )
  expect(rateLimitFields((await get('/')).headers)).toEqual({
    'x-ratelimit-limit': '5',
    'x-ratelimit-remaining': '4',
    'x-ratelimit-reset': '1000000003',
  })
})

test('false tells nothing but Retry-After', async () => {
  const { get } = serve(rateLimit({ limit: 1, headers: false }))
  expect(rateLimitFields((await get('/').expect(200)).headers)).toEqual({})
  expect(rateLimitFields((await get('/').expect(429).expect('Retry-After', '60')).headers)).toEqual({})
})
