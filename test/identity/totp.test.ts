import { randomBytes } from 'node:crypto'
import { Secret, TOTP } from 'otpauth'
import { totp, type TotpOptions } from '../../src/identity/totp.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { memory } from '../../src/kernel/memory.js'
import type { OnceStore, RecordStore } from '../../src/kernel/ports.js'
import { isProblem, refuse } from '../../src/kernel/problem.js'
import { RefusedError } from '../../src/kernel/respond.js'
import type { Middleware } from '../../src/kernel/stage.js'
import { StoreUnavailable } from '../../src/kernel/store-unavailable.js'
import { fakeClock, serve, type FakeClock } from '../../src/testing/index.js'
import { as, caller } from '../support/as.js'
import { later } from '../support/later-store.js'

const key = randomBytes(32)
const ANN = caller().id

function setUp(options: Partial<TotpOptions> = {}) {
  const clock = (options.clock as FakeClock | undefined) ?? fakeClock()
  const store = memory({ clock })
  const otp = totp({ store, key, issuer: 'Acme', clock, ...options })
  /** What the app of this secret shows now, or so many steps from now. */
  const app = (secret: string, steps = 0) =>
    new TOTP({ secret: Secret.fromBase32(secret), ...appSettings(options) }).generate({
      timestamp: clock.now() + steps * (options.periodSeconds ?? 30) * 1_000,
    })
  const enrolled = async (subject = ANN) => {
    const made = await otp.enrol(subject, 'ann@example.com')
    if (isProblem(made)) throw new Error(made.code)
    const done = await otp.confirm(subject, app(made.secret))
    if (isProblem(done)) throw new Error(done.code)
    clock.advance(30_000)
    return { secret: made.secret, codes: done.recoveryCodes, proof: done.proof }
  }
  return { clock, store, otp, app, enrolled }
}

function appSettings({ algorithm = 'SHA1', digits = 6, periodSeconds: period = 30 }: Partial<TotpOptions>) {
  return { algorithm, digits, period }
}

function rule(outcome: unknown): string | undefined {
  return isProblem(outcome) ? `${outcome.code} ${outcome.rule}` : undefined
}

describe('codes', () => {
  test.each<Partial<TotpOptions>>([
    {},
    { algorithm: 'SHA256', digits: 8 },
    { algorithm: 'SHA512', digits: 7, periodSeconds: 60 },
  ])('of apps that know no more than the URI are taken: %j', async (options) => {
    const { otp, clock } = setUp(options)
    const made = await otp.enrol(ANN, 'ann:admin@example.com')
    if (isProblem(made)) throw new Error(made.code)
    const { algorithm, digits, period } = appSettings(options)
    const uri = new URL(made.uri)
    expect(uri.href).toMatch(/^otpauth:\/\/totp\/Acme:ann%20admin%40example.com\?/)
    expect(Object.fromEntries(uri.searchParams)).toEqual({
      ...{ issuer: 'Acme', secret: made.secret, algorithm },
      ...{ digits: String(digits), period: String(period) },
    })
    const secret = Secret.fromBase32(made.secret)
    const code = new TOTP({ secret, algorithm, digits, period }).generate({ timestamp: clock.now() })
    expect(await otp.confirm(ANN, ` ${code.slice(0, 3)} ${code.slice(3)} `)).toMatchObject({
      proof: { subject: ANN, factor: { method: 'otp', at: clock.now() / 1000 }, amr: ['otp'] },
    })
  })

  test('count only once they are confirmed, and only in time', async () => {
    const { otp, app, clock } = setUp()
    expect(rule(await otp.confirm(ANN, '000000'))).toBe('enrolment-refused totp-not-pending')
    const made = (await otp.enrol(ANN, 'ann')) as { secret: string; expiresIn: number }
    expect(made.expiresIn).toBe(600)
    expect(rule(await otp.verify(ANN, app(made.secret)))).toBe('invalid-proof totp-unknown')
    expect(await otp.status(ANN)).toEqual({ active: false, recoveryCodesLeft: 0 })
    clock.advance(600_000)
    expect(rule(await otp.confirm(ANN, app(made.secret)))).toBe('enrolment-refused totp-not-pending')
  })

  test('are good once, the one that confirmed too, also if twenty come at once (ASVS 6.5.1)', async () => {
    const { otp, app, clock } = setUp()
    const { secret } = (await otp.enrol(ANN, 'ann')) as { secret: string }
    await otp.confirm(ANN, app(secret))
    expect(rule(await otp.verify(ANN, app(secret)))).toBe('invalid-proof totp-replayed')
    clock.advance(30_000)
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => otp.verify(ANN, app(secret), `c${i}`)))
    expect(all.filter((one) => !isProblem(one))).toHaveLength(1)
  })

  test.each([
    [0, [0], [-1, 1]],
    [1, [-1, 0, 1], [-2, 2]],
    [2, [-2, 2], [-3, 3]],
  ])('of a window of %d are those of steps %j, not %j', async (window, good, bad) => {
    const { otp, app, enrolled } = setUp({ window })
    const { secret } = await enrolled()
    // The first code, behind by one, was used to confirm.
    const fresh = good.filter((step) => step !== -1)
    for (const step of fresh)
      expect(rule(await otp.verify(ANN, app(secret, step), `${step}`))).toBeUndefined()
    for (const step of bad)
      expect(rule(await otp.verify(ANN, app(secret, step), `${step}`))).toMatch('invalid-proof')
  })

  test.each<unknown>([
    '',
    '12345',
    '1234567',
    'abcdef',
    '\uff11\uff12\uff13\uff14\uff15\uff16',
    '-12345',
    '1e5',
    123456,
    null,
    undefined,
    {},
    '0'.repeat(10_000),
  ])('that are none are refused: %j', async (code) => {
    const { otp, enrolled } = setUp()
    await enrolled()
    expect(rule(await otp.verify(ANN, code as string))).toBe('invalid-proof totp-code')
  })

  test('of one subject open nothing of another', async () => {
    const { otp, app, enrolled, store } = setUp()
    const ann = await enrolled()
    await enrolled('eve')
    expect(rule(await otp.verify('eve', app(ann.secret)))).toBe('invalid-proof totp-code')
    // Who can write to the store gains nothing by giving Eve's record to Ann.
    await store.records.put('totp', ANN, (await store.records.get('totp', 'eve'))!)
    await expect(otp.verify(ANN, app(ann.secret))).rejects.toThrow('cannot be opened')
  })

  test('are judged by the clock of the server (ASVS 6.5.8)', async () => {
    const { otp, app, enrolled, clock } = setUp()
    const { secret } = await enrolled()
    const code = app(secret)
    clock.jump(90_000)
    expect(rule(await otp.verify(ANN, code))).toBe('invalid-proof totp-code')
  })
})

test('the store has no secret that anybody could use, and tells none', async () => {
  const { store, otp, enrolled } = setUp()
  const { secret, codes } = await enrolled()
  const text = (await store.records.get('totp', ANN))!
  expect(text).not.toContain(secret)
  expect(text).not.toContain(Buffer.from(Secret.fromBase32(secret).bytes).toString('base64url'))
  for (const code of codes) expect(text).not.toContain(code.replaceAll('-', ''))
  expect(JSON.stringify(await otp.status(ANN))).toBe(
    `{"active":true,"since":${Date.UTC(2030, 0, 1) / 1000},"recoveryCodesLeft":10}`,
  )
  expect(rule(await otp.enrol(ANN, 'ann'))).toBe('enrolment-refused totp-active')
})

test('a new key takes over: what the old one sealed and hashed is still good', async () => {
  const { store, enrolled, app, clock } = setUp()
  const { secret, codes } = await enrolled()
  const rotated = totp({ store, key: [randomBytes(32), key], issuer: 'Acme', clock })
  expect(rule(await rotated.verify(ANN, app(secret)))).toBeUndefined()
  expect(rule(await rotated.recover(ANN, codes[0]!))).toBeUndefined()
})

test('while the key is being changed, a code is good once for those who have the new one and those who do not (ASVS 6.5.1)', async () => {
  const { store, enrolled, app, clock, otp } = setUp()
  const { secret } = await enrolled()
  const rotated = totp({ store, key: [randomBytes(32), key], issuer: 'Acme', clock })
  for (const [first, second] of [
    [otp, rotated],
    [rotated, otp],
  ] as const) {
    expect(rule(await first.verify(ANN, app(secret)))).toBeUndefined()
    expect(rule(await second.verify(ANN, app(secret)))).toBe('invalid-proof totp-replayed')
    clock.advance(30_000)
  }
})

describe('recovery codes', () => {
  test('are good once each, however they are typed, and for their subject alone (ASVS 6.5.1)', async () => {
    const { otp, enrolled, clock } = setUp()
    const { codes } = await enrolled()
    expect(new Set(codes).size).toBe(10)
    expect(codes[0]).toMatch(/^([0-9A-HJKMNP-TV-Z]{6}-){3}[0-9A-HJKMNP-TV-Z]{6}$/)
    expect(rule(await otp.recover('eve', codes[0]!))).toBe('invalid-proof recovery-code')
    expect(await otp.recover(ANN, codes[0]!.toLowerCase().replaceAll('0', 'o').replaceAll('-', ' '))).toEqual(
      {
        subject: ANN,
        factor: { method: 'recovery', at: clock.now() / 1000 },
        amr: ['recovery'],
      },
    )
    expect(rule(await otp.recover(ANN, codes[0]!))).toBe('invalid-proof recovery-code')
    const raced = await Promise.all(Array.from({ length: 9 }, () => otp.recover(ANN, codes[1]!)))
    expect(raced.filter((one) => !isProblem(one))).toHaveLength(1)
    expect(await otp.status(ANN)).toMatchObject({ recoveryCodesLeft: 8 })
    for (const none of ['', 'x', codes[2]!.slice(1), `${codes[2]!}0`, 5, null, '0'.repeat(9_999)])
      expect(rule(await otp.recover(ANN, none as string))).toBe('invalid-proof recovery-code')
  })

  test('are replaced as a whole, and gone with the app', async () => {
    const { otp, enrolled } = setUp()
    const { codes } = await enrolled()
    const renewed = (await otp.renewRecoveryCodes(ANN))!
    expect(renewed).toHaveLength(10)
    expect(rule(await otp.recover(ANN, codes[3]!))).toBe('invalid-proof recovery-code')
    expect(rule(await otp.recover(ANN, renewed[3]!))).toBeUndefined()
    expect(await otp.remove(ANN)).toBe(true)
    expect(await otp.remove(ANN)).toBe(false)
    expect(rule(await otp.recover(ANN, renewed[4]!))).toBe('invalid-proof recovery-code')
    expect(await otp.renewRecoveryCodes(ANN)).toBeUndefined()
  })
})

describe('who guesses (ASVS 6.3.1)', () => {
  test('waits longer and longer, and a good code does not count meanwhile', async () => {
    const { otp, app, enrolled, clock } = setUp()
    const { secret, codes } = await enrolled()
    for (let i = 0; i < 5; i++)
      expect(rule(await otp.verify(ANN, '000000', 'a'))).toBe('invalid-proof totp-code')
    const waits: string[] = []
    for (let i = 0; i < 12; i++) {
      const refused = await otp.verify(ANN, app(secret), 'a')
      expect(rule(refused)).toBe('too-many-attempts attempts')
      const seconds = (refused as { headers: Record<string, string> }).headers['Retry-After']!
      waits.push(seconds)
      clock.advance(Number(seconds) * 1_000)
      expect(rule(await otp.verify(ANN, '000000', 'a'))).toBe('invalid-proof totp-code')
    }
    expect(waits).toEqual(['1', '2', '4', '8', '16', '32', '64', '128', '256', '512', '900', '900'])
    // Nobody guesses a recovery code, so that a way in is always left.
    expect(rule(await otp.recover(ANN, codes[0]!))).toBeUndefined()
  })

  test('waits for a guess too many also if all come at once', async () => {
    const { otp, enrolled } = setUp()
    await enrolled()
    const all = await Promise.all(Array.from({ length: 50 }, () => otp.verify(ANN, '000000', 'a')))
    expect(all.filter((one) => rule(one) === 'invalid-proof totp-code')).toHaveLength(5)
  })

  test('from everywhere at once is judged no more often, whenever the store answers', async () => {
    const clock = fakeClock()
    const { otp, enrolled } = setUp({ clock, store: later(memory({ clock })) })
    await enrolled()
    const burst = async () => {
      const guesses = Array.from({ length: 60 }, (_, i) => otp.verify(ANN, '000000', `${clock.now()} ${i}`))
      return (await Promise.all(guesses)).filter((one) => rule(one) === 'invalid-proof totp-code').length
    }
    const judged = [await burst()]
    for (let i = 0; i < 3; i++) {
      clock.advance(900_000)
      judged.push(await burst())
    }
    expect(judged).toEqual([20, 1, 1, 1])
  })

  test('is not forgiven for the code of an enrolment that another one was faster than', async () => {
    const clock = fakeClock()
    const { records, once } = memory({ clock })
    const claiming: (() => unknown)[] = []
    const claim: OnceStore['claim'] = async (...claimed) => {
      await claiming[0]?.()
      return once.claim(...claimed)
    }
    const { otp, app, enrolled } = setUp({ clock, store: { records, once: { claim } } })
    const foreign = (await otp.enrol(ANN, 'ann')) as { secret: string }
    const pending = (await records.get('totp-pending', ANN))!
    await enrolled()
    // Its page was asked before the other one was confirmed, and its secret arrives now.
    await records.put('totp-pending', ANN, pending)
    for (let i = 0; i < 4; i++) await otp.verify(ANN, '000000', 'eve')
    expect(rule(await otp.confirm(ANN, app(foreign.secret), 'eve'))).toBe('enrolment-refused totp-active')
    expect(rule(await otp.verify(ANN, '000000', 'eve'))).toBe('invalid-proof totp-code')
    expect(rule(await otp.verify(ANN, '000000', 'eve'))).toBe('too-many-attempts attempts')

    // The same while the other one is being confirmed.
    clock.advance(1_000)
    const active = (await records.get('totp', ANN))!
    await records.delete('totp', ANN)
    claiming.push(() => records.put('totp', ANN, active))
    expect(rule(await otp.confirm(ANN, app(foreign.secret), 'eve'))).toBe('enrolment-refused totp-active')
    expect(rule(await otp.verify(ANN, '000000', 'eve'))).toBe('too-many-attempts attempts')
  })

  test('from elsewhere does not lock out who comes from where it came from before', async () => {
    const { otp, app, enrolled, clock } = setUp()
    const { secret } = await enrolled()
    expect(rule(await otp.verify(ANN, app(secret), 'home'))).toBeUndefined()
    clock.advance(30_000)
    const guesses = []
    for (let i = 0; i < 200; i++) guesses.push(rule(await otp.verify(ANN, '000000', `bot-${i}`)))
    expect(guesses.filter((one) => one === 'invalid-proof totp-code')).toHaveLength(20)
    expect(rule(await otp.verify(ANN, app(secret), 'hotel'))).toBe('too-many-attempts attempts')
    expect(rule(await otp.verify(ANN, app(secret), 'home'))).toBeUndefined()
    clock.advance(900_000)
    expect(rule(await otp.verify(ANN, app(secret), 'hotel'))).toBeUndefined()
  })

  test('starts anew after a good one', async () => {
    const { otp, app, enrolled } = setUp()
    const { secret } = await enrolled()
    for (let i = 0; i < 4; i++) await otp.verify(ANN, '000000', 'a')
    expect(rule(await otp.verify(ANN, app(secret), 'a'))).toBeUndefined()
    for (let i = 0; i < 5; i++)
      expect(rule(await otp.verify(ANN, '000000', 'a'))).toBe('invalid-proof totp-code')
  })
})

describe('endpoints', () => {
  const json = (body: object) => JSON.stringify(body)
  /** One of the endpoints, behind whoever says who is calling. */
  function endpoint(handler: Middleware, clock = fakeClock(), known = true) {
    return serve(as(known ? caller() : undefined), { clock, handler })
  }
  const post = (served: ReturnType<typeof serve>, body: object) =>
    served.post('/').set('Content-Type', 'application/json').send(json(body))

  test('take a caller from enrolment to a factor in its session', async () => {
    const noted: unknown[] = []
    const { otp, app, clock } = setUp({
      account: ({ subject }) => `${subject}@example.com`,
      verified: (proof) => void noted.push(proof),
    })
    const { handlers } = otp
    const made = (
      await post(endpoint(handlers.enrol, clock), {}).expect(200).expect('Cache-Control', 'no-store')
    ).body
    expect(made).toEqual({
      uri: expect.stringContaining('ann%40example.com'),
      secret: made.secret,
      expires_in: 600,
    })
    const confirmed = (await post(endpoint(handlers.confirm, clock), { code: app(made.secret) }).expect(200))
      .body
    expect(confirmed).toEqual({
      factor: { method: 'otp', at: clock.now() / 1000 },
      recovery_codes: expect.arrayContaining([expect.any(String)]),
    })
    clock.advance(30_000)
    await post(endpoint(handlers.verify, clock), { code: app(made.secret) }).expect(200)
    await post(endpoint(handlers.verify, clock), { recovery_code: confirmed.recovery_codes[0] }).expect(200)
    expect(noted).toEqual(
      ['otp', 'otp', 'recovery'].map((method) => expect.objectContaining({ subject: ANN, amr: [method] })),
    )
    clock.advance(30_000)
    const renewed = (await post(endpoint(handlers.renew, clock), { code: app(made.secret) }).expect(200)).body
    expect(renewed.recovery_codes).toHaveLength(10)
    const status = await endpoint(handlers.status, clock).get('/').expect(200)
    expect(status.body).toEqual({ active: true, since: Date.UTC(2030, 0, 1) / 1000, recovery_codes_left: 10 })
    await post(endpoint(handlers.remove, clock), { recovery_code: renewed.recovery_codes[1] }).expect(
      200,
      json({ active: false }),
    )
    await post(endpoint(handlers.verify, clock), { code: app(made.secret) }).expect(403)
  })

  test.each(['status', 'enrol', 'confirm', 'verify', 'renew', 'remove'] as const)(
    '%s is for those alone who are known',
    async (name) => {
      const served = endpoint(setUp().otp.handlers[name], fakeClock(), false)
      const reply = await (name === 'status' ? served.get('/') : post(served, { code: '123456' })).expect(401)
      expect(reply.headers['www-authenticate']).toBe('Bearer realm="api"')
      expect(JSON.parse(reply.text).code).toBe('unauthenticated')
    },
  )

  test('say no to a form, another method, a wrong code and a guess too many', async () => {
    const { otp, enrolled, clock } = setUp()
    await enrolled()
    const verify = endpoint(otp.handlers.verify, clock)
    await verify
      .post('/')
      .set('Content-Type', 'text/plain')
      .send(json({ code: '1' }))
      .expect(415)
    await verify.get('/').expect(405).expect('Allow', 'POST')
    const wrong = await post(verify, { code: '000000' }).expect(403)
    expect(JSON.parse(wrong.text)).toEqual({
      type: 'urn:secure-api:problem:invalid-proof',
      title: 'The proof of identity was not accepted.',
      status: 403,
      code: 'invalid-proof',
    })
    for (let i = 0; i < 4; i++) await post(verify, { code: '000000' }).expect(403)
    await post(verify, { code: '000000' }).expect(429).expect('Retry-After', '1')
  })

  test('say what the session said', async () => {
    const { otp, app, enrolled, clock } = setUp({
      verified: ({ amr }) => {
        if (amr[0] === 'recovery') throw new RefusedError(refuse('forbidden'))
        return { token: 'x' }
      },
    })
    const { secret, codes } = await enrolled()
    const verify = endpoint(otp.handlers.verify, clock)
    expect((await post(verify, { code: app(secret) }).expect(200)).body).toEqual({ token: 'x' })
    await post(verify, { recovery_code: codes[0] }).expect(403)
  })

  test('a store that is away is 503, and nobody is called a liar', async () => {
    const { otp, enrolled, clock } = setUp()
    await enrolled()
    const gone = () => Promise.reject(new Error('gone'))
    const away = { get: gone, put: gone, replace: gone, delete: gone, list: gone }
    const broken = totp({ store: { records: away, once: { claim: gone } }, key, issuer: 'Acme', clock })
    const reply = await post(endpoint(broken.handlers.verify, clock), { code: '000000' }).expect(503)
    expect(reply.headers['retry-after']).toBe('1')
    expect(rule(await otp.verify(ANN, '000000'))).toBe('invalid-proof totp-code')
  })
})

test('a subject whose record others change all the time is asked to come again', async () => {
  const { records, once } = memory()
  let busy = false
  const replace: RecordStore['replace'] = (space, ...asked) =>
    !(busy && space === 'totp') && records.replace(space, ...asked)
  const contended = Object.assign(Object.create(records) as RecordStore, { replace })
  const { otp, enrolled } = setUp({ store: { records: contended, once } })
  const { codes } = await enrolled()
  busy = true
  await expect(otp.recover(ANN, codes[0]!)).rejects.toThrow(StoreUnavailable)
  await expect(otp.renewRecoveryCodes(ANN)).rejects.toThrow(StoreUnavailable)
  busy = false
  expect(rule(await otp.recover(ANN, codes[0]!))).toBeUndefined()
})

test.each<[object, string]>([
  [{ store: { records: memory().records } }, 'totp.store has no once'],
  [{ store: undefined }, 'totp.store is undefined'],
  [{ key: 'short' }, 'totp.key must have at least 32 bytes'],
  [{ key: [] }, 'totp.key must be one secret or a list of 1 to 5'],
  [{ issuer: 'Acme: orders' }, 'totp.issuer must be a text without a colon'],
  [{ digits: 5 }, 'totp.digits must be an integer from 6 to 8'],
  [{ window: 10 }, 'totp.window must be an integer from 0 to 3'],
  [{ algorithm: 'MD5' }, "totp.algorithm must be one of 'SHA1'"],
  [{ verified: {} }, 'totp.verified must be a function'],
  [{ recoveryCode: 5 }, 'Did you mean "recoveryCodes"?'],
])('settings: %j does not start', (options, message) => {
  const start = () => totp({ store: memory(), key, issuer: 'Acme', ...options })
  expect(start).toThrow(ConfigError)
  expect(start).toThrow(message)
})
