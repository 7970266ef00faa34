import { generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { bearer, type BearerOptions } from '../../src/identity/bearer.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import { systemClock } from '../../src/kernel/system-clock.js'
import { localIssuer, serve, type FakeClock } from '../../src/testing/index.js'

const AUDIENCE = 'https://orders.example'
const CLIENT = `Basic ${Buffer.from('svc:svc-secret-svc-secret').toString('base64')}`

const makers = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
}
type Algorithm = keyof typeof makers

function signingKey(kid: string, alg: Algorithm): JsonWebKey {
  return { ...makers[alg]().privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }
}

/** A real identity provider on this machine, whose keys can be changed while it runs. */
async function startProvider(alg: Algorithm = 'RS256') {
  const { Provider } = await import('oidc-provider')
  let listener: RequestListener
  let asked = 0
  const server = createServer((req, res) => {
    if (req.url === '/jwks' || req.url?.startsWith('/.well-known/')) asked++
    listener(req, res)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const signWith = (keys: JsonWebKey[], accessTokenFormat: 'jwt' | 'opaque' = 'jwt') => {
    const provider = new Provider(issuer, {
      jwks: { keys },
      clients: [
        {
          client_id: 'svc',
          client_secret: 'svc-secret-svc-secret',
          grant_types: ['client_credentials'],
          redirect_uris: [],
          response_types: [],
          token_endpoint_auth_method: 'client_secret_basic',
          scope: 'orders:read orders:write',
        },
      ],
      enabledJWA: { idTokenSigningAlgValues: [alg] },
      clientDefaults: { id_token_signed_response_alg: alg },
      scopes: ['openid', 'offline_access', 'orders:read', 'orders:write'],
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => AUDIENCE,
          useGrantedResource: () => true,
          getResourceServerInfo: (_ctx: unknown, resource: string) => ({
            scope: 'orders:read orders:write',
            audience: resource,
            accessTokenTTL: 300,
            accessTokenFormat,
            jwt: { sign: { alg } },
          }),
        },
      },
    })
    listener = provider.callback()
  }
  signWith([signingKey('first', alg)])

  return {
    issuer,
    signWith,
    asked: () => asked,
    async token(resource = AUDIENCE): Promise<string> {
      const reply = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { authorization: CLIENT },
        body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'orders:read', resource }),
      })
      return ((await reply.json()) as { access_token: string }).access_token
    },
    close: () =>
      new Promise<void>((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}

/** The system's clock, a minute further when it is told to. */
function shiftedClock(): FakeClock {
  let shift = 0
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic() + shift,
    after: systemClock.after,
    advance: (ms) => void (shift += ms),
    jump: () => undefined,
  }
}

let running: Awaited<ReturnType<typeof startProvider>>[] = []

beforeAll(() => {
  // It says on the console what it thinks of this version of Node and of http.
  jest.spyOn(console, 'warn').mockImplementation(() => undefined)
  jest.spyOn(console, 'info').mockImplementation(() => undefined)
})
afterEach(async () => {
  await Promise.all(running.map(({ close }) => close()))
  running = []
})
afterAll(() => jest.restoreAllMocks())

async function setUp(alg: Algorithm = 'RS256', options: Partial<BearerOptions> = {}) {
  const provider = await startProvider(alg)
  running.push(provider)
  const clock = shiftedClock()
  let principal: Principal | undefined
  const api = serve(
    bearer({ issuer: provider.issuer, audience: AUDIENCE, allowInsecureLoopback: true, ...options }),
    {
      clock,
      handler(req, res) {
        principal = contextOf(req)?.principal
        res.end()
      },
    },
  )
  const send = (token: string) => api.get('/').set('Authorization', `Bearer ${token}`)
  return { ...api, provider, clock, send, principal: () => principal }
}

describe('a real identity provider', () => {
  test.each(['RS256', 'PS256', 'ES256', 'EdDSA'] as const)(
    'mints %s tokens that are accepted',
    async (alg) => {
      const { provider, send, principal } = await setUp(alg)

      await send(await provider.token()).expect(200)

      expect(principal()).toMatchObject({
        id: `${provider.issuer} svc`,
        subject: 'svc',
        claims: { scope: 'orders:read', client_id: 'svc', aud: AUDIENCE },
      })
    },
  )

  test('is asked for metadata and keys once', async () => {
    const { provider, send } = await setUp()
    for (let n = 0; n < 5; n++) await send(await provider.token()).expect(200)
    expect(provider.asked()).toBe(2)
  })

  test('mints tokens for other APIs, which are refused (ASVS 9.2.3, 10.3.1)', async () => {
    const { provider, send, handled } = await setUp()
    const reply = await send(await provider.token('https://payroll.example')).expect(401)
    expect(reply.headers['www-authenticate']).toBe(
      'Bearer realm="api", error="invalid_token", error_description="The access token is meant for another audience"',
    )
    expect(handled()).toBe(0)
  })

  test('mints opaque tokens, which are refused and not asked about', async () => {
    const { provider, send } = await setUp()
    provider.signWith([signingKey('first', 'RS256')], 'opaque')
    await send(await provider.token()).expect(401)
    expect(provider.asked()).toBe(0)
  })

  test('rotates its keys, and nobody notices', async () => {
    const { provider, send, clock } = await setUp()
    const first = signingKey('a', 'RS256')
    const second = signingKey('b', 'RS256')
    provider.signWith([first])
    const old = await provider.token()
    await send(old).expect(200)

    clock.advance(60_000)
    provider.signWith([second, first])
    await send(await provider.token()).expect(200)
    await send(old).expect(200)

    clock.advance(60_000)
    provider.signWith([signingKey('c', 'RS256'), second])
    await send(await provider.token()).expect(200)
    await send(old).expect(401)
  })

  test('goes away: 503 for who never had its keys, 200 for who has them', async () => {
    const { provider, send, clock } = await setUp()
    const token = await provider.token()
    const late = await setUp()
    await send(token).expect(200)

    await provider.close()
    clock.advance(1_800_000)
    await send(token).expect(200)

    const lateToken = await late.provider.token()
    await late.provider.close()
    await late.send(lateToken).expect(503).expect('Retry-After', '1')
  })

  test('is not trusted over http without a word', async () => {
    const provider = await startProvider()
    running.push(provider)
    expect(() => bearer({ issuer: provider.issuer, audience: AUDIENCE })).toThrow(
      'allowInsecureLoopback: true',
    )
  })

  test('is not trusted where it calls itself by another name (ASVS 10.5.3)', async () => {
    const provider = await startProvider()
    running.push(provider)
    const alias = localIssuer({
      issuer: provider.issuer.replace('127.0.0.1', 'localhost'),
      audience: AUDIENCE,
    })
    const stage = bearer({ issuer: alias.issuer, audience: AUDIENCE, allowInsecureLoopback: true })
    const { get } = serve(stage, { clock: shiftedClock() })
    await get('/').set('Authorization', `Bearer ${alias.mint()}`).expect(503)
    expect(provider.asked()).toBe(1)
  })
})
