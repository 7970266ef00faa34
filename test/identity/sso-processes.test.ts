import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Browser, CLIENT, startLoginProvider } from '../support/login-provider.js'
import { backends, startProcess, type ApiProcess, type Backend } from '../support/processes.js'
import { quietConsole } from '../support/quiet-console.js'

/** An application in a process of its own, as one of several behind a load balancer at `origin`. */
const SERVER = `
  const [issuer, origin, clientSecret, framework] = args
  const revocation = secureApi.revocations({ store, storeTimeoutMs: 10_000 })
  const sessions = secureApi.session({ store, revocation, dangerouslyAllowHttp: true, storeTimeoutMs: 10_000 })
  const { handlers } = secureApi.sso({
    issuer, clientId: 'shop', clientSecret, redirectUri: origin + '/callback', postLogoutRedirectUri: origin + '/bye',
    scope: 'openid profile', sessions, store, revocation, allowInsecureLoopback: true,
  })
  const open = { public: true }
  const api = secureApi.secureApi({
    auth: [sessions], audit: false, rateLimit: false, storeTimeoutMs: 10_000,
    routes: {
      'GET /login': open, 'GET /callback': open, 'POST /backchannel-logout': open,
      'POST /logout': { public: true, csrf: { always: true } },
    },
  })
  const app = require(framework)()
  app.use(api)
  app.use('/login', handlers.login)
  app.use('/callback', handlers.callback)
  app.use('/logout', handlers.logout)
  app.use('/backchannel-logout', handlers.backChannelLogout)
  app.use('/me', (req, res) => res.end(JSON.stringify(req.security.principal)))
  app.use(api.errors())
  console.warn = () => undefined
  listen(app)
`

describe.each(backends)('two processes over one %s, behind one address', (_kind, start) => {
  let backend: Backend
  let apis: ApiProcess[] = []
  let front: Server
  let app: string
  /** Which of the two the load balancer asks next; where they take turns, both. */
  let turn = 0
  let takeTurns = false
  let provider: Awaited<ReturnType<typeof startLoginProvider>>

  quietConsole()
  beforeAll(async () => {
    backend = await start()
    front = createServer((req, res) => {
      if (takeTurns) turn = 1 - turn
      const { method, url, headers } = req
      const onward = request(apis[turn]!.origin + url!, { method: method!, headers }, (reply) => {
        res.writeHead(reply.statusCode!, reply.headers)
        reply.pipe(res)
      })
      req.pipe(onward)
    })
    await new Promise<void>((listening) => front.listen(0, '127.0.0.1', listening))
    app = `http://127.0.0.1:${(front.address() as AddressInfo).port}`
    provider = await startLoginProvider(app)
    apis = await Promise.all(
      ['express', 'connect'].map((framework) =>
        startProcess(backend, SERVER, provider.issuer, app, CLIENT.clientSecret, framework),
      ),
    )
  })
  afterAll(async () => {
    front.close().closeAllConnections()
    for (const api of apis) await api.stop()
    await provider.close()
    await backend.stop()
  })

  const at = async <T>(api: number, work: () => Promise<T>): Promise<T> => {
    turn = api
    return work()
  }
  const atCallback = (url: string) => url.startsWith(`${app}/callback?`)
  /** Begins a login at one process, and stops where the provider sends the browser back. */
  const answered = async (browser: Browser, api: number) =>
    at(api, () => browser.follow(`${app}/login?return_to=/me`, atCallback))
  const me = async (browser: Browser) => [
    await at(0, () => browser.send(`${app}/me`)),
    await at(1, () => browser.send(`${app}/me`)),
  ]
  const statuses = async (browser: Browser) => (await me(browser)).map(({ status }) => status)

  test.each([0, 1])('a login that begins at number %i comes back to the other, once', async (first) => {
    const browser = new Browser()
    const url = await answered(browser, first)
    const back = await at(1 - first, () => browser.send(url))
    expect([back.status, back.location]).toEqual([303, `${app}/me`])
    for (const { status, text } of await me(browser))
      expect([status, JSON.parse(text)]).toEqual([
        200,
        expect.objectContaining({ issuer: provider.issuer, subject: 'ann' }),
      ])
    const again = await at(first, () => browser.send(url))
    expect([again.status, (JSON.parse(again.text) as { code: string }).code]).toEqual([403, 'login-refused'])
  })

  test('an answer that comes to both at once opens one session', async () => {
    const browser = new Browser()
    const url = await answered(browser, 0)
    takeTurns = true
    const replies = await Promise.all(Array.from({ length: 6 }, () => browser.send(url)))
    takeTurns = false
    expect(replies.map(({ status }) => status).sort()).toEqual([303, 403, 403, 403, 403, 403])
  })

  test('a logout that the provider tells one of them ends the session at both', async () => {
    for (const told of [0, 1]) {
      const browser = new Browser()
      const url = await answered(browser, told)
      await at(1 - told, () => browser.send(url))
      const elsewhere = new Browser()
      const other = await answered(elsewhere, told)
      await at(told, () => elsewhere.send(other))
      expect([await statuses(browser), await statuses(elsewhere)]).toEqual([
        [200, 200],
        [200, 200],
      ])

      turn = told
      const page = await browser.send(`${provider.issuer}/session/end`)
      const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.text)![1]!
      const action = /action="([^"]+)"/.exec(page.text)![1]!
      await browser.send(action, { form: { xsrf, logout: 'yes' } })
      expect(provider.failures).toEqual([])
      expect([await statuses(browser), await statuses(elsewhere)]).toEqual([
        [401, 401],
        [200, 200],
      ])
    }
  })

  test('a logout at one of them ends the session at both, and the user is sent to the provider', async () => {
    const browser = new Browser()
    const url = await answered(browser, 0)
    await at(0, () => browser.send(url))
    const out = await at(1, () => browser.send(`${app}/logout`, { method: 'POST' }))
    expect([out.status, out.location]).toEqual([
      303,
      expect.stringContaining(`${provider.issuer}/session/end`),
    ])
    expect(new URL(out.location!).searchParams.get('id_token_hint')).toMatch(/^eyJ/)
    expect(await statuses(browser)).toEqual([401, 401])
  })
})
