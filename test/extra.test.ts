import request from 'supertest'
import { ConfigError } from '../src/kernel/config-error.js'
import { defineStage } from '../src/kernel/define.js'
import { pipeline } from '../src/kernel/pipeline.js'
import type { Next } from '../src/kernel/stage.js'
import { rateLimit } from '../src/traffic/rate-limit.js'
import { testApi } from './support/api.js'

const met: string[] = []
const own = (name = 'own') => defineStage(name, () => ({ enter: () => void met.push(name) }))()
const plain = (_req: unknown, _res: unknown, next: Next) => next()
const names = (extra: unknown, more: object = {}) =>
  testApi({ auth: false, audit: false, ...more, extra } as never)
    .api.explain()
    .map(({ stage }) => stage)

describe('extra', () => {
  test('puts a stage behind its row, several in the order they are written', () => {
    const extra = [
      { after: 'auth', stage: own('b') },
      { after: 'firewall', stage: own('a') },
      { after: 'auth', stage: own('c') },
    ]
    expect(names(extra)).toEqual([
      'requestId',
      'headers',
      'firewall',
      'a',
      'rateLimit',
      'b',
      'c',
      'csrf',
      'body',
    ])
  })

  test.each(['audit', 'auth', 'cors', 'rbac', 'quota', 'validate', 'mask'])(
    'takes the place of a row that is off: %s',
    (after) => {
      expect(names([{ after, stage: own() }])).toContain('own')
    },
  )

  test('runs a stage that is named twice at both places', async () => {
    met.length = 0
    const stage = own('twice')
    const { api } = testApi({
      auth: false,
      extra: [
        { after: 'auth', stage },
        { after: 'body', stage },
      ],
    })
    await request(api.protect((_req, res) => res.end()))
      .get('/')
      .expect(200)
    expect(met).toEqual(['twice', 'twice'])
  })

  test.each<[what: string, extra: unknown, message: string]>([
    ['plain middleware', [{ after: 'auth', stage: plain }], 'extra[0].stage is no stage'],
    ['a factory', [{ after: 'auth', stage: defineStage('own', () => ({})) }], 'extra[0].stage is no stage'],
    ['a bare stage', [{ after: 'auth', stage: own().stage }], 'extra[0].stage is no stage'],
    ['an empty stage', [{ after: 'auth', stage: { stage: {} } }], 'extra[0].stage is no stage'],
    ['a number for a stage', [{ after: 'auth', stage: { stage: 5 } }], 'extra[0].stage is no stage'],
    ['no stage', [{ after: 'auth' }], 'extra[0].stage is no stage'],
    ['null', [null], 'extra[0] must be an object'],
    ['an unknown row', [{ after: 'atuh', stage: own() }], 'Did you mean "auth"?'],
    ['a name that objects have', [{ after: 'toString', stage: own() }], 'must name a row of the table'],
    ['no row', [{ stage: own() }], 'must name a row of the table'],
    ['an unknown key', [{ before: 'auth', stage: own() }], 'extra[0] has no option "before"'],
    ['a single one', { after: 'auth', stage: own() }, 'extra must be a list'],
  ])('refuses %s at start', (_what, extra, message) => {
    expect(() => names(extra)).toThrow(ConfigError)
    expect(() => names(extra)).toThrow(message)
  })

  test('refuses a limit twice, which would count twice', () => {
    const stage = rateLimit({ name: 'burst' })
    expect(() =>
      names([
        { after: 'auth', stage },
        { after: 'body', stage },
      ]),
    ).toThrow('extra[0] and extra[1]: two limits are named "burst"')
  })
})

test.each([[plain], [{ stage: {} }], [{ stage: 5 }], [null]])('pipeline refuses %p too', (entry) => {
  expect(() => pipeline([entry as never])).toThrow('entry 0 is no stage')
})

describe('a limit of a route whose pattern cannot name it', () => {
  const route = `GET /${'a'.repeat(120)}`
  const start = (settings: object, pattern = route) =>
    testApi({ auth: false, routes: { [pattern]: settings } })

  test.each([
    ['rateLimit', { rateLimit: { limit: 5 } }],
    ['quota', { quota: [{ limit: 5 }] }],
    ['a second limit', { rateLimit: [{ name: 'a', limit: 5 }, { limit: 6 }] }],
  ])('needs a name: %s', (_what, settings) => {
    expect(() => start(settings)).toThrow(ConfigError)
    expect(() => start(settings)).toThrow(/needs a name: .* Write \{ name: 'orders', \.\.\. \}/)
  })

  test('has a name of its own, and starts', () => {
    expect(() => start({ rateLimit: { name: 'long', limit: 5 } })).not.toThrow()
  })

  test('is named after its route as long as that fits', () => {
    expect(() => start({ rateLimit: { limit: 5 } }, `GET /${'a'.repeat(95)}`)).not.toThrow()
    expect(() => start({ rateLimit: { limit: 5 } }, `GET /${'a'.repeat(96)}`)).toThrow('needs a name')
  })
})
