import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import request from 'supertest'
import { memory } from '../../src/kernel/memory.js'
import type { Log, Store } from '../../src/kernel/ports.js'
import { knowsEverybody, ORIGIN, partsOf, type Everybody, type Fields } from './support/callers.js'

const directory = mkdtempSync(join(tmpdir(), 'secure-api-callers-'))
afterAll(() => rmSync(directory, { recursive: true }))

/** Everything that anybody but the client and the handler could read. */
let outside: string[] = []
let planted: string[] = []
let file = ''
let everybody: Everybody
const keep = (...seen: unknown[]) => void outside.push(inspect(seen, { depth: 20, maxStringLength: null }))
const log: Log = { info: keep, warn: keep, error: keep }
const plant = (...secrets: string[]) => void planted.push(...secrets)

let files = 0
async function start(store?: Store) {
  file = join(directory, String(files++))
  everybody = await knowsEverybody(
    { log, audit: { logger: { info: keep, warn: keep, error: keep }, file }, trace: true },
    store,
  )
  plant(...everybody.secrets)
}

// Nobody who takes it for writable can work any more: what is asked for here goes on all the same. Some peers cannot even
// be loaded then.
beforeAll(async () => {
  const { close } = await knowsEverybody()
  await close()
  Object.freeze(Object.prototype)
})

beforeEach(() => {
  outside = []
  planted = []
  for (const name of ['log', 'info', 'warn', 'error', 'debug'] as const)
    jest.spyOn(console, name).mockImplementation(keep)
})

afterEach(async () => {
  expect(Object.isFrozen(Object.prototype)).toBe(true)
  await everybody.close()
  jest.restoreAllMocks()
  outside.push(readFileSync(file, 'utf8'))
  const whole = outside.join('\n')
  expect(whole.length).toBeGreaterThan(500)
  expect(planted.filter((secret) => spellings(secret).some((spelling) => whole.includes(spelling)))).toEqual(
    [],
  )
})

/** The ways in which a secret could be written. */
function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret)
  // Within a longer text, base64 has one of three forms; their middles are enough to find it.
  const within = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64url')
      .slice(4, -4),
  )
  const long = within.filter((middle) => middle.length >= 8)
  return [secret, encodeURIComponent(secret), bytes.toString('hex'), ...long]
}

interface Sent {
  readonly fields?: Fields
  readonly json?: object
  readonly form?: Record<string, string>
}

/** The members of all good answers together. */
interface Answer {
  readonly csrf: string
  readonly access_token: string
  readonly refresh_token: string
  readonly secret: string
  readonly recovery_codes: readonly [string, string]
  readonly challenge: string
  readonly user: { readonly id: string }
}

/** What was given to the client, it may have: cookies, where a login goes on, and what answers a good request. */
async function ask(
  status: number,
  method: 'get' | 'post',
  path: string,
  { fields = {}, json, form }: Sent = {},
) {
  const asking = request(everybody.server)[method](path).set(fields).redirects(0)
  if (json !== undefined) asking.set('Content-Type', 'application/json').send(JSON.stringify(json))
  if (form !== undefined) asking.type('form').send(form)
  const reply = await asking.ok(() => true)
  expect([path, reply.status, reply.text]).toEqual([path, status, expect.anything()])
  const { 'set-cookie': cookies, location, ...head } = reply.headers as Record<string, unknown>
  outside.push(JSON.stringify(head), reply.status >= 400 ? reply.text : '')
  return {
    body: (reply.text === '' ? {} : JSON.parse(reply.text)) as Answer,
    cookie: ((cookies ?? []) as string[]).map((field) => field.split(';')[0]!).join('; '),
    location: location as string | undefined,
  }
}

/** Another secret of the same form. */
const changed = (text: string) => text.slice(0, -9) + (text.at(-9) === 'A' ? 'B' : 'A') + text.slice(-8)
const wrong = ({ DPoP, ...fields }: Fields): Fields => ({
  ...Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, changed(value)])),
  ...(DPoP !== undefined && { DPoP }),
})

test.each(['bearer', 'introspection', 'dpop', 'apiKey', 'mtls', 'basic'])(
  'who is known by %s, and who is not, tells nobody why (ASVS 16.2.5)',
  async (way) => {
    await start()
    const good = everybody.ways[way]!()
    plant(...good.secrets)
    await ask(200, 'get', '/orders', good)
    const bad = everybody.ways[way]!()
    const fields = wrong(bad.fields)
    plant(...bad.secrets, ...Object.values(fields))
    await ask(401, 'get', '/orders', { fields })
  },
)

test('a proof of possession that is used again, or for something else, stays a secret', async () => {
  await start()
  const { client, ways } = everybody
  const { fields, secrets } = ways['dpop']!()
  plant(...secrets)
  await ask(200, 'get', '/orders', { fields })
  await ask(401, 'get', '/orders', { fields })
  const token = fields['Authorization']!.split(' ')[1]!
  for (const [method, url, more] of [
    ['GET', `${ORIGIN}/other`, {}],
    ['POST', `${ORIGIN}/orders`, {}],
    ['GET', `${ORIGIN}/orders`, { nonce: 'a-nonce-that-nobody-gave' }],
    ['GET', `${ORIGIN}/orders`, { claims: { jti: 'the-name-of-one-proof' } }],
  ] as const) {
    const sent = client.fields(method, url, token, more)
    plant(...partsOf(sent.DPoP), 'a-nonce-that-nobody-gave', 'the-name-of-one-proof')
    await ask(url.endsWith('/other') || method === 'POST' ? 401 : 200, 'get', '/orders', { fields: sent })
  }
})

test('a session, its tokens against other sites, and its end', async () => {
  await start()
  const { cookie } = await ask(200, 'post', '/login')
  const id = cookie.split('=')[1]!
  plant(id, 'kept-for-the-browser')
  const page = { Cookie: cookie, 'Sec-Fetch-Site': 'same-origin' }
  await ask(200, 'get', '/orders', { fields: page })
  await ask(400, 'get', '/orders', { fields: { Cookie: `${cookie}; ${cookie}` } })
  await ask(403, 'post', '/orders', { fields: { Cookie: cookie, 'Sec-Fetch-Site': 'cross-site' } })
  await ask(403, 'post', '/orders', { fields: { Cookie: cookie, Origin: 'https://evil.test' } })
  const { body, cookie: second } = await ask(200, 'get', '/csrf', { fields: page })
  const token = body.csrf
  plant(token, token.split('.')[1]!)
  const both = { Cookie: `${cookie}; ${second}` }
  await ask(200, 'post', '/orders', { fields: { ...both, 'X-CSRF-Token': token } })
  await ask(403, 'post', '/orders', { fields: { ...both, 'X-CSRF-Token': changed(token) } })
  await ask(401, 'get', '/fresh', { fields: page })
  await ask(401, 'get', '/orders', { fields: { Cookie: changed(cookie) } })
  await ask(200, 'post', '/logout', { fields: page })
  await ask(401, 'get', '/orders', { fields: page })
})

test('tokens of our own, refreshed, used twice, and revoked', async () => {
  await start()
  const issued = async () => {
    const { body } = await ask(200, 'post', '/issue')
    const { access_token: access, refresh_token: refresh } = body
    plant(...partsOf(access), refresh, refresh.split('.').at(-1)!)
    return { access, refresh }
  }
  const first = await issued()
  const as = (token: string) => ({ fields: { Authorization: `Bearer ${token}` } })
  await ask(200, 'get', '/orders', as(first.access))
  const { body } = await ask(200, 'post', '/refresh', { json: { refresh_token: first.refresh } })
  const { access_token: access, refresh_token: refresh } = body
  plant(...partsOf(access), refresh)
  everybody.clock.advance(60_000)
  await ask(400, 'post', '/refresh', { json: { refresh_token: first.refresh } })
  await ask(400, 'post', '/refresh', { json: { refresh_token: refresh } })
  await ask(401, 'get', '/orders', as(access))
  const second = await issued()
  await ask(400, 'post', '/token', {
    form: { grant_type: 'refresh_token', refresh_token: changed(second.refresh) },
  })
  await ask(400, 'post', '/token', { form: { grant_type: second.refresh, refresh_token: second.refresh } })
  await ask(400, 'post', '/token', {
    form: { grant_type: 'refresh_token', refresh_token: second.refresh, scope: 'all' },
  })
  await ask(200, 'post', '/revoke', { form: { token: second.access } })
  await ask(401, 'get', '/orders', as(second.access))
})

test('codes of an app, and codes for who lost it', async () => {
  await start()
  const { ways, code, clock } = everybody
  const sent = (json: object) => ({ ...ways['bearer']!(), json })
  const { body } = await ask(200, 'post', '/totp/enrol', sent({}))
  const { secret } = body
  plant(secret)
  await ask(403, 'post', '/totp/confirm', sent({ code: '1234567890123' }))
  const { body: confirmed } = await ask(200, 'post', '/totp/confirm', sent({ code: code(secret) }))
  const [first, second] = confirmed.recovery_codes
  plant(first, second)
  clock.advance(60_000)
  const shown = code(secret)
  await ask(200, 'post', '/totp/verify', sent({ code: shown }))
  await ask(403, 'post', '/totp/verify', sent({ code: shown }))
  await ask(200, 'post', '/totp/verify', sent({ recovery_code: first }))
  await ask(403, 'post', '/totp/verify', sent({ recovery_code: first }))
  await ask(403, 'post', '/totp/verify', sent({ recovery_code: changed(second) }))
  await ask(200, 'get', '/totp/status', ways['bearer']!())
})

test('passkeys, good and bad ones', async () => {
  await start()
  const { ways } = everybody
  const sent = (json: object) => ({ ...ways['bearer']!(), json })
  const passkey = everybody.passkey()
  const { body: asked } = await ask(200, 'post', '/passkeys/registrationOptions', sent({}))
  const created = passkey.create(asked)
  plant(asked.challenge)
  await ask(200, 'post', '/passkeys/register', sent({ credential: created, name: 'phone' }))
  const { body: again } = await ask(200, 'post', '/passkeys/authenticationOptions', sent({}))
  const credential = passkey.get(again) as { response?: { signature: string } }
  plant(again.challenge, credential.response!.signature)
  await ask(200, 'post', '/passkeys/authenticate', sent({ credential }))
  await ask(403, 'post', '/passkeys/authenticate', sent({ credential }))
  const { body: third, cookie } = await ask(200, 'post', '/passkeys/loginOptions', { json: {} })
  plant(cookie.split('=')[1]!)
  const forged = passkey.get(third, { origin: 'https://evil.test' })
  await ask(403, 'post', '/passkeys/login', { fields: { Cookie: cookie }, json: { credential: forged } })
})

test('a login at a provider, and all that can be wrong with it', async () => {
  await start()
  const { provider, issuer } = everybody
  const code = 'the-code-of-the-provider'
  plant(code)
  const begin = async () => {
    const { cookie, location } = await ask(303, 'get', '/sso/login')
    const query = new URL(location!).searchParams
    const state = query.get('state')!
    provider.nonce = query.get('nonce')!
    plant(cookie.split('=')[1]!, state, provider.nonce)
    return { cookie, state }
  }
  const mint = (claims: object) => {
    const token = issuer.mint(
      { iss: 'https://provider.test', sub: 'ann', nonce: provider.nonce, ...claims },
      { header: { typ: 'JWT' } },
    )
    plant(...partsOf(token))
    return { id_token: token }
  }
  const callback = (
    status: number,
    { cookie, state }: { cookie: string; state: string },
    more = `code=${code}`,
  ) => ask(status, 'get', `/callback?state=${state}&${more}`, { fields: { Cookie: cookie } })

  await callback(403, { ...(await begin()), state: 'a-state-that-nobody-gave' })
  plant('a-state-that-nobody-gave', 'what-the-provider-says')
  await callback(403, await begin(), 'error=access_denied&error_description=what-the-provider-says')
  for (const claims of [{ nonce: 'another-nonce-of-somebody' }, { aud: 'another-application' }, { exp: 1 }]) {
    const begun = await begin()
    provider.answer = () => mint(claims)
    await callback(403, begun)
  }
  const begun = await begin()
  provider.answer = () => mint({})
  const { cookie } = await callback(303, begun)
  plant(cookie.split('=').at(-1)!)
  await ask(200, 'get', '/orders', { fields: { Cookie: cookie } })
  const { id_token: token } = mint({})
  await ask(400, 'post', '/sso/out', { form: { logout_token: token } })
})

test('a store that is away, whoever is asked for', async () => {
  const whole = memory()
  let away = false
  const behind = <P extends object>(port: P): P =>
    new Proxy(port, {
      get: (_target, name) => (away ? () => Promise.reject(new Error('away')) : bound(port, name)),
    })
  await start({ records: behind(whole.records), once: behind(whole.once) })
  const { cookie } = await ask(200, 'post', '/login')
  const { body } = await ask(200, 'post', '/issue')
  const good = ['apiKey', 'basic', 'dpop'].map((way) => everybody.ways[way]!())
  plant(
    cookie.split('=')[1]!,
    body.refresh_token,
    ...partsOf(body.access_token),
    ...good.flatMap(({ secrets }) => secrets),
  )
  away = true
  for (const { fields } of good.filter((one) => 'X-API-Key' in one.fields))
    await ask(503, 'get', '/orders', { fields })
  await ask(503, 'get', '/orders', { fields: { Cookie: cookie } })
  await ask(503, 'post', '/refresh', { json: { refresh_token: body.refresh_token } })
  await ask(503, 'get', '/orders', { fields: { Authorization: `Bearer ${body.access_token}` } })
  await ask(503, 'get', '/sso/login')
  await ask(503, 'post', '/issue')
  await ask(503, 'post', '/login')
})

function bound(port: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(port, name)
  return typeof value === 'function' ? (value.bind(port) as unknown) : value
}
