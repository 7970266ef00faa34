import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express4 from 'express4'
import express5 from 'express'
import request from 'supertest'
import type { StandardSchema } from '../src/data/standard-schema.js'
import { defineStage } from '../src/kernel/define.js'
import type { Method } from '../src/identity/method.js'
import type { Log } from '../src/kernel/ports.js'
import type { Stage } from '../src/kernel/stage.js'
import type { SecureApiOptions } from '../src/secure-api.js'
import { sendJson, silent, testApi } from './support/api.js'

/** What a function of the application's may do instead of its work. It is given wherever another type is asked for. */
type Bad = () => never

const promised = (): Promise<unknown> => Promise.reject(new Error('a hook rejected'))

const THROWS = {
  'throws an error': () => {
    throw new Error('a hook threw')
  },
  'throws nothing': () => {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- what an application may do
    throw undefined
  },
  'throws a string': () => {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- what an application may do
    throw 'a hook threw'
  },
  'rejects, which is a promise besides': promised as Bad,
} satisfies Record<string, Bad>

const ways: [how: string, bad: Bad][] = Object.entries(THROWS)

interface Hook {
  readonly options: (bad: Bad) => Partial<SecureApiOptions>
  /** What the client gets. */
  readonly status: number
  readonly code?: string
  /** The reply that the hook should have worked on is not sent, but its handler ran. */
  readonly handled?: true
  /** Sent as nobody. */
  readonly anonymous?: true
}

const broken = { status: 500, code: 'broken' }
const served = { status: 200, handled: true } as const

const dir = mkdtempSync(join(tmpdir(), 'secure-api-hooks-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
let files = 0

const logOf = (bad: Bad) => ({ info: bad, warn: bad, error: bad })
const quiet = logOf(() => undefined as never)
const extra = (stage: Omit<Stage, 'name'>) => ({
  extra: [{ after: 'auth', stage: defineStage('own', () => stage)() }],
})
const schema = (validate: Bad): StandardSchema => ({
  '~standard': { version: 1, vendor: 'own', validate },
})
const method = (how: Partial<Method>) =>
  defineStage('own', (): Omit<Method, 'name'> => ({
    methodName: 'own',
    challenge: () => 'Own',
    recognises: () => true,
    enter: () => undefined,
    ...how,
  }))()
const failing = { counters: { hit: () => Promise.reject(new Error('down')) } }

/** Every function that an application can hand to the package, and what is due when it fails. */
const hooks: Record<string, Hook> = {
  'rateLimit.key': { options: (key) => ({ rateLimit: { key } }), ...broken },
  'rateLimit.cost': { options: (cost) => ({ rateLimit: { cost } }), ...broken },
  'rateLimit.key, in report mode': { options: (key) => ({ rateLimit: { key }, mode: 'report' }), ...broken },
  'quota.key': { options: (key) => ({ quota: { key } }), ...broken },
  'quota.cost': { options: (cost) => ({ quota: { cost } }), ...broken },
  'rateLimit.key of a route': {
    options: (key) => ({ routes: { 'GET /orders': { rateLimit: { name: 'own', key } } } }),
    ...broken,
  },
  'store.counters.hit, of a limit that is closed without it': {
    options: (hit) => ({ store: { counters: { hit } }, rateLimit: { whenStoreFails: 'closed' } }),
    status: 503,
    code: 'store-unavailable',
  },
  'store.counters.hit, of a limit that this process can count': {
    options: (hit) => ({ store: { counters: { hit } }, rateLimit: { limit: 1 } }),
    ...served,
  },
  fetch: { options: (fetch) => ({ fetch }), status: 503, code: 'identity-provider-unavailable' },
  'respond, to a refusal': {
    options: (respond) => ({ respond }),
    status: 401,
    code: 'unauthenticated',
    anonymous: true,
  },
  'respond, to a refusal that comes later': {
    options: (respond) => ({ respond, store: failing, rateLimit: { whenStoreFails: 'closed' } }),
    status: 503,
    code: 'store-unavailable',
  },
  'log, of a store that fails': {
    options: (bad) => ({ log: logOf(bad), store: failing, rateLimit: { whenStoreFails: 'closed' } }),
    status: 503,
    code: 'store-unavailable',
  },
  'log, of an identity provider that fails': {
    options: (bad) => ({ log: logOf(bad), fetch: () => Promise.reject(new Error('down')) }),
    status: 503,
    code: 'identity-provider-unavailable',
  },
  'log, of something broken': {
    options: (bad) => ({ log: logOf(bad), rateLimit: { key: THROWS['throws an error'] } }),
    ...broken,
  },
  'audit.logger': { options: (bad) => ({ audit: { logger: logOf(bad) } }), ...served },
  'audit.logger and log': {
    options: (bad) => ({ audit: { logger: logOf(bad) }, log: logOf(bad) }),
    ...served,
  },
  'audit.redact': { options: (redact) => ({ audit: { logger: quiet, redact } }), ...served },
  'audit.file.onCheckpoint': {
    options: (onCheckpoint) => ({
      audit: { file: { path: join(dir, `${++files}.log`), checkpointEvery: 1, onCheckpoint } },
    }),
    ...served,
  },
  'auth, whether a method of your own recognises a credential': {
    options: (recognises) => ({ auth: [method({ recognises })] }),
    ...broken,
  },
  'auth, whether a method that is not asked recognises one': {
    options: (recognises) => ({
      auth: {
        any: [method({ recognises: () => false }), method({ methodName: 'other', recognises })],
        methods: ['own'],
      },
      routes: { 'GET /orders': { auth: { optional: true } } },
    }),
    ...broken,
    anonymous: true,
  },
  'auth, a method of your own that decides': {
    options: (enter) => ({ auth: [method({ enter })] }),
    ...broken,
  },
  'rbac.claims.roles': {
    options: (roles) => ({
      rbac: { roles: { clerk: ['orders:read'] }, claims: { roles } },
      routes: { 'GET /orders': { rbac: 'orders:read' } },
    }),
    ...broken,
  },
  'a policy': { options: (a) => ({ policy: { a } }), ...broken },
  'a policy behind one that waits': {
    options: (b) => ({ policy: { a: () => Promise.resolve(true), b } }),
    ...broken,
  },
  'a policy, in report mode': { options: (a) => ({ policy: { a }, mode: 'report' }), ...broken },
  'ownership.load': {
    options: (load) => ({ routes: { 'GET /orders': { ownership: { load, owner: 'a' } } } }),
    ...broken,
  },
  'ownership.owner': {
    options: (owner) => ({ ownership: { load: () => ({}), owner } }),
    ...broken,
  },
  'ownership.owner of what comes later, in report mode': {
    options: (owner) => ({ ownership: { load: () => Promise.resolve({}), owner }, mode: 'report' }),
    ...broken,
  },
  'mask, a style': {
    options: (style) => ({ mask: { secret: style } }),
    status: 500,
    code: 'unshapable',
    handled: true,
  },
  'mask, the claims of an unless rule': {
    options: (roles) => ({
      rbac: { roles: { clerk: ['pii:read'] }, claims: { roles } },
      mask: { secret: { as: 'redact', unless: 'pii:read' } },
    }),
    status: 500,
    code: 'unshapable',
    handled: true,
  },
  'validate, a Standard Schema': {
    options: (validate) => ({ routes: { 'GET /orders': { validate: { query: schema(validate) } } } }),
    ...broken,
  },
  'a stage of your own, on entering': { options: (enter) => extra({ enter }), ...broken },
  'a stage of your own, on entering, in report mode': {
    options: (enter) => ({ ...extra({ enter }), mode: 'report' }),
    ...broken,
  },
  'a stage of your own, on shaping': {
    options: (shape) => extra({ shape }),
    status: 500,
    code: 'unshapable',
    handled: true,
  },
  'a stage of your own, on settling': { options: (settle) => extra({ settle }), ...served },
}

const SECRET = 'the-secret-of-the-handler'
type Handler = (req: unknown, res: ServerResponse) => void

/** How an application stands behind the pipeline. */
const doors: Record<string, (api: ReturnType<typeof testApi>['api'], handler: Handler) => Server> = {
  'the front door': (api, handler) => createServer(api.protect(handler)),
  'Express 5': (api, handler) => createServer(express5().use(api).get('/orders', handler).use(api.errors())),
  'Express 4': (api, handler) => createServer(express4().use(api).get('/orders', handler).use(api.errors())),
}

describe.each(Object.entries(doors))('behind %s', (_door, open) => {
  describe.each(Object.entries(hooks))('%s', (_hook, { options, status, code, handled, anonymous }) => {
    test.each(ways)('that %s crashes nothing and lets nobody through', async (_way, bad) => {
      const lost: unknown[] = []
      const loses = (reason: unknown): void => void lost.push(reason ?? 'nothing')
      process.on('unhandledRejection', loses)
      let ran = 0
      const { api, as } = testApi(options(bad))
      const server = open(api, (_req, res) => {
        ran++
        sendJson(res, { secret: SECRET })
      })
      try {
        const asking = request(server).get('/orders')
        const reply = await (anonymous ? asking : asking.set('Authorization', as({ roles: ['clerk'] })))
        // The process hears of a rejection that nobody asks for after the turn in which it came.
        for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)

        expect(reply.status).toBe(status)
        expect(ran).toBe(handled ? 1 : 0)
        if (status === 200) expect(reply.text).toContain(SECRET)
        else {
          expect(JSON.parse(reply.text)).toMatchObject({ code, status })
          expect(reply.text).not.toMatch(/hook|handler/)
        }
        expect(lost).toEqual([])
      } finally {
        process.off('unhandledRejection', loses)
        await api.close()
      }
    })
  })
})

test('a handler that throws nothing, behind a stage that waits, is broken and runs once', async () => {
  const waiting = defineStage('own', () => ({ enter: () => Promise.resolve() }))()
  const { api, as } = testApi({ extra: [{ after: 'auth', stage: waiting }] })
  let ran = 0
  const server = createServer((req, res) =>
    api(req, res, (error) => {
      if (error !== undefined) {
        res.statusCode = 599
        return res.end()
      }
      ran++
      THROWS['throws nothing']()
    }),
  )
  await request(server).get('/').set('Authorization', as()).expect(599)
  expect(ran).toBe(1)
})

test('a log must be one', () => {
  for (const log of [null, {}, { info: silent.info, warn: silent.warn }]) {
    expect(() => testApi({ log: log as Log })).toThrow('log must have the methods info, warn and error')
  }
})
