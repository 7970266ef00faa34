import { createPublicKey, createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { clientAuth } from '../../src/identity/client-auth.js'
import { introspection, type IntrospectionOptions } from '../../src/identity/introspection.js'
import { ConfigError } from '../../src/kernel/config-error.js'
import { fakeClock } from '../../src/testing/index.js'

const keyless = { issuer: 'https://id.test', audience: 'https://api.test', clientId: 'api' }
const good: IntrospectionOptions = { ...keyless, clientSecret: 'secret-of-the-api' }
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve })

describe('introspection does not start', () => {
  test.each<[string, object, string]>([
    ['without options', undefined as never, 'introspection must be an object'],
    ['without an issuer', { ...good, issuer: undefined }, 'introspection needs one of `issuer'],
    [
      'with a space in the issuer',
      { ...good, issuer: 'https://id.test/a b' },
      'introspection.issuer must be',
    ],
    ['with an issuer over http', { ...good, issuer: 'http://id.test' }, 'introspection.issuer must be https'],
    [
      'with an issuer on this machine',
      { ...good, issuer: 'http://127.0.0.1:1' },
      'allowInsecureLoopback: true',
    ],
    ['with an issuer that has a query', { ...good, issuer: 'https://id.test/?a' }, 'must not have a query'],
    [
      'with an endpoint over http',
      { ...good, endpoint: 'http://id.test/i' },
      'introspection.endpoint must be https',
    ],
    ['with an endpoint that has credentials', { ...good, endpoint: 'https://a:b@id.test/i' }, 'credentials'],
    ['with an endpoint by a slip', { ...good, endpoint: undefined }, 'introspection.endpoint is undefined'],
    ['without an audience', { ...good, audience: undefined }, 'introspection.audience must name this API'],
    ['with an empty audience', { ...good, audience: [] }, 'introspection.audience must name this API'],
    ['without a client', { ...good, clientId: undefined }, 'introspection.clientId must be'],
    ['with a client in no ASCII', { ...good, clientId: '\u00e4' }, 'introspection.clientId must be'],
    ['without a proof', keyless, 'one of `clientSecret` and `privateKey`'],
    ['with two proofs', { ...good, privateKey: rsa.privateKey }, 'one of `clientSecret` and `privateKey`'],
    [
      'with a secret by a slip',
      { ...keyless, clientSecret: undefined },
      'introspection.clientSecret is undefined',
    ],
    ['with an empty secret', { ...good, clientSecret: '' }, 'introspection.clientSecret must be a text'],
    ['with a public key', { ...keyless, privateKey: rsa.publicKey }, 'must be a private key'],
    [
      'with a secret for a key',
      { ...keyless, privateKey: createSecretKey(randomBytes(32)) },
      'must be a private key',
    ],
    ['with text for a key', { ...keyless, privateKey: 'no key' }, 'must be a private key'],
    ['with a number for a key', { ...keyless, privateKey: 7 }, 'must be a private key'],
    [
      'with a weak key',
      { ...keyless, privateKey: generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey },
      'RSA of at least 2048 bits',
    ],
    [
      'with a curve that no issuer knows',
      { ...keyless, privateKey: ec('secp256k1').privateKey },
      'P-256, P-384 or P-521',
    ],
    [
      'with Ed25519',
      { ...keyless, privateKey: generateKeyPairSync('ed25519').privateKey },
      'P-256, P-384 or P-521',
    ],
    [
      'with alg none',
      { ...keyless, privateKey: { ...ec('P-256').privateKey.export({ format: 'jwk' }), alg: 'none' } },
      'its `alg`',
    ],
    [
      'with HS256 and an RSA key',
      { ...keyless, privateKey: { ...rsa.privateKey.export({ format: 'jwk' }), alg: 'HS256' } },
      'its `alg`',
    ],
    ['with answers for ever', { ...good, cacheMs: Infinity }, 'introspection.cacheMs must be'],
    ['with answers for a day', { ...good, cacheMs: 86_400_000 }, 'introspection.cacheMs must be'],
    ['with a cache below 0', { ...good, cacheEntries: -1 }, 'introspection.cacheEntries must be'],
    ['with no call', { ...good, maxCalls: 0 }, 'introspection.maxCalls must be'],
    ['with no time', { ...good, timeoutMs: 0 }, 'introspection.timeoutMs must be'],
    ['with no life', { ...good, maxLifetimeSeconds: 0 }, 'introspection.maxLifetimeSeconds must be'],
    [
      'with a clock that is far off',
      { ...good, clockToleranceSeconds: 301 },
      'introspection.clockToleranceSeconds must be',
    ],
    ['with endless tokens', { ...good, maxTokenBytes: 1e6 }, 'introspection.maxTokenBytes must be'],
    ['with a realm that cannot be quoted', { ...good, realm: 'a"b' }, 'introspection.realm must be'],
    ['with a slip', { ...good, audiences: 'a' }, 'Did you mean "audience"'],
  ])('%s', (_what, options, message) => {
    expect(() => introspection(options as IntrospectionOptions)).toThrow(ConfigError)
    expect(() => introspection(options as IntrospectionOptions)).toThrow(message)
  })

  test('and never shows a secret while it says so', () => {
    const secret = 'secret-of-the-api'
    for (const options of [
      { ...keyless, privateKey: secret },
      { ...good, privateKey: secret },
      { ...good, clientSecret: [secret] },
    ]) {
      expect(() => introspection(options as never)).toThrow(ConfigError)
      expect(() => introspection(options as never)).not.toThrow(secret)
    }
  })
})

test('says how it is set, without the secret', () => {
  const described = introspection(good).stage.describe!()
  expect(described).toEqual({
    issuers: [
      {
        issuer: 'https://id.test',
        endpoint: 'discovery',
        audience: ['https://api.test'],
        client: 'api',
        proof: 'client_secret_basic',
      },
    ],
    cacheMs: 30_000,
    cacheEntries: 10_000,
    maxCalls: 16,
    timeoutMs: 1_000,
    maxLifetimeSeconds: 86_400,
    clockToleranceSeconds: 60,
    maxTokenBytes: 8_192,
    realm: 'api',
  })
})

test.each([
  [{}, []],
  [{ maxLifetimeSeconds: 86_401 }, ['introspection-long-lifetime']],
  [{ allowInsecureLoopback: true }, ['introspection-insecure-loopback']],
  [{ certificate: 'Client-Cert' as const }, ['introspection-certificate-forwarded']],
])('with %j, the check finds %j', (options, codes) => {
  const findings = introspection({ ...good, ...options }).stage.findings!()
  expect(findings.map(({ code }) => code)).toEqual(codes)
})

describe('the API proves who it is', () => {
  const clock = fakeClock()

  test('by a password, in which no character is lost (RFC 6749 section 2.3.1)', async () => {
    const { headers, form } = await clientAuth('x', 'https://id.test', {
      clientId: 'a:b',
      clientSecret: 'p w+\u00e4%:',
    })(clock)
    const text = Buffer.from(headers.authorization!.slice('Basic '.length), 'base64').toString()
    expect(text).toBe('a%3Ab:p+w%2B%C3%A4%25%3A')
    expect(form).toEqual({})
  })

  test.each([
    ['RSA', rsa, 'RS256', undefined],
    ['RSA with PS256', rsa, 'PS256', 'PS256'],
    ['P-256', ec('P-256'), 'ES256', undefined],
    ['P-384', ec('P-384'), 'ES384', undefined],
    ['P-521', ec('P-521'), 'ES512', undefined],
  ])('by a key: %s', async (_what, { privateKey, publicKey }, algorithm, alg) => {
    const jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'k1', ...(alg !== undefined && { alg }) }
    const prove = clientAuth('x', 'https://id.test', { clientId: 'api', privateKey: jwk })
    const [one, other] = (await Promise.all([prove(clock), prove(clock)])).map(({ form }) => form)

    expect(one).toMatchObject({
      client_id: 'api',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    })
    const now = Math.floor(clock.now() / 1000)
    const verified = jwt.verify(
      one!.client_assertion!,
      createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })),
      {
        algorithms: [algorithm as jwt.Algorithm],
        clockTimestamp: now,
        complete: true,
      },
    )
    expect(verified.header).toEqual({ alg: algorithm, typ: 'JWT', kid: 'k1' })
    expect(verified.payload).toEqual({
      iss: 'api',
      sub: 'api',
      aud: 'https://id.test',
      iat: now,
      exp: now + 60,
      jti: expect.any(String) as string,
    })
    // RFC 7523 section 3: each is good once.
    expect(jwt.decode(other!.client_assertion!)).not.toMatchObject({
      jti: (verified.payload as jwt.JwtPayload).jti,
    })
  })

  test('by a PEM or a KeyObject as well', async () => {
    for (const privateKey of [
      rsa.privateKey,
      String(rsa.privateKey.export({ type: 'pkcs8', format: 'pem' })),
    ]) {
      const { form } = await clientAuth('x', 'https://id.test', { clientId: 'api', privateKey })(clock)
      expect(
        jwt.verify(form.client_assertion!, rsa.publicKey, { clockTimestamp: clock.now() / 1000 }),
      ).toBeDefined()
    }
  })
})
