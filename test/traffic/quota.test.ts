import { contextOf } from '../../src/kernel/context.js'
import { memory } from '../../src/kernel/memory.js'
import { quota } from '../../src/traffic/quota.js'
import { rateLimit } from '../../src/traffic/rate-limit.js'
import { serve } from '../../src/testing/index.js'
import { identified } from './support.js'

const as = (id: string) => ({ 'x-test-principal': id })

test('counts principals, wherever they come from, and refuses with 429 quota-exceeded (ASVS 2.3.2)', async () => {
  const { get, handled } = serve([identified, quota({ limit: 2, windowMs: 5_000 })], { trustProxy: 1 })
  await get('/').set(as('ann')).set('X-Forwarded-For', '192.0.2.1').expect(200)
  await get('/').set(as('ann')).set('X-Forwarded-For', '192.0.2.2').expect(200)

  const reply = await get('/').set(as('ann')).set('X-Forwarded-For', '192.0.2.3').expect(429)

  expect(JSON.parse(reply.text)).toMatchObject({ code: 'quota-exceeded', status: 429 })
  expect(reply.headers).toMatchObject({ 'retry-after': '5', ratelimit: '"quota";r=0;t=5' })
  expect(handled()).toBe(2)
  await get('/').set(as('bob')).set('X-Forwarded-For', '192.0.2.1').expect(200)
})

test('counts by address where nobody is known', async () => {
  const { get } = serve([identified, quota({ limit: 1 })], { trustProxy: 1 })
  await get('/').set('X-Forwarded-For', '192.0.2.1').expect(200)
  await get('/').set('X-Forwarded-For', '192.0.2.1').expect(429)
  await get('/').set('X-Forwarded-For', '192.0.2.2').expect(200)
})

test('a principal whose id looks like an address is not counted as one', async () => {
  const { get } = serve([identified, quota({ limit: 1 })], { trustProxy: 1 })
  await get('/').set('X-Forwarded-For', '192.0.2.1').expect(200)
  await get('/').set('X-Forwarded-For', '192.0.2.9').set(as('192.0.2.1')).expect(200)
  await get('/').set('X-Forwarded-For', '192.0.2.9').set(as('ip:192.0.2.1')).expect(200)
})

test('shares no counter with a rateLimit of the same name', async () => {
  const store = memory()
  const same = { name: 'same', limit: 1 }
  const { get } = serve([rateLimit(same), quota(same)], { store })
  await get('/').expect(200).expect('RateLimit', '"same";r=0;t=60, "same";r=0;t=60')
})

test('stands alone as plain middleware', async () => {
  const middleware = quota({ limit: 1 })
  const { get, handled } = serve((req, res, next) => middleware(req, res, next), {
    handler: (req, res) => res.end(contextOf(req)?.clientKey),
  })
  await get('/').expect(200)
  await get('/').expect(429)
  expect(handled()).toBe(1)
})
