import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import connectApp from 'connect'
import express5, { type RequestHandler } from 'express'
import express4 from 'express4'
import request from 'supertest'
import {
  apiKey,
  apiKeys,
  auth,
  basic,
  bearer,
  contextOf,
  memory,
  ownership,
  pipeline,
  session,
  type AccessFacts,
  type AccessPolicy,
  type OwnershipOptions,
  type SecureApiOptions,
} from '../../src/index.js'
import type { Principal } from '../../src/kernel/context.js'
import { StoreUnavailable } from '../../src/kernel/store-unavailable.js'
import { asKey, expectRefused, serve, type ServeOptions } from '../../src/testing/index.js'
import { sendJson, testApi } from '../support/api.js'
import { as, caller } from '../support/as.js'
import { leave } from '../support/raw.js'

interface Order {
  readonly id: string
  readonly customer: string
}

const stored = new Map<string, Order>([
  ['1', { id: '1', customer: 'ann' }],
  ['2', { id: '2', customer: 'bob' }],
])
const load: OwnershipOptions['load'] = ({ params }) => stored.get(params['id']!)

const ann = caller()

/** A stage before which the path is the id of an object. */
function behind(
  options: Partial<OwnershipOptions & { roles: object }>,
  principal: Principal = ann,
  serving: ServeOptions = {},
) {
  const stage = ownership({
    load: ({ path }: AccessFacts) => stored.get(path.slice(1)),
    owner: 'customer',
    ...options,
  } as never)
  return serve([as(principal), stage], serving)
}

/** A policy that lets everybody in, and keeps what it is asked about. */
const see = (seen: unknown[]) => ({
  see: ({ resource }: AccessFacts) => seen.push(resource) > 0,
})

const decisions = (events: readonly Record<string, unknown>[]) =>
  events
    .filter(({ kind }) => kind === 'decision')
    .map(({ outcome, stage, code, rule }) => ({ outcome, stage, code, rule }))

describe('ownership alone', () => {
  test('lets the owner at it, and hands on what was loaded, once', async () => {
    let loads = 0
    const own = ownership({
      load: ({ params }) => {
        loads++
        return stored.get(params['id']!)
      },
      owner: 'customer',
    })
    const app = express5()
    app.use(as(caller()) as never)
    app.get('/orders/:id', own, (req, res) => {
      expect(own.resource(req)).toBe(req.security!.resource)
      res.json(own.resource(req))
    })
    expect((await request(app).get('/orders/1').expect(200)).body).toEqual(stored.get('1'))
    expect(loads).toBe(1)
    await request(app).get('/orders/2').expect(expectRefused('not-found'))
    await request(app).get('/orders/3').expect(expectRefused('not-found'))
  })

  test('refuses whom nobody introduced, before anything is loaded (ASVS 8.2.2)', async () => {
    let loads = 0
    const { get, handled } = serve(ownership({ load: () => ({ customer: `${++loads}` }), owner: 'customer' }))
    await get('/1').expect(expectRefused('unauthenticated')).expect('WWW-Authenticate', 'Bearer realm="api"')
    expect([loads, handled()]).toEqual([0, 0])
  })

  test('that only reports hands on nothing of an earlier time', async () => {
    const found: unknown[] = [{ customer: 'ann' }, undefined]
    const own = ownership({ load: () => found.shift() as object, owner: () => 'ann' }, { mode: 'report' })
    const app = express5()
    app.use(as(caller()) as never, own)
    app.get('/', own, (req, res) => {
      expect(() => own.resource(req)).toThrow('nothing was loaded')
      res.json({})
    })
    await request(app).get('/').expect(200)
  })

  test.each<[string, object, Principal]>([
    ['by the name of the property', {}, ann],
    ['by a function', { owner: ({ customer }: Order) => customer }, ann],
    ['by a list', { owner: () => ['bob', 'ann'] }, ann],
    ['later', { load: () => Promise.resolve({ customer: 'ann' }) }, ann],
    [
      'of a getter of a class',
      {
        load: () =>
          new (class {
            get customer() {
              return 'ann'
            }
          })(),
      },
      ann,
    ],
    ['by issuer and subject', { by: 'id', owner: () => 'https://id.example#ann' }, ann],
    ['by a claim', { by: { claim: 'tenant' } }, caller({ tenant: 'ann' })],
    ['by one of several in a claim', { by: { claim: 'tenants' } }, caller({ tenants: ['x', 'ann'] })],
    ['by a claim in a claim', { by: { claim: 'org.id' } }, caller({ org: { id: 'ann' } })],
    ['of the issuer', { issuer: 'https://id.example' }, ann],
    ['of one of the issuers', { issuer: ['https://other.example', 'https://id.example'] }, ann],
    [
      'of a method without issuers',
      { issuer: 'apiKey' },
      { id: 'api-key ann', subject: 'ann', method: 'apiKey', claims: {} },
    ],
  ])('the owner is known %s (ASVS 8.2.2)', async (_how, options, principal) => {
    const { get, handled } = behind(options, principal)
    await get('/1').expect(200)
    expect(handled()).toBe(1)
  })

  const odd: [string, unknown][] = [
    ['nothing', undefined],
    ['null', null],
    ['an empty text', ''],
    ['not a number', Number.NaN],
    ['a number', 7],
    ['true', true],
    ['an object', {}],
    ['an object that says it is the text', { toString: () => 'ann', valueOf: () => 'ann' }],
    ['a text in a box', Object('ann')],
    ['a list of a list', [['ann']]],
    ['a list of nothing', [undefined, null, '', {}, Number.NaN]],
    ['an empty list', []],
    ['a set', new Set(['ann'])],
    ['another spelling', 'Ann'],
    ['white space around it', ' ann '],
    ['more than it', 'anna'],
    ['a part of it', 'an'],
    ['another form of Unicode', 'a\u0301nn'],
    ['a function', () => 'ann'],
    ['a symbol', Symbol('ann')],
  ]

  test.each(odd)(
    '%s owns nothing, whether a property or the answer of a function says so',
    async (_what, owner) => {
      for (const options of [{ load: () => ({ customer: owner }) }, { owner: () => owner }] as never[]) {
        const { get, handled } = behind(options)
        await get('/1').expect(expectRefused('not-found'))
        expect(handled()).toBe(0)
      }
    },
  )

  test.each(odd)('nobody is %s by a claim, also where the owner is the same', async (_what, claim) => {
    const { get, handled } = behind(
      { by: { claim: 'tenant' }, owner: (() => claim) as never },
      caller(claim === undefined ? {} : { tenant: claim }),
    )
    const isText = typeof claim === 'string' && claim !== ''
    await get('/1').expect(isText ? 200 : 404)
    expect(handled()).toBe(isText ? 1 : 0)
  })

  test('a claim that a prototype says is none', async () => {
    const { get } = behind(
      { by: { claim: 'tenant' } },
      caller(Object.create({ tenant: 'ann' }) as object as never),
    )
    await get('/1').expect(404)
  })

  test('an owner that somebody put on all objects is none', async () => {
    const { get } = behind({ load: () => ({}) })
    Object.defineProperty(Object.prototype, 'customer', { value: 'ann', configurable: true })
    try {
      await get('/1').expect(expectRefused('not-found'))
    } finally {
      delete (Object.prototype as { customer?: string }).customer
    }
  })

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', '%5F_proto__', '1%00', '1%2F2', '01'])(
    'the id %s is that of nothing',
    async (id) => {
      const app = express5()
      let handled = 0
      app.use(as(caller()) as never)
      app.get('/orders/:id', ownership({ load, owner: 'customer' }), (_req, res) => {
        handled++
        res.json({})
      })
      await request(app).get(`/orders/${id}`).expect(expectRefused('not-found'))
      expect(handled).toBe(0)
    },
  )

  test('a parameter that is a list is handed on as one, and finds nothing by a text', async () => {
    const seen: unknown[] = []
    const app = express5()
    app.use(as(caller()) as never)
    app.get(
      '/files/*path',
      ownership({
        load: ({ params }) => {
          seen.push(params['path'])
          return stored.get(params['path']!)
        },
        owner: 'customer',
      }),
      (_req, res) => void res.json({}),
    )
    await request(app).get('/files/1').expect(expectRefused('not-found'))
    expect(seen).toEqual([['1']])
  })

  test('an owner in a list that is a promise is broken, and its rejection ends nothing', async () => {
    const unhandled: unknown[] = []
    const hear = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', hear)
    try {
      const owner = () => ['ann', Promise.reject(new Error('away')), Promise.reject(new Error('gone'))]
      const { get, handled } = behind({ owner: owner as never })
      await get('/1').expect(expectRefused('broken'))
      await new Promise(setImmediate)
      expect([handled(), unhandled]).toEqual([0, []])
    } finally {
      process.off('unhandledRejection', hear)
    }
  })
})

describe('others than the owner', () => {
  test('hear of what is not theirs what they hear of what does not exist, to the byte (ASVS 8.2.2)', async () => {
    const {
      api,
      as: token,
      events,
    } = testApi({
      requestId: false,
      rateLimit: false,
      routes: { 'GET /orders/:id': { ownership: { load, owner: 'customer' } } },
    })
    let ran = 0
    const server = createServer(
      api.protect((_req, res) => {
        ran++
        sendJson(res, {})
      }),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const raw = async (id: string) => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
      socket.write(
        `GET /orders/${id} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: ${token({ sub: 'ann' })}\r\n\r\n`,
      )
      let text = ''
      for await (const chunk of socket) text += String(chunk)
      return text.replace(/^Date: .*$/m, '')
    }
    const [foreign, missing] = [await raw('2'), await raw('3')]
    await new Promise((resolve) => server.close(resolve))

    expect(foreign).toBe(missing)
    expect(foreign).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/)
    expect(foreign).toContain('"type":"urn:secure-api:problem:not-found"')
    expect(ran).toBe(0)
    expect(decisions(events)).toEqual([
      { outcome: 'refused', stage: 'ownership', code: 'not-found', rule: 'foreign' },
      { outcome: 'refused', stage: 'ownership', code: 'not-found', rule: 'missing' },
    ])
  })

  test("are forbidden where onForeign is 'forbidden', and what does not exist is still not found", async () => {
    const { get, handled } = behind({ onForeign: 'forbidden' })
    const reply = await get('/2').expect(expectRefused('forbidden'))
    expect(JSON.parse(reply.text)).toEqual({
      type: 'urn:secure-api:problem:forbidden',
      title: 'The caller may not do this.',
      status: 403,
      code: 'forbidden',
    })
    await get('/3').expect(expectRefused('not-found'))
    expect(handled()).toBe(0)
  })

  test('get in where they hold what unless asks for; what does not exist stays not found', async () => {
    const roles = { support: ['orders:read-any'] }
    const support = behind({ unless: 'orders:read-any', roles }, caller({ roles: ['support'] }))
    await support.get('/2').expect(200)
    await support.get('/3').expect(expectRefused('not-found'))
    const clerk = behind({ unless: 'orders:read-any', roles }, caller({ roles: ['clerk'] }))
    await clerk.get('/2').expect(expectRefused('not-found'))
    await clerk.get('/1').expect(200)
  })

  test('of another issuer own nothing by the same subject (ASVS 6.8.1)', async () => {
    const { get, handled } = behind({ issuer: 'https://other.example' })
    await get('/1').expect(expectRefused('not-found'))
    expect(handled()).toBe(0)
  })

  test('in report mode are put on record, and get in', async () => {
    const reported: unknown[] = []
    const { get, handled } = behind({}, caller(), {
      enforcement: () => 'report',
      handler: (req, res) => {
        const { reported: all = [], resource } = contextOf(req)!
        reported.push(...all.map(({ stage, problem }) => [stage, problem.code, problem.rule]), resource)
        res.end()
      },
    })
    await get('/2').expect(200)
    await get('/3').expect(200)
    expect(reported).toEqual([
      ['ownership', 'not-found', 'foreign'],
      stored.get('2'),
      ['ownership', 'not-found', 'missing'],
      undefined,
    ])
    expect(handled()).toBe(2)
  })
})

describe('a load', () => {
  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('the-secret')
      },
    ],
    [
      'throws nothing',
      () => {
        throw undefined as unknown as Error
      },
    ],
    ['rejects', () => Promise.reject(new Error('the-secret'))],
    ['finds a text', () => 'ann'],
    ['finds a number, later', () => Promise.resolve(5)],
    ['finds true', () => true],
    ['finds false', () => false],
    ['finds a function', () => () => ({ customer: 'ann' })],
  ])('that %s is broken', async (_what, bad) => {
    const { get, handled } = behind({ load: bad as never })
    const reply = await get('/1').expect(expectRefused('broken'))
    expect(reply.text).not.toContain('secret')
    expect(handled()).toBe(0)
  })

  test.each<[string, () => unknown]>([
    ['nothing', () => undefined],
    ['null', () => null],
    ['nothing, later', () => Promise.resolve()],
    ['an empty list', () => []],
    ['rows in the place of one', () => [{ customer: 'ann' }]],
  ])('that finds %s lets nobody in', async (_what, none) => {
    const { get, handled } = behind({ load: none as never })
    await get('/1').expect(expectRefused('not-found'))
    expect(handled()).toBe(0)
  })

  test.each<[string, () => unknown]>([
    [
      'at once',
      () => {
        throw new StoreUnavailable('away', 1, 1_500)
      },
    ],
    ['later', () => Promise.reject(new StoreUnavailable('away', 1, 1_500))],
  ])('whose store is away is 503, %s', async (_when, away) => {
    const { get, handled } = behind({ load: away as never })
    await get('/1').expect(expectRefused('store-unavailable')).expect('Retry-After', '2')
    expect(handled()).toBe(0)
  })

  test.each<[number, object]>([
    [1_000, {}],
    [20, { timeoutMs: 20 }],
  ])('that hangs is 503 after %d ms', async (ms, options) => {
    let heard: () => void = () => undefined
    const asked = new Promise<void>((resolve) => (heard = resolve))
    let find: (order: Order) => void = () => undefined
    const hanging = () => {
      heard()
      return new Promise<Order>((resolve) => (find = resolve))
    }
    const { get, clock, handled } = behind({ load: hanging, ...options })
    const reply = get('/1').then((one) => one)
    await asked
    clock.advance(ms - 1)
    clock.advance(1)
    expectRefused('store-unavailable')(await reply)
    expect((await reply).headers['retry-after']).toBe('1')
    find(stored.get('1')!)
    await new Promise(setImmediate)
    expect(handled()).toBe(0)
  })

  test('whose caller has left is not judged any more', async () => {
    let heard: () => void = () => undefined
    const asked = new Promise<void>((resolve) => (heard = resolve))
    let find: (order: Order) => void = () => undefined
    let judged = 0
    const { server, handled } = behind({
      load: () => {
        heard()
        return new Promise<Order>((resolve) => (find = resolve))
      },
      owner: () => `${++judged}`,
    })
    await leave(server, 'GET /1 HTTP/1.1\r\nHost: a\r\n\r\n', asked)
    find(stored.get('1')!)
    await new Promise(setImmediate)
    expect([judged, handled()]).toEqual([0, 0])
  })

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('x')
      },
    ],
    ['promises', () => Promise.resolve('ann')],
    ['promises, and rejects', () => Promise.reject(new Error('x'))],
  ])('whose owner %s is broken', async (_what, owner) => {
    const { get, handled } = behind({ owner: owner as never })
    await get('/1').expect(expectRefused('broken'))
    expect(handled()).toBe(0)
  })
})

type Ran = (resource: unknown, params: unknown) => void

/** The same settings, whoever routes. */
const doors: Record<
  string,
  (built: ReturnType<typeof testApi>, ran: Ran) => ReturnType<typeof createServer>
> = {
  'Express 5': ({ api }, ran) => {
    const app = express5()
    app.use(api)
    app.get('/orders/:id', (req, res) => {
      ran(req.security!.resource, { ...req.params })
      res.json({})
    })
    app.get('/guarded/:id', api.guard({ ownership: { load, owner: 'customer' } }), (req, res) => {
      ran(req.security!.resource, { ...req.params })
      res.json({})
    })
    return createServer(app)
  },
  'Express 4, behind the front door': ({ api }, ran) => {
    const app = express4()
    app.get('/orders/:id', (req, res) => {
      ran(req.security!.resource, { ...req.params })
      res.json({})
    })
    app.get(
      '/guarded/:id',
      api.guard({ ownership: { load, owner: 'customer' } }) as unknown as RequestHandler,
      (req, res) => {
        ran(req.security!.resource, { ...req.params })
        res.json({})
      },
    )
    return createServer(api.protect(app))
  },
  Connect: ({ api }, ran) => {
    const app = connectApp()
    app.use(api as never)
    app.use(
      '/guarded',
      api.guard({ ownership: { load: ({ path }) => stored.get(path.slice(9)), owner: 'customer' } }) as never,
    )
    app.use((req, res) => {
      ran(contextOf(req)!.resource, { id: req.originalUrl!.slice(req.originalUrl!.lastIndexOf('/') + 1) })
      sendJson(res, {})
    })
    return createServer(app)
  },
}

describe.each(Object.entries(doors))('a route and a guard on %s', (_door, open) => {
  test.each<[string, number]>([
    ['/orders/1', 200],
    ['/orders/2', 404],
    ['/orders/3', 404],
    ['/orders/__proto__', 404],
    ['/orders/%31', 200],
    ['/guarded/1', 200],
    ['/guarded/2', 404],
  ])('%s: %d (ASVS 8.2.2)', async (path, status) => {
    const built = testApi({ routes: { 'GET /orders/:id': { ownership: { load, owner: 'customer' } } } })
    const seen: unknown[] = []
    const server = open(built, (resource, params) => seen.push(resource, params))
    const reply = await request(server)
      .get(path)
      .set('Authorization', built.as({ sub: 'ann' }))
    expect(reply.status).toBe(status)
    if (status === 200) expect(seen[0]).toBe(stored.get('1'))
    else {
      expectRefused('not-found')(reply)
      expect(seen).toEqual([])
    }
  })
})

describe('in secureApi()', () => {
  const served = (
    options: Partial<SecureApiOptions>,
    handler: (resource: unknown) => void = () => undefined,
  ) => {
    const built = testApi(options)
    const server = createServer(
      built.api.protect((req, res) => {
        handler(contextOf(req)!.resource)
        sendJson(res, {})
      }),
    )
    const get = (path: string, claims: object = { sub: 'ann' }) =>
      request(server)
        .get(path)
        .set('Authorization', built.as({ ...claims }))
    return { ...built, get }
  }

  test('the general setting is what routes compare by, unless they say otherwise (ASVS 8.4.1)', async () => {
    const { get } = served({
      ownership: { by: { claim: 'tenant' }, owner: 'customer', onForeign: 'forbidden', timeoutMs: 50 },
      routes: {
        'GET /orders/:id': { ownership: { load } },
        'GET /mine/:id': { ownership: { load, owner: 'customer', by: 'subject', onForeign: 'missing' } },
      },
    })
    await get('/orders/2', { sub: 'ann', tenant: 'bob' }).expect(200)
    await get('/orders/1', { sub: 'ann', tenant: 'bob' }).expect(expectRefused('forbidden'))
    await get('/orders/1', { sub: 'ann' }).expect(expectRefused('forbidden'))
    await get('/mine/1', { sub: 'ann', tenant: 'bob' }).expect(200)
    await get('/mine/2', { sub: 'ann', tenant: 'bob' }).expect(expectRefused('not-found'))
    await get('/elsewhere').expect(200)
  })

  test('a general load holds for every route that is not public', async () => {
    const { get } = served({
      ownership: { load: ({ path }) => stored.get(path.slice(-1)), owner: 'customer' },
      routes: { 'GET /open/2': { public: true }, 'GET /else/2': { ownership: false } },
    })
    await get('/any/1').expect(200)
    await get('/any/2').expect(expectRefused('not-found'))
    await get('/open/2').expect(200)
    await get('/else/2').expect(200)
  })

  test('rules of several routes add up, and the narrowest one loads last', async () => {
    const seen: unknown[] = []
    const shops = new Map([['s', { id: 's', staff: ['ann', 'bob'] }]])
    const { get } = served(
      {
        routes: {
          '* /shops/:shop/*': {
            ownership: { load: ({ params }) => shops.get(params['shop']!), owner: 'staff' as never },
          },
          'GET /shops/:shop/orders/:id': { ownership: { load, owner: 'customer' } },
        },
      },
      (resource) => seen.push(resource),
    )
    await get('/shops/s/orders/1').expect(200)
    await get('/shops/s/orders/2').expect(404)
    await get('/shops/t/orders/1').expect(404)
    await get('/shops/s/orders/1', { sub: 'eve' }).expect(404)
    expect(seen).toEqual([stored.get('1')])
  })

  test('what a wider rule has loaded is not taken for what a narrower one does not find', async () => {
    const seen: unknown[] = []
    const { get } = served(
      {
        mode: { ownership: 'report' },
        routes: {
          '* /shops/*': { ownership: { load: () => ({ owner: 'ann' }), owner: 'owner' } },
          'GET /shops/:id': { ownership: { load, owner: 'customer' } },
        },
      },
      (resource) => seen.push(resource),
    )
    await get('/shops/3').expect(200)
    expect(seen).toEqual([undefined])
  })

  test('policies see what was loaded, and are not asked about what belongs to others', async () => {
    const asked: unknown[] = []
    const { get, events } = served({
      routes: {
        'GET /orders/:id': {
          ownership: { load, owner: 'customer' },
          policy: {
            'not-thirteen': ({ resource }: AccessFacts<Order>) => {
              asked.push(resource)
              return resource.id !== '13'
            },
          },
        },
      },
    })
    stored.set('13', { id: '13', customer: 'ann' })
    await get('/orders/1').expect(200)
    await get('/orders/2').expect(expectRefused('not-found'))
    await get('/orders/13').expect(expectRefused('forbidden'))
    stored.delete('13')
    expect(asked).toEqual([stored.get('1'), { id: '13', customer: 'ann' }])
    expect(decisions(events).map(({ stage, rule }) => [stage, rule])).toEqual([
      ['ownership', 'foreign'],
      ['policy', 'not-thirteen'],
    ])
  })

  const shop = { id: 's', staff: ['ann'] }
  const ofShop = { load: () => shop, owner: 'staff' as never }
  const ofOrder = { load, owner: 'customer' }
  const order = '* /shops/:shop/orders/:id'
  type Seeing = { see: AccessPolicy }
  test.each<[string, unknown, (policy: Seeing) => Partial<SecureApiOptions>]>([
    [
      'of its own rule',
      shop,
      (policy) => ({
        routes: { '* /shops/:shop/*': { ownership: ofShop, policy }, [order]: { ownership: ofOrder } },
      }),
    ],
    [
      'of the narrower rule it stands in',
      ['1'],
      (policy) => ({
        routes: {
          '* /shops/:shop/*': { ownership: ofShop },
          [order]: { ownership: { ...ofOrder, load: () => ['1'], owner: () => 'ann' }, policy },
        },
      }),
    ],
    [
      'of the general setting it stands in',
      shop,
      (policy) => ({ ownership: ofShop, policy, routes: { [order]: { ownership: ofOrder } } }),
    ],
    [
      'of the rule, where the general setting has none',
      stored.get('1'),
      (policy) => ({ policy, routes: { [order]: { ownership: ofOrder } } }),
    ],
    [
      'that stands in place of what was beside it',
      stored.get('1'),
      (policy) => ({
        routes: {
          '* /shops/:shop/*': { ownership: ofShop, policy },
          [order]: { ownership: { replace: ofOrder } },
        },
      }),
    ],
  ])('a policy sees what was loaded by the ownership %s', async (_which, loaded, options) => {
    const seen: unknown[] = []
    const { get } = served(options(see(seen)))
    await get('/shops/s/orders/1').expect(200)
    expect(seen).toEqual([loaded])
  })

  test('a policy of a guard sees what its guard has loaded, or else what was loaded before', async () => {
    const seen: unknown[] = []
    const { api, as: token } = testApi({ routes: { [order]: { ownership: ofOrder } } })
    const app = express5()
    const [alone, loading] = [
      api.guard({ policy: see(seen) }),
      api.guard({ ownership: ofShop, policy: see(seen) }),
    ]
    app.get('/shops/:shop/orders/:id', api, alone, loading, (_req, res) => void res.json({}))
    await request(app)
      .get('/shops/s/orders/1')
      .set('Authorization', token({ sub: 'ann' }))
      .expect(200)
    expect(seen).toEqual([stored.get('1'), shop])
  })

  test('what only reports that it has found nothing hands no policy the object of another rule', async () => {
    const seen: unknown[] = []
    const { get } = served({
      mode: { ownership: 'report' },
      routes: {
        '* /shops/:shop/*': { ownership: { load: () => null, owner: 'staff' }, policy: see(seen) },
        'GET /shops/:shop/orders/:id': { ownership: { load, owner: 'customer' } },
      },
    } as never)
    await get('/shops/s/orders/1').expect(200)
    expect(seen).toEqual([undefined])
  })

  test('unless speaks the words of the catalogue of rbac', async () => {
    const settings = {
      rbac: { roles: { support: ['orders:read-any'] } },
      routes: { 'GET /orders/:id': { ownership: { load, owner: 'customer', unless: 'orders:read-any' } } },
    } as const
    const { get } = served(settings)
    await get('/orders/2', { sub: 'ann', roles: ['support'] }).expect(200)
    await get('/orders/2').expect(404)
    expect(() =>
      testApi({
        ...settings,
        routes: { 'GET /orders/:id': { ownership: { load, owner: 'customer', unless: 'orders:raed-any' } } },
      }),
    ).toThrow(`routes['GET /orders/:id'].ownership.unless names the permission "orders:raed-any"`)
  })

  test('what validate makes of a parameter is what is loaded by', async () => {
    const { api, as: token } = testApi({
      routes: {
        'GET /orders/:id': {
          validate: { params: { type: 'object', properties: { id: { type: 'integer' } } } },
          ownership: { load: ({ params }) => stored.get(`${Number(params['id'])}`), owner: 'customer' },
        },
      },
    })
    const app = express5()
    app.use(api)
    const seen: unknown[] = []
    app.get('/orders/:id', (req, res) => {
      seen.push(req.params.id)
      res.json({})
    })
    await request(app)
      .get('/orders/1')
      .set('Authorization', token({ sub: 'ann' }))
      .expect(200)
    expect(seen).toEqual([1])
  })

  test('a handler behind a rewritten URL does not see an id that nobody judged', async () => {
    for (const express of [express5, express4]) {
      const { api, as: token } = testApi({
        routes: {
          'GET /mine/:id': { ownership: { load, owner: 'customer' } },
          'GET /orders/:id': { ownership: { load, owner: 'customer' } },
        },
      })
      const app = express()
      const seen: unknown[] = []
      app.use((req, _res, next) => {
        req.url = '/orders/2'
        next()
      })
      app.use(api as never)
      app.get('/orders/:id', (req: { params: { id?: string } }, res: ServerResponse) => {
        seen.push(req.params.id)
        sendJson(res, {})
      })
      await request(app)
        .get('/mine/1')
        .set('Authorization', token({ sub: 'ann' }))
      expect(seen).toEqual([undefined])
    }
  })

  test('a general policy has the parameters of the rule, and a handler sees no others', async () => {
    const { api, as: token } = testApi({
      policy: { 'not-two': ({ params }) => params['id'] !== '2' },
      routes: { 'GET /mine/:id': { rbac: 'authenticated' }, 'GET /orders/:id': { rbac: 'authenticated' } },
    })
    const app = express5()
    const seen: unknown[] = []
    app.use((req, _res, next) => {
      req.url = req.url.replace('/mine/1', '/orders/2')
      next()
    })
    app.use(api)
    app.get('/orders/:id', (req, res) => {
      seen.push(req.params.id)
      res.json({})
    })
    const get = (path: string) =>
      request(app)
        .get(path)
        .set('Authorization', token({ sub: 'ann' }))
    await get('/orders/3').expect(200)
    await get('/orders/2').expect(403)
    await get('/mine/1')
    expect(seen).toEqual(['3', undefined])
  })

  test('what the general setting loads by is what handlers see, whatever Express reads from an odd path', async () => {
    for (const express of [express5, express4]) {
      const seen: unknown[] = []
      const { api, as: token } = testApi({
        firewall: false,
        ownership: { load, owner: 'customer' },
        routes: { 'GET /orders/:id': { rbac: 'authenticated' } },
      })
      const app = express()
      app.use(api as never)
      app.get('/orders/:id', (req: { params: { id?: string } }, res: ServerResponse) => {
        seen.push(req.params.id)
        sendJson(res, {})
      })
      const server = createServer(app).listen(0, '127.0.0.1')
      await once(server, 'listening')
      // Express cuts the last one at `#` and reads the backslash as a slash: to it, this is /orders/2.
      for (const target of ['/orders/1', '/orders/2', '/orders\\2#/1']) {
        const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
        const authorization = `Authorization: ${token({ sub: 'ann' })}`
        socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n${authorization}\r\nConnection: close\r\n\r\n`)
        await once(socket.resume(), 'end')
      }
      server.close()
      expect(seen).toEqual(['1', undefined])
    }
  })

  test('stands in explain() before policy, behind validate', () => {
    const { api } = testApi({
      rbac: { roles: { support: ['orders:read-any'] } },
      routes: {
        'GET /orders/:id': {
          validate: { params: { type: 'object', properties: {} } },
          policy: { a: () => true },
          ownership: { load, owner: 'customer', unless: 'orders:read-any', issuer: 'https://a.example' },
        },
      },
    })
    expect(api.explain('GET /orders/:id').slice(-3)).toMatchObject([
      { stage: 'validate', door: 'route' },
      {
        stage: 'ownership',
        door: 'route',
        options: {
          ...{ owner: 'customer', by: 'subject', unless: 'permission orders:read-any' },
          ...{ issuer: ['https://a.example'], onForeign: 'missing', timeoutMs: 1_000 },
        },
      },
      { stage: 'policy', door: 'route' },
    ])
  })

  test('is an access decision, and one that lets everybody in is named', () => {
    const { api } = testApi({
      strict: true,
      routes: { 'GET /orders/:id': { ownership: { load, owner: 'customer', unless: 'authenticated' } } },
    })
    const app = express5()
    app.use(api)
    app.get('/orders/:id', (_req, res) => void res.json({}))
    app.get(
      '/own/:id',
      api.guard({ ownership: { load, owner: 'customer' } }),
      (_req, res) => void res.json({}),
    )
    const codes = api.check(app).map(({ code }) => code)
    expect(codes).toContain('ownership-unless-trivial')
    expect(codes).not.toContain('route-undecided')
  })
})

describe('callers of several issuers (ASVS 6.8.1)', () => {
  const one = () => bearer({ issuer: 'https://a.example', audience: 'a' })
  const two = () =>
    bearer({
      issuers: [{ issuer: 'https://a.example' }, { issuer: 'https://b.example' }],
      audience: 'a',
    })
  const auths: [string, () => SecureApiOptions['auth'], boolean][] = [
    ['one issuer', () => [one()], false],
    ['two issuers of one method', () => [two()], true],
    ['a token or a password', () => [one(), basic({ users: () => undefined })], true],
    ['a token or a session', () => [one(), session({ store: memory() })], true],
    ['a session', () => [session({ store: memory() })], false],
  ]

  test.each(auths)('%s: %j', (_what, auth, several) => {
    const start = (own: object, general: object = {}) =>
      testApi({
        auth: auth(),
        ownership: general as never,
        routes: { 'GET /orders/:id': { ownership: { load, owner: 'customer', ...own } } },
      })
    if (several)
      expect(() => start({})).toThrow(
        "routes['GET /orders/:id'].ownership.issuer is missing: callers may come from several issuers",
      )
    else expect(() => start({})).not.toThrow()
    if (several) expect(() => start({ by: { claim: 'tenant' } })).toThrow('ownership.issuer is missing')
    expect(() => start({ issuer: 'https://a.example' })).not.toThrow()
    expect(() => start({}, { issuer: 'any' })).not.toThrow()
    expect(() => start({ by: 'id' })).not.toThrow()
  })

  test('a route that puts other methods in the place of the general ones is asked too', () => {
    const own = { load, owner: 'customer' }
    const both = () => ({ replace: [one(), basic({ users: () => undefined })] })
    const message = 'ownership.issuer is missing: callers may come from several issuers'
    const start = (options: Partial<SecureApiOptions>) => () => testApi({ auth: [one()], ...options })
    expect(start({ routes: { 'GET /a/:id': { auth: both(), ownership: own } } })).toThrow(
      `routes['GET /a/:id'].${message}`,
    )
    expect(start({ ownership: own, routes: { 'GET /a/:id': { auth: both() } } })).toThrow(message)
    expect(start({ routes: { 'GET /a/:id': { auth: both() }, 'GET /a/*': { ownership: own } } })).toThrow(
      message,
    )
    expect(
      start({ routes: { 'GET /a/:id': { auth: both() }, 'GET /b/:id': { ownership: own } } }),
    ).not.toThrow()
    expect(
      start({ ownership: { ...own, issuer: 'any' }, routes: { 'GET /a/:id': { auth: both() } } }),
    ).not.toThrow()
  })

  test('a pipeline of its own is asked too', () => {
    const own = { load, owner: 'customer' }
    expect(() => pipeline([auth([two()]), ownership(own)])).toThrow('ownership.issuer is missing')
    expect(() => pipeline([auth([two()]), ownership({ ...own, issuer: 'any' })])).not.toThrow()
    expect(() => pipeline([auth([one()]), ownership(own)])).not.toThrow()
  })

  test('the subject of one owns nothing of the same subject of the other', async () => {
    const [store, pepper, local] = [memory(), randomBytes(32), testApi().issuer]
    const key = await asKey(apiKeys({ store, pepper }), { owner: 'ann' })
    for (const [issuer, status] of [
      [local.issuer, 404],
      ['apiKey', 200],
      ['any', 200],
    ] as const) {
      const built = testApi({
        auth: [bearer({ issuer: local.issuer, audience: local.audience }), apiKey({ store, pepper })],
        routes: { 'GET /orders/:id': { ownership: { load, owner: 'customer', issuer } } },
      })
      const server = createServer(built.api.protect((_req, res) => sendJson(res, {})))
      await request(server).get('/orders/1').set(key).expect(status)
      await request(server)
        .get('/orders/1')
        .set('Authorization', built.as({ sub: 'ann' }))
        .expect(issuer === 'apiKey' ? 404 : 200)
      expect(decisions(built.events).map(({ rule }) => rule)).toEqual(
        issuer === 'any' ? [] : ['foreign-issuer'],
      )
    }
  })
})

describe('settings that do not start', () => {
  const good = { load, owner: 'customer' }
  test.each<[string, object, string]>([
    ['nothing', {}, 'ownership.load must be a function, got undefined'],
    ['no owner', { load }, 'ownership.owner must be the name of a property'],
    ['a load that is none', { ...good, load: 'x' }, 'ownership.load must be a function'],
    ['a load by a slip', { ...good, load: undefined }, 'ownership.load is undefined'],
    ['an owner by a slip', { load, owner: undefined }, 'ownership.owner is undefined'],
    ['an owner without a name', { load, owner: '' }, 'ownership.owner must be the name of a property'],
    [
      'an owner that every object has',
      { load, owner: 'constructor' },
      'ownership.owner is "constructor", which every object has',
    ],
    [
      '__proto__ for an owner',
      { load, owner: '__proto__' },
      'ownership.owner is "__proto__", which every object has',
    ],
    [
      'an unknown way to compare',
      { ...good, by: 'sub' },
      "ownership.by must be 'subject', 'id' or { claim: 'tenant' }",
    ],
    ['no claim', { ...good, by: {} }, 'ownership.by.claim must be a path'],
    ['an empty claim', { ...good, by: { claim: '' } }, 'ownership.by.claim must be a path'],
    ['a claim by a slip', { ...good, by: { claim: undefined } }, 'ownership.by.claim is undefined'],
    ['no issuer', { ...good, issuer: [] }, 'ownership.issuer must be the issuer of owners'],
    [
      'an odd issuer',
      { ...good, issuer: ['https://a.example', 5] },
      'ownership.issuer must be the issuer of owners',
    ],
    ['any among issuers', { ...good, issuer: ['any'] }, 'ownership.issuer must be the issuer of owners'],
    ['unless by a slip', { ...good, unless: undefined }, 'ownership.unless is undefined'],
    ['a wrong rule', { ...good, unless: ['a'] }, 'ownership.unless must be'],
    [
      'an unknown answer',
      { ...good, onForeign: 'hidden' },
      "ownership.onForeign must be one of 'missing', 'forbidden'",
    ],
    ['no time', { ...good, timeoutMs: 0 }, 'ownership.timeoutMs must be an integer from 1 to 60000'],
    [
      'an unknown option',
      { ...good, owners: 'x' },
      'ownership has no option "owners". Did you mean "owner"?',
    ],
  ])('%s', (_what, options, message) => {
    expect(() => ownership(options as never)).toThrow(message)
  })

  test('in secureApi() they say where they stand', () => {
    expect(() => testApi({ ownership: { onForeign: 'x' as never } })).toThrow(
      'ownership.onForeign must be one of',
    )
    expect(() => testApi({ ownership: { load } })).toThrow('ownership.owner must be the name')
    expect(() => testApi({ routes: { 'GET /a/:id': { ownership: { load } } } })).toThrow(
      "routes['GET /a/:id'].ownership.owner must be the name",
    )
    expect(() => testApi({ routes: { 'GET /a/:id': { public: true, ownership: good } } })).toThrow(
      'is public and has ownership',
    )
    expect(() => testApi({ auth: false, routes: { 'GET /a/:id': { ownership: good } } })).toThrow(
      'ownership needs the principal',
    )
    expect(() => testApi().api.guard({ ownership: { load } })).toThrow('guard.ownership.owner must be')
  })
})
