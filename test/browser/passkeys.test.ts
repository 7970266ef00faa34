import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import express from 'express'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { session } from '../../src/identity/session.js'
import { webauthn } from '../../src/identity/webauthn.js'
import { memory } from '../../src/kernel/memory.js'
import { secureApi } from '../../src/secure-api.js'
import { fakeClock } from '../../src/testing/index.js'
import { silent } from '../support/api.js'
import { selfSigned } from '../support/certificate.js'
import { addAuthenticator, launchChromium, type VirtualAuthenticator } from '../support/chromium.js'

/** What a page of the application has: it posts JSON, and hands options and credentials to and fro. */
const SCRIPT = `
  async function post(path, body) {
    const reply = await fetch(path, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body ?? {}),
    })
    return { status: reply.status, challenge: reply.headers.get('www-authenticate'), body: await reply.json() }
  }
  async function create(name) {
    const { body } = await post('/passkeys/options')
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(body)
    const credential = await navigator.credentials.create({ publicKey })
    return post('/passkeys', { credential: credential.toJSON(), name })
  }
  async function show(options, target) {
    const { body } = await post(options)
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(body)
    const credential = await navigator.credentials.get({ publicKey })
    return post(target, { credential: credential.toJSON() })
  }
  Object.assign(globalThis, { post, create, show })`

interface Said {
  readonly status: number
  readonly challenge: string | null
  readonly body: Record<string, unknown>
}

const clock = fakeClock(Date.now())
const { key, cert } = selfSigned()
let server: Server
let browser: Browser
let context: BrowserContext
let page: Page
let authenticator: VirtualAuthenticator
let origin: string

/** Runs a line of the page's script. */
const run = (line: string) => page.evaluate<Said>(`(async () => ${line})()`)

function application(at: string) {
  const store = memory({ clock })
  const sessions = session({ store, clock })
  const passkeys = webauthn({
    ...{ store, clock, key: randomBytes(32), rpId: 'localhost', rpName: 'Acme', origins: [at] },
    verified: async ({ factor, passkey }, req, res) => {
      const known = req.url === '/passkeys/login' ? undefined : req.headers.cookie
      if (known !== undefined) await sessions.addFactor(req, res, factor.method)
      else await sessions.login(req, res, { subject: passkey!.owner.subject, factors: [factor.method] })
      return { ok: true }
    },
  })
  const anybody = { public: true, csrf: { always: true } } as const
  const api = secureApi({
    auth: [sessions],
    routes: {
      'GET /': { public: true, headers: { replace: { preset: 'html' } } },
      'POST /login': anybody,
      'POST /logout': anybody,
      'POST /passkeys/login-options': anybody,
      'POST /passkeys/login': anybody,
      '* /passkeys/*': { rbac: 'authenticated' },
      '* /passkeys': { rbac: 'authenticated' },
      'POST /payouts': { rbac: 'authenticated', stepUp: { amr: 'pop', maxAgeSeconds: 300 } },
    },
    strict: true,
    audit: false,
    clock,
    log: silent,
  })
  const app = express()
  app.use(api as never)
  app.get('/', (_req, res) => void res.type('html').send('<!doctype html><title>Acme</title>'))
  app.post('/login', async (req, res) => {
    // Where an application would look at a password.
    await sessions.login(req, res, { subject: 'ann', factors: ['pwd'] })
    res.json({ ok: true })
  })
  app.post('/logout', async (req, res) => {
    await sessions.logout(req, res)
    res.json({ ok: true })
  })
  const { handlers } = passkeys
  app.post('/passkeys/options', handlers.registrationOptions)
  app.post('/passkeys', handlers.register)
  app.post('/passkeys/proof-options', handlers.authenticationOptions)
  app.post('/passkeys/proof', handlers.authenticate)
  app.post('/passkeys/login-options', handlers.loginOptions)
  app.post('/passkeys/login', handlers.login)
  app.post('/payouts', (req, res) => void res.json({ by: req.security?.principal?.subject }))
  app.use(api.errors() as never)
  return app
}

beforeAll(async () => {
  server = createServer({ key, cert })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  origin = `https://localhost:${(server.address() as AddressInfo).port}`
  server.on('request', application(origin))
  browser = await launchChromium(cert)
  context = await browser.newContext()
  await context.addInitScript(SCRIPT)
  page = await context.newPage()
  authenticator = await addAuthenticator(page)
  await page.goto(origin)
})

afterAll(async () => {
  await browser.close()
  server.closeAllConnections()
  server.close()
})

test('in a real browser: register a passkey, step up with it, step down, and log in by it alone (ASVS 7.5.3)', async () => {
  expect(await run(`post('/payouts')`)).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
  expect(await run(`post('/login')`)).toMatchObject({ status: 200 })

  const refused = await run(`post('/payouts')`)
  expect(refused).toMatchObject({ status: 401, body: { code: 'insufficient-user-authentication' } })
  expect(refused.challenge).toContain('error="insufficient_user_authentication"')
  expect(refused.challenge).toContain('max_age="300"')

  expect(await run(`create('laptop')`)).toMatchObject({ status: 200, body: { passkey: { name: 'laptop' } } })
  expect(await run(`post('/payouts')`)).toMatchObject({ status: 401 })

  expect(await run(`show('/passkeys/proof-options', '/passkeys/proof')`)).toMatchObject({ status: 200 })
  expect(await run(`post('/payouts')`)).toMatchObject({ status: 200, body: { by: 'ann' } })
  clock.advance(301_000)
  expect(await run(`post('/payouts')`)).toMatchObject({ status: 401 })

  expect(await run(`post('/logout')`)).toMatchObject({ status: 200 })
  expect(await run(`show('/passkeys/login-options', '/passkeys/login')`)).toMatchObject({ status: 200 })
  expect(await run(`post('/payouts')`)).toMatchObject({ status: 200, body: { by: 'ann' } })
})

test('in a real browser: an authenticator that does not know its user proves nothing', async () => {
  await authenticator.verifies(false)
  await expect(run(`show('/passkeys/login-options', '/passkeys/login')`)).rejects.toThrow('NotAllowedError')
  await authenticator.verifies(true)
})

test('in a real browser: a page of somebody else gets no answer for this domain', async () => {
  const stranger = await context.newPage()
  await addAuthenticator(stranger)
  await stranger.goto(origin.replace('localhost', '127.0.0.1'))
  const outcome = stranger.evaluate(`navigator.credentials
    .get({ publicKey: { rpId: 'localhost', challenge: new Uint8Array(32) } })
    .then(() => 'answered', (error) => error.name)`)
  expect(await outcome).toBe('SecurityError')
})
