import express from 'express'
import request from 'supertest'
import type { AccessFacts } from '../src/access/access-facts.js'
import { ownership } from '../src/access/ownership.js'
import { policy } from '../src/access/policy.js'
import { rbac } from '../src/access/rbac.js'
import { mask } from '../src/data/mask.js'
import { validate } from '../src/data/validate.js'
import { auth } from '../src/identity/auth.js'
import { bearer } from '../src/identity/bearer.js'
import { pipeline } from '../src/kernel/pipeline.js'
import type { Standalone } from '../src/kernel/define.js'
import type { StageMiddleware } from '../src/kernel/stage.js'
import { audit } from '../src/observe/audit.js'
import { secureApi, type SecureApiOptions } from '../src/secure-api.js'
import { fakeClock, localIssuer } from '../src/testing/index.js'
import { quota } from '../src/traffic/quota.js'
import { rateLimit } from '../src/traffic/rate-limit.js'
import { headers } from '../src/transport/headers.js'
import { silent } from './support/api.js'

const clock = fakeClock()
const issuer = localIssuer({ clock })
const identity = () => bearer({ issuer: issuer.issuer, audience: issuer.audience })
const outside = { clock, log: silent, fetch: issuer.fetch }
const roles = { clerk: ['orders:read'] }
const Order = { type: 'object', required: ['item'], properties: { item: { type: 'string' } } }
const not13 = ({ principal }: AccessFacts) => principal.subject !== '13'
const anns = ({ principal }: Pick<AccessFacts, 'principal'>) =>
  principal.subject === 'nobody' ? undefined : { owner: 'ann' }
const events: object[] = []
const logger = { info: keep, warn: keep, error: keep }

/** One behaviour: how each door is told about it, what is sent, and what comes of it. */
interface Behaviour {
  readonly alone: (standalone: Standalone) => StageMiddleware[]
  readonly settings: Partial<SecureApiOptions>
  readonly send: {
    token?: object | string
    body?: object
    status: number
    code?: string
    header?: [string, RegExp]
    shows?: RegExp
    hides?: RegExp
  }[]
  readonly afterwards?: () => void
}

const behaviours: Record<string, Behaviour> = {
  auth: {
    alone: (standalone) => [auth([identity()], standalone)],
    settings: { auth: [identity()] },
    send: [
      { status: 401, code: 'unauthenticated', header: ['www-authenticate', /^Bearer realm="api"$/] },
      {
        token: 'rubbish',
        status: 401,
        code: 'invalid-token',
        header: ['www-authenticate', /error="invalid_token"/],
      },
      {
        token: 'a b',
        status: 400,
        code: 'invalid-request',
        header: ['www-authenticate', /error="invalid_request"/],
      },
      { token: { exp: 1 }, status: 401, code: 'invalid-token' },
      { token: {}, status: 200 },
    ],
  },
  rbac: {
    alone: (standalone) => [
      auth([identity()], standalone),
      rbac({ require: { all: ['orders:read', { scope: 'orders' }] }, roles }, standalone),
    ],
    settings: { auth: [identity()], rbac: { roles, default: { all: ['orders:read', { scope: 'orders' }] } } },
    send: [
      { token: {}, status: 403, code: 'forbidden' },
      {
        token: { roles: ['clerk'] },
        status: 403,
        code: 'insufficient-scope',
        header: ['www-authenticate', /error="insufficient_scope".*scope="orders"/],
      },
      { token: { roles: ['clerk'], scope: 'orders' }, status: 200 },
    ],
  },
  ownership: {
    alone: (standalone) => [
      auth([identity()], standalone),
      ownership({ load: anns, owner: 'owner', unless: 'orders:read', roles }, standalone),
    ],
    settings: {
      auth: [identity()],
      rbac: { roles },
      ownership: { load: anns, owner: 'owner', unless: 'orders:read' },
    },
    send: [
      { token: { sub: 'bob' }, status: 404, code: 'not-found' },
      { token: { sub: 'nobody' }, status: 404, code: 'not-found' },
      { token: { sub: 'ann' }, status: 200 },
      { token: { sub: 'bob', roles: ['clerk'] }, status: 200 },
    ],
  },
  policy: {
    alone: (standalone) => [auth([identity()], standalone), policy({ 'not-13': not13 }, standalone)],
    settings: { auth: [identity()], policy: { 'not-13': not13 } },
    send: [
      { token: { sub: '13' }, status: 403, code: 'forbidden' },
      { token: { sub: '12' }, status: 200 },
    ],
  },
  validate: {
    alone: (standalone) => [validate({ body: Order }, standalone)],
    settings: { auth: false, validate: { body: Order } },
    send: [
      { body: { item: 1 }, status: 422, code: 'invalid-input' },
      { body: { item: 'x', admin: true }, status: 422, code: 'invalid-input' },
      { body: { item: 'x' }, status: 200, shows: /"item":"x"/ },
    ],
  },
  rateLimit: {
    alone: (standalone) => [rateLimit({ limit: 2 }, standalone)],
    settings: { auth: false, rateLimit: { limit: 2 } },
    send: [
      { status: 200, header: ['ratelimit', /^"default";r=1;t=60$/] },
      { status: 200, header: ['ratelimit-policy', /^"default";q=2;w=60$/] },
      { status: 429, code: 'rate-limited', header: ['retry-after', /^60$/] },
    ],
  },
  quota: {
    alone: (standalone) => [auth([identity()], standalone), quota({ limit: 1 }, standalone)],
    settings: { auth: [identity()], rateLimit: false, quota: { limit: 1 } },
    send: [
      { token: { sub: 'a' }, status: 200 },
      { token: { sub: 'b' }, status: 200 },
      { token: { sub: 'a' }, status: 429, code: 'quota-exceeded', header: ['retry-after', /^60$/] },
    ],
  },
  headers: {
    alone: (standalone) => [headers({}, standalone)],
    settings: { auth: false },
    send: [
      { status: 200, header: ['content-security-policy', /^default-src 'none';frame-ancestors 'none'$/] },
    ],
  },
  audit: {
    alone: (standalone) => [audit({ logger }, standalone), auth([identity()], standalone)],
    settings: { auth: [identity()], audit: { logger } },
    send: [
      { status: 401, code: 'unauthenticated' },
      { token: { sub: 'ada' }, status: 200 },
    ],
    afterwards: () => {
      expect(events.filter((event) => (event as { kind: string }).kind !== 'undecided')).toMatchObject([
        { kind: 'decision', outcome: 'refused', stage: 'auth', code: 'unauthenticated' },
        { kind: 'request', outcome: 'answered' },
      ])
      expect(JSON.stringify(events)).toContain('ada')
    },
  },
  mask: {
    alone: (standalone) => [
      auth([identity()], standalone),
      mask({ fields: { secret: { as: 'redact', unless: 'orders:read' } }, roles }, standalone),
    ],
    settings: {
      auth: [identity()],
      rbac: { roles },
      mask: { secret: { as: 'redact', unless: 'orders:read' } },
    },
    send: [
      { token: {}, status: 200, hides: /canary/ },
      { token: { roles: ['clerk'] }, status: 200, shows: /canary/ },
    ],
  },
}

const doors: [string, (behaviour: Behaviour) => ((req: never, res: never, next: never) => void)[]][] = [
  ['alone', ({ alone }) => alone(outside)],
  ['in pipeline()', ({ alone }) => [pipeline(alone({}), outside)]],
  ['in secureApi()', ({ settings }) => [secureApi({ auth: false, audit: false, ...settings, ...outside })]],
]

describe.each(Object.keys(behaviours))('%s', (row) => {
  test.each(doors)('behaves the same %s', async (_door, open) => {
    events.length = 0
    clock.advance(3_600_000)
    const behaviour = behaviours[row]!
    let handled = 0
    const app = express()
    for (const middleware of open(behaviour)) app.use(middleware as never)
    app.post('/', (req, res) => {
      handled++
      res.json({ secret: 'canary', body: req.body as unknown })
    })

    for (const { token, body, status, code, header, shows, hides } of behaviour.send) {
      const before = handled
      const call = request(app).post('/')
      if (token !== undefined)
        void call.set(
          'Authorization',
          `Bearer ${typeof token === 'string' ? token : issuer.mint({ ...token })}`,
        )
      const reply = await call.send(body)

      expect([reply.status, code]).toEqual([
        status,
        status === 200 ? undefined : (JSON.parse(reply.text) as { code: string }).code,
      ])
      expect(handled - before).toBe(status === 200 ? 1 : 0)
      if (status !== 200) {
        expect(reply.headers['content-type']).toBe('application/problem+json; charset=utf-8')
        expect(reply.headers['cache-control']).toBe('no-store')
      }
      if (header !== undefined) expect(reply.headers[header[0]]).toMatch(header[1])
      if (shows !== undefined) expect(reply.text).toMatch(shows)
      if (hides !== undefined) expect(reply.text).not.toMatch(hides)
    }
    await new Promise((resolve) => setImmediate(resolve))
    behaviour.afterwards?.()
  })
})

describe('a stage alone whose needs are missing refuses', () => {
  const served = async (stage: StageMiddleware) => {
    const app = express()
    app.use(stage as never)
    app.get('/', (_req, res) => void res.json({ secret: 'canary' }))
    return request(app).get('/')
  }

  test('rbac: nobody is known, so 401', async () => {
    const reply = await served(rbac('orders:read', outside))
    expect([reply.status, JSON.parse(reply.text).code]).toEqual([401, 'unauthenticated'])
    expect(reply.headers['www-authenticate']).toMatch(/^Bearer/)
  })

  test('mask: nobody is known, so everything is masked', async () => {
    const reply = await served(mask({ secret: { as: 'redact', unless: 'orders:read' } }, outside))
    expect(reply.status).toBe(200)
    expect(reply.text).not.toContain('canary')
  })

  test('quota: nobody is known, so the address is counted', async () => {
    const stage = quota({ limit: 1 }, outside)
    expect((await served(stage)).status).toBe(200)
    expect((await served(stage)).status).toBe(429)
  })
})

test('a pipeline whose needs are unmet does not start', () => {
  expect(() => pipeline([rbac('orders:read'), auth([identity()])])).toThrow(/rbac needs the principal/)
  expect(() => pipeline([express.json() as never])).toThrow(/entry 0 is no stage/)
})

function keep(event: object): void {
  events.push({ ...event })
}
