import request from 'supertest'
import type { ServiceOptions } from '../../src/kernel/services.js'
import { serve } from '../../src/testing/index.js'
import { rateLimit } from '../../src/traffic/rate-limit.js'
import { testApi } from '../support/api.js'
import { expressVersions } from '../support/express.js'

function setUp(options: Pick<ServiceOptions, 'trustProxy'> = {}) {
  const warnings: unknown[][] = []
  const log = {
    info: () => undefined,
    error: () => undefined,
    warn: (...entry: unknown[]) => void warnings.push(entry),
  }
  return { ...serve(rateLimit(), { log, ...options }), log, warnings }
}

const FIELDS: [name: string, value: string][] = [
  ['X-Forwarded-For', '198.51.100.7'],
  ['Forwarded', 'for=198.51.100.7'],
  ['x-forwarded-for', ''],
]

describe('a proxy that nobody declared', () => {
  test.each(FIELDS)('is warned of once: %s: %s', async (name, value) => {
    const { get, warnings } = setUp()
    await get('/').expect(200)
    expect(warnings).toEqual([])
    for (let i = 0; i < 3; i++) await get('/').set(name, value).expect(200)
    expect(warnings).toEqual([[expect.stringContaining('trustProxy is not set')]])
  })

  test('is warned of in words of ours alone', async () => {
    const { get, warnings } = setUp()
    await get('/').set('X-Forwarded-For', 'evil\t198.51.100.7').set('Forwarded', 'for=evil')
    expect(warnings).toHaveLength(1)
    expect(JSON.stringify(warnings)).not.toMatch(/evil|198\.51/)
  })

  test('changes nothing about whom is counted', async () => {
    const { get } = setUp()
    const left = async (from: string) =>
      (await get('/').set('X-Forwarded-For', from)).headers.ratelimit as string
    expect([await left('198.51.100.1'), await left('198.51.100.2')]).toEqual([
      expect.stringContaining('r=99'),
      expect.stringContaining('r=98'),
    ])
  })

  test.each([0, 1, ['10.0.0.0/8'], []])('is none where trustProxy is %j', async (trustProxy) => {
    const { get, warnings } = setUp({ trustProxy })
    for (const [name, value] of FIELDS) await get('/').set(name, value).expect(200)
    expect(warnings).toEqual([])
  })

  test.each(['X-Real-IP', 'Via', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'CF-Connecting-IP'])(
    'is not concluded from %s',
    async (name) => {
      const { get, warnings } = setUp()
      await get('/').set(name, '198.51.100.7').expect(200)
      expect(warnings).toEqual([])
    },
  )
})

describe.each(expressVersions)('check of %s', (_name, express) => {
  const found = (api: ReturnType<typeof testApi>['api'], app: unknown) =>
    api.check(app).filter(({ code }) => code === 'proxy-undeclared')
  const mounted = (options: object = {}) => {
    const { api } = testApi({ auth: false, ...options })
    const app = express()
    app.use(api as never)
    return { api, app }
  }

  test('finds the proxy once a request has come by it', async () => {
    const { api, app } = mounted()
    await request(app).get('/')
    expect(found(api, app)).toEqual([])
    await request(app).get('/').set('X-Forwarded-For', '198.51.100.7')
    expect(found(api, app)).toEqual([expect.objectContaining({ severity: 'medium' })])
  })

  test('finds one that only Express is told of', () => {
    const { api, app } = mounted()
    app.set('trust proxy', 1)
    expect(found(api, app)).toEqual([expect.objectContaining({ severity: 'medium' })])
  })

  test.each([0, 1])('finds nothing where trustProxy is %i', async (trustProxy) => {
    const { api, app } = mounted({ trustProxy })
    app.set('trust proxy', 1)
    await request(app).get('/').set('X-Forwarded-For', '198.51.100.7')
    expect(found(api, app)).toEqual([])
  })

  test.each([null, undefined, 1, {}])('takes %p for an application of somebody else', (app) => {
    expect(found(mounted().api, app)).toEqual([])
  })
})
