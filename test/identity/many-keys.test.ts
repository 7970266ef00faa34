import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import { apiKey } from '../../src/identity/api-key.js'
import { newId, newKey } from '../../src/identity/api-key-text.js'
import { apiKeys } from '../../src/identity/api-keys.js'
import { postgres, postgresSchema } from '../../src/stores/postgres.js'
import { redis } from '../../src/stores/redis.js'
import { serve } from '../../src/testing/index.js'
import { PrivatePostgres } from '../support/private-postgres.js'
import { PrivateRedis } from '../support/private-redis.js'
import { commandsOf } from '../support/redis-commands.js'

/** As many as a test has time for; what is asked of the store tells that more make no difference. */
const OTHERS = 100_000
const pepper = randomBytes(32)

/** Checks of a key that is seen for the first time, of the same once more, and of one that nobody has. */
async function checksOver(store: ReturnType<typeof redis> | ReturnType<typeof postgres>) {
  const options = { store, pepper, prefix: 'acme' }
  const { key } = await apiKeys(options).create({ owner: 'partner-7' })
  const { get } = serve(apiKey({ ...options, lastUsedMs: 0 }), { storeTimeoutMs: 5_000 })
  const nobodys = newKey('acme', newId()).key
  return [
    () => get('/').set('X-API-Key', key).expect(200),
    () => get('/').set('X-API-Key', key).expect(200),
    () => get('/').set('X-API-Key', nobodys).expect(401),
  ]
}

test('Redis: one command for each check, and one GET in it, also among 100,000 keys', async () => {
  const server = await PrivateRedis.start()
  const client = new Redis(server.url)
  try {
    const asked = async () => {
      const checks = await checksOver(redis(client))
      const seen = []
      for (const check of checks) {
        const { sent, inScripts } = await commandsOf(client, check)
        seen.push([sent.map(([name]) => name), inScripts.map(([name]) => name!.toLowerCase())])
      }
      return seen
    }
    await asked()
    const alone = await asked()
    expect(alone).toEqual(Array(3).fill([['evalsha'], ['get']]))

    const [one] = await client.keys('secure-api:record:api-key:*')
    const text = await client.get(one!)
    const fill = `for i = 1, ${OTHERS} do redis.call('SET', ARGV[1] .. i, ARGV[2]) end`
    await client.eval(fill, 0, 'secure-api:record:api-key:', text!)
    expect(await client.dbsize()).toBeGreaterThan(OTHERS)
    expect(await asked()).toEqual(alone)
  } finally {
    client.disconnect()
    await server.stop()
  }
})

interface Plan {
  readonly 'Node Type': string
  readonly 'Index Name'?: string
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly Plans?: readonly Plan[]
}

function stepsOf(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(stepsOf)]
}

test('PostgreSQL: one statement for each check, by the primary key, also among 100,000 keys', async () => {
  const server = await PrivatePostgres.start()
  const pool = new Pool({ connectionString: server.url })
  try {
    await pool.query(postgresSchema())
    const asked: [text: string, values: unknown[]][] = []
    const watched = {
      query: (text: string, values: unknown[]) => {
        asked.push([text, values])
        return pool.query(text, values)
      },
    }
    const checks = await checksOver(postgres(watched))
    await pool.query(
      `INSERT INTO secure_api_records (space, key, value)
       SELECT space, md5(i::text), value FROM secure_api_records, generate_series(1, ${OTHERS}) AS i`,
    )
    // Whether or not the planner has had a look at the table.
    for (const statement of ['SELECT 1', 'ANALYZE secure_api_records']) {
      await pool.query(statement)
      for (const check of checks) {
        asked.length = 0
        await check()
        expect(asked).toHaveLength(1)
        const [text, values] = asked[0]!
        const { rows } = await pool.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
          `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
          values,
        )
        const plan = rows[0]!['QUERY PLAN'][0].Plan
        const steps = stepsOf(plan)
        expect(steps.map((step) => step['Node Type'])).not.toContain('Seq Scan')
        expect(steps.flatMap((step) => step['Index Name'] ?? [])).toEqual(['secure_api_records_pkey'])
        // From the root of the index to the row; a table of so many has thousands of blocks.
        expect(plan['Shared Hit Blocks'] + plan['Shared Read Blocks']).toBeLessThanOrEqual(6)
      }
    }
  } finally {
    await pool.end()
    await server.stop()
  }
})
