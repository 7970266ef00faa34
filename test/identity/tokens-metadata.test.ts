import express from 'express'
import { generateKeyPairSync } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as oauth from 'oauth4webapi'
import request from 'supertest'
import { bearer } from '../../src/identity/bearer.js'
import { revocations, type Revocations } from '../../src/identity/revocation.js'
import {
  tokens,
  type TokenEndpoints,
  type TokenResponse,
  type TokensOptions,
} from '../../src/identity/tokens.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { memory } from '../../src/kernel/memory.js'
import type { Store } from '../../src/kernel/ports.js'
import { secureApi } from '../../src/secure-api.js'
import { expectRefused, serve } from '../../src/testing/index.js'
import { silent } from '../support/api.js'
import { listen } from '../support/raw.js'

const ISSUER = 'https://api.test'
const ORDERS = 'https://orders.test'
const WELL_KNOWN = '/.well-known/oauth-authorization-server'
const LOGIN = { subject: 'user-1', claims: { roles: ['clerk'] } }

function own(options: Partial<TokensOptions> = {}) {
  return tokens({ issuer: ISSUER, audience: ORDERS, store: memory(), ...options })
}

const documentOf = async (issuer: ReturnType<typeof tokens>, endpoints?: TokenEndpoints) =>
  (await serve(issuer.metadata(endpoints)).get(WELL_KNOWN).expect(200)).body as unknown

describe('the metadata', () => {
  test('says what this issuer does, and nothing that it does not (RFC 8414 section 2)', async () => {
    const endpoints = { token: '/token', revoke: '/revoke' }
    expect(await documentOf(own({ dpop: 'required' }), endpoints)).toEqual({
      issuer: ISSUER,
      jwks_uri: `${ISSUER}/.well-known/jwks.json`,
      token_endpoint: `${ISSUER}/token`,
      token_endpoint_auth_methods_supported: ['none'],
      revocation_endpoint: `${ISSUER}/revoke`,
      revocation_endpoint_auth_methods_supported: ['none'],
      grant_types_supported: ['refresh_token'],
      response_types_supported: [],
      dpop_signing_alg_values_supported: ['ES256', 'ES384', 'PS256', 'EdDSA', 'Ed25519'],
    })
  })

  test.each([['undefined', undefined] as const, ['{}', {}] as const])(
    'names no endpoint that nobody spoke of: %s',
    async (_what, endpoints) => {
      expect(await documentOf(own(), endpoints)).toEqual({
        issuer: ISSUER,
        jwks_uri: `${ISSUER}/.well-known/jwks.json`,
        grant_types_supported: ['refresh_token'],
        response_types_supported: [],
      })
    },
  )

  test('has the algorithms of proofs that are accepted, where those are options', async () => {
    const issuer = own({ dpop: { algorithms: ['ES256'] } })
    expect(await documentOf(issuer)).toMatchObject({ dpop_signing_alg_values_supported: ['ES256'] })
  })

  test('knows paths from the origin of the issuer, and whole URLs', async () => {
    const issuer = own({ issuer: 'https://api.test/tenants/1' })
    expect(
      await documentOf(issuer, { jwks: '/tenants/1/keys', token: 'https://login.test/t?x=1' }),
    ).toMatchObject({
      issuer: 'https://api.test/tenants/1',
      jwks_uri: 'https://api.test/tenants/1/keys',
      token_endpoint: 'https://login.test/t?x=1',
    })
  })

  test('may be kept for five minutes, and takes no other methods', async () => {
    const { get, head, post } = serve(own().metadata())
    await get(WELL_KNOWN)
      .expect(200)
      .expect('Content-Type', 'application/json; charset=utf-8')
      .expect('Cache-Control', 'public, max-age=300')
    await head(WELL_KNOWN).expect(200)
    await post(WELL_KNOWN).expect(expectRefused('method-not-allowed')).expect('Allow', 'GET, HEAD')
  })

  test.each([
    ['an issuer that is no URL', { issuer: 'api' }, {}, 'tokens.issuer must be an absolute URL'],
    ['an issuer without TLS', { issuer: 'http://api.test' }, {}, 'tokens.issuer must be https'],
    ['an issuer with a query', { issuer: 'https://api.test?a=1' }, {}, 'must not have a query (RFC 8414'],
    ['an issuer with a fragment', { issuer: 'https://api.test/#a' }, {}, 'must not have a fragment'],
    ['a misspelt endpoint', {}, { revocation: '/revoke' }, 'tokens.metadata has no option "revocation"'],
    ['an endpoint that is undefined', {}, { revoke: undefined }, 'tokens.metadata.revoke is undefined'],
    ['no object', {}, '/token', 'tokens.metadata must be an object of options'],
    [
      'an endpoint that is no text',
      {},
      { token: ['/token'] },
      'tokens.metadata.token must be where it is mounted',
    ],
    ['a path without a slash', {}, { token: 'token' }, 'tokens.metadata.token must be where it is mounted'],
    ['another host by two slashes', {}, { jwks: '//evil.test/k' }, 'tokens.metadata.jwks must be where'],
    ['another host by a backslash', {}, { jwks: '/\\evil.test/k' }, 'tokens.metadata.jwks must be where'],
    ['a path with what URLs drop', {}, { jwks: '/keys\n' }, 'tokens.metadata.jwks must be where'],
    ['a space before a URL', {}, { jwks: ' https://api.test/k' }, 'tokens.metadata.jwks must be where'],
    ['a URL without slashes', {}, { jwks: 'https:k' }, 'tokens.metadata.jwks must be where'],
    ['an endpoint without TLS', {}, { jwks: 'http://api.test/k' }, 'tokens.metadata.jwks must be where'],
    ['an endpoint on this machine', {}, { jwks: 'http://127.0.0.1/k' }, 'tokens.metadata.jwks must be where'],
    ['a fragment', {}, { token: '/token#a' }, 'tokens.metadata.token must not have a fragment'],
  ])('does not start with %s', (_what, options, endpoints, message) => {
    const issuer = own(options)
    const made = () => issuer.metadata(endpoints as TokenEndpoints)
    expect(made).toThrow(ConfigError)
    expect(made).toThrow(message)
  })
})

describe('another service', () => {
  const open: Server[] = []
  afterEach(() => {
    for (const server of open.splice(0)) {
      server.close()
      server.closeAllConnections()
    }
  })
  const start = async (server: Server) => {
    await listen(server)
    open.push(server)
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  /** The service that issues tokens, with the routes that its page has, and no others: it denies by default. */
  async function issuing(store: Store, options: Partial<TokensOptions> = {}) {
    const app = express()
    const server = createServer((req, res) => front(req, res))
    const issuer = await start(server)
    const own = tokens({ issuer, audience: ORDERS, store, ...options })
    const api = secureApi({
      auth: [bearer(own.bearerOptions)],
      audit: false,
      log: silent,
      routes: {
        'POST /token': { public: true },
        'POST /revoke': { public: true },
        'GET /.well-known/jwks.json': { public: true },
        [`GET ${WELL_KNOWN}`]: { public: true },
      },
    })
    app.post('/token', own.token)
    app.post('/revoke', own.revoke)
    app.get('/.well-known/jwks.json', own.jwks)
    app.get(WELL_KNOWN, own.metadata({ token: '/token', revoke: '/revoke' }))
    const front = api.protect(app)
    return { issuer, own, login: async () => (await own.issue(LOGIN)) as Required<TokenResponse> }
  }

  /** One that knows of it no more than its name. */
  function knowing(issuer: string, audience = ORDERS, revocation?: Revocations) {
    const api = secureApi({
      auth: [bearer({ issuer, audience, allowInsecureLoopback: true, ...(revocation && { revocation }) })],
      audit: false,
      rateLimit: false,
      log: silent,
    })
    const handler = jest.fn()
    const app = express()
    app.get('/me', (req, res) => {
      handler()
      res.json(req.security?.principal)
    })
    app.use(api.errors())
    const to = request(createServer(api.protect(app)))
    const me = (token: string) => to.get('/me').set('Authorization', `Bearer ${token}`)
    return { api, me, handler }
  }

  test('finds the keys by the name of the issuer alone, and knows who comes with a token', async () => {
    const { issuer, login } = await issuing(memory())
    const { me, api } = knowing(issuer)
    await api.ready()
    const { body } = await me((await login()).access_token).expect(200)
    expect(body).toMatchObject({ issuer, subject: 'user-1', claims: { roles: ['clerk'] } })
    await api.close()
  })

  test('refuses tokens that are for others, of others, or changed', async () => {
    const { issuer, login } = await issuing(memory())
    const { access_token: token } = await login()
    const forged = own({ issuer, keys: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey })
    const { me, handler } = knowing(issuer)
    const elsewhere = knowing(issuer, 'https://invoices.test')

    await elsewhere.me(token).expect(expectRefused('invalid-token'))
    await me((await forged.issue(LOGIN)).access_token).expect(expectRefused('invalid-token'))
    await me((await own().issue(LOGIN)).access_token).expect(expectRefused('invalid-token'))
    await me(`${token.slice(0, -4)}AAAA`).expect(expectRefused('invalid-token'))
    expect(handler).not.toHaveBeenCalled()
    expect(elsewhere.handler).not.toHaveBeenCalled()
    await me(token).expect(200)
  })

  test('knows what was revoked if it has the list, and otherwise when it is over', async () => {
    const store = memory()
    const { issuer, own, login } = await issuing(store)
    const { access_token: token, refresh_token: refresh } = await login()
    const listed = knowing(issuer, ORDERS, revocations({ store }))
    const unlisted = knowing(issuer)
    await listed.me(token).expect(200)

    await request(issuer).post('/revoke').send({ token: refresh }).expect(200)
    await listed.me(token).expect(expectRefused('invalid-token'))
    expect(listed.handler).toHaveBeenCalledTimes(1)
    await unlisted.me(token).expect(200)

    const { access_token: other } = await login()
    await listed.me(other).expect(200)
    await own.endSubject('user-1')
    await listed.me(other).expect(expectRefused('invalid-token'))
  })

  test('or a client of OAuth finds where to refresh and revoke', async () => {
    const { issuer, login } = await issuing(memory())
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- its mark says that it is for this
    const loopback = { [oauth.allowInsecureRequests]: true }
    const found = await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oauth2', ...loopback })
    const as = await oauth.processDiscoveryResponse(new URL(issuer), found)
    const client = { client_id: 'first-party' }
    const refreshed = async (token: string) => {
      const reply = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), token, loopback)
      return oauth.processRefreshTokenResponse(as, client, reply)
    }

    const { refresh_token: next } = await refreshed((await login()).refresh_token)
    const reply = await oauth.revocationRequest(as, client, oauth.None(), next!, loopback)
    await oauth.processRevocationResponse(reply)
    await expect(refreshed(next!)).rejects.toMatchObject({ error: 'invalid_grant', status: 400 })
  })
})
