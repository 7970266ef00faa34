import fc from 'fast-check'
import request from 'supertest'
import { prepareStepUp } from '../../src/identity/step-up-options.js'
import { mergeStepUp, stepUp, type StepUpOptions } from '../../src/identity/step-up.js'
import type { Authentication } from '../../src/kernel/authentication.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { contextOf, type Principal } from '../../src/kernel/context.js'
import type { SecureApiOptions } from '../../src/secure-api.js'
import { fakeClock, serve } from '../../src/testing/index.js'
import { testApi } from '../support/api.js'
import { as, caller } from '../support/as.js'
import { expressVersions } from '../support/express.js'

const BEARER = 'Bearer realm="api", error="insufficient_user_authentication", error_description='
const OLD = `${BEARER}"More recent authentication is required"`
const OTHER = `${BEARER}"A different authentication level is required"`
const METHOD = `${BEARER}"Another authentication method is required"`
const UNKNOWN = `${BEARER}"How and when the caller authenticated is not known"`
const NOW = fakeClock().now() / 1000

function proven(authentication?: Partial<Authentication>): Principal {
  return authentication === undefined
    ? caller()
    : { ...caller(), authentication: { amr: [], ...authentication } }
}

describe('what a caller has proven, against what is asked (ASVS 6.8.4, 7.5.3)', () => {
  const payout = { acr: 'gold', maxAgeSeconds: 300 }
  const both = { amr: ['pwd', ['otp', 'hwk']] as const, maxAgeSeconds: 300 }
  const level = `${OTHER}, acr_values="gold", max_age="300"`
  const older = `${OLD}, acr_values="gold", max_age="300"`

  test.each<[string, StepUpOptions, Partial<Authentication> | undefined, string?]>([
    ['nothing is known', payout, undefined, `${UNKNOWN}, acr_values="gold", max_age="300"`],
    ['nothing but that something is known', payout, {}, level],
    ['all as asked', payout, { acr: 'gold', at: NOW - 300 }],
    ['a second too old', payout, { acr: 'gold', at: NOW - 301 }, older],
    ['another level', payout, { acr: 'silver', at: NOW }, level],
    ['a level that only resembles it', payout, { acr: 'gold ', at: NOW }, level],
    ['no time', payout, { acr: 'gold' }, older],
    ['a clock a little ahead', payout, { acr: 'gold', at: NOW + 5 }],
    ['a time to come', payout, { acr: 'gold', at: NOW + 6 }, older],
    ['a time far in the future', payout, { acr: 'gold', at: NOW * 1000 }, older],
    ['one of several levels', { acr: ['gold', 'silver'] }, { acr: 'silver' }],
    ['none of them', { acr: ['gold', 'silver'] }, { acr: 'tin' }, `${OTHER}, acr_values="gold silver"`],
    ['a time alone', { maxAgeSeconds: 60 }, { at: NOW - 60 }],
    ['a time alone, too old', { maxAgeSeconds: 60 }, { at: NOW - 61 }, `${OLD}, max_age="60"`],
    ['a method', { amr: 'otp' }, { amr: ['pwd', 'otp'] }],
    ['another method', { amr: 'otp' }, { amr: ['pwd'] }, METHOD],
    ['both methods', both, { amr: ['hwk', 'pwd'], at: NOW - 10 }],
    ['one of two', both, { amr: ['pwd'], at: NOW - 10 }, `${METHOD}, max_age="300"`],
    ['both, long ago', both, { amr: ['hwk', 'pwd'], at: NOW - 301 }, `${OLD}, max_age="300"`],
    ['a factor of its own time', { amr: 'otp', maxAgeSeconds: 60 }, factors(900, { otp: 60 })],
    ['a factor that is too old', { amr: 'otp', maxAgeSeconds: 60 }, factors(0, { otp: 61 }), age('60')],
    ['one old factor of two', both, factors(900, { pwd: 900, otp: 1 }), age('300')],
    ['two fresh factors', both, factors(900, { pwd: 299, otp: 1 })],
    ['a factor to come', { amr: 'otp', maxAgeSeconds: 60 }, factors(0, { otp: -60 }), age('60')],
    ['any fresh factor', { maxAgeSeconds: 60 }, factors(900, { otp: 1 })],
    // What was shown later is one proof, not the level that all of them made together.
    ['a level that is old, and a fresh factor', payout, { ...factors(900, { otp: 1 }), acr: 'gold' }, older],
    ['a factor nobody asked for', { amr: 'hwk' }, factors(0, { otp: 1 }), METHOD],
  ])('%s', async (_what, options, authentication, ...[challenge]) => {
    const { get, handled } = serve([as(proven(authentication)), stepUp(options)])
    const reply = await get('/').expect(challenge === undefined ? 200 : 401)
    expect(handled()).toBe(challenge === undefined ? 1 : 0)
    if (challenge === undefined) return
    expect(reply.headers['www-authenticate']).toBe(challenge)
    expect(reply.headers['cache-control']).toBe('no-store')
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'insufficient-user-authentication', status: 401 })
  })

  function factors(age: number, each: Record<string, number>): Partial<Authentication> {
    const list = Object.entries(each).map(([method, ago]) => ({ method, at: NOW - ago }))
    return { at: NOW - age, amr: list.map(({ method }) => method), factors: list }
  }

  function age(max: string): string {
    return `${OLD}, max_age="${max}"`
  }
})

test('says in the body what a client without a parser for challenges can read', async () => {
  const reply = await serve([as(proven()), stepUp({ acr: 'gold', amr: ['pwd', ['otp']], maxAgeSeconds: 5 })])
    .get('/')
    .expect(401)
  expect(JSON.parse(reply.text)).toEqual({
    type: 'urn:secure-api:problem:insufficient-user-authentication',
    title: 'The caller has to authenticate more recently or more strongly.',
    status: 401,
    code: 'insufficient-user-authentication',
    detail: 'How and when the caller authenticated is not known',
    acr_values: ['gold'],
    amr_values: [['pwd'], ['otp']],
    max_age: 5,
  })
})

test('nobody who is anonymous steps up: they have to come in first', async () => {
  const { get, handled } = serve([as(undefined), stepUp({ maxAgeSeconds: 60 })])
  const reply = await get('/').expect(401).expect('WWW-Authenticate', 'Bearer realm="api"')
  expect(JSON.parse(reply.text).code).toBe('unauthenticated')
  expect(handled()).toBe(0)
})

describe.each(expressVersions)('with tokens, on %s', (_name, express) => {
  function served(options: Partial<SecureApiOptions>, guard?: StepUpOptions) {
    const setup = testApi(options)
    const app = express()
    app.use(setup.api as never)
    const guards = guard === undefined ? [] : [setup.api.guard({ stepUp: guard }) as never]
    app.use('/payouts', ...guards, (req, res) => void res.json(contextOf(req)?.principal?.authentication))
    app.use('/', (_req, res) => void res.json({ ok: true }))
    const get = (path: string, claims?: object) =>
      request(app)
        .get(path)
        // The issuer and its clock are those of all tests.
        .set('Authorization', setup.as({ iat: NOW, exp: NOW + 300, ...claims }))
    return { ...setup, get, app }
  }
  const route = (options: StepUpOptions) => ({ routes: { '* /payouts': { stepUp: options } } })

  test('steps down when the time is over, with one and the same token', async () => {
    const { get, clock } = served(route({ acr: 'gold', maxAgeSeconds: 120 }))
    const claims = { auth_time: clock.now() / 1000, acr: 'gold', amr: ['pwd', 'otp'] }
    const reply = await get('/payouts', claims).expect(200)
    expect(reply.body).toEqual({ at: claims.auth_time, acr: 'gold', amr: ['pwd', 'otp'] })
    clock.advance(120_000)
    await get('/payouts', claims).expect(200)
    clock.advance(1_000)
    const refused = await get('/payouts', claims).expect(401)
    expect(refused.headers['www-authenticate']).toBe(`${OLD}, acr_values="gold", max_age="120"`)
    await get('/elsewhere', claims).expect(200)
  })

  test.each<[string, object]>([
    ['no fact at all', {}],
    ['a time as text', { auth_time: '1893456000', acr: 'gold' }],
    ['a time to come', { auth_time: NOW + 3_600, acr: 'gold' }],
    ['levels as a list', { auth_time: NOW, acr: ['gold'] }],
    ['an empty level', { auth_time: NOW, acr: '' }],
    ['null', { auth_time: null, acr: null, amr: null }],
    ['methods as a text', { auth_time: NOW, acr: 'gold', amr: 'otp' }],
    ['methods with something else among them', { auth_time: NOW, acr: 'gold', amr: ['otp', 1] }],
  ])('what is malformed proves nothing: %s', async (_what, claims) => {
    const { get } = served(route({ acr: 'gold', amr: 'otp', maxAgeSeconds: 60 }))
    await get('/payouts', claims).expect(401)
    await get('/elsewhere', claims).expect(200)
  })

  test('of general setting, routes and guard, the stricter holds', async () => {
    const { get, api } = served(
      {
        stepUp: { acr: ['gold', 'silver'], maxAgeSeconds: 600 },
        routes: {
          '* /payouts': { stepUp: { acr: ['silver', 'gold'], amr: 'otp', maxAgeSeconds: 60 } },
          'GET /news': { stepUp: false },
          'GET /health': { public: true },
        },
      },
      { acr: 'silver' },
    )
    const at = (seconds: number, more: object = {}) => ({ auth_time: NOW - seconds, acr: 'silver', ...more })
    await get('/elsewhere', at(600)).expect(200)
    await get('/elsewhere', at(601)).expect(401)
    await get('/payouts', at(60, { amr: ['otp'] })).expect(200)
    await get('/payouts', at(61, { amr: ['otp'] })).expect(401)
    await get('/payouts', at(60)).expect(401)
    const gold = await get('/payouts', at(60, { amr: ['otp'], acr: 'gold' })).expect(401)
    expect(gold.headers['www-authenticate']).toBe(`${OTHER}, acr_values="silver"`)
    await get('/news', {}).expect(200)
    await get('/health').expect(200)
    expect(api.explain('POST /payouts').find(({ stage }) => stage === 'stepUp')).toMatchObject({
      door: 'route',
      options: { acr: ['gold', 'silver'], amr: [['otp']], maxAgeSeconds: 60 },
    })
  })
})

describe('settings', () => {
  test.each<[string, unknown, string]>([
    ['nothing', {}, 'asks for nothing'],
    ['an option nobody knows', { maxAgeSecond: 5 }, 'Did you mean "maxAgeSeconds"?'],
    ['no list', { amr: [] }, 'stepUp.amr must be a text or a list of texts, got an empty array'],
    ['an empty list in the list', { amr: ['pwd', []] }, 'stepUp.amr[1]'],
    ['a level of two words', { acr: 'very good' }, 'without spaces'],
    ['a quote', { acr: ['a"b'] }, 'without spaces'],
    ['a second of no time', { maxAgeSeconds: 0 }, 'stepUp.maxAgeSeconds must be an integer from 1'],
    ['a level that is missing by a slip', { acr: undefined }, 'stepUp.acr is undefined'],
  ])('%s', (_what, options, message) => {
    expect(() => stepUp(options as never)).toThrow(ConfigError)
    expect(() => stepUp(options as never)).toThrow(message)
  })

  test('levels that exclude one another do not start', () => {
    const start = () => testApi({ stepUp: { acr: 'gold' }, routes: { 'GET /a': { stepUp: { acr: 'tin' } } } })
    expect(start).toThrow("routes['GET /a'].stepUp excludes the general setting")
  })

  test('public routes ask nobody, so they cannot ask for more', () => {
    const routes = { 'GET /a': { public: true, stepUp: { acr: 'gold' } } } as never
    expect(() => testApi({ routes })).toThrow(ConfigError)
  })

  test('without anybody who asks who is calling it does not start', () => {
    expect(() => testApi({ auth: false, stepUp: { acr: 'gold' } })).toThrow('stepUp needs the principal')
  })

  test('two settings as one let in whom both let in, and nobody else', () => {
    const word = fc.constantFrom('a', 'b', 'c')
    const words = fc.uniqueArray(word, { minLength: 1 })
    const options = fc
      .record(
        {
          acr: words,
          amr: fc.array(fc.oneof(word, words), { minLength: 1 }),
          maxAgeSeconds: fc.integer({ min: 1, max: 9 }),
        },
        { requiredKeys: [] },
      )
      .filter((some) => Object.keys(some).length > 0)
    const authentication = fc.record(
      {
        at: fc.integer({ min: -9, max: 9 }).map((ago) => NOW - ago),
        acr: word,
        amr: words,
        factors: fc.array(fc.record({ method: word, at: fc.integer({ min: NOW - 9, max: NOW + 9 }) })),
      },
      { requiredKeys: ['amr'] },
    )
    const lets = async (some: StepUpOptions, known: Authentication) => {
      const ctx = { principal: proven(known), get: () => undefined, note: () => undefined }
      const verdict = await stepUp(some).stage.enter!({ ...ctx, services: { clock: fakeClock() } } as never)
      return verdict === undefined
    }
    return fc.assert(
      fc.asyncProperty(options, options, authentication, async (one, other, known) => {
        const merged = mergeStepUp(one, other)
        const each = (await lets(one, known)) && (await lets(other, known))
        const both = merged !== undefined && (await lets(merged, known))
        // As one it is the stricter where a factor is newer than the whole: then the level has to be as new as one of them asks.
        const isNewer = known.factors !== undefined && known.factors.length > 0
        expect(isNewer ? both && !each : both !== each).toBe(false)
        if (merged !== undefined) expect(() => prepareStepUp(merged)).not.toThrow()
      }),
    )
  })
})
