import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import express from 'express'
import request from 'supertest'
import { bearer } from '../../src/identity/bearer.js'
import { defineStage } from '../../src/kernel/define.js'
import type { Log, Store } from '../../src/kernel/ports.js'
import { secureApi, type SecureApiOptions } from '../../src/secure-api.js'
import { fakeClock, localIssuer } from '../../src/testing/index.js'

/** What is planted in requests, and must be found nowhere but in the handler. */
const secrets = {
  apiKey: 'canary-api-key-5f2c',
  password: 'canary-password-91ab',
  card: '4929123456781234',
  cookie: 'canary-cookie-77de',
  query: 'canary-query-03bc',
  claim: 'canary-claim-4e4e',
  kid: 'canary-kid-19f0',
}

const clock = fakeClock()
const issuer = localIssuer({ clock })
const directory = mkdtempSync(join(tmpdir(), 'secure-api-canary-'))
afterAll(() => rmSync(directory, { recursive: true }))

/** Everything that anybody but the client and the handler could read. */
const outside: string[] = []
const keep = (...seen: unknown[]) => void outside.push(inspect(seen, { depth: 20, maxStringLength: null }))
const log: Log = { info: keep, warn: keep, error: keep }
beforeAll(() => {
  for (const name of ['log', 'info', 'warn', 'error', 'debug'] as const)
    jest.spyOn(console, name).mockImplementation(keep)
})
afterAll(() => jest.restoreAllMocks())

const tracing = defineStage('tracing', () => ({ settle: (ctx) => keep(ctx.trace, ctx.problem, ctx.rule) }))
const brokenStore: Store = {
  counters: { hit: () => Promise.reject(new Error('the store is away')) },
}
const order = {
  type: 'object',
  properties: {
    item: { enum: ['x'] },
    password: { type: 'string', maxLength: 64 },
    card: { type: 'string' },
  },
}

function apiWith(options: Partial<SecureApiOptions> = {}) {
  const file = join(directory, `${Math.random().toString(36).slice(2)}.log`)
  const api = secureApi({
    auth: [bearer({ issuer: issuer.issuer, audience: issuer.audience })],
    cors: { origins: ['https://app.example.com'] },
    rbac: { roles: { clerk: ['orders:create'] } },
    mask: { '**.password': 'redact', '**.card': 'last4' },
    audit: { logger: { info: keep, warn: keep, error: keep }, file },
    extra: [{ after: 'requestId', stage: tracing() }],
    routes: {
      'POST /orders': { validate: { body: order } },
      'GET /search': { validate: { query: { type: 'object', properties: { n: { type: 'integer' } } } } },
      'GET /cookies': { validate: { cookies: { type: 'object', properties: { s: { type: 'integer' } } } } },
      'GET /staff': { rbac: 'orders:create' },
      'GET /scoped': { rbac: { scope: 'orders:write' } },
    },
    trace: true,
    clock,
    log,
    fetch: issuer.fetch,
    ...options,
  })
  const app = express()
  app.use(api)
  app.use((req, res) => void res.json({ password: secrets.password, card: secrets.card, ok: true }))
  app.use(api.errors())
  return { api, app, file }
}

type Send = (app: express.Express) => request.Test

const token = (claims: object = {}, options: object = {}) =>
  `Bearer ${issuer.mint({ note: secrets.claim, ...claims }, options)}`
const get =
  (path: string, headers: Record<string, string | string[]> = {}): Send =>
  (app) =>
    request(app)
      .get(path)
      .set({
        Authorization: token(),
        'X-Api-Key': secrets.apiKey,
        Cookie: `s=${secrets.cookie}`,
        ...headers,
      } as never)
const post =
  (text: string | Buffer, headers: Record<string, string> = {}): Send =>
  (app) =>
    request(app)
      .post('/orders')
      .set({
        Authorization: token(),
        'Content-Type': 'application/json',
        Cookie: `s=${secrets.cookie}`,
        ...headers,
      })
      .serialize((given) => given as string)
      .send(text as string)
const body = (more = '') => `{"password":"${secrets.password}","card":"${secrets.card}"${more}}`
const query = `?q=${secrets.query}`

const EXCHANGES: [what: string, send: Send, status: number, options?: Partial<SecureApiOptions>][] = [
  ['a success', get(`/${query}`), 200],
  ['a success with a body', post(body()), 200],
  ['an ambiguous path', get(`/a%2fb${query}`), 400],
  ['an unknown method', (app) => request(app).trace(`/${query}`).set('X-Api-Key', secrets.apiKey), 405],
  ['a foreign host', get(`/${query}`), 400, { firewall: { hosts: ['api.example.com'] } }],
  [
    'a foreign origin',
    (app) =>
      request(app)
        .options(`/${query}`)
        .set({ Origin: `https://${secrets.query}.test`, 'Access-Control-Request-Method': 'GET' }),
    403,
  ],
  ['no credential', (app) => request(app).get(`/${query}`).set('X-Api-Key', secrets.apiKey), 401],
  ['another scheme', get('/', { Authorization: `Basic ${secrets.password}` }), 401],
  ['credentials that are malformed', get('/', { Authorization: `Bearer ${secrets.password} x` }), 400],
  ['a token that is none', get('/', { Authorization: `Bearer ${secrets.password}` }), 401],
  ['a forged token', get('/', { Authorization: `${token().slice(0, -20)}AAAAAAAAAAAAAAAAAAAA` }), 401],
  [
    'a token of another issuer',
    get('/', { Authorization: token({ iss: `https://${secrets.claim}.test` }) }),
    401,
  ],
  ['a token for another audience', get('/', { Authorization: token({ aud: secrets.claim }) }), 401],
  ['an old token', get('/', { Authorization: token({ iat: 1, exp: 2 }) }), 401],
  [
    'a token of another type',
    get('/', { Authorization: token({}, { header: { typ: secrets.claim } }) }),
    401,
  ],
  [
    'a token with another algorithm',
    get('/', { Authorization: token({}, { header: { alg: secrets.claim }, algorithm: 'ES256' }) }),
    401,
  ],
  [
    'a token of an unknown key',
    get('/', { Authorization: token({}, { header: { kid: secrets.kid } }) }),
    401,
    { auth: [bearer({ issuer: issuer.issuer, audience: issuer.audience, keys: issuer.jwks.keys })] },
  ],
  [
    'a token with its own key set',
    get('/', { Authorization: token({}, { header: { jku: `https://${secrets.kid}.test` } }) }),
    401,
  ],
  [
    'an identity provider that is away',
    get('/'),
    503,
    { fetch: () => Promise.reject(new TypeError('fetch failed')) },
  ],
  ['a limit', get(`/${query}`), 429, { rateLimit: { limit: 1, cost: () => 2 } }],
  ['a quota', get(`/${query}`), 429, { quota: { limit: 1, cost: () => 2 } }],
  [
    'a store that is away',
    get(`/${query}`),
    503,
    { store: brokenStore, rateLimit: { whenStoreFails: 'closed' } },
  ],
  ['a store that is away, and counting here', get(`/${query}`), 200, { store: brokenStore }],
  ['no permission', get(`/staff${query}`), 403],
  ['no scope', get(`/scoped${query}`), 403],
  ['a body that is no JSON', post(`{"password":${secrets.password}`), 400],
  ['a name twice', post(`{"${secrets.password}":1,"${secrets.password}":2}`), 400],
  ['a prototype', post(body(`,"__proto__":{"a":"${secrets.card}"}`)), 400],
  ['bytes that are no text', post(Buffer.concat([Buffer.from(body()), Buffer.from([0xff])])), 400],
  ['broken compression', post(body(), { 'Content-Encoding': 'gzip' }), 400],
  ['an unknown charset', post(body(), { 'Content-Type': `application/json; charset=${secrets.query}` }), 415],
  ['another type', post(body(), { 'Content-Type': 'text/plain' }), 415],
  ['a body that is too large', post(body(`,"a":"${secrets.password.repeat(10_000)}"`)), 413],
  ['a value that does not fit', post(body(`,"item":"${secrets.password}"`)), 422],
  ['a value that is too long', post(`{"password":"${secrets.password.repeat(9)}"}`), 422],
  ['a query that does not fit', get(`/search?n=${secrets.query}`), 422],
  ['a query that comes twice', get(`/search?n=${secrets.query}&n=${secrets.query}`), 400],
  ['a query that is malformed', get(`/search?n=${secrets.query}%ff`), 400],
  ['a cookie that does not fit', get('/cookies'), 422],
  ['an answer without a decision', get(`/${query}`), 500, { strict: true }],
  ['only a report', get(`/staff${query}`), 200, { mode: 'report' }],
]

/** The ways in which a secret could be written. */
function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret)
  // Within a longer text, base64 has one of three forms; their middles are enough to find it.
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64url')
      .slice(4, -4),
  )
  return [
    secret,
    secret.toUpperCase(),
    [...bytes].map((byte) => `%${byte.toString(16)}`).join(''),
    bytes.toString('hex'),
    ...base64,
  ]
}

function leaks(texts: readonly string[], planted: readonly string[]): string[] {
  const whole = texts.join('\n')
  return planted.filter((secret) => spellings(secret).some((spelling) => whole.includes(spelling)))
}

test.each(EXCHANGES)('%s tells nobody a secret (ASVS 16.2.5)', async (_what, send, status, options = {}) => {
  outside.length = 0
  const { api, app, file } = apiWith(options)
  if (options.fetch === undefined) await api.ready()
  const exchange = send(app)
  const sent = (exchange.get('Authorization') as string | undefined)?.split('.') ?? []

  const reply = await exchange.ok(() => true)
  await new Promise((resolve) => setImmediate(resolve))
  await api.close()

  expect(reply.status).toBe(status)
  outside.push(readFileSync(file, 'utf8'), JSON.stringify(reply.headers), reply.text)
  outside.push(inspect(api.check(app), { depth: 9 }), inspect(api.explain('POST /orders'), { depth: 9 }))
  expect(outside.join('').length).toBeGreaterThan(500)
  // The parts of the token, of which the first only says how it was signed.
  const parts = sent.length === 3 ? sent.slice(1) : []
  expect(leaks(outside, [...Object.values(secrets), ...parts])).toEqual([])
})

test('a canary that sings is heard', () => {
  for (const secret of Object.values(secrets)) {
    for (const told of [
      secret,
      encodeURIComponent(secret),
      Buffer.from(`{"a":"${secret}"}`).toString('base64url'),
    ])
      expect(leaks(['before', `x${told}y`, 'after'], Object.values(secrets))).toEqual([secret])
  }
})
