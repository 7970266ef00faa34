import { apiKeys, type ApiKeys, type Store } from '../index.js'
import { postgres, type PostgresPool } from '../stores/postgres.js'
import { redis } from '../stores/redis.js'
import { UsageError } from './command.js'

/** Loads a package; throws if there is none. */
export type Load = (name: string) => unknown

/** The desk, and its connection. */
export interface Desk {
  readonly keys: ApiKeys
  readonly close: () => Promise<unknown>
}

type Env = Readonly<Record<string, string | undefined>>

/** Opens the store of the environment with the driver of the user's project. @throws UsageError or Error that says what is missing */
export async function openDesk(env: Env, load: Load): Promise<Desk> {
  const pepper = needed(env, 'SECURE_API_PEPPER', 'the pepper that the API has')
  const url = needed(env, 'SECURE_API_STORE', 'the URL of the store: redis://, rediss:// or postgres://')
  const prefix = env['SECURE_API_KEY_PREFIX']
  const { store, close } = await openStore(url, env, load)
  try {
    return { keys: apiKeys({ store, pepper, ...(prefix !== undefined && { prefix }) }), close }
  } catch (error) {
    await close()
    throw error
  }
}

function needed(env: Env, name: string, what: string): string {
  const value = env[name]
  if (value !== undefined && value !== '') return value
  throw new UsageError(`Set ${name} to ${what}`)
}

interface Opened {
  readonly store: Store
  readonly close: () => Promise<unknown>
}

function openStore(url: string, env: Env, load: Load): Promise<Opened> {
  if (/^rediss?:\/\//.test(url)) return openRedis(url, env['SECURE_API_STORE_PREFIX'], load)
  if (/^postgres(?:ql)?:\/\//.test(url)) return openPostgres(url, env['SECURE_API_STORE_TABLE'], load)
  throw new UsageError('SECURE_API_STORE must begin with redis://, rediss:// or postgres://')
}

type Redis = Parameters<typeof redis>[0]
interface Ioredis {
  readonly Redis: new (
    url: string,
    options: object,
  ) => Redis & { connect(): Promise<unknown>; disconnect(): void }
}
interface NodeRedis {
  createClient(options: object): Redis & { connect(): Promise<unknown>; close(): Promise<unknown> }
}

async function openRedis(url: string, prefix: string | undefined, load: Load): Promise<Opened> {
  const options = prefix === undefined ? {} : { prefix }
  const ioredis = driver<Ioredis>(load, 'ioredis')
  if (ioredis !== undefined) {
    const client = new ioredis.Redis(url, { lazyConnect: true, retryStrategy: () => null })
    const store = redis(client, options)
    await client.connect()
    const close = () => Promise.resolve(client.disconnect())
    return { store, close }
  }
  const nodeRedis = driver<NodeRedis>(load, 'redis')
  if (nodeRedis === undefined) throw missing('ioredis')
  const client = nodeRedis.createClient({ url, socket: { reconnectStrategy: false } })
  const store = redis(client, options)
  await client.connect()
  return { store, close: () => client.close() }
}

interface Pg {
  readonly Pool: new (options: object) => PostgresPool & { end(): Promise<unknown> }
}

async function openPostgres(url: string, table: string | undefined, load: Load): Promise<Opened> {
  const pg = driver<Pg>(load, 'pg')
  if (pg === undefined) throw missing('pg')
  const pool = new pg.Pool({ connectionString: url, max: 2, connectionTimeoutMillis: 5_000 })
  try {
    const store = postgres(pool, table === undefined ? {} : { table })
    await pool.query('SELECT 1', [])
    return { store, close: () => pool.end() }
  } catch (error) {
    await pool.end()
    throw error
  }
}

function driver<T>(load: Load, name: string): T | undefined {
  try {
    return load(name) as T
  } catch (error) {
    // That it is missing, and not a part of it.
    const { code, message } = error as { code?: unknown; message?: unknown }
    if (code === 'MODULE_NOT_FOUND' && String(message).includes(`'${name}'`)) return undefined
    throw error
  }
}

function missing(name: string): Error {
  return new Error(`The store needs a driver, which this project does not have. Run: npm install ${name}`)
}
