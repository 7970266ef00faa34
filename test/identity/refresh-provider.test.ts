import { createHash, randomBytes } from 'node:crypto'
import { auth } from '../../src/identity/auth.js'
import { bearer } from '../../src/identity/bearer.js'
import { introspection } from '../../src/identity/introspection.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import { serve } from '../../src/testing/index.js'
import { Browser, CLIENT, startLoginProvider } from '../support/login-provider.js'
import { AUDIENCE, shiftedClock, tokensForApis } from '../support/provider.js'
import { quietConsole } from '../support/quiet-console.js'

/** Nobody listens there: the browser of the test stops before it. */
const APP = 'http://127.0.0.1:9'
const BASIC = `Basic ${Buffer.from(
  [CLIENT.clientId, CLIENT.clientSecret].map((one) => encodeURIComponent(one)).join(':'),
).toString('base64')}`

interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
  readonly error?: string
}

let format: 'jwt' | 'opaque' = 'jwt'
let provider: Awaited<ReturnType<typeof startLoginProvider>>

quietConsole()
beforeAll(async () => {
  const client = { grant_types: ['authorization_code', 'refresh_token'] }
  provider = await startLoginProvider(APP, client, {
    rotateRefreshToken: true,
    features: {
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      resourceIndicators: tokensForApis('RS256', () => format),
    },
  })
})
afterAll(() => provider.close())

const post = (path: string, form: Record<string, string>) =>
  fetch(provider.issuer + path, {
    method: 'POST',
    headers: { authorization: BASIC },
    body: new URLSearchParams(form),
  })
const tokensFor = async (form: Record<string, string>) =>
  (await (await post('/token', form)).json()) as Tokens
const refreshed = (refreshToken: string) =>
  tokensFor({ grant_type: 'refresh_token', refresh_token: refreshToken, resource: AUDIENCE })
const revoke = async (token: string) => expect((await post('/token/revocation', { token })).status).toBe(200)

/** A user logs in through the pages of the provider, with PKCE, and the client gets its first tokens. */
async function loggedIn(): Promise<Tokens> {
  const verifier = randomBytes(32).toString('base64url')
  const question = new URLSearchParams({
    client_id: CLIENT.clientId,
    redirect_uri: `${APP}/callback`,
    response_type: 'code',
    scope: 'openid offline_access orders:read',
    prompt: 'consent',
    resource: AUDIENCE,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  })
  const url = await new Browser().follow(`${provider.issuer}/auth?${question.toString()}`, (next) =>
    next.startsWith(APP),
  )
  return tokensFor({
    grant_type: 'authorization_code',
    code: new URL(url).searchParams.get('code')!,
    redirect_uri: `${APP}/callback`,
    code_verifier: verifier,
    resource: AUDIENCE,
  })
}

function start(cacheMs?: number) {
  const trust = { issuer: provider.issuer, audience: AUDIENCE, allowInsecureLoopback: true }
  const clock = shiftedClock()
  let principal: Principal | undefined
  const { get, handled } = serve(
    auth([bearer(trust), introspection({ ...trust, ...CLIENT, ...(cacheMs !== undefined && { cacheMs }) })]),
    {
      clock,
      handler(req, res) {
        principal = contextOf(req)?.principal
        res.end()
      },
    },
  )
  const send = async (token: string) => (await get('/').set('Authorization', `Bearer ${token}`)).status
  return { send, handled, clock, principal: () => principal }
}

test.each([
  ['jwt', 'bearer'],
  ['opaque', 'introspection'],
] as const)('a user\u2019s token, and each that a refresh brings, is accepted (%s)', async (kind, method) => {
  format = kind
  const { send, principal } = start()
  let tokens = await loggedIn()
  for (let n = 0; n < 3; n++) {
    expect(await send(tokens.access_token)).toBe(200)
    expect(principal()).toMatchObject({
      id: `${provider.issuer} ann`,
      method,
      claims: { scope: 'orders:read', client_id: CLIENT.clientId, aud: AUDIENCE },
    })
    const before = tokens
    tokens = await refreshed(tokens.refresh_token)
    expect(tokens.refresh_token).not.toBe(before.refresh_token)
    expect(tokens.access_token).not.toBe(before.access_token)
  }
})

test('a revoked token is refused once the answer is old, and that of the next login is good', async () => {
  format = 'opaque'
  const { send, clock } = start()
  const first = await loggedIn()
  expect(await send(first.access_token)).toBe(200)
  await revoke(first.access_token)
  // This provider takes it for the end of the login.
  expect((await refreshed(first.refresh_token)).error).toBe('invalid_grant')
  const second = await loggedIn()
  expect(await send(second.access_token)).toBe(200)
  // Half a minute is the bound: not sooner, or the answer was not remembered, and no later.
  clock.advance(29_000)
  expect(await send(first.access_token)).toBe(200)
  clock.advance(1_000)
  expect(await send(first.access_token)).toBe(401)
  expect(await send(second.access_token)).toBe(200)
})

test('a revoked refresh token ends all that came of the login, within the bound that was set', async () => {
  format = 'opaque'
  const { send, clock, handled } = start(5_000)
  const first = await loggedIn()
  const second = await refreshed(first.refresh_token)
  expect([await send(first.access_token), await send(second.access_token)]).toEqual([200, 200])
  await revoke(second.refresh_token)
  clock.advance(5_000)
  expect([await send(first.access_token), await send(second.access_token)]).toEqual([401, 401])
  expect(handled()).toBe(2)
  expect((await refreshed(second.refresh_token)).error).toBe('invalid_grant')
})

test('a refresh token that comes twice ends the login, and its tokens with it', async () => {
  format = 'opaque'
  const { send } = start(0)
  const first = await loggedIn()
  const second = await refreshed(first.refresh_token)
  expect(await send(second.access_token)).toBe(200)
  expect((await refreshed(first.refresh_token)).error).toBe('invalid_grant')
  expect(await send(second.access_token)).toBe(401)
})
