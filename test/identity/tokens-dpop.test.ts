import express from 'express'
import { decodeJwt } from 'jose'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as oauth from 'oauth4webapi'
import request from 'supertest'
import { bearer } from '../../src/identity/bearer.js'
import { tokens, type TokenResponse, type TokensOptions } from '../../src/identity/tokens.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { memory } from '../../src/kernel/memory.js'
import type { Store } from '../../src/kernel/ports.js'
import { systemClock } from '../../src/kernel/system-clock.js'
import { secureApi } from '../../src/secure-api.js'
import { dpopClient, fakeClock, type DpopClient, type ProofOptions } from '../../src/testing/index.js'
import { silent } from '../support/api.js'
import { listen } from '../support/raw.js'

const ISSUER = 'https://api.test'
type Issued = Required<TokenResponse>

/** An API with an issuer of its own that binds tokens to keys. */
function setUp(options: Partial<TokensOptions> = {}) {
  const fake = fakeClock()
  const { clock = fake } = options
  const store: Store = options.store ?? memory({ clock })
  const own = tokens({ issuer: ISSUER, audience: ISSUER, dpop: 'allowed', ...options, clock, store })
  const events: Record<string, unknown>[] = []
  const keep = (event: object): void => void events.push({ ...event })
  const open = { public: true } as const
  const api = secureApi({
    auth: [bearer(own.bearerOptions)],
    audit: { logger: { info: keep, warn: keep, error: keep } },
    rateLimit: false,
    clock,
    log: silent,
    routes: { 'POST /login': open, 'POST /token': open, 'POST /refresh': open },
  })
  const app = express()
  app.post('/login', async (req, res) => void res.json(await own.issue({ subject: 'user-1' }, req)))
  app.use('/token', own.token)
  app.use('/refresh', own.refresh)
  app.get('/me', (req, res) => void res.json(req.security!.principal))
  app.use(api.errors())
  const server = createServer(api.protect(app))
  const to = request(server)
  /** A proof for a request for tokens: there is none yet that it could be for. */
  const proof = (client: DpopClient, path: string, { claims, ...more }: ProofOptions = {}) =>
    client.proof('POST', ISSUER + path, '', { ...more, claims: { ath: undefined, ...claims } })
  const shown = (field: string | undefined) => (field === undefined ? {} : { DPoP: field })
  const login = (field?: string) => to.post('/login').set(shown(field))
  const refresh = (token: string, field?: string) =>
    to.post('/refresh').set(shown(field)).send({ refresh_token: token })
  return {
    own,
    clock: fake,
    store,
    events,
    server,
    to,
    proof,
    login,
    refresh,
    client: dpopClient({ clock }),
    me: (client: DpopClient, token: string) => to.get('/me').set(client.fields('GET', `${ISSUER}/me`, token)),
    rules: () => events.filter(({ kind }) => kind === 'decision').map((event) => event['rule']),
  }
}

const BAD_PROOF = { code: 'invalid-dpop-proof', error: 'invalid_dpop_proof' }
const GRANT = { code: 'invalid-grant', error: 'invalid_grant' }

test('a login that shows a key gets tokens that are bound to it (RFC 9449 section 5)', async () => {
  const { client, proof, login, refresh, me, to } = setUp()
  const first = (await login(proof(client, '/login')).expect(200)).body as Issued
  expect(first.token_type).toBe('DPoP')
  expect(decodeJwt(first.access_token)['cnf']).toEqual({ jkt: client.jkt })
  const { body } = await me(client, first.access_token).expect(200)
  expect(body).toMatchObject({ subject: 'user-1', bound: ['dpop'] })
  await to.get('/me').set('Authorization', `Bearer ${first.access_token}`).expect(401)
  await me(dpopClient(), first.access_token).expect(401)

  const second = (await refresh(first.refresh_token, proof(client, '/refresh')).expect(200)).body as Issued
  expect([second.token_type, decodeJwt(second.access_token)['cnf']]).toEqual(['DPoP', { jkt: client.jkt }])
  await me(client, second.access_token).expect(200)
  // Who did not get the answer asks again, with a proof of its own.
  const again = (await refresh(first.refresh_token, proof(client, '/refresh')).expect(200)).body as Issued
  expect(again.refresh_token).toBe(second.refresh_token)
})

test('whoever has a refresh token and not its key gets nothing, and ends nothing', async () => {
  const { client, proof, login, refresh, me, rules, clock } = setUp()
  const first = (await login(proof(client, '/login')).expect(200)).body as Issued
  const thief = dpopClient({ clock })
  const steal = async (token: string) => {
    const missing = await refresh(token).expect(400)
    expect([missing.body, missing.headers['content-type']]).toEqual([
      expect.objectContaining(BAD_PROOF),
      'application/json; charset=utf-8',
    ])
    expect((await refresh(token, proof(thief, '/refresh')).expect(400)).body).toMatchObject(GRANT)
  }
  await steal(first.refresh_token)
  expect(rules()).toEqual(expect.arrayContaining(['dpop-missing', 'refresh-key']))
  const second = (await refresh(first.refresh_token, proof(client, '/refresh')).expect(200)).body as Issued
  // A token that was used before ends the login, but only where the key comes with it.
  clock.advance(60_000)
  await steal(first.refresh_token)
  await me(client, second.access_token).expect(200)
  await refresh(first.refresh_token, proof(client, '/refresh')).expect(400)
  await me(client, second.access_token).expect(401)
})

test('who shows no key has tokens of a bearer, until it shows one', async () => {
  const { client, proof, login, refresh, to } = setUp()
  const first = (await login().expect(200)).body as Issued
  expect([first.token_type, decodeJwt(first.access_token)['cnf']]).toEqual(['Bearer', undefined])
  await to.get('/me').set('Authorization', `Bearer ${first.access_token}`).expect(200)
  const second = (await refresh(first.refresh_token).expect(200)).body as Issued
  expect(second.token_type).toBe('Bearer')
  const third = (await refresh(second.refresh_token, proof(client, '/refresh')).expect(200)).body as Issued
  expect([third.token_type, decodeJwt(third.access_token)['cnf']]).toEqual(['DPoP', { jkt: client.jkt }])
  await refresh(third.refresh_token).expect(400)
  await refresh(third.refresh_token, proof(client, '/refresh')).expect(200)
})

test('where keys are required, nobody gets a token without one, and bearer takes none', async () => {
  const { own, client, proof, login, store, to } = setUp({ dpop: 'required' })
  const refused = await login().expect(400)
  expect(refused.body).toMatchObject(BAD_PROOF)
  expect((await store.records!.list('refresh-token')).values).toEqual([])
  await expect(own.issue({ subject: 'user-1' })).rejects.toThrow('issue needs the request')
  await login(proof(client, '/login')).expect(200)
  expect(own.bearerOptions.dpop).toMatchObject({ mode: 'required', baseUrls: ISSUER })
  await to.get('/me').set('Authorization', 'Bearer x').expect(401)
})

test('where it is off, a proof changes nothing', async () => {
  for (const own of [setUp({ dpop: 'off' }), setUp({ dpop: { mode: 'off' } })]) {
    const { body } = await own.login(own.proof(own.client, '/login')).expect(200)
    expect((body as Issued).token_type).toBe('Bearer')
    await own.refresh((body as Issued).refresh_token, 'no proof').expect(200)
  }
})

describe('a proof is refused, and the refresh token is as good as it was:', () => {
  test.each<[string, (api: ReturnType<typeof setUp>) => string, string]>([
    ['some text', () => 'hunter2', 'dpop-malformed'],
    ['for another URL', ({ proof, client }) => proof(client, '/token'), 'dpop-url'],
    [
      'for another host',
      ({ proof, client }) => proof(client, '', { claims: { htu: 'https://evil.test/refresh' } }),
      'dpop-url',
    ],
    [
      'for another method',
      ({ proof, client }) => proof(client, '/refresh', { claims: { htm: 'GET' } }),
      'dpop-method',
    ],
    [
      'without a jti',
      ({ proof, client }) => proof(client, '/refresh', { claims: { jti: undefined } }),
      'dpop-claims',
    ],
    ['that is old', ({ proof, client }) => proof(client, '/refresh', { claims: { iat: 1 } }), 'dpop-time'],
    [
      'of another type',
      ({ proof, client }) => proof(client, '/refresh', { header: { typ: 'JWT' } }),
      'dpop-type',
    ],
    [
      'without a signature',
      ({ proof, client }) => proof(client, '/refresh', { header: { alg: 'none' } }),
      'dpop-algorithm',
    ],
    [
      'signed by somebody else',
      ({ proof, client, clock }) => proof(dpopClient({ clock }), '/refresh', { header: { jwk: client.jwk } }),
      'dpop-signature',
    ],
    [
      'that brings its private key',
      ({ proof, client }) => proof(client, '/refresh', { header: { jwk: { ...client.jwk, d: 'AAAA' } } }),
      'dpop-key',
    ],
  ])('%s', async (_what, made, rule) => {
    const api = setUp()
    const { client, proof, login, refresh, rules } = api
    const { refresh_token: token } = (await login(proof(client, '/login')).expect(200)).body as Issued
    const { body, text } = await refresh(token, made(api)).expect(400)
    expect(body).toMatchObject(BAD_PROOF)
    expect(text).not.toContain('hunter2')
    expect(rules()).toContain(rule)
    await refresh(token, proof(client, '/refresh')).expect(200)
  })

  test('that was used before, here or for the login', async () => {
    const { client, proof, login, refresh, rules } = setUp()
    const one = proof(client, '/login')
    const { refresh_token: token } = (await login(one).expect(200)).body as Issued
    expect((await login(one).expect(400)).body).toMatchObject(BAD_PROOF)
    const two = proof(client, '/refresh')
    const { refresh_token: next } = (await refresh(token, two).expect(200)).body as Issued
    await refresh(next, two).expect(400)
    expect(rules().filter((rule) => rule === 'dpop-replayed')).toHaveLength(2)
    await refresh(next, proof(client, '/refresh')).expect(200)
  })

  test('while it cannot be known whether it was used: 503', async () => {
    const { once, records } = memory()
    let away = false
    const store: Store = {
      records,
      once: {
        claim: async (...call) => {
          if (away) throw new Error('down')
          return once.claim(...call)
        },
      },
    }
    const { client, proof, login, refresh, clock } = setUp({ store, keyRing: { secret: randomBytes(32) } })
    const { refresh_token: token } = (await login(proof(client, '/login')).expect(200)).body as Issued
    away = true
    for (const asked of [refresh(token, proof(client, '/refresh')), login(proof(client, '/login'))]) {
      const { body } = await asked.expect(503).expect('Retry-After', '1')
      expect(body).toMatchObject({ code: 'store-unavailable' })
    }
    away = false
    clock.advance(1_000)
    await refresh(token, proof(client, '/refresh')).expect(200)
  })
})

describe('a client of OAuth', () => {
  const as = { issuer: ISSUER, token_endpoint: `${ISSUER}/token` }
  const client = { client_id: 'first-party' }

  async function start(options: Partial<TokensOptions> = {}) {
    const api = setUp({ clock: systemClock, ...options })
    await listen(api.server)
    const origin = `http://127.0.0.1:${(api.server.address() as AddressInfo).port}`
    const refreshed = async (token: string, DPoP?: oauth.DPoPHandle) => {
      const reply = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), token, {
        ...(DPoP !== undefined && { DPoP }),
        [oauth.customFetch]: (url: string, init: object) => fetch(url.replace(ISSUER, origin), init),
      })
      return oauth.processRefreshTokenResponse(as, client, reply)
    }
    const close = () => {
      api.server.close()
      api.server.closeAllConnections()
    }
    return { ...api, refreshed, close }
  }
  const handle = async () => oauth.DPoP({}, await oauth.generateKeyPair('ES256'))

  test('is known by its key from its first refresh on', async () => {
    const { own, refreshed, close } = await start()
    try {
      const { refresh_token: token } = await own.issue({ subject: 'user-1' })
      const [key, other] = [await handle(), await handle()]
      const first = await refreshed(token!, key)
      expect(first.token_type).toBe('dpop')
      await expect(refreshed(first.refresh_token!, other)).rejects.toMatchObject({ error: 'invalid_grant' })
      await expect(refreshed(first.refresh_token!)).rejects.toMatchObject({ error: 'invalid_dpop_proof' })
      expect((await refreshed(first.refresh_token!, key)).token_type).toBe('dpop')
    } finally {
      close()
    }
  })

  test('is told the nonce to use, and uses it (RFC 9449 section 8)', async () => {
    const { own, refreshed, close, login } = await start({ dpop: { nonce: { secret: randomBytes(32) } } })
    try {
      const { refresh_token: token } = await own.issue({ subject: 'user-1' })
      const key = await handle()
      const error: unknown = await refreshed(token!, key).catch((e: unknown) => e)
      expect(oauth.isDPoPNonceError(error)).toBe(true)
      expect((await refreshed(token!, key)).token_type).toBe('dpop')

      const mine = dpopClient()
      const proof = (more: object) =>
        mine.proof('POST', `${ISSUER}/login`, '', { claims: { ath: undefined }, ...more })
      const asked = await login(proof({})).expect(400)
      expect(asked.body).toMatchObject({ code: 'use-dpop-nonce', error: 'use_dpop_nonce' })
      await login(proof({ nonce: asked.headers['dpop-nonce'] })).expect(200)
    } finally {
      close()
    }
  })
})

describe('does not start', () => {
  const good: TokensOptions = { issuer: ISSUER, audience: ISSUER, store: memory() }
  test.each<[string, object, RegExp]>([
    ['with a word that is none', { dpop: 'sometimes' }, /tokens\.dpop must be one of/],
    ['with a number', { dpop: 1 }, /tokens\.dpop must be an object of options/],
    ['with null', { dpop: null }, /tokens\.dpop must be an object of options/],
    ['with a mode of an unset variable', { dpop: undefined }, /tokens\.dpop is undefined/],
    ['with no algorithm', { dpop: { algorithms: [] } }, /tokens\.dpop\.algorithms must list/],
    ['with a slip of the finger', { dpop: { mod: 'required' } }, /tokens\.dpop has no option "mod"/],
    [
      'without a URL that proofs could be for',
      { issuer: 'shop', dpop: 'allowed' },
      /tokens\.dpop\.baseUrls must be an absolute URL/,
    ],
    [
      'with one that is without TLS',
      { dpop: { baseUrls: 'http://api.test' } },
      /tokens\.dpop\.baseUrls must be https/,
    ],
  ])('%s', (_what, options, message) => {
    const start = () => tokens({ ...good, ...options })
    expect(start).toThrow(message)
    expect(start).toThrow(ConfigError)
  })

  test('but on this machine, to try it out, without TLS', () => {
    const own = tokens({ ...good, issuer: 'http://127.0.0.1:3000', dpop: 'required' })
    expect(() => bearer(own.bearerOptions)).not.toThrow()
  })
})
