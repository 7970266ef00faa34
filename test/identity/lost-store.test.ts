import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { Secret, TOTP } from 'otpauth'
import { Pool } from 'pg'
import { apiKey } from '../../src/identity/api-key.js'
import { apiKeys } from '../../src/identity/api-keys.js'
import { basic } from '../../src/identity/basic.js'
import { bearer } from '../../src/identity/bearer.js'
import { formatHash, makeHash } from '../../src/identity/password-hash.js'
import { revocations } from '../../src/identity/revocation.js'
import { session } from '../../src/identity/session.js'
import { sso } from '../../src/identity/sso.js'
import { tokens } from '../../src/identity/tokens.js'
import { totp, type TotpEnrolment } from '../../src/identity/totp.js'
import { webauthn } from '../../src/identity/webauthn.js'
import { contextOf } from '../../src/kernel/context.js'
import { postgres, postgresSchema } from '../../src/stores/postgres.js'
import { asKey, asSession, dpopClient, expectRefused, localIssuer, serve } from '../../src/testing/index.js'
import { as, caller } from '../support/as.js'
import { SoftPasskey } from '../support/authenticator.js'
import {
  beginLogin,
  callback,
  localLogins,
  loginRoutes,
  SHOP,
  type BegunLogin,
} from '../support/local-logins.js'
import { losables, type Losable, type LosableStore } from '../support/losable.js'
import { PrivatePostgres } from '../support/private-postgres.js'
import { until } from '../support/private-redis.js'
import { shiftedClock } from '../support/provider.js'

beforeAll(() => {
  // Endpoints that stand alone say on the console that their store is away.
  jest.spyOn(console, 'warn').mockImplementation(() => undefined)
  jest.spyOn(console, 'error').mockImplementation(() => undefined)
})
afterAll(() => jest.restoreAllMocks())

interface Answer {
  readonly status: number
  readonly headers: Record<string, unknown>
}
/** Something that keeps state: how a caller comes in, and what is answered once the state is lost. */
interface Kept {
  readonly come: () => Promise<Answer>
  /** One that is refused while all is well. */
  readonly bad?: () => Promise<Answer>
  /** Whether it is good for one time: then it is not used before the end. */
  readonly once?: true
  /** What is answered where all is well. Default 200. */
  readonly well?: number
  readonly afterLoss: number
  /** Begins anew after a loss, and comes in. */
  readonly anew: () => Promise<Answer>
}

const key = randomBytes(32)
const CHEAP = { algorithm: 'scrypt', cost: { ln: 14, r: 8, p: 1 } } as const
const BASE = 'https://api.test'
const ORIGIN = 'https://app.example.com'
const ANN = caller()

/** A machine that is busy is no store that is away. */
const patient = { storeTimeoutMs: 5_000 }

const kinds: Record<string, (store: LosableStore, clock: ReturnType<typeof shiftedClock>) => Promise<Kept>> =
  {
    sessions: async (store, clock) => {
      const sessions = session({ store })
      const { get } = serve(sessions, { ...patient, clock })
      const login = async () => ({ ...(await asSession(sessions, { subject: 'ann' })) })
      const fields = await login()
      const unknown = { Cookie: `__Host-session=${randomBytes(32).toString('base64url')}` }
      return {
        come: async () => get('/').set(fields),
        bad: async () => get('/').set(unknown),
        afterLoss: 401,
        anew: async () => get('/').set(await login()),
      }
    },
    'API keys': async (store, clock) => {
      const options = { store, pepper: key }
      const { get } = serve(apiKey(options), { ...patient, clock })
      const desk = apiKeys(options)
      const fields = await asKey(desk, { owner: 'partner-7' })
      const { key: other, info } = await desk.create({ owner: 'partner-8' })
      await desk.revoke(info.id)
      return {
        come: async () => get('/').set(fields),
        bad: async () => get('/').set('X-API-Key', other),
        afterLoss: 401,
        anew: async () => get('/').set(await asKey(desk, { owner: 'partner-7' })),
      }
    },
    revocations: async (store, clock) => {
      const issuer = localIssuer()
      const revocation = revocations({ store })
      const method = bearer({ issuer: issuer.issuer, audience: issuer.audience, revocation })
      const { get } = serve(method, { ...patient, clock, fetch: issuer.fetch })
      const fields = issuer.asUser()
      const revoked = issuer.asUser({ jti: 'one' })
      const revoke = () => revocation.revokeToken(issuer.issuer, 'one', Date.now() / 1000 + 300)
      await revoke()
      return {
        come: async () => get('/').set(fields),
        bad: async () => get('/').set(revoked),
        // A list that was lost names nobody.
        afterLoss: 200,
        anew: async () => get('/').set(fields),
      }
    },
    'proofs of possession': async (store, clock) => {
      const issuer = localIssuer()
      const client = dpopClient()
      const token = issuer.mint({ cnf: { jkt: client.jkt } })
      const dpop = { mode: 'required', baseUrls: BASE, store } as const
      const method = bearer({ issuer: issuer.issuer, audience: issuer.audience, dpop })
      const { get } = serve(method, { ...patient, clock, fetch: issuer.fetch })
      const come = async () => get('/').set(client.fields('GET', `${BASE}/`, token))
      const used = client.fields('GET', `${BASE}/`, token)
      expect((await get('/').set(used)).status).toBe(200)
      return { come, bad: async () => get('/').set(used), afterLoss: 200, anew: come }
    },
    'refresh tokens': async (store, clock) => {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const own = tokens({ ...patient, issuer: BASE, audience: BASE, store, keys: privateKey })
      const { post } = serve(own.refresh, { ...patient, clock })
      const send = (token: string) => post('/').type('json').send({ refresh_token: token })
      const { refresh_token: first } = await own.issue({ subject: 'ann' })
      return {
        come: async () => send(first!),
        once: true,
        afterLoss: 400,
        anew: async () => send((await own.issue({ subject: 'ann' })).refresh_token!),
      }
    },
    'codes of apps': async (store, clock) => {
      const otp = totp({ ...patient, store, key, issuer: 'Acme', verified: () => undefined })
      const enrol = async () => {
        const { secret } = (await otp.enrol(ANN.id, 'ann')) as TotpEnrolment
        const app = new TOTP({ secret: Secret.fromBase32(secret) })
        await otp.confirm(ANN.id, app.generate())
        return app.generate({ timestamp: Date.now() + 30_000 })
      }
      const served = serve(as(ANN), {
        ...patient,
        clock,
        handler: (req, res, next) => otp.handlers.verify(req, res, next),
      })
      const send = (code: string) => served.post('/').type('json').send({ code })
      const code = await enrol()
      return {
        come: async () => send(code),
        once: true,
        bad: async () => send('not a code'),
        afterLoss: 403,
        anew: async () => send(await enrol()),
      }
    },
    passkeys: async (store, clock) => {
      const passkeys = webauthn({
        ...{ ...patient, store, key, rpId: 'example.com', rpName: 'Acme', origins: [ORIGIN] },
        verified: () => undefined,
      })
      const { handlers } = passkeys
      const served = serve(as(ANN), {
        clock,
        handler: (req, res, next) => handlers[req.url!.slice(1) as keyof typeof handlers](req, res, next),
      })
      const send = async (path: string, body: object = {}) => served.post(`/${path}`).send(body)
      const register = async () => {
        const passkey = new SoftPasskey('example.com', ORIGIN)
        const { body } = await send('registrationOptions')
        await send('register', { credential: passkey.create(body as never), name: 'phone' })
        return passkey
      }
      const come = async (passkey: SoftPasskey) => {
        const asked = await send('authenticationOptions')
        if (asked.status !== 200) return asked
        return send('authenticate', { credential: passkey.get(asked.body as never) })
      }
      const passkey = await register()
      return { come: async () => come(passkey), afterLoss: 403, anew: async () => come(await register()) }
    },
    'logins under way': async (store, clock) => {
      const { served, give, idToken } = loginsOver(store, clock)
      const back = async (login: BegunLogin) => {
        give(() => ({ id_token: idToken(login) }))
        const reply = await callback(served, login)
        if (reply.status === 403) expectRefused('login-refused')(reply)
        expect(reply.headers['set-cookie']?.length).toBe(reply.status === 303 ? 1 : undefined)
        return reply
      }
      // One comes back before the loss, and the other one after it.
      const underWay = [await beginLogin(served), await beginLogin(served)]
      const unknown = { ...underWay[0]!, state: randomBytes(32).toString('base64url') }
      return {
        come: async () => {
          const reply = await back(underWay[0]!)
          if (reply.status === 303) underWay.shift()
          return reply
        },
        bad: async () => back(unknown),
        ...{ well: 303, once: true, afterLoss: 403 },
        anew: async () => back(await beginLogin(served)),
      }
    },
    'beginnings of logins': async (store, clock) => {
      const { get } = loginsOver(store, clock).served
      const come = async () => get('/login')
      return { come, well: 303, afterLoss: 303, anew: come }
    },
    'guesses at passwords': async (store, clock) => {
      const hash = formatHash(await makeHash('correct horse', CHEAP))
      // Of a process that knows nobody yet: who came in before is known by the hash alone.
      const send = (password: string) =>
        serve(basic({ users: () => hash, store }), { ...patient, clock, trustProxy: 1 })
          .get('/')
          .set('X-Forwarded-For', '192.0.2.1')
          .set('X-Forwarded-Proto', 'https')
          .set('Authorization', `Basic ${Buffer.from(`ops:${password}`).toString('base64')}`)
      const come = async () => send('correct horse')
      return { come, bad: async () => send('wrong'), afterLoss: 200, anew: come }
    },
  }

function loginsOver(store: LosableStore, clock: ReturnType<typeof shiftedClock>) {
  const { fetch, issuer, ...provider } = localLogins()
  const sessions = session({ store, storeTimeoutMs: 5_000 })
  const { handlers } = sso({ ...SHOP, issuer: issuer.issuer, sessions, store })
  const handler = loginRoutes(handlers)
  return { ...provider, served: serve(as(ANN), { ...patient, clock, fetch, handler }) }
}

describe.each(losables)('%s', (_name, start) => {
  let backend: Losable
  beforeAll(async () => {
    backend = await start()
  })
  afterAll(() => backend.stop())

  test.each(Object.keys(kinds))(
    '%s: 503 while it is away and never 401, as before when it is back, and begun anew when it lost everything',
    async (kind) => {
      const clock = shiftedClock()
      const {
        come,
        bad,
        once = false,
        well = 200,
        afterLoss,
        anew,
      } = await kinds[kind]!(backend.store, clock)
      if (!once) expect((await come()).status).toBe(well)
      const refused = (await bad?.())?.status

      await backend.down()
      for (const ask of [come, come, bad ?? come, come]) {
        const { status, headers } = await ask()
        expect(status).toBe(503)
        expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(1)
      }

      await backend.up()
      clock.advance(1_000)
      // The driver takes a moment, and nobody is called a stranger meanwhile.
      let status = 503
      await until(async () => {
        clock.advance(1_000)
        return (status = (await come()).status) !== 503
      })
      expect(status).toBe(well)
      expect((await bad?.())?.status).toBe(refused)

      await backend.lose()
      expect((await come()).status).toBe(afterLoss)
      expect((await anew()).status).toBe(well)
    },
  )
})

test('PostgreSQL without its table: 503, and nobody is a stranger', async () => {
  const server = await PrivatePostgres.start()
  const pool = new Pool({ connectionString: server.url })
  try {
    const clock = shiftedClock()
    const sessions = session({ store: postgres(pool) })
    const seen: unknown[] = []
    const { get } = serve(sessions, {
      ...patient,
      clock,
      handler: (req, res) => (seen.push(contextOf(req)), res.end()),
    })
    await get('/')
      .set('Cookie', `__Host-session=${'A'.repeat(43)}`)
      .expect(503)
    await pool.query(postgresSchema())
    clock.advance(1_000)
    await get('/')
      .set({ ...(await asSession(sessions, { subject: 'ann' })) })
      .expect(200)
    expect(seen).toHaveLength(1)
  } finally {
    await pool.end()
    await server.stop()
  }
})
