import { generateKeyPairSync, type KeyObject } from 'node:crypto'

const makers = {
  RS256: () => rsa(),
  RS384: () => rsa(),
  RS512: () => rsa(),
  PS256: () => rsa(),
  PS384: () => rsa(),
  PS512: () => rsa(),
  ES256: () => ec('P-256'),
  ES384: () => ec('P-384'),
  ES512: () => ec('P-521'),
  EdDSA: () => generateKeyPairSync('ed25519').privateKey,
}

/** What tokens and proofs of tests can be signed with. */
export type KeyAlgorithm = keyof typeof makers
export const keyAlgorithms = Object.keys(makers) as readonly KeyAlgorithm[]

/** A new private key. */
export function makeKey(algorithm: KeyAlgorithm): KeyObject {
  return makers[algorithm]()
}

function rsa(): KeyObject {
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
}

function ec(namedCurve: string): KeyObject {
  return generateKeyPairSync('ec', { namedCurve }).privateKey
}
