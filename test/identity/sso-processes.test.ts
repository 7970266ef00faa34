import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Browser, CLIENT, startLoginProvider } from '../support/login-provider.js'
import { backends, startProcess, type ApiProcess, type Backend } from '../support/processes.js'

/** An application that is one of several behind one address. */
const SERVER = `
  const [issuer, app, client] = [args[0], args[1], JSON.parse(args[2])]
  const waits = { storeTimeoutMs: 10_000 }
  const revocation = secureApi.revocations({ store, ...waits })
  const sessions = secureApi.session({ store, revocation, dangerouslyAllowHttp: true, ...waits })
  const login = secureApi.sso({
    ...{ ...client, issuer, redirectUri: app + '/callback', sessions, store, revocation, allowInsecureLoopback: true },
  })
  const open = { public: true }
  const routes = { 'GET /login': open, 'GET /callback': open, 'POST /backchannel-logout': open }
  const api = secureApi.secureApi({ auth: [sessions], audit: false, rateLimit: false, routes, ...waits })
  const handlers = { login: login.handlers.login, callback: login.handlers.callback, 'backchannel-logout': login.handlers.backChannelLogout }
  listen(api.protect((req, res) => {
    const handler = handlers[req.url.slice(1).split('?')[0]]
    if (handler === undefined) return res.end('in')
    handler(req, res, () => res.end())
  }))
`

let door: Server
let app: string
let provider: Awaited<ReturnType<typeof startLoginProvider>>
/** What the provider has told the application by the back channel. */
let told: string[] = []

beforeAll(async () => {
  // It says on the console what it thinks of this version of Node and of http.
  jest.spyOn(console, 'warn').mockImplementation(() => undefined)
  jest.spyOn(console, 'info').mockImplementation(() => undefined)
  door = createServer((req, res) => {
    let form = ''
    req.on('data', (chunk) => (form += String(chunk)))
    req.on('end', () => {
      told.push(form)
      res.end()
    })
  })
  door.listen(0, '127.0.0.1')
  await once(door, 'listening')
  app = `http://127.0.0.1:${(door.address() as AddressInfo).port}`
  provider = await startLoginProvider(app)
})
afterAll(async () => {
  door.close().closeAllConnections()
  await provider.close()
  jest.restoreAllMocks()
})

describe.each(backends)('two processes over one %s', (_kind, start) => {
  let backend: Backend
  let apis: ApiProcess[] = []
  beforeAll(async () => {
    backend = await start()
    const args = [provider.issuer, app, JSON.stringify(CLIENT)] as const
    apis = await Promise.all([1, 2].map(() => startProcess(backend, SERVER, ...args)))
  })
  afterAll(async () => {
    for (const api of apis) await api.stop()
    await backend.stop()
  })
  beforeEach(() => void (told = []))

  const send = async (api: number, path: string, cookie = '', form?: string) => {
    const reply = await fetch(apis[api]!.origin + path, {
      redirect: 'manual',
      headers: { cookie, ...(form && { 'Content-Type': 'application/x-www-form-urlencoded' }) },
      ...(form !== undefined && { method: 'POST', body: form }),
    })
    await reply.arrayBuffer()
    const set = reply.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    return { status: reply.status, location: reply.headers.get('location') ?? '', cookie: set }
  }
  /** What a browser has that the provider has just sent back. */
  const answered = async (browser = new Browser()) => {
    const begun = await send(0, '/login')
    const url = await browser.follow(begun.location, (next) => next.startsWith(`${app}/callback?`))
    return { browser, callback: url.slice(app.length), cookie: begun.cookie }
  }
  const both = async (cookie: string) =>
    Promise.all([0, 1].map(async (api) => (await send(api, '/me', cookie)).status))

  test('a login that one began is ended by the other, and both know who it is', async () => {
    const { callback, cookie } = await answered()
    const reply = await send(1, callback, cookie)
    expect(reply.status).toBe(303)
    expect(await both(reply.cookie)).toEqual([200, 200])
  })

  test('racing for one answer of the provider let exactly one session begin', async () => {
    for (let round = 0; round < 3; round++) {
      const { callback, cookie } = await answered()
      const replies = await Promise.all([0, 1, 0, 1].map((api) => send(api, callback, cookie)))
      expect(replies.map(({ status }) => status).sort()).toEqual([303, 403, 403, 403])
      expect(replies.filter((reply) => reply.cookie !== '')).toHaveLength(1)
    }
  })

  test('a logout at the provider that one is told of ends the session in both, and is taken once', async () => {
    const { browser, callback, cookie } = await answered()
    const { cookie: session } = await send(1, callback, cookie)
    const page = await browser.send(`${provider.issuer}/session/end`)
    const [, xsrf] = /name="xsrf" value="([^"]+)"/.exec(page.text)!
    const [, action] = /action="([^"]+)"/.exec(page.text)!
    await browser.send(action!, { form: { xsrf: xsrf!, logout: 'yes' } })
    expect(provider.failures).toEqual([])
    expect(told).toHaveLength(1)

    expect(await both(session)).toEqual([200, 200])
    const tell = async (api: number) => (await send(api, '/backchannel-logout', '', told[0])).status
    // Told at once, each ends what is there; told again, it is an old story.
    expect(await Promise.all([0, 1].map(tell))).toContain(200)
    expect(await Promise.all([0, 1].map(tell))).toEqual([400, 400])
    expect(await both(session)).toEqual([401, 401])
  })
})
