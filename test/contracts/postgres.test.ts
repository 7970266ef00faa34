import { setTimeout as pause } from 'node:timers/promises'
import { Pool } from 'pg'
import type { Ports } from '../../src/kernel/ports.js'
import { postgres, postgresSchema } from '../../src/stores/postgres.js'
import { storeContract } from '../../src/testing/index.js'
import { PrivatePostgres } from '../support/private-postgres.js'

let server: PrivatePostgres
let pool: Pool
let store: Ports

beforeAll(async () => {
  server = await PrivatePostgres.start()
  pool = new Pool({ connectionString: server.url, max: 10 })
  await pool.query(postgresSchema({ counters: true }))
  store = postgres(pool, { counters: true })
})
afterAll(async () => {
  await pool.end()
  await server.stop()
})

async function now(): Promise<number> {
  const { rows } = await pool.query<{ ms: string }>(
    'SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms',
  )
  return Number(rows[0]!.ms)
}

storeContract('PostgreSQL', () => ({
  ...store,
  now,
  async pass(ms) {
    for (const end = (await now()) + ms; (await now()) < end;) await pause(2)
  },
}))
