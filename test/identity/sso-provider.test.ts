import { generateKeyPairSync } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { revocations } from '../../src/identity/revocation.js'
import { session } from '../../src/identity/session.js'
import { sso, type Sso, type SsoOptions } from '../../src/identity/sso.js'
import { contextOf } from '../../src/kernel/context.js'
import { memory } from '../../src/kernel/memory.js'
import { createServices } from '../../src/kernel/services.js'
import { secureApi } from '../../src/secure-api.js'
import { silent } from '../support/api.js'
import { Browser, CLIENT, startLoginProvider } from '../support/login-provider.js'
import { loginSite } from '../support/login-site.js'
import { signingKey } from '../support/provider.js'

const site = loginSite()
/** What the application shows to its provider, of its keys. */
let published: readonly object[] = []

/** An application that logs in by the provider, and knows its users by sessions. */
function start(options: Partial<SsoOptions> = {}, client: Partial<SsoOptions> = CLIENT) {
  const store = memory()
  const revocation = revocations({ store })
  const sessions = session({ store, revocation, dangerouslyAllowHttp: true })
  const login: Sso = sso({
    clientId: CLIENT.clientId,
    ...client,
    issuer: site.provider.issuer,
    redirectUri: `${site.app}/callback`,
    postLogoutRedirectUri: `${site.app}/bye`,
    scope: 'openid profile',
    sessions,
    store,
    revocation,
    claims: ({ groups }) => ({ roles: groups }),
    allowInsecureLoopback: true,
    ...options,
  })
  const events: Record<string, unknown>[] = []
  const keep = (event: object): void => void events.push({ ...event })
  const open = { public: true } as const
  const api = secureApi({
    auth: [sessions],
    audit: { logger: { info: keep, warn: keep, error: keep } },
    log: silent,
    rateLimit: false,
    routes: {
      'GET /login': open,
      'GET /callback': open,
      'POST /logout': { public: true, csrf: { always: true } },
      'POST /backchannel-logout': open,
    },
  })
  const { handlers } = login
  const endpoints: Record<string, (req: IncomingMessage, res: ServerResponse, next: () => void) => void> = {
    '/login': handlers.login,
    '/callback': handlers.callback,
    '/logout': handlers.logout,
    '/backchannel-logout': handlers.backChannelLogout,
  }
  const handler = api.protect((req, res) => {
    const endpoint = endpoints[req.url!.split('?')[0]!]
    if (endpoint !== undefined) return endpoint(req, res, () => res.end('nobody'))
    res.setHeader('Content-Type', 'application/json')
    res.end(JSON.stringify(contextOf(req)!.principal))
  })
  site.answerBy((req, res) => {
    if (req.url !== '/keys-of-the-shop') return handler(req, res)
    res.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: published }))
  })
  return { sessions, login, store, revocation, events }
}

const atCallback = (url: string) => url.startsWith(`${site.app}/callback?`)
const me = async (browser: Browser) => {
  const { status, text } = await browser.send(`${site.app}/me`)
  return { status, body: JSON.parse(text) as Record<string, unknown> }
}
/** As far as the provider sends the browser back. */
async function answered(browser = new Browser(), path = '/login', who = 'ann') {
  return { browser, url: await browser.follow(site.app + path, atCallback, who) }
}
async function loggedIn(path = '/login', who = 'ann') {
  const { browser, url } = await answered(new Browser(), path, who)
  const reply = await browser.send(url)
  expect(reply.status).toBe(303)
  return { browser, reply }
}
const refusalIn = (text: string) => (JSON.parse(text) as { code: string }).code

test('a user logs in, is issuer and subject, and comes out where it wanted to', async () => {
  const { events } = start({ maxAgeSeconds: 3_600 })
  const { browser, reply } = await loggedIn(`/login?return_to=${encodeURIComponent('/orders?page=2')}`)
  expect(reply.location).toBe(`${site.app}/orders?page=2`)
  expect(reply.headers.get('cache-control')).toContain('no-store')
  const { status, body } = await me(browser)
  expect(status).toBe(200)
  expect(body).toMatchObject({
    id: `${site.provider.issuer} ann`,
    issuer: site.provider.issuer,
    subject: 'ann',
    method: 'session',
    claims: { roles: ['clerk'] },
  })
  const { at } = body['authentication'] as { at: number }
  expect(Math.abs(Date.now() / 1000 - at)).toBeLessThan(60)
  expect(events.map(({ kind }) => kind)).toContain('session-begun')
})

describe('shows the provider who it is', () => {
  const key = signingKey('of-the-shop', 'ES256')
  const { clientSecret } = CLIENT
  const pem = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pemJwk = { ...pem.publicKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig' }
  const byKey = () => ({
    token_endpoint_auth_method: 'private_key_jwt',
    client_secret: undefined,
    jwks_uri: `${site.app}/keys-of-the-shop`,
  })
  const byNothing = () => ({ token_endpoint_auth_method: 'none', client_secret: undefined })
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

  test.each<[string, Partial<SsoOptions>, () => Record<string, unknown>, Partial<SsoOptions>]>([
    [
      'by a password in the form',
      { clientAuth: 'post', clientSecret },
      () => ({ token_endpoint_auth_method: 'client_secret_post' }),
      { clientAuth: 'post', clientSecret: 'another' },
    ],
    [
      'by a key that is a JWK (private_key_jwt)',
      { privateKey: key },
      byKey,
      { privateKey: { ...stranger.export({ format: 'jwk' }), kid: 'of-the-shop' } },
    ],
    [
      'by a key that is a PEM text',
      { privateKey: pem.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string },
      byKey,
      { privateKey: stranger },
    ],
    ['by nothing, as a public client with PKCE', { clientAuth: 'none' }, byNothing, { clientId: 'another' }],
  ])('%s', async (_what, own, registered, wrong) => {
    published = [publicOf(key), pemJwk]
    const other = await startLoginProvider(site.app, registered())
    const as = (options: Partial<SsoOptions>) =>
      start({ issuer: other.issuer, clientId: CLIENT.clientId, ...options }, {})
    try {
      as(own)
      const { browser } = await loggedIn()
      expect((await me(browser)).body).toMatchObject({ issuer: other.issuer, subject: 'ann' })
      // Who shows something else is nobody there, and that is not the fault of the user.
      const begun = await answered()
      as({ ...own, ...wrong })
      const login = await begun.browser.send(`${site.app}/login`)
      expect(login.status).toBe(303)
      const state = new URL(login.location!).searchParams.get('state')!
      const back = new URL(begun.url)
      back.searchParams.set('state', state)
      const refused = await begun.browser.send(back.href)
      expect([refused.status, refusalIn(refused.text)]).toEqual([503, 'identity-provider-unavailable'])
    } finally {
      await other.close()
    }
  })
})

function publicOf({ kty, crv, x, y, kid, alg, use }: Record<string, unknown>) {
  return { kty, crv, x, y, kid, alg, use }
}

test('the provider is asked with PKCE, state and nonce, each new for every login, and none of them is in the store', async () => {
  const { store } = start({ acrValues: ['gold'] })
  const browser = new Browser()
  const [one, other] = [await browser.send(`${site.app}/login`), await browser.send(`${site.app}/login`)]
  const [first, second] = [one, other].map(({ location }) => new URL(location!).searchParams)
  expect(Object.fromEntries(first!)).toMatchObject({
    client_id: 'shop',
    redirect_uri: `${site.app}/callback`,
    response_type: 'code',
    scope: 'openid profile',
    code_challenge_method: 'S256',
    acr_values: 'gold',
  })
  for (const name of ['state', 'nonce', 'code_challenge']) {
    expect(first!.get(name)).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(first!.get(name)).not.toBe(second!.get(name))
    expect(JSON.stringify(store.records.list('sso-login'))).not.toContain(first!.get(name))
  }
  expect(other.headers.getSetCookie()).toEqual([])
  expect(one.headers.getSetCookie()[0]).toMatch(/^sso=.{43}; Path=\/; HttpOnly; SameSite=Lax$/)
  // Both can still come back: two pages of one browser.
  for (const { location } of [one, other]) {
    const url = await browser.follow(location!, atCallback)
    expect((await browser.send(url)).status).toBe(303)
  }
})

describe('a callback is refused', () => {
  async function refused(browser: Browser, url: string, rule: string, status = 403) {
    const reply = await browser.send(url)
    expect([reply.status, refusalIn(reply.text)]).toEqual([
      status,
      status === 403 ? 'login-refused' : refusalIn(reply.text),
    ])
    expect(reply.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expect(reply.headers.getSetCookie()).toEqual([])
    expect((await me(browser)).status).toBe(401)
    const events = current.events.filter(({ kind, outcome }) => kind === 'decision' && outcome === 'refused')
    expect(events.map((event) => event['rule'])).toContain(rule)
  }
  let current: ReturnType<typeof start>

  test('when it comes again', async () => {
    current = start()
    const { browser, url } = await answered()
    expect((await browser.send(url)).status).toBe(303)
    await browser.send(`${site.app}/logout`, { method: 'POST' })
    await refused(browser, url, 'sso-state')
  })

  test('when another browser brings it; the one that began it can still go on', async () => {
    current = start()
    const { browser, url } = await answered()
    const victim = new Browser()
    await refused(victim, url, 'sso-browser')
    await victim.send(`${site.app}/login`)
    await refused(victim, url, 'sso-browser')
    expect((await browser.send(url)).status).toBe(303)
  })

  test.each<[string, (url: URL) => void, string]>([
    ['without a state', (url) => url.searchParams.delete('state'), 'sso-state'],
    ['with another state', (url) => url.searchParams.set('state', 'A'.repeat(43)), 'sso-state'],
    ['with a state that is none', (url) => url.searchParams.set('state', '../../x'), 'sso-state'],
    [
      'with two states',
      (url) => url.searchParams.append('state', url.searchParams.get('state')!),
      'sso-state',
    ],
    [
      'from another issuer (RFC 9207)',
      (url) => url.searchParams.set('iss', 'https://evil.example'),
      'sso-issuer',
    ],
    ['from two issuers', (url) => url.searchParams.append('iss', 'https://evil.example'), 'sso-issuer'],
    ['without the issuer that was promised', (url) => url.searchParams.delete('iss'), 'sso-issuer'],
    ['with another code', (url) => url.searchParams.set('code', 'made-up'), 'sso-code'],
    ['with two codes', (url) => url.searchParams.append('code', 'made-up'), 'sso-token'],
    ['without a code', (url) => url.searchParams.delete('code'), 'sso-token'],
    ['with an ID token (hybrid flow)', (url) => url.searchParams.set('id_token', 'x.y.z'), 'sso-token'],
    ['with a token (implicit flow)', (url) => url.searchParams.set('token', 'x'), 'sso-token'],
    ['with an empty code', (url) => url.searchParams.set('code', ''), 'sso-token'],
    ['with a very long code', (url) => url.searchParams.set('code', 'x'.repeat(8_000)), 'sso-code'],
    ['with a code of line breaks', (url) => url.searchParams.set('code', '\r\n\u0000'), 'sso-code'],
    ['with a code that is no text', (url) => (url.search += '&code[]=x&code=%ff'), 'sso-token'],
    ['as a token', (url) => url.searchParams.set('response', 'x.y.z'), 'sso-token'],
  ])('%s', async (_what, change, rule) => {
    current = start()
    const { browser, url } = await answered()
    const changed = new URL(url)
    change(changed)
    await refused(browser, changed.href, rule)
    // Whatever was begun by it is over, unless it was not found.
    if (rule !== 'sso-state') await refused(browser, url, 'sso-state')
  })

  test('when the user says no there', async () => {
    current = start()
    const browser = new Browser()
    const { location } = await browser.send(`${site.app}/login`)
    const state = new URL(location!).searchParams.get('state')!
    const denied = new URLSearchParams({ error: 'access_denied', state, iss: site.provider.issuer })
    await refused(browser, `${site.app}/callback?${denied.toString()}`, 'sso-denied')
  })

  test('when the code belongs to the login of another, which PKCE and the nonce tell', async () => {
    current = start()
    const attacker = await answered(new Browser(), '/login', 'mallory')
    const code = new URL(attacker.url).searchParams.get('code')!
    const { browser, url } = await answered()
    const injected = new URL(url)
    injected.searchParams.set('code', code)
    await refused(browser, injected.href, 'sso-code')
  })

  test('when the application does not take the user', async () => {
    current = start({ claims: () => Promise.resolve(undefined) })
    const { browser, url } = await answered()
    await refused(browser, url, 'sso-user')
  })

  test('when it comes too late', async () => {
    const clock = { skew: 0 }
    const store = memory({
      clock: {
        now: () => Date.now() + clock.skew,
        monotonic: () => performance.now() + clock.skew,
        after: (ms, callback) => {
          const timer = setTimeout(callback, ms)
          return () => clearTimeout(timer)
        },
      },
    })
    current = start({ store })
    const { browser, url } = await answered()
    clock.skew = 600_000
    await refused(browser, url, 'sso-state')
  })
})

test('a provider that is away is 503, for a login and for a callback, and comes back', async () => {
  const { login } = start()
  const { browser, url } = await answered()
  await site.provider.close()
  const away = await browser.send(url)
  expect([away.status, refusalIn(away.text)]).toEqual([503, 'identity-provider-unavailable'])
  expect(away.headers.get('retry-after')).toBe('1')
  start()
  expect((await browser.send(`${site.app}/login`)).status).toBe(503)
  await expect(login.ready()).resolves.toBeUndefined()
  await site.provider.reopen()
  expect((await browser.send(`${site.app}/login`)).status).toBe(303)
})

test('keys change between two logins, and nobody is refused', async () => {
  const keys = ['b', 'c'].map((kid) => signingKey(kid, 'RS256'))
  start()
  await loggedIn()
  site.provider.signWith(keys)
  await loggedIn()
  site.provider.signWith(keys.reverse())
  const { browser } = await loggedIn()
  expect((await me(browser)).status).toBe(200)
})

test('a provider that comes back with its endpoints elsewhere is found again, without a restart', async () => {
  const keys = [signingKey('b', 'RS256')]
  start()
  await loggedIn()
  site.provider.signWith(keys, { routes: { token: '/elsewhere/token', jwks: '/elsewhere/jwks' } })
  try {
    const { browser, url } = await answered()
    const { status, text } = await browser.send(url)
    expect([status, refusalIn(text)]).toEqual([503, 'identity-provider-unavailable'])
    await loggedIn()
  } finally {
    site.provider.signWith(keys)
  }
})

test('a logout ends the session here and the user is logged out there; then the next login asks again', async () => {
  start()
  const { browser } = await loggedIn()
  const reply = await browser.send(`${site.app}/logout`, { method: 'POST' })
  expect(reply.status).toBe(303)
  const there = new URL(reply.location!)
  expect(there.origin + there.pathname).toBe(`${site.provider.issuer}/session/end`)
  expect(there.searchParams.get('id_token_hint')).toMatch(/^eyJ/)
  expect(there.searchParams.get('post_logout_redirect_uri')).toBe(`${site.app}/bye`)
  expect((await me(browser)).status).toBe(401)

  const page = await browser.send(reply.location!)
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.text)![1]!
  const action = /action="([^"]+)"/.exec(page.text)![1]!
  const confirmed = await browser.send(action, { form: { xsrf, logout: 'yes' } })
  expect(confirmed.location).toBe(`${site.app}/bye`)
  const again = await browser.follow(`${site.app}/login`, (next) => next.includes('/interaction/'))
  expect((await browser.send(again)).text).toContain('name="login"')
  // From another site, nobody is logged out.
  expect(
    (await fetch(`${site.app}/logout`, { method: 'POST', headers: { origin: 'https://evil.example' } }))
      .status,
  ).toBe(403)
})

test('a logout at the provider ends the sessions here, and the tokens, by the back channel', async () => {
  const { sessions, revocation, events, store } = start()
  const { browser } = await loggedIn()
  const { browser: other } = await loggedIn('/login', 'bob')
  const { browser: elsewhere } = await loggedIn()
  expect((await me(browser)).status).toBe(200)
  const { values } = await store.records.list('session')
  const sids = values.map((text) => (JSON.parse(text) as { sid: string }).sid)

  // The user logs out at another application of the same site.provider.
  const page = await browser.send(`${site.provider.issuer}/session/end`)
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.text)![1]!
  const action = /action="([^"]+)"/.exec(page.text)![1]!
  await browser.send(action, { form: { xsrf, logout: 'yes' } })

  expect(site.provider.failures).toEqual([])
  expect((await me(browser)).status).toBe(401)
  expect((await me(other)).status).toBe(200)
  // Another session of the same user is another session.
  expect((await me(elsewhere)).status).toBe(200)
  expect(await sessions.list({ issuer: site.provider.issuer, subject: 'ann' })).toHaveLength(1)
  expect(events.find(({ kind }) => kind === 'session-ended')).toMatchObject({
    facts: { subject: `${site.provider.issuer} ann` },
  })
  // Tokens of that session are over as well, and no others.
  const services = createServices()
  const ended = await Promise.all(
    sids.map(async (sid) => {
      const issuedAt = Date.now() / 1000
      return revocation.check(
        { issuer: site.provider.issuer, subject: 'ann', jti: undefined, sid, issuedAt },
        services,
      )
    }),
  )
  expect(ended.filter((one) => one === 'session-revoked')).toHaveLength(1)
})
