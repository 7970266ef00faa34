import type { KeyObject } from 'node:crypto'

/** The signature algorithms of RFC 7518 section 3.1 and RFC 8037 that are accepted; `none` is not among them. */
export type SigningAlgorithm =
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'ES256'
  | 'ES384'
  | 'ES512'
  | 'EdDSA'
  | 'Ed25519'
  | 'HS256'
  | 'HS384'
  | 'HS512'

interface Facts {
  /** The only kind of key that this algorithm may be used with, as Node names it. */
  readonly keyType: 'rsa' | 'ec' | 'ed25519' | 'secret'
  readonly curve?: string
  /** A secret shorter than the hash weakens it (RFC 7518 section 3.2). */
  readonly secretBytes?: number
  /** Which part verifies it: `jws` where it can, `jose` where only that can. */
  readonly engine: 'jws' | 'jose'
}

const rsa: Facts = { keyType: 'rsa', engine: 'jws' }
const ec = (curve: string): Facts => ({ keyType: 'ec', curve, engine: 'jws' })
const ed25519: Facts = { keyType: 'ed25519', engine: 'jose' }
const hmac = (secretBytes: number): Facts => ({ keyType: 'secret', secretBytes, engine: 'jws' })

/** Everything that has to be known about an algorithm, in one place. */
export const signingAlgorithms: Readonly<Record<SigningAlgorithm, Facts>> = {
  RS256: rsa,
  RS384: rsa,
  RS512: rsa,
  PS256: rsa,
  PS384: rsa,
  PS512: rsa,
  ES256: ec('prime256v1'),
  ES384: ec('secp384r1'),
  ES512: ec('secp521r1'),
  EdDSA: ed25519,
  Ed25519: ed25519,
  HS256: hmac(32),
  HS384: hmac(48),
  HS512: hmac(64),
}

export const algorithmNames = Object.keys(signingAlgorithms) as SigningAlgorithm[]

export const asymmetricAlgorithms = algorithmNames.filter((name) => !isSymmetric(name))

export function isSymmetric(algorithm: SigningAlgorithm): boolean {
  return signingAlgorithms[algorithm].keyType === 'secret'
}

/** Whether `key` is of the one type, curve and size that `algorithm` may be used with (RFC 8725 sections 3.1 and 3.5). */
export function fits(algorithm: SigningAlgorithm, key: KeyObject): boolean {
  const { keyType, curve, secretBytes = 0 } = signingAlgorithms[algorithm]
  if (keyType === 'secret') return key.type === 'secret' && (key.symmetricKeySize ?? 0) >= secretBytes
  return (
    key.type === 'public' &&
    key.asymmetricKeyType === keyType &&
    (curve === undefined || key.asymmetricKeyDetails?.namedCurve === curve)
  )
}
