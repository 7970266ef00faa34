import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import { csrfToken } from '../../src/access/csrf-token.js'
import { session, type SessionMiddleware } from '../../src/identity/session.js'
import { memory } from '../../src/kernel/memory.js'
import { secureApi } from '../../src/secure-api.js'
import { silent } from '../support/api.js'
import { selfSigned } from '../support/certificate.js'
import { launchChromium } from '../support/chromium.js'

const { key, cert } = selfSigned()
const secret = 'a secret for the tokens of this test, and no other'
let servers: Server[]
let browser: Browser
let shop: string
let evil: string
let sessions: SessionMiddleware
/** Which requests came through to a handler, and by whose session. */
let reached: string[]

/** A shop whose cookie goes with every request, so that nothing but `csrf` keeps other sites out. */
function application(sameSite: 'lax' | 'none') {
  sessions = session({ store: memory(), sameSite })
  const api = secureApi({
    auth: [sessions],
    csrf: { secret },
    routes: {
      'GET /': { public: true, headers: { replace: { preset: 'html' } } },
      'POST /login': { public: true, csrf: { always: true } },
    },
    audit: false,
    log: silent,
    rateLimit: false,
  })
  return api.protect((req, res) => {
    reached.push(`${req.method} ${req.url}`)
    void answer(req, res)
  })
}

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.url === '/')
    return void res.setHeader('Content-Type', 'text/html').end('<!doctype html><title>Shop</title>')
  if (req.url === '/login') await sessions.login(req, res, { subject: 'ann' })
  res.setHeader('Content-Type', 'application/json')
  res.end(JSON.stringify({ token: csrfToken(req, res) }))
}

const FORM = (action: string) => `<!doctype html><title>Evil</title>
  <form method="post" action="${action}"><input name="amount" value="1000"><button>Win a prize</button></form>`

let app: ReturnType<typeof application>
beforeAll(async () => {
  const listening = async (handler: (req: IncomingMessage, res: ServerResponse) => void) => {
    const server = createServer({ key, cert }, handler)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return server
  }
  servers = [
    await listening((req, res) => app(req, res)),
    await listening((req, res) => {
      const to = new URL(req.url!, 'https://x').searchParams.get('to') ?? '/'
      // Its form may go to the site itself first, which then sends the browser on with what was typed.
      if (req.method === 'POST') return void res.writeHead(307, { Location: to }).end()
      res.setHeader('Content-Type', 'text/html').end(FORM(to))
    }),
  ]
  const [first, second] = servers.map((server) => (server.address() as AddressInfo).port)
  shop = `https://localhost:${first}`
  evil = `https://127.0.0.1:${second}`
  browser = await launchChromium(cert)
})
beforeEach(() => void (reached = []))
afterAll(async () => {
  await browser.close()
  for (const server of servers) server.close().closeAllConnections()
})

async function visitor(sameSite: 'lax' | 'none'): Promise<Page> {
  app = application(sameSite)
  const page = await (await browser.newContext()).newPage()
  await page.goto(shop)
  expect(await post(page, '/login')).toBe(200)
  return page
}
const post = (page: Page, path: string) =>
  page.evaluate<number>(`fetch('${path}', { method: 'POST' }).then((reply) => reply.status)`)
const byEvil = (url: string) => `${evil}/?to=${encodeURIComponent(url)}`
/** What the shop answers to a form of the other site. */
async function lured(page: Page, path: string, by = (url: string) => url): Promise<number> {
  await page.goto(byEvil(by(shop + path)))
  const answered = page.waitForResponse((reply) => reply.url() === shop + path)
  await page.click('button')
  return (await answered).status()
}

test('in a real browser: pages of the shop act for their visitor, and no script reads the cookie (ASVS 3.3.4)', async () => {
  const page = await visitor('lax')
  expect(await post(page, '/orders')).toBe(200)
  expect(await page.evaluate<string>('document.cookie')).not.toContain('session')
  const cookies = await page.context().cookies()
  expect(cookies.find(({ name }) => name === '__Host-session')).toMatchObject({
    domain: 'localhost',
    path: '/',
    httpOnly: true,
    secure: true,
    sameSite: 'Lax',
    expires: -1,
  })
  await page.context().close()
})

test('in a real browser: a page of another site cannot, though the cookie goes with what it sends (ASVS 3.5.1)', async () => {
  const page = await visitor('none')
  reached = []
  expect(await lured(page, '/orders')).toBe(403)
  expect(await lured(page, '/login')).toBe(403)
  expect(await lured(page, '/orders', byEvil)).toBe(403)
  await page.goto(evil)
  const hidden = `fetch('${shop}/orders', { method: 'POST', mode: 'no-cors', credentials: 'include' })`
  await page.evaluate(`${hidden}.catch(() => undefined)`)
  expect(reached).toEqual([])
  // It was the cookie of somebody who may: the same request of the shop's own page is answered.
  await page.goto(shop)
  expect(await post(page, '/orders')).toBe(200)
  await page.context().close()
})

test('in a real browser: with SameSite=Lax, what another site sends has no cookie at all', async () => {
  const page = await visitor('lax')
  expect(await lured(page, '/orders')).toBe(401)
  await page.context().close()
})
