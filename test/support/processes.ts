import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import { isBuilt } from '../../scripts/prepare.mjs'
import type { Store } from '../../src/kernel/ports.js'
import { postgres, postgresSchema } from '../../src/stores/postgres.js'
import { redis } from '../../src/stores/redis.js'
import { PrivatePostgres } from './private-postgres.js'
import { PrivateRedis } from './private-redis.js'
import { ROOT } from './source-tree.js'

/** A store that several processes share, and ours among them. */
export interface Backend {
  readonly kind: string
  readonly url: string
  readonly store: Store
  readonly stop: () => Promise<void>
}

/** The real ones, for `describe.each`. */
export const backends: [kind: string, start: () => Promise<Backend>][] = [
  [
    'redis',
    async () => {
      const server = await PrivateRedis.start()
      const client = new Redis(server.url)
      const stop = async () => {
        client.disconnect()
        await server.stop()
      }
      return { kind: 'redis', url: server.url, store: redis(client), stop }
    },
  ],
  [
    'postgres',
    async () => {
      const server = await PrivatePostgres.start()
      const pool = new Pool({ connectionString: server.url })
      await pool.query(postgresSchema({ counters: true }))
      const stop = async () => {
        await pool.end()
        await server.stop()
      }
      return { kind: 'postgres', url: server.url, store: postgres(pool, { counters: true }), stop }
    },
  ],
]

beforeAll(() => {
  if (!isBuilt()) throw new Error('dist is missing or older than its sources. Run: npm run build')
})

/** What comes before a script: a store over the backend, and how to say where it listens. */
const PRELUDE = `
  const { createServer } = require('node:http')
  const secureApi = require('./dist/index.cjs')
  const [kind, url, ...args] = process.argv.slice(1)
  const store =
    kind === 'redis'
      ? require('./dist/stores/redis.cjs').redis(new (require('ioredis').Redis)(url))
      : require('./dist/stores/postgres.cjs').postgres(new (require('pg').Pool)({ connectionString: url }), { counters: true })
  const listen = (handler) => {
    const server = createServer(handler)
    server.listen(0, '127.0.0.1', () => process.stdout.write(server.address().port + '\\n'))
  }
  process.stdin.resume().on('end', () => process.exit(0))
`

/** An API of the built package in a process of its own. */
export interface ApiProcess {
  readonly origin: string
  readonly stop: () => Promise<void>
}

/** @param script knows `secureApi` (the package), `store`, `args`, and has to call `listen(handler)` */
export async function startProcess(backend: Backend, script: string, ...args: string[]): Promise<ApiProcess> {
  const child = spawn(process.execPath, ['--eval', PRELUDE + script, backend.kind, backend.url, ...args], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`it ended with ${code}`)))
  const [port] = (await Promise.race([once(child.stdout, 'data'), ended])) as [Buffer]
  const stop = async () => {
    const gone = once(child, 'exit')
    child.stdin.end()
    await gone
  }
  return { origin: `http://127.0.0.1:${String(port).trim()}`, stop }
}
