import { TOTP, Secret } from 'otpauth'
import type { Browser, Page } from 'playwright-core'
import { addAuthenticator, launchChromium, type VirtualAuthenticator } from '../support/chromium.js'
import { linkedCopy, removeCopies } from '../support/example-copy.js'
import { endExamples, startedExample } from '../support/example-process.js'

let browser: Browser
let origin: string
let issuer: string
let page: Page
let authenticator: VirtualAuthenticator
/** What the browser finds wrong with the pages. */
let complaints: string[]

beforeAll(async () => {
  browser = await launchChromium()
})

afterAll(() => browser.close())

beforeEach(async () => {
  const { output } = await startedExample(
    linkedCopy('orders-api'),
    { PORT: '0' },
    'To know before production',
  )
  const [, here, there] = /Orders API on (http:\S+), identity provider on (http:\S+),/.exec(output())!
  origin = here!
  issuer = there!
  page = await (await browser.newContext()).newPage()
  complaints = []
  page.on('console', (message) => {
    if (/security policy/i.test(message.text())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  authenticator = await addAuthenticator(page)
  await page.goto(origin)
})

afterEach(async () => {
  await page.context().close()
  endExamples()
  removeCopies()
})

/** Presses what is called so. */
const press = (name: string) => page.getByRole('button', { name, exact: true }).click()
/** Waits until the page says so. */
const says = (text: string) => page.locator('#said', { hasText: text }).waitFor()

/** From the page of the API through the pages of the identity provider, and back. */
async function logIn(user: string): Promise<void> {
  await page.getByRole('link', { name: 'Log in' }).click()
  await page.locator('[name=login]').fill(user)
  expect(new URL(page.url()).origin).toBe(issuer)
  await page.locator('[name=password]').fill('any')
  await press('Sign-in')
  await press('Continue')
}

async function logOut(): Promise<void> {
  await press('Log out')
  await press('Yes, sign me out')
  await page.getByRole('link', { name: 'Log in' }).waitFor()
}

async function pay() {
  const answered = page.waitForResponse((reply) => reply.url() === `${origin}/payouts`)
  await press('Pay 120.00')
  const reply = await answered
  return { status: reply.status(), challenge: await reply.headerValue('www-authenticate') }
}

test('in a real browser: log in at the provider, register a passkey, step up with it, pay, and log out', async () => {
  await logIn('tess')
  await page.getByText('You are Tess, treasurer.').waitFor()
  expect(page.url()).toBe(`${origin}/`)

  const refused = await pay()
  await says('insufficient-user-authentication')
  expect(refused.status).toBe(401)
  expect(refused.challenge).toContain('error="insufficient_user_authentication"')
  expect(refused.challenge).toContain('max_age="300"')

  await press('Register a passkey')
  await says('The passkey is registered.')
  expect((await pay()).status).toBe(401)

  await authenticator.verifies(false)
  await press('Show the passkey')
  await says('not allowed')
  expect((await pay()).status).toBe(401)
  await authenticator.verifies(true)

  await press('Show the passkey')
  await says('The passkey was shown.')
  expect((await pay()).status).toBe(201)
  await says('Paid, by tess.')

  const cookie = (await page.context().cookies(origin)).find(({ name }) => name === 'session')!
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Lax', expires: -1 })
  const known = async () =>
    (await fetch(`${origin}/me`, { headers: { cookie: `session=${cookie.value}` } })).status
  expect(await known()).toBe(200)
  await logOut()
  expect(page.url()).toBe(`${origin}/`)
  expect(await known()).toBe(401)
  expect(complaints).toEqual([])
})

test('in a real browser: pay with a code of an authenticator app, and show it before a passkey is added', async () => {
  await logIn('tess')
  await press('Set up an authenticator app')
  await says('Give the app')
  const [, secret] = /Give the app (\w+)/.exec(await page.locator('#said').innerText())!
  const app = new TOTP({ secret: Secret.fromBase32(secret!) })
  const send = async (code: string) => {
    await page.locator('[name=code]').fill(code)
    await press('Send the code')
  }
  await send(app.generate())
  await says('The code was right.')
  expect((await pay()).status).toBe(201)
  await logOut()

  await logIn('tess')
  await press('Register a passkey')
  await says('insufficient-user-authentication')
  // The one after the code that was used.
  await send(app.generate({ timestamp: Date.now() + 30_000 }))
  await says('The code was right.')
  await press('Register a passkey')
  await says('The passkey is registered.')
  expect(complaints).toEqual([])
})
