import connect from 'connect'
import request from 'supertest'
import { stepUp } from '../../src/identity/step-up.js'
import { defineStage } from '../../src/kernel/define.js'
import type { SecureApi, SecureApiOptions } from '../../src/secure-api.js'
import { testApi } from '../support/api.js'
import { expressVersions, type Express } from '../support/express.js'

const fresh = { maxAgeSeconds: 300 }
const rbac = { roles: { clerk: ['payouts:make'] }, default: 'authenticated' } as const

type Routes = NonNullable<SecureApiOptions['routes']>
type Mount = (app: Express, api: SecureApi) => unknown

const answer = (_req: unknown, res: { json: (body: object) => unknown }): void => void res.json({})
const route: Mount = (app) => app.post('/payouts', answer)
const guarded =
  (settings: Parameters<SecureApi['guard']>[0]): Mount =>
  (app, api) =>
    app.post('/payouts', api.guard(settings) as never, answer)

const WITHOUT = 'sensitive-without-step-up POST /payouts'
const REPORTED = 'sensitive-reported POST /payouts'
const PUBLIC = 'sensitive-public POST /payouts'

describe.each(expressVersions)('on %s', (_name, express) => {
  const checked = (options: Partial<SecureApiOptions>, mount: Mount) => {
    const { api } = testApi({ rbac, ...options })
    const app = express()
    app.use(api as never)
    mount(app, api)
    return api.check(app)
  }
  const found = (options: Partial<SecureApiOptions>, mount: Mount): string[] =>
    checked(options, mount)
      .filter(({ code }) => code.startsWith('sensitive'))
      .map(({ code, route: place, severity }) => {
        expect(severity).toBe('high')
        return `${code} ${place!}`
      })

  const said = (routes: Routes) => ({ routes })
  const asking: [string, Partial<SecureApiOptions>, Mount][] = [
    ['its own rule', said({ 'POST /payouts': { sensitive: true, stepUp: fresh } }), route],
    ['the general setting', { stepUp: fresh, ...said({ 'POST /payouts': { sensitive: true } }) }, route],
    ['its guard', said({ 'POST /payouts': { sensitive: true } }), guarded({ stepUp: fresh })],
    ['the guard that says so', {}, guarded({ sensitive: true, stepUp: fresh })],
    [
      'a rule, for a guard that says so',
      said({ 'POST /payouts': { stepUp: fresh } }),
      guarded({ sensitive: true }),
    ],
    [
      'a guard before all',
      said({ 'POST /payouts': { sensitive: true } }),
      (app, api) => route(app.use(api.guard({ stepUp: fresh }) as never), api),
    ],
    ['a wider rule', said({ '* /*': { stepUp: fresh }, 'POST /payouts': { sensitive: true } }), route],
    [
      'a narrower rule',
      said({ '* /payouts/*': { sensitive: true }, 'POST /payouts': { stepUp: fresh } }),
      route,
    ],
    [
      'what replaces the general setting',
      {
        stepUp: fresh,
        ...said({ 'POST /payouts': { sensitive: true, stepUp: { replace: { acr: 'gold' } } } }),
      },
      route,
    ],
  ]

  test.each(asking)('a sensitive route is fine where callers are asked by %s', (_by, options, mount) => {
    expect(found(options, mount)).toEqual([])
    expect(found({ ...options, mode: { rbac: 'report' } }, mount)).toEqual([])
  })

  test.each(asking)('it is found where %s only reports', (_by, options, mount) => {
    expect(found({ ...options, mode: { stepUp: 'report' } }, mount)).toEqual([REPORTED])
    expect(found({ ...options, mode: 'report' }, mount)).toEqual([REPORTED])
  })

  test('nothing is found where nothing is sensitive', () => {
    expect(found({ routes: { 'POST /payouts': { rbac: 'payouts:make' } } }, route)).toEqual([])
  })

  test.each<[string, Partial<SecureApiOptions>, Mount, string[]]>([
    ['nothing asks', said({ 'POST /payouts': { sensitive: true, rbac: 'payouts:make' } }), route, [WITHOUT]],
    ['a guard says so and nothing asks', {}, guarded({ sensitive: true }), [WITHOUT]],
    ['a wider rule says so', said({ '* /*': { sensitive: true }, 'POST /payouts': {} }), route, [WITHOUT]],
    [
      'the general setting is taken away',
      { stepUp: fresh, ...said({ 'POST /payouts': { sensitive: true, stepUp: false } }) },
      route,
      [WITHOUT],
    ],
    [
      'a wider rule says so and a narrower one takes the general setting away',
      { stepUp: fresh, ...said({ '* /*': { sensitive: true }, 'POST /payouts': { stepUp: false } }) },
      route,
      [WITHOUT],
    ],
    [
      'what asks is a stage in extra that is only called so',
      {
        ...said({ 'POST /payouts': { sensitive: true } }),
        extra: [{ after: 'auth', stage: defineStage('stepUp', () => ({ enter: () => undefined }))() }],
      },
      route,
      [WITHOUT],
    ],
    [
      'its rule only reports',
      said({ 'POST /payouts': { sensitive: true, stepUp: fresh, mode: { stepUp: 'report' } } }),
      route,
      [REPORTED],
    ],
    [
      'a narrower rule lets everybody in',
      said({ '* /*': { sensitive: true, stepUp: fresh }, 'POST /payouts': { public: true } }),
      route,
      [PUBLIC],
    ],
    [
      'its guard says so and everybody may enter',
      said({ 'POST /payouts': { public: true } }),
      guarded({ sensitive: true }),
      [PUBLIC],
    ],
    [
      'only the guard of another route asks',
      said({ '* /*': { sensitive: true } }),
      (app, api) => {
        app.post('/refunds', api.guard({ stepUp: fresh }) as never, answer)
        route(app, api)
      },
      ['sensitive-without-step-up POST /payouts'],
    ],
    [
      'one kind of its requests is, that of a rule inside it',
      said({ 'GET /a/secret': { sensitive: true } }),
      (app) => app.get('/a/:id', answer),
      ['sensitive-without-step-up GET /a/secret'],
    ],
    [
      'a handler that answers all below it is',
      said({ 'POST /payouts/*': { sensitive: true } }),
      (app) => app.use('/payouts', answer),
      ['sensitive-without-step-up POST /payouts/*'],
    ],
    [
      'a guard stands behind the handler',
      said({ 'POST /payouts': { sensitive: true } }),
      (app, api) => app.post('/payouts', answer, api.guard({ stepUp: fresh }) as never),
      [WITHOUT],
    ],
  ])('it is found where %s', (_where, options, mount, expected) => {
    expect(found(options, mount)).toEqual(expected)
  })

  const proxy = (_req: unknown, res: { json: (body: object) => unknown }, _next: unknown): void =>
    void res.json({})
  test.each<[string, Mount]>([
    ['that must answer', (app) => app.use(answer)],
    ['that may pass on', (app) => app.use(proxy)],
    ['under the root', (app) => app.use('/', proxy)],
    ['of a router', (app) => app.use('/', express.Router().use(proxy))],
  ])('it is found where all is answered by one handler without a path, %s', (_which, mount) => {
    expect(found(said({ 'POST /payouts': { sensitive: true } }), mount)).toEqual([WITHOUT])
    expect(found(said({ 'POST /payouts': { sensitive: true, stepUp: fresh } }), mount)).toEqual([])
    expect(
      found(said({ 'POST /payouts': { sensitive: true } }), (app, api) =>
        mount(app.use(api.guard({ stepUp: fresh }) as never), api),
      ),
    ).toEqual([])
    // Its route comes first.
    expect(
      found(said({ 'POST /payouts': { sensitive: true } }), (app, api) => {
        guarded({ stepUp: fresh })(app, api)
        mount(app, api)
      }),
    ).toEqual([])
  })

  test('it is found among more rules than are told apart', () => {
    const others = Object.fromEntries(Array.from({ length: 1_100 }, (_, i) => [`GET /a/${i}`, {}]))
    const routes = { ...others, 'POST /a/payouts': { sensitive: true } } as Routes
    expect(found({ routes }, (app) => app.use('/a', answer))).toEqual([
      'sensitive-without-step-up POST /a/payouts',
    ])
  })

  test('what is written into the settings of a guard once it is made changes nothing', () => {
    const settings: Parameters<SecureApi['guard']>[0] = { sensitive: true }
    const mount: Mount = (app, api) => {
      app.post('/payouts', api.guard(settings) as never, answer)
      Object.assign(settings, { stepUp: fresh })
    }
    expect(found({}, mount)).toEqual([WITHOUT])
  })

  test.each<[string, Partial<SecureApiOptions>, Mount]>([
    ['sensitive-without-step-up', said({ 'POST /payouts': { sensitive: true } }), route],
    ['sensitive-without-step-up', {}, guarded({ sensitive: true })],
    ['sensitive-public', said({ '* /*': { sensitive: true }, 'POST /payouts': { public: true } }), route],
  ])('strict: throws %s', (code, options, mount) => {
    expect(() => checked({ strict: true, ...options }, mount)).toThrow(
      expect.objectContaining({ name: 'ConfigError', code }),
    )
  })

  test('strict: a stepUp that is only reported does not stop, so that it can be tried', () => {
    const routes: Routes = { 'POST /payouts': { sensitive: true, stepUp: fresh } }
    expect(found({ strict: true, routes, mode: { stepUp: 'report' } }, route)).toEqual([REPORTED])
  })

  test('it refuses nobody by itself', async () => {
    const { api, as } = testApi({ rbac, strict: true, routes: { 'POST /payouts': { sensitive: true } } })
    const app = express()
    app.use(api as never)
    guarded({ sensitive: true })(app, api)
    const post = request(app).post('/payouts').set('Authorization', as())
    await post.send({}).expect(200)
    await request(app).post('/payouts').expect(401)
  })

  test('a stepUp that is mounted by itself is not looked at', () => {
    const mount: Mount = (app) => app.post('/payouts', stepUp(fresh) as never, answer)
    expect(found({ routes: { 'POST /payouts': { sensitive: true } } }, mount)).toEqual([WITHOUT])
  })
})

describe('without an Express application', () => {
  const found = (routes: Routes) => {
    const { api } = testApi({ rbac, routes })
    const app = connect()
    app.use(api as never)
    return api
      .check(app)
      .filter(({ code }) => code.startsWith('sensitive'))
      .map(({ code, route: place }) => `${code} ${place!}`)
  }

  test('the rules are looked at, each with all that are wider', () => {
    const routes: Routes = {
      '* /admin/*': { sensitive: true },
      'POST /admin/payouts': { stepUp: fresh },
      'GET /admin/health': { public: true },
      'GET /orders': { rbac: 'authenticated' },
    }
    expect(found(routes)).toEqual([
      'sensitive-without-step-up * /admin/*',
      'sensitive-public GET /admin/health',
    ])
  })

  test('strict names it where it stops', () => {
    const { api } = testApi({ strict: true, routes: { 'POST /payouts': { sensitive: true } } })
    expect(() => api.check(connect())).toThrow(expect.objectContaining({ name: 'ConfigError' }))
  })
})

describe('what is said', () => {
  test('names the cause and the way out', () => {
    const { api } = testApi({ rbac, routes: { '* /payouts': { sensitive: true } } })
    const finding = api.check(connect()).find(({ code }) => code === 'sensitive-without-step-up')
    expect(finding).toMatchObject({
      cause: '* /payouts is sensitive, and nothing asks its callers for fresh or stronger authentication',
      fix: "write stepUp in routes['* /payouts'] or in its guard, such as { maxAgeSeconds: 300 }, or drop sensitive",
    })
  })

  test('explain shows it, also where a wider rule says so, and for a guard', () => {
    const { api } = testApi({
      rbac,
      mode: 'report',
      routes: {
        '* /payouts/*': { sensitive: true },
        'POST /payouts': { sensitive: true, stepUp: fresh },
        'GET /a': {},
      },
    })
    const shown = (subject?: Parameters<SecureApi['explain']>[0]) =>
      api.explain(subject).filter(({ stage }) => stage === 'sensitive')
    const line = { stage: 'sensitive', mode: 'enforce', options: {} }
    expect(shown('POST /payouts')).toEqual([{ ...line, door: 'route' }])
    expect(shown('GET /payouts/7')).toEqual([{ ...line, door: 'route' }])
    expect(shown(api.guard({ sensitive: true, stepUp: fresh }))).toEqual([{ ...line, door: 'guard' }])
    expect(shown('GET /a')).toEqual([])
    expect(shown()).toEqual([])
  })

  test.each<[object, string]>([
    [{ sensitive: false }, "routes['POST /a'].sensitive must be true or absent, got false"],
    [
      { sensitive: 'yes' },
      "routes['POST /a'].sensitive must be true or absent, got a string of 3 characters",
    ],
    [{ sensitive: null }, "routes['POST /a'].sensitive must be true or absent, got null"],
    [
      { sensitive: undefined },
      "routes['POST /a'].sensitive is undefined; give it a value, or leave the key out",
    ],
    [
      { public: true, sensitive: true },
      "routes['POST /a'] is public and has sensitive; a public route asks nobody who they are. Drop one of them",
    ],
    [{ sensitiv: true }, `routes['POST /a'] has no option "sensitiv". Did you mean "sensitive"?`],
  ])('%j is no rule', (rule, message) => {
    expect(() => testApi({ routes: { 'POST /a': rule } })).toThrow(
      expect.objectContaining({ name: 'ConfigError', message }),
    )
  })

  test.each<[object, string]>([
    [{ sensitive: false }, 'guard.sensitive must be true or absent, got false'],
    [{ sensitive: undefined }, 'guard.sensitive is undefined; give it a value, or leave the key out'],
  ])('%j is no guard', (settings, message) => {
    expect(() => testApi().api.guard(settings as never)).toThrow(
      expect.objectContaining({ name: 'ConfigError', message }),
    )
  })

  test('it is written where a route is known, and not for all of the API', () => {
    expect(() => testApi({ sensitive: true } as never)).toThrow('secureApi has no option "sensitive"')
  })
})
