import fc from 'fast-check'
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import request from 'supertest'
import { auth } from '../../src/identity/auth.js'
import { bearer, type BearerOptions } from '../../src/identity/bearer.js'
import type { DpopMode, DpopOptions } from '../../src/identity/dpop-options.js'
import { introspection } from '../../src/identity/introspection.js'
import type { Method } from '../../src/identity/method.js'
import { resourceMetadata } from '../../src/identity/resource-metadata.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import { memory } from '../../src/kernel/memory.js'
import type { OnceStore } from '../../src/kernel/ports.js'
import { respond } from '../../src/kernel/respond.js'
import type { Services } from '../../src/kernel/services.js'
import { StoreUnavailable } from '../../src/kernel/store-unavailable.js'
import { dpopClient, fakeClock, localIssuer, serve, type ProofOptions } from '../../src/testing/index.js'
import { testApi } from '../support/api.js'
import { listen, sendRaw } from '../support/raw.js'

const clock = fakeClock()
const issuer = localIssuer({ clock })
const client = dpopClient({ clock })
const other = dpopClient({ clock })
const BASE = 'https://api.test'
const ALGS = 'ES256 ES384 PS256 EdDSA Ed25519'
const bound = () => issuer.mint({ cnf: { jkt: client.jkt } })
const secret = 'Zq7fX0mJ4v9RkT2yWb8sLd3nHc6pGa1e'

const method = (dpop: DpopMode | DpopOptions, more: Partial<BearerOptions> = {}) =>
  bearer({ issuer: issuer.issuer, audience: issuer.audience, resource: `${BASE}/orders`, dpop, ...more })

function setUp(dpop: DpopMode | DpopOptions = 'allowed', more: Partial<BearerOptions> = {}) {
  let principal: Principal | undefined
  const why: (string | undefined)[] = []
  const api = serve(method(dpop, { resource: BASE, ...more }), {
    clock,
    fetch: issuer.fetch,
    handler(req, res) {
      principal = contextOf(req)?.principal
      why.push(undefined)
      res.end()
    },
    respond(ctx, problem) {
      why.push(problem.rule)
      respond(ctx, problem)
    },
  })
  return { ...api, principal: () => principal, why }
}

type Api = ReturnType<typeof setUp>
const send = ({ get }: Pick<Api, 'get'>, token = bound(), options?: ProofOptions, url = `${BASE}/orders`) =>
  get('/orders').set(client.fields('GET', url, token, options))
const dpopError = (error: string, description: string) =>
  `DPoP realm="api", algs="${ALGS}", resource_metadata="${BASE}/.well-known/oauth-protected-resource", ` +
  `error="${error}", error_description="${description}"`
const BEARER = `Bearer realm="api", resource_metadata="${BASE}/.well-known/oauth-protected-resource"`

describe('a proof of possession (ASVS 10.3.5)', () => {
  test('lets the token in that is bound to its key, and the principal says so', async () => {
    const api = setUp()
    const token = bound()
    for (let n = 0; n < 3; n++) await send(api, token).expect(200)
    expect(api.principal()).toMatchObject({ subject: 'user-1', method: 'bearer', bound: ['dpop'] })
    await api.get('/orders').set('Authorization', `Bearer ${issuer.mint()}`).expect(200)
    expect(api.principal()).not.toHaveProperty('bound')
  })

  test.each(['ES256', 'ES384', 'PS256', 'EdDSA'] as const)('may be signed by %s', async (algorithm) => {
    const { get } = setUp('required')
    const signer = dpopClient({ algorithm, clock })
    const token = issuer.mint({ cnf: { jkt: signer.jkt } })
    await get('/orders')
      .set(signer.fields('GET', `${BASE}/orders`, token))
      .expect(200)
  })

  const small = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const publicOf = ({ publicKey }: typeof small) => publicKey.export({ format: 'jwk' })
  const jwk = client.jwk
  const bad: [rule: string, options: ProofOptions][] = [
    ['dpop-type', { header: { typ: 'JWT' } }],
    ['dpop-type', { header: { typ: undefined } }],
    ['dpop-type', { header: { typ: 'at+jwt' } }],
    ['dpop-algorithm', { header: { alg: 'none' } }],
    ['dpop-algorithm', { header: { alg: 'HS256' } }],
    ['dpop-algorithm', { header: { alg: 'RS256' } }],
    ['dpop-algorithm', { header: { alg: undefined } }],
    ['dpop-header', { header: { crit: ['b64'], b64: true } }],
    ['dpop-header', { header: { jku: 'https://evil.test/keys' } }],
    ['dpop-header', { header: { x5c: ['MII'] } }],
    ['dpop-key', { header: { jwk: undefined } }],
    ['dpop-key', { header: { jwk: [jwk] } }],
    ['dpop-key', { header: { jwk: { ...jwk, d: 'AAAA' } } }],
    ['dpop-key', { header: { jwk: { kty: 'oct', k: 'AAAA' } } }],
    ['dpop-key', { header: { jwk: { ...jwk, x: 7 } } }],
    ['dpop-key', { header: { jwk: { kty: '__proto__' } } }],
    ['dpop-binding', { header: { jwk: { ...jwk, x: jwk.y } } }],
    ['dpop-binding', { header: { jwk: other.jwk } }],
    ['dpop-binding', { header: { alg: 'PS256', jwk: publicOf(small) } }],
    ['dpop-signature', { key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }],
    ['dpop-claims', { claims: { jti: undefined } }],
    ['dpop-claims', { claims: { jti: '' } }],
    ['dpop-claims', { claims: { jti: 'x'.repeat(257) } }],
    ['dpop-claims', { claims: { jti: 7 } }],
    ['dpop-claims', { claims: { htm: undefined } }],
    ['dpop-claims', { claims: { htu: [`${BASE}/orders`] } }],
    ['dpop-claims', { claims: { iat: '1' } }],
    ['dpop-claims', { claims: { ath: undefined } }],
    ['dpop-method', { claims: { htm: 'POST' } }],
    ['dpop-method', { claims: { htm: 'get' } }],
    ['dpop-token', { claims: { ath: 'x'.repeat(43) } }],
    ['dpop-time', { claims: { iat: clock.now() / 1000 - 61 } }],
    ['dpop-time', { claims: { iat: clock.now() / 1000 + 61 } }],
    ['dpop-time', { claims: { exp: clock.now() / 1000 - 60 } }],
    ['dpop-time', { claims: { nbf: clock.now() / 1000 + 61 } }],
    ['dpop-claims', { claims: { exp: 'never' } }],
    ['dpop-claims', { claims: { nbf: null } }],
  ]
  test.each(bad)('is refused as %s: %j', async (rule, options) => {
    const api = setUp()
    const reply = await send(api, bound(), options).expect(401)
    const code = rule === 'dpop-binding' ? 'invalid-token' : 'invalid-dpop-proof'
    expect(JSON.parse(reply.text)).toMatchObject({ code, type: `urn:secure-api:problem:${code}` })
    const { detail } = JSON.parse(reply.text) as { detail: string }
    expect(reply.headers['www-authenticate']).toBe(
      `${BEARER}, ${dpopError(code === 'invalid-token' ? 'invalid_token' : 'invalid_dpop_proof', detail)}`,
    )
    expect(reply.headers['cache-control']).toBe('no-store')
    expect(api.why).toEqual([rule])
    expect(api.handled()).toBe(0)
  })

  test.each<[string, string, string]>([
    ['empty', '', 'dpop-malformed'],
    ['two parts', 'a.b', 'dpop-malformed'],
    ['a list', `${'a'.repeat(20)}, ${'b'.repeat(20)}`, 'dpop-malformed'],
    ['no JSON', 'YQ.YQ.YQ', 'dpop-malformed'],
    ['a token of the issuer', issuer.mint(), 'dpop-claims'],
    ['long', `a.${'a'.repeat(4_092)}.aa`, 'dpop-malformed'],
  ])('is refused where it is %s', async (_what, proof, rule) => {
    const api = setUp()
    await api.get('/orders').set('Authorization', `DPoP ${bound()}`).set('DPoP', proof).expect(401)
    expect(api.why).toEqual([rule])
  })

  test('is refused where it is missing, or sent twice', async () => {
    const { get, server, why, handled } = setUp()
    const token = bound()
    await get('/orders').set('Authorization', `DPoP ${token}`).expect(401)
    const fields = client.fields('GET', `${BASE}/orders`, token)
    const head = ['GET /orders HTTP/1.1', 'Host: a', `Authorization: ${fields.Authorization}`]
    const reply = await sendRaw(
      server,
      [...head, `DPoP: ${fields.DPoP}`, `dpop: ${fields.DPoP}`, 'Connection: close', '', ''].join('\r\n'),
    )
    expect(reply.status).toBe(401)
    expect(why).toEqual(['dpop-missing', 'dpop-twice'])
    expect(handled()).toBe(0)
  })

  test('is refused where the token is bound to a key that is too weak', async () => {
    const { calculateJwkThumbprint } = await import('jose')
    const jwk = publicOf(small)
    const token = issuer.mint({ cnf: { jkt: await calculateJwkThumbprint(jwk) } })
    const api = setUp()
    await send(api, token, { header: { alg: 'PS256', jwk }, key: small.privateKey }).expect(401)
    expect(api.why).toEqual(['dpop-key'])
  })

  test('is refused where the token is bound to a key under which everybody can sign', async () => {
    const { calculateJwkThumbprint } = await import('jose')
    const jwk = {
      kty: 'OKP',
      crv: 'Ed25519',
      x: Buffer.from([1, ...Array<number>(31).fill(0)]).toString('base64url'),
    }
    const token = issuer.mint({ cnf: { jkt: await calculateJwkThumbprint(jwk) } })
    const api = setUp()
    const proof = client.proof('GET', `${BASE}/orders`, token, { header: { alg: 'EdDSA', jwk } })
    const text = proof.slice(0, proof.lastIndexOf('.'))
    const signature = Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]).toString('base64url')
    await api
      .get('/orders')
      .set({ Authorization: `DPoP ${token}`, DPoP: `${text}.${signature}` })
      .expect(401)
    expect({ why: api.why, handled: api.handled() }).toEqual({ why: ['dpop-key'], handled: 0 })
  })

  test('is refused whatever is changed in it', async () => {
    const { get, server } = setUp()
    await listen(server)
    const token = bound()
    const characters = ['A', 'Q', 'g', 'w', 'Z', '0', '9', '-', '_', '.']
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.constantFrom(...characters), async (at, character) => {
        const proof = client.proof('GET', `${BASE}/orders`, token)
        const i = at % proof.length
        fc.pre(proof[i] !== character)
        const changed = proof.slice(0, i) + character + proof.slice(i + 1)
        await get('/orders').set('Authorization', `DPoP ${token}`).set('DPoP', changed).expect(401)
      }),
      { numRuns: 150 },
    )
    server.close()
  })
})

describe('the URL that a proof is for', () => {
  test.each<[htu: string, path: string, baseUrls?: string | string[]]>([
    [`${BASE}/orders?page=2#top`, '/orders?page=3'],
    ['HTTPS://API.test:443/orders', '/orders'],
    [BASE, '/'],
    [`${BASE}/`, '/'],
    [`${BASE}/%7Ebob/a%2fb`, '/~bob/a%2Fb'],
    [`${BASE}/v1/orders`, '/orders', `${BASE}/v1/`],
    ['https://b.test:8443/orders', '/orders', [BASE, 'https://b.test:8443']],
  ])('%s is that of %s', async (htu, path, baseUrls = BASE) => {
    const { get } = setUp({ baseUrls })
    await get(path)
      .set(client.fields('GET', htu, bound()))
      .expect(200)
  })

  test.each<[htu: string, path: string]>([
    ['http://api.test/orders', '/orders'],
    ['https://api.test:444/orders', '/orders'],
    ['https://evil.test/orders', '/orders'],
    ['https://api.test.evil.test/orders', '/orders'],
    ['https://api.test@evil.test/orders', '/orders'],
    ['https://user@api.test/orders', '/orders'],
    ['https:api.test/orders', '/orders'],
    ['https:\\\\api.test\\orders', '/orders'],
    [' https://api.test/orders', '/orders'],
    ['https://api.test/ord\ners', '/orders'],
    ['/orders', '/orders'],
    [`${BASE}/Orders`, '/orders'],
    [`${BASE}/orders/`, '/orders'],
    [`${BASE}//orders`, '/orders'],
    [`${BASE}/x/../orders`, '/orders'],
    [`${BASE}/orders%2f1`, '/orders/1'],
    [`${BASE}/orders%3Fpage`, '/orders?page'],
    [BASE, '/orders'],
  ])('%j is not that of %s', async (htu, path) => {
    const { get, why, handled } = setUp()
    await get(path)
      .set(client.fields('GET', htu, bound()))
      .expect(401)
    expect(why).toEqual(['dpop-url'])
    expect(handled()).toBe(0)
  })

  test('is never what Host, Forwarded or X-Forwarded-Host say', async () => {
    const { get, why, handled } = setUp()
    const forwarded = {
      'X-Forwarded-Host': 'evil.test',
      'X-Forwarded-Proto': 'https',
      Forwarded: 'host=evil.test',
    }
    for (const host of ['api.test', 'evil.test']) {
      const fields = { ...forwarded, Host: host }
      await get('/orders')
        .set(fields)
        .set(client.fields('GET', 'https://evil.test/orders', bound()))
        .expect(401)
      await get('/orders')
        .set(fields)
        .set(client.fields('GET', `${BASE}/orders`, bound()))
        .expect(200)
    }
    expect(why).toEqual(['dpop-url', undefined, 'dpop-url', undefined])
    expect(handled()).toBe(2)
  })
})

describe('schemes', () => {
  test.each<[DpopMode, string, () => string, number, string | undefined]>([
    ['off', 'Bearer', bound, 401, 'token-bound'],
    ['off', 'DPoP', bound, 401, 'no-credential'],
    ['off', 'Bearer', () => issuer.mint(), 200, undefined],
    ['allowed', 'Bearer', bound, 401, 'token-bound'],
    ['allowed', 'dpop', bound, 200, undefined],
    ['allowed', 'Bearer', () => issuer.mint(), 200, undefined],
    ['allowed', 'DPoP', () => issuer.mint(), 401, 'token-unbound'],
    ['required', 'Bearer', bound, 401, 'token-bound'],
    ['required', 'DPOP', bound, 200, undefined],
    ['required', 'Bearer', () => issuer.mint(), 401, 'token-unbound'],
    ['required', 'DPoP', () => issuer.mint(), 401, 'token-unbound'],
    ['allowed', 'DPoP', () => issuer.mint({ cnf: { 'x5t#S256': 'x'.repeat(43) } }), 401, 'token-bound'],
    ['allowed', 'DPoP', () => issuer.mint({ cnf: { jkt: client.jkt, jwk: client.jwk } }), 401, 'token-bound'],
    ['allowed', 'DPoP', () => issuer.mint({ cnf: { jkt: 'short' } }), 401, 'token-bound'],
    ['allowed', 'DPoP', () => issuer.mint({ cnf: [] }), 401, 'token-bound'],
    ['allowed', 'DPoP', () => 'made.up', 401, 'token-malformed'],
  ])('with dpop %s, %s ... gives what it should: %#', async (mode, scheme, token, status, rule) => {
    const { get, why, handled } = setUp(mode)
    const text = token()
    const { DPoP } = client.fields('GET', `${BASE}/orders`, text)
    const reply = await get('/orders')
      .set('Authorization', `${scheme} ${text}`)
      .set('DPoP', DPoP)
      .expect(status)
    expect(why).toEqual([rule])
    expect(handled()).toBe(status === 200 ? 1 : 0)
    if (rule?.startsWith('token-')) expect(JSON.parse(reply.text)).toMatchObject({ code: 'invalid-token' })
  })

  test.each<[DpopMode, string]>([
    ['off', BEARER],
    ['allowed', `${BEARER}, DPoP realm="api", algs="${ALGS}"`],
    ['required', `DPoP realm="api", algs="${ALGS}"`],
  ])('%s is what challenges say', async (mode, challenge) => {
    const reply = await setUp(mode).get('/').expect(401)
    expect(reply.headers['www-authenticate']).toMatch(challenge)
    expect(reply.headers['www-authenticate']!.includes('Bearer')).toBe(mode !== 'required')
  })

  test('the error stands with the scheme that was used', async () => {
    const { get } = setUp({ algorithms: ['ES256', 'PS256'] })
    const description = 'error_description="The access token is malformed"'
    const asBearer = await get('/').set('Authorization', 'Bearer made.up').expect(401)
    expect(asBearer.headers['www-authenticate']).toBe(
      `${BEARER}, error="invalid_token", ${description}, DPoP realm="api", algs="ES256 PS256", ` +
        `resource_metadata="${BASE}/.well-known/oauth-protected-resource"`,
    )
    const asDpop = await get('/').set('Authorization', 'DPoP made.up').expect(401)
    expect(asDpop.headers['www-authenticate']).toBe(
      `${BEARER}, DPoP realm="api", algs="ES256 PS256", ` +
        `resource_metadata="${BASE}/.well-known/oauth-protected-resource", error="invalid_token", ${description}`,
    )
    await get('/').set('Authorization', 'DPoP').expect(400)
    await get('/').set('Authorization', 'DPoP a b').expect(400)
  })

  test('a missing scope is told under the scheme that was used', async () => {
    const { api } = testApi({
      auth: [method('allowed')],
      rbac: { default: { scope: 'orders:write' } },
      clock,
      fetch: issuer.fetch,
    })
    const server = createServer(api.protect((_req, res) => void res.end()))
    const reply = await request(server)
      .get('/orders')
      .set(client.fields('GET', `${BASE}/orders`, bound()))
    expect(reply.status).toBe(403)
    expect(reply.headers['www-authenticate']).toMatch(
      /^DPoP .*error="insufficient_scope".*scope="orders:write"$/,
    )
    await api.close()
  })
})

describe('a proof is good once', () => {
  test('also in another spelling of its time, and for another token of the same key', async () => {
    const api = setUp()
    const token = bound()
    const fields = client.fields('GET', `${BASE}/orders`, token)
    await api.get('/orders').set(fields).expect(200)
    const reply = await api.get('/orders').set(fields).expect(401)
    expect(reply.headers['www-authenticate']).toContain(
      dpopError('invalid_dpop_proof', 'The DPoP proof was used before'),
    )
    expect(api.handled()).toBe(1)

    const claims = { jti: 'same' }
    await send(api, token, { claims }).expect(200)
    await send(api, bound(), { claims }).expect(401)
    const theirs = issuer.mint({ cnf: { jkt: other.jkt } })
    await api
      .get('/orders')
      .set(other.fields('GET', `${BASE}/orders`, theirs, { claims }))
      .expect(200)
  })

  test('as long as its time is not over, and only proofs that hold are remembered', async () => {
    const claimed: [string, number][] = []
    const once: OnceStore = {
      claim: (_space, key, ttlMs) => {
        claimed.push([key, ttlMs])
        return true
      },
    }
    const api = setUp({ baseUrls: BASE, store: { once } })
    const now = clock.now() / 1000
    await send(api, bound(), { claims: { jti: 'a', iat: now - 61 } }).expect(401)
    await send(api, bound(), { key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }).expect(
      401,
    )
    expect(claimed).toEqual([])
    for (const iat of [now - 60, now, now + 60]) await send(api, bound(), { claims: { iat } }).expect(200)
    expect(claimed.map(([, ttlMs]) => ttlMs)).toEqual([60_000, 120_000, 180_000])
    for (const [key] of claimed) expect(key).toMatch(/^[\w-]{43}$/)
  })

  test('in every API that shares the store, whichever is asked first', async () => {
    const store = memory({ clock })
    const apis = [setUp({ baseUrls: BASE, store }), setUp({ baseUrls: BASE, store })]
    for (let n = 0; n < 10; n++) {
      const fields = client.fields('GET', `${BASE}/orders`, bound())
      const replies = await Promise.all(apis.map(({ get }) => get('/orders').set(fields)))
      expect(replies.map(({ status }) => status).sort()).toEqual([200, 401])
    }
  })

  test('in each API by itself where there is no store', async () => {
    const fields = client.fields('GET', `${BASE}/orders`, bound())
    for (const api of [setUp(), setUp()]) {
      await api.get('/orders').set(fields).expect(200)
      await api.get('/orders').set(fields).expect(401)
    }
  })

  test.each<[string, OnceStore['claim']]>([
    ['fails', () => Promise.reject(new Error('down'))],
    ['is full', () => Promise.reject(new StoreUnavailable('full', 0, 1_000))],
    ['says nonsense', () => 'yes' as never],
  ])('and 503 where the store %s', async (_what, claim) => {
    const api = setUp({ baseUrls: BASE, store: { once: { claim } } })
    const reply = await send(api).expect(503)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'store-unavailable' })
    expect(reply.headers['retry-after']).toBe('1')
    expect(api.handled()).toBe(0)
    await api.get('/orders').set('Authorization', `Bearer ${issuer.mint()}`).expect(200)
  })

  test('and 503 where the memory of the process is full', async () => {
    let services: Services | undefined
    const { get, handled } = serve(method('allowed'), {
      clock,
      fetch: issuer.fetch,
      handler(req, res) {
        services = contextOf(req)?.services
        res.end()
      },
    })
    await send({ get }).expect(200)
    const fill = async () => {
      for (let n = 0; ; n++) await services!.once.claim('dpop-proof', `${n}`, 1_000)
    }
    await expect(fill).rejects.toThrow(StoreUnavailable)
    const reply = await send({ get }).expect(503)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'store-unavailable' })
    expect(reply.headers['retry-after']).toBe('1')
    expect(handled()).toBe(1)
  })

  test('but may be looked at twice by one request', async () => {
    const { get } = serve([method('allowed'), method('required')], { clock, fetch: issuer.fetch })
    const fields = client.fields('GET', `${BASE}/orders`, bound())
    await get('/orders').set(fields).expect(200)
    await get('/orders').set(fields).expect(401)
  })
})

describe('nonces of the server', () => {
  const nonce = { secret, lifetimeSeconds: 60 }

  test('are asked for, told, changed in time, and good in all processes', async () => {
    const [api, another] = [setUp({ baseUrls: BASE, nonce }), setUp({ baseUrls: BASE, nonce })]
    const reply = await send(api).expect(401)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'use-dpop-nonce' })
    expect(reply.headers['www-authenticate']).toBe(
      `${BEARER}, ${dpopError('use_dpop_nonce', 'Resource server requires nonce in DPoP proof')}`,
    )
    expect(reply.headers['cache-control']).toBe('no-store')
    const first = reply.headers['dpop-nonce']!
    expect(first).toMatch(/^[\w-]{43}$/)

    const good = await send(api, bound(), { nonce: first }).expect(200)
    expect(good.headers).not.toHaveProperty('dpop-nonce')
    await send(another, bound(), { nonce: first }).expect(200)
    for (const wrong of ['', 'x'.repeat(43), `${first}x`])
      await send(api, bound(), { nonce: wrong }).expect(401)
    await send(api, bound(), { claims: { nonce: [first] } }).expect(401)

    clock.advance(60_000)
    const late = await send(api, bound(), { nonce: first }).expect(200)
    const second = late.headers['dpop-nonce']!
    expect(second).not.toBe(first)
    await send(another, bound(), { nonce: second }).expect(200)
    clock.advance(60_000)
    await send(api, bound(), { nonce: first }).expect(401).expect('DPoP-Nonce', /./)
    expect(api.handled()).toBe(2)
  })

  test('outlive a change of the secret, and are good where the clock is behind', async () => {
    const old = setUp({ baseUrls: BASE, nonce })
    const made = (await send(old).expect(401)).headers['dpop-nonce']!
    const changed = { secret: ['another secret of at least 32 bytes, new', secret], lifetimeSeconds: 60 }
    const api = setUp({ baseUrls: BASE, nonce: changed })
    await send(api, bound(), { nonce: made }).expect(200).expect('DPoP-Nonce', /./)

    clock.advance(60_000)
    const ahead = (await send(api).expect(401)).headers['dpop-nonce']!
    clock.jump(-60_000)
    await send(api, bound(), { nonce: ahead }).expect(200)
    clock.jump(60_000)
  })
})

describe('routes', () => {
  const routes = {
    'GET /payouts': { auth: { dpop: 'required' }, rbac: 'authenticated' },
    'GET /legacy': { auth: { dpop: 'off' }, rbac: 'authenticated' },
    'GET /public': { auth: { dpop: 'required', optional: true }, rbac: 'authenticated' },
  } as const
  const { api } = testApi({ auth: [method('allowed')], routes, clock, fetch: issuer.fetch })
  const guarded = api.guard({ auth: { dpop: 'required' } })
  const server = createServer(
    api.protect((req, res) => {
      if (req.url === '/guarded') guarded(req, res, () => res.end())
      else res.end()
    }),
  )
  const ask = (path: string, proven: boolean) => {
    const token = proven ? bound() : issuer.mint()
    const fields = proven ? client.fields('GET', BASE + path, token) : { Authorization: `Bearer ${token}` }
    return request(server).get(path).set(fields)
  }
  afterAll(() => api.close())

  test.each<[string, boolean, number]>([
    ['/orders', true, 200],
    ['/orders', false, 200],
    ['/payouts', true, 200],
    ['/payouts', false, 401],
    ['/legacy', true, 401],
    ['/legacy', false, 200],
    ['/public', true, 200],
    ['/public', false, 401],
    ['/guarded', true, 200],
    ['/guarded', false, 401],
  ])('%s with a proof (%s) gives %i', async (path, proven, status) => {
    const reply = await ask(path, proven).expect(status)
    if (status === 200) return
    const challenge = reply.headers['www-authenticate']!
    expect(challenge.includes('DPoP')).toBe(path !== '/legacy')
    expect(challenge.includes('Bearer')).toBe(path === '/legacy')
    expect(challenge.includes('invalid_token')).toBe(path !== '/legacy')
  })

  test('API keys and the like do not count where a proof is required', async () => {
    const plain: Method = {
      ...method('off').stage,
      methodName: 'key',
      recognises: () => true,
      credential: 'key',
    }
    delete plain.narrow
    const all = Object.assign(method('off'), { stage: plain })
    const { get, handled } = serve(auth({ any: [method('allowed'), all], dpop: 'required' }), { clock })
    await get('/').expect(401)
    expect(handled()).toBe(0)
    expect(() => auth({ any: [all], dpop: 'required' })).toThrow("auth.dpop is 'required'")
  })

  test.each<[string, () => unknown, string]>([
    [
      'required where it is off',
      () => auth({ any: [method('off')], dpop: 'required' }),
      "auth.dpop is 'required'",
    ],
    [
      'off where it is required',
      () => auth({ any: [method('required')], dpop: 'off' }),
      "auth.dpop is 'off'",
    ],
    ['a guard that says off', () => api.guard({ auth: { dpop: 'off' } }), "cannot be 'off' in a guard"],
    [
      'a word that is none',
      () => auth({ any: [method('off')], dpop: 'on' as never }),
      'auth.dpop must be one of',
    ],
    [
      'a route against the general setting',
      () =>
        testApi({
          auth: { any: [method('allowed')], dpop: 'off' },
          routes: { 'GET /a': { auth: { dpop: 'required' } } },
        }),
      'excludes the general setting',
    ],
  ])('do not start with %s', (_what, build, message) => {
    expect(build).toThrow(message)
  })
})

test('tokens that are bound may live longer, if that is said', async () => {
  const long = (cnf?: object) => issuer.mint({ exp: clock.now() / 1000 + 3_600, ...(cnf && { cnf }) })
  const cnf = { jkt: client.jkt }
  const alone = setUp('allowed', { maxLifetimeSeconds: 300, maxBoundLifetimeSeconds: 3_600 })
  await send(alone, long(cnf)).expect(200)
  await alone.get('/orders').set('Authorization', `Bearer ${long()}`).expect(401)
  await send(setUp('allowed', { maxLifetimeSeconds: 300 }), long(cnf)).expect(401)

  const within = (lifetimes: object) =>
    serve(auth({ any: [method('allowed')], ...lifetimes }), { clock, fetch: issuer.fetch })
  const both = within({ maxLifetimeSeconds: 300, maxBoundLifetimeSeconds: 3_600 })
  await both
    .get('/orders')
    .set(client.fields('GET', `${BASE}/orders`, long(cnf)))
    .expect(200)
  await both.get('/orders').set('Authorization', `Bearer ${long()}`).expect(401)
  const { api, events } = testApi({
    auth: {
      any: [method('allowed')],
      maxLifetimeSeconds: 300,
      maxBoundLifetimeSeconds: 3_600,
      reportLifetimeSeconds: 60,
    },
    ...{ clock, fetch: issuer.fetch },
  })
  const server = createServer(api.protect((_req, res) => void res.end()))
  for (const fields of [
    client.fields('GET', `${BASE}/orders`, long(cnf)),
    { Authorization: `Bearer ${issuer.mint()}` },
  ]) {
    await request(server).get('/orders').set(fields).expect(200)
  }
  expect(events.filter(({ outcome }) => outcome === 'reported')).toHaveLength(1)
  await api.close()
  const short = within({ maxLifetimeSeconds: 300 })
  await short
    .get('/orders')
    .set(client.fields('GET', `${BASE}/orders`, long(cnf)))
    .expect(401)
})

describe('tokens that are asked about', () => {
  const said = { active: true, iss: 'https://opaque.test', aud: issuer.audience, sub: 'user-2' }
  const asked = (dpop: DpopMode, answer: object) =>
    serve(
      introspection({
        issuer: 'https://opaque.test',
        endpoint: 'https://opaque.test/introspect',
        audience: issuer.audience,
        clientId: 'orders',
        clientSecret: secret,
        resource: BASE,
        dpop,
      }),
      {
        clock,
        fetch: () => {
          const iat = Math.floor(clock.now() / 1000)
          return Promise.resolve(Response.json({ ...said, iat, exp: iat + 300, ...answer }))
        },
      },
    )
  const cnf = { jkt: client.jkt }

  test.each<[DpopMode, string, object, number]>([
    ['allowed', 'DPoP', { token_type: 'DPoP', cnf }, 200],
    ['allowed', 'DPoP', { cnf }, 200],
    ['allowed', 'Bearer', { token_type: 'DPoP', cnf }, 401],
    ['allowed', 'DPoP', { token_type: 'DPoP' }, 401],
    ['allowed', 'DPoP', { token_type: 'Bearer' }, 401],
    ['allowed', 'DPoP', { cnf: { jkt: other.jkt } }, 401],
    ['off', 'Bearer', { token_type: 'DPoP', cnf }, 401],
    ['required', 'Bearer', { token_type: 'Bearer' }, 401],
  ])('with dpop %s, %s and %j: %i', async (mode, scheme, answer, status) => {
    const { get, handled } = asked(mode, answer)
    for (let n = 0; n < 2; n++) {
      const { DPoP } = client.fields('GET', `${BASE}/`, 'opaque')
      await get('/').set('Authorization', `${scheme} opaque`).set('DPoP', DPoP).expect(status)
    }
    expect(handled()).toBe(status === 200 ? 2 : 0)
  })
})

test('a client of another make finds its way, nonce included', async () => {
  const oauth = await import('oauth4webapi')
  const { server, principal, handled } = setUp({ mode: 'required', baseUrls: BASE, nonce: { secret } }, {})
  await listen(server)
  const { port } = server.address() as { port: number }
  const keys = await oauth.generateKeyPair('ES256')
  const handle = oauth.DPoP({ [oauth.clockSkew]: Math.round((clock.now() - Date.now()) / 1000) }, keys)
  const token = issuer.mint({ cnf: { jkt: await handle.calculateThumbprint() } })
  const call = () =>
    oauth.protectedResourceRequest(token, 'GET', new URL(`${BASE}/orders?page=1`), undefined, null, {
      DPoP: handle,
      [oauth.customFetch]: (url: string, init: object) =>
        fetch(url.replace(BASE, `http://127.0.0.1:${port}`), init),
    })
  let error: unknown
  await call().catch((thrown: unknown) => (error = thrown))
  expect(oauth.isDPoPNonceError(error)).toBe(true)
  expect((await call()).status).toBe(200)
  expect((await call()).status).toBe(200)
  expect(handled()).toBe(2)
  expect(principal()).toMatchObject({ bound: ['dpop'] })
  server.closeAllConnections()
  server.close()
})

test('the metadata of the resource tells how', async () => {
  const document = async (...modes: DpopMode[]) => {
    const methods = modes.map((mode, i) => {
      const one = method(mode)
      return Object.assign(one, { stage: { ...one.stage, methodName: `bearer ${i}` } })
    })
    const { get } = serve(resourceMetadata({ auth: methods }))
    return (await get('/.well-known/oauth-protected-resource/orders').expect(200)).body as object
  }
  expect(await document('required')).toMatchObject({
    dpop_signing_alg_values_supported: ALGS.split(' '),
    dpop_bound_access_tokens_required: true,
  })
  expect(await document('required', 'allowed')).not.toHaveProperty('dpop_bound_access_tokens_required')
  expect(await document('off')).not.toHaveProperty('dpop_signing_alg_values_supported')
})

describe('does not start', () => {
  test.each<[string, unknown, string]>([
    ['without a URL', 'allowed', 'bearer.dpop needs to know under which URL clients reach this API'],
    ['with a URL over http', { baseUrls: 'http://api.test' }, 'bearer.dpop.baseUrls must be https'],
    ['with a query', { baseUrls: `${BASE}?a` }, 'must not have a query'],
    ['with no URL', { baseUrls: [] }, 'needs to know under which URL'],
    ['with a mode that is none', 'on', 'bearer.dpop must be one of'],
    ['with another mode that is none', { mode: 'on', baseUrls: BASE }, 'bearer.dpop.mode must be one of'],
    [
      'with a secret for proofs',
      { baseUrls: BASE, algorithms: ['HS256'] },
      'bearer.dpop.algorithms must be one of',
    ],
    ['without algorithms', { baseUrls: BASE, algorithms: [] }, 'must list at least one algorithm'],
    ['with hours', { baseUrls: BASE, maxAgeSeconds: 3_600 }, 'bearer.dpop.maxAgeSeconds must be an integer'],
    ['with a short secret', { baseUrls: BASE, nonce: { secret: 'short' } }, 'must have at least 32 bytes'],
    ['without a secret', { baseUrls: BASE, nonce: {} }, 'bearer.dpop.nonce.secret must be'],
    [
      'with nonces for ever',
      { baseUrls: BASE, nonce: { secret, lifetimeSeconds: 1e6 } },
      'lifetimeSeconds must be',
    ],
    ['with a store without claims', { baseUrls: BASE, store: { records: memory().records } }, 'has no once'],
  ])('%s', (_what, dpop, message) => {
    const build = () => bearer({ issuer: issuer.issuer, audience: 'orders', dpop: dpop as DpopOptions })
    expect(build).toThrow(message)
    expect(build).not.toThrow(secret)
  })
})
