import type { CounterStore } from '../../src/kernel/ports.js'
import { serve } from '../../src/testing/index.js'
import { rateLimit } from '../../src/traffic/rate-limit.js'
import { malformedResults } from '../support/malformed-results.js'

const answering = (make: () => unknown, later: boolean): CounterStore => ({
  hit: () => (later ? Promise.resolve().then(make) : make()) as never,
})

/** Status of four requests, of which two are within the limit. The last ones come when the store is left alone. */
async function statuses(whenStoreFails: 'closed' | 'open' | 'local', counters: CounterStore) {
  const { get, handled } = serve(rateLimit({ limit: 2, whenStoreFails }), { store: { counters } })
  const replies = [await get('/'), await get('/'), await get('/'), await get('/')]
  return { statuses: replies.map(({ status }) => status), handled: handled(), last: replies[3]!.text }
}

describe.each(malformedResults)('a store that answers with %s', (_what, make) => {
  test.each([false, true])('has failed: whenStoreFails decides (later: %s)', async (later) => {
    const store = answering(make, later)
    const closed = await statuses('closed', store)
    expect(closed).toMatchObject({ statuses: [503, 503, 503, 503], handled: 0 })
    expect(JSON.parse(closed.last)).toMatchObject({ code: 'store-unavailable' })
    expect(await statuses('local', store)).toMatchObject({ statuses: [200, 200, 429, 429], handled: 2 })
    expect(await statuses('open', store)).toMatchObject({ statuses: [200, 200, 200, 200], handled: 4 })
  })
})
