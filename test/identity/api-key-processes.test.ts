import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import { isBuilt } from '../../scripts/prepare.mjs'
import { apiKeys } from '../../src/identity/api-keys.js'
import type { Store } from '../../src/kernel/ports.js'
import { postgres, postgresSchema } from '../../src/stores/postgres.js'
import { redis } from '../../src/stores/redis.js'
import { PrivatePostgres } from '../support/private-postgres.js'
import { PrivateRedis } from '../support/private-redis.js'
import { ROOT } from '../support/source-tree.js'

const pepper = randomBytes(32).toString('base64')

/** An API in a process of its own. It says on which port it listens, and ends when its input does. */
const SERVER = `
  const { createServer } = require('node:http')
  const { apiKey } = require('./dist/index.cjs')
  const [kind, url, pepper] = process.argv.slice(1)
  const store =
    kind === 'redis'
      ? require('./dist/stores/redis.cjs').redis(new (require('ioredis').Redis)(url))
      : require('./dist/stores/postgres.cjs').postgres(new (require('pg').Pool)({ connectionString: url }))
  const guard = apiKey({ store, pepper, prefix: 'acme' }, { storeTimeoutMs: 10_000 })
  const server = createServer((req, res) => guard(req, res, () => res.end('{}')))
  server.listen(0, '127.0.0.1', () => process.stdout.write(server.address().port + '\\n'))
  process.stdin.resume().on('end', () => process.exit(0))
`

interface Api {
  readonly child: ChildProcess
  readonly ask: (key: string) => Promise<number>
}

beforeAll(() => {
  if (!isBuilt()) throw new Error('dist is missing or older than its sources. Run: npm run build')
})

async function startApi(kind: string, url: string): Promise<Api> {
  const child = spawn(process.execPath, ['--eval', SERVER, kind, url, pepper], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [port] = (await once(child.stdout, 'data')) as [Buffer]
  const ask = async (key: string) => {
    const reply = await fetch(`http://127.0.0.1:${String(port).trim()}/`, { headers: { 'X-API-Key': key } })
    await reply.arrayBuffer()
    return reply.status
  }
  return { child, ask }
}

interface Backend {
  readonly url: string
  readonly store: Store
  readonly stop: () => Promise<void>
}

const backends: [string, () => Promise<Backend>][] = [
  [
    'redis',
    async () => {
      const server = await PrivateRedis.start()
      const client = new Redis(server.url)
      const stop = async () => {
        client.disconnect()
        await server.stop()
      }
      return { url: server.url, store: redis(client), stop }
    },
  ],
  [
    'postgres',
    async () => {
      const server = await PrivatePostgres.start()
      const pool = new Pool({ connectionString: server.url })
      await pool.query(postgresSchema())
      const stop = async () => {
        await pool.end()
        await server.stop()
      }
      return { url: server.url, store: postgres(pool), stop }
    },
  ],
]

describe.each(backends)('two processes over one %s', (kind, start) => {
  let backend: Backend
  let apis: Api[]
  beforeAll(async () => {
    backend = await start()
    apis = await Promise.all([startApi(kind, backend.url), startApi(kind, backend.url)])
  })
  afterAll(async () => {
    for (const { child } of apis) {
      const gone = once(child, 'exit')
      child.stdin!.end()
      await gone
    }
    await backend.stop()
  })
  const askBoth = (key: string) => Promise.all(apis.map(({ ask }) => ask(key)))

  test('know the same keys, and a revocation holds in both from the next request on', async () => {
    const keys = apiKeys({ store: backend.store, pepper, prefix: 'acme' })
    const { key, info } = await keys.create({ owner: 'partner-7' })
    expect(await askBoth(key)).toEqual([200, 200])
    const rotated = await keys.rotate(info.id)
    expect([await askBoth(key), await askBoth(rotated!.key)]).toEqual([
      [200, 200],
      [200, 200],
    ])
    await keys.rotate(info.id, { graceMs: 0 })
    expect(await askBoth(rotated!.key)).toEqual([401, 401])
    await keys.revoke(info.id)
    expect(await askBoth(key)).toEqual([401, 401])
  })

  test('change one key at once, and lose nothing of it', async () => {
    const desks = [0, 1, 2, 3].map(() => apiKeys({ store: backend.store, pepper, prefix: 'acme' }))
    const { info } = await desks[0]!.create({ owner: 'partner-7' })
    const rotated = await Promise.all(desks.map((desk) => desk.rotate(info.id)))
    const answers = await Promise.all(rotated.map((one) => apis[0]!.ask(one!.key)))
    // Two secrets are good at most; one of them is the last that was made.
    expect(answers.filter((status) => status === 200)).toHaveLength(2)
    await Promise.all(desks.map((desk) => desk.revoke(info.id)))
    expect(await Promise.all(rotated.map((one) => apis[1]!.ask(one!.key)))).toEqual([401, 401, 401, 401])
  })
})
