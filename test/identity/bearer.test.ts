import { bearer } from '../../src/identity/bearer.js'
import { contextOf } from '../../src/kernel/context.js'
import { fakeClock, localIssuer, serve } from '../../src/testing/index.js'

const REALM = 'Bearer realm="api"'

function setUp(options: Partial<Parameters<typeof bearer>[0]> = {}) {
  const clock = fakeClock()
  const issuer = localIssuer({ clock })
  const stage = bearer({ issuer: issuer.issuer, audience: issuer.audience, ...options })
  const seen: { principal?: unknown; auth?: unknown } = {}
  const served = serve(stage, {
    clock,
    fetch: issuer.fetch,
    handler(req, res) {
      seen.principal = contextOf(req)?.principal
      seen.auth = (req as { auth?: unknown }).auth
      res.end('ok')
    },
  })
  const send = (authorization: string | undefined) =>
    authorization === undefined ? served.get('/') : served.get('/').set('Authorization', authorization)
  return { ...served, clock, issuer, seen, send, stage: stage.stage }
}

test('lets a valid token through, and says who is calling (ASVS 9.1.1)', async () => {
  const { issuer, send, seen, handled } = setUp()
  const token = issuer.mint({ scope: 'orders:read' })

  await send(`Bearer ${token}`).expect(200)

  expect(handled()).toBe(1)
  expect(seen.principal).toMatchObject({
    id: 'https://issuer.test user-1',
    subject: 'user-1',
    issuer: 'https://issuer.test',
    method: 'bearer',
    claims: { scope: 'orders:read' },
    issuedAt: 1_893_456_000,
    expiresAt: 1_893_456_300,
  })
  expect(seen.auth).toMatchObject({ header: { alg: 'ES256' }, payload: { sub: 'user-1' }, token })
})

describe('the challenge (RFC 6750 section 3)', () => {
  test.each([
    ['nothing at all', undefined],
    ['another scheme', 'Basic dXNlcjpwYXNz'],
    ['a scheme that only begins alike', 'BearerX abc'],
    ['a scheme that only contains the word', 'xbearer abc'],
    ['an empty field', ''],
  ])('has no error code for %s', async (_what, authorization) => {
    const { send, handled } = setUp()
    const reply = await send(authorization).expect(401).expect('WWW-Authenticate', REALM)
    expect(JSON.parse(reply.text).code).toBe('unauthenticated')
    expect(handled()).toBe(0)
  })

  test.each([
    ['no token', 'Bearer'],
    ['only spaces', 'Bearer   '],
    ['two tokens', 'Bearer a b'],
    ['a comma', 'Bearer a, Bearer b'],
    ['a quoted token', 'Bearer "a.b.c"'],
    ['padding inside', 'Bearer a=b'],
    ['a tab for a space', 'Bearer\ta.b.c'],
  ])('says invalid_request for %s', async (_what, authorization) => {
    const { send, handled } = setUp()
    const reply = await send(authorization)
      .expect(400)
      .expect(
        'WWW-Authenticate',
        `${REALM}, error="invalid_request", error_description="The Authorization header is malformed"`,
      )
    expect(JSON.parse(reply.text).code).toBe('invalid-request')
    expect(handled()).toBe(0)
  })

  test('says invalid_token for a bad token', async () => {
    const { send, handled } = setUp()
    const reply = await send('Bearer nonsense')
      .expect(401)
      .expect(
        'WWW-Authenticate',
        `${REALM}, error="invalid_token", error_description="The access token is malformed"`,
      )
    expect(JSON.parse(reply.text).code).toBe('invalid-token')
    expect(handled()).toBe(0)
  })
})
