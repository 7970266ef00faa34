import { randomBytes } from 'node:crypto'
import { Secret, TOTP } from 'otpauth'
import { apiKey } from '../../src/identity/api-key.js'
import { apiKeys } from '../../src/identity/api-keys.js'
import { basic } from '../../src/identity/basic.js'
import { bearer } from '../../src/identity/bearer.js'
import { introspection } from '../../src/identity/introspection.js'
import { formatHash, makeHash } from '../../src/identity/password-hash.js'
import { revocations } from '../../src/identity/revocation.js'
import { session } from '../../src/identity/session.js'
import { tokens, type TokenResponse } from '../../src/identity/tokens.js'
import { totp } from '../../src/identity/totp.js'
import { webauthn } from '../../src/identity/webauthn.js'
import { memory } from '../../src/kernel/memory.js'
import { isProblem } from '../../src/kernel/problem.js'
import type { MethodMiddleware } from '../../src/identity/method.js'
import {
  asSession,
  dpopClient,
  expectRefused,
  localIssuer,
  serve,
  type FakeClock,
} from '../../src/testing/index.js'
import { as, caller } from '../support/as.js'
import { SoftPasskey } from '../support/authenticator.js'
import { clocks, type Clocks } from '../support/clocks.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
/** How far the clock of the API is from that of everybody else. */
const OFF = [-3 * HOUR, -10 * MINUTE, 10 * MINUTE, 3 * HOUR] as const
const ISSUER = 'https://issuer.test'
const BASE = 'https://api.test'
const CHEAP = { algorithm: 'scrypt', cost: { ln: 14, r: 8, p: 1 } } as const

type Fields = Record<string, string>
/** A caller that was given its credential by those whose clock is right. */
interface Known {
  readonly method: MethodMiddleware
  readonly fetch?: typeof fetch
  /** What a request brings. */
  readonly fields: () => Fields
}

const callers: Record<string, (clocks: Clocks) => Known | Promise<Known>> = {
  'bearer: a token of five minutes': ({ right }) => {
    const issuer = localIssuer({ clock: right })
    const fields = issuer.asUser()
    return { method: bearer({ issuer: ISSUER, audience: BASE }), fetch: issuer.fetch, fields: () => fields }
  },
  'introspection: a token of five minutes': ({ right }) => {
    const now = Math.floor(right.now() / 1000)
    const answer = { active: true, iss: ISSUER, aud: BASE, sub: 'ann', iat: now, exp: now + 300 }
    return {
      method: introspection({
        ...{ issuer: ISSUER, endpoint: `${ISSUER}/introspect`, audience: BASE },
        ...{ clientId: 'api', clientSecret: 'secret of the API' },
      }),
      fetch: async () => Response.json(answer),
      fields: () => ({ Authorization: 'Bearer opaque-token' }),
    }
  },
  'dpop: a token of a day, and a new proof each time': ({ right }) => {
    const issuer = localIssuer({ clock: right })
    const client = dpopClient({ clock: right })
    const now = Math.floor(right.now() / 1000)
    const token = issuer.mint({ cnf: { jkt: client.jkt }, iat: now - 43_200, exp: now + 43_200 })
    return {
      method: bearer({
        ...{ issuer: ISSUER, audience: BASE, maxLifetimeSeconds: 86_400 },
        dpop: { mode: 'required', baseUrls: BASE },
      }),
      fetch: issuer.fetch,
      fields: () => client.fields('GET', `${BASE}/`, token),
    }
  },
  'apiKey: without an end': async ({ right }) => knownKey(right, {}),
  'apiKey: good for an hour': async ({ right }) => knownKey(right, { lifetimeMs: HOUR }),
  session: async ({ right, api }) => {
    const store = memory({ clock: right })
    // Another process, whose clock is right, logged the user in.
    const fields = { ...(await asSession(session({ store, clock: right }), { subject: 'ann' })) }
    return { method: session({ store, clock: api }), fields: () => fields }
  },
  basic: async () => {
    const hash = formatHash(await makeHash('correct horse', CHEAP))
    return {
      method: basic({ users: () => hash }),
      fields: () => ({
        Authorization: `Basic ${Buffer.from('ops:correct horse').toString('base64')}`,
        'X-Forwarded-Proto': 'https',
        'X-Forwarded-For': '192.0.2.1',
      }),
    }
  },
}

async function knownKey(clock: FakeClock, more: { lifetimeMs?: number }): Promise<Known> {
  const options = { store: memory({ clock }), pepper: randomBytes(32) }
  const { key } = await apiKeys({ ...options, clock }).create({ owner: 'partner-7', ...more })
  return { method: apiKey(options), fields: () => ({ 'X-API-Key': key }) }
}

/** What is answered while the clock is behind by three hours and by ten minutes, and ahead by ten minutes and by three hours. */
test.each<[keyof typeof callers, readonly [number, number, number, number]]>([
  ['bearer: a token of five minutes', [401, 401, 401, 401]],
  ['introspection: a token of five minutes', [401, 401, 401, 401]],
  ['dpop: a token of a day, and a new proof each time', [401, 401, 401, 401]],
  ['apiKey: without an end', [200, 200, 200, 200]],
  ['apiKey: good for an hour', [200, 200, 200, 401]],
  ['session', [200, 200, 200, 401]],
  ['basic', [200, 200, 200, 200]],
])('%s, while the clock of the API is wrong; once it is right, all is as before', async (name, declared) => {
  const both = clocks()
  const { method, fetch, fields } = await callers[name]!(both)
  const outside = { clock: both.api, trustProxy: 1, ...(fetch && { fetch }) }
  const { get } = serve(method, outside)
  const status = async () => (await get('/').set(fields())).status
  expect(await status()).toBe(200)

  const statuses: number[] = []
  for (const ms of OFF) {
    both.api.jump(ms)
    // Also in a process that has just started.
    const fresh = await serve(method, outside).get('/').set(fields())
    statuses.push(await status())
    expect(fresh.status).toBe(statuses.at(-1))
    both.api.jump(-ms)
    expect(await status()).toBe(200)
    both.right.advance(1_000)
  }
  expect(statuses).toEqual(declared)
})

describe('what is made by a clock that is wrong', () => {
  test.each(OFF)(
    'a login of one\u2019s own, %d ms off: good where it was made, and is refreshed once all is right',
    async (off) => {
      const { right, api } = clocks()
      const store = memory({ clock: right })
      const own = tokens({ issuer: ISSUER, audience: BASE, store, clock: api })
      api.jump(off)
      const first = await own.issue({ subject: 'ann' })
      const { get, post } = {
        ...serve(bearer(own.bearerOptions), { clock: api }),
        post: serve(own.refresh, { clock: api }).post,
      }
      const status = async (token: string) => (await get('/').set('Authorization', `Bearer ${token}`)).status
      expect(await status(first.access_token)).toBe(200)

      api.jump(-off)
      // It is over, or from the future; unless the tolerance is just enough for its ten minutes.
      expect(await status(first.access_token)).toBe(off === -10 * MINUTE ? 200 : 401)
      const reply = await post('/').type('json').send({ refresh_token: first.refresh_token })
      expect(reply.status).toBe(200)
      expect(await status((reply.body as { access_token: string }).access_token)).toBe(200)
    },
  )

  test.each([...OFF, -15 * DAY, 15 * DAY])(
    'a login of one\u2019s own is refreshed %d ms off: only being left alone is in the way, and the next login is well',
    async (off) => {
      const { right, api } = clocks()
      const own = tokens({ issuer: ISSUER, audience: BASE, store: memory({ clock: right }), clock: api })
      const { post } = serve(own.refresh, { clock: api })
      const { get } = serve(bearer(own.bearerOptions), { clock: api })
      const status = async (token: string) => (await get('/').set('Authorization', `Bearer ${token}`)).status
      let { refresh_token: token } = await own.issue({ subject: 'ann' })
      const refresh = async () => {
        const reply = await post('/').type('json').send({ refresh_token: token })
        const { access_token: access, refresh_token: next = token } = reply.body as Partial<TokenResponse>
        token = next
        if (reply.status === 200) expect(await status(access!)).toBe(200)
        else expectRefused('invalid-grant')(reply)
        return reply.status
      }
      api.jump(off)
      // By more than a login may be left alone: ahead it looks so, and afterwards what was refreshed behind.
      const [during, afterwards] = [off === 15 * DAY ? 400 : 200, off === -15 * DAY ? 400 : 200]
      expect([await refresh(), await refresh()]).toEqual([during, during])
      api.jump(-off)
      expect([await refresh(), await refresh()]).toEqual([afterwards, afterwards])
      token = (await own.issue({ subject: 'ann' })).refresh_token
      expect(await refresh()).toBe(200)
    },
  )

  test.each(OFF)(
    'a session, %d ms off: goes on once all is right, and ends when it is left alone',
    async (off) => {
      const { right, api } = clocks()
      const store = memory({ clock: right })
      const sessions = session({ store, clock: api })
      api.jump(off)
      const fields = { ...(await asSession(sessions, { subject: 'ann' })) }
      const { get } = serve(sessions, { clock: api })
      const status = async () => (await get('/').set(fields)).status
      expect(await status()).toBe(200)
      api.jump(-off)
      // Behind by more than what a session may be left alone, it looks left alone.
      expect(await status()).toBe(off === -3 * HOUR ? 401 : 200)
      right.advance(31 * MINUTE)
      expect(await status()).toBe(401)
      expect(await store.records.list('session')).toEqual({ values: [] })
    },
  )

  test.each(OFF)(
    'codes of an app, %d ms off: refused, and nobody is locked out for longer than the longest wait',
    async (off) => {
      const { right, api } = clocks()
      const store = memory({ clock: right })
      const otp = totp({ store, key: randomBytes(32), issuer: 'Acme', clock: api })
      const made = await otp.enrol('ann', 'ann')
      if (isProblem(made)) throw new Error(made.code)
      const app = () =>
        new TOTP({ secret: Secret.fromBase32(made.secret) }).generate({ timestamp: right.now() })
      await otp.confirm('ann', app(), 'home')
      right.advance(30_000)

      api.jump(off)
      const said = []
      for (let n = 0; n < 8; n++) {
        const outcome = await otp.verify('ann', app(), 'cafe')
        said.push(isProblem(outcome) ? outcome.code : 'in')
        right.advance(100)
      }
      expect(said).toEqual([
        ...Array<string>(5).fill('invalid-proof'),
        ...Array<string>(3).fill('too-many-attempts'),
      ])
      api.jump(-off)
      right.advance(1_000)
      expect(isProblem(await otp.verify('ann', app(), 'cafe'))).toBe(false)
    },
  )

  test.each(OFF)(
    'a logout everywhere, %d ms off: ends what was there by that clock, and is said again once all is right',
    async (off) => {
      const { right, api } = clocks()
      const store = memory({ clock: right })
      const issuer = localIssuer({ clock: right })
      const revocation = revocations({ store, clock: api })
      const { get } = serve(bearer({ issuer: ISSUER, audience: BASE, revocation }), {
        clock: right,
        fetch: issuer.fetch,
      })
      const status = async (fields: Fields) => (await get('/').set(fields)).status
      const before = issuer.asUser()
      api.jump(off)
      await revocation.revokeSubject(ISSUER, 'user-1')
      // A clock that is behind ends what was there then.
      expect(await status(before)).toBe(off < 0 ? 200 : 401)

      api.jump(-off)
      await revocation.revokeSubject(ISSUER, 'user-1')
      expect(await status(before)).toBe(401)
      right.advance(1_000)
      // One that was ahead said when: until then, nobody is in again.
      expect(await status(issuer.asUser())).toBe(off < 0 ? 200 : 401)
      right.advance(Math.max(off, 0))
      expect(await status(issuer.asUser())).toBe(200)
    },
  )

  test.each(OFF)(
    'a challenge for a passkey, %d ms off: proves where it was made, and nothing where the clock is another',
    async (off) => {
      const { right, api } = clocks()
      api.jump(off)
      const options = { store: memory({ clock: right }), key: randomBytes(32), verified: () => undefined }
      const site = { rpId: 'example.com', rpName: 'Acme', origins: ['https://app.example.com'] }
      const at = (clock: FakeClock) => {
        const { handlers } = webauthn({ ...options, ...site, clock })
        const served = serve(as(caller()), {
          clock,
          handler: (req, res, next) => handlers[req.url!.slice(1) as keyof typeof handlers](req, res, next),
        })
        return async (path: string, body: object = {}) => served.post(`/${path}`).send(body)
      }
      const [wrong, good] = [at(api), at(right)]
      const passkey = new SoftPasskey('example.com', 'https://app.example.com')
      const { body } = await good('registrationOptions')
      await good('register', { credential: passkey.create(body as never), name: 'phone' })

      for (const [asked, told] of [
        [wrong, wrong],
        [wrong, good],
        [good, wrong],
        [good, good],
      ] as const) {
        const challenge = (await asked('authenticationOptions')).body as never
        const { status } = await told('authenticate', { credential: passkey.get(challenge) })
        expect(status).toBe(asked === told ? 200 : 403)
      }
    },
  )
})
