import { randomBytes } from 'node:crypto'
import { apiKey } from '../../src/identity/api-key.js'
import { auth } from '../../src/identity/auth.js'
import { basic } from '../../src/identity/basic.js'
import { bearer } from '../../src/identity/bearer.js'
import { introspection } from '../../src/identity/introspection.js'
import type { Method, MethodMiddleware } from '../../src/identity/method.js'
import { mtls } from '../../src/identity/mtls.js'
import { session } from '../../src/identity/session.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { defineStage } from '../../src/kernel/define.js'
import { memory } from '../../src/kernel/memory.js'
import { authority } from '../support/certificates.js'

const A = { issuer: 'https://a.test', audience: 'orders' }
const B = { issuer: 'https://b.test', audience: 'orders' }
const client = { clientId: 'orders', clientSecret: 'secret-of-the-orders-api' }
const [one, other] = [authority('/CN=One'), authority('/CN=Other')]
const store = memory()

const own = defineStage('own', ({ methodName = 'own' }: { methodName?: string }): Omit<Method, 'name'> => ({
  methodName,
  recognises: () => false,
  challenge: () => 'Own',
  enter: () => undefined,
}))

/** Two of a method, what is said to whoever lists them, and that, done. */
const methods: [string, MethodMiddleware[], string, () => MethodMiddleware[]][] = [
  [
    'bearer',
    [bearer(A), bearer(B)],
    'give one the issuers of both: bearer({ issuers: [{ issuer, audience }, ...] })',
    () => [bearer({ issuers: [A, B] })],
  ],
  [
    'introspection',
    [introspection({ ...A, ...client }), introspection({ ...B, ...client })],
    'give one the issuers of both: introspection({ issuers: [{ issuer, audience, clientId, clientSecret, prefix }, ...] })',
    () => [
      introspection({
        issuers: [
          { ...A, ...client, prefix: 'a_' },
          { ...B, ...client, prefix: 'b_' },
        ],
      }),
    ],
  ],
  [
    'apiKey',
    [apiKey({ store, pepper: randomBytes(32) }), apiKey({ store, pepper: randomBytes(32) })],
    'keep all keys in the store of one, and tell them apart by their owners, scopes and roles',
    () => [apiKey({ store, pepper: randomBytes(32) })],
  ],
  [
    'mtls',
    [mtls({ ca: one.cert }), mtls({ ca: other.cert })],
    'give one the authorities of both: mtls({ ca: [one, other] })',
    () => [mtls({ ca: [one.cert, other.cert] })],
  ],
  [
    'basic',
    [basic({ users: {} }), basic({ users: {} })],
    'give one the users of both: basic({ users: (name) => ... }) may look in two places',
    () => [basic({ users: () => undefined })],
  ],
  [
    'session',
    [session({ store }), session({ store })],
    'keep all sessions in one, and tell them apart by their claims',
    () => [session({ store })],
  ],
  [
    'own',
    [own({}), own({})],
    'give one of them a `methodName` of its own',
    () => [own({}), own({ methodName: 'another' })],
  ],
]

test.each(methods)(
  'two %s in one list are none, and it is said what to write instead',
  (name, twice, fix, instead) => {
    for (const setting of [twice, { any: twice }, { all: twice }]) {
      expect(() => auth(setting)).toThrow(ConfigError)
      expect(() => auth(setting)).toThrow(`lists ${name} twice, and the second would never be asked; ${fix}`)
    }
    expect(() => auth(instead())).not.toThrow()
  },
)
