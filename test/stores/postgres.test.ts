import { EventEmitter } from 'node:events'
import { Pool } from 'pg'
import { ConfigError } from '../../src/kernel/config-error.js'
import { createServices } from '../../src/kernel/services.js'
import { postgres, postgresSchema, type PostgresPool } from '../../src/stores/postgres.js'
import { PrivatePostgres } from '../support/private-postgres.js'
import { until } from '../support/private-redis.js'

describe('what it takes', () => {
  test.each([
    ['a URL', 'postgres://127.0.0.1', 'got a string of 20 characters'],
    ['nothing', undefined, 'got undefined'],
    ['null', null, 'got null'],
    ['some object', {}, 'got an object'],
  ])('%s is no pool', (_what, value, got) => {
    expect(() => postgres(value as never)).toThrow(
      new ConfigError(`postgres needs a pool of pg, ${got}; for example postgres(new Pool())`),
    )
  })

  test.each(['', 'A', 'a b', 'a;b', '"a"', 'a.b.c', '.a', '1a', "a'", 'a--', 'x'.repeat(51), 5])(
    '%j is no name of a table',
    (table) => {
      expect(() => postgresSchema({ table: table as never })).toThrow(
        /^postgres\.table must be a name of lower-case/,
      )
    },
  )

  test.each([1, 'true', null])('counters must be true or false, and not %j', (counters) => {
    expect(() => postgresSchema({ counters: counters as never })).toThrow(
      /^postgres\.counters must be true or false, got/,
    )
  })

  test('it counts only if it is told to', () => {
    const { pool } = fakePool()
    expect(Object.keys(postgres(pool))).toEqual(['records', 'once'])
    expect(Object.keys(postgres(pool, { counters: false }))).toEqual(['records', 'once'])
    expect(Object.keys(postgres(pool, { counters: true }))).toEqual(['records', 'once', 'counters'])
    expect(postgresSchema()).not.toContain('counters')
  })

  test('an option that it does not have is named', () => {
    expect(() => postgresSchema({ tabel: 'a' } as never)).toThrow(
      'postgres has no option "tabel". Did you mean "table"?',
    )
  })
})

/** Writes down what is asked, and answers that one row was written. */
function fakePool() {
  const asked: { text: string; values: unknown[] }[] = []
  const pool = Object.assign(new EventEmitter(), {
    query: (text: string, values: unknown[]) => {
      asked.push({ text, values })
      return Promise.resolve({ rows: [], rowCount: 1 })
    },
  })
  return { pool: pool as PostgresPool & EventEmitter, asked }
}

test('an error of an idle connection does not end the process', () => {
  const { pool } = fakePool()
  for (let i = 0; i < 20; i++) postgres(pool)
  expect(pool.listenerCount('error')).toBe(1)
  expect(pool.emit('error', new Error('lost'))).toBe(true)
})

test('what callers send stands in no statement (ASVS 1.2.4)', async () => {
  const { pool, asked } = fakePool()
  const { records, once, counters } = postgres(pool, { table: 'app.keys', counters: true })
  const evil = "'; DROP TABLE keys; --"
  await records.get(evil, evil)
  await records.put(evil, evil, evil, 5)
  await records.replace(evil, evil, evil, evil)
  await records.replace(evil, evil, undefined, evil)
  await records.delete(evil, evil)
  await records.list(evil, evil)
  await once.claim(evil, evil, 5)
  for (const algorithm of ['fixed', 'sliding', 'gcra'] as const) {
    const policy = { scope: evil, name: evil, limit: 1, windowMs: 1_000, algorithm }
    await Promise.resolve(counters.hit([{ policy, key: evil, cost: 1 }], 0)).catch(() => undefined)
  }
  expect(asked).toHaveLength(10)
  for (const { text } of asked) {
    expect(text).not.toContain('DROP')
    expect(text).toContain('app.keys')
  }
})

describe('a real one', () => {
  let server: PrivatePostgres
  let pool: Pool
  beforeAll(async () => {
    server = await PrivatePostgres.start()
    pool = new Pool({ connectionString: server.url })
  })
  afterAll(async () => {
    await pool.end()
    await server.stop()
  })

  test('makes its table once, under the name it is given, and keeps what is in it', async () => {
    await pool.query('CREATE SCHEMA app')
    const options = { table: 'app.keys' }
    await pool.query(postgresSchema(options))
    const { records } = postgres(pool, options)
    await records.put('s', 'k', 'v')
    await pool.query(postgresSchema(options))
    expect(await records.get('s', 'k')).toBe('v')
  })

  test('makes its table for processes that start at once', async () => {
    for (const table of ['first', 'second', 'third']) {
      const making = Array.from({ length: 5 }, () => pool.query(postgresSchema({ table })))
      expect((await Promise.allSettled(making)).map(({ status }) => status)).toEqual(
        making.map(() => 'fulfilled'),
      )
    }
  })

  test('deletes rows whose time is over, and no others', async () => {
    await pool.query(postgresSchema())
    const { records, once } = postgres(pool)
    for (let i = 0; i < 150; i++) await once.claim('s', `short ${i}`, 1)
    await records.put('s', 'long', 'v', 3_600_000)
    await records.put('s', 'lasting', 'v')
    for (let i = 0; i < 100; i++) await records.put('s', 'again', 'v')
    await until(async () => {
      const { rows } = await pool.query<{ left: string }>('SELECT count(*) AS left FROM secure_api_records')
      return Number(rows[0]!.left) <= 53
    })
    expect([await records.get('s', 'long'), await records.get('s', 'lasting')]).toEqual(['v', 'v'])
  })

  test('deletes counters whose time is over, and no others', async () => {
    await pool.query(postgresSchema({ counters: true }))
    const { counters } = postgres(pool, { counters: true })
    const take = async (name: string, windowMs: number, key: string) => {
      const policy = { scope: 'test', name, limit: 1_000, windowMs, algorithm: 'fixed' as const }
      return (await counters.hit([{ policy, key, cost: 1 }], 0))[0]!.left
    }
    await take('long', 3_600_000, 'k')
    for (let i = 0; i < 150; i++) await take('short', 1, `${i}`)
    for (let i = 0; i < 100; i++) await take('again', 3_600_000, 'k')
    await until(async () => {
      const { rows } = await pool.query<{ left: string }>(
        'SELECT count(*) AS left FROM secure_api_records_counters',
      )
      return Number(rows[0]!.left) <= 53
    })
    expect([await take('long', 3_600_000, 'k'), await take('again', 3_600_000, 'k')]).toEqual([998, 899])
  })

  test.each(['secure_api_records', 'secure_api_records_counters'])(
    'what is over is looked up in the index of %s, and not by reading all of it',
    async (table) => {
      await pool.query(postgresSchema({ counters: true }))
      const asked: string[] = []
      const query = (text: string, values: unknown[]) => {
        asked.push(text)
        return pool.query(text, values)
      }
      const { once, counters } = postgres({ query }, { counters: true })
      const policy = { scope: 's', name: 'n', limit: 1_000, windowMs: 60_000, algorithm: 'gcra' as const }
      for (let i = 0; i < 100; i++) {
        await once.claim('s', `many ${i}`, 60_000)
        await counters.hit([{ policy, key: `many ${i}`, cost: 1 }], 0)
      }
      const sweep = asked.find((text) => text.startsWith(`DELETE FROM ${table} `))
      const client = await pool.connect()
      await client.query('SET enable_seqscan = off')
      const { rows } = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${sweep}`)
      client.release(true)
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
      expect(plan).toMatch(/Index (?:Only )?Scan|Bitmap Index Scan/)
      expect(plan).toMatch(/Index Cond: \((?:expires_at|ends) <= /)
    },
  )

  test('counts on where an older counter is out of the order of time', async () => {
    await pool.query(postgresSchema({ counters: true }))
    const { counters } = postgres(pool, { counters: true })
    const hour = 3_600_000
    for (const algorithm of ['fixed', 'sliding', 'gcra'] as const) {
      const policy = { scope: 'test', name: 'back', limit: 2, windowMs: 60_000, algorithm }
      const take = async () => (await counters.hit([{ policy, key: 'k', cost: 1 }], 0))[0]!
      expect(await take()).toMatchObject({ allowed: true, left: 1 })
      // The clock of the database is set back by an hour: what was written lies ahead of it.
      await pool.query(
        `UPDATE secure_api_records_counters SET now = now + ${hour}, ends = ends + ${hour} WHERE key LIKE 'test:back:${algorithm}:%'`,
      )
      const { refillMs } = await take()
      expect(refillMs).toBeGreaterThan(0)
      expect(refillMs).toBeLessThanOrEqual(120_000)
    }
  })

  test('without the table of its counters is closed to what is counted, and says why', async () => {
    const options = { table: 'uncounted' }
    await pool.query(postgresSchema(options))
    const told: unknown[] = []
    const quiet = () => undefined
    const log = { info: quiet, warn: quiet, error: (...line: unknown[]) => void told.push(line) }
    const store = postgres(pool, { ...options, counters: true })
    const { records, counters } = createServices({ store, log, storeTimeoutMs: 5_000 })
    const policy = { scope: 's', name: 'n', limit: 1, windowMs: 1_000, algorithm: 'fixed' as const }
    for (let i = 0; i < 3; i++)
      await expect(async () => counters.hit([{ policy, key: 'k', cost: 1 }], 0)).rejects.toMatchObject({
        name: 'StoreUnavailable',
      })
    expect(told).toEqual([
      [
        'counters: the store does not answer and is left alone',
        {
          outage: 1,
          cause: expect.objectContaining({ message: 'relation "uncounted_counters" does not exist' }),
        },
      ],
    ])
    expect(await records.get('s', 'k')).toBeUndefined()
  })

  test('that is away is closed', async () => {
    const quiet = () => undefined
    const log = { info: quiet, warn: quiet, error: quiet }
    const away = new Pool({ connectionString: server.url.replace(/:\d+\//, ':1/') })
    const { records } = createServices({ store: postgres(away), log, storeTimeoutMs: 5_000 })
    await expect(async () => records.get('s', 'k')).rejects.toMatchObject({ name: 'StoreUnavailable' })
    await away.end()
  })
})
