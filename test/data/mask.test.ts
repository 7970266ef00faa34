import { createHmac } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { mask, maskWith, type MaskMap, type MaskOptions } from '../../src/data/mask.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import type { Catalogue } from '../../src/kernel/rule.js'
import type { StageMiddleware } from '../../src/kernel/stage.js'
import { serve } from '../../src/testing/index.js'
import { as, caller } from '../support/as.js'
import { expressVersions } from '../support/express.js'

const order = () => ({
  id: 'o1',
  customer: { name: 'Ann', email: 'ann@example.com' },
  card: { number: '4111111111111234' },
  items: [{ sku: 'a', ssn: '123-45-6789' }],
})
const map: MaskMap = {
  'customer.email': { as: 'email', unless: 'pii:read' },
  'card.number': 'last4',
  '**.ssn': { as: 'redact', unless: { role: 'auditor' } },
}
const hidden = {
  id: 'o1',
  customer: { name: 'Ann', email: 'a***@example.com' },
  card: { number: '****1234' },
  items: [{ sku: 'a', ssn: '[redacted]' }],
}

type Json = ServerResponse & { json: (body: unknown) => void }

function answering(stages: readonly StageMiddleware[], body: () => unknown = order) {
  return serve(stages, { handler: (_req, res) => (res as Json).json(body()) })
}

describe('mask alone', () => {
  test('masks everything, because nobody is known (ASVS 8.2.3)', async () => {
    const { get } = answering([mask(map)])
    expect((await get('/').expect(200)).body).toEqual(hidden)
  })

  test('shows callers what they may see, by permission or role of its own catalogue', async () => {
    const stage = mask({ fields: map, roles: { support: ['pii:read'], auditor: [] } })
    const shownTo = async (principal: Principal | undefined) =>
      (
        await answering([as(principal), stage])
          .get('/')
          .expect(200)
      ).body as unknown

    expect(await shownTo(undefined)).toEqual(hidden)
    expect(await shownTo(caller())).toEqual(hidden)
    expect(await shownTo(caller({ roles: ['support'] }))).toEqual({ ...hidden, customer: order().customer })
    expect(await shownTo(caller({ roles: ['auditor'] }))).toEqual({ ...hidden, items: order().items })
    expect(await shownTo(caller({ scope: 'pii:read auditor', roles: ['*'] }))).toEqual(hidden)
  })

  test('leaves the object of the handler as it is', async () => {
    const body = order()
    const { get } = answering([mask(map)], () => body)
    await get('/')
    await get('/')
    expect(body).toEqual(order())
  })

  test('in report mode, named on purpose, leaves the reply alone', async () => {
    const { get } = serve(mask(map), {
      enforcement: () => 'report',
      handler: (_req, res) => {
        res.setHeader('Content-Type', 'application/json')
        res.end(JSON.stringify(order()))
      },
    })
    expect((await get('/').expect(200)).body).toEqual(order())
    expect(mask(map).stage.reportable).toBe('by-name')
  })

  test.each<[string, unknown]>([
    ['a string', 'text'],
    ['a number', 7],
    ['null', null],
    ['an empty list', []],
  ])('sends %s as it is', async (_what, body) => {
    const { get } = answering([mask(map)], () => body)
    expect((await get('/').expect(200)).body).toEqual(body)
  })

  test('hashes with its key', async () => {
    const key = 'k'.repeat(32)
    const { get } = answering([mask({ fields: { 'customer.email': 'hash' }, key })])
    const { body } = await get('/').expect(200)
    expect(body.customer.email).toBe(createHmac('sha256', key).update('ann@example.com').digest('base64url'))
  })

  test('a path may be called "fields"', async () => {
    const { get } = answering([mask({ fields: 'redact' })], () => ({ fields: 'secret' }))
    expect((await get('/').expect(200)).body).toEqual({ fields: '[redacted]' })
  })
})

describe('a reply that cannot be masked is refused, not leaked', () => {
  const circular: Record<string, unknown> = { canary: 'canary' }
  circular['self'] = circular
  const deep = () => {
    let value: unknown = { canary: 'canary' }
    for (let i = 0; i < 20_000; i++) value = { a: value }
    return value
  }
  const fail = () => {
    throw new Error('canary')
  }

  test.each<[string, MaskMap, () => unknown]>([
    ['circular', { '**.ssn': 'redact' }, () => circular],
    ['nested 20 000 levels deep', { '**.ssn': 'redact' }, deep],
    ['a style throws', { canary: fail }, () => ({ canary: 'canary' })],
    ['a style promises', { canary: () => Promise.resolve('x') }, () => ({ canary: 'canary' })],
    [
      'a getter throws',
      { '**.ssn': 'redact' },
      () => ({
        canary: 'canary',
        get a() {
          return fail()
        },
      }),
    ],
    ['toJSON throws', { '**.ssn': 'redact' }, () => ({ canary: 'canary', a: { toJSON: fail } })],
  ])('%s', async (_what, fields, body) => {
    const { get } = answering([mask(fields)], body)

    const reply = await get('/')
      .expect(500)
      .expect('Content-Type', /^application\/problem\+json/)

    expect(JSON.parse(reply.text).code).toBe('unshapable')
    expect(reply.text).not.toContain('canary')
  })

  test('JSON that was written past res.json()', async () => {
    const { get } = serve(mask(map), {
      handler: (_req, res) => {
        res.setHeader('Content-Type', 'application/json')
        res.end(JSON.stringify(order()))
      },
    })
    const reply = await get('/').expect(500)
    expect(reply.text).not.toContain('ann@example.com')
  })
})

describe.each(expressVersions)('behind %s', (_version, express) => {
  test('masks what res.json(), res.jsonp() and res.send() of an object send, problems of the application included', async () => {
    const app = express()
    app.use(mask(map))
    app.get('/json', (_req, res) => void res.json(order()))
    app.get('/jsonp', (_req, res) => void res.jsonp(order()))
    app.get('/send', (_req, res) => void res.send(order()))
    app.get('/error', (_req, res) => void res.status(409).json(order()))
    const { get } = serve(app as never)

    for (const path of ['/json', '/jsonp', '/send', '/error']) {
      expect([path, (await get(path)).body]).toEqual([path, hidden])
    }
    expect((await get('/jsonp?callback=f')).text).not.toContain('ann@example.com')
  })
})

describe('two maps for one reply', () => {
  test('both apply, and the second cannot show again what the first hid', async () => {
    const key = 'k'.repeat(32)
    const stages = [
      maskWith({ fields: { 'card.number': 'redact', 'customer.email': 'hash' }, key }, undefined),
      maskWith(
        { 'card.number': 'last4', 'customer.name': 'redact', id: (value) => `<${String(value)}>` },
        undefined,
      ),
    ]
    for (const order of [stages, [...stages].reverse()]) {
      const { body } = await answering(order).get('/').expect(200)
      expect(body.card.number).not.toContain('1234')
      expect(body.customer.name).toBe('[redacted]')
      expect(body.customer.email).toHaveLength(43)
      expect(body.id).toBe('<o1>')
    }
  })
})

describe('a map whose catalogue is kept elsewhere', () => {
  const catalogue: Catalogue = { roles: { support: ['pii:read'], auditor: [] } }

  test('is read in its words', async () => {
    const stages = [as(caller({ roles: ['support'] })), maskWith(map, catalogue)]
    expect((await answering(stages).get('/')).body.customer).toEqual(order().customer)
  })

  test('names the place of what is wrong', () => {
    const wrong: MaskMap = { ssn: { as: 'redact', unless: 'pii:raed' } }
    expect(() => maskWith(wrong, catalogue, { option: "routes['GET /orders'].mask" })).toThrow(
      /^routes\['GET \/orders'\]\.mask\["ssn"\]\.unless names the permission "pii:raed".*Did you mean "pii:read"\?/,
    )
  })

  test('a route takes key and depth from the general setting, unless it has its own', () => {
    const general = { fields: map, key: 'k'.repeat(32), maxDepth: 5 }
    const described = (setting: Parameters<typeof maskWith>[0]) =>
      maskWith(setting, undefined, { general }).stage.describe?.()

    expect(described({ ssn: 'hash' })).toEqual({ fields: { ssn: 'hash' }, maxDepth: 5 })
    expect(described({ fields: { ssn: 'hash' }, maxDepth: 9 })).toEqual({
      fields: { ssn: 'hash' },
      maxDepth: 9,
    })
    expect(() => maskWith({ ssn: 'hash' }, undefined, { general: map })).toThrow(/needs a key/)
  })
})

describe('for operators', () => {
  test('the context names the paths that masked something', async () => {
    const notes: unknown[] = []
    const respond = (body: unknown) =>
      serve([mask(map)], {
        trace: true,
        handler: (req, res) => {
          ;(res as Json).json(body)
          notes.push(contextOf(req)?.rule, contextOf(req)?.why)
        },
      })

    await respond(order()).get('/')
    await respond({ id: 'o1' }).get('/')

    expect(notes).toEqual([
      'mask',
      'masked customer.email, card.number, **.ssn',
      'mask',
      'the reply holds nothing to mask',
    ])
  })

  test('explain() sees the map, without the key', () => {
    const { stage } = mask({ fields: { ...map, id: 'hash', name: () => 'x' }, key: 'k'.repeat(32) })
    expect(stage.describe?.()).toEqual({
      fields: {
        'customer.email': { as: 'email', unless: 'permission pii:read' },
        'card.number': 'last4',
        '**.ssn': { as: 'redact', unless: 'role auditor' },
        id: 'hash',
        name: 'own',
      },
      maxDepth: 200,
    })
  })

  test('check() sees an exception for everybody', () => {
    const everyone = mask({
      ssn: { as: 'redact', unless: 'authenticated' },
      a: { as: 'redact', unless: 'pii:read' },
    })
    expect(everyone.stage.findings?.()).toEqual([
      expect.objectContaining({ code: 'mask-unless-trivial', cause: expect.stringContaining('"ssn"') }),
    ])
    expect(mask(map).stage.findings?.()).toEqual([])
  })
})

test.each<[unknown, RegExp]>([
  [{}, /^mask must map at least one path/],
  [undefined, /^mask must be an object that maps paths to styles, got undefined/],
  [{ fields: {} }, /^mask must map at least one path/],
  [{ fields: { a: 'redact' }, keys: 'x' }, /^mask has no option "keys". Did you mean "key"\?/],
  [{ fields: { a: 'redact' }, key: 'short' }, /^mask\.key must be a secret of at least 32 bytes/],
  [{ fields: { a: 'redact' }, maxDepth: 0 }, /^mask\.maxDepth must be an integer/],
  [{ fields: { a: { as: 'redact', unless: 'x' } }, roles: { y: ['z'] } }, /unless names the permission "x"/],
])('mask(%j) is refused at start', (setting, message) => {
  expect(() => mask(setting as MaskOptions)).toThrow(message)
})
