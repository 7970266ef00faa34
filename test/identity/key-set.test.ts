import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import type { SigningAlgorithm } from '../../src/identity/algorithms.js'
import { KeySet, usableAlgorithms, type VerificationKey } from '../../src/identity/key-set.js'

const { publicKey } = generateKeyPairSync('ed25519')
const key = (kid?: string, algorithms: SigningAlgorithm[] = ['EdDSA']): VerificationKey => ({
  ...(kid !== undefined && { kid }),
  key: publicKey,
  algorithms,
})

test.each<[what: string, keys: VerificationKey[], kid: string | undefined, found: number, final: boolean]>([
  ['a name that is there', [key('a'), key('b')], 'a', 1, true],
  ['a name that is not', [key('a'), key('b')], 'c', 0, false],
  ['a name that was withdrawn', [key('a')], 'gone', 0, true],
  ['a name whose key has another use', [key('a', ['RS256'])], 'a', 0, true],
  ['one name for two keys', [key('a', ['RS256']), key('a'), key('a')], 'a', 2, true],
  ['no name', [key('a'), key('b')], undefined, 2, false],
  ['a name, where a key has none', [key()], 'a', 1, false],
  ['a name, where another key has none', [key('a'), key()], 'a', 2, true],
  ['nothing at all', [], 'a', 0, false],
])('%s', (_what, keys, kid, found, final) => {
  const lookup = new KeySet(keys, new Set(['gone'])).lookup(kid, 'EdDSA')
  expect(lookup.candidates).toHaveLength(found)
  expect(lookup.final).toBe(final)
})

test('never makes one token cost more than four signature checks', () => {
  const many = Array.from({ length: 50 }, () => key('a'))
  expect(new KeySet(many).lookup('a', 'EdDSA').candidates).toHaveLength(4)
  expect(new KeySet(many).lookup(undefined, 'EdDSA').candidates).toHaveLength(4)
})

describe('a key of Ed25519 under which everybody can sign', () => {
  const p = 2n ** 255n - 19n
  const ofOrder8 = BigInt('0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7')
  const points = [0n, 1n, p - 1n, p, p + 1n, ofOrder8, p - ofOrder8]
  const keyOf = (y: bigint, sign: bigint) => {
    const x = Buffer.from((y | (sign << 255n)).toString(16).padStart(64, '0'), 'hex').reverse()
    return createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') },
      format: 'jwk',
    })
  }

  test.each(points.flatMap((y) => [keyOf(y, 0n), keyOf(y, 1n)]))('may be used for nothing: %#', (weak) => {
    expect(usableAlgorithms(weak, undefined)).toEqual([])
  })

  test('is one indeed: nobody had to know anything to sign with it', () => {
    const neutral = Buffer.concat([Buffer.from([1]), Buffer.alloc(63)])
    const forged = (weak: ReturnType<typeof keyOf>) =>
      Array.from({ length: 400 }, (_, i) => verify(null, Buffer.from(`${i}`), weak, neutral)).some(Boolean)
    expect([1n, p - 1n, ofOrder8].map((y) => forged(keyOf(y, 0n)))).toEqual([true, true, true])
    expect(forged(publicKey)).toBe(false)
    expect(usableAlgorithms(publicKey, undefined)).toEqual(['EdDSA', 'Ed25519'])
  })
})

test('an RSA key whose exponent makes each check dear, or none at all, may be used for nothing', () => {
  const { n } = generateKeyPairSync('rsa', { modulusLength: 3_072 }).publicKey.export({ format: 'jwk' })
  const usable = (exponent: bigint) => {
    const hex = exponent.toString(16)
    const e = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url')
    const made = createPublicKey({ key: { kty: 'RSA', n: n!, e }, format: 'jwk' })
    return usableAlgorithms(made, undefined, ['PS256']).length > 0
  }
  const good = [3n, 65_537n, 2n ** 32n + 1n, 2n ** 64n - 1n]
  expect(good.map(usable)).toEqual([true, true, true, true])
  const bad = [1n, 2n, 65_536n, 2n ** 64n + 1n, 2n ** 2_048n + 1n]
  expect(bad.map(usable)).toEqual([false, false, false, false, false])
})
