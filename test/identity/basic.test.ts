import crypto from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import express from 'express'
import request from 'supertest'
import { auth } from '../../src/identity/auth.js'
import { parseBasic } from '../../src/identity/basic-credentials.js'
import { basic, type BasicOptions, type BasicUser } from '../../src/identity/basic.js'
import { bearer } from '../../src/identity/bearer.js'
import { COSTS, formatHash, hashOfNobody, makeHash } from '../../src/identity/password-hash.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { contextOf } from '../../src/kernel/context.js'
import { memory } from '../../src/kernel/memory.js'
import { fakeClock, localIssuer, serve, type ServeOptions } from '../../src/testing/index.js'
import { testApi } from '../support/api.js'
import { later } from '../support/later-store.js'
import { selfSigned } from '../support/certificate.js'

const OFFERED = 'Basic realm="api", charset="UTF-8"'
const CHEAP = { algorithm: 'scrypt', cost: { ln: 14, r: 8, p: 1 } } as const
/** Of no password that anybody knows. */
const CHEAP_HASH = formatHash(hashOfNobody(CHEAP.algorithm, CHEAP.cost))
const NAME = 'ops'
const PASSWORD = 'correct horse'
let hash: string

beforeAll(async () => {
  hash = formatHash(await makeHash(PASSWORD, CHEAP))
})
afterEach(() => jest.restoreAllMocks())

function pair(name: string, password: string): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
}

/** Behind a proxy that says who the client is and how it came; nothing said is TLS from one address. */
function setUp(options: Partial<BasicOptions> = {}, served: ServeOptions = {}) {
  const seen: IncomingMessage[] = []
  const asked: string[] = []
  const users: BasicOptions['users'] = (name) => {
    asked.push(name)
    return name === NAME || name === 'other' ? hash : undefined
  }
  const api = serve(basic({ users, ...options }), {
    trustProxy: 1,
    ...served,
    handler: (req, res) => {
      seen.push(req)
      res.end('{}')
    },
  })
  const come = (authorization?: string, from = '192.0.2.1', proto = 'https') => {
    const sent = api.get('/').set('X-Forwarded-For', from).set('X-Forwarded-Proto', proto)
    return authorization === undefined ? sent : sent.set('Authorization', authorization)
  }
  return { ...api, come, asked, principal: () => contextOf(seen.at(-1)!)!.principal }
}

function codeOf({ text }: { text: string }): unknown {
  return (JSON.parse(text) as { code: string }).code
}

describe('over a TLS socket of its own', () => {
  test('lets in who knows the password, and nobody else', async () => {
    const seen: IncomingMessage[] = []
    const stage = basic({ users: () => ({ hash, subject: 'u-7', claims: { roles: ['operator'] } }) })
    const server = createServer(selfSigned(), (req, res) =>
      stage(req, res, () => {
        seen.push(req)
        res.end('{}')
      }),
    )
    const come = () => request(server).get('/').trustLocalhost()
    await come().set('Authorization', pair(NAME, PASSWORD)).expect(200)
    expect(contextOf(seen[0]!)!.principal).toEqual({
      id: 'basic-auth u-7',
      subject: 'u-7',
      method: 'basic',
      claims: { roles: ['operator'] },
      authentication: { amr: ['pwd'] },
    })
    const wrong = await come().set('Authorization', pair(NAME, 'correct Horse')).expect(401)
    expect(wrong.headers['www-authenticate']).toBe(OFFERED)
    expect(codeOf(wrong)).toBe('invalid-credentials')
    expect(codeOf(await come().expect(401).expect('WWW-Authenticate', OFFERED))).toBe('unauthenticated')
    expect(seen).toHaveLength(1)
  })
})

describe('over plain HTTP', () => {
  test.each<[string, number, Partial<BasicOptions>, ServeOptions, Record<string, string>]>([
    ['nothing is declared', 403, {}, { trustProxy: 0 }, {}],
    ['the client says it came over TLS', 403, {}, { trustProxy: 0 }, { 'X-Forwarded-Proto': 'https' }],
    ['the proxy says nothing', 403, {}, {}, {}],
    ['the proxy says it was plain', 403, {}, {}, { 'X-Forwarded-Proto': 'http' }],
    ['the client and the proxy disagree', 403, {}, {}, { 'X-Forwarded-Proto': 'https, http' }],
    ['the proxy says something odd', 403, {}, {}, { 'X-Forwarded-Proto': 'httpsx' }],
    ['the proxy says it was TLS', 200, {}, {}, { 'X-Forwarded-Proto': 'https' }],
    ['two proxies say so', 200, {}, { trustProxy: 2 }, { 'X-Forwarded-Proto': 'HTTPS,https' }],
    [
      'the peer is no proxy of ours',
      403,
      {},
      { trustProxy: ['10.0.0.0/8'] },
      { 'X-Forwarded-Proto': 'https' },
    ],
    ['this machine is let in', 200, { allowInsecureLoopback: true }, { trustProxy: 0 }, {}],
    [
      'a proxy of this machine hands it on',
      403,
      { allowInsecureLoopback: true },
      { trustProxy: 0 },
      { 'X-Forwarded-For': '192.0.2.1' },
    ],
    ...['Via', 'X-Forwarded-Host', 'X-Forwarded-Port', 'X-Real-IP', 'X-Client-IP', 'CF-Connecting-IP'].map(
      (field): [string, number, Partial<BasicOptions>, ServeOptions, Record<string, string>] => [
        `or says so by ${field}`,
        403,
        { allowInsecureLoopback: true },
        { trustProxy: 0 },
        { [field]: '192.0.2.1' },
      ],
    ),
  ])('%s: %d', async (_what, status, options, served, headers) => {
    const { get, asked, handled } = setUp(options, served)
    const reply = await get('/').set(headers).set('Authorization', pair(NAME, PASSWORD)).expect(status)
    expect(handled()).toBe(status === 200 ? 1 : 0)
    if (status === 200) return
    expect(codeOf(reply)).toBe('tls-required')
    // Neither looked at, nor asked for once more.
    expect(asked).toEqual([])
    expect(reply.headers['www-authenticate']).toBeUndefined()
  })
})

describe('what is sent', () => {
  test.each([
    ['Aladdin', 'open sesame', 'QWxhZGRpbjpvcGVuIHNlc2FtZQ=='],
    ['test', '123\u00a3', 'dGVzdDoxMjPCow=='],
    ['a', '', 'YTo='],
    ['a', 'b:c', 'YTpiOmM='],
  ])('is what RFC 7617 says: %s, %s', (name, password, text) => {
    expect(parseBasic(text)).toEqual({ name, password })
  })

  test.each<[string, string]>([
    ['nothing', 'Basic'],
    ['nothing but space', 'Basic  '],
    ['no base64', 'Basic ops:correct'],
    ['no padding', 'Basic YTpi YTpi'],
    ['base64url', `Basic ${Buffer.from('a:\u00fb\u00ff\u00be').toString('base64url')}`],
    ['bits behind the end', 'Basic YTp='],
    ['no colon', `Basic ${Buffer.from('ops').toString('base64')}`],
    ['no name', pair('', PASSWORD)],
    ['a line break', pair(NAME, 'a\nb')],
    ['NUL', pair('ops\0', PASSWORD)],
    ['no UTF-8', `Basic ${Buffer.from([97, 58, 0xff, 0xfe]).toString('base64')}`],
    ['a name without end', pair('a'.repeat(256), PASSWORD)],
    ['a password without end', pair(NAME, 'a'.repeat(1_025))],
  ])('is refused when it is %s', async (_what, authorization) => {
    const { come, asked, handled } = setUp()
    const reply = await come(authorization).expect(400).expect('WWW-Authenticate', OFFERED)
    expect(codeOf(reply)).toBe('invalid-request')
    expect({ asked, handled: handled() }).toEqual({ asked: [], handled: 0 })
  })

  test('is refused when it is there twice', async () => {
    const { come } = setUp()
    const twice = [pair(NAME, PASSWORD), pair(NAME, PASSWORD)] as unknown as string
    expect(codeOf(await come(twice).expect(400))).toBe('invalid-request')
  })

  test('names a user as it is written, in NFC, and no other', async () => {
    const { come, asked } = setUp()
    await come(pair('caf\u00e9', 'x')).expect(401)
    await come(pair('cafe\u0301', 'x')).expect(401)
    await come(pair('OPS', PASSWORD)).expect(401)
    expect(asked).toEqual(['caf\u00e9', 'caf\u00e9', 'OPS'])
  })
})

describe('names that nobody has (ASVS 6.3.8)', () => {
  test('cost what the others cost, and are refused in the same words', async () => {
    const spied = jest.spyOn(crypto, 'scrypt')
    const { come } = setUp()
    const told = async (name: string) => {
      spied.mockClear()
      const { status, text, headers } = await come(pair(name, 'wrong'), '192.0.2.9').expect(401)
      const work = spied.mock.calls.map(([, , bytes, options]) => ({ bytes, options }))
      return { status, text, challenge: headers['www-authenticate'], work }
    }
    const known = await told(NAME)
    expect(known.work).toEqual([{ bytes: 32, options: expect.objectContaining({ N: 16_384, r: 8, p: 1 }) }])
    expect(await told('nobody')).toEqual(known)
    expect(await told('constructor')).toEqual(known)
  })

  test('in an object are those that it does not have itself', async () => {
    const { come } = setUp({ users: { [NAME]: hash } })
    await come(pair(NAME, PASSWORD)).expect(200)
    for (const name of ['__proto__', 'constructor']) await come(pair(name, PASSWORD)).expect(401)
  })
})

describe('a good password', () => {
  test('is hashed once, and ends with its hash', async () => {
    const spied = jest.spyOn(crypto, 'scrypt')
    let user: BasicUser | undefined = { hash }
    const { come } = setUp({ users: () => Promise.resolve(user) })
    for (let i = 0; i < 5; i++) await come(pair(NAME, PASSWORD)).expect(200)
    expect(spied).toHaveBeenCalledTimes(1)
    user = { hash: formatHash(await makeHash('another one', CHEAP)) }
    await come(pair(NAME, PASSWORD)).expect(401)
    user = undefined
    await come(pair(NAME, PASSWORD)).expect(401)
  })

  test('is no failure, and no crowd, however many come with it at once', async () => {
    const spied = jest.spyOn(crypto, 'scrypt')
    const store = later(memory())
    const processes = [1, 2, 3].map(() => setUp({ store, maxHashing: 4 }))
    const statuses = await Promise.all(
      processes.flatMap(({ come }) =>
        Array.from({ length: 8 }, () => come(pair(NAME, PASSWORD)).then(({ status }) => status)),
      ),
    )
    expect(statuses).toEqual(Array(24).fill(200))
    expect(spied).toHaveBeenCalledTimes(3)
    // From many addresses, whoever waits is looked up again when it is its turn.
    spied.mockClear()
    const { come } = setUp({ store, maxHashing: 2 })
    const others = Array.from({ length: 20 }, (_, i) => come(pair(NAME, PASSWORD), `198.51.100.${i}`))
    expect((await Promise.all(others)).map(({ status }) => status)).toEqual(Array(20).fill(200))
    expect(spied).toHaveBeenCalledTimes(2)
    // Nothing of it slows down who is wrong for the first time.
    for (let i = 0; i < 5; i++) await come(pair(NAME, `wrong ${i}`)).expect(401)
    await come(pair(NAME, 'wrong')).expect(429)
  })

  test('may be hashed with argon2id, where that is asked for', async () => {
    const strong = formatHash(
      await makeHash(PASSWORD, { algorithm: 'argon2id', cost: { ...COSTS.argon2id, m: 7_168 } }),
    )
    const users = { [NAME]: strong, old: hash }
    const { come } = setUp({ users, algorithms: ['argon2id', 'scrypt'] })
    await come(pair(NAME, PASSWORD)).expect(200)
    await come(pair('old', PASSWORD)).expect(200)
    await come(pair('nobody', PASSWORD)).expect(401)
    expect(() => basic({ users })).toThrow(
      'basic.users["ops"] must have a hash that hashPassword made, of scrypt',
    )
  })
})

describe('who guesses (ASVS 6.3.1)', () => {
  test('waits longer and longer, whether or not anybody has the name', async () => {
    for (const name of [NAME, 'nobody']) {
      const { come, clock } = setUp()
      // From now on, a name that nobody has costs what this one costs.
      await come(pair('other', PASSWORD), '198.51.100.7').expect(200)
      for (let i = 0; i < 5; i++) await come(pair(name, `wrong ${i}`)).expect(401)
      const first = await come(pair(name, PASSWORD)).expect(429).expect('Retry-After', '1')
      expect(codeOf(first)).toBe('too-many-attempts')
      clock.advance(1_000)
      await come(pair(name, 'wrong')).expect(401)
      await come(pair(name, PASSWORD)).expect(429).expect('Retry-After', '2')
    }
  })

  test('does not lock out the user, who comes from elsewhere or is known already', async () => {
    const { come, clock } = setUp()
    await come(pair(NAME, PASSWORD), '198.51.100.7').expect(200)
    for (let i = 0; i < 6; i++) await come(pair(NAME, 'wrong')).expect(i < 5 ? 401 : 429)
    await come(pair(NAME, PASSWORD), '203.0.113.5').expect(200)
    await come(pair(NAME, PASSWORD), '198.51.100.7').expect(200)
    clock.advance(3_600_000)
    await come(pair(NAME, PASSWORD)).expect(200)
  })

  test('counts in all processes that share a store', async () => {
    const clock = fakeClock()
    const store = memory({ clock })
    const [one, other] = [setUp({ store }, { clock }), setUp({ store }, { clock })]
    for (let i = 0; i < 5; i++) await (i % 2 === 0 ? one : other).come(pair(NAME, 'wrong')).expect(401)
    await one.come(pair(NAME, PASSWORD)).expect(429)
    await other.come(pair(NAME, PASSWORD)).expect(429)
  })

  test('gets one answer for one guess that is sent many times at once, for the price of one attempt', async () => {
    const spied = jest.spyOn(crypto, 'scrypt')
    const { come } = setUp({ store: later(memory()) })
    const all = await Promise.all(Array.from({ length: 12 }, () => come(pair(NAME, 'wrong'))))
    expect(all.map(({ status }) => status)).toEqual(Array(12).fill(401))
    expect(spied).toHaveBeenCalledTimes(1)
    for (let i = 0; i < 4; i++) await come(pair(NAME, `wrong ${i}`)).expect(401)
    await come(pair(NAME, 'wrong')).expect(429)
  })

  test('cannot make the process hash more than it is told to', async () => {
    const held: (() => void)[] = []
    const real = crypto.scrypt
    const spied = jest.spyOn(crypto, 'scrypt')
    spied.mockImplementation(
      (...call: Parameters<typeof crypto.scrypt>) => void held.push(() => real(...call)),
    )
    const { come } = setUp({ users: () => hash, maxHashing: 2 })

    const crowded: string[] = []
    const all = await new Promise<Promise<number>[]>((resolve) => {
      const sent = Array.from({ length: 40 }, (_, i) =>
        come(pair(`n${i}`, 'x'), `192.0.2.${i % 20}`).then(({ status, text, headers }) => {
          if (status === 503) crowded.push(`${String(codeOf({ text }))} ${headers['retry-after']}`)
          // Two are at work and twenty wait.
          if (crowded.length === 18) resolve(sent)
          return status
        }),
      )
    })
    expect(held).toHaveLength(2)
    spied.mockImplementation(real)
    for (const work of held) work()
    expect((await Promise.all(all)).filter((status) => status === 401)).toHaveLength(22)
    expect(new Set(crowded)).toEqual(new Set(['identity-provider-unavailable 1']))
  })

  test('gets four places from one address, whatever the names', async () => {
    const held: (() => void)[] = []
    const real = crypto.scrypt
    const spied = jest.spyOn(crypto, 'scrypt')
    spied.mockImplementation(
      (...call: Parameters<typeof crypto.scrypt>) => void held.push(() => real(...call)),
    )
    const { come } = setUp({ users: () => hash, maxHashing: 2 })
    let refused = 0
    const all = await new Promise<Promise<number>[]>((resolve) => {
      const sent = Array.from({ length: 9 }, (_, i) =>
        come(pair(`n${i}`, 'x')).then(({ status }) => {
          if (status === 503 && ++refused === 5) resolve(sent)
          return status
        }),
      )
    })
    spied.mockImplementation(real)
    for (const work of held) work()
    expect((await Promise.all(all)).filter((status) => status === 401)).toHaveLength(4)
  })
})

describe('what is broken is never the fault of a caller', () => {
  const away = () => Promise.reject(new Error('hunter2: away'))

  test.each<[string, Partial<BasicOptions>, string]>([
    ['users that fail', { users: away }, 'identity-provider-unavailable'],
    [
      'users that throw',
      {
        users: () => {
          throw new Error('hunter2')
        },
      },
      'identity-provider-unavailable',
    ],
    ['a hash that is none', { users: () => 'hunter2' }, 'identity-provider-unavailable'],
    [
      'a hash of another kind',
      { users: () => '$2b$10$abcdefghijklmnopqrstuv' },
      'identity-provider-unavailable',
    ],
    [
      'a store that is away',
      { store: { records: { get: away, put: away, replace: away, delete: away, list: away } } },
      'store-unavailable',
    ],
  ])('%s: 503', async (_what, options, code) => {
    const { come, handled } = setUp(options)
    const reply = await come(pair(NAME, PASSWORD)).expect(503).expect('Retry-After', '1')
    expect(codeOf(reply)).toBe(code)
    expect(reply.text).not.toContain('hunter2')
    expect(handled()).toBe(0)
  })

  test('users that hang: 503 in time', async () => {
    const clock = fakeClock()
    const { come } = setUp(
      { users: () => new Promise(() => setImmediate(() => clock.advance(1_000))) },
      { clock },
    )
    expect(codeOf(await come(pair(NAME, PASSWORD)).expect(503))).toBe('identity-provider-unavailable')
  })
})

test('of a browser it is no proof that the user meant it, of a machine it is (ASVS 3.5.1)', async () => {
  const { api } = testApi({ auth: [basic({ users: { [NAME]: hash } })], trustProxy: 1 })
  const app = express()
  app.use(api as never)
  app.post('/orders', (_req, res) => void res.json({}))
  const post = (headers: object) =>
    request(app)
      .post('/orders')
      .set({ 'X-Forwarded-Proto': 'https', Authorization: pair(NAME, PASSWORD), ...headers })
  expect(codeOf(await post({ 'Sec-Fetch-Site': 'cross-site' }).expect(403))).toBe('cross-site-request')
  await post({ Origin: 'https://evil.example' }).expect(403)
  await post({ 'User-Agent': 'Mozilla/5.0 Safari/604.1' }).expect(403)
  await post({ 'Sec-Fetch-Site': 'same-origin' }).expect(200)
  await post({}).expect(200)
})

test('beside others it is offered, and named as weak', async () => {
  const issuer = localIssuer()
  const methods = [
    bearer({ issuer: issuer.issuer, audience: issuer.audience }),
    basic({ users: { [NAME]: hash } }),
  ]
  const { get } = serve(auth(methods))
  const reply = await get('/').expect(401)
  expect(reply.headers['www-authenticate']).toBe(`Bearer realm="api", ${OFFERED}`)
  const { api } = testApi({ auth: methods })
  const app = express()
  app.use(api as never)
  expect(api.check(app as never)).toContainEqual(
    expect.objectContaining({ code: 'basic-weak', severity: 'medium' }),
  )
})

test.each<[object, string]>([
  [{ users: undefined }, 'basic.users is undefined'],
  [{ users: { ops: 'hunter2' } }, 'basic.users["ops"] must have a hash'],
  [{ users: { ops: { hash: 'hunter2' } } }, 'passwords themselves are never kept'],
  [{ users: { 'a:b': CHEAP_HASH } }, 'basic.users["a:b"] is a name that nobody can send'],
  [{ users: { '': CHEAP_HASH } }, 'it must have 1 to 255 bytes, no colon and no control character'],
  [{ users: { ['\u00e9'.repeat(128)]: CHEAP_HASH } }, 'is a name that nobody can send'],
  [{ users: { 'a\n': CHEAP_HASH } }, 'is a name that nobody can send'],
  [{ users: { 'caf\u00e9': CHEAP_HASH, 'cafe\u0301': CHEAP_HASH } }, 'stands there twice'],
  [
    { users: { ops: { hash: CHEAP_HASH, subject: 'a\nb' } } },
    'basic.users["ops"].subject must be a text without',
  ],
  [{ users: () => undefined, algorithms: [] }, 'basic.algorithms must list'],
  [{ users: () => undefined, algorithms: ['md5'] }, 'basic.algorithms[0] must be one of'],
  [{ users: () => undefined, maxHashing: 0 }, 'basic.maxHashing must be an integer from 1 to 64'],
  [{ users: () => undefined, realm: '"' }, 'basic.realm must be ASCII'],
])('settings: %j does not start', (options, message) => {
  expect(() => basic(options as never)).toThrow(ConfigError)
  expect(() => basic(options as never)).toThrow(message)
})
