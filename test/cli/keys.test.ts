import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { Pool } from 'pg'
import packageJson from '../../package.json' with { type: 'json' }
import { isBuilt } from '../../scripts/prepare.mjs'
import { run } from '../../src/cli/run.js'
import { apiKey } from '../../src/identity/api-key.js'
import type { Store } from '../../src/kernel/ports.js'
import { systemClock } from '../../src/kernel/system-clock.js'
import { postgres, postgresSchema } from '../../src/stores/postgres.js'
import { redis } from '../../src/stores/redis.js'
import { serve, type FakeClock } from '../../src/testing/index.js'
import { PrivatePostgres } from '../support/private-postgres.js'
import { PrivateRedis } from '../support/private-redis.js'
import { ROOT } from '../support/source-tree.js'

const pepper = randomBytes(32).toString('base64')
const load = createRequire(join(ROOT, 'package.json'))
/** A project that lacks some packages. */
const lacking =
  (...names: string[]) =>
  (name: string): unknown =>
    load(names.includes(name) ? `${name}-that-is-not-there` : name)

async function cli(
  args: string,
  env: Record<string, string> = {},
  loading: (name: string) => unknown = load,
) {
  const out: string[] = []
  const err: string[] = []
  const code = await run(args.split(' '), {
    env,
    load: loading,
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
  })
  return { code, out: out.join(''), err: err.join('') }
}

interface Backend {
  readonly env: Record<string, string>
  readonly store: Store
  readonly stop: () => Promise<void>
  readonly load?: (name: string) => unknown
}

async function startRedis(): Promise<Backend> {
  const server = await PrivateRedis.start()
  const client = new Redis(server.url)
  const stop = async () => {
    client.disconnect()
    await server.stop()
  }
  const env = { SECURE_API_STORE: server.url, SECURE_API_STORE_PREFIX: 'orders' }
  return { env, store: redis(client, { prefix: 'orders' }), stop }
}

async function startNodeRedis(): Promise<Backend> {
  // The error of a package that is missing names it.
  const missing = (name: string) => {
    if (name !== 'ioredis') return load(name)
    throw Object.assign(new Error("Cannot find module 'ioredis'"), { code: 'MODULE_NOT_FOUND' })
  }
  return { ...(await startRedis()), load: missing }
}

async function startPostgres(): Promise<Backend> {
  const server = await PrivatePostgres.start()
  const pool = new Pool({ connectionString: server.url })
  await pool.query(postgresSchema({ table: 'orders_keys' }))
  const stop = async () => {
    await pool.end()
    await server.stop()
  }
  const env = { SECURE_API_STORE: server.url, SECURE_API_STORE_TABLE: 'orders_keys' }
  return { env, store: postgres(pool, { table: 'orders_keys' }), stop }
}

describe.each([
  ['Redis by ioredis', startRedis],
  ['Redis by node-redis', startNodeRedis],
  ['PostgreSQL', startPostgres],
])('keys in %s', (_name, start) => {
  let backend: Backend
  let env: Record<string, string>
  beforeAll(async () => {
    backend = await start()
    env = { ...backend.env, SECURE_API_PEPPER: pepper, SECURE_API_KEY_PREFIX: 'acme' }
  })
  afterAll(() => backend.stop())
  const ask = (args: string) => cli(args, env, backend.load)

  test('are made, listed, rotated and revoked, as the API sees it', async () => {
    const { get } = serve(apiKey({ store: backend.store, pepper, prefix: 'acme' }), {
      storeTimeoutMs: 10_000,
      // The desk of the program goes by it too.
      clock: systemClock as FakeClock,
    })
    const check = (key: string, status: number) => get('/').set('X-API-Key', key).expect(status)

    const made = await ask(
      'keys create --owner partner-7 --name export --days 30 --scope orders:read --scope orders:create --role partner --cidr 127.0.0.0/8 --limit 100 --window-seconds 60',
    )
    expect(made).toMatchObject({ code: 0, out: expect.stringMatching(/^acme_\w{16}_\w{43}_\w{6}\n$/) })
    const key = made.out.trim()
    const id = key.split('_')[1]!
    expect(made.err).toBe(`The id is ${id}. The key cannot be shown again.\n`)
    await check(key, 200)

    const listed = await ask('keys list --owner partner-7 --json')
    expect(JSON.parse(listed.out)).toMatchObject({
      id,
      owner: 'partner-7',
      name: 'export',
      scopes: ['orders:read', 'orders:create'],
      roles: ['partner'],
      cidrs: ['127.0.0.0/8'],
      limit: { limit: 100, windowMs: 60_000 },
      expiresAt: expect.any(Number),
    })
    expect(listed.out).not.toContain(key.split('_')[2])
    expect((await ask('keys list --owner nobody')).out).toBe('')

    const rotated = await ask(`keys rotate ${id} --grace-hours 48`)
    expect(rotated.err).toMatch(/good for 48 more hours/)
    await check(key, 200)
    await check(rotated.out.trim(), 200)
    expect((await ask('keys list')).out).toMatch(
      new RegExp(
        `^${id}  partner-7  export  orders:read orders:create  ends 20.*  old secret until 20.*  used 20`,
      ),
    )

    expect(await ask(`keys revoke ${id}`)).toEqual({
      code: 0,
      out: '',
      err: `The key ${id} of partner-7 is revoked.\n`,
    })
    await check(key, 401)
    await check(rotated.out.trim(), 401)
    expect((await ask('keys list')).out).toMatch(/revoked 20/)
    expect(await ask(`keys rotate ${id}`)).toMatchObject({
      code: 1,
      out: '',
      err: 'There is no such key, or it is over.\n',
    })
  })

  test('that there are not are said to be none', async () => {
    expect(await ask('keys revoke nobody')).toEqual({ code: 1, out: '', err: 'There is no such key.\n' })
    expect(await ask('keys rotate nobody')).toMatchObject({ code: 1, out: '' })
  })

  test('that cannot be are refused with the rule', async () => {
    const bad = await ask('keys create --owner a --endless --cidr everywhere')
    expect(bad).toMatchObject({ code: 2, out: '' })
    expect(bad.err).toMatch(/^create\.cidrs must list CIDR ranges/)
  })
})

describe('what was asked in a wrong way is 2, and opens nothing', () => {
  const never = () => {
    throw new Error('nothing may be loaded')
  }
  test.each([
    ['keys', 'There is no command "keys".'],
    ['keys destroy', 'There is no command "keys destroy".'],
    ['keys __proto__', 'There is no command'],
    ['key create', 'There is no command "key create".'],
    ['keys create', '--owner says who gets the key'],
    ['keys create --owner a', '--days says how long the key is good; --endless, that it has no end'],
    ['keys create --owner a --days 1 --endless', '--days says how long'],
    ['keys create --owner a --days 1.5', '--days must be a whole number'],
    ['keys create --owner a --days 0', '--days must be a whole number of at least 1'],
    ['keys create --owner a --days -1', 'An option is unknown, or lacks its value'],
    ['keys create --owner a --days 1 --limit 5', '--limit and --window-seconds belong together'],
    ['keys create --owner a --days 1 --secret hunter2', 'An option is unknown, or lacks its value'],
    ['keys create --owner a --days 1 extra', 'It takes options only'],
    ['keys rotate', 'It takes the id of one key'],
    ['keys rotate a b', 'It takes the id of one key'],
    ['keys rotate a --grace-hours soon', '--grace-hours must be a whole number'],
    ['keys revoke', 'It takes the id of one key'],
  ])('%s', async (args, message) => {
    const { code, out, err } = await cli(args, {}, never)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(message)
    expect(err).not.toContain('hunter2')
    expect(err).toContain('Usage: secure-api keys')
  })
})

describe('what is missing is named', () => {
  const env = { SECURE_API_PEPPER: pepper, SECURE_API_STORE: 'redis://127.0.0.1:1' }

  test.each<[string, Record<string, string>, (name: string) => unknown, string, number?]>([
    [
      'the pepper',
      { SECURE_API_STORE: 'redis://127.0.0.1:1' },
      load,
      'Set SECURE_API_PEPPER to the pepper that the API has',
      2,
    ],
    ['the store', { SECURE_API_PEPPER: pepper }, load, 'Set SECURE_API_STORE to the URL of the store', 2],
    [
      'a kind of store',
      { ...env, SECURE_API_STORE: 'mysql://a:hunter2@b' },
      load,
      'SECURE_API_STORE must begin with redis://, rediss:// or postgres://',
      2,
    ],
    ['a server', { ...env, SECURE_API_STORE: 'redis://a:hunter2@127.0.0.1:1' }, load, 'Connection is closed'],
    ['a database', { ...env, SECURE_API_STORE: 'postgres://a:hunter2@127.0.0.1:1/b' }, load, 'ECONNREFUSED'],
  ])('%s', async (_what, given, loading, message, expected = 1) => {
    const { code, out, err } = await cli('keys list', given, loading)
    expect({ code, out }).toEqual({ code: expected, out: '' })
    expect(err).toContain(message)
    expect(err).not.toContain('hunter2')
  })

  test.each([
    ['redis://127.0.0.1:1', 'npm install ioredis'],
    ['postgres://127.0.0.1:1/b', 'npm install pg'],
  ])('the driver for %s', async (url, line) => {
    const nothing = (name: string) => {
      throw Object.assign(new Error(`Cannot find module '${name}'`), { code: 'MODULE_NOT_FOUND' })
    }
    const { code, err } = await cli('keys list', { ...env, SECURE_API_STORE: url }, nothing)
    expect(code).toBe(1)
    expect(err).toBe(`The store needs a driver, which this project does not have. Run: ${line}\n`)
  })

  test('a driver that is there and broken is not said to be missing', async () => {
    const { code, err } = await cli('keys list', env, lacking('ioredis'))
    expect(code).toBe(1)
    expect(err).toContain('ioredis-that-is-not-there')
  })

  test('a weak pepper', async () => {
    const { code, err } = await cli('keys list', { ...env, SECURE_API_PEPPER: 'hunter2' }, () => {
      class Client {
        readonly connect = async () => undefined
        readonly disconnect = () => undefined
        readonly evalsha = () => undefined
        readonly on = () => undefined
      }
      return { Redis: Client }
    })
    expect({ code, err }).toEqual({
      code: 2,
      err: 'apiKeys.pepper must have at least 32 bytes, got 7; make one with: openssl rand -base64 48\n',
    })
  })
})

test('the built program runs by the name that the package gives it, and says how', () => {
  if (!isBuilt()) throw new Error('dist is missing or older than its sources. Run: npm run build')
  const folder = mkdtempSync(join(tmpdir(), 'secure-api-cli-'))
  const program = join(ROOT, packageJson.bin['secure-api'])
  try {
    // As npm does when it links a program.
    chmodSync(program, 0o755)
    symlinkSync(program, join(folder, 'secure-api'))
    const { status, stdout, stderr } = spawnSync(join(folder, 'secure-api'), ['--help'], { encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: secure-api keys <command>/)
    const refused = spawnSync(join(folder, 'secure-api'), ['keys', 'destroy'], {
      encoding: 'utf8',
      cwd: folder,
    })
    expect(refused.status).toBe(2)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
