import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { MemoryCounters } from '../../src/kernel/memory.js'
import type { Policy } from '../../src/kernel/ports.js'
import { countAll } from '../../src/stores/redis-scripts.js'

const client = new Redis(process.env['REDIS_URL']!, { lazyConnect: true })
afterAll(async () => {
  const keys = await client.keys('script-test:*')
  if (keys.length > 0) await client.del(...keys)
  await client.quit()
})

const START = 1_900_000_000_000
const clock = "redis.call('TIME')"

/** The script, with the time as two more arguments in place of the server's clock, and keys that do not go by that clock. */
const source = countAll.source
  .replace(clock, '{ ARGV[#ARGV - 1], ARGV[#ARGV] }')
  .replaceAll(/, 'PX', (?:ahead|start .*)\)$/gm, ')')

async function hitRedis(key: string, { algorithm, limit, windowMs }: Policy, cost: number, now: number) {
  const [admitted, left, refillMs, retryMs] = (await client.eval(
    source,
    1,
    key,
    ...[algorithm, limit, windowMs, cost].map(String),
    String(Math.floor(now / 1000)),
    String((now % 1000) * 1000),
  )) as number[]
  return { allowed: admitted === 1, left, refillMs, retryMs }
}

test('what the tests replace in the script is there', () => {
  expect(countAll.source.split(clock)).toHaveLength(2)
  expect(countAll.source.split("'PX'").length - source.split("'PX'").length).toBe(2)
})

test.each(['sliding', 'gcra'] as const)(
  '%s is the same in Redis and in this process, over any sequence of hits',
  async (algorithm) => {
    const policies = fc
      .record({ limit: fc.integer({ min: 1, max: 1_000 }), windowMs: fc.integer({ min: 1, max: 90_000 }) })
      .map((shape): Policy => ({ scope: 'test', name: 'test', algorithm, ...shape }))
    const steps = fc.array(
      fc.record({ wait: fc.integer({ min: -2_000, max: 60_000 }), cost: fc.integer({ min: 0, max: 1_200 }) }),
      { minLength: 1, maxLength: 40 },
    )
    await fc.assert(
      fc.asyncProperty(policies, steps, async (policy, sequence) => {
        const key = `script-test:${randomUUID()}`
        const memory = new MemoryCounters()
        let now = START
        for (const { wait, cost } of sequence) {
          now += wait
          const [expected] = memory.hit([{ policy, key, cost }], now)
          expect(await hitRedis(key, policy, cost, now)).toEqual(expected)
        }
      }),
      { numRuns: 60 },
    )
  },
)

test('numbers near 2^53 are written without an exponent', async () => {
  const key = `script-test:${randomUUID()}`
  const policy: Policy = { scope: 's', name: 'n', algorithm: 'fixed', limit: 1e15, windowMs: 60_000 }
  expect(await hitRedis(key, policy, 1e15 - 1, START)).toMatchObject({ allowed: true, left: 1 })
  expect(await client.get(key)).toBe('999999999999999')
})
