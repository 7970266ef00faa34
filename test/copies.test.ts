import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import request from 'supertest'
import * as one from '../src/index.js'
import { RefusedError } from '../src/kernel/respond.js'
import { asIssued, asSession } from '../src/testing/index.js'
import { silent } from './support/api.js'

/** The package once more, as where one part of a process imports it and another one requires it. */
let other: typeof one
let otherRefused: typeof RefusedError
jest.isolateModules(() => {
  other = jest.requireActual<typeof one>('../src/index.js')
  otherRefused = jest.requireActual<{ RefusedError: typeof RefusedError }>(
    '../src/kernel/respond.js',
  ).RefusedError
})

type Json = ServerResponse & { json: (body: unknown) => void }

/** The API of one copy, with its record. */
function api(options: object = {}) {
  const events: Record<string, unknown>[] = []
  const keep = (event: object) => void events.push({ ...event })
  const made = one.secureApi({
    auth: false,
    rateLimit: false,
    log: silent,
    audit: { logger: { info: keep, warn: keep, error: keep } },
    ...options,
  })
  return { api: made, events }
}

test('there are two of them', () => {
  expect(other.secureApi).not.toBe(one.secureApi)
  expect(otherRefused).not.toBe(RefusedError)
})

test('two copies of the package share the context of a request', async () => {
  const { api: door } = api()
  const server = createServer(
    door.protect((req: IncomingMessage, res) => {
      expect(other.contextOf(req)).toBe(one.contextOf(req))
      res.setHeader('Content-Type', 'text/plain').end(other.contextOf(req)!.id)
    }),
  )
  const reply = await request(server).get('/').expect(200)
  expect(reply.text).toBe(reply.headers['x-request-id'])
})

test('a mask of the other copy stands in the same way of the same reply', async () => {
  const { api: door, events } = api({ mask: { card: 'redact' } })
  const inner = other.mask({ phone: 'redact' })
  const serve = (handler: (res: Json) => void) =>
    request(createServer(door.protect((req, res) => inner(req, res, () => handler(res as Json))))).get('/')

  await serve((res) => res.json({ card: '1', phone: '2', name: 'Ann' })).expect(200, {
    card: '[redacted]',
    phone: '[redacted]',
    name: 'Ann',
  })
  await serve((res) => res.end('{"phone":"2"}')).expect(500)
  expect(events.filter(({ kind }) => kind === 'decision')).toMatchObject([
    { code: 'unshapable', outcome: 'refused' },
  ])
})

test('a refusal of a stage of the other copy is on record here', async () => {
  const { api: door, events } = api()
  const limit = other.rateLimit({ limit: 1, windowMs: 60_000 })
  const server = createServer(door.protect((req, res) => limit(req, res, () => res.end('in'))))
  await request(server).get('/').expect(200)
  await request(server).get('/').expect(429)
  expect(events.filter(({ kind }) => kind !== 'undecided')).toMatchObject([
    { kind: 'request', outcome: 'answered' },
    { kind: 'decision', outcome: 'refused', code: 'rate-limited', stage: 'rateLimit' },
  ])
})

test('an error that carries a refusal of the other copy is answered as that refusal', async () => {
  const { api: door } = api()
  const server = createServer(
    door.protect(() => {
      throw new otherRefused(other.refuse('forbidden'))
    }),
  )
  const reply = await request(server).get('/').expect(403)
  expect(JSON.parse(reply.text)).toMatchObject({ code: 'forbidden' })
})

test('who was known by a session of the other copy is judged by csrf, rbac and stepUp of this one', async () => {
  const store = one.memory()
  const sessions = other.session({ store })
  const { api: door } = api({
    auth: [sessions],
    rbac: { roles: { clerk: ['orders:read'] } },
    routes: { 'GET /orders': { rbac: 'orders:read' }, 'GET /fresh': { stepUp: { amr: ['otp'] } } },
  })
  const server = createServer(door.protect((req, res) => res.end(one.contextOf(req)!.principal!.subject)))
  const { Cookie } = await asSession(sessions, {
    subject: 'ann',
    claims: { roles: ['clerk'] },
    factors: ['pwd'],
  })
  const ask = (method: 'get' | 'post', path: string, site: string) =>
    request(server)[method](path).set({ Cookie, 'Sec-Fetch-Site': site })

  expect((await ask('get', '/orders', 'same-origin').expect(200)).text).toBe('ann')
  expect(JSON.parse((await ask('post', '/orders', 'cross-site').expect(403)).text)).toMatchObject({
    code: 'cross-site-request',
  })
  await ask('post', '/orders', 'same-origin').expect(200)
  await ask('get', '/fresh', 'same-origin').expect(401)
})

test('endpoints of the other copy know the caller of this one', async () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const own = other.tokens({
    issuer: 'https://own.test',
    audience: 'orders',
    store: one.memory(),
    keys: [privateKey],
  })
  const otp = other.totp({ store: one.memory(), key: 'k'.repeat(16) + randomUUID(), issuer: 'Acme' })
  const { api: door } = api({ auth: [one.bearer(own.bearerOptions)] })
  const server = createServer(
    door.protect((req, res) => otp.handlers.status(req, res, () => res.end('nobody'))),
  )
  const fields = await asIssued(own, { subject: 'ann' })
  const reply = await request(server).get('/').set(fields).expect(200)
  expect(JSON.parse(reply.text)).toEqual({ active: false, recovery_codes_left: 0 })
  await request(server).get('/').expect(401)
})
