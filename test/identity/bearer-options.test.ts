import { createPublicKey, createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { bearer } from '../../src/identity/bearer.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { localIssuer } from '../../src/testing/index.js'

const issuer = 'https://id.example.com'
const audience = 'https://api.example.com'
const good = { issuer, audience }
const secret = randomBytes(64)
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa1024 = generateKeyPairSync('rsa', { modulusLength: 1024 })
const pem = ec.publicKey.export({ type: 'spki', format: 'pem' })
const jwk = ec.publicKey.export({ format: 'jwk' })
const make = (options: unknown) => bearer(options as Parameters<typeof bearer>[0])

describe('does not start', () => {
  test.each<[what: string, options: unknown, message: string]>([
    ['without options', undefined, 'bearer must be an object of options, got undefined'],
    [
      'with an unknown option',
      { ...good, audiance: 'x' },
      'bearer has no option "audiance". Did you mean "audience"?',
    ],
    ['without an issuer', { audience }, 'bearer needs one of `issuer'],
    ['with issuer and issuers', { ...good, issuers: [{ issuer }] }, 'bearer needs one of `issuer'],
    ['with no issuer in the list', { audience, issuer: [] }, 'bearer.issuer must name at least one issuer'],
    ['with no issuer in issuers', { audience, issuers: [] }, 'bearer.issuers must name at least one issuer'],
    [
      'with an issuer that is a number',
      { audience, issuer: 7 },
      'bearer.issuer must name at least one issuer',
    ],
    ['with an issuer twice', { audience, issuer: [issuer, issuer] }, 'is listed twice'],
    [
      'with an issuer with a space',
      { audience, issuer: 'https://id.example.com admin' },
      'bearer.issuer must be the exact',
    ],
    [
      'with an issuer without TLS',
      { audience, issuer: 'http://id.example.com' },
      'bearer.issuer must be https',
    ],
    [
      'with an issuer on this machine',
      { audience, issuer: 'http://localhost:9400' },
      'allowInsecureLoopback: true',
    ],
    ...['session', 'basic-auth', 'api-key', 'x509:CN%3DCA'].map((issuer): [string, object, string] => [
      `with an issuer called ${issuer}, as subjects are known by that have none`,
      { audience, issuer, secret: 's'.repeat(40) },
      `bearer.issuer must not be "${issuer}"`,
    ]),
    ['with an issuer that is no URL', { audience, issuer: 'id' }, 'bearer.issuer must be an absolute URL'],
    ['with an issuer with a query', { audience, issuer: `${issuer}?a=1` }, 'must not have a query'],
    ['without an audience (ASVS 9.2.3)', { issuer }, 'bearer.audience must name this API'],
    ['with an empty audience', { issuer, audience: '' }, 'bearer.audience must name this API'],
    ['with no audience in the list', { issuer, audience: [] }, 'bearer.audience must name this API'],
    ['with an audience that is a RegExp', { issuer, audience: /x/ }, 'bearer.audience must name this API'],
    [
      'without an audience for one of two',
      { issuers: [{ issuer, audience }, { issuer: 'https://b.test' }] },
      'bearer.issuers[1].audience must name this API',
    ],
    [
      'with an unknown option of an issuer',
      { audience, issuers: [{ issuer, jwksURI: 'x' }] },
      'bearer.issuers[0] has no option "jwksURI". Did you mean "jwksUri"?',
    ],
    [
      'with a key set without TLS',
      { ...good, jwksUri: 'http://id.example.com/jwks' },
      'bearer.jwksUri must be https',
    ],
    [
      'with keys from two places',
      { ...good, jwksUri: 'https://a.test', keys: pem },
      'bearer has jwksUri and keys',
    ],
    ['with keys and a secret', { ...good, keys: pem, secret }, 'bearer has keys and secret'],
    [
      'with one key for two issuers',
      { audience, issuer: [issuer, 'https://b.test'], keys: pem },
      'write `issuers: [{ issuer, keys }]`',
    ],
    [
      'with a secret beside issuers',
      { audience, issuers: [{ issuer }], secret },
      'write `issuers: [{ issuer, secret }]`',
    ],
    ['with no algorithm', { ...good, algorithms: [] }, 'bearer.algorithms must list at least one algorithm'],
    [
      'with one algorithm as text',
      { ...good, algorithms: 'RS256' },
      'bearer.algorithms must list at least one algorithm',
    ],
    [
      'with alg none (ASVS 9.1.2)',
      { ...good, algorithms: ['none'] },
      "bearer.algorithms must be one of 'RS256'",
    ],
    ['with a slip in an algorithm', { ...good, algorithms: ['RS265'] }, 'Did you mean "RS256"?'],
    [
      'with HS256 and public keys (ASVS 9.1.2)',
      { ...good, algorithms: ['RS256', 'HS256'] },
      'everyone could mint tokens',
    ],
    [
      'with RS256 and a secret',
      { ...good, secret, algorithms: ['HS256', 'RS256'] },
      'needs `keys` and not `secret`',
    ],
    [
      'with a private PEM',
      { ...good, keys: ec.privateKey.export({ type: 'pkcs8', format: 'pem' }) },
      'bearer.keys is a private or secret key',
    ],
    [
      'with a private JWK',
      { ...good, keys: [ec.privateKey.export({ format: 'jwk' })] },
      'bearer.keys is a private or secret key',
    ],
    ['with a private KeyObject', { ...good, keys: ec.privateKey }, 'bearer.keys is a private or secret key'],
    [
      'with a secret as a key',
      { ...good, keys: createSecretKey(secret) },
      'bearer.keys is a private or secret key',
    ],
    ['with no keys', { ...good, keys: [] }, 'bearer.keys must not be empty'],
    ['with a key that is no key', { ...good, keys: 'hello' }, 'bearer.keys is no key that can be read'],
    ['with a key that is a number', { ...good, keys: [pem, 7] }, 'bearer.keys[1] must be a JWK'],
    ['with RSA of 1024 bits', { ...good, keys: rsa1024.publicKey }, 'bearer.keys cannot verify'],
    ['with a key for encryption', { ...good, keys: { ...jwk, use: 'enc' } }, 'bearer.keys cannot verify'],
    [
      'with a key that the algorithms exclude',
      { ...good, keys: pem, algorithms: ['RS256'] },
      'bearer.keys cannot verify RS256',
    ],
    ['with five nameless keys', { ...good, keys: [pem, pem, pem, pem, pem] }, 'at most 4 are tried'],
    ['with no secrets', { ...good, secret: [] }, 'bearer.secret must not be empty'],
    ['with a typ that is empty', { ...good, typ: '' }, 'bearer.typ must be a media type'],
    ['with a typ that is true', { ...good, typ: true }, 'bearer.typ must be a media type'],
    ['with no typ in the list', { ...good, typ: [] }, 'bearer.typ must be a media type'],
    [
      'with a lifetime of 0',
      { ...good, maxLifetimeSeconds: 0 },
      'bearer.maxLifetimeSeconds must be an integer of at least 1',
    ],
    [
      'with an endless lifetime',
      { ...good, maxLifetimeSeconds: Infinity },
      'bearer.maxLifetimeSeconds must be an integer',
    ],
    [
      'with a tolerance of an hour',
      { ...good, clockToleranceSeconds: 3600 },
      'bearer.clockToleranceSeconds must be an integer from 0 to 300',
    ],
    [
      'with a tolerance below 0',
      { ...good, clockToleranceSeconds: -1 },
      'bearer.clockToleranceSeconds must be',
    ],
    ['with tokens of a megabyte', { ...good, maxTokenBytes: 1_000_000 }, 'bearer.maxTokenBytes must be'],
    ['with keys that are never stale', { ...good, maxStaleMs: Infinity }, 'bearer.maxStaleMs must be'],
    ['with keys that are always stale', { ...good, maxStaleMs: 0 }, 'bearer.maxStaleMs must be'],
    ['with a cache without end', { ...good, cacheEntries: Infinity }, 'bearer.cacheEntries must be'],
    ['with a cache below 0', { ...good, cacheEntries: -1 }, 'bearer.cacheEntries must be'],
    ['with a realm with quotes', { ...good, realm: 'a", error="x' }, 'bearer.realm must be ASCII text'],
    ['with an empty realm', { ...good, realm: '' }, 'bearer.realm must be ASCII text'],
    ['with a realm with a line break', { ...good, realm: 'a\r\nb' }, 'bearer.realm must be ASCII text'],
    [
      'with a loopback that is text',
      { ...good, allowInsecureLoopback: 'yes' },
      'bearer.allowInsecureLoopback must be true or false',
    ],
  ])('%s', (_what, options, message) => {
    expect(() => make(options)).toThrow(ConfigError)
    expect(() => make(options)).toThrow(message)
  })
})

describe('starts', () => {
  test.each<[what: string, options: unknown]>([
    ['with an issuer and an audience', good],
    ['with several of both', { issuer: [issuer, 'https://b.test'], audience: [audience, 'orders'] }],
    ['with a key set', { ...good, jwksUri: 'https://id.example.com/jwks?tenant=1' }],
    ['with a PEM', { ...good, keys: pem }],
    ['with a JWK', { ...good, keys: [{ ...jwk, kid: 'a', use: 'sig', alg: 'ES256' }] }],
    ['with a KeyObject', { ...good, keys: createPublicKey(ec.privateKey) }],
    ['with an issuer that is no URL, if its keys are given', { audience, issuer: 'my-gateway', keys: pem }],
    ['with a secret as text', { ...good, secret: randomBytes(32).toString('base64') }],
    ['with a secret as bytes', { ...good, secret: new Uint8Array(secret) }],
    ['with a secret as KeyObject', { ...good, secret: createSecretKey(secret), algorithms: ['HS512'] }],
    ['with two secrets', { ...good, secret: [secret, randomBytes(32)] }],
    [
      'with a provider on this machine',
      { audience, issuer: 'http://127.0.0.1:9400', allowInsecureLoopback: true },
    ],
    ['with a type that the issuer uses', { ...good, typ: ['JWT', 'application/at+jwt'] }],
    ['with no typ', { ...good, typ: false }],
    ['without a cache', { ...good, cacheEntries: 0 }],
    [
      'with options that are undefined',
      { ...good, typ: undefined, realm: undefined, jwksUri: undefined, algorithms: undefined },
    ],
  ])('%s', (_what, options) => {
    expect(make(options).stage.name).toBe('bearer')
  })
})

describe('describe', () => {
  test('shows the effective options', () => {
    expect(make(good).stage.describe!()).toEqual({
      issuers: [
        {
          issuer,
          audience: [audience],
          keys: 'discovery',
          algorithms: [
            'RS256',
            'RS384',
            'RS512',
            'PS256',
            'PS384',
            'PS512',
            'ES256',
            'ES384',
            'ES512',
            'EdDSA',
            'Ed25519',
          ],
        },
      ],
      typ: ['at+jwt'],
      maxLifetimeSeconds: 86_400,
      clockToleranceSeconds: 60,
      maxTokenBytes: 8_192,
      maxStaleMs: 3_600_000,
      cacheEntries: 10_000,
      realm: 'api',
    })
  })

  test('shows no secret', () => {
    const text = 'Zm9vYmFyLXF1dXgtbm90LWEtcHVibGlzaGVkLXZhbHVl'
    expect(JSON.stringify(make({ ...good, secret: text }).stage.describe!())).not.toContain(text)
  })
})

describe('findings', () => {
  const codes = (options: object) => make({ ...good, ...options }).stage.findings!().map(({ code }) => code)

  test('are none for the defaults', () => expect(codes({})).toEqual([]))
  test.each([
    [{ typ: false }, 'bearer-typ-unchecked'],
    [{ secret }, 'bearer-shared-secret'],
    [{ maxLifetimeSeconds: 86_401 }, 'bearer-long-lifetime'],
    [{ allowInsecureLoopback: true }, 'bearer-insecure-loopback'],
    [{ certificate: 'Client-Cert' }, 'bearer-certificate-forwarded'],
  ])('%j is %s', (options, code) => expect(codes(options)).toEqual([code]))
})

test('nothing is fetched at start', () => {
  const local = localIssuer()
  bearer({ issuer: local.issuer, audience: local.audience }, { fetch: local.fetch })
  expect(local.calls).toEqual({ metadata: 0, keys: 0 })
})
