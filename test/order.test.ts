import { spawnSync } from 'node:child_process'
import { order } from '../src/order.js'
import { secureApi } from '../src/secure-api.js'
import { linkedCopy, removeCopies } from './support/example-copy.js'

afterAll(removeCopies)

/** What a request meets, top to bottom. Moving a row here is a decision about security. */
const TABLE = [
  // arrive: cheap and anonymous
  ['requestId', 'on'],
  ['audit', 'on'],
  ['headers', 'on'],
  ['cors', 'on demand'],
  ['firewall', 'on'],
  ['rateLimit', 'on'],
  // identity
  ['resourceMetadata', 'on demand'],
  ['auth', 'on demand'],
  ['csrf', 'on'],
  ['stepUp', 'on demand'],
  // access
  ['rbac', 'on demand'],
  // traffic, now that the caller is known
  ['quota', 'on demand'],
  // body
  ['body', 'on'],
  ['validate', 'on demand'],
  // access, now that all of the request is known
  ['ownership', 'on demand'],
  ['policy', 'on demand'],
  // reply
  ['mask', 'on demand'],
]

test('the table of protections, in order, with what is on by default', () => {
  expect(Object.entries(order).map(([name, { standard }]) => [name, standard ? 'on' : 'on demand'])).toEqual(
    TABLE,
  )
})

test('what is on by default is what runs by default', () => {
  const api = secureApi({ auth: false })
  expect(api.explain().map(({ stage }) => stage)).toEqual(
    TABLE.filter(([, standard]) => standard === 'on').map(([name]) => name),
  )
})

describe('the example APIs explain themselves', () => {
  const ARRIVE = ['requestId', 'audit', 'headers', 'cors', 'firewall', 'rateLimit', 'resourceMetadata']

  test.each([
    ['GET /health', [...ARRIVE, 'public', 'csrf', 'body', 'mask']],
    ['GET /orders', [...ARRIVE, 'auth', 'csrf', 'rbac route', 'quota', 'body', 'mask']],
    [
      'POST /orders',
      [
        ...ARRIVE.slice(0, -1),
        'rateLimit route',
        'resourceMetadata',
        'auth',
        'csrf',
        'rbac route',
        'quota',
        'body',
        'mask',
      ],
    ],
    [
      'GET /orders/:id',
      [...ARRIVE, 'auth', 'csrf', 'rbac route', 'quota', 'body', 'ownership route', 'mask'],
    ],
    [
      'PATCH /orders/:id',
      [...ARRIVE, 'auth', 'csrf', 'rbac route', 'quota', 'body', 'ownership route', 'policy route', 'mask'],
    ],
    ['POST /orders/:id/cancel', [...ARRIVE, 'auth', 'csrf', 'rbac route', 'quota', 'body', 'mask']],
    ['GET /admin/report', [...ARRIVE, 'auth', 'csrf', 'rbac route', 'quota', 'quota route', 'body', 'mask']],
    ['GET /admin/cards', [...ARRIVE, 'auth route', 'csrf', 'rbac route', 'quota', 'body', 'mask']],
    [
      'POST /payouts',
      ['sensitive route', ...ARRIVE, 'auth', 'csrf', 'stepUp route', 'rbac route', 'quota', 'body', 'mask'],
    ],
    [
      'GET /login',
      [...ARRIVE.slice(0, -1), 'rateLimit route', 'resourceMetadata', 'public', 'csrf', 'body', 'mask'],
    ],
    [
      'GET /',
      [
        ...ARRIVE.map((stage) => (stage === 'headers' ? 'headers route' : stage)),
        'public',
        'csrf',
        'body',
        'mask',
      ],
    ],
    [
      'POST /mfa/passkeys/options',
      [
        ...ARRIVE.slice(0, -1),
        'rateLimit route',
        'resourceMetadata',
        'auth route',
        'csrf',
        'rbac route',
        'quota',
        'body',
        'mask',
      ],
    ],
    ['GET /unlisted', [...ARRIVE, 'auth', 'csrf', 'quota', 'body', 'mask']],
  ])('orders-api: %s', (route, stages) => {
    expect(explained[route]).toEqual(stages)
  })

  let explained: Record<string, string[]>

  beforeAll(() => {
    const routes = ['GET /health', 'GET /orders', 'POST /orders', 'GET /orders/:id', 'PATCH /orders/:id']
    routes.push(
      'POST /orders/:id/cancel',
      'GET /admin/report',
      'GET /admin/cards',
      'POST /payouts',
      'POST /mfa/passkeys/options',
      'GET /login',
      'GET /',
      'GET /unlisted',
    )
    explained = JSON.parse(
      evaluated(`
        import { ordersApi } from './api.js'
        import { login } from './login.js'
        import { partnerKeys } from './partner-keys.js'
        const keys = partnerKeys().settings
        const issuer = 'https://id.example.com'
        const origin = 'https://orders.example.com'
        const people = login({ issuer, client: { clientId: 'orders', clientSecret: 'secret' }, origin })
        const { api } = ordersApi({ issuer, audience: origin, people, keys, audit: true })
        const line = ({ stage, door }) => (door === 'general' || stage === 'public' ? stage : stage + ' ' + door)
        const entries = ${JSON.stringify(routes)}.map((route) => [route, api.explain(route).map(line)])
        console.log(JSON.stringify(Object.fromEntries(entries)))`),
    ) as Record<string, string[]>
  })
})

function evaluated(script: string): string {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: linkedCopy('orders-api'),
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return stdout
}
