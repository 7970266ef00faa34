import { Redis } from 'ioredis'
import { Pool } from 'pg'
import { postgres, postgresSchema } from '../../src/stores/postgres.js'
import { redis } from '../../src/stores/redis.js'
import { PrivatePostgres } from './private-postgres.js'
import { PrivateRedis } from './private-redis.js'

export type LosableStore = ReturnType<typeof redis> | ReturnType<typeof postgres>

/** A real store that can be stopped and started with what it has, and lose all of it. */
export interface Losable {
  readonly store: LosableStore
  readonly down: () => Promise<void>
  readonly up: () => Promise<void>
  readonly lose: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** The real ones, for `describe.each`. */
export const losables: [kind: string, start: () => Promise<Losable>][] = [
  [
    'Redis',
    async () => {
      const server = await PrivateRedis.start('--appendonly', 'yes', '--appendfsync', 'always')
      const client = new Redis(server.url, { retryStrategy: () => 20 })
      client.on('error', () => undefined)
      return {
        store: redis(client),
        down: () => server.kill(),
        up: () => server.start(),
        lose: async () => {
          await client.flushall()
        },
        stop: async () => {
          client.disconnect()
          await server.stop()
        },
      }
    },
  ],
  [
    'PostgreSQL',
    async () => {
      const server = await PrivatePostgres.start()
      const pool = new Pool({ connectionString: server.url })
      await pool.query(postgresSchema())
      return {
        store: postgres(pool),
        down: () => server.down(),
        up: () => server.start(),
        lose: async () => {
          await pool.query('DROP TABLE secure_api_records')
          await pool.query(postgresSchema())
        },
        stop: async () => {
          await pool.end()
          await server.stop()
        },
      }
    },
  ],
]
