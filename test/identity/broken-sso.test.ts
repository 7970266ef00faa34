import { session } from '../../src/identity/session.js'
import { sso, type SsoOptions } from '../../src/identity/sso.js'
import { memory } from '../../src/kernel/memory.js'
import { secureApi } from '../../src/secure-api.js'
import { expectRefused } from '../../src/testing/index.js'
import { silent } from '../support/api.js'
import { brokenAnswers, dripping } from '../support/broken-answers.js'
import { Browser, CLIENT } from '../support/login-provider.js'
import { loginSite } from '../support/login-site.js'

const METADATA = '/.well-known/openid-configuration'

const site = loginSite()
let logins = 0

/** An application that knows nothing of the provider yet. */
function start(options: Partial<SsoOptions> = {}) {
  logins = 0
  const store = memory()
  const sessions = session({ store, dangerouslyAllowHttp: true })
  const { handlers } = sso({
    ...CLIENT,
    issuer: site.provider.issuer,
    redirectUri: `${site.app}/callback`,
    sessions,
    store,
    claims: () => {
      logins++
      return {}
    },
    allowInsecureLoopback: true,
    ...options,
  })
  const open = { public: true } as const
  const api = secureApi({
    auth: [sessions],
    audit: false,
    log: silent,
    rateLimit: false,
    routes: { 'GET /login': open, 'GET /callback': open },
  })
  const handler = api.protect((req, res) => {
    if (req.url === '/') return void res.end('in')
    const { login, callback } = handlers
    const endpoint = req.url!.startsWith('/login') ? login : callback
    endpoint(req, res, () => res.end('nobody'))
  })
  site.answerBy(handler)
}

/** A browser that the provider has just sent back. */
async function answered() {
  const browser = new Browser()
  return {
    browser,
    url: await browser.follow(`${site.app}/login`, (next) => next.startsWith(`${site.app}/callback?`)),
  }
}
async function loggedIn() {
  const { browser, url } = await answered()
  expect((await browser.send(url)).status).toBe(303)
  expect((await browser.send(`${site.app}/`)).status).toBe(200)
}
async function refused(browser: Browser, url: string) {
  const { status, headers, text } = await browser.send(url)
  expectRefused('identity-provider-unavailable')({ status, headers: Object.fromEntries(headers), text })
  expect(headers.get('retry-after')).toBe('1')
  expect(headers.getSetCookie()).toEqual([])
  expect([(await browser.send(`${site.app}/`)).status, logins]).toEqual([401, 0])
}

describe.each([
  ['the metadata', METADATA],
  ['the answer to the code', '/token'],
  ['the keys', '/jwks'],
])('%s', (_what, path) => {
  afterEach(() => site.provider.breakAt(path, undefined))

  test.each(Object.entries(brokenAnswers))(
    'is %s: 503 with Retry-After and no session, and the next login is well again',
    async (_answer, listener) => {
      start()
      const { browser, url } =
        path === METADATA ? { browser: new Browser(), url: `${site.app}/login` } : await answered()
      site.provider.breakAt(path, listener)
      await refused(browser, url)
      site.provider.breakAt(path, undefined)
      await loggedIn()
    },
  )

  test('comes byte by byte: 503 when its time is over, and the connection is given up', async () => {
    start({ timeoutMs: 1_000 })
    const { browser, url } =
      path === METADATA ? { browser: new Browser(), url: `${site.app}/login` } : await answered()
    const slow = dripping()
    site.provider.breakAt(path, slow.listener)
    await refused(browser, url)
    await slow.left
  })
})
