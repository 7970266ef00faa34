import { generateKeyPairSync } from 'node:crypto'
import { auth } from '../../src/identity/auth.js'
import { bearer } from '../../src/identity/bearer.js'
import { introspection, type IntrospectionOptions } from '../../src/identity/introspection.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import { serve } from '../../src/testing/index.js'
import { AUDIENCE, shiftedClock, signingKey, startProvider, type Provider } from '../support/provider.js'
import { quietConsole } from '../support/quiet-console.js'

let provider: Provider
const apiKey = {
  ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  kid: 'api-1',
}

quietConsole()
beforeEach(async () => {
  provider = await startProvider('RS256', publicOf(apiKey))
  provider.signWith([signingKey('first', 'RS256')], 'opaque')
})
afterEach(() => provider.close())

function publicOf({ d: _private, ...rest }: Record<string, unknown>) {
  return rest
}

function setUp(options: Partial<IntrospectionOptions> = {}) {
  const clock = shiftedClock()
  let principal: Principal | undefined
  const api = serve(introspection(own(options)), {
    clock,
    handler(req, res) {
      principal = contextOf(req)?.principal
      res.end()
    },
  })
  const send = (token: string) => api.get('/').set('Authorization', `Bearer ${token}`)
  return { ...api, clock, send, principal: () => principal }
}

function own(options: Partial<IntrospectionOptions> = {}): IntrospectionOptions {
  const { trust, trustAsClient } = provider
  return options.privateKey === undefined
    ? { ...trustAsClient, ...options }
    : { ...trust, clientId: 'api', ...options }
}

test('tells that a token is active, once for many requests, and whose it is', async () => {
  const { send, principal } = setUp()
  const token = await provider.token()

  for (let n = 0; n < 5; n++) await send(token).expect(200)

  expect(principal()).toMatchObject({
    id: `${provider.issuer} svc`,
    subject: 'svc',
    issuer: provider.issuer,
    method: 'introspection',
    claims: { active: true, scope: 'orders:read', client_id: 'svc', aud: AUDIENCE, token_type: 'Bearer' },
  })
  expect(provider.introspected()).toBe(1)
  expect(provider.asked()).toBe(1)
})

test('is asked with a key of the API, as well as with a password', async () => {
  const { send } = setUp({ clientId: 'api-key', privateKey: apiKey })
  await send(await provider.token()).expect(200)
  await send('made-up').expect(401)
})

test('does not know the API: 503, and no token is called bad', async () => {
  const { send, handled } = setUp({ clientSecret: 'another' })
  await send(await provider.token())
    .expect(503)
    .expect('Retry-After', '1')
  await send('made-up').expect(503)
  expect(handled()).toBe(0)
})

test('knows nothing of a token that somebody made up', async () => {
  const { send, handled } = setUp()
  const reply = await send('made-up').expect(401)
  expect(reply.headers['www-authenticate']).toBe(
    'Bearer realm="api", error="invalid_token", error_description="The access token is not active"',
  )
  expect(handled()).toBe(0)
})

test('takes a token back: it is refused as soon as the answer is old', async () => {
  const { send, clock } = setUp()
  const token = await provider.token()
  await send(token).expect(200)
  expect((await provider.revoke(token)).status).toBe(200)

  clock.advance(29_000)
  await send(token).expect(200)
  clock.advance(1_000)
  await send(token).expect(401)
})

test('says no more that a token is active when its time is over', async () => {
  const { send, clock } = setUp()
  const token = await provider.token()
  await send(token).expect(200)

  const real = Date.now
  jest.spyOn(Date, 'now').mockImplementation(() => real() + 301_000)
  try {
    clock.advance(30_000)
    await send(token).expect(401)
  } finally {
    jest.mocked(Date.now).mockRestore()
  }
})

test('mints tokens for other APIs, which are refused', async () => {
  const { send } = setUp()
  const reply = await send(await provider.token('https://payroll.example')).expect(401)
  expect(reply.headers['www-authenticate']).toContain('meant for another audience')
})

test('cannot be asked about its JWTs, and says so: refused, and no outage', async () => {
  const { send } = setUp()
  const opaque = await provider.token()
  provider.signWith([signingKey('first', 'RS256')], 'jwt')
  const jwt = await provider.token()
  for (let n = 0; n < 5; n++) await send(jwt.slice(0, jwt.length - n)).expect(401)
  expect((await send(opaque)).status).not.toBe(503)
})

test('beside bearer, each gets its own tokens, in whichever order they stand', async () => {
  const methods = () => [
    bearer({ issuer: provider.issuer, audience: AUDIENCE, allowInsecureLoopback: true }),
    introspection(own()),
  ]
  const opaque = await provider.token()
  provider.signWith([signingKey('first', 'RS256')], 'jwt')
  const jwt = await provider.token()
  provider.signWith([signingKey('first', 'RS256')], 'opaque')
  const other = await provider.token()

  for (const list of [methods(), methods().reverse()]) {
    const by: (string | undefined)[] = []
    const { get } = serve(auth(list), {
      clock: shiftedClock(),
      handler(req, res) {
        by.push(contextOf(req)?.principal?.method)
        res.end()
      },
    })
    const send = (token: string) => get('/').set('Authorization', `Bearer ${token}`)
    await send(other).expect(200)
    await send(`${jwt.slice(0, -8)}AAAAAAAA`).expect(401)
    expect(by).toEqual(['introspection'])
    expect(opaque).not.toContain('.')
  }
})

test('goes away and comes back: 503 for what is not known, 200 for what is, and all is well again', async () => {
  const { send, clock, handled } = setUp()
  const known = await provider.token()
  const fresh = await provider.token()
  await send(known).expect(200)

  await provider.close()
  for (let n = 0; n < 5; n++) {
    const reply = await send(fresh).expect(503).expect('Retry-After', '1')
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'identity-provider-unavailable' })
  }
  await send(known).expect(200)
  clock.advance(30_000)
  await send(known).expect(503)
  expect(handled()).toBe(2)

  await provider.reopen()
  clock.advance(1_000)
  await send(fresh).expect(200)
  await send(known).expect(200)
})

test('is there when the API starts, or the API says what is not', async () => {
  const { stage } = introspection(own())
  const { createServices } = await import('../../src/kernel/services.js')
  await stage.ready!(createServices())
  const { stage: late } = introspection(own())
  await provider.close()
  await expect(late.ready!(createServices())).rejects.toThrow()
  await provider.reopen()
})
