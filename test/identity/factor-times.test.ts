import express from 'express'
import { decodeJwt } from 'jose'
import request from 'supertest'
import { bearer } from '../../src/identity/bearer.js'
import { factorsOf } from '../../src/identity/factor-times.js'
import { tokens, type IssueOptions, type TokenResponse } from '../../src/identity/tokens.js'
import { memory } from '../../src/kernel/memory.js'
import { secureApi } from '../../src/secure-api.js'
import { expectRefused, fakeClock } from '../../src/testing/index.js'
import { silent } from '../support/api.js'

const ISSUER = 'https://api.test'

/** An API with tokens of its own, and a route for whoever has shown a code within five minutes. */
function setUp() {
  const clock = fakeClock()
  const own = tokens({
    issuer: ISSUER,
    audience: ISSUER,
    store: memory({ clock }),
    clock,
    accessSeconds: 900,
  })
  const api = secureApi({
    auth: [bearer(own.bearerOptions)],
    audit: false,
    rateLimit: false,
    clock,
    log: silent,
    routes: {
      'POST /refresh': { public: true },
      'GET /me': { rbac: 'authenticated' },
      'POST /payouts': { rbac: 'authenticated', stepUp: { amr: ['otp'], maxAgeSeconds: 300 } },
      'POST /password': { rbac: 'authenticated', stepUp: { amr: ['pwd'], maxAgeSeconds: 300 } },
    },
  })
  const app = express()
  let paid = 0
  app.use('/refresh', own.refresh)
  app.get('/me', (req, res) => void res.json(req.security?.principal?.authentication))
  app.post('/payouts', (_req, res) => void res.json({ paid: ++paid }))
  app.post('/password', (_req, res) => void res.json({}))
  app.use(api.errors())
  const to = request(api.protect(app))
  const asked = (method: 'get' | 'post', path: string, token: string) =>
    to[method](path).set('Authorization', `Bearer ${token}`)
  return {
    own,
    clock,
    now: () => Math.floor(clock.now() / 1000),
    me: async (token: string): Promise<unknown> =>
      (await asked('get', '/me', token).expect(200)).body as unknown,
    payout: (token: string) => asked('post', '/payouts', token),
    password: (token: string) => asked('post', '/password', token),
    next: async (token: string | undefined) =>
      (await to.post('/refresh').send({ refresh_token: token }).expect(200)).body as TokenResponse,
    paid: () => paid,
  }
}

test('each factor of a token has a time of its own, and the level goes down when that is over', async () => {
  const { own, clock, now, me, payout, password, next, paid } = setUp()
  const login = now()
  clock.advance(600_000)
  const code = now()
  const factors = [
    { method: 'pwd', at: login },
    { method: 'otp', at: code },
  ]
  const first = await own.issue({ subject: 'ada', authentication: { factors } })

  expect(decodeJwt(first.access_token)).toMatchObject({
    auth_time: login,
    amr: ['pwd', 'otp'],
    amr_times: { pwd: login, otp: code },
  })
  expect(await me(first.access_token)).toEqual({ at: login, amr: ['pwd', 'otp'], factors })
  await payout(first.access_token).expect(200)
  // A code that was shown since makes no password fresh.
  await password(first.access_token).expect(expectRefused('insufficient-user-authentication'))

  clock.advance(200_000)
  const second = await next(first.refresh_token)
  expect(await me(second.access_token)).toEqual({ at: login, amr: ['pwd', 'otp'], factors })
  await payout(second.access_token).expect(200)

  clock.advance(101_000)
  await payout(second.access_token).expect(expectRefused('insufficient-user-authentication'))
  expect(paid()).toBe(2)
})

test('a method that was used twice counts from the last time, and those without a time from the login', async () => {
  const { own, clock, now, me } = setUp()
  const login = now()
  clock.advance(60_000)
  const factors = [login, now(), login + 5].map((at) => ({ method: 'otp', at }))
  const { access_token } = await own.issue({
    subject: 'ada',
    authentication: { at: login, amr: ['pwd'], factors },
  })

  expect(await me(access_token)).toEqual({
    at: login,
    amr: ['pwd', 'otp'],
    factors: [{ method: 'otp', at: now() }],
  })
})

test.each<[string, unknown, string]>([
  ['no list', 'otp', 'issue.authentication.factors must be a list'],
  ['null', null, 'issue.authentication.factors must be a list'],
  ['names alone', ['otp'], 'issue.authentication.factors'],
  ['no time', [{ method: 'otp' }], 'issue.authentication.factors'],
  ['milliseconds', [{ method: 'otp', at: Date.now() }], 'in seconds since 1970'],
  ['a time that is none', [{ method: 'otp', at: NaN }], 'in seconds since 1970'],
  ['a name with a space', [{ method: 'one time', at: 1 }], "names such as 'pwd' or 'otp'"],
  ['a slip of the finger', [{ method: 'otp', at: 1, when: 1 }], 'has no option "when"'],
  ['very many', Array.from({ length: 11 }, (_, i) => ({ method: `m${i}`, at: 1 })), 'at most 10 methods'],
])('factors that are %s are a mistake of the application', async (_what, factors, message) => {
  const options = { subject: 'ada', authentication: { factors } } as unknown as IssueOptions
  await expect(setUp().own.issue(options)).rejects.toThrow(message)
})

test('nobody says the times of methods as a claim of an application', async () => {
  const options = { subject: 'ada', claims: { amr_times: { otp: 1 } } }
  await expect(setUp().own.issue(options)).rejects.toThrow(
    'issue.claims.amr_times is said by the issuer itself',
  )
})

test.each<[string, unknown]>([
  ['no object', 7],
  ['null', null],
  ['a list', [['otp', 1]]],
  ['a name that is none', { 'one time': 1 }],
  ['a time that is a text', { otp: '1' }],
  ['a time without end', { otp: Infinity }],
  ['very many names', Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`m${i}`, 1]))],
])('times in a token that are %s count as missing', (_what, times) => {
  expect(factorsOf(times)).toBeUndefined()
})
