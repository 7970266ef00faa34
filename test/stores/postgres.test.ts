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
  const { records, once } = postgres(pool, { table: 'app.keys' })
  const evil = "'; DROP TABLE keys; --"
  await records.get(evil, evil)
  await records.put(evil, evil, evil, 5)
  await records.replace(evil, evil, evil, evil)
  await records.replace(evil, evil, undefined, evil)
  await records.delete(evil, evil)
  await records.list(evil, evil)
  await once.claim(evil, evil, 5)
  expect(asked).toHaveLength(7)
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

  test('that is away is closed', async () => {
    const quiet = () => undefined
    const log = { info: quiet, warn: quiet, error: quiet }
    const away = new Pool({ connectionString: server.url.replace(/:\d+\//, ':1/') })
    const { records } = createServices({ store: postgres(away), log, storeTimeoutMs: 5_000 })
    await expect(async () => records.get('s', 'k')).rejects.toMatchObject({ name: 'StoreUnavailable' })
    await away.end()
  })
})
