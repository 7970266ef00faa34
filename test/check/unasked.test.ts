import { randomBytes } from 'node:crypto'
import { csrf } from '../../src/access/csrf.js'
import { apiKey } from '../../src/identity/api-key.js'
import { auth } from '../../src/identity/auth.js'
import { basic } from '../../src/identity/basic.js'
import { session } from '../../src/identity/session.js'
import { defineStage } from '../../src/kernel/define.js'
import { memory } from '../../src/kernel/memory.js'
import { pipeline } from '../../src/kernel/pipeline.js'
import type { SecureApiOptions } from '../../src/secure-api.js'
import { testApi } from '../support/api.js'
import { expressVersions } from '../support/express.js'

const sessions = session({ store: memory() })
const another = testApi().api
const passwords = basic({ users: {} })
const keys = apiKey({ store: memory(), pepper: randomBytes(32) })
/** A method of the user's own. */
const cookie = defineStage('cookie', () => ({
  ...{ methodName: 'cookie', ambient: true as const, recognises: () => false, challenge: () => 'Cookie' },
  enter: () => undefined,
}))()
const answer = (_req: unknown, res: { json: (body: object) => unknown }): void => void res.json({})

describe.each(expressVersions)('on %s', (_name, express) => {
  type App = ReturnType<typeof express>
  const found = (
    build: (app: App, api: never) => void,
    settings: Partial<SecureApiOptions> = { auth: false },
  ) => {
    const { api } = testApi(settings)
    const app = express()
    build(app, api as never)
    return api
      .check(app)
      .filter(({ code }) => code.startsWith('csrf'))
      .map(({ code, route = '' }) => `${code} ${route}`.trim())
  }

  test.each<[string, (app: App, api: never) => unknown]>([
    ['behind the API', (app, api) => app.use(api).use(sessions as never)],
    ['in a pipeline', (app, api) => app.use(api).use(pipeline([sessions]) as never)],
    ['in an auth of its own', (app, api) => app.use(api).use(auth([keys, sessions]) as never)],
    ['as a password', (app, api) => app.use(api).use(passwords as never)],
    ['as a method of the user', (app, api) => app.use(api).use(cookie as never)],
    [
      'with csrf before it',
      (app, api) =>
        app
          .use(api)
          .use(csrf() as never)
          .use(sessions as never),
    ],
    [
      'with csrf elsewhere',
      (app, api) =>
        app
          .use(api)
          .use(sessions as never)
          .use('/admin', csrf() as never),
    ],
  ])('a session that stands alone %s is named where something may be changed', (_what, mount) => {
    expect(
      found((app, api) => {
        mount(app, api)
        app.get('/pay', answer)
        app.post('/pay', answer)
        app.all('/any', answer)
      }),
    ).toEqual(['csrf-missing POST /pay', 'csrf-missing * /any'])
  })

  test('also before one route, under a path, and in a router', () => {
    expect(
      found((app, api) => {
        app.use(api)
        app.post('/one', sessions as never, answer)
        app.post('/other', answer)
        app.use('/mine', sessions as never)
        app.post('/mine/a', answer)
        const router = express.Router()
        router.use(sessions as never)
        router.delete('/b', answer)
        app.use('/router', router)
      }),
    ).toEqual(['csrf-missing POST /one', 'csrf-missing POST /mine/a', 'csrf-missing DELETE /router/b'])
  })

  test.each<[string, (app: App, api: never) => unknown]>([
    [
      'csrf stands behind it',
      (app, api) =>
        app
          .use(api)
          .use(sessions as never)
          .use(csrf() as never),
    ],
    ['csrf is in its pipeline', (app, api) => app.use(api).use(pipeline([sessions, csrf()]) as never)],
    ['the API stands behind it', (app, api) => app.use(sessions as never).use(api)],
    [
      'another API stands behind it',
      (app, api) =>
        app
          .use(api)
          .use(sessions as never)
          .use(another as never),
    ],
    ['it is a key', (app, api) => app.use(api).use(keys as never)],
    ['there is none', (app, api) => app.use(api)],
  ])('nothing is named where %s', (_what, mount) => {
    expect(found((app, api) => void (mount(app, api) as App).post('/pay', answer))).toEqual([])
  })

  test('a guard with csrf counts, a route that only reads and an API without csrf do not', () => {
    expect(
      found((app, api) => {
        app.use(api).use(sessions as never)
        app.post('/a', (api as { guard: (settings: object) => never }).guard({ csrf: {} }), answer)
        app.get('/b', answer)
      }),
    ).toEqual([])
    const off = { auth: false, csrf: false } as const
    expect(
      found(
        (app, api) =>
          void app
            .use(sessions as never)
            .use(api)
            .post('/a', answer),
        off,
      ),
    ).toEqual(['csrf-missing POST /a'])
  })
})

test('a stage of the user that stands in the API, behind csrf, is named, and before it is not', () => {
  const found = (after: string, more: Partial<SecureApiOptions> = {}) =>
    testApi({ auth: false, extra: [{ after, stage: sessions }], ...more })
      .api.check({})
      .map(({ code }) => code)
      .filter((code) => code.startsWith('csrf'))
  expect(found('rbac')).toEqual(['csrf-missing'])
  expect(found('auth')).toEqual([])
  expect(found('auth', { csrf: false })).toEqual(['csrf-off'])
})
