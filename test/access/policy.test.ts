import { createServer, type ServerResponse } from 'node:http'
import connectApp from 'connect'
import express5 from 'express'
import express4 from 'express4'
import request from 'supertest'
import { policy, type AccessFacts, type AccessPolicies, type AccessPolicy } from '../../src/index.js'
import type { Principal } from '../../src/kernel/context.js'
import { StoreUnavailable } from '../../src/kernel/store-unavailable.js'
import type { StageMiddleware } from '../../src/kernel/stage.js'
import { expectRefused, serve, type ServeOptions } from '../../src/testing/index.js'
import { sendJson, testApi } from '../support/api.js'
import { as, caller } from '../support/as.js'
import { leave } from '../support/raw.js'

const yes = () => true
const no = () => false

function behind(stage: StageMiddleware, options: ServeOptions = {}, principal?: Principal) {
  return serve([as(principal ?? caller()), stage], options)
}

/** What of a decision is on record. */
function recorded(events: readonly Record<string, unknown>[]) {
  return events
    .filter(({ kind }) => kind === 'decision')
    .map(({ outcome, stage, code, rule, reason }) => ({ outcome, stage, code, rule, reason }))
}

/** Resolves when `asked` was called, and never answers it by itself. */
function pending() {
  const heard: (() => void)[] = []
  let answer: (said: unknown) => void = () => undefined
  const asked = new Promise<void>((resolve) => heard.push(resolve))
  const ask = (() => {
    heard.forEach((tell) => tell())
    return new Promise((resolve) => (answer = resolve as typeof answer))
  }) as AccessPolicy
  return { ask, asked, answer: (said: unknown) => answer(said) }
}

describe('policy alone', () => {
  test('refuses whom nobody introduced (ASVS 8.2.1)', async () => {
    let asked = 0
    const { get, handled } = serve(policy({ open: () => ++asked > 0 }))

    await get('/').expect(expectRefused('unauthenticated')).expect('WWW-Authenticate', 'Bearer realm="api"')

    expect(asked).toBe(0)
    expect(handled()).toBe(0)
  })

  test.each<[string, AccessPolicies]>([
    ['one that says yes', { a: yes }],
    ['all of which say yes', { a: yes, b: () => Promise.resolve(true), c: () => ({ allow: true }) }],
    ['one that is named rules', { rules: yes }],
    ['one that is named timeoutMs', { timeoutMs: yes }],
    ['one with a verdict of no prototype', { a: () => Object.assign(Object.create(null), { allow: true }) }],
    ['one that says why', { a: () => ({ allow: true, rule: 'own', reason: 'it is theirs' }) }],
    ['one with more to say than anybody reads', { a: () => ({ allow: true, matched: ['x'] }) as never }],
  ])('lets pass by %s', async (_which, rules) => {
    const { get, handled } = behind(policy(rules))
    await get('/').expect(200)
    expect(handled()).toBe(1)
  })

  test.each<[string, AccessPolicies]>([
    ['one that says no', { a: no }],
    ['the first of them', { a: no, b: yes }],
    ['the last of them', { a: yes, b: no }],
    ['one that says no later', { a: yes, b: () => Promise.resolve(false), c: yes }],
    ['one behind one that takes its time', { a: () => Promise.resolve(true), b: no }],
    ['a verdict', { a: () => ({ allow: false }) }],
    ['a verdict that comes later', { a: () => Promise.resolve({ allow: false, reason: 'x' }) }],
  ])('forbids by %s, and does not say which (ASVS 8.3.1)', async (_which, rules) => {
    const { get, handled } = behind(policy(rules))

    const reply = await get('/').expect(expectRefused('forbidden'))

    expect(JSON.parse(reply.text)).toEqual({
      type: 'urn:secure-api:problem:forbidden',
      title: 'The caller may not do this.',
      status: 403,
      code: 'forbidden',
    })
    expect(reply.headers).not.toHaveProperty('www-authenticate')
    expect(handled()).toBe(0)
  })

  test('asks nobody behind one that said no', async () => {
    let asked = 0
    const later = () => Promise.resolve(++asked > 0)
    await behind(policy({ a: later, b: no, c: later }))
      .get('/')
      .expect(403)
    expect(asked).toBe(1)
  })

  const inherited = Object.create({ allow: true }) as never
  class Verdict {
    get allow() {
      return true
    }
  }
  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'yes'],
    ['an empty text', ''],
    ['one', 1],
    ['zero', 0],
    ['not a number', Number.NaN],
    ['an empty object', {}],
    ['a list', [true]],
    ['a function', yes],
    ['a symbol', Symbol('yes')],
    ['a boolean in a box', Object(true)],
    ['an inherited verdict', inherited],
    ['a verdict of a class', new Verdict()],
    ['a verdict with a text for yes', { allow: 'true' }],
    ['a verdict with nothing for no', { allow: undefined }],
    ['a verdict whose rule is no text', { allow: true, rule: 5 }],
    ['a verdict whose reason is no text', { allow: true, reason: { toString: () => 'x' } }],
    [
      'a verdict that cannot be read',
      new Proxy(
        {},
        {
          get: (_target, name) => {
            if (name === 'then') return undefined
            throw new Error('a trap')
          },
          getOwnPropertyDescriptor: () => {
            throw new Error('a trap')
          },
        },
      ),
    ],
  ])('takes %s for broken, at once and later', async (_what, said) => {
    for (const answer of [() => said, () => Promise.resolve(said)]) {
      const { get, handled } = behind(policy({ a: answer as AccessPolicy, b: yes }))
      await get('/').expect(expectRefused('broken'))
      expect(handled()).toBe(0)
    }
  })

  test('is not let in by what somebody put on all objects', async () => {
    const { get, handled } = behind(policy({ a: (() => ({})) as never }))
    Object.defineProperty(Object.prototype, 'allow', { value: true, configurable: true })
    try {
      await get('/').expect(expectRefused('broken'))
    } finally {
      delete (Object.prototype as { allow?: boolean }).allow
    }
    expect(handled()).toBe(0)
  })

  test('in report mode puts a no on record and lets the request through; what is broken stays broken', async () => {
    const enforcement = () => 'report' as const
    const told = behind(policy({ a: no }), { enforcement })
    await told.get('/').expect(200)
    expect(told.handled()).toBe(1)

    const broken = behind(policy({ a: (() => 'yes') as never }), { enforcement })
    await broken.get('/').expect(expectRefused('broken'))
    expect(broken.handled()).toBe(0)
  })
})

describe('a policy that waits', () => {
  test('with a promise inside its verdict is broken, and a rejection ends nothing', async () => {
    const unhandled: unknown[] = []
    const hear = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', hear)
    try {
      const allow = () => ({ allow: Promise.reject(new Error('away')) })
      const { get, handled } = serve([as(caller()), policy({ allow: allow as never })])
      await get('/').expect(expectRefused('broken'))
      await new Promise(setImmediate)
      expect([handled(), unhandled]).toEqual([0, []])
    } finally {
      process.off('unhandledRejection', hear)
    }
  })

  test('too long is unavailable, and what it says afterwards counts for nothing', async () => {
    const { ask, asked, answer } = pending()
    let others = 0
    const { get, clock, handled } = behind(
      policy({ rules: { slow: ask, other: () => ++others > 0 }, timeoutMs: 300 }),
    )
    const reply = get('/').then((one) => one)
    await asked
    clock.advance(299)
    clock.advance(1)

    expectRefused('policy-unavailable')(await reply)
    expect((await reply).headers['retry-after']).toBe('1')
    answer(true)
    await new Promise(setImmediate)
    expect(others).toBe(0)
    expect(handled()).toBe(0)
  })

  test('has a second, unless it is told otherwise, and all share it', async () => {
    const [first, second] = [pending(), pending()]
    const { get, clock } = behind(policy({ first: first.ask, second: second.ask }))
    const reply = get('/').then((one) => one)
    await first.asked
    clock.advance(600)
    first.answer(true)
    await second.asked
    clock.advance(400)
    expectRefused('policy-unavailable')(await reply)
  })

  test('in time lets the request through', async () => {
    const { ask, asked, answer } = pending()
    const { get, clock, handled } = behind(policy({ slow: ask }))
    const reply = get('/').then((one) => one)
    await asked
    clock.advance(999)
    answer(true)
    expect((await reply).status).toBe(200)
    expect(handled()).toBe(1)
  })

  test('asks no further when the caller has left', async () => {
    const { ask, asked, answer } = pending()
    let others = 0
    const { server, handled } = behind(policy({ slow: ask, other: () => ++others > 0 }))
    await leave(server, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', asked)
    answer(true)
    await new Promise(setImmediate)
    expect(others).toBe(0)
    expect(handled()).toBe(0)
  })

  test.each<[string, () => never | Promise<never>]>([
    [
      'at once',
      () => {
        throw new StoreUnavailable('away', 1, 2_500)
      },
    ],
    ['later', () => Promise.reject(new StoreUnavailable('away', 1, 2_500))],
  ])('on a store that is away is 503, %s', async (_when, ask) => {
    const { get, handled } = behind(policy({ a: yes, b: ask }))
    await get('/').expect(expectRefused('store-unavailable')).expect('Retry-After', '3')
    expect(handled()).toBe(0)
  })
})

describe('the facts', () => {
  test('are those of the request, and cannot be changed', async () => {
    let seen: Record<string, unknown> = {}
    const { get, clock } = behind(
      policy({
        look: (facts) => {
          const { principal, resource, params, query, headers, cookies, body } = facts
          const { method, route, path, clientIp, now } = facts
          seen = {
            subject: principal.subject,
            resource,
            params: { ...params },
            query,
            headers,
            cookies,
            body,
          }
          seen = { ...seen, method, route, path, clientIp, now }
          expect(() => Object.assign(facts, { principal: caller() })).toThrow(TypeError)
          expect(() => Object.assign(facts, { resource: {} })).toThrow(TypeError)
          expect(() => Object.assign(facts, { more: 1 })).toThrow(TypeError)
          expect(() => Object.assign(params, { id: '2' })).toThrow(TypeError)
          return true
        },
      }),
    )
    await get('/orders?id=1').expect(200)
    expect(seen).toEqual({
      ...{ subject: 'ann', params: {}, method: 'GET', path: '/orders', now: clock.now() },
      clientIp: expect.stringContaining('127.0.0.1') as string,
    })
  })

  test('without a schema have nothing of what nobody judged, and the body as it was read', async () => {
    const seen: unknown[] = []
    const { api, as: token } = testApi({
      routes: {
        'POST /orders/:id': {
          policy: {
            look: ({ query, headers, cookies, body }) => seen.push(query, headers, cookies, body) > 0,
          },
        },
      },
    })
    const app = express5()
    app.use(api)
    app.post('/orders/:id', (_req, res) => void res.json({}))
    await request(app)
      .post('/orders/7?a=1')
      .set({ Authorization: token(), Cookie: 'a=1' })
      .send({ amount: 5 })
      .expect(200)
    expect(seen).toEqual([undefined, undefined, undefined, { amount: 5 }])
  })

  test('with schemas are what the schemas made of them', async () => {
    let seen: unknown
    const { api, as: token } = testApi({
      routes: {
        'GET /orders/:id': {
          validate: {
            params: { type: 'object', properties: { id: { type: 'integer' } } },
            query: { type: 'object', properties: { limit: { type: 'integer', default: 20 } } },
          },
          policy: {
            look: ({ params, query, route }: AccessFacts) => {
              seen = { id: params['id'], query, route }
              return true
            },
          },
        },
      },
    })
    const app = express5()
    app.use(api)
    app.get('/orders/:id', (_req, res) => void res.json({}))
    await request(app).get('/orders/7').set('Authorization', token()).expect(200)
    expect(seen).toEqual({ id: 7, query: { limit: 20 }, route: 'GET /orders/:id' })
  })

  test('name the client behind a declared proxy (ASVS 8.2.4)', async () => {
    const { api, as: token } = testApi({
      trustProxy: 1,
      policy: { 'from-the-office': ({ clientIp }) => clientIp === '203.0.113.7' },
    })
    const server = createServer(api.protect((_req, res) => sendJson(res, {})))
    const from = (address: string) =>
      request(server).get('/').set({ Authorization: token(), 'X-Forwarded-For': address })
    await from('203.0.113.7').expect(200)
    await from('203.0.113.8').expect(expectRefused('forbidden'))
  })

  test('have the time of the clock port (ASVS 8.2.4)', async () => {
    const {
      api,
      as: token,
      clock,
    } = testApi({
      policy: { 'office-hours': ({ now }) => new Date(now).getUTCMinutes() < 1 },
    })
    const server = createServer(api.protect((_req, res) => sendJson(res, {})))
    await request(server).get('/').set('Authorization', token()).expect(200)
    clock.advance(60_000)
    await request(server).get('/').set('Authorization', token()).expect(expectRefused('forbidden'))
  })
})

const text = ({ body }: AccessFacts) => (body as { amount?: number } | undefined)?.amount !== 13

/** The same settings, whoever routes. */
const doors: Record<
  string,
  (built: ReturnType<typeof testApi>, ran: () => void) => ReturnType<typeof createServer>
> = {
  'Express 5': ({ api }, ran) => {
    const app = express5()
    app.use(api)
    app.post(
      '/orders/:id',
      api.guard({ policy: { guard: ({ params }) => params['id'] !== 'guarded' } }),
      (_req, res) => {
        ran()
        res.json({})
      },
    )
    return createServer(app)
  },
  'Express 4': ({ api }, ran) => {
    const app = express4()
    app.use(api)
    app.post(
      '/orders/:id',
      api.guard({ policy: { guard: ({ params }) => params['id'] !== 'guarded' } }) as never,
      (_req, res) => {
        ran()
        res.json({})
      },
    )
    return createServer(app)
  },
  Connect: ({ api }, ran) => {
    const app = connectApp()
    app.use(api as never)
    app.use(api.guard({ policy: { guard: ({ params }) => params['id'] !== 'guarded' } }) as never)
    app.use((_req: unknown, res: ServerResponse) => {
      ran()
      sendJson(res, {})
    })
    return createServer(app)
  },
}

describe.each(Object.entries(doors))('general, route and guard on %s', (_door, open) => {
  const settings = {
    policy: { general: ({ path }: AccessFacts) => path !== '/orders/general' },
    routes: {
      'POST /orders/:id': {
        policy: { rules: { route: ({ params }: AccessFacts) => params['id'] !== 'routed', text } },
      },
      'POST /orders/open': { policy: false },
      'POST /orders/other': { policy: { replace: { instead: no } } },
    },
  } as const

  test.each<[string, object, number, string | undefined]>([
    ['/orders/7', {}, 200, undefined],
    ['/orders/general', {}, 403, 'general'],
    ['/orders/routed', {}, 403, 'route'],
    ['/orders/7', { amount: 13 }, 403, 'text'],
    ['/orders/guarded', {}, 403, 'guard'],
    ['/orders/other', {}, 403, 'instead'],
  ])('%s with %j: %d by %s', async (path, body, status, rule) => {
    let ran = 0
    const built = testApi(settings)
    const server = open(built, () => ran++)
    const reply = await request(server).post(path).set('Authorization', built.as()).send(body)
    expect(reply.status).toBe(status)
    expect(ran).toBe(status === 200 ? 1 : 0)
    expect(recorded(built.events)).toEqual(
      rule === undefined
        ? []
        : [
            {
              outcome: 'refused',
              stage: 'policy',
              code: 'forbidden',
              rule,
              reason: 'the policy says no',
            },
          ],
    )
    expect(reply.text).not.toContain('policy')
  })
})

describe('in secureApi()', () => {
  test('what a verdict says is on record and in the trace, and not in the reply', async () => {
    let trace: unknown
    const {
      api,
      as: token,
      events,
    } = testApi({
      trace: true,
      policy: {
        region: () => ({ allow: false, rule: 'region-eu', reason: 'the caller is of another region' }),
      },
      respond: (ctx) => {
        trace = ctx.trace
        ctx.res.statusCode = 403
        ctx.res.end()
      },
    })
    const server = createServer(api.protect((_req, res) => sendJson(res, {})))
    const reply = await request(server).get('/').set('Authorization', token()).expect(403)

    const said = { rule: 'region-eu', reason: 'the caller is of another region' }
    expect(recorded(events)).toEqual([{ outcome: 'refused', stage: 'policy', code: 'forbidden', ...said }])
    expect(trace).toContainEqual(
      expect.objectContaining({ stage: 'policy', verdict: 'refused', rule: said.rule, why: said.reason }),
    )
    expect(JSON.stringify([reply.headers, reply.text])).not.toContain('region')
  })

  test('what lets in is in the trace', async () => {
    const traces: unknown[] = []
    for (const rules of [{ a: yes, b: yes }, { a: () => ({ allow: true, reason: 'of this region' }) }]) {
      const { api, as: token } = testApi({ trace: true, policy: rules as AccessPolicies })
      const server = createServer(
        api.protect((req, res) => {
          const entries = (req as { security?: { trace?: { stage: string; rule?: string; why?: string }[] } })
            .security?.trace
          traces.push(entries?.find(({ stage }) => stage === 'policy'))
          sendJson(res, {})
        }),
      )
      await request(server).get('/').set('Authorization', token()).expect(200)
    }
    expect(traces).toMatchObject([
      { verdict: 'passed', rule: 'a and b', why: 'every policy allows it' },
      { verdict: 'passed', rule: 'a', why: 'of this region' },
    ])
  })

  test('is an access decision: strict is content, also where it only reports', async () => {
    for (const mode of ['enforce', 'report'] as const) {
      const {
        api,
        as: token,
        events,
      } = testApi({ strict: true, policy: { a: mode === 'report' ? no : yes }, mode: { policy: mode } })
      const server = createServer(api.protect((_req, res) => sendJson(res, {})))
      await request(server).get('/').set('Authorization', token()).expect(200)
      expect(events.some(({ kind }) => kind === 'undecided')).toBe(false)
    }
  })

  test('asks nobody on a public route', async () => {
    const { api } = testApi({ policy: { a: no }, routes: { 'GET /health': { public: true } } })
    const server = createServer(api.protect((_req, res) => sendJson(res, {})))
    await request(server).get('/health').expect(200)
  })

  test('stands in explain() with its names', () => {
    const { api } = testApi({
      policy: { a: yes },
      routes: { 'GET /orders': { policy: { rules: { b: yes, c: yes }, timeoutMs: 50 } } },
    })
    const lines = (route: string) => api.explain(route).filter(({ stage }) => stage === 'policy')
    expect(lines('GET /orders')).toEqual([
      { stage: 'policy', door: 'general', mode: 'enforce', options: { rules: ['a'], timeoutMs: 1_000 } },
      { stage: 'policy', door: 'route', mode: 'enforce', options: { rules: ['b', 'c'], timeoutMs: 50 } },
    ])
    expect(api.explain(api.guard({ policy: { d: yes } }))).toMatchObject([
      { stage: 'policy', door: 'guard', options: { rules: ['d'] } },
    ])
  })
})

describe('settings that do not start', () => {
  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'policy must be an object of policies by name, got undefined'],
    ['a function', yes, 'policy must be an object of policies by name, got a function'],
    ['a list', [yes], 'policy must be an object of policies by name, got an array'],
    ['none', {}, 'policy has no policy'],
    ['none in rules', { rules: {} }, 'policy.rules has no policy'],
    ['no functions', { a: true }, 'policy["a"] must be a function, got true'],
    ['nothing by a slip', { a: yes, b: undefined }, 'policy["b"] must be a function, got undefined'],
    ['no name', { '': yes }, 'policy has a policy named ""'],
    ['a control character', { 'a\nb': yes }, 'policy has a policy named'],
    [
      'an unknown option',
      { rules: { a: yes }, timeout: 5 },
      'policy has no option "timeout". Did you mean "timeoutMs"?',
    ],
    [
      'no time',
      { rules: { a: yes }, timeoutMs: 0 },
      'policy.timeoutMs must be an integer from 1 to 60000, got 0',
    ],
    ['rules that are undefined', { rules: undefined }, 'policy.rules is undefined'],
    ['an option among policies', { a: yes, timeoutMs: 5 }, 'policy["timeoutMs"] must be a function, got 5'],
  ])('%s', (_what, setting, message) => {
    expect(() => policy(setting as AccessPolicies)).toThrow(message)
  })

  test('a route names itself, and a public one cannot have any', () => {
    expect(() => testApi({ routes: { 'GET /a': { policy: {} } } })).toThrow(
      "routes['GET /a'].policy has no policy",
    )
    expect(() => testApi({ routes: { 'GET /a': { public: true, policy: { a: yes } } } })).toThrow(
      "routes['GET /a'] is public and has policy",
    )
    expect(() => testApi({ auth: false, policy: { a: yes } })).toThrow('policy needs the principal')
    expect(() => testApi().api.guard({ policy: false as never })).toThrow(
      'guard.policy takes protection away',
    )
  })
})
