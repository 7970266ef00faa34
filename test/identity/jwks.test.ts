import { createPublicKey, generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import { fetchKeys } from '../../src/identity/jwks.js'
import { asymmetricAlgorithms } from '../../src/identity/algorithms.js'

const URI = 'https://issuer.test/jwks'
const never = new AbortController().signal
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const weakRsa = generateKeyPairSync('rsa', { modulusLength: 1024 })
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const other256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' })
const koblitz = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
const ed = generateKeyPairSync('ed25519')
const ed448 = generateKeyPairSync('ed448')
const x25519 = generateKeyPairSync('x25519')

const jwk = (key: KeyObject, more: object = {}): JsonWebKey => ({ ...key.export({ format: 'jwk' }), ...more })

async function keysOf(keys: unknown, allowed = asymmetricAlgorithms) {
  const fetch = async () => Response.json({ keys })
  return await fetchKeys(URI, { fetch }, allowed, never)
}

const summary = async (keys: unknown) =>
  (await keysOf(keys)).keys.map(({ kid, algorithms }) => [kid, algorithms.join()])

describe('a published key', () => {
  test.each([
    ['RSA', rsa.publicKey, {}, 'RS256,RS384,RS512,PS256,PS384,PS512'],
    ['RSA that says RS256', rsa.publicKey, { alg: 'RS256' }, 'RS256'],
    ['RSA that says PS384', rsa.publicKey, { alg: 'PS384', use: 'sig' }, 'PS384'],
    ['P-256', p256.publicKey, {}, 'ES256'],
    ['P-521', p521.publicKey, { key_ops: ['verify'] }, 'ES512'],
    ['Ed25519', ed.publicKey, {}, 'EdDSA,Ed25519'],
    ['Ed25519 that says EdDSA', ed.publicKey, { alg: 'EdDSA' }, 'EdDSA'],
  ])('of type %s is bound to its algorithms (ASVS 9.1.2)', async (_what, key, more, algorithms) => {
    expect(await summary([jwk(key, { kid: 'k', ...more })])).toEqual([['k', algorithms]])
  })

  test.each([
    ['is a private key', jwk(p256.privateKey)],
    ['is a private RSA key', jwk(rsa.privateKey)],
    ['is a secret', { kty: 'oct', k: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA', alg: 'HS256' }],
    ['carries a secret besides', jwk(p256.publicKey, { k: 'c2VjcmV0' })],
    ['is for encryption', jwk(rsa.publicKey, { use: 'enc' })],
    ['is for an encryption algorithm', jwk(rsa.publicKey, { alg: 'RSA-OAEP' })],
    ['is for wrapping only', jwk(rsa.publicKey, { key_ops: ['wrapKey'] })],
    ['has operations that are no list', jwk(rsa.publicKey, { key_ops: 'verify' })],
    ['is RSA of 1024 bits', jwk(weakRsa.publicKey)],
    ['is RSA of 8800 bits', jwk(rsa.publicKey, { n: Buffer.alloc(1_100, 0xcd).toString('base64url') })],
    ['is RSA with exponent 1', jwk(rsa.publicKey, { e: 'AQ' })],
    ['is RSA with an even exponent', jwk(rsa.publicKey, { e: 'Ag' })],
    ['is on another curve', jwk(koblitz.publicKey)],
    ['says an algorithm of another curve', jwk(p256.publicKey, { alg: 'ES384' })],
    ['says an algorithm of another type', jwk(p256.publicKey, { alg: 'RS256' })],
    ['says HS256', jwk(p256.publicKey, { alg: 'HS256' })],
    ['says none', jwk(p256.publicKey, { alg: 'none' })],
    ['is Ed448', jwk(ed448.publicKey)],
    ['is for key agreement', jwk(x25519.publicKey)],
    ['has a kid that is a number', jwk(p256.publicKey, { kid: 1 })],
    ['is not on its curve', jwk(p256.publicKey, { x: 'AAAA' })],
    ['lacks its numbers', { kty: 'RSA', kid: 'k' }],
    ['has no type', { kid: 'k' }],
    ['is null', null],
    ['is text', 'key'],
  ])('that %s is left out', async (_what, bad) => {
    const { keys, ignored } = await keysOf([bad, jwk(ed.publicKey, { kid: 'good' })])
    expect(keys.map(({ kid }) => kid)).toEqual(['good'])
    expect(ignored).toBe(1)
  })

  test('is left out if its algorithm is not allowed', async () => {
    const { keys } = await keysOf([jwk(p256.publicKey), jwk(rsa.publicKey)], ['ES256'])
    expect(keys.map(({ algorithms }) => algorithms)).toEqual([['ES256']])
  })

  test('is imported once, as a public key object', async () => {
    const { keys } = await keysOf([jwk(p256.publicKey)])
    expect(keys[0]!.key.type).toBe('public')
    expect(keys[0]!.key.equals(createPublicKey(p256.privateKey))).toBe(true)
  })
})

describe('one name', () => {
  test('for one key twice is one key', async () => {
    const twice = jwk(p256.publicKey, { kid: 'k' })
    expect(await summary([twice, twice])).toHaveLength(1)
  })

  test('for two keys leaves both', async () => {
    expect(
      await summary([jwk(p256.publicKey, { kid: 'k' }), jwk(rsa.publicKey, { kid: 'k', alg: 'RS256' })]),
    ).toEqual([
      ['k', 'ES256'],
      ['k', 'RS256'],
    ])
  })

  test('for a signing and an encryption key leaves the one that signs', async () => {
    const { keys } = await keysOf([
      jwk(rsa.publicKey, { kid: 'k', use: 'enc' }),
      jwk(p256.publicKey, { kid: 'k' }),
    ])
    expect(keys).toHaveLength(1)
  })
})

describe('a set', () => {
  test('without keys is believed: the issuer withdrew them', async () => {
    expect(await summary([])).toEqual([])
    expect(await summary([jwk(p256.privateKey)])).toEqual([])
    expect(await summary([jwk(koblitz.publicKey)])).toEqual([])
  })

  test.each([
    ['no list', 'keys'],
    ['an object', { 0: jwk(p256.publicKey) }],
    ['missing', undefined],
  ])('whose keys are %s is no answer', async (_what, keys) => {
    await expect(keysOf(keys)).rejects.toThrow('did not answer with a JWK Set')
  })

  test('has a fingerprint that changes with its keys, their names and their use, and not with their order', async () => {
    const a = jwk(p256.publicKey, { kid: 'a' })
    const b = jwk(other256.publicKey, { kid: 'b' })
    const print = async (keys: unknown) => (await keysOf(keys)).fingerprint

    const one = await print([a, b])
    expect(await print([b, a])).toBe(one)
    expect(await print([{ ...a, use: 'sig' }, b])).toBe(one)
    expect(await print([a])).not.toBe(one)
    expect(await print([{ ...a, kid: 'c' }, b])).not.toBe(one)
    expect(
      await print([
        { ...b, kid: 'a' },
        { ...a, kid: 'b' },
      ]),
    ).not.toBe(one)
    expect(await print([{ ...jwk(rsa.publicKey, { kid: 'r', alg: 'RS256' }) }])).not.toBe(
      await print([{ ...jwk(rsa.publicKey, { kid: 'r', alg: 'PS256' }) }]),
    )
  })
})
