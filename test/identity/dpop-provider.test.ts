import { Redis } from 'ioredis'
import { bearer } from '../../src/identity/bearer.js'
import { introspection } from '../../src/identity/introspection.js'
import { redis } from '../../src/stores/redis.js'
import { dpopClient, serve } from '../../src/testing/index.js'
import { PrivateRedis } from '../support/private-redis.js'
import { AUDIENCE, shiftedClock, signingKey, startProvider, type Provider } from '../support/provider.js'
import { quietConsole } from '../support/quiet-console.js'

const BASE = 'https://api.test'
const client = dpopClient()
let provider: Provider

quietConsole()
beforeAll(async () => {
  provider = await startProvider()
})
afterAll(() => provider.close())

const dpop = { mode: 'required', baseUrls: BASE } as const
const methods = {
  jwt: () => bearer({ ...provider.trust, dpop }),
  opaque: () => introspection({ ...provider.trustAsClient, dpop }),
}

/** RFC 9449 section 5: the proof for the token endpoint is for no token yet. */
const issued = () => {
  const proof = client.proof('POST', `${provider.issuer}/token`, '', { claims: { ath: undefined } })
  return provider.token(AUDIENCE, { DPoP: proof })
}

test.each(['jwt', 'opaque'] as const)(
  'a real provider binds a token to a key (%s): a thief has no use of it',
  async (format) => {
    provider.signWith([signingKey('first', 'RS256')], format)
    const { get, handled } = serve(methods[format](), { clock: shiftedClock() })
    const token = await issued()
    const fields = client.fields('GET', `${BASE}/orders`, token)

    await get('/orders').set(fields).expect(200)
    await get('/orders')
      .set(client.fields('GET', `${BASE}/orders`, token))
      .expect(200)
    expect(handled()).toBe(2)

    await get('/orders').set(fields).expect(401)
    await get('/orders').set('Authorization', `Bearer ${token}`).expect(401)
    await get('/orders')
      .set(dpopClient().fields('GET', `${BASE}/orders`, token))
      .expect(401)
    await get('/other')
      .set(client.fields('GET', `${BASE}/orders`, token))
      .expect(401)
    const unbound = await provider.token()
    await get('/orders').set('Authorization', `Bearer ${unbound}`).expect(401)
    expect(handled()).toBe(2)
  },
)

test('APIs that race for one proof in one Redis let exactly one through; without Redis, none', async () => {
  provider.signWith([signingKey('first', 'RS256')], 'jwt')
  const server = await PrivateRedis.start()
  const connections = [new Redis(server.url), new Redis(server.url)]
  for (const connection of connections) connection.on('error', () => undefined)
  const apis = connections.map((connection) =>
    serve(methods.jwt(), { clock: shiftedClock(), store: redis(connection), storeTimeoutMs: 10_000 }),
  )
  try {
    const token = await issued()
    for (let n = 0; n < 20; n++) {
      const fields = client.fields('GET', `${BASE}/orders`, token)
      const replies = await Promise.all([...apis, ...apis].map(({ get }) => get('/orders').set(fields)))
      expect(replies.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401])
    }
    expect(apis.reduce((sum, { handled }) => sum + handled(), 0)).toBe(20)

    await server.stop()
    const reply = await apis[0]!
      .get('/orders')
      .set(client.fields('GET', `${BASE}/orders`, token))
      .expect(503)
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'store-unavailable' })
    expect(apis.reduce((sum, { handled }) => sum + handled(), 0)).toBe(20)
  } finally {
    for (const connection of connections) connection.disconnect()
    await server.stop()
  }
})
