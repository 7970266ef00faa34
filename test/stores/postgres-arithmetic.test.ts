import fc from 'fast-check'
import { Pool } from 'pg'
import { algorithms } from '../../src/kernel/algorithms.js'
import type { Algorithm, Policy } from '../../src/kernel/ports.js'
import { postgres, postgresSchema } from '../../src/stores/postgres.js'
import { PrivatePostgres } from '../support/private-postgres.js'

/** How its statements ask for the time. */
const CLOCK = /floor\(extract\(epoch FROM clock_timestamp\(\)\) \* 1000\)::bigint/g
const START = 1_900_000_000_000

let server: PrivatePostgres
let pool: Pool
beforeAll(async () => {
  server = await PrivatePostgres.start()
  pool = new Pool({ connectionString: server.url, max: 1 })
  await pool.query(postgresSchema({ counters: true }))
})
afterAll(async () => {
  await pool.end()
  await server.stop()
})

/** Counters of a database whose clock stands at `now`. */
function countersAt(clock: { now: number }) {
  const query = (text: string, values: unknown[]) =>
    pool.query(text.replace(CLOCK, `${clock.now}::bigint`), values)
  return postgres({ query }, { counters: true }).counters
}

/** Hits of one counter: after how long, backwards too, and for how much. */
const steps = (windowMs: number, limit: number) =>
  fc.array(
    fc.record({
      after: fc.oneof(
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 0, max: 3 * windowMs }),
        fc.constantFrom(windowMs - 1, windowMs, windowMs + 1, 2 * windowMs - 1, 2 * windowMs),
        fc.integer({ min: -2 * windowMs, max: -1 }),
      ),
      cost: fc.oneof(
        fc.constantFrom(0, 1, limit - 1, limit, limit + 1),
        fc.integer({ min: 0, max: 2 * limit }),
      ),
    }),
    { minLength: 1, maxLength: 12 },
  )

const sizes = fc.oneof(
  fc.record({ limit: fc.integer({ min: 1, max: 20 }), windowMs: fc.integer({ min: 1, max: 100 }) }),
  fc.record({
    limit: fc.integer({ min: 1, max: 1_000_000 }),
    windowMs: fc.integer({ min: 1, max: 86_400_000 }),
  }),
)

test.each<Algorithm>(['fixed', 'sliding', 'gcra'])(
  '%s: PostgreSQL counts as the memory of a process does',
  async (algorithm) => {
    let run = 0
    await fc.assert(
      fc.asyncProperty(
        sizes.chain(({ limit, windowMs }) =>
          fc.record({
            limit: fc.constant(limit),
            windowMs: fc.constant(windowMs),
            hits: steps(windowMs, limit),
          }),
        ),
        async ({ limit, windowMs, hits }) => {
          const clock = { now: START }
          const counters = countersAt(clock)
          const policy: Policy = { scope: 'test', name: `${++run}`, limit, windowMs, algorithm }
          const words = new Float64Array(3)
          for (const { after, cost } of hits) {
            clock.now += after
            const [found] = await counters.hit([{ policy, key: 'k', cost }], 0)
            expect(found).toEqual(algorithms[algorithm].take(words, 0, policy, cost, clock.now))
          }
        },
      ),
      { numRuns: 60 },
    )
  },
)
