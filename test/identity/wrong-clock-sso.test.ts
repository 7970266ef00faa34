import { session } from '../../src/identity/session.js'
import { sso, type SsoOptions } from '../../src/identity/sso.js'
import { memory } from '../../src/kernel/memory.js'
import { systemClock } from '../../src/kernel/system-clock.js'
import { expectRefused, serve } from '../../src/testing/index.js'
import { as, caller } from '../support/as.js'
import { clocks } from '../support/clocks.js'
import {
  beginLogin,
  callback,
  localLogins,
  loginRoutes,
  SHOP,
  type BegunLogin,
} from '../support/local-logins.js'

const SECOND = 1_000
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const TEN_MINUTES = 10 * MINUTE

// That of the machine is nobody's: `openid-client` would read it.
beforeEach(() => {
  for (const machine of [Date, systemClock]) jest.spyOn(machine, 'now').mockReturnValue(Date.UTC(2031, 5, 1))
})
afterEach(() => jest.restoreAllMocks())

/** An application whose clock may be wrong, and a provider and a store whose clocks are right. */
function setUp(options: Partial<SsoOptions> = {}) {
  const { right, api } = clocks()
  const store = memory({ clock: right })
  const sessions = session({ store, clock: api })
  const { issuer, fetch, give, idToken } = localLogins({ clock: right })
  const { handlers } = sso({ ...SHOP, issuer: issuer.issuer, sessions, store, ...options })
  const served = serve(as(caller()), { clock: api, fetch, handler: loginRoutes(handlers) })
  const now = () => Math.floor(right.now() / 1000)
  /** What the provider says of this login, and what the browser is answered that brings it. */
  const back = (login: BegunLogin, claims: object = {}) => {
    give(() => ({ id_token: idToken(login, claims) }))
    return callback(served, login)
  }
  const open = () => sessions.list({ issuer: issuer.issuer, subject: 'ann' })
  return { right, api, served, back, now, open }
}

describe('the clock moves between a login and its callback', () => {
  test.each<[move: number, says: 'nothing' | 'auth_time' | 'nbf', status: 303 | 403]>([
    [0, 'nothing', 303],
    // Ahead, until the tolerance of a minute is used up as well.
    [359, 'nothing', 303],
    [360, 'nothing', 403],
    [600, 'nothing', 403],
    [10_800, 'nothing', 403],
    // Behind, as long as nothing in it is from the future.
    [-60, 'auth_time', 303],
    [-61, 'auth_time', 403],
    [-60, 'nbf', 303],
    [-61, 'nbf', 403],
    [-600, 'nothing', 303],
    [-10_800, 'nothing', 303],
    [-10_800, 'auth_time', 403],
    [-10_800, 'nbf', 403],
  ])(
    'by %d s, and the ID token says %s of now: %d, and the next login is well',
    async (move, says, status) => {
      const { api, served, back, now, open } = setUp()
      const claims = says === 'nothing' ? {} : { [says]: now() }
      const login = await beginLogin(served)
      api.jump(move * SECOND)
      const reply = await back(login, claims)
      expect(reply.status).toBe(status)
      if (status === 403) {
        expectRefused('login-refused')(reply)
        expect(reply.headers['set-cookie']).toBeUndefined()
      }
      expect(await open()).toHaveLength(status === 303 ? 1 : 0)
      // It was good once, whatever came of it.
      expect((await back(login, claims)).status).toBe(403)

      api.jump(-move * SECOND)
      expect((await back(await beginLogin(served), claims)).status).toBe(303)
    },
  )

  test.each([-3 * HOUR, -TEN_MINUTES, TEN_MINUTES, 3 * HOUR])(
    'by %d ms, and once more: a login has its own time, neither more nor less',
    async (off) => {
      for (const [waited, status] of [
        [TEN_MINUTES - 1, 303],
        [TEN_MINUTES, 403],
      ] as const) {
        const { right, api, served, back } = setUp()
        api.jump(off)
        const login = await beginLogin(served)
        right.advance(waited / 2)
        api.jump(-off)
        right.advance(waited / 2)
        expect((await back(login)).status).toBe(status)
        expect((await back(await beginLogin(served))).status).toBe(303)
      }
    },
  )

  test('a proof that was asked to be fresh is as old as the clock of the API says', async () => {
    for (const [move, status] of [
      [359, 303],
      [361, 403],
    ] as const) {
      const { api, served, back, now } = setUp({ maxAgeSeconds: 300 })
      const login = await beginLogin(served)
      api.jump(move * SECOND)
      expect((await back(login, { auth_time: now(), exp: now() + 3_600 })).status).toBe(status)
    }
  })
})

describe('the clock of the provider is wrong: an ID token', () => {
  test.each<[what: string, claims: (now: number) => object, status: 303 | 403]>([
    ['that holds from in a minute on', (now) => ({ nbf: now + 60 }), 303],
    ['that holds from later on', (now) => ({ nbf: now + 61 }), 403],
    ['that holds from in three hours on', (now) => ({ nbf: now + 10_800 }), 403],
    ['whose login is in a minute', (now) => ({ auth_time: now + 60 }), 303],
    ['whose login is later', (now) => ({ auth_time: now + 61 }), 403],
    // OpenID Connect Core section 3.1.3.7 has it judge how old a token is, not how young.
    ['that was issued in three hours', (now) => ({ iat: now + 10_800, exp: now + 11_100 }), 303],
    ['that ended less than a minute ago', (now) => ({ iat: now - 359, exp: now - 59 }), 303],
    ['that ended a minute ago', (now) => ({ iat: now - 360, exp: now - 60 }), 403],
    ['that ended three hours ago', (now) => ({ iat: now - 11_100, exp: now - 10_800 }), 403],
  ])('%s: %s, and the next one is well', async (_what, claims, status) => {
    const { served, back, now, open } = setUp()
    expect((await back(await beginLogin(served), claims(now()))).status).toBe(status)
    expect(await open()).toHaveLength(status === 303 ? 1 : 0)
    expect((await back(await beginLogin(served))).status).toBe(303)
  })

  test('is judged alike where a second ends while the clock is read twice, and both clocks are one', async () => {
    const { api, served, back, now } = setUp({ clockToleranceSeconds: 0 })
    for (const [claims, status] of [
      [{ nbf: now() + 1 }, 303],
      [{ exp: now() + 1 }, 403],
    ] as const) {
      const login = await beginLogin(served)
      const second = (now() + 1) * SECOND
      jest.spyOn(api, 'now').mockReturnValue(second - 1)
      jest.spyOn(Date, 'now').mockReturnValue(second)
      expect((await back(login, claims)).status).toBe(status)
      jest.spyOn(api, 'now').mockRestore()
    }
  })

  test('with a tolerance of nothing ends when it says', async () => {
    const { served, back, now } = setUp({ clockToleranceSeconds: 0 })
    for (const [claims, status] of [
      [{ exp: now() + 1 }, 303],
      [{ exp: now() }, 403],
      [{ nbf: now() + 1 }, 403],
      [{ auth_time: now() + 1 }, 403],
    ] as const)
      expect((await back(await beginLogin(served), claims)).status).toBe(status)
  })
})
