import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { isBuilt } from '../../scripts/prepare.mjs'
import type { TokenResponse } from '../../src/identity/tokens.js'
import { PrivatePostgres } from '../support/private-postgres.js'
import { PrivateRedis } from '../support/private-redis.js'
import { ROOT } from '../support/source-tree.js'

const secret = randomBytes(32).toString('base64')

/** An API with an issuer of its own in a process of its own. It says on which port it listens, and ends when its input does. */
const SERVER = `
  const { bearer, tokens, secureApi } = require('./dist/index.cjs')
  const express = require('express')
  const [kind, url, secret, graceMs] = process.argv.slice(1)
  const pg = kind === 'postgres' && new (require('pg').Pool)({ connectionString: url })
  const store = pg
    ? require('./dist/stores/postgres.cjs').postgres(pg)
    : require('./dist/stores/redis.cjs').redis(new (require('ioredis').Redis)(url))
  const issuer = 'https://api.test'
  const own = tokens({
    issuer, audience: issuer, store, keyRing: { secret }, graceMs: Number(graceMs), storeTimeoutMs: 10_000,
  })
  const isPublic = { public: true }
  const api = secureApi({
    auth: [bearer(own.bearerOptions)], audit: false, rateLimit: false, storeTimeoutMs: 10_000,
    routes: { 'POST /login': isPublic, 'POST /refresh': isPublic },
  })
  const app = express()
  app.post('/login', async (req, res) => res.json(await own.issue({ subject: 'user-1' }, req)))
  app.post('/refresh', own.refresh)
  app.post('/out', async (req, res) => {
    await own.endSubject(req.security.principal.subject)
    res.json({})
  })
  app.get('/me', (req, res) => res.json({}))
  app.use(api.errors())
  const server = require('node:http').createServer(api.protect(app))
  const ready = pg ? pg.query(require('./dist/stores/postgres.cjs').postgresSchema()).catch(() => undefined) : Promise.resolve()
  ready.then(() => server.listen(0, '127.0.0.1', () => process.stdout.write(server.address().port + '\\n')))
  process.stdin.resume().on('end', () => process.exit(0))
`

interface Api {
  readonly child: ChildProcess
  readonly post: (
    path: string,
    body: object,
    token?: string,
  ) => Promise<{ status: number; body: TokenResponse }>
  readonly me: (token: string) => Promise<number>
}

beforeAll(() => {
  if (!isBuilt()) throw new Error('dist is missing or older than its sources. Run: npm run build')
})

async function startApi(kind: string, url: string, graceMs: number): Promise<Api> {
  const child = spawn(process.execPath, ['--eval', SERVER, kind, url, secret, String(graceMs)], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [port] = (await once(child.stdout, 'data')) as [Buffer]
  const origin = `http://127.0.0.1:${String(port).trim()}`
  const bearing = (token: string | undefined) => ({
    ...(token !== undefined && { Authorization: `Bearer ${token}` }),
  })
  return {
    child,
    async post(path, body, token) {
      const headers = { 'Content-Type': 'application/json', ...bearing(token) }
      const reply = await fetch(origin + path, { method: 'POST', headers, body: JSON.stringify(body) })
      return { status: reply.status, body: (await reply.json()) as TokenResponse }
    },
    async me(token) {
      const reply = await fetch(`${origin}/me`, { headers: bearing(token) })
      await reply.arrayBuffer()
      return reply.status
    },
  }
}

describe.each([
  ['redis', () => PrivateRedis.start()],
  ['postgres', () => PrivatePostgres.start()],
] as const)('processes over one %s', (kind, start) => {
  let backend: { readonly url: string; stop(): Promise<void> }
  let strict: Api[]
  let graceful: Api[]
  beforeAll(async () => {
    backend = await start()
    const started = [0, 0, 10_000, 10_000].map((graceMs) => startApi(kind, backend.url, graceMs))
    const apis = await Promise.all(started)
    strict = apis.slice(0, 2)
    graceful = apis.slice(2)
  })
  afterAll(async () => {
    for (const { child } of [...strict, ...graceful]) {
      const gone = once(child, 'exit')
      child.stdin!.end()
      await gone
    }
    await backend.stop()
  })
  const login = async (api: Api) => (await api.post('/login', {})).body as Required<TokenResponse>
  const race = (apis: Api[], token: string) =>
    Promise.all([...apis, ...apis].map((api) => api.post('/refresh', { refresh_token: token })))

  test('understand one another\u2019s tokens, and log out everywhere from the next request on', async () => {
    const [one, two] = strict as [Api, Api]
    const first = await login(one)
    expect([await one.me(first.access_token), await two.me(first.access_token)]).toEqual([200, 200])
    await two.post('/out', {}, first.access_token)
    expect([await one.me(first.access_token), await two.me(first.access_token)]).toEqual([401, 401])
    expect((await one.post('/refresh', { refresh_token: first.refresh_token })).status).toBe(400)
  })

  test('racing on one refresh token let exactly one through; somebody had a copy, so the login is over', async () => {
    for (let round = 0; round < 5; round++) {
      const first = await login(strict[0]!)
      const replies = await race(strict, first.refresh_token)
      expect(replies.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400])
      const winner = replies.find(({ status }) => status === 200)!.body
      expect(await Promise.all(strict.map(({ me }) => me(winner.access_token)))).toEqual([401, 401])
      expect((await strict[1]!.post('/refresh', { refresh_token: winner.refresh_token })).status).toBe(400)
    }
  })

  test('racing within the grace, move on once: all get the same successor', async () => {
    for (let round = 0; round < 5; round++) {
      const first = await login(graceful[0]!)
      const replies = await race(graceful, first.refresh_token)
      expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200])
      const successors = new Set(replies.map(({ body }) => body.refresh_token))
      expect(successors.size).toBe(1)
      const [second] = [...successors] as [string]
      const { status, body } = await graceful[1]!.post('/refresh', { refresh_token: second })
      expect([status, await graceful[0]!.me(body.access_token)]).toEqual([200, 200])
      // Its successor was used: whoever comes with the first one now has a copy.
      expect((await graceful[0]!.post('/refresh', { refresh_token: first.refresh_token })).status).toBe(400)
      expect(await graceful[1]!.me(body.access_token)).toBe(401)
    }
  })
})
