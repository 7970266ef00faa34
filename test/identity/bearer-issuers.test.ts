import { createHash, X509Certificate } from 'node:crypto'
import express from 'express'
import request from 'supertest'
import { auth } from '../../src/identity/auth.js'
import type { AuthNarrowing } from '../../src/identity/auth-options.js'
import { bearer, type BearerOptions, type IssuerOptions } from '../../src/identity/bearer.js'
import { faults, type Fault } from '../../src/identity/faults.js'
import { resourceMetadata } from '../../src/identity/resource-metadata.js'
import { revocations } from '../../src/identity/revocation.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import { memory } from '../../src/kernel/memory.js'
import type { MintOptions } from '../../src/testing/index.js'
import { dpopClient, expectRefused, fakeClock, localIssuer, serve } from '../../src/testing/index.js'
import { testApi } from '../support/api.js'
import { selfSigned } from '../support/certificates.js'
import { expectTokenRefused } from '../support/refused-token.js'

const AUDIENCE = 'https://api.test'
const URL_HERE = `${AUDIENCE}/orders`
const certificate = selfSigned('/CN=client')
const shown = `:${new X509Certificate(certificate.cert).raw.toString('base64')}:`
const x5t = createHash('sha256').update(new X509Certificate(certificate.cert).raw).digest('base64url')

type Own = Partial<IssuerOptions>

/** One API of two issuers: `usual` says nothing of its own, `special` what the test says. */
function setUp(special: Own, general: Partial<BearerOptions> = {}, narrowing: AuthNarrowing = {}) {
  const clock = fakeClock(Date.now())
  const issuers = {
    usual: localIssuer({ issuer: 'https://usual.test', audience: AUDIENCE, clock }),
    special: localIssuer({ issuer: 'https://special.test', audience: AUDIENCE, clock }),
  }
  const client = dpopClient({ clock })
  const method = bearer({
    issuers: [{ issuer: 'https://usual.test' }, { issuer: 'https://special.test', ...special }],
    audience: AUDIENCE,
    ...general,
  })
  let principal: Principal | undefined
  const api = serve(auth({ any: [method], ...narrowing }), {
    clock,
    trustProxy: 1,
    fetch: ((url: string, init) =>
      (url.startsWith('https://usual') ? issuers.usual : issuers.special).fetch(url, init)) as typeof fetch,
    handler(req, res) {
      principal = contextOf(req)?.principal
      res.end()
    },
  })
  const sent = (token: string) => api.get('/orders').set('Authorization', `Bearer ${token}`)
  const proven = (token: string) => api.get('/orders').set(client.fields('GET', URL_HERE, token))
  const mint = (who: 'usual' | 'special', claims: object = {}, options: MintOptions = {}) =>
    issuers[who].mint({ ...claims }, options)
  return {
    ...api,
    clock,
    client,
    mint,
    sent,
    proven,
    principal: () => principal,
    /** Three times: what is remembered is judged as what is new. */
    async passes(token: string, send = sent) {
      for (let n = 0; n < 3; n++) await send(token).expect(200)
    },
    async refuses(token: string, rule: Fault, send = sent) {
      await expectTokenRefused(() => send(token), rule, api.handled)
    },
  }
}

describe('types of tokens', () => {
  const jwt = { header: { typ: 'JWT' } }

  test.each(['special', 'usual'] as const)(
    'are those of the issuer, whoever comes first: %s',
    async (first) => {
      const api = setUp({ typ: 'JWT' })
      const each = {
        // To the byte the headers are the same for both issuers: `typ`, `alg` and `kid`.
        usual: async () => {
          await api.refuses(api.mint('usual', {}, jwt), 'token-type')
          await api.passes(api.mint('usual'))
        },
        special: async () => {
          await api.passes(api.mint('special', {}, jwt))
          await api.refuses(api.mint('special'), 'token-type')
        },
      }
      await each[first]()
      await each[first === 'usual' ? 'special' : 'usual']()
    },
  )

  test('an ID token passes only where its issuer is said to have no types', async () => {
    const api = setUp({ typ: false })
    const untyped = { header: { typ: undefined } }
    await api.passes(api.mint('special', {}, untyped))
    await api.refuses(api.mint('usual', {}, untyped), 'token-type')
    await api.refuses(api.mint('special', {}, { header: { typ: 'logout+jwt' } }), 'token-type')
  })

  test('an issuer may be stricter than what stands beside the list', async () => {
    const api = setUp({ typ: ['at+jwt'] }, { typ: false })
    await api.passes(api.mint('usual', {}, jwt))
    await api.refuses(api.mint('special', {}, jwt), 'token-type')
  })

  test('what no issuer uses is refused before anybody looks whose it is', async () => {
    const api = setUp({ typ: 'JWT' })
    const foreign = api.mint('usual', { iss: 'https://elsewhere.test' }, { header: { typ: 'ID' } })
    await api.refuses(foreign, 'token-type')
    await api.refuses(api.mint('usual', { iss: 'https://elsewhere.test' }, jwt), 'token-issuer')
  })
})

test('algorithms of an issuer that says `undefined` are those beside the list', async () => {
  const api = setUp({ algorithms: undefined } as never, { algorithms: ['RS256'] })
  await api.refuses(api.mint('special'), 'token-algorithm')
  await api.refuses(api.mint('usual'), 'token-algorithm')
})

describe('lifetimes', () => {
  test('of an issuer may be shorter', async () => {
    const api = setUp({ maxLifetimeSeconds: 299 })
    await api.passes(api.mint('usual'))
    await api.refuses(api.mint('special'), 'token-lifetime')
  })

  test('and longer, where that is written', async () => {
    const api = setUp({ maxLifetimeSeconds: 300 }, { maxLifetimeSeconds: 299 })
    await api.refuses(api.mint('usual'), 'token-lifetime')
    await api.passes(api.mint('special'))
  })

  test('a route only narrows them', async () => {
    const api = setUp({ maxLifetimeSeconds: 300 }, { maxLifetimeSeconds: 200 }, { maxLifetimeSeconds: 250 })
    await api.refuses(api.mint('special'), 'token-lifetime')
    await api.passes(api.mint('special', { exp: Math.floor(api.clock.now() / 1000) + 240 }))
    await api.refuses(api.mint('usual', { exp: Math.floor(api.clock.now() / 1000) + 240 }), 'token-lifetime')
  })

  test('of bound tokens are its own, those beside the list, or those of all its tokens', async () => {
    const around = { resource: AUDIENCE, dpop: 'allowed' as const, maxLifetimeSeconds: 299 }
    const jkt = (api: ReturnType<typeof setUp>) => ({ cnf: { jkt: api.client.jkt } })

    const own = setUp({ maxBoundLifetimeSeconds: 300 }, around)
    await own.passes(own.mint('special', jkt(own)), own.proven)
    await own.refuses(own.mint('special'), 'token-lifetime')
    await own.refuses(own.mint('usual', jkt(own)), 'token-lifetime', own.proven)

    const beside = setUp({ maxLifetimeSeconds: 100 }, { ...around, maxBoundLifetimeSeconds: 300 })
    await beside.passes(beside.mint('special', jkt(beside)), beside.proven)

    const ofAll = setUp({ maxLifetimeSeconds: 300 }, around)
    await ofAll.passes(ofAll.mint('special', jkt(ofAll)), ofAll.proven)
    await ofAll.refuses(ofAll.mint('usual', jkt(ofAll)), 'token-lifetime', ofAll.proven)
  })
})

describe('clocks', () => {
  test('of one issuer have to agree better than those of others, also later', async () => {
    const api = setUp({ clockToleranceSeconds: 0 })
    const early = (who: 'usual' | 'special') =>
      api.mint(who, { iat: Math.floor(api.clock.now() / 1000) + 30 })
    await api.passes(early('usual'))
    await api.refuses(early('special'), 'token-not-yet-valid')

    const [usual, special] = [api.mint('usual'), api.mint('special')]
    await api.passes(usual)
    await api.passes(special)
    api.clock.advance(300_000)
    await api.passes(usual)
    await api.refuses(special, 'token-expired')
  })
})

describe('revocation', () => {
  const list = () => {
    const revocation = revocations({ store: memory() })
    return { revocation, check: jest.spyOn(revocation, 'check') }
  }

  test('is that of the issuer', async () => {
    const { revocation, check } = list()
    const api = setUp({ revocation })
    await revocation.revokeSubject('https://special.test', 'user-1', api.clock.now() / 1000 + 1)
    await revocation.revokeSubject('https://usual.test', 'user-1', api.clock.now() / 1000 + 1)
    await api.refuses(api.mint('special'), 'subject-revoked')
    expect(check).toHaveBeenCalledTimes(3)
    await api.passes(api.mint('usual'))
    expect(check).toHaveBeenCalledTimes(3)
  })

  test('`false` takes away what stands beside the list', async () => {
    const { revocation } = list()
    const api = setUp({ revocation: false }, { revocation })
    await revocation.revokeToken('https://usual.test', 'a', api.clock.now() / 1000 + 300)
    await revocation.revokeToken('https://special.test', 'a', api.clock.now() / 1000 + 300)
    await api.refuses(api.mint('usual', { jti: 'a' }), 'token-revoked')
    await api.passes(api.mint('special', { jti: 'a' }))
  })
})

describe('certificates', () => {
  test('are asked of the tokens of one issuer', async () => {
    const api = setUp({ certificateBound: true }, { certificate: 'Client-Cert' })
    const withCertificate = (token: string) => api.sent(token).set('Client-Cert', shown)
    await api.passes(api.mint('usual'))
    await api.refuses(api.mint('special'), 'token-unbound')
    await api.refuses(api.mint('special'), 'token-unbound', withCertificate)
    const bound = api.mint('special', { cnf: { 'x5t#S256': x5t } })
    await api.passes(bound, withCertificate)
    expect(api.principal()).toMatchObject({ issuer: 'https://special.test', bound: ['mtls'] })
    await api.refuses(bound, 'certificate-missing')
  })

  test('or of those of all others', async () => {
    const api = setUp({ certificateBound: false }, { certificateBound: true })
    await api.passes(api.mint('special'))
    await api.refuses(api.mint('usual'), 'token-unbound')
  })
})

describe('proofs of possession', () => {
  const around = { resource: AUDIENCE }
  const jkt = (api: ReturnType<typeof setUp>) => ({ cnf: { jkt: api.client.jkt } })

  test('are asked of the tokens of one issuer; those of others are bearer tokens', async () => {
    const api = setUp({ dpop: 'required' }, around)
    await api.passes(api.mint('usual'))
    await api.passes(api.mint('special', jkt(api)), api.proven)
    expect(api.principal()).toMatchObject({ issuer: 'https://special.test', bound: ['dpop'] })

    await api.refuses(api.mint('special'), 'token-unbound')
    await api.refuses(api.mint('special'), 'token-unbound', api.proven)
    await api.refuses(api.mint('special', jkt(api)), 'token-bound')
    await api.refuses(api.mint('usual', jkt(api)), 'token-bound')
    await api.refuses(api.mint('usual', jkt(api)), 'token-bound', api.proven)
    await api.refuses(api.mint('usual'), 'token-unbound', api.proven)
  })

  test('both ways are offered to whoever brings nothing, and to whom brings the wrong one', async () => {
    const api = setUp({ dpop: 'required' }, around)
    const metadata = 'resource_metadata="https://api.test/.well-known/oauth-protected-resource"'
    const algs = 'algs="ES256 ES384 PS256 EdDSA Ed25519"'
    const nothing = await api.get('/orders').expect(expectRefused('unauthenticated'))
    expect(nothing.headers['www-authenticate']).toBe(
      `Bearer realm="api", ${metadata}, DPoP realm="api", ${algs}, ${metadata}`,
    )
    const wrong = await api.sent(api.mint('special')).expect(401)
    expect(wrong.headers['www-authenticate']).toBe(
      `Bearer realm="api", ${metadata}, error="invalid_token", error_description="${faults['token-unbound']}", ` +
        `DPoP realm="api", ${algs}, ${metadata}`,
    )
    expect(api.handled()).toBe(0)
  })

  test('one issuer may be left out', async () => {
    const api = setUp({ dpop: 'off' }, { ...around, dpop: 'required' })
    await api.passes(api.mint('special'))
    await api.refuses(api.mint('usual'), 'token-unbound')
    await api.passes(api.mint('usual', jkt(api)), api.proven)
  })

  test('a proof is good once, whoever issued the token, and needs the nonce of the API', async () => {
    const nonce = { secret: 'Zq7fX0mJ4v9RkT2yWb8sLd3nHc6pGa1e' }
    const api = setUp({ dpop: 'required' }, { ...around, dpop: { mode: 'off', nonce } })
    const token = api.mint('special', jkt(api))
    const { headers } = await api.proven(token).expect(expectRefused('use-dpop-nonce'))
    const fields = api.client.fields('GET', URL_HERE, token, { nonce: headers['dpop-nonce'] as string })
    await api.get('/orders').set(fields).expect(200)
    await api.get('/orders').set(fields).expect(expectRefused('invalid-dpop-proof'))
    expect(api.handled()).toBe(1)
  })

  test('where all issuers want them, nothing else is offered', async () => {
    const { get, mint, passes, proven, client } = setUp({ dpop: 'required' }, { ...around, dpop: 'required' })
    const reply = await get('/orders').expect(401)
    expect(reply.headers['www-authenticate']).toMatch(/^DPoP [^,]+, algs="[^"]+", resource_metadata="[^"]+"$/)
    await passes(mint('usual', { cnf: { jkt: client.jkt } }), proven)
  })

  test('where no issuer wants them, a proof is nothing that is known', async () => {
    const api = setUp({ dpop: 'off' }, { ...around, dpop: 'off' })
    await api.proven(api.mint('special', jkt(api))).expect(expectRefused('unauthenticated'))
    expect(api.handled()).toBe(0)
  })

  test('a route that wants them has no use for the tokens of the others, and the other way round', async () => {
    const required = setUp({ dpop: 'allowed' }, around, { dpop: 'required' })
    await required.passes(required.mint('special', jkt(required)), required.proven)
    await required.refuses(required.mint('special'), 'token-unbound')
    await required.refuses(required.mint('usual'), 'token-unbound')
    await required.refuses(required.mint('usual', jkt(required)), 'token-bound', required.proven)

    const off = setUp({ dpop: 'required' }, around, { dpop: 'off' })
    await off.passes(off.mint('usual'))
    await off.refuses(off.mint('special'), 'token-unbound')
    await off.proven(off.mint('special', jkt(off))).expect(expectRefused('unauthenticated'))
  })
})

test('metadata of the resource names all issuers, and only what all of them ask for', async () => {
  const of = async (special: Own, general: Partial<BearerOptions> = {}) => {
    const method = bearer({
      issuers: [{ issuer: 'https://usual.test' }, { issuer: 'https://special.test', ...special }],
      ...{ audience: AUDIENCE, resource: AUDIENCE, ...general },
    })
    const { get } = serve(resourceMetadata({ auth: [method] }))
    return (await get('/.well-known/oauth-protected-resource').expect(200)).body as object
  }
  const mixed = await of({ dpop: 'required', certificateBound: true })
  expect(mixed).toMatchObject({ authorization_servers: ['https://usual.test', 'https://special.test'] })
  expect(mixed).toHaveProperty('dpop_signing_alg_values_supported')
  expect(mixed).not.toHaveProperty('dpop_bound_access_tokens_required')
  expect(mixed).not.toHaveProperty('tls_client_certificate_bound_access_tokens')
  expect(await of({}, { dpop: 'required', certificateBound: true })).toMatchObject({
    dpop_bound_access_tokens_required: true,
    tls_client_certificate_bound_access_tokens: true,
  })
})

test('through a whole API, a guard narrows what an issuer may', async () => {
  const audience = 'https://api.test'
  const issuers = [{ issuer: 'https://issuer.test', maxLifetimeSeconds: 1_000 }]
  const { api, as } = testApi({ auth: [bearer({ issuers, audience, maxLifetimeSeconds: 100 })] })
  let handled = 0
  const app = express().use(api)
  const answer = (_req: express.Request, res: express.Response) => void (handled++, res.end())
  app.get('/short', api.guard({ auth: { maxLifetimeSeconds: 200 } }), answer).get('/long', answer)
  await request(app).get('/long').set('Authorization', as()).expect(200)
  await request(app).get('/short').set('Authorization', as()).expect(expectRefused('invalid-token'))
  expect(handled).toBe(1)
})

const two = (special: object, general: object = {}) =>
  bearer({
    issuers: [{ issuer: 'https://usual.test' }, { issuer: 'https://special.test', ...special }],
    audience: AUDIENCE,
    ...general,
  })

describe('does not start', () => {
  const at = 'bearer.issuers[1]'
  test.each<[string, object, object, string]>([
    ['with no lifetime', { maxLifetimeSeconds: 0 }, {}, `${at}.maxLifetimeSeconds must be an integer`],
    ['with half a second', { maxBoundLifetimeSeconds: 0.5 }, {}, `${at}.maxBoundLifetimeSeconds must be`],
    ['with an hour for clocks', { clockToleranceSeconds: 3600 }, {}, `${at}.clockToleranceSeconds must be`],
    ['with an empty typ', { typ: '' }, {}, `${at}.typ must be a media type`],
    ['with a list that is none', { revocation: {} }, {}, `${at}.revocation must be made by revocations`],
    ['with a revocation by a slip', { revocation: undefined }, {}, `${at}.revocation is undefined`],
    ['with a binding by a slip', { certificateBound: undefined }, {}, `${at}.certificateBound is undefined`],
    ['with a mode by a slip', { dpop: undefined }, {}, `${at}.dpop is undefined`],
    [
      'with a binding as text',
      { certificateBound: 'yes' },
      {},
      `${at}.certificateBound must be true or false`,
    ],
    ['with a slip in a mode', { dpop: 'requird' }, {}, 'Did you mean "required"?'],
    ['with options for proofs', { dpop: { nonce: {} } }, {}, 'stands beside the list'],
    ['with proofs for no URL', { dpop: 'required' }, {}, "write `resource: 'https://api.example.com'`"],
    ['with what is for all', { realm: 'x' }, {}, `${at} has no option "realm"`],
    ['with another slip', { maxLifetimeSecond: 1 }, {}, 'Did you mean "maxLifetimeSeconds"?'],
    ['with false beside the list', {}, { revocation: false }, 'bearer.revocation must be made by'],
    [
      'with what is wrong beside the list, though nobody uses it',
      { maxLifetimeSeconds: 1 },
      { maxLifetimeSeconds: -1 },
      'bearer.maxLifetimeSeconds must be',
    ],
    ['with no audience beside the list', { audience: 'a' }, { audience: '' }, 'bearer.audience must name'],
    [
      'with no algorithm beside the list',
      { algorithms: ['ES256'] },
      { algorithms: [] },
      'bearer.algorithms must list',
    ],
    [
      'with none beside the list',
      { algorithms: ['ES256'] },
      { algorithms: ['none'] },
      'bearer.algorithms must be',
    ],
  ])('%s', (_what, special, general, message) => {
    expect(() => two(special, general)).toThrow(ConfigError)
    expect(() => two(special, general)).toThrow(message)
  })
})

test('does not start with an issuer that was left out of the list', () => {
  const issuers = new Array<IssuerOptions>(1)
  expect(() => bearer({ audience: 'a', issuers })).toThrow('bearer.issuers[0] must be an object')
})

describe('says how it is set', () => {
  type Described = { issuers: Record<string, unknown>[] } & Record<string, unknown>
  const described = (special: object, general: object = {}) =>
    two(special, { resource: AUDIENCE, ...general }).stage.describe!() as Described
  const settings = ({ issuers, ...shared }: Described) => ({
    own: issuers.map(({ audience: _a, algorithms: _b, keys: _c, ...own }) => own),
    shared,
  })

  test('what all share once, and what differs with each', () => {
    const revocation = revocations({ store: memory() })
    const special = {
      ...{ typ: 'JWT', maxLifetimeSeconds: 100, clockToleranceSeconds: 5 },
      ...{ revocation, certificateBound: true, dpop: 'required' },
    }
    const { own, shared } = settings(described(special, { maxBoundLifetimeSeconds: 50 }))
    expect(own).toEqual([
      {
        ...{ issuer: 'https://usual.test', typ: ['at+jwt'], maxLifetimeSeconds: 86_400 },
        ...{ clockToleranceSeconds: 60, revocation: false, certificateBound: false, dpop: 'off' },
      },
      {
        ...{ issuer: 'https://special.test', typ: ['jwt'], maxLifetimeSeconds: 100 },
        ...{ clockToleranceSeconds: 5, revocation: true, certificateBound: true, dpop: 'required' },
      },
    ])
    expect(shared).toMatchObject({ maxBoundLifetimeSeconds: 50, dpop: { mode: 'allowed' } })
    expect(shared).not.toHaveProperty('typ')
    expect(shared).not.toHaveProperty('revocation')
  })

  test('nothing of issuers that say nothing of their own', () => {
    const { own, shared } = settings(described({}))
    expect(own).toEqual([{ issuer: 'https://usual.test' }, { issuer: 'https://special.test' }])
    expect(shared).toMatchObject({ typ: ['at+jwt'], maxLifetimeSeconds: 86_400, clockToleranceSeconds: 60 })
    expect(shared).not.toHaveProperty('dpop')
  })
})

describe('the check finds', () => {
  const found = (special: object, general: object = {}) =>
    two(special, general).stage.findings!().map(({ code, cause }) => `${code}: ${cause}`)

  test.each<[string, object, object, string[]]>([
    ['nothing', { maxLifetimeSeconds: 60, typ: 'JWT' }, {}, []],
    [
      'the issuer whose types nobody checks',
      { typ: false },
      {},
      ['bearer-typ-unchecked: bearer.typ is false for https://special.test'],
    ],
    ['all of them at once', {}, { typ: false }, ['bearer-typ-unchecked: bearer.typ is false,']],
    [
      'the issuer whose tokens live long',
      { maxLifetimeSeconds: 90_000 },
      {},
      ['bearer-long-lifetime: bearer.maxLifetimeSeconds is 90000 for https://special.test'],
    ],
    [
      'each of them, where they differ',
      { maxLifetimeSeconds: 90_000 },
      { maxLifetimeSeconds: 100_000 },
      [
        'bearer-long-lifetime: bearer.maxLifetimeSeconds is 100000 for https://usual.test',
        'bearer-long-lifetime: bearer.maxLifetimeSeconds is 90000 for https://special.test',
      ],
    ],
    [
      'the issuer with a secret',
      { secret: 'Zq7fX0mJ4v9RkT2yWb8sLd3nHc6pGa1e' },
      {},
      ['bearer-shared-secret: bearer.secret for https://special.test'],
    ],
    [
      'the issuer of which nothing is revoked',
      { revocation: false },
      { revocation: revocations({ store: memory() }) },
      ['bearer-revocation-off: bearer.revocation is not asked for https://special.test'],
    ],
  ])('%s', (_what, special, general, expected) => {
    const all = found(special, general)
    expect(all.map((one, index) => one.slice(0, expected[index]?.length))).toEqual(expected)
  })
})
