import { bearer, type BearerOptions } from '../../src/identity/bearer.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import { localIssuer, serve } from '../../src/testing/index.js'
import {
  AUDIENCE,
  shiftedClock,
  signingKey,
  startProvider,
  type Algorithm,
  type Provider,
} from '../support/provider.js'
import { quietConsole } from '../support/quiet-console.js'

let running: Provider[] = []

quietConsole()
afterEach(async () => {
  await Promise.all(running.map(({ close }) => close()))
  running = []
})

async function setUp(alg: Algorithm = 'RS256', options: Partial<BearerOptions> = {}) {
  const provider = await startProvider(alg)
  running.push(provider)
  const clock = shiftedClock()
  let principal: Principal | undefined
  const api = serve(bearer({ ...provider.trust, ...options }), {
    clock,
    handler(req, res) {
      principal = contextOf(req)?.principal
      res.end()
    },
  })
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
